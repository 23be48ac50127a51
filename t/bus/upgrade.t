# nginx is replaced in place: USR2 starts another one beside it, then one of the
# two goes.  With Redis nobody misses anything; without it the operator is told,
# and clients move at once.

use lib 't/lib';
use Wscast;
use Wscast::Readers;
use Time::HiRes qw(sleep time);

my $redis = redis();

# nginx gives a new binary no other environment than what it is told to
my $ENVIRONMENT = asan() ? join '', map { "env $_;\n" }
    qw(LD_PRELOAD ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS) : '';

my $nginx = host(<<'CONF', redis => $redis, workers => 2, daemon => 1,
wscast_hub local {
    zone     8m;
    channel  room:*  { history 20000 10m; presence on grace=2s; }
}

wscast_hub remote {
    zone     8m;
    redis    redis://127.0.0.1:%%REDIS_PORT%%;
    channel  room:*  { history 20000 10m; presence on grace=2s; }
}

server {
    listen 127.0.0.1:%%PORT%%;

    wscast_allow        all "*";
    wscast_drain        2s;
    wscast_send_buffer  16m;
    wscast_welcome      $pid;

    location /local  { wscast local; }
    location /remote { wscast remote; }
}
CONF
    main => $ENVIRONMENT);

ok(wait_until(sub { $nginx->has_redis('remote') }), 'Redis is found');

# A client of one of these processes.
sub client_of {
    my ($path, @pids) = @_;
    my %pids = map { $_ => 1 } @pids;

    return wait_until(sub {
        my $ws = $nginx->ws($path, timeout => 20);
        $ws->{pid} = $ws->recv_json->{msg};
        return $ws if $pids{ $ws->{pid} };
        $ws->drop;
        return;
    });
}

sub joined {
    my ($ws, %more) = @_;
    return $ws->ask({ type => 'subscribe', channel => 'room:1', %more });
}

sub asked_to_move {
    my ($name, @ws) = @_;
    my $begun = time;
    my @ends  = map { $_->wait_close(15) } @ws;

    is((grep { ($_->{code} // 0) != 1001 } @ends), 0, "$name with 1001");
    return cmp_ok(time - $begun, '<', scale(6), '... within wscast_drain');
}

sub ends {
    my ($name, $host) = @_;
    return ok($host->wait_end(15), $name);
}

my $crowd = Wscast::Readers->new(hosts => [$nginx], count => 12,
    channel => 'room:crowd', path => '/remote');
$crowd->begin;
$crowd->talk(rate => 100, voices => 3, keys => 1);
$crowd->run(0.5);

# -- forth ---------------------------------------------------------------

my ($first, $since);

{
    my @local = map { client_of('/local', $nginx->workers) } 1 .. 6;
    joined($_) for @local;
    $first = $local[0]->ask({ type => 'publish', channel => 'room:1',
        data => 'of the old one' });
    $since = { epoch => $first->{epoch}, offset => $first->{offset} - 1 };
    $_->recv_json for @local;

    my $old = $nginx->upgrade;
    ok($old->workers == 2 && $nginx->workers == 2, 'after USR2 there are two');
    ok(wait_until(sub {
        $nginx->log_text =~ /\[warn\] .*hub "local" is without redis: its/
    }),
        'the operator is told that embedded hubs are apart');
    is((() = $nginx->log_text =~ /hub "remote" is without redis/g), 0,
        '... but not those with Redis');

    my $new = client_of('/local', $nginx->workers);
    my $m   = joined($new, since => $since);
    ok($m->{type} eq 'subscribed' && !$m->{recovered}
        && $m->{epoch} ne $first->{epoch},
        'without Redis who comes to the new one begins anew, and is told so');
    $local[0]->ask({ type => 'publish', channel => 'room:1', data => 'deaf' });
    ok($new->silent(0.3), '... and does not hear the old one');
    $_->recv_json for @local[1 .. 5];

    # with Redis they are as one
    my $here  = client_of('/remote', $old->workers);
    my $there = client_of('/remote', $nginx->workers);
    joined($_) for $here, $there;
    $here->ask({ type => 'publish', channel => 'room:1', data => 'forth' });
    is($there->recv_json->{data}, 'forth', 'with Redis both hear the old one');
    is(scalar @{ $there->ask({ type => 'presence', channel => 'room:1' })
        ->{members} }, 2, '... and the members of both are there');
    $crowd->run(0.5);

    $old->signal('WINCH');
    asked_to_move('WINCH moves clients of the old one', @local, $here);
    ok(wait_until(sub {
        $crowd->run(0.1);
        return !$old->workers(old => 1) && !$old->workers;
    }), 'its workers end');
    ok(!$old->wait_end(0.2), '... the old master stays');

    my $late = client_of('/local', $nginx->workers);
    joined($late);
    $new->ask({ type => 'publish', channel => 'room:1', data => 'new' });
    is($late->recv_json->{data}, 'new', 'all hear each other in the new one');

    $old->signal('QUIT');
    ends('QUIT ends it', $old);
    ok($nginx->_pid_file('.oldbin') == 0, '... and nothing is left of it');
    $_->drop for $new, $there, $late;
}

# -- forth, and back -----------------------------------------------------

{
    my @local = map { client_of('/local', $nginx->workers) } 1 .. 4;
    joined($_) for @local;
    my $said = $local[0]->ask({ type => 'publish', channel => 'room:1',
        data => 'before' });
    my $mark = { epoch => $said->{epoch}, offset => $said->{offset} - 1 };
    $_->recv_json for @local;

    my $old = $nginx->upgrade;
    $old->signal('WINCH');
    asked_to_move('another upgrade begins: clients move', @local);
    ok(wait_until(sub {
        $crowd->run(0.1);
        return !$old->workers(old => 1) && !$old->workers;
    }), 'the old workers end');

    my @strayed = map { client_of('/local', $nginx->workers) } 1 .. 4;
    joined($_) for @strayed;

    # the way back
    $old->signal('HUP');
    ok(wait_until(sub { $crowd->run(0.1); $old->workers == 2 }),
        'HUP: the old one has workers again');
    my $gone = bless {%$nginx}, ref $nginx;
    $gone->signal('QUIT');
    asked_to_move('QUIT moves clients of the new one', @strayed);
    ok(wait_until(sub { $crowd->run(0.1); $gone->_reap }, 15),
        '... and ends it');

    # the host is the old one again
    $nginx->{pid} = $old->{pid};
    delete @$nginx{qw(before ended status)};
    ok(wait_until(sub { $nginx->_pid_file('') == $old->{pid} }),
        'all is as it was before');

    my $back = client_of('/local', $nginx->workers);
    my $m    = joined($back, since => $mark);
    ok($m->{recovered} && $m->{epoch} eq $said->{epoch},
        '... with the history of then');
    is($back->recv_json->{data}, 'before', '... all of it');
    $back->drop;
}

# -- what came through Redis ---------------------------------------------

ok($crowd->finish(30), 'at the end all have caught up');
$crowd->whole('with Redis');

{
    my %codes;
    for my $r ($crowd->readers) {
        $codes{$_} += $r->{codes}{$_} for keys %{ $r->{codes} };
    }
    is(join(' ', sort keys %codes), '1001', 'nobody was cut off');
}

$_->{ws}->drop for $crowd->readers;
$crowd->hush;

done_testing();
