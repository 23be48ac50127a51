# Catching up when little fits: a zone that is smaller than what was missed, and
# more arriving meanwhile than is held; keys in Redis that are damaged.

use lib 't/lib';
use Wscast;
use JSON::PP ();
use Time::HiRes qw(sleep time);

my $redis = redis();

my $CONF = <<'CONF';
wscast_hub chat {
    zone             %s;
    redis            redis://127.0.0.1:%%%%REDIS_PORT%%%%;
    redis_timeout    500ms 5s;
    redis_reconnect  %s 2s;

    channel  room:*  { history 5000 10m; presence on; }
}

server {
    listen 127.0.0.1:%%%%PORT%%%% reuseport;

    location /ws {
        wscast              chat;
        wscast_allow        all "*";
        wscast_send_buffer  64m;
    }

    location /api/ { wscast_api chat; }
}
CONF

# the first is slow to come back, so that it misses something
my $one = host(sprintf($CONF, '4m', '1s'), redis => $redis, workers => 1,
    name => 'the small host');
my $two = host(sprintf($CONF, '32m', '50ms'), redis => $redis, workers => 1,
    name => 'the other host');

ok(wait_until(sub { $_->has_redis }), "$_->{name} finds Redis") for $one, $two;

my $ws = $one->ws('/ws', timeout => 20);
$ws->recv;
my $talker = $two->ws('/ws', timeout => 20);
$talker->recv;

my (%sent, @got, $last, $wrong, $broken, $answers);

