# redis+cluster://: two hosts on three masters.  Every channel lives on the
# server that owns its slot, and nobody who uses the hub can tell.

use lib 't/lib';
use Wscast;
use Wscast::Api;
use Wscast::Cluster;
use Wscast::Streams;
use Time::HiRes qw(time);

my $CONF = <<'CONF';
wscast_hub chat {
    zone             32m;
    redis            %%URL%%;
    redis_timeout    1s 4s;
    redis_reconnect  50ms 300ms;
    %%MORE%%

    channel  kept:*  { history 5000 10m; presence on grace=1s; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /ws {
        wscast        chat;
        wscast_allow  all "*";
        wscast_user   $arg_user;
        wscast_drain  10d;
        wscast_ping   off;
    }

    location /text {
        wscast          chat text;
        wscast_channel  "$arg_channel";
        wscast_allow    publish "*";
        wscast_welcome  "welcome";
    }

    location /api/ { wscast_api chat; }
}
CONF

sub conf {
    my ($url, $more) = @_;
    my $conf = $CONF;
    $conf =~ s/%%URL%%/$url/;
    $conf =~ s/%%MORE%%/$more \/\/ ''/e;
    return $conf;
}

# A hub is there for everybody when all its channels can be published to.

sub there {
    my ($host, @channels) = @_;

    return ok(wait_until(sub {
        $host->hub->{redis_up} && !grep {
            api($host, POST => "channels/$_", body => 'x')->{status} != 200
        } @channels;
    }, 15), "$host->{name} finds the cluster");
}

my $cluster = Wscast::Cluster->new(timeout => 5000);
my @masters = $cluster->masters;
my @hosts   = map {
    host(conf($cluster->url), name => "host $_")
} 'one', 'two';
my ($one, $two) = @hosts;

my @kept  = map { "kept:$_" } 1 .. 18;
my @plain = map { "room:$_" } 1 .. 18;

is(scalar @masters, 3, 'there are three masters');
there($_, 'a', 'b', 'c', 'd') for @hosts;

# -- publishing at masters alone -----------------------------------------

# No replica takes what is published by a script.  Where a master would not
# either, it is said as it was before there was one.

{
    my $ws = $one->ws('/ws');
    $ws->recv_json;
    $ws->ask({ type => 'subscribe', channel => $_ }) for 'guard:1', 'guard:2';

    my $heard = sub {
        my ($name) = @_;
        for my $n (1, 2) {
            my $r = api($two, POST => "channels/guard:$n", body => qq("$name"));
            is($r->{status}, 200, "$name: it is taken");
            is($ws->recv_json->{data}, $name, '... and heard');
        }
        ok($ws->silent(0.1), '... once');
    };

    my $replica = wait_until(sub {      # news travel slowly here
        ($cluster->replicas($cluster->owner('wscast:chat:guard:1')))[0];
    }, 15);
    my $sha = $replica->command('SCRIPT', 'LOAD', "#!lua flags=allow-oom\n"
        . "return redis.call('SPUBLISH', ARGV[1], ARGV[2])");
    ok(!eval { $replica->command('EVALSHA', $sha, 0, 'wscast:chat:guard:1',
        'x'); 1 }, 'a replica refuses it');
    like($@, qr/READONLY/, '... and says why');

    $heard->('as always');

    $cluster->ask($_, 'SCRIPT', 'FLUSH') for @masters;
    $heard->('scripts are forgotten');

    my $before = $cluster->count('errorstat_NOREPLICAS');
    $cluster->ask($_, qw(CONFIG SET min-replicas-to-write 7)) for @masters;
    $heard->('replicas are missing');
    cmp_ok($cluster->count('errorstat_NOREPLICAS'), '>', $before,
        '... the script was refused');
    $cluster->ask($_, qw(CONFIG SET min-replicas-to-write 0)) for @masters;

    $cluster->ask($_, qw(ACL SETUSER default -evalsha)) for @masters;
    $heard->('scripts may not be called');
    $cluster->ask($_, qw(ACL SETUSER default +evalsha)) for @masters;

    $ws->drop;
}

# -- channels of all servers ---------------------------------------------

my %owner = map { $_ => $cluster->owner("wscast:chat:$_") } @kept, @plain;

for my $list (\@kept, \@plain) {
    my %on = map { $owner{$_}->port => 1 } @$list;
    is(scalar keys %on, 3, 'the channels are on three servers');
}

my $streams = Wscast::Streams->new(hosts => \@hosts, kept => \@kept,
    plain => \@plain);
$streams->begin;

{
    $streams->talk(rate => 500, voices => 4);
    $streams->run(1.5);
    ok($streams->finish, 'what both hosts publish arrives on both');
    cmp_ok($streams->taken, '>', 300, '... much of it');
    is($streams->refused, 0, '... nothing was refused')
        || diag(explain($streams->{reasons}));
    $streams->whole('both ways', gaps => 0);
    $streams->orderly('both ways');
}

for my $channel ('kept:1', 'kept:2', 'kept:3', 'room:1', 'room:2', 'room:3') {
    my $name = "wscast:chat:$channel";
    my %heard = map { $_->port => $_->command('PUBSUB', 'SHARDNUMSUB',
        $name)->[1] } @masters;
    my $mine = delete $heard{ $owner{$channel}->port };

    is($mine, 2, "$channel: both hosts are subscribed where its slot is");
    is(join(' ', values %heard), '0 0', '... and nowhere else');
    is(eval { $owner{$channel}->command('EXISTS', "{$name}:stream") },
        $channel =~ /kept/ ? 1 : 0, '... where its history is, if it has one');
}

{
    my $channel = 'room:5';
    my $text = $one->ws("/text?channel=$channel");
    is($text->recv_text, 'welcome', 'a client of the text dialect comes');
    $owner{$channel}->command('SPUBLISH', "wscast:chat:$channel", 'plain');
    is($text->recv_text, 'plain', '... and hears what a backend publishes');

    my $far = $two->ws("/text?channel=$channel");
    $far->recv_text;
    $text->text('hello');
    is($_->recv_text, 'hello', '... and all hear what it says')
        for $text, $far;
    $_->drop for $text, $far;
}

# -- names with braces and percent signs ---------------------------------

# What a name is called in Redis.

sub called {
    my ($channel) = @_;
    return 'wscast:chat:'
        . $channel =~ s/([%{}])/sprintf '%%%02X', ord $1/ger;
}

{
    my @odd = ('a{b}c', '{x}', '}{', '%7B', '{', '{}', 'a{b', '%', '%25',
        'kept:{x}', 'kept:a{b}c', 'kept:}{', 'kept:%7Bx%7D', 'kept:{}',
        'kept:{user}:{id}', 'kept:{b}', 'kept:100%', 'kept:%');
    my $names = Wscast::Streams->new(hosts => \@hosts, listeners => 1,
        kept => [grep { /^kept/ } @odd], plain => [grep { !/^kept/ } @odd]);

    $names->begin;
    $names->talk(rate => 300, keys => 1);
    $names->run(0.6);
    ok($names->finish, 'names with braces and percent signs are names');
    cmp_ok($names->taken('{x}'), '>', 3, '... that are published to');
    is($names->refused, 0, '... without an error')
        || diag(explain($names->{reasons}));
    $names->whole('odd names', gaps => 0);

    my %page;

    for my $channel (@odd) {
        my $server = $cluster->owner(called($channel));
        is($server->command('PUBSUB', 'SHARDNUMSUB', called($channel))->[1],
            2, "$channel is called " . called($channel));
        next if $channel !~ /^kept/;

        my $path = 'channels/' . $channel =~ s/%/%25/gr;
        my $r = api($two, GET => "$path/history?limit=1000")->{json};
        my %got = map { $_->{data} => $_->{channel} } @{ $r->{messages} };
        is_deeply([grep { $_ ne $channel } values %got], [],
            '... and has a history of its own');
        is((grep { !$got{$_} } keys %{ $names->{taken}{$channel} }), 0,
            '... with all that was published');
    }

    my $list = api($one, GET => 'channels?limit=1000')->{json}{channels};
    my %listed = map { $_->{channel} => $_->{subscribers} } @$list;
    is(join(' ', grep { ($listed{$_} // 0) != 2 } @odd), '',
        'the API lists them by their names');
    $names->leave;
}

# -- the API, over hosts and servers -------------------------------------

{
    my $r = api($one, POST => 'publish', body => { messages => [
        { channels => [@kept, @plain], data => 'to all' },
        { channel => 'kept:1', data => 'two', key => 'once' },
        { channel => 'kept:1', data => 'three', key => 'once' },
    ] })->{json}{results};

    is(join(' ', map { $_->{channel} } @$r),
        join(' ', @kept, @plain, 'kept:1', 'kept:1'),
        'a batch for channels of all servers: results in their order');
    is((grep { $_->{error} } @$r), 0, '... without an error');
    is((grep { !$_->{offset} } @$r[0 .. 17]), 0, '... with positions');
    is($r->[-1]{offset}, $r->[-2]{offset}, '... a key counts once');

    my $again = api($two, POST => 'channels/kept:1', body => 'four',
        headers => ['Idempotency-Key: once'])->{json};
    is($again->{offset}, $r->[-1]{offset}, '... on the other host as well');

    my $wrong = 0;

    for my $n (0 .. 17) {
        my $h = api($two, GET => "channels/$kept[$n]/history?limit=5")->{json};
        my ($m) = grep { $_->{offset} == $r->[$n]{offset} }
            @{ $h->{messages} };
        $wrong++ if !$m || $m->{data} ne 'to all'
            || $h->{epoch} ne $r->[$n]{epoch};
    }

    is($wrong, 0, 'the other host has the history of all');

    my $about = api($two, GET => 'channels/kept:3')->{json};
    is("$about->{subscribers} $about->{members}", '4 4',
        'subscribers and members are counted over hosts');
    is($about->{offset}, api($one, GET => 'channels/kept:3')->{json}{offset},
        '... and the position is the same');

    my $gone = api($one, DELETE => 'channels/kept:4/history');
    is($gone->{status}, 200, 'history is forgotten') || diag($gone->{body});
    is_deeply(api($two, GET => 'channels/kept:4/history')->{json}{messages},
        [], '... for the other host, too');
    is(api($two, POST => 'channels/kept:4', body => 'x')->{json}{offset},
        $gone->{json}{offset} + 1, '... and its offsets go on');
}

# -- since: what a client has missed -------------------------------------

for my $channel (@kept[0 .. 5]) {
    my $ws = $one->ws('/ws');
    $ws->recv;
    my $at = $ws->ask({ type => 'subscribe', channel => $channel });
    $ws->drop;
    my @want = map { api($two, POST => "channels/$channel", body => "m$_")
        ->{json}{offset} } 1 .. 3;
    my $back = $two->ws('/ws');
    $back->recv;
    my $r = $back->ask({ type => 'subscribe', channel => $channel,
        since => { epoch => $at->{epoch}, offset => $at->{offset} } });

    is($r->{recovered}, 1, "$channel: who comes back on the other host is "
        . 'given what it has missed');
    is(join(' ', map { $back->recv_json->{offset} } @want), "@want",
        '... in order');
    $back->drop;
}

# -- presence ------------------------------------------------------------

sub client {
    my ($host, $user) = @_;
    my $ws = $host->ws("/ws?user=$user", timeout => 20);
    $ws->{id} = $ws->recv_json->{client};
    return $ws;
}

# The next joins and leaves, or what came within so many seconds.

sub events {
    my ($ws, $seconds, $want) = @_;
    my @events;

    gather([$ws], timeout => $seconds, message => sub {
        my $m = JSON::PP::decode_json($_[1]{data});
        push @events, "$m->{type} $m->{channel} $m->{client}"
            if $m->{type} =~ /^(join|leave)$/;
    }, until => sub { @events >= $want });

    return [sort @events];
}

sub ids {
    my ($host, $channel) = @_;
    my $r = api($host, GET => "channels/$channel/presence")->{json};
    return join ' ', sort map { $_->{client} } @{ $r->{members} };
}

{
    my @rooms = map { "kept:r$_" } 1 .. 8;
    my %on = map { $cluster->owner("wscast:chat:$_")->port => 1 } @rooms;
    is(scalar keys %on, 3, 'rooms with members are on three servers');

    my $watch = client($one, 'watch');
    $watch->ask({ type => 'subscribe', channel => $_ }) for @rooms;

    my $ann = client($two, 'ann');
    $ann->ask({ type => 'subscribe', channel => $_ }) for @rooms;
    is_deeply(events($watch, 5, 8), [sort map { "join $_ $ann->{id}" } @rooms],
        'who joins is told on the other host');
    is((grep { ids($one, $_) ne join ' ', sort $watch->{id}, $ann->{id} }
        @rooms), 0, '... and is a member of all');

    $ann->drop;
    is_deeply(events($watch, 8, 8),
        [sort map { "leave $_ $ann->{id}" } @rooms],
        'who is lost leaves all of them after the grace');

    # clients of a worker that is killed
    my @all = map { client($two, "u$_") } 1 .. 8;

    for my $n (0 .. 7) {
        $all[$n]->ask({ type => 'subscribe', channel => $rooms[$n] });
    }

    is(scalar @{ events($watch, 5, 8) }, 8, 'eight come to eight rooms');
    $two->expect_log(qr/exited on signal 9/);
    kill 'KILL', ($two->workers)[0];
    wait_until(sub { $two->workers == 2 });
    my @gone = grep {
        !eval { $all[$_]->ask({ type => 'ping' }); 1 }
    } 0 .. 7;
    is_deeply(events($watch, 8, scalar @gone),
        [sort map { "leave $rooms[$_] $all[$_]{id}" } @gone],
        'those of a killed worker leave, once');
    is_deeply(events($watch, 1.5, 1), [], '... and nobody else');
    my %left = map { $_ => $all[$_]{id} } 0 .. 7;
    delete @left{@gone};
    is((grep { ids($two, $rooms[$_]) ne join ' ', sort $watch->{id},
        $left{$_} // () } 0 .. 7), 0, '... who is there, is there');

    is(api($one, DELETE => "users/u$_")->{json}{disconnected},
        exists $left{ $_ - 1 } ? 1 : 0, "u$_ is disconnected wherever it is")
        for 1 .. 8;
    $_->wait_close for @all[keys %left];
    is_deeply(events($watch, 5, scalar keys %left),
        [sort map { "leave $rooms[$_] $left{$_}" } keys %left],
        '... and has left then');
    $_->drop for $watch, @all;
}

# -- reloads, while everybody talks --------------------------------------

{
    # those of the killed worker have come back
    ok($streams->alive($_), "$_->{name} is heard on all channels") for @hosts;
    $streams->talk(rate => 400, voices => 4);
    $streams->run(0.4);

    for my $n (0 .. 3) {
        $hosts[$n % 2]->signal('HUP');
        $streams->run(0.9);
    }

    ok($streams->finish, 'four reloads: all arrives');
    is($streams->ends, 0, '... and closes nobody who has not been asked to go');
    is($streams->refused, 0, '... nothing was refused')
        || diag(explain($streams->{reasons}));
    $streams->whole('reloads', gaps => 0);
    $streams->orderly('reloads');

    my $fresh = Wscast::Streams->new(hosts => \@hosts, listeners => 1,
        kept => \@kept, plain => \@plain);
    $fresh->begin;
    ok($fresh->alive($_), 'the new workers hear all channels') for @hosts;
    $fresh->leave;
}

$streams->leave;
ok(wait_until(sub {
    !grep { @{ $_->command('PUBSUB', 'SHARDCHANNELS', '*room*') } } @masters
}), 'without clients there is no subscription');
$_->closing_checks for @hosts;
$_->stop for $cluster->nodes;

# -- TLS, a user of its own, and no sharded Pub/Sub ----------------------

sub small {
    my ($name, %option) = @_;
    my $more   = delete $option{more};
    my $user   = delete $option{user};
    my $small  = Wscast::Cluster->new(replicas => 0, timeout => 5000,
        %option);
    my @both   = map {
        host(conf($small->url($user), $more), name => "$name, $_")
    } 'one', 'two';
    there($_, 'a', 'b', 'c', 'd') for @both;

    my $talk = Wscast::Streams->new(hosts => \@both, listeners => 1,
        kept => ['kept:{1}', map { "kept:$_" } 2 .. 9],
        plain => ['room:{1}', map { "room:$_" } 2 .. 9]);
    $talk->begin;
    $talk->talk(rate => 300);
    $talk->run(0.7);
    ok($talk->finish, "$name: what is published arrives");
    is($talk->refused, 0, '... nothing was refused')
        || diag(explain($talk->{reasons}));
    $talk->whole($name, gaps => 0);
    is(length ids($both[0], 'kept:3'), 33, '... two are there');
    $talk->leave;

    return ($small, @both);
}

{
    # what docs/redis.md allows a user, and nothing more
    my $text  = Wscast::Host::slurp("$Wscast::ROOT/docs/redis.md");
    my $rules = join ' ', grep { defined } $text =~ /^ACL\ SETUSER\ wscast\ on\ >secret\ (.*)$
            | The\ user\ needs\ `([^`]+\+ssubscribe[^`]*)`/mgx;
    my @admin = qw(--user admin on >admin ~* &* +@all --user default off);
    my ($small, @both) = small('with a user and TLS',
        tls => Wscast::Host::_certificate(), user => 'wscast:pa%3ass%25',
        auth => ['admin', 'admin'],
        args => [@admin, qw(--user wscast on >pa:ss%), split / /, $rules],
        more => 'redis_ssl_trusted_certificate %%CERT%%; '
            . 'redis_ssl_name localhost;');

    my $denied = $small->ask(($small->nodes)[0], 'ACL', 'LOG');
    is_deeply($denied, [], '... which may do all that it wants to')
        || diag(explain($denied));

    my $wrong = host(conf($small->url('wscast:wrong'),
        'redis_ssl_trusted_certificate %%CERT%%; redis_ssl_name localhost;'),
        name => 'with a wrong password');
    ok(wait_until(sub { $wrong->log_text =~ /\[error\].*WRONGPASS/ }),
        'a wrong password is told in the log');
    unlike($wrong->log_text, qr/:wrong/, '... which does not have it');
    is(api($wrong, POST => 'channels/a', body => 'x')->{status}, 503,
        '... and publishing is answered 503');
    $_->closing_checks for @both, $wrong;
    $_->stop for $small->nodes;
}

{
    my ($small, @both) = small('without SPUBLISH', sharded => 0);
    my $server = $small->owner('wscast:chat:room:2');
    my $ws = $both[0]->ws('/text?channel=room:2');

    is($ws->recv_text, 'welcome', 'without sharded Pub/Sub');
    $server->command('PUBLISH', 'wscast:chat:room:2', 'plain');
    is($ws->recv_text, 'plain', '... a plain PUBLISH arrives');
    ok($ws->silent(0.2), '... once');
    $ws->drop;
}

# -- the configuration ---------------------------------------------------

sub hub { return "wscast_hub chat { redis $_[0]; $_[1] }" }

good_config('one server', hub('redis+cluster://127.0.0.1', ''));
good_config('many, a user, the database that there is',
    hub('redis+cluster://u:p@127.0.0.1:1,127.0.0.1:2,127.0.0.1/0', ''));
good_config('with TLS',
    hub('rediss+cluster://127.0.0.1', 'redis_ssl_verify off;'));
bad_config('with TLS, no CA', hub('rediss+cluster://127.0.0.1', ''),
    qr/redis_ssl_trusted_certificate/);
bad_config('a database', hub('redis+cluster://127.0.0.1/1', ''),
    qr/database/, qr/redis\+cluster/);
bad_config('a database that is none', hub('redis+cluster://127.0.0.1/x', ''),
    qr/database/, qr/redis\+cluster/);
bad_config('no server', hub('redis+cluster://,', ''),
    qr/redis\+cluster/, qr/name a host/);
bad_config('an empty one', hub('redis+cluster://127.0.0.1,', ''),
    qr/redis\+cluster/, qr/name a host/);
bad_config('a port that is none', hub('redis+cluster://127.0.0.1:99999', ''),
    qr/invalid port/, qr/redis\+cluster/);
bad_config('a prefix with braces',
    hub('redis+cluster://127.0.0.1', 'redis_prefix "{a}:";'),
    qr/redis_prefix/, qr/\{a\}/);

done_testing();
