# Generations of workers: ten of them at once under load, other numbers of
# workers, hubs that come and go, a reload that fails, another zone, and all the
# ways to end.  Without Redis and with it, in one nginx.

use lib 't/lib';
use Wscast;
use Time::HiRes qw(sleep time);
use Wscast::Readers;

my $redis = redis();

sub conf {
    my (%option) = @_;
    my $drain = $option{drain} // '12s';
    my $zone  = $option{zone} // '16m';
    my $more  = $option{more} // '';

    return <<"CONF";
wscast_hub local {
    zone     $zone;
    channel  room:*  { history 20000 10m; presence on grace=2s; }
}

wscast_hub remote {
    zone     16m;
    redis    redis://127.0.0.1:%%REDIS_PORT%%;
    redis_timeout  5s 5s;
    channel  room:*  { history 20000 10m; presence on grace=2s; }
}

@{[ $more ? "wscast_hub more { zone 4m;
    redis redis://127.0.0.1:%%REDIS_PORT%%; }" : '' ]}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    wscast_allow        all "*";
    wscast_drain        $drain;
    wscast_send_buffer  16m;
    wscast_welcome      \$pid;

    location /local  { wscast local; }
    location /stay   { wscast local; wscast_drain 10m; wscast_ping off; }
    location /remote { wscast remote; }
    location /more   { @{[ $more ? 'wscast more;' : 'return 404;' ]} }

    $option{broken}
}
CONF
}

sub new_host {
    my ($name, %option) = @_;
    my $nginx = host(conf(broken => '', %option), redis => $redis,
        workers => 2, name => $name, main => $option{main});
    ok(wait_until(sub { $nginx->has_redis('remote') }),
        "$name finds Redis");
    return $nginx;
}

my $nginx = new_host('the host');

sub reload { return $nginx->reload(conf(broken => '', @_)) }

# Both hubs have a crowd, that talks all the time.
sub crowds {
    my ($name, $rate) = @_;
    my @crowds = map {
        Wscast::Readers->new(hosts => [$nginx], count => 12,
            channel => "room:$name", path => "/$_")
    } 'local', 'remote';

    $_->begin for @crowds;
    $_->talk(rate => $rate, voices => 3, keys => 1) for @crowds;

    return @crowds;
}

sub run_all {
    my ($seconds, @crowds) = @_;
    my $end = time + $seconds;
    do { $_->run(0.05) for @crowds } while time < $end;
    return;
}

sub all_whole {
    my ($name, @crowds) = @_;

    for my $crowd (@crowds) {
        my ($codes, $hub) = ({}, $crowd->{path});
        ok($crowd->finish(30), "$name, $hub: at the end all have caught up");
        $crowd->whole("$name, $hub");

        for my $r ($crowd->readers) {
            $codes->{$_} += $r->{codes}{$_} for keys %{ $r->{codes} };
        }

        is(join(' ', sort keys %$codes), '1001',
            "$name, $hub: nobody was cut off, all were asked");
        $_->{ws}->drop for $crowd->readers;
    }

    return;
}

# Seconds of the processor that processes have used.
sub used {
    my $sum = 0;

    for my $pid (@_) {
        open my $in, '<', "/proc/$pid/stat" or next;
        my @field = split ' ', readline($in) =~ s/^.*\) //r;
        $sum += $field[11] + $field[12];
    }

    return $sum / 100;
}

sub links {
    my @lines = split /\n/, $redis->command('CLIENT', 'LIST');
    return @lines - 1;
}

sub alone {
    return wait_until(sub {
        !$nginx->workers(old => 1)
            && !grep { $nginx->hub($_)->{workers} != $nginx->{workers} }
                'local', 'remote';
    }, 20);
}

# -- ten reloads within one drain ----------------------------------------

{
    my @crowds = crowds('ten', asan() ? 40 : 120);
    my ($begun, $oldest, @silent) = (time, 0);

    for my $n (1 .. 10) {
        # each worker of every generation has a client that does not leave it
        my %stays;

        while (keys %stays < 2) {
            my $ws = $nginx->ws('/stay');
            $stays{ $ws->recv_json->{msg} } = 1;
            push @silent, $ws;
        }

        # a reload that comes before the one before has begun is no other one
        my %now = map { $_ => 1 } $nginx->workers;
        $nginx->signal('HUP');
        wait_until(sub {
            run_all(0.1, @crowds);
            return !grep { $now{$_} } $nginx->workers;
        });
        my $old = $nginx->workers(old => 1);
        $oldest = $old if $old > $oldest;
    }

    note(sprintf 'ten reloads in %.1f s', time - $begun);
    cmp_ok($oldest, '>=', 18, 'generations pile up') || diag($oldest);

    # when somebody is asked is left to chance, within the drain
    ok(wait_until(sub {
        run_all(0.2, @crowds);
        return !grep { $_->sum('ends') < 3 } @crowds;
    }, 20), 'clients of both hubs are asked to move');
    $_->drop for @silent;
    all_whole('ten reloads', @crowds);
    ok(alone(), 'all old workers end');
    is($nginx->hub('remote')->{gaps_total}, 0, 'no gap is counted');
    ok(wait_until(sub { links() == 3 }),
        'two workers have three connections to Redis') || diag(links());
}

