# The one worker of a host that is subscribed in Redis stands still without
# dying, or its heir does, or another one, or all of them: the others go on
# within seconds, and when it wakes nobody gets anything twice.

use lib 't/lib';
use Wscast;
use Wscast::Readers;
use Fcntl qw(O_RDWR O_NONBLOCK);
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep time);

my $redis = redis();

my $CONF = <<'CONF';
wscast_hub chat {
    zone           16m;
    redis          redis://127.0.0.1:%%REDIS_PORT%%;
    redis_timeout  1s 30s;

    channel  room:*  { history 20000 10m; presence on grace=2s; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /ws {
        wscast              chat;
        wscast_allow        all "*";
        wscast_welcome      $pid;
        wscast_send_buffer  16m;
        wscast_drain        20s;
        wscast_ping         60s;
    }
}

server {
    listen 127.0.0.1:%%PORT_slow%% reuseport;

    access_log         %%PREFIX%%/slow;
    keepalive_timeout  60s;

    location / { return 200 $pid; }
}
CONF

# -- a worker that blocks in another module ------------------------------

# Its access log is a pipe that nobody reads.

sub new_host {
    my ($name) = @_;
    my $host = host($CONF, redis => $redis, workers => 2, name => $name,
        stopped => 1);
    POSIX::mkfifo($host->dir . '/slow', 0600) or die "mkfifo: $!\n";
    sysopen my $pipe, $host->dir . '/slow', O_RDWR | O_NONBLOCK
        or die "$name: $!\n";
    $host->{pipe} = $pipe;
    return $host->start;
}

sub block_worker {
    my ($host, $pid) = @_;
    my ($asked, $answers, $logged) = (undef, 0, 0);

    for (1 .. 100) {
        $asked = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $host->port('PORT_slow'), Timeout => 5);
        syswrite $asked, "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        sysread $asked, my $answer, 4096;
        $answers++;
        last if $answer =~ /^\Q$pid\E\z/m;
        $asked = undef;
    }

    return 0 if !$asked;

    # a worker logs behind its answer: were there no room then, the other one
    # would be blocked, too
    wait_until(sub {
        while (sysread $host->{pipe}, my $text, 65536) {
            $logged += $text =~ tr/\n//;
        }
        return $logged >= $answers;
    }) or return 0;

    # all that was answered is logged; now there is no room for more
    1 while syswrite $host->{pipe}, 'x' x 4096;
    1 while syswrite $host->{pipe}, 'x';
    syswrite $asked, "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    return 1;
}

sub unblock_worker {
    my ($host) = @_;
    1 while sysread $host->{pipe}, my $text, 65536;
    return;
}

my ($one, $two) = map { new_host("host $_") } 'one', 'two';

ok(wait_until(sub { $_->hub->{redis_up} }), 'Redis is found') for $one, $two;

# -- who listens without history -----------------------------------------

my $said = 0;

# Clients of host one, so many that each of its workers has some.
sub listeners {
    my ($channel) = @_;
    my (@ws, %pids);

    while (@ws < 8 || keys %pids < 2) {
        my $ws = $one->ws('/ws', timeout => 30);
        $ws->{pid} = $ws->recv_json->{msg};
        $ws->{heard} = [];
        $pids{ $ws->{pid} } = 1;
        push @ws, $ws;
        $ws->ask({ type => 'subscribe', channel => $channel });
    }

    return @ws;
}

