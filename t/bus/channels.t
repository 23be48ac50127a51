# Many channels of few clients, joined and left; and what a host cannot carry.

use lib 't/lib';
use Wscast;

my $redis = redis();
my $nginx = host(<<'CONF', redis => $redis);
wscast_hub remote {
    zone   1m;
    redis  redis://127.0.0.1:%%REDIS_PORT%%;
}

wscast_hub local {
    zone  1m;
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    wscast_allow          all "*";
    wscast_subscriptions  4000;
    wscast_ping           off;

    location /remote {
        wscast  remote;
    }

    location /local {
        wscast  local;
    }
}
CONF

my $N = 2000;

# what begins with a control character the workers use among themselves

sub subscribed {
    return scalar grep { !/^wscast:\w+:\x01/ }
        @{ $redis->command('PUBSUB', 'CHANNELS') };
}

# Each client sends one message for each channel and gets one answer.

sub all_are {
    my ($verb, $answer, $name, @ws) = @_;
    my %n;

    for my $ws (@ws) {
        $ws->queue(join '', map {
            Wscast::WebSocket::frame_bytes(1,
                qq({"type":"$verb","id":$_,"channel":"c$_"}))
        } 1 .. $N);
    }

    ok(gather(\@ws, timeout => 30,
        message => sub { $n{ $_[0] }++ if $_[1]{data} =~ /"$answer"/ },
        until => sub { !grep { ($n{$_} // 0) < $N } @ws }), $name)
        || diag(explain(\%n));

    return;
}

ok(wait_until(sub { $nginx->has_redis('remote') }), 'Redis is found');

for my $hub ('remote', 'local') {
    my @ws = map { $nginx->ws("/$hub") } 1 .. 8;
    $_->recv for @ws;

    all_are('subscribe', 'subscribed', "$hub: all are subscribed", @ws);
    is($nginx->hub($hub)->{subscriptions}, 8 * $N, "$hub: all are counted");
    is(subscribed(), $hub eq 'remote' ? $N : 0,
        "$hub: the host is subscribed to each channel once");

    $ws[0]->json({ type => 'publish', channel => 'c777', data => 'hello' });
    is((grep {
        my $m;
        do { $m = $_->recv_json } until $m->{type} eq 'message';
        $m->{data} ne 'hello';
    } @ws), 0, "$hub: all hear one of them");

    all_are('unsubscribe', 'unsubscribed', "$hub: half of them leave",
        @ws[0 .. 3]);
    is($nginx->hub($hub)->{subscriptions}, 4 * $N, "$hub: ... are counted");
    $_->drop for @ws;
    ok(wait_until(sub {
        my $h = $nginx->hub($hub);
        !$h->{subscriptions} && !$h->{channels} && !subscribed();
    }), "$hub: when the others vanish nothing is left");
}

# -- a message that the zone of this host cannot carry -------------------

{
    my $ws = $nginx->ws('/remote');
    $ws->recv;
    $ws->ask({ type => 'subscribe', channel => 'x' });
    my $gaps = $nginx->hub('remote')->{gaps_total};

    $redis->command('PUBLISH', 'wscast:remote:x', 'y' x 2_000_000);
    $redis->command('PUBLISH', 'wscast:remote:x', 'after');
    is($ws->recv_json->{data}, 'after', 'what is too large is left out');
    is($nginx->hub('remote')->{gaps_total}, $gaps + 1, '... and counted');
    like($nginx->log_text, qr/2000000 bytes .*too long/, '... and logged');
}

done_testing();