# -- workers without work ------------------------------------------------

{
    my @ws = map { $nginx->ws("/$_") } ('local', 'remote') x 5;
    $_->recv for @ws;
    my @old = $nginx->workers;
    reload();
    my $used = used(@old, $nginx->workers, $nginx->pid);
    sleep 2;
    $used = used(@old, $nginx->workers, $nginx->pid) - $used;
    cmp_ok($used, '<', 0.5, 'who waits for the end of the drain does nothing');
    $_->drop for @ws;
    ok(alone(), '... and ends when its clients have gone');
}

# -- other numbers of workers --------------------------------------------

{
    reload(drain => '1s');
    my @crowds = crowds('number', asan() ? 40 : 120);
    run_all(0.5, @crowds);

    for my $n (4, 1, 3, 2) {
        $nginx->{workers} = $n;
        $nginx->configure(conf(broken => '', drain => '1s'));
        $nginx->signal('HUP');
        ok(wait_until(sub {
            run_all(0.1, @crowds);
            return $nginx->workers == $n && !$nginx->workers(old => 1)
                && $nginx->hub('remote')->{redis_links} == $n + 1;
        }, 15), "there are $n workers");
        is($nginx->hub('local')->{workers}, $n, '... and no others');
    }

    all_whole('other numbers of workers', @crowds);
    is($nginx->hub('remote')->{gaps_total}, 0, 'no gap is counted');
    ok(alone(), 'all old workers end');
}

# -- a hub comes and goes ------------------------------------------------