sub hear {
    my ($who, $m) = @_;

    if ($who == $talker) {
        $answers++ if $m->{data} =~ /"published"/;
        return;
    }

    if ($m->{data}
        =~ /^\{"type":"message".*?"data":"(\d+)x*".*"offset":(\d+)/)
    {
        push @got, $1;
        $wrong++ if defined $last && $2 != $last + 1;
        $last = $2;

    } elsif ($m->{data} =~ /"subscribed".*"offset":(\d+).*"recovered":false/) {
        $broken++;
        $last = $1;
    }

    return;
}

sub subscribe {
    my ($channel) = @_;
    $ws->ask({ type => 'unsubscribe', channel => 'room:' . $sent{channel} })
        if $sent{channel};
    $ws->ask({ type => 'subscribe', channel => "room:$channel" });
    %sent = (channel => $channel, n => 0);
    @got = ();
    ($last, $wrong, $broken, $answers) = (undef, 0, 0, 0);
    return;
}

sub say {
    my ($size) = @_;
    my $text = ++$sent{n} . 'x' x $size;
    $talker->queue(Wscast::WebSocket::frame_bytes(1, qq({"type":"publish",)
        . qq("id":1,"channel":"room:$sent{channel}","data":"$text"})));
    return;
}

sub heard_all {
    my ($name) = @_;
    gather([$ws, $talker], message => \&hear, timeout => 60,
        until => sub { @got >= $sent{n} && $answers >= $sent{n} });
    is(scalar @got, $sent{n}, "$name: all $sent{n} messages have come");
    is((grep { $got[$_] != $_ + 1 } 0 .. $#got), 0, '... once, in order');
    is("$wrong $broken", '0 0', '... and without a gap');
    return;
}

# Cuts the small host's subscription: the one whose socket its worker has.
sub cut {
    my %by;
    my $list = $redis->command('CLIENT', 'LIST', 'TYPE', 'pubsub');
    $by{$2} = $1 while $list =~ /^id=(\d+) addr=127\.0\.0\.1:(\d+)/mg;
    my ($pid) = $one->workers;
    my %inode = map { (readlink($_) // '') =~ /^socket:\[(\d+)\]/ ? ($1 => 1)
        : () } glob "/proc/$pid/fd/*";
    open my $tcp, '<', '/proc/net/tcp' or die "/proc/net/tcp: $!\n";
    while (<$tcp>) {
        my @f = split;
        next if !$inode{ $f[9] // '' };
        my $port = hex +(split /:/, $f[1])[1];
        return $redis->command('CLIENT', 'KILL', 'ID', $by{$port})
            if $by{$port};
    }
    return;                             # it is cut
}

# Until all that was said has been taken the small host hears nothing.
sub deaf {
    my $next = 0;
    return gather([$talker], message => \&hear, timeout => 30, until => sub {
        if (time > $next) {
            cut();
            $next = time + 0.05;
        }
        $answers >= $sent{n};
    });
}

# -- more than fits into the zone ----------------------------------------

{
    subscribe('big');
    say(4000) for 1 .. 10;
    heard_all('at first');

    say(4000) for 1 .. 3000;
    ok(deaf(), 'a host is cut off for three thousand messages');
    heard_all('twelve megabytes through a zone of four');
    cmp_ok($one->hub->{caught_up_total}, '>', 2500,
        '... most of them from the stream');

    my ($begun, $before) = (time, $sent{n});
    cut();
    say(4000) for 1 .. 200;
    gather([$ws, $talker], message => \&hear, timeout => 20,
        until => sub {
            my $more = $sent{n} < $before + 4500       # the stream has 5000
                && length $talker->{out} < 100_000;
            say(4000) for 1 .. ($more ? 20 : 0);
            time > $begun + 3;
        });
    heard_all('more meanwhile than is held');
}

# -- what is not there any more ------------------------------------------

{
    subscribe('gone');
    say(10) for 1 .. 3;
    heard_all('before');

    # as if five more had been published and trimmed
    my $key = '{wscast:chat:room:gone}';
    $redis->command('DEL', "$key:stream");
    $redis->command('HINCRBY', "$key:meta", 'o', 5);
    cut();
    ok(gather([$ws, $talker], message => \&hear, until => sub { $broken }),
        'what the stream has lost is told');
    is("$wrong $last @got", '0 8 1 2 3', '... with the place to go on from');
    say(10);
    gather([$ws, $talker], message => \&hear, until => sub { @got == 4 });
    is("$wrong $broken @got", '0 1 1 2 3 4', '... and it goes on');
}

# -- keys that somebody has damaged --------------------------------------

{
    subscribe('harm');
    say(1);
    heard_all('before');
    my $key = '{wscast:chat:room:harm}';
    my $ask = sub { $ws->ask({ type => $_[0], channel => 'room:harm' }) };

    is(scalar @{ $ask->('history')->{messages} }, 1, 'history answers');
    $redis->command('XADD', "$key:stream", '2-0', time() * 1000 | 0,
        "\0\1garbage");
    is(scalar @{ $ask->('history')->{messages} }, 1,
        'an entry that is no message is left out');
    $redis->command('XADD', "$key:stream", '3-0', 'no time', 'x');
    is($ask->('history')->{type}, 'history',
        'one without a time is no harm');

    $redis->command('HSET', "$key:meta", 'e', 'no epoch');
    is($ask->('history')->{code}, 503, 'a position that is none is an error');
    $redis->command('DEL', "$key:meta");
    $redis->command('SET', "$key:meta", 'x');
    is($ask->('history')->{code}, 503, 'so is a key of the wrong type');
    is($two->http('POST', '/api/channels/room:harm', body => 'x')->{status},
        503, '... for a publisher, too');
    $redis->command('DEL', "$key:meta");
    $redis->command('SET', "$key:stream", 'x');
    is($two->http('POST', '/api/channels/room:harm', body => 'x')->{status},
        200, 'a stream of the wrong type is begun anew');

    is($ask->('presence')->{total}, 1, 'presence answers');
    my ($id) = @{ $redis->command('HKEYS', "$key:presence") };
    $redis->command('HSET', "$key:presence", $id, "\xc1");
    is($ask->('presence')->{code}, 503, 'a member that is none is an error');
    $redis->command('HDEL', "$key:presence", $id);
    is(scalar @{ $ask->('presence')->{members} }, 0,
        'one that is gone is none');
    is($ask->('ping')->{type} // 'pong', 'pong', 'nobody was harmed');
}

done_testing();
