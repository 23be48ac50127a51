# Two hosts over Redis: every client gets everything once, in one order, and
# each message crosses to a host once.

use lib 't/lib';
use Wscast;

my $redis = redis();

my $CONF = <<'CONF';
wscast_hub chat {
    zone   16m;
    redis  redis://127.0.0.1:%%REDIS_PORT%%;

    channel  quiet:*  { echo off; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    wscast_send_buffer  16m;
    wscast_heartbeat    off;

    location /text {
        wscast          chat text;
        wscast_channel  "room:$arg_room";
        wscast_allow    publish "room:*";
        wscast_welcome  $pid;
    }

    location /json {
        wscast        chat;
        wscast_allow  all "*";
        wscast_user   $arg_user;
    }

    location /api/ {
        wscast_api  chat;
    }
}
CONF

sub numsub {
    my ($channel) = @_;
    return $redis->command('PUBSUB', 'NUMSUB', $channel)->[1];
}

my @hosts = map {
    host($CONF, redis => $redis, workers => 2, name => "host $_")
} 'one', 'two';

for my $host (@hosts) {
    ok(wait_until(sub { $host->has_redis }), 'Redis is found');
}

# -- the main job --------------------------------------------------------

my @clients;

for my $host (@hosts) {
    my @mine = map { $host->ws('/text?room=1') } 1 .. 40;
    my %pid  = map { $_->recv_text => 1 } @mine;
    is(scalar keys %pid, 2, 'both workers of a host have clients');
    push @clients, @mine;
}

is(numsub('wscast:chat:room:1'), 2, 'PUBSUB NUMSUB counts the hosts');

{
    my @publishers = @clients[0, 20, 40, 60];
    my ($n, %got) = (100);

    for my $p (0 .. 3) {
        $publishers[$p]->queue(join '', map {
            Wscast::WebSocket::frame_bytes(1, "$p $_")
        } 1 .. $n);
    }

    my $met = gather(\@clients, timeout => 30,
        message => sub { push @{ $got{ $_[0] } }, $_[1]{data} },
        until => sub { !grep { @{ $got{$_} // [] } < 4 * $n } @clients });

    ok($met, 'every client has all 400 messages');
    ok($clients[-1]->silent(0.2), '... and no more');

    my $twice = 0;

    for my $list (values %got) {
        my %seen;
        $twice++ if grep { $seen{$_}++ } @$list;
    }

    is($twice, 0, '... each once');
    my %orders = map { (join(',', @$_) => 1) } values %got;
    is(scalar keys %orders, 1, '... all in the same order');

    for my $p (0 .. 3) {
        my @own = map { /^$p (\d+)/ ? $1 : () } @{ $got{ $clients[7] } };
        is("@own", join(' ', 1 .. $n), "... those of publisher $p in his");
    }
}

# -- from outside --------------------------------------------------------

sub outside {
    my ($bytes) = @_;
    return $redis->command('PUBLISH', 'wscast:chat:room:1', $bytes);
}

{
    is(outside('hello'), 2, 'a plain PUBLISH reaches two subscribers');
    is((grep { $_->recv_text ne 'hello' } @clients), 0,
        '... and through them every client');

    outside("\xff\xfe");
    is((grep { $_->recv->{op} != 2 } @clients), 0,
        'what is no text arrives as binary');

    outside('{"big":9007199254740993}');
    is((grep { $_->recv_text ne '{"big":9007199254740993}' } @clients), 0,
        'JSON arrives byte for byte');

    # what begins with a zero byte and is no envelope is skipped
    outside("\0");
    outside("\0\1");
    outside("\0\1\0\0" . "\xff" x 40);
    outside("\0\x7f" . 'x' x 60);
    outside('still here');
    is((grep { $_->recv_text ne 'still here' } @clients), 0,
        'damaged envelopes do no harm');
}

{
    my $r = $hosts[1]->http('POST', '/api/channels/room:1', body => 'api');
    is($r->{status}, 200, 'the API publishes through Redis');
    like($r->{body}, qr/"subscribers":40\b/, '... and counts this host');
    is((grep { $_->recv_text ne 'api' } @clients), 0, '... to all hosts');
}

# -- json, over hosts ----------------------------------------------------

{
    my ($ann, $bob) = map { $hosts[$_]->ws("/json?user=u$_") } 0, 1;
    my $me = $ann->recv_json;
    $bob->recv_json;

    is($_->ask({ type => 'subscribe', channel => 'quiet:1' })->{type},
        'subscribed', 'a client subscribes') for $ann, $bob;
    is(numsub('wscast:chat:quiet:1'), 2, 'two hosts are subscribed');

    my $data = '{"n":18446744073709551616,"s":"\u00fc"}';
    $ann->text(qq({"type":"publish","id":1,"channel":"quiet:1","data":$data}));
    is($ann->recv_json->{type}, 'published', 'a publish is answered');
    my $text = $bob->recv_text;
    like($text, qr/"data":\Q$data\E,/, 'it crosses byte for byte');
    my $m = $Wscast::WebSocket::JSON->utf8->decode($text);
    is($m->{client}, $me->{client}, '... with its client');
    is($m->{user}, 'u0', '... and user');
    ok($ann->silent(0.3), '... and not to its publisher where echo is off');

    is($bob->ask({ type => 'unsubscribe', channel => 'quiet:1' })->{type},
        'unsubscribed', 'a client leaves');
    ok(wait_until(sub { numsub('wscast:chat:quiet:1') == 1 }),
        'the host of the last one leaves, too');
    $ann->drop;
    ok(wait_until(sub { numsub('wscast:chat:quiet:1') == 0 }),
        '... and when the client vanishes');

    # join and leave in quick turns: the last word counts
    for my $round (1 .. 50) {
        $bob->json({ type => 'subscribe', channel => 'quick' });
        $bob->json({ type => 'unsubscribe', channel => 'quick' });
    }

    is($bob->ask({ type => 'subscribe', channel => 'quick' })->{type},
        'subscribed', 'after many turns the client is subscribed');
    my $r = $hosts[0]->http('POST', '/api/channels/quick', body => 'x');
    is($bob->recv_json->{data}, 'x', '... and gets what comes');
}

$_->drop for @clients;
ok(wait_until(sub { numsub('wscast:chat:room:1') == 0 }),
    'without clients there is no subscription');

# -- a worker that holds the subscriptions dies --------------------------

{
    my $host = $hosts[0];
    $host->expect_log(qr/worker process \d+ exited on signal 9/);

    for my $victim ($host->workers) {
        my @ws = map { $host->ws('/text?room=9') } 1 .. 16;
        $_->{pid} = $_->recv_text for @ws;
        my $far = $hosts[1]->ws('/text?room=9');
        $far->recv_text;

        kill 'KILL', $victim;
        my @left = grep { $_->{pid} != $victim } @ws;
        my %n;

        # whoever took over is subscribed again
        ok(wait_until(sub {
            $redis->command('PUBLISH', 'wscast:chat:room:9', 'again?');
            gather(\@left, timeout => 0.2, message => sub { $n{ $_[0] }++ },
                until => sub { keys %n == @left });
        }, 15), 'when a worker is killed another takes its subscriptions');

        my %afar;
        my $hear = sub { $afar{ $_[0] }++ if $_[1]{data} eq 'from afar' };
        $far->text('from afar');
        ok(gather(\@left, message => $hear,
            until => sub { keys %afar == @left }),
            '... and survivors hear the other host');
        gather(\@left, timeout => 0.3, message => $hear,
            until => sub { 0 });
        is((grep { $_ != 1 } values %afar), 0, '... once');
        ok(wait_until(sub { $host->workers == 2 }), 'there are two again');
        $_->drop for @ws, $far;
    }

    is(numsub('wscast:chat:room:9') <= 2, 1, 'no subscription is left over');
}

# -- forms of the address ------------------------------------------------

sub speaks {
    my ($name, $server, $hub, $channel, %option) = @_;
    my $host = host(<<"CONF", redis => $server, workers => 2, name => $name);
wscast_hub chat { $hub }
server {
    listen 127.0.0.1:%%PORT%%;
    location / {
        wscast          chat text;
        wscast_channel  "room:1";
        wscast_allow    publish "room:1";
        wscast_welcome  "welcome";
    }
}
CONF
    $host->write_file($_, $option{files}{$_}) for keys %{ $option{files} };
    ok(wait_until(sub { $host->has_redis }), "$name: Redis is there");

    my @ws = map { $host->ws('/') } 1 .. 4;
    is((grep { $_->recv_text ne 'welcome' } @ws), 0, "$name: welcome");
    $ws[0]->text('hello');
    is((grep { $_->recv_text ne 'hello' } @ws), 0, "$name: all hear it");
    is($server->command('PUBSUB', 'NUMSUB', $channel)->[1], 1,
        "$name: the channel is $channel");
    $_->drop for @ws;
    $host->closing_checks;

    return;
}

my $guarded = redis();
$guarded->command('ACL', 'SETUSER', 'chat', 'on', '>pa:ss%', '~*', '&*',
    '+@all');
my $port = $guarded->port;

speaks('a unix socket', $redis, 'redis redis+unix:%%REDIS_SOCKET%%;',
    'wscast:chat:room:1');
speaks('a host name', $redis, 'redis redis://localhost:%%REDIS_PORT%%;',
    'wscast:chat:room:1');
speaks('a prefix', $redis, 'redis redis://127.0.0.1:%%REDIS_PORT%%; '
    . 'redis_prefix "other/";', 'other/room:1');
speaks('a number of a database', $redis,
    'redis redis://127.0.0.1:%%REDIS_PORT%%/5;', 'wscast:chat:room:1');

# now only who has a password may do anything
$guarded->command('ACL', 'SETUSER', 'default', 'on', '>secret');

speaks('a user and a password', $guarded,
    "redis redis://chat:pa%3ass%25\@127.0.0.1:$port;", 'wscast:chat:room:1');
speaks('a password alone', $guarded,
    "redis redis://:secret\@127.0.0.1:$port/1;", 'wscast:chat:room:1');

my $file = scratch() . '/password';
open my $out, '>', $file or die "$file: $!\n";
print {$out} "secret\n";
close $out;
speaks('a password in a file', $guarded, "redis redis://127.0.0.1:$port; "
    . "redis_password_file $file;", 'wscast:chat:room:1');

{
    my $host = host(<<"CONF", name => 'the host with a wrong password');
wscast_hub chat { redis redis://chat:wrong\@127.0.0.1:$port; }
server {
    listen 127.0.0.1:%%PORT%%;
    location /api/ { wscast_api chat; }
}
CONF
    ok(wait_until(sub { $host->log_text =~ /WRONGPASS|invalid.*password/i }),
        'a wrong password is told in the log');
    unlike($host->log_text, qr/chat:wrong|\bwrong\b/,
        '... which does not have the password');
    is($host->http('POST', '/api/channels/x', body => 'x')->{status}, 503,
        '... and publishing is answered 503');
    is($host->hub->{redis_up}, 0, '... and the status says so');
}

done_testing();
