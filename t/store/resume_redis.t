# Two hosts over Redis, and everything that breaks connections: clients that
# drop, subscriptions that are cut, scripts that are forgotten, a leader that
# is killed, a Redis that is emptied, or restarted with and without its data.

use lib 't/lib';
use Wscast;
use JSON::PP ();
use Time::HiRes qw(sleep time);

my $redis = redis(args => ['--appendonly', 'yes', '--appendfsync', 'always']);

my $CONF = <<'CONF';
wscast_hub chat {
    zone             32m;
    redis            redis://127.0.0.1:%%REDIS_PORT%%;
    redis_timeout    500ms 2s;
    redis_reconnect  50ms 300ms;

    channel  room:*   { history 20000 10m; }
    channel  small:*  { history 3 10m; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /ws {
        wscast              chat;
        wscast_allow        all "*";
        wscast_send_buffer  16m;
        wscast_drain        1s;
    }

    location /api/ { wscast_api chat; }
}
CONF

my @hosts = map {
    host($CONF, redis => $redis, workers => 2, name => "host $_")
} 'one', 'two';
my ($one, $two) = @hosts;

ok(wait_until(sub { $_->hub->{redis_up} }), 'Redis is found') for @hosts;
srand 42;

# -- clients that keep their place ---------------------------------------

# A client: where it is, what it has got, and what was told of continuity.
sub member {
    my ($host, $channel) = @_;
    return { host => $host, channel => $channel, got => [], broken => 0,
             wrong => 0 };
}

sub begin {
    my ($c) = @_;
    my $ws = $c->{ws} = $c->{host}->ws('/ws', timeout => 20);
    $ws->{member} = $c;
    $c->{subscribed} = 0;
    my $m = { type => 'subscribe', id => 1, channel => $c->{channel} };
    $m->{since} = { epoch => $c->{epoch}, offset => 0 + $c->{offset} }
        if $c->{epoch};
    $ws->json($m);
    return $ws;
}

# Tens of thousands of messages a second: those are cut by hand.
sub parse {
    my ($text) = @_;

    if ($text =~ /^\{"type":"message","channel":"[^"]+","data":(\d+),
        "epoch":"(\w+)","offset":(\d+),/x)
    {
        return { type => 'message', data => $1, epoch => $2, offset => $3 };
    }

    if ($text =~ /^\{"type":"published","id":(\d+),.*"offset":(\d+)\}$/) {
        return { type => 'published', id => $1, offset => $2 };
    }

    return JSON::PP::decode_json($text);
}

sub hear {
    my ($ws, $frame) = @_;
    my $c = $ws->{member};
    my $m = parse($frame->{data});

    if ($m->{type} eq 'subscribed') {
        if ($m->{id} && $c->{epoch} && !$m->{recovered} || !$m->{id}) {
            $c->{broken}++;
        }
        if (!$m->{recovered}) {
            @$c{qw(epoch offset)} = @$m{qw(epoch offset)};
        }
        $c->{subscribed} = 1;

    } elsif ($m->{type} eq 'message') {
        if ($m->{epoch} ne $c->{epoch} || $m->{offset} != $c->{offset} + 1) {
            $c->{wrong}++;
        }
        @$c{qw(epoch offset)} = @$m{qw(epoch offset)};
        push @{ $c->{got} }, $m->{data};
    }

    return;
}

sub listen_to {
    my ($clients, $until, $seconds) = @_;
    return gather([map { $_->{ws} } @$clients], message => \&hear,
        until => $until, timeout => $seconds // 10);
}

sub all_subscribed {
    my ($clients) = @_;
    return listen_to($clients, sub { !grep { !$_->{subscribed} } @$clients });
}

# Publishers publish n a second through both hosts, and count what was taken.
my (@talkers, %talk);

sub talk_begin {
    my ($channel, $rate) = @_;
    %talk = (channel => $channel, rate => $rate, sent => 0, begun => time,
             taken => {}, refused => 0);
    @talkers = map { $_->ws('/ws', timeout => 20) } @hosts;
    $_->recv for @talkers;
    return;
}

# Sends what is due by now; every message has a number of its own.
sub talk {
    my ($end) = @_;
    my $due = $talk{rate} * (time - $talk{begun});

    while ($talk{sent} < $due && (!$end || $talk{sent} < $end)) {
        my $n = ++$talk{sent};
        my $ws = $talkers[$n % @talkers];
        $ws->queue(Wscast::WebSocket::frame_bytes(1, qq({"type":"publish",)
            . qq("id":$n,"channel":"$talk{channel}","data":$n})));
    }

    return;
}

sub answer {
    my ($frame) = @_;
    my $m = parse($frame->{data});
    if ($m->{type} eq 'published') {
        $talk{taken}{ $m->{id} } = $m->{offset};
    } elsif ($m->{type} eq 'error') {
        $talk{refused}++;
    }
    return;
}

sub run_for {
    my ($clients, $seconds, $step) = @_;
    my $end = time + $seconds;

    while (time < $end) {
        $step->() if $step;
        my $turn = time + 0.02;
        gather([@talkers, map { $_->{ws} } @$clients],
            message => sub { $_[0]{member} ? hear(@_) : answer($_[1]) },
            until => sub { talk(); time > $turn });
    }

    return;
}

# Until every publish was answered and every client has got the last offset.
sub finish {
    my ($clients) = @_;
    gather([@talkers, map { $_->{ws} } @$clients], timeout => 15,
        message => sub { $_[0]{member} ? hear(@_) : answer($_[1]) },
        until => sub {
            return 0 if keys(%{ $talk{taken} }) + $talk{refused} < $talk{sent};
            my ($top) = sort { $b <=> $a } values %{ $talk{taken} };
            return !grep { !defined $_->{offset} || $_->{offset} < $top }
                @$clients;
        });
    $_->drop for @talkers;
    return;
}

sub all_have_all {
    my ($clients, $name, %option) = @_;
    my %order = reverse %{ $talk{taken} };
    my @want = map { $order{$_} } sort { $a <=> $b } keys %order;
    my $wrong = grep { $_->{wrong} || $_->{broken} } @$clients;
    my %taken = %{ $talk{taken} };

    # what was refused for a lost answer may have been taken all the same
    my $bad = grep {
        my @got = grep { $taken{$_} || !$talk{refused} } @{ $_->{got} };
        "@got" ne "@want";
    } @$clients;

    is($wrong, 0, "$name: nobody found a gap or was told of one");
    is($bad, 0, "$name: every client has every message, once, in order")
        || diag(scalar(@want) . ' taken, got: '
            . join ' ', map { scalar @{ $_->{got} } } @$clients);
    return;
}

# -- 50 clients that drop at random, under 500 messages a second ---------

{
    my @clients = map { member($hosts[$_ % 2], 'room:drop') } 1 .. 50;
    begin($_) for @clients;
    ok(all_subscribed(\@clients), 'fifty clients are there');
    talk_begin('room:drop', 500);

    my $seconds = asan() ? 10 : 30;

    my ($begun, $drops) = (time, 0);

    run_for(\@clients, $seconds, sub {
        while ($drops < 15 * (time - $begun)) {
            my @there = grep { $_->{subscribed} } @clients or last;
            my $c = $there[rand @there];
            $c->{ws}->drop(reset => rand() < 0.5);
            $c->{host} = $hosts[rand 2];
            $drops++;
            begin($c);
        }
    });
    finish(\@clients);

    cmp_ok($drops, '>', asan() ? 50 : 200, "$drops connections were dropped");
    cmp_ok(scalar keys %{ $talk{taken} }, '>', $seconds * 300,
        'many messages were published');
    is($talk{refused}, 0, 'none was refused');
    all_have_all(\@clients, 'dropping clients');
    $_->{ws}->drop for @clients;

    my $sum = 0;
    $sum += $_->hub->{recoveries_total} for @hosts;
    cmp_ok($sum, '>=', $drops * 0.9, 'recoveries are counted');
}

# -- subscriptions that are cut under load -------------------------------

{
    my @clients = map { member($hosts[$_ % 2], 'room:cut') } 1 .. 10;
    begin($_) for @clients;
    ok(all_subscribed(\@clients), 'ten clients are there');
    talk_begin('room:cut', 300);

    my ($next, $cuts) = (time, 0);
    run_for(\@clients, 5, sub {
        return if time < $next;
        $next = time + 0.5;
        my @ids = $redis->command('CLIENT', 'LIST', 'TYPE', 'pubsub')
            =~ /^id=(\d+)/mg;
        return if !@ids;
        $redis->command('CLIENT', 'KILL', 'ID', $ids[rand @ids]);
        $cuts++;
    });
    finish(\@clients);

    cmp_ok($cuts, '>=', 8, 'the subscriptions were cut again and again');
    cmp_ok(scalar keys %{ $talk{taken} }, '>', 100, 'messages were published');
    all_have_all(\@clients, 'subscriptions cut');
    is((grep { $_->{ws}{eof} } @clients), 0, '... on the same connections');
    cmp_ok($one->hub->{caught_up_total} + $two->hub->{caught_up_total}, '>',
        0, '... with what was fetched from the stream');
    $_->{ws}->drop for @clients;
}

# -- scripts that Redis has forgotten ------------------------------------

{
    my @clients = map { member($hosts[$_ % 2], 'room:flush') } 1 .. 4;
    begin($_) for @clients;
    ok(all_subscribed(\@clients), 'four clients are there');
    talk_begin('room:flush', 500);

    my $next = time;
    run_for(\@clients, 2, sub {
        return if time < $next;
        $next = time + 0.2;
        $redis->command('SCRIPT', 'FLUSH');
    });
    finish(\@clients);

    is($talk{refused}, 0, 'without its scripts Redis takes everything');
    all_have_all(\@clients, 'scripts forgotten');

    my %last;
    my $order = 1;
    for my $n (@{ $clients[0]{got} }) {
        my $by = $n % 2;
        $order = 0 if ($last{$by} // 0) > $n;
        $last{$by} = $n;
    }
    ok($order, '... and each publisher\'s in its order');
    $_->{ws}->drop for @clients;
}

# -- a leader that is killed ---------------------------------------------

{
    # clients of the worker that is killed come back; the others notice nothing
    my @clients = map { member($one, 'room:leader') } 1 .. 12;
    begin($_) for @clients;
    ok(all_subscribed(\@clients), 'twelve clients are there');
    talk_begin('room:leader', 200);
    $_->drop for @talkers;
    @talkers = ($two->ws('/ws'));
    $talkers[0]->recv;
    $one->expect_log(qr/exited on signal 9/);

    my ($killed, $begun) = (0, time);
    run_for(\@clients, 4, sub {
        if ($killed < 2 && time > $begun + 0.5 + 1.5 * $killed) {
            kill 'KILL', ($one->workers)[$killed];
            $killed++;
        }
        for my $c (@clients) {
            next if !$c->{ws}{eof};
            my $ok = eval { begin($c); 1 };
            $c->{ws} = { eof => 1 } if !$ok;
        }
    });
    finish(\@clients);
    is($talk{refused}, 0, 'the other host publishes on');
    all_have_all(\@clients, 'leader killed');
    $_->{ws}->drop for @clients;
}

# -- reloads under load --------------------------------------------------

{
    my @clients = map { member($one, 'room:reload') } 1 .. 12;
    begin($_) for @clients;
    ok(all_subscribed(\@clients), 'twelve clients are there');
    talk_begin('room:reload', 200);
    $_->drop for @talkers;
    @talkers = ($two->ws('/ws'));
    $talkers[0]->recv;

    my ($reloads, $moved, $begun) = (0, 0, time);
    run_for(\@clients, 6, sub {
        if ($reloads < 2 && time > $begun + 0.5 + 2 * $reloads) {
            $one->signal('HUP');
            $reloads++;
        }
        for my $c (grep { $_->{ws}{eof} } @clients) {
            $moved++;
            begin($c);
        }
    });
    finish(\@clients);
    cmp_ok($moved, '>=', 12, 'after reloads clients have moved');
    is($talk{refused}, 0, '... and nothing was refused');
    all_have_all(\@clients, 'reloads');
    $_->{ws}->drop for @clients;
}

# -- a short history: what is gone is told -------------------------------

{
    my $c = member($one, 'small:1');
    begin($c);
    ok(all_subscribed([$c]), 'a client is there');
    my $post = sub { $two->http('POST', '/api/channels/small:1',
        body => $_[0])->{status} };
    is($post->(1), 200, 'a message is published');
    listen_to([$c], sub { @{ $c->{got} } == 1 });
    is($c->{offset}, 1, '... and got');

    $c->{ws}->drop;
    $post->($_) for 2 .. 4;
    begin($c);
    listen_to([$c], sub { @{ $c->{got} } == 4 });
    is("@{ $c->{got} } $c->{broken} $c->{wrong}", '1 2 3 4 0 0',
        'three messages are recovered');

    $c->{ws}->drop;
    $post->($_) for 5 .. 8;
    begin($c);
    all_subscribed([$c]);
    is("$c->{broken} $c->{offset}", '1 8', 'four are not, and that is told');
    $post->(9);
    listen_to([$c], sub { @{ $c->{got} } == 5 });
    is("$c->{got}[-1] $c->{wrong}", '9 0', '... and it goes on from there');
    $c->{ws}->drop;
}

# -- Redis restarts with its data ----------------------------------------

sub whole {
    my ($clients, $why, %option) = @_;
    my $n = 0;

    # a host that is late learns only where the channel is
    ok(wait_until(sub {
        my $said = ++$n . 'x';
        my $r = $two->http('POST', "/api/channels/$clients->[0]{channel}",
            body => $said);
        $r->{status} == 200 && listen_to($clients, sub {
            !grep { ($_->{got}[-1] // '') ne $said } @$clients }, 1);
    }, 15), "$why: what is published is heard by all")
        || diag(explain($clients->[0]{got}));

    return;
}

{
    my @clients = map { member($hosts[$_ % 2], 'room:restart') } 1 .. 6;
    begin($_) for @clients;
    ok(all_subscribed(\@clients), 'six clients are there');
    whole(\@clients, 'before');

    $redis->kill9;
    sleep 0.5;
    $redis->start;
    whole(\@clients, 'restarted with its data');
    is((grep { $_->{broken} || $_->{wrong} } @clients), 0,
        '... and nothing was missed');

    # without a connection being lost
    $redis->command('FLUSHALL');
    whole(\@clients, 'emptied');
    is((grep { $_->{broken} != 1 } @clients), 0, '... and told to all, once')
        || diag(join ' ', map { $_->{broken} } @clients);
    is((grep { $_->{wrong} } @clients), 0, '... before the first message');

    # and with
    $redis->command('FLUSHALL');
    $redis->kill9;
    unlink glob "$redis->{dir}/appendonlydir/*";
    $redis->start;
    whole(\@clients, 'restarted without its data');
    is((grep { $_->{broken} != 2 } @clients), 0, '... and told to all, once')
        || diag(join ' ', map { $_->{broken} } @clients);
    is((grep { $_->{wrong} } @clients), 0, '... before the first message');

    my $c = $clients[0];
    $c->{ws}->drop;
    $c->{epoch} = '0123456789abcdef';
    begin($c);
    all_subscribed([$c]);
    is($c->{broken}, 3, 'another epoch is not recovered');
    $_->{ws}->drop for @clients;
}

done_testing();
