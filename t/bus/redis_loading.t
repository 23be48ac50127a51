# A Redis that is started takes connections while it still loads its data, and
# refuses nearly all that it is asked.  When it is done the host is subscribed,
# and messages flow.

use lib 't/lib';
use Wscast;

my $redis = redis();

my $nginx = host(<<'CONF', redis => $redis, workers => 2);
wscast_hub chat {
    zone             4m;
    redis            redis://127.0.0.1:%%REDIS_PORT%%;
    redis_reconnect  20ms 100ms;

    channel  room:*  { history 10 1m; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /ws {
        wscast        chat;
        wscast_allow  all "*";
    }
}
CONF

ok(wait_until(sub { $nginx->hub->{redis_up} }), 'Redis is there');

my @clients = map { $nginx->ws('/ws') } 1 .. 4;

for my $ws (@clients) {
    $ws->recv;
    $ws->ask({ type => 'subscribe', channel => $_ }) for 'room:1', 'plain';
}

# 400 keys, each of which takes 5 ms to load

$redis->command('SET', "filling:$_", 'x' x 200) for 1 .. 400;
$redis->command('SAVE');
$redis->stop;
push @{ $redis->{args} }, '--key-load-delay', '5000',
    '--loading-process-events-interval-bytes', '1024';
$redis->start;

ok(wait_until(sub { $nginx->log_text =~ /LOADING/ }, 5),
    'it was asked while it loaded');

# what comes all the time must not hide that the question was refused

ok(wait_until(sub {
    $redis->command('PUBLISH', 'wscast:chat:plain', 'noise');
    my $hub = $nginx->hub;
    return $hub->{redis_up} && $hub->{redis_links} == 3;
}, 10), 'the host is subscribed when it has loaded');

my $other = $nginx->ws('/ws');
$other->recv;

for my $channel ('room:1', 'plain') {
    my $heard = 0;
    my $r = $other->ask({ type => 'publish', channel => $channel,
        data => 'after' });
    is($r->{type}, 'published', "$channel: a message is taken")
        || diag(JSON::PP::encode_json($r));

    for my $ws (@clients) {
        my $m;
        do { $m = $ws->recv_json } until !$m || $m->{type} eq 'message'
            && $m->{data} ne 'noise';
        $heard++ if $m && $m->{channel} eq $channel && $m->{data} eq 'after';
    }

    is($heard, scalar @clients, '... and all hear it');
}

done_testing();
