# Presence: who is on a channel, over all workers; who comes and goes; who comes
# back in time, which nobody notices; in one host alone, and on two with Redis.

use lib 't/lib';
use Wscast;
use Scalar::Util qw(weaken);

my $CONF = <<'CONF';
wscast_hub chat {
    zone 16m;
    %%ENGINE%%

    channel  slow:*  { presence on grace=3s; }
    channel  now:*   { presence on grace=0s; }
    channel  room:*  { presence on; history 10 1m; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    wscast_drain  1h;      # no client here reconnects by itself

    location /ws {
        wscast          chat;
        wscast_allow    all "*";
        wscast_user     $arg_user;
        wscast_info     $arg_info;
        wscast_welcome  $pid;
    }

    location /blind { wscast chat; wscast_allow subscribe "*";
                      wscast_user $arg_user; }
    location /text  { wscast chat text; wscast_channel slow:text;
                      wscast_user $arg_user; }
    location /api/  { wscast_api chat; }
}
CONF

my (@hosts, $turn, $redis, @clients);

sub client {
    my ($path) = @_;
    my $host = $hosts[$turn++ % @hosts];
    my $ws   = $host->ws($path // '/ws');
    $ws->{host} = $host;
    $ws->{welcome} = $ws->recv_json;
    $ws->{id} = $ws->{welcome}{client};
    push @clients, $ws;
    weaken($clients[-1]);
    return $ws;
}

sub ask {
    my ($ws, %message) = @_;
    $ws->json({ id => 77, %message });
    for (1 .. 1000) {
        my $m = $ws->recv_json;
        return $m if defined $m->{id} && $m->{id} eq '77';
        push @{ $ws->{events} }, $m;
    }
}

sub on {
    my ($ws, $channel, %since) = @_;
    return ask($ws, type => 'subscribe', channel => $channel,
               %since ? (since => \%since) : ());
}

# Leaves without a word; its host, and Redis, know it then.
sub lose {
    my ($ws, $channel) = @_;

    $ws->drop;
    ok(wait_until(sub {
        my $open = grep { $_ && $_->{sock} } @clients;
        $open -= $_->hub->{connections} for @hosts;
        return $open == 0 && (!$redis || $redis->command('ZCARD',
            "{wscast:chat:$channel}:presence:lost") == 1);
    }), 'who is lost is missed');

    return;
}

sub event {
    my ($ws) = @_;
    return shift @{ $ws->{events} } if @{ $ws->{events} // [] };
    return $ws->recv_json;
}

sub members {
    my ($ws, $channel, @rest) = @_;
    my $r = ask($ws, type => 'presence', channel => $channel, @rest);
    return map { $_->{client} } @{ $r->{members} };
}

for my $one (undef, redis()) {
    $redis = $one;
    my $engine = $redis ? 'redis redis://127.0.0.1:%%REDIS_PORT%%;' : '';
    my $conf = $CONF =~ s/%%ENGINE%%/$engine/r;

    @hosts = map { host($conf, workers => 3, $redis ? (redis => $redis) : ()) }
        $redis ? (1, 2) : 1;
    ok(wait_until(sub { $_->has_redis }), 'Redis is found')
        for $redis ? @hosts : ();

    subtest $redis ? 'two hosts with Redis' : 'one host' => \&examine;
}

done_testing();


sub examine {

# -- joins and leaves ----------------------------------------------------

my $ann = client('/ws?user=ann&info={"color":"red"}');
my $blind = client('/blind?user=eve');
on($ann, 'slow:1');
on($blind, 'slow:1');

{
    my $e = event($ann);
    is($e->{type}, 'join', 'who subscribes joins');
    is("$e->{client} $e->{user} $e->{channel}", "$blind->{id} eve slow:1",
        '... which the others are told');

    my $bob = client('/ws?user=bob&info=[1,2]');
    my $s = on($bob, 'slow:1');
    is($s->{type}, 'subscribed', 'a member is subscribed');
    ok(!exists $s->{member}, '... and is known by its own id');

    $e = event($ann);
    is("$e->{type} $e->{user}", 'join bob', 'another one joins');
    is_deeply($e->{info}, [1, 2], '... with what is known of it');

    my $r = ask($bob, type => 'presence', channel => 'slow:1');
    is($r->{type}, 'presence', 'who is there can be asked');
    is($r->{total}, 3, '... how many');
    is_deeply($r->{members}, [
        { client => $ann->{id}, user => 'ann', info => { color => 'red' } },
        { client => $blind->{id}, user => 'eve' },
        { client => $bob->{id}, user => 'bob', info => [1, 2] },
    ], '... and who, in the order of coming');
    ok(!exists $r->{next}, '... which was all');

    ask($bob, type => 'unsubscribe', channel => 'slow:1');
    $e = event($ann);
    is("$e->{type} $e->{client} $e->{user}", "leave $bob->{id} bob",
        'who unsubscribes leaves at once');
    ok(!exists $e->{info}, '... without more words');

    is(ask($blind, type => 'presence', channel => 'slow:1')->{code}, 403,
        'without the right nobody is told who is there');
    is(ask($ann, type => 'presence', channel => 'plain')->{code}, 400,
        'a channel without presence is an error');
    ok($blind->silent(0.1) && !@{ $blind->{events} // [] },
        '... nor who comes and goes');
}

# -- coming back in time -------------------------------------------------

{
    my $bob = client('/ws?user=bob');
    on($bob, 'slow:1');
    is(event($ann)->{type}, 'join', 'bob is back');
    lose($bob, 'slow:1');

    my $again = client('/ws?user=bob');
    my $s = on($again, 'slow:1');
    is($s->{member}, $bob->{id},
        'who reconnects in time is known under the id it had');
    ok($ann->silent(3.8), 'and nobody has noticed');
    is(join(' ', members($ann, 'slow:1')),
        "$ann->{id} $blind->{id} $bob->{id}", '... nor that it moved');

    $again->drop;
    my $e = event($ann);
    is("$e->{type} $e->{client}", "leave $bob->{id}",
        'who stays away leaves after its time, under the same id');
    ok($ann->silent(0.5), '... once');
}

{
    my $one = client('/ws');
    on($one, 'slow:1');
    event($ann);
    lose($one, 'slow:1');
    my $two = client('/ws');
    my $s = on($two, 'slow:1', client => $one->{id});
    is($s->{member}, $one->{id}, 'who has no name comes back by its id');
    ok($ann->silent(3.8), '... unnoticed');
    $two->drop;
    is(event($ann)->{client}, $one->{id}, '... and leaves as who it was');
}

{
    my $one = client('/ws?user=bob');
    on($one, 'slow:1');
    is(event($ann)->{type}, 'join', 'bob joins');
    my $two = client('/ws?user=bob');
    on($two, 'slow:1');
    is(event($ann)->{client}, $two->{id},
        'two connections of a user are two members');

    my $three = client('/ws?user=bob');
    my $s = on($three, 'slow:1', client => $one->{id});
    is($s->{member}, $one->{id},
        'a client may come back before its old connection is found dead');
    is($one->wait_close->{code}, 4409, '... which is ended');
    is(join(' ', members($ann, 'slow:1')),
        join(' ', map { $_->{id} } $ann, $blind, $one, $two),
        '... and all are there still');

    my $rogue = client('/ws?user=mallory');
    $s = on($rogue, 'slow:1', client => $two->{id});
    ok(!exists $s->{member}, 'another user cannot take it over');
    is(event($ann)->{client}, $rogue->{id}, '... but joins');
    $_->drop for $rogue, $two, $three;
    is(join(' ', sort map { event($ann)->{type} } 1 .. 3),
        'leave leave leave', 'all of them leave');
}

{
    my $bob = client('/ws?user=bob');
    on($ann, 'now:1');
    on($bob, 'now:1');
    is(event($ann)->{type}, 'join', 'without grace one joins');
    $bob->drop;
    is(event($ann)->{type}, 'leave', '... and leaves at once');
}

{
    my $one = client('/ws?user=bob');
    on($one, 'slow:api');
    lose($one, 'slow:api');
    my $two = client('/ws?user=bob');
    is(on($two, 'slow:api')->{member}, $one->{id}, 'a client has come back');
    my $r = $hosts[0]->http(DELETE => "/api/clients/$one->{id}");
    is($r->{status}, 200, 'the API ends it by the id that the others know');
    like($r->{body}, qr/"disconnected":1\b/, '... it is found');
    is($two->wait_close->{code}, 4403, '... and told');
}

# -- text clients --------------------------------------------------------

{
    on($ann, 'slow:text');
    my $text = $hosts[0]->ws('/text?user=tom');
    my $e = event($ann);
    is("$e->{type} $e->{user}", 'join tom', 'a text client is a member');
    my $bob = client('/ws?user=bob');
    on($bob, 'slow:text');
    ok($text->silent(0.2), '... and is not told of others');
    $text->drop;
    is(event($ann)->{user}, 'bob', '... who join');
    is(event($ann)->{user}, 'tom', '... and it leaves');
}

# -- a worker dies -------------------------------------------------------

{
    my @all = map { client("/ws?user=u$_") } 1 .. 24;
    on($_, 'slow:kill') for @all;
    my $r = ask($all[0], type => 'presence', channel => 'slow:kill');
    is($r->{total}, 24, "all are there");

    $hosts[0]->expect_log(qr/exited on signal 9/);
    my ($victim) = grep { $_->{host} == $hosts[0] } @all;
    kill KILL => $victim->{welcome}{msg};
    my (@gone, @here);
    for my $ws (@all) {
        $ws->json({ type => 'ping', id => 5 });
        my $alive = 0;
        while (my $m = $ws->recv_json) {
            $alive = $m->{type} eq 'pong' and last;
            push @{ $ws->{events} }, $m;
        }
        push @{ $alive ? \@here : \@gone }, $ws;
    }
    ok(@here && @gone, scalar(@gone) . ' of them were on the worker killed');

    my $back = client("/ws?user=$gone[0]{welcome}{user}");
    my $s = on($back, 'slow:kill', client => $gone[0]{id});
    is($s->{member}, $gone[0]{id}, 'one of its clients comes back in time');

    my $w = $here[0];
    my %left;
    while (keys %left < @gone - 1) {
        my $e = event($w);
        $left{ $e->{client} }++ if $e->{type} eq 'leave';
    }
    is(join(' ', sort keys %left),
        join(' ', sort map { $_->{id} } @gone[1 .. $#gone]),
        'the others leave, within seconds');
    ok($w->silent(1), '... once, and nobody else does');
    is(ask($w, type => 'presence', channel => 'slow:kill')->{total},
        @here + 1, 'who is there, is there');
}

# -- reload --------------------------------------------------------------

{
    my $bob = client('/ws?user=bob');
    on($bob, 'room:1');
    my $w = client('/ws?user=watcher');
    on($w, 'room:1');
    $hosts[0]->reload;
    my $new = client('/ws?user=new');
    on($new, 'room:1');
    is(join(' ', members($new, 'room:1')),
        join(' ', map { $_->{id} } $bob, $w, $new),
        'old and new workers have the same members');
}

# -- many ----------------------------------------------------------------

{
    my @many = map { client("/ws?user=m$_") } 1 .. 250;
    for my $ws (@many) {
        $ws->json({ type => 'subscribe', channel => 'now:many' });
    }
    wait_until(sub {
        ask($many[0], type => 'presence', channel => 'now:many')->{total}
            == 250 });
    my ($cursor, %seen, $pages);
    do {
        my $r = ask($many[0], type => 'presence', channel => 'now:many',
                    limit => 60, $cursor ? (after => $cursor) : ());
        $seen{ $_->{user} }++ for @{ $r->{members} };
        $cursor = $r->{next};
        $pages++;
    } while ($cursor);
    is($pages, 5, '250 members are five pages of 60');
    is(scalar keys %seen, 250, '... with every member');
    is(scalar(grep { $_ != 1 } values %seen), 0, '... once');
}

}
