# Connections to Redis that stand and say nothing, and subscribers that Redis
# drops because they are too slow: found in time, and nothing is missing.

use lib 't/lib', 't/chaos';
use Wscast;
use Wscast::Streams;
use Chaos::Proxy;
use Time::HiRes qw(sleep time);

my $redis = redis();
my $proxy = Chaos::Proxy->new($redis->port);

my $CONF = <<'CONF';
wscast_hub chat {
    zone             64m;
    redis            redis://127.0.0.1:%%URL%%;
    redis_timeout    500ms 1500ms;
    redis_reconnect  20ms 200ms;

    channel  kept:*  { history 5000 10m; }
}

server {
    listen 127.0.0.1:%%PORT%%;

    location /ws {
        wscast              chat;
        wscast_allow        all "*";
        wscast_send_buffer  64m;
        wscast_ping         60s;
    }

    location /api/ {
        wscast_api            chat;
        client_max_body_size  1m;
    }
}
CONF

my @ports = ($proxy->port, $redis->port);
my @hosts = map {
    my $port = shift @ports;
    host($CONF =~ s/%%URL%%/$port/r, redis => $redis, name => "host $_");
} 'one', 'two';
my ($one, $two) = @hosts;

my $streams = Wscast::Streams->new(hosts => \@hosts,
    kept => [map { "kept:$_" } 1 .. 5], plain => [map { "room:$_" } 1 .. 5]);

$streams->begin;
ok($streams->alive($_), "$_->{name}: all channels are alive") for @hosts;

# -- connections that nobody answers on ----------------------------------

# deaf: Redis hears us; half: it does not, either.

for my $mode (qw(deaf half)) {
    my $said = () = $one->log_text =~ /subscriber to .*does not answer/g;

    $streams->talk(rate => 200);
    $streams->run(0.5);

    my $begun = time;
    $proxy->tell($mode);
    my $found;
    $streams->run(0.1) while time - $begun < 8 && !($found = $said
        < (() = $one->log_text =~ /subscriber to .*does not answer/g));

    ok($found, "$mode: the subscriber's connection is given up");
    my $took = time - $begun;
    note(sprintf 'after %.1f s', $took);
    cmp_ok($took, '<', scale(4), '... in time');
    is(Wscast::wait_until(sub {
        $one->http('POST', '/api/channels/room:1', body => '1')->{status}
            == 503 ? 503 : 0;
    }), 503, '... and what its host could not hear it does not publish');

    $proxy->tell('heal');
    ok($streams->alive($one, 20), '... until there is another connection');
    ok($streams->finish, 'all arrives');
    is($streams->ends, 0, '... nobody is closed');
    $streams->whole($mode);
    $streams->orderly($mode);
}

# -- a subscriber that is too slow for Redis -----------------------------

# Its worker stands still while more is published than Redis holds for it.

sub kicks {
    open my $log, '<', "$redis->{dir}/log" or return 0;
    return scalar grep { /overcoming of output buffer limits/ } <$log>;
}

{
    $streams->hush;
    $redis->command('CONFIG', 'SET', 'client-output-buffer-limit',
        'pubsub 1mb 0 0');

    my $ws = $two->ws('/ws', timeout => 30);
    $ws->recv_json;
    $ws->ask({ type => 'subscribe', channel => $_ }) for 'kept:big', 'big';

    my $gaps   = $two->hub('chat')->{gaps_total};
    my $leader = $two->leader;
    my $before = kicks();
    my $n      = 0;
    my (%sent, %unsure, %got);

    ok($two->stop_worker($leader), 'a worker that is subscribed stops');

    while (kicks() == $before && $n < 1000) {
        for my $channel ('kept:big', 'big') {
            my $r = $one->http('POST', "/api/channels/$channel",
                body => sprintf '"%06d%s"', ++$n, 'x' x 60_000);
            ($r->{status} == 200 ? \%sent : \%unsure)->{$channel}{$n} = 1;
        }
    }

    cmp_ok(kicks(), '>', $before, "Redis drops the subscriber after $n");
    kill 'CONT', $leader;

    ok(wait_until(sub {
        $two->http('POST', '/api/channels/kept:big', body => '"end"')
            ->{status} == 200;
    }, 20), 'when its worker goes on it subscribes again');

    while (my $m = $ws->recv_json) {
        next if $m->{type} ne 'message';
        last if $m->{data} eq 'end';
        push @{ $got{ $m->{channel} } }, 0 + substr $m->{data}, 0, 6;
    }

    # what was not answered with 200 may have been taken
    is_deeply([grep { !$unsure{'kept:big'}{$_} } @{ $got{'kept:big'} }],
        [sort { $a <=> $b } keys %{ $sent{'kept:big'} }],
        'with history nothing is missing, nothing comes twice');
    cmp_ok(@{ $got{big} // [] }, '<', keys %{ $sent{big} },
        'without it something is');
    ok(wait_until(sub { $two->hub('chat')->{gaps_total} > $gaps }),
        '... which is counted');
    $ws->close;
}

$streams->leave;
$proxy->stop;

done_testing();