# What has come until now; who is cut off stays as it is.
sub hear {
    my ($seconds, @ws) = @_;
    my $end = time + $seconds;

    gather(\@ws, timeout => 30, until => sub { time > $end },
        message => sub {
            my ($ws, $m) = @_;
            push @{ $ws->{heard} }, 0 + $1
                if $m->{data} =~ /^\{"type":"message",.*"data":(\d+)/;
        });

    return;
}

# Redis is told to publish, and everybody listens, until the condition holds.
sub until_heard {
    my ($readers, $channel, $listeners, $condition, $seconds) = @_;
    return wait_until(sub {
        $redis->command('PUBLISH', "wscast:chat:$channel", ++$said);
        $readers->run(0.05) if $readers;
        hear(0.01, @$listeners);
        return $condition->();
    }, $seconds // 20);
}

sub orderly {
    my ($name, @ws) = @_;
    my $wrong = 0;

    for my $ws (@ws) {
        my $l = $ws->{heard};
        $wrong++ if grep { $l->[$_] <= $l->[$_ - 1] } 1 .. $#$l;
    }

    return is($wrong, 0, $name);
}

sub of   { my ($pid, @ws) = @_; return grep { $_->{pid} == $pid } @ws }
sub rest { my ($pid, @ws) = @_; return grep { $_->{pid} != $pid } @ws }

sub members {
    my ($ws) = @_;
    return $ws->ask({ type => 'presence', channel => 'room:hang' })
        ->{members} // [];
}

# -- the leader stands still ---------------------------------------------

sub readers {
    my $readers = Wscast::Readers->new(hosts => [$one, $two], count => 16,
        channel => 'room:hang');
    $readers->begin;
    $readers->talk(rate => 100, voices => 2, keys => 1, hosts => [$two]);
    return $readers;
}

my $readers = readers();
my @plain   = listeners('plain:1');

{
    my $leader = $one->leader;
    my @own    = of($leader, @plain);
    my @others = rest($leader, @plain);
    my @alone  = listeners('plain:alone');
    $_->drop for rest($leader, @alone);
    @alone = of($leader, @alone);

    ok($leader, 'one worker says that it is subscribed');
    until_heard($readers, 'plain:1', \@plain, sub {
        !grep { !@{ $_->{heard} } } @plain });

    ok(block_worker($one, $leader), 'it blocks');
    my $begun = time;
    my $last  = $said + 10;
    ok(until_heard($readers, 'plain:1', \@others, sub {
        $said > $last && !grep { $_->{heard}[-1] <= $last } @others
    }), 'the clients of the other one hear again')
        || diag(join ' ', $said, map { $_->{heard}[-1] } @others);
    my $took = time - $begun;
    cmp_ok($took, '>', 4, '... not too early');
    cmp_ok($took, '<', scale(10), '... but within seconds') || diag($took);
    note(sprintf 'deaf for %.1f s', $took);

    # what has a history is without a hole, while the old one still sleeps
    my @awake = grep { $_->{host} == $two
        || ($_->{greeting} // 0) != $leader } $readers->readers;
    ok($readers->listen(sub {
        my ($top) = sort { $b <=> $a } map { $_->{offset} // 0 } @awake;
        return !grep { $top - ($_->{offset} // 0) > 50 } @awake;
    }), '... and with history they have caught up');
    is((grep { $_->{wrong} || $_->{broken} } @awake), 0, '... without a hole');
    is($one->hub->{redis_leaders_deposed_total}, 1, 'which is counted');
    cmp_ok($one->hub->{gaps_total}, '>=', 1, '... as is the gap of the others');
    isnt($one->leader, $leader, 'another one is subscribed now');

    # it wakes with all that Redis has sent it, and reads that first
    for (1 .. 300) {
        $redis->command('PUBLISH', 'wscast:chat:plain:1', ++$said);
    }
    unblock_worker($one);
    my $now = $said;
    ok(until_heard($readers, 'plain:1', \@plain, sub {
        !grep { $_->{heard}[-1] <= $now } @plain
    }), 'when it wakes its own clients hear, too');
    ok(wait_until(sub { $one->log_text
        =~ /\s$leader#\d+: wscast: this worker stood still/ }),
        '... and it says that it leads no more');
    hear(0.5, @plain);
    orderly('nobody got a message twice, or out of order', @plain);
    cmp_ok(scalar(map { @{ $_->{heard} } } @own), '>', 0, '... of many');

    $said++;
    ok(until_heard(undef, 'plain:alone', \@alone, sub {
        !grep { !@{ $_->{heard} } } @alone
    }), 'what only its own listen to is subscribed anew');
    orderly('... in order', @alone);
    $_->drop for @alone;

    ok(wait_until(sub {
        $redis->command('PUBSUB', 'NUMSUB', 'wscast:chat:plain:1')->[1] == 1
    }), 'this host is subscribed once');
    $_->drop for @plain;
    ok($readers->finish(30), 'at the end all have caught up');
    is($readers->sum('ends'), 0, 'nobody was cut off');
    $readers->whole('the leader stood still');

    my ($probe) = $readers->readers;
    my %member = map { $_->{client} => 1 } @{ members($probe->{ws}) };
    is(join(' ', sort keys %member),
        join(' ', sort map { $_->{member} } $readers->readers),
        'and all of them are members');
}

# -- during a reload -----------------------------------------------------

{
    my $leader = $one->leader;
    my $gaps   = $one->hub->{gaps_total};
    my @listen = listeners('plain:2');

    $readers->talk(rate => 100, voices => 2, keys => 1, hosts => [$two]);
    until_heard($readers, 'plain:2', \@listen, sub {
        !grep { !@{ $_->{heard} } } @listen });
    ok($one->stop_worker($leader), 'it is stopped');
    $one->signal('HUP');
    ok(wait_until(sub {
        my @now = $one->workers;
        return 1 < grep { $_ != $leader } @now;
    }, 15), '... and nginx reloads');

    my @others = rest($leader, @listen);
    my $last   = $said + 10;
    ok(until_heard($readers, 'plain:2', \@others, sub {
        my @left = grep { !$_->{eof} && !$_->{close} } @others;
        return $said > $last && !grep { $_->{heard}[-1] <= $last } @left;
    }, 30), 'those of the other old worker hear again');
    ok((grep { $_ == $one->leader } $one->workers),
        'a new worker has taken its place');
    cmp_ok($one->hub->{redis_leaders_deposed_total}, '==', 2, '... counted');

    my @new = listeners('plain:2');
    kill 'CONT', $leader;
    my $now = $said;
    ok(until_heard($readers, 'plain:2', [@listen, @new], sub {
        my @left = grep { !$_->{eof} && !$_->{close} } @listen, @new;
        return !grep { ($_->{heard}[-1] // 0) <= $now } @left;
    }), 'when it wakes all hear, until they are asked to move');
    orderly('nobody got a message twice, or out of order', @listen, @new);
    $_->drop for @listen, @new;
    ok(wait_until(sub {
        $readers->run(0.1);
        return !$one->workers(old => 1);
    }, 40), 'the old workers end');
    $readers->finish(30);
    $readers->whole('the leader stood still in a reload');
    cmp_ok($one->hub->{gaps_total}, '>', $gaps, 'the gap is counted');
}

# -- the heir, or who else is new, stands still --------------------------

{
    my $hub    = $one->hub;
    my @listen = listeners('plain:3');
    my %old    = map { $_ => 1 } $one->workers;

    until_heard(undef, 'plain:3', \@listen, sub {
        !grep { !@{ $_->{heard} } } @listen });

    # without Redis the handover cannot go on; so it is certain to be there
    $redis->freeze;
    $one->signal('HUP');
    my @new;
    ok(wait_until(sub {
        @new = grep { !$old{$_} } $one->workers;
        return @new == 2 && $one->workers(old => 1) == 2;
    }, 15), 'nginx reloads while Redis is frozen');
    sleep 0.3;
    ok($one->stop_worker($new[-1]), '... and the youngest worker is stopped');
    $redis->thaw;

    ok(until_heard(undef, 'plain:3', \@listen, sub {
        $one->leader == $new[0] }), 'then the other one takes over');
    my $now = $said;
    until_heard(undef, 'plain:3', \@listen, sub {
        my @left = grep { !$_->{eof} && !$_->{close} } @listen;
        return !grep { $_->{heard}[-1] <= $now } @left;
    });

    my $holes = 0;
    for my $ws (@listen) {
        my $l = $ws->{heard};
        $holes++ if grep { $l->[$_] != $l->[$_ - 1] + 1 } 1 .. $#$l;
    }
    is($holes, 0, '... and nobody has missed anything');
    is($one->hub->{gaps_total}, $hub->{gaps_total}, '... nor is it counted');
    is($one->hub->{redis_handovers_total}, $hub->{redis_handovers_total} + 1,
        '... but as a handover');
    kill 'CONT', $new[-1];
    $_->drop for @listen;
    ok(wait_until(sub { !$one->workers(old => 1) }, 40),
        'the old workers end');
}

# -- the whole host stands still -----------------------------------------

{
    my $hub    = $one->hub;
    my $leader = $one->leader;
    my @listen = listeners('plain:4');

    until_heard(undef, 'plain:4', \@listen, sub {
        !grep { !@{ $_->{heard} } } @listen });
    my @pids = $one->workers;
    $one->stop_worker($_) for @pids;
    sleep 8;
    kill 'CONT', $_ for grep { $_ != $leader } @pids;
    sleep 0.3;
    kill 'CONT', $leader;
    my $now = $said + 20;
    ok(until_heard(undef, 'plain:4', \@listen, sub {
        $said > $now && !grep { $_->{heard}[-1] <= $now } @listen
    }), 'a host that was suspended goes on');
    sleep 2;
    is($one->leader, $leader, '... with the leader that it had');
    is($one->hub->{redis_leaders_deposed_total},
        $hub->{redis_leaders_deposed_total}, '... whom nobody has deposed');
    orderly('... and its clients get all in order', @listen);
    $_->drop for @listen;
}

# -- one of the others stands still --------------------------------------

{
    my $leader = $one->leader;
    my ($pid)  = grep { $_ != $leader } $one->workers;
    my @listen = listeners('plain:5');

    until_heard(undef, 'plain:5', \@listen, sub {
        !grep { !@{ $_->{heard} } } @listen });
    my $first = $said;
    ok($one->stop_worker($pid), 'one that is not subscribed is stopped');
    my $end = time + 7;
    until_heard(undef, 'plain:5', [rest($pid, @listen)], sub { time > $end });
    kill 'CONT', $pid;
    my $now = $said;
    ok(until_heard(undef, 'plain:5', \@listen, sub {
        !grep { $_->{heard}[-1] <= $now } @listen
    }), 'when it wakes its clients hear');

    my $holes = 0;
    for my $ws (@listen) {
        my @l = grep { $_ >= $first } @{ $ws->{heard} };
        $holes++ if grep { $l[$_] != $l[$_ - 1] + 1 } 1 .. $#l;
    }
    is($holes, 0, '... all that they had not');
    is($one->leader, $leader, 'the leader is the same');
    $_->drop for @listen;
}

$_->{ws}->drop for $readers->readers;

done_testing();
