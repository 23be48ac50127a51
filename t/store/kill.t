# Workers are killed under load, again and again: the clients of the others
# notice nothing, those of the killed come back and miss nothing, what was
# answered was published, and who is there is there; without Redis and with it.

use lib 't/lib';
use Wscast;
use Wscast::Readers;
use Time::HiRes qw(sleep time);

my $CONF = <<'CONF';
wscast_hub chat {
    zone     32m;
    %%ENGINE%%
    channel  room:*  { history 20000 10m; presence on grace=5s; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /ws {
        wscast              chat;
        wscast_allow        all "*";
        wscast_user         $arg_user;
        wscast_welcome      $pid;
        wscast_send_buffer  16m;
    }

    location /blind {
        wscast              chat;
        wscast_allow        subscribe publish history "*";
        wscast_user         $arg_user;
        wscast_welcome      $pid;
        wscast_send_buffer  16m;
    }

    location /api/ { wscast_api chat; }
}
CONF

srand 9;

{
    my $conf = $CONF =~ s/%%ENGINE%%//r;
    my $host = host($conf, workers => 4);
    subtest 'one host' => sub { examine($host) };
}

{
    my $redis = redis();
    my $conf  = $CONF =~ s/%%ENGINE%%/redis redis:\/\/127.0.0.1:%%REDIS_PORT%%;
        redis_reconnect 50ms 300ms;/r;
    my @hosts = map {
        host($conf, redis => $redis, workers => 3, name => "host $_")
    } 'one', 'two';
    ok(wait_until(sub { $_->has_redis }), 'Redis is found') for @hosts;
    subtest 'two hosts with Redis' => sub { examine(@hosts) };
}

done_testing();


# What a client is answered; a worker that has just begun may have no
# connection to Redis yet, and says so.
sub ask {
    my ($host, %message) = @_;
    my $m;

    wait_until(sub {
        my $ws = $host->ws('/ws?user=asker');
        $ws->recv;
        $m = $ws->ask(\%message);
        $ws->drop;
        return $m->{type} ne 'error' || $m->{code} != 503;
    }) or die "$message{type}: $m->{reason}\n";

    return $m;
}

# All members of a channel, over all pages.
sub members {
    my ($host) = @_;
    my ($after, @all);

    do {
        my $m = ask($host, type => 'presence', channel => 'room:kill',
            limit => 7, defined $after ? (after => $after) : ());
        push @all, map { $_->{client} } @{ $m->{members} };
        $after = $m->{next};
    } while (defined $after);

    return sort @all;
}

sub examine {
    my @hosts = @_;

    $_->expect_log(qr/exited on signal 9/) for @hosts;

    # some have names, some have not, and every third sees who comes
    my $readers = Wscast::Readers->new(hosts => \@hosts, count => 40,
        channel => 'room:kill',
        path => sub {
            my ($n) = @_;
            return ($n % 3 ? '/blind' : '/ws') . ($n % 2 ? "?user=u$n" : '');
        },
        event => sub {
            my ($c, $m) = @_;

            # a leader was killed: but nobody stays away for his grace, so
            # that there is no join or leave to be missed

            return if $m->{type} eq 'presence' && $m->{stale};

            my $joins = $m->{type} eq 'join' ? 1 : 0;
            push @{ $c->{odd} }, "$m->{type} $m->{client}"
                if $joins == ($c->{others}{ $m->{client} } // 0);
            $c->{others}{ $m->{client} } = $joins;
        });

    $readers->begin;
    my @first = members($hosts[0]);
    is("@first",
        join(' ', sort map { $_->{member} } $readers->readers),
        'all are members');

    # who has seen the last one come has seen all
    my @seers = grep { $_->{n} % 3 == 0 } $readers->readers;
    my $last  = $hosts[0]->ws('/ws');
    my $id    = $last->recv_json->{client};
    $last->ask({ type => $_, channel => 'room:kill' })
        for 'subscribe', 'unsubscribe';
    $last->drop;
    ok($readers->listen(sub {
        !grep { ($_->{others}{$id} // 1) != 0 } @seers
    }), 'some are told who comes and goes');
    @$_{qw(others odd)} = ({ map { $_ => 1 } @first }, [])
        for $readers->readers;

    # one worker of each host is spared, and so are its clients
    my %spared;
    for my $host (@hosts) {
        my ($c) = grep { $_->{host} == $host } @seers;
        $spared{ $c->{greeting} } = 1;
    }
    my @spared = grep { $spared{ $_->{greeting} } } $readers->readers;
    @seers = grep { $spared{ $_->{greeting} } } @seers;
    cmp_ok(scalar @spared, '>', 2, 'some have workers that will live');

    $readers->talk(rate => 400, voices => 6, api => 1, keys => 1);
    $readers->run(0.5);

    my ($killed, $next) = (0, time);
    my $kill = sub {
        return if $killed == 10 || time < $next;
        my $host = $hosts[$killed % @hosts];
        my @victims = grep { !$spared{$_} } $host->workers;
        return if !@victims;

        # every second one has more clients than others, so that many are cut
        my %has;
        $has{ $_->{greeting} }++ for $readers->readers;
        @victims = sort { ($has{$b} // 0) <=> ($has{$a} // 0) } @victims;
        kill 'KILL', $victims[$killed / @hosts % 2 ? rand @victims : 0];
        $killed++;
        $next = time + (0.2 + rand 1.4) * (asan() ? 2 : 1);
    };
    my $end = time + scale(60);
    $readers->run(1, $kill) while $killed < 10 && time < $end;
    is($killed, 10, 'ten workers were killed');
    $readers->run(1);
    ok($readers->finish(60), 'at the end all have caught up')
        || diag($readers->{reason});

    # -- messages --------------------------------------------------------

    my @taken = $readers->taken;
    is(scalar @taken, $readers->{talk}{sent},
        'every publish was answered in the end');
    $readers->whole('killed');
    cmp_ok($readers->sum('ends'), '>', 20, 'clients have lost connections')
        || diag($readers->sum('ends'));
    is((grep { $_->{ends} } @spared), 0,
        'the clients of other workers kept theirs');

    for my $host (@hosts) {
        my ($before, @read);

        do {
            my $m = ask($host, type => 'history', channel => 'room:kill',
                limit => 1000, $before ? (before => $before) : ());
            unshift @read, @{ $m->{messages} };
            $before = $m->{more} ? $read[0]{offset} : undef;
        } while ($before);

        is(join(' ', map { $_->{data} } @read), join(' ', @taken),
            "history has all of it on $host->{name}");
        is(join(' ', map { $_->{offset} } @read), join(' ', 1 .. @read),
            '... without a gap');
    }

    # -- members ---------------------------------------------------------

    my $want = join ' ', sort map { $_->{member} } $readers->readers;
    my $have;

    for my $host (@hosts) {
        ok(wait_until(sub {
            $readers->run(0.1);
            $have = join ' ', members($host);
            return $have eq $want;
        }, 15), "who is there is there on $host->{name}")
            || diag("members $have\nclients $want");
    }

    # those who were there all the time and may see it have been told so
    for my $c (@seers) {
        is("@{ $c->{odd} }", '', 'nobody came twice, or left twice');
        is(join(' ', sort grep { $c->{others}{$_} } keys %{ $c->{others} }),
            $want, '... and who came and went makes who is there');
    }

    is(ask($hosts[-1], type => 'presence', channel => 'room:kill')->{total},
        40, 'none is counted twice');
    $_->{ws}->drop for $readers->readers;
    ok(wait_until(sub {
        ask($hosts[0], type => 'presence', channel => 'room:kill')->{total}
            == 0;
    }, 20), 'when all have gone nobody is there');

    return;
}
