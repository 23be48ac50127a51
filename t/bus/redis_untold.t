# A worker stands still while the one dies that is subscribed in Redis.  Its
# successor learns what it listens to only when it wakes; if somebody else has
# asked for the same channel meanwhile, that must not hide what was missed.

use lib 't/lib';
use Wscast;
use Time::HiRes qw(sleep time);

my $redis = redis();

my $CONF = <<'CONF';
wscast_hub chat {
    zone   16m;
    redis  redis://127.0.0.1:%%REDIS_PORT%%;

    channel  room:*  { history 1000 10m; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /ws {
        wscast          chat;
        wscast_allow    all "*";
        wscast_welcome  $pid;
    }
}
CONF

my ($one, $two) = map {
    host($CONF, redis => $redis, workers => 2, name => "host $_")
} 'one', 'two';

ok(wait_until(sub { $_->has_redis }), 'Redis is found') for $one, $two;

# A client of a worker that this is true of; those of others leave again.
sub client_of {
    my ($host, $condition) = @_;

    for (1 .. 200) {
        my $ws = eval { $host->ws('/ws', timeout => 0.3) } or next;
        my $hello = eval { $ws->recv_json } or next;
        $ws->{timeout} = 30;
        return ($ws, $hello->{msg}) if $condition->($hello->{msg});
        $ws->drop;
    }

    die "no client of such a worker\n";
}

my $publisher = $two->ws('/ws', timeout => 30);
$publisher->recv_json;

sub publish {
    my ($channel, $data) = @_;
    return $publisher->ask({ type => 'publish', channel => $channel,
        data => $data })->{type};
}

# The data that a client hears on a channel, up to a word.
sub heard {
    my ($ws, $channel, $last) = @_;
    my @heard;

    while (my $m = $ws->recv_json) {
        next if ($m->{channel} // '') ne $channel || $m->{type} ne 'message';
        push @heard, $m->{data};
        last if $m->{data} eq $last;
    }

    return @heard;
}

for my $round (1 .. 3) {
    my ($room, $plain) = ("room:$round", "plain:$round");
    my $leader = $one->leader;
    my $gaps   = $one->hub->{gaps_total};
    ok($leader, 'one worker is subscribed in Redis');

    my ($sleeper, $pid) = client_of($one, sub { $_[0] != $leader });
    my ($second)        = client_of($one, sub { $_[0] == $pid });
    $sleeper->ask({ type => 'subscribe', channel => $room });
    $second->ask({ type => 'subscribe', channel => $plain });
    publish($_, 'first') for $room, $plain;
    is(join(' ', heard($sleeper, $room, 'first')), 'first',
        'a client of the other one hears');
    is(join(' ', heard($second, $plain, 'first')), 'first',
        '... and one without history');

    ok($one->stop_worker($pid), 'that worker stands still');
    $one->expect_log(qr{exited on signal 9});
    kill 'KILL', $leader;
    publish($_, 'missed') for $room, $plain;

    ok(wait_until(sub {
        my @now = $one->workers;
        return @now == 2 && !grep { $_ == $leader } @now;
    }), '... and the other one dies and is replaced');

    my ($newcomer) = client_of($one, sub { $_[0] != $pid });
    is($newcomer->ask({ type => 'subscribe', channel => $_ })->{type},
        'subscribed', "somebody subscribes to $_ there") for $room, $plain;

    publish($_, 'last') for $room, $plain;
    is(join(' ', heard($newcomer, $room, 'last')), 'last',
        '... and hears what comes from then on');

    kill 'CONT', $pid;
    is(join(' ', heard($sleeper, $room, 'last')), 'missed last',
        'when the worker wakes its client has missed nothing');
    is(join(' ', heard($second, $plain, 'last')), 'last',
        'without history that cannot be');
    ok(wait_until(sub { $one->hub->{gaps_total} > $gaps }),
        '... and is counted');
    $_->drop for $sleeper, $second, $newcomer;
    ok(wait_until(sub { $one->hub->{channels} == 0 }), 'all have left');
}

done_testing();