{
    my @crowds = crowds('hubs', asan() ? 40 : 120);

    is($nginx->http('GET', '/more')->{status}, 404, 'a hub is not there');
    reload(drain => '1s', more => 1);
    ok(wait_until(sub {
        run_all(0.1, @crowds);
        return $nginx->hub('more')->{redis_up};
    }), 'it is there');

    my @ws = map { $nginx->ws('/more') } 1 .. 4;
    $_->recv for @ws;
    $_->ask({ type => 'subscribe', channel => 'c' }) for @ws;
    $redis->command('PUBLISH', 'wscast:more:c', 'hello');
    is((grep { $_->recv_json->{data} ne 'hello' } @ws), 0, '... and works');

    reload(drain => '1s');
    is((grep { ($_->wait_close->{code} // 0) != 1001 } @ws), 0,
        'when it goes its clients are asked to');
    ok(wait_until(sub {
        run_all(0.1, @crowds);
        return !$nginx->workers(old => 1);
    }), 'the old workers end');
    ok(wait_until(sub {
        $redis->command('PUBSUB', 'NUMSUB', 'wscast:more:c')->[1] == 0
    }), 'nothing of it is left in Redis');
    ok(wait_until(sub { links() == 3 }), '... and no connection')
        || diag(links());
    all_whole('another hub', @crowds);
}

# -- a reload that fails -------------------------------------------------

{
    my @pids = $nginx->workers;
    my @ws   = map { $nginx->ws("/$_") } 'local', 'remote';
    my $log  = length $nginx->log_text;

    $_->recv for @ws;
    $nginx->expect_log(qr/\[emerg\] .* \[2\] in|no such file|No such file/);
    $nginx->configure(conf(more => 1, zone => '8m',
        broken => 'include nowhere.conf;'));
    $nginx->signal('HUP');
    ok(wait_until(sub { substr($nginx->log_text, $log) =~ /nowhere/ }),
        'a reload fails');
    is(join(' ', $nginx->workers), "@pids", 'the workers stay');
    is((grep { $_->ask({ type => 'ping' })->{type} ne 'pong' } @ws), 0,
        '... and their clients');
    is(join(' ', sort keys %{ $nginx->status->{hubs} }), 'local remote',
        'there is no other hub');
    is(links(), 3, 'and no other connection to Redis');
    $_->drop for @ws;
}

# -- another zone --------------------------------------------------------

{
    my @ws = map { $nginx->ws('/local') } 1 .. 6;
    $_->recv for @ws;
    my $first = $ws[0]->ask({ type => 'publish', channel => 'room:zone',
        data => 1 });
    my $since = { epoch => $first->{epoch}, offset => $first->{offset} };

    my %before = map { $_ => 1 } $nginx->workers;
    reload(drain => '2s', zone => '8m');
    is((grep { $before{$_} } $nginx->workers), 0, 'the zone has another size');

    my $back = $nginx->ws('/local');
    $back->recv;
    my $m = $back->ask({ type => 'subscribe', channel => 'room:zone',
        since => $since });
    ok($m->{type} eq 'subscribed' && !$m->{recovered},
        'who resumes is told that history is gone');
    isnt($m->{epoch}, $first->{epoch}, '... by another epoch');
    is((grep { ($_->wait_close->{code} // 0) != 1001 } @ws), 0,
        'the others are asked to move');
    is($nginx->hub('local')->{connections}, 1,
        'the new zone counts its own clients');
    $back->drop;
    ok(alone(), 'the old workers end');

    my @told = $nginx->log_text =~ /\[warn\] .*wscast: (the zone of .*)/g;
    is("@told", 'the zone of hub "local" has 8388608 bytes now, not 16777216: '
        . 'it begins empty, and workers of before do not share it',
        'one line tells it, of the one hub that it is true of');
    reload(drain => '2s', zone => '8m');
    is((() = $nginx->log_text =~ /wscast: the zone of/g), 1,
        '... and of a reload without such a change there is none');
}

# -- nginx's own patience ------------------------------------------------

{
    # it reaches neither clients nor what the workers say to each other
    my $short = new_host('a host with little patience', drain => '9s',
        main => 'worker_shutdown_timeout 1s;');
    my @ws = map { $short->ws("/$_") } ('local', 'remote') x 5;
    $_->recv for @ws;
    $_->ask({ type => 'subscribe', channel => 'room:1' }) for @ws;

    my $begun = time;
    $short->reload;
    sleep 1.5;
    my @left = grep {
        $_->_read;
        !$_->{eof} && $_->{in} !~ /"disconnect"/;
    } @ws;
    cmp_ok(scalar @left, '>', 0,
        'worker_shutdown_timeout does not shorten the drain');

    my $speaker = $short->ws('/remote');
    $speaker->recv;
    $speaker->ask({ type => 'publish', channel => 'room:1', data => 'late' });
    my @deaf = grep {
        my $m = $_->recv_json;
        $m = $_->recv_json while $m && $m->{type} =~ /^(?:join|leave)$/;
        $m->{type} ne 'disconnect' && ($m->{data} // '') ne 'late';
    } grep { $_->{path} eq '/remote' } @left;
    is(scalar @deaf, 0, '... nor is anybody deaf until its end');

    is((grep { ($_->wait_close(15)->{code} // 0) != 1001 } @ws), 0,
        '... at which all are asked to move');
    ok(wait_until(sub { !$short->workers(old => 1) }, 10),
        '... and the workers end');
    cmp_ok(time - $begun, '<', scale(15), '... in time');

    my $who;
    ok(wait_until(sub {
        $who = $speaker->ask({ type => 'presence', channel => 'room:1' });
        return !$who->{total};
    }), '... and after grace nobody is a member') || diag($who->{total});
    is($short->hub('remote')->{gaps_total}, 0, '... and no gap is counted');
    $speaker->drop;
    is($short->quit(within => 10), 0, 'it ends, too');
}

# -- the end -------------------------------------------------------------

{
    reload(drain => '2s');
    my @crowds = crowds('end', 200);
    run_all(1, @crowds);
    $nginx->signal('QUIT');

    # what was acknowledged before they were asked to move they have
    my @all = map { $_->readers } @crowds;
    my $met = wait_until(sub {
        $_->_gather(0.05, sub { 0 }) for @crowds;
        return !grep { !$_->{ws}{eof} && !$_->{ws}{close} } @all;
    }, 10);
    ok($met, 'nginx -s quit ends all connections');
    is((grep { !$_->{ws}{close} || $_->{ws}{close}{code} != 1001 } @all), 0,
        '... with 1001');
    is((grep { $_->{wrong} || $_->{broken} } @all), 0,
        '... none of which has a gap');
    ok($nginx->wait_end(10), 'and nginx ends');
    ok(wait_until(sub { links() == 0 }), 'with its connections to Redis');
    $_->hush for @crowds;
}

done_testing();
