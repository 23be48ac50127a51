# Presence on two hosts over Redis: who comes and goes, takes a membership over
# on another host, is on a worker or a host that is killed, and what remains
# when Redis is emptied, cut off or restarted.

use lib 't/lib';
use Wscast;
use Time::HiRes qw(sleep time);

my $redis = redis();

my $CONF = <<'CONF';
wscast_hub chat {
    zone             16m;
    redis            redis://127.0.0.1:%%REDIS_PORT%%;
    redis_timeout    1s 3s;
    redis_reconnect  50ms 300ms;

    channel  room:*  { presence on grace=3s; history 10 1m; }
    channel  now:*   { presence on grace=0s; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /ws {
        wscast        chat;
        wscast_allow  all "*";
        wscast_user   $arg_user;
        wscast_info   '{"host":%%PORT%%}';
        wscast_drain  1h;
    }
}
CONF

my @hosts = map {
    host($CONF, redis => $redis, workers => 2, name => "host $_")
} 'one', 'two';
my ($one, $two) = @hosts;

sub up {
    my ($name) = @_;
    ok(wait_until(sub { $_->has_redis }, 15), "$_->{name} $name") for @hosts;
    return;
}

up('finds Redis');

sub client {
    my ($host, $user) = @_;
    my $ws = $host->ws('/ws?user=' . ($user // ''), timeout => 20);
    $ws->{id} = $ws->recv_json->{client};
    $ws->{aside} = [];
    return $ws;
}

sub on {
    my ($ws, $channel, %more) = @_;
    return $ws->ask({ type => 'subscribe', channel => $channel, %more });
}

sub members {
    my ($ws, $channel, %more) = @_;
    return $ws->ask({ type => 'presence', channel => $channel, %more });
}

sub ids {
    my ($ws, $channel) = @_;
    my $r = members($ws, $channel);
    return join ' ', map { $_->{client} } @{ $r->{members} };
}

# The joins and leaves that a client was told of within some seconds, or until
# so many have come.
sub events {
    my ($ws, $seconds, $want) = @_;
    my @events = grep { $_->{type} =~ /^(join|leave)$/ }
        splice @{ $ws->{aside} };
    gather([$ws], timeout => $seconds, message => sub {
        my $m = JSON::PP::decode_json($_[1]{data});
        push @events, $m if $m->{type} =~ /^(join|leave)$/;
    }, until => sub { $want && @events >= $want });
    return map { "$_->{type} $_->{client}" } @events;
}

# Leaves without a word, and Redis knows it: else the same user would be there
# twice for a moment.
sub lose {
    my ($ws, $channel) = @_;
    $ws->drop;
    ok(wait_until(sub { $redis->command('ZCARD',
        "{wscast:chat:$channel}:presence:lost") == 1 }),
        'who is lost is missed');
    return;
}

# -- coming and going ----------------------------------------------------

my $watch = client($one, 'watch');
on($watch, 'room:1');

{
    my $ann = client($two, 'ann');
    is(on($ann, 'room:1')->{type}, 'subscribed', 'a client subscribes');
    is_deeply([events($watch, 5, 1)], ["join $ann->{id}"],
        'the other host is told of a join');
    my $r = members($watch, 'room:1');
    is($r->{total}, 2, 'two are there');
    is_deeply([map { [@$_{qw(client user)}, $_->{info}{host}] }
        @{ $r->{members} }],
        [[$watch->{id}, 'watch', $one->port], [$ann->{id}, 'ann', $two->port]],
        '... with user and info, in the order of joining');
    is_deeply([events($ann, 0.3)], [], 'nobody is told of himself');

    lose($ann, 'room:1');
    my $again = client($one, 'ann');
    is(on($again, 'room:1')->{member}, $ann->{id},
        'on another host the same user goes on being the same member');
    is_deeply([events($watch, 3.5)], [], '... and nobody notices');

    my $old = client($two);
    on($old, 'room:1');
    is_deeply([events($watch, 5, 1)], ["join $old->{id}"],
        'an anonymous one joins');
    lose($old, 'room:1');
    my $new = client($two);
    my $s = on($new, 'room:1', since => { client => $old->{id} });
    is($s->{member}, $old->{id}, '... and comes back by its former id');
    is_deeply([events($watch, 3.5)], [], '... which nobody notices');

    # taken over while it is open
    my $twin = client($one, 'ann');
    $s = on($twin, 'room:1', since => { client => $again->{id} });
    is($s->{member}, $ann->{id}, 'an open connection is taken over');
    is($again->wait_close->{code}, 4409, '... and closed');

    my $far = client($two, 'ann');
    on($far, 'room:1', since => { client => $twin->{id} });
    is($twin->wait_close->{code}, 4409, '... on the other host too');
    is_deeply([events($watch, 0.5)], [], '... which nobody notices');

    my $begun = time;
    $new->ask({ type => 'unsubscribe', channel => 'room:1' });
    is_deeply([events($watch, 5, 1)], ["leave $old->{id}"],
        'who unsubscribes leaves at once');
    cmp_ok(time - $begun, '<', 2.9, '... at once');

    $begun = time;
    $far->drop;
    is_deeply([events($watch, 15, 1)], ["leave $ann->{id}"],
        'who is lost leaves');
    cmp_ok(time - $begun, '>', 2.9, '... after the grace');
    cmp_ok(time - $begun, '<', scale(6), '... and not much later');
    is(ids($watch, 'room:1'), $watch->{id}, 'one is there');
}

# -- many, and pages -----------------------------------------------------

{
    my @many = map { client($hosts[$_ % 2], "u$_") } 1 .. 60;
    on($_, 'now:many') for @many;
    my ($next, @seen) = undef;
    do {
        my $r = members($many[0], 'now:many', limit => 25,
            $next ? (after => $next) : ());
        is($r->{total}, 60, 'a page knows how many there are');
        push @seen, map { $_->{client} } @{ $r->{members} };
        $next = $r->{next};
    } while ($next && @seen < 100);
    is(join(' ', @seen), join(' ', map { $_->{id} } @many),
        'pages have all of them, once, in the order of joining');
    $_->drop for @many;
    is((wait_until(sub { !$redis->command('EXISTS',
        '{wscast:chat:now:many}:presence') })), 1,
        'when all are gone nothing is left in Redis');
}

# -- Redis is emptied, cut off, restarted --------------------------------

{
    my @some = map { client($hosts[$_ % 2], "s$_") } 1 .. 6;
    on($_, 'room:2') for @some;
    my $all = join ' ', sort map { $_->{id} } @some;
    my $there = sub {
        return join(' ', sort split / /, eval { ids($some[0], 'room:2') } // '')
            eq $all;
    };
    ok($there->(), 'six are there');

    $redis->command('FLUSHALL');
    ok(wait_until($there, 15), 'when Redis was emptied they come back');

    $redis->command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    ok(wait_until($there, 15), 'so do they when connections were cut');

    # one goes while Redis is away
    $redis->kill9;
    (pop @some)->drop;
    $all = join ' ', sort map { $_->{id} } @some;
    sleep 0.5;
    $redis->start;
    ok(wait_until($there, 15), 'after a restart those are there who are there');

    # the same, when Redis has kept its data: the links alone were lost
    up('is connected');
    $redis->freeze;
    my $left;
    ok(wait_until(sub {
        $left = 0;
        $left += $_->hub->{redis_links} for @hosts;
        return $left == 0;
    }, 15), 'a Redis that stands still is given up') || diag($left);
    (pop @some)->drop;
    $all = join ' ', sort map { $_->{id} } @some;
    sleep 0.3;
    $redis->thaw;
    ok(wait_until($there, 15), 'who left while Redis stood still is gone');
    $_->drop for @some;
    up('is connected again');
}

# -- reload --------------------------------------------------------------

{
    my $stays = client($two, 'stays');
    on($stays, 'room:3');
    my @few = map { client($one, "f$_") } 1 .. 4;
    on($_, 'room:3') for @few;
    is(scalar(events($stays, 5, 4)), 4, 'four join on a host');
    $one->reload;
    on(my $new = client($one, 'new'), 'room:3');
    is_deeply([events($stays, 5, 1), events($stays, 3.5)],
        ["join $new->{id}"], 'a reload makes nobody leave or join');
    is(ids($new, 'room:3'), join(' ', map { $_->{id} } $stays, @few, $new),
        'old and new workers have the same members');
    $_->drop for $stays, @few, $new;
}

# -- a worker, then a host is killed -------------------------------------

{
    my $witness = client($two, 'witness');
    on($witness, 'room:4');
    my @all = map { client($one, "k$_") } 1 .. 16;
    on($_, 'room:4') for @all;
    is(scalar(events($witness, 5, 16)), 16, 'sixteen join on a host');

    $one->expect_log(qr/exited on signal 9/);
    kill 'KILL', ($one->workers)[0];
    my @gone = grep { !eval { $_->ask({ type => 'ping', id => 1 }); 1 } } @all;
    my @left = grep { !$_->{eof} } @all;
    my $first = shift @gone;
    my @expected = map { "leave $_->{id}" } @gone;

    SKIP: {
        skip 'nobody was on that worker', 2 if !$first;
        my $back = client($one, 'k' . (1 + (grep { $all[$_] == $first }
            0 .. 15)[0]));
        is(on($back, 'room:4')->{member}, $first->{id},
            'a client of a killed worker comes back as the same member');
        push @left, $back;
        is_deeply([sort(events($witness, 15, scalar @expected))],
            [sort @expected],
            'the others leave within seconds, once');
    }
    is_deeply([events($witness, 1)], [], '... and nobody else');

    my $here = members($witness, 'room:4')->{total};
    is($here, @left + 1, 'who is there, is there');

    $one->abandon;
    $one->{checked} = 1;
    my $begun = time;
    my @leaves = events($witness, 40, $here - 1);
    cmp_ok(time - $begun, '<', 35,
        'members of a killed host leave within 35 s');
    is(scalar @leaves, $here - 1, '... all of them');
    is(scalar(grep { !/^leave/ } @leaves), 0, '... and nobody joins');
    push @leaves, events($witness, 3);
    my %count;
    $count{$_}++ for @leaves;
    is((grep { $_ != 1 } values %count), 0, '... exactly once each');
    is(ids($witness, 'room:4'), $witness->{id}, 'one is left');
    ok(wait_until(sub { $redis->command('EXISTS', '{wscast:chat:}:dead',
        '{wscast:chat:}:lost') == 0 }),
        'nothing is left of the dead leases, or of lost members');
}

# -- what a lease names --------------------------------------------------

# A worker that lives for months must not leave a trace of every channel that
# it ever had a member on.

sub named {
    my $n = 0;
    $n += $redis->command('SCARD', $_)
        for @{ $redis->command('KEYS', '{wscast:chat:}:lease:*') };
    return $n;
}

{
    ok(wait_until(sub { named() == 0 }, 10), 'all have left all channels');

    my @pair   = (client($two, 'one'), client($two, 'other'));

    for my $n (1 .. 20) {
        on($_, "room:of-$n") for @pair;
        on($_, "now:of-$n") for @pair;
    }

    ok(wait_until(sub { named() >= 40 }), 'the lease names its channels');
    $pair[0]->ask({ type => 'unsubscribe', channel => "now:of-$_" })
        for 1 .. 20;
    is(members($pair[1], "now:of-$_")->{total}, 1, '... one leaves them')
        for 1, 20;
    cmp_ok(named(), '>=', 40, '... of which another is a member');
    $pair[1]->ask({ type => 'unsubscribe', channel => "now:of-$_" })
        for 1 .. 20;
    $_->drop for @pair;
    ok(wait_until(sub { named() == 0 }, 10),
        'it names none that it has nobody on any more')
        || diag(named());
}

done_testing();
