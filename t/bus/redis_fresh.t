# A worker that has just begun after a reload is not yet connected to Redis.
# What is published there waits for it, and is refused only when Redis cannot be
# had.

use lib 't/lib', 't/chaos';
use Wscast;
use Wscast::Api;
use Chaos::Proxy;
use Time::HiRes qw(time);

my $redis = redis();
my $proxy = Chaos::Proxy->new($redis->port);

my $CONF = <<'CONF';
wscast_hub chat {
    zone             8m;
    redis            redis://127.0.0.1:%%PROXY%%;
    redis_timeout    2s 5s;
    redis_reconnect  2s 2s;
    channel  kept:*  { history 100 10m; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /ws {
        wscast        chat;
        wscast_allow  all "*";
    }

    location /api/ { wscast_api chat; }
}
CONF

$CONF =~ s/%%PROXY%%/$proxy->port/e;

my $host = host($CONF, workers => 2);
ok(wait_until(sub { $host->has_redis }), 'Redis is there');

# To new workers, of both kinds of channels, and by both kinds of publishers.

sub publish {
    my @status;

    for my $channel (map { ("kept:$_", "room:$_") } 1 .. 4) {
        my $ws = $host->ws('/ws');
        $ws->recv;
        push @status, $ws->ask({ type => 'publish', channel => $channel,
            data => 1 });
        push @status, api($host, POST => "channels/$channel", body => '1');
        $ws->drop;
    }

    return map { $_->{type} // $_->{status} } @status;
}

my $all = join ' ', ('published', 200) x 8;

# -- Redis is some way off -----------------------------------------------

$proxy->tell('delay 150');
$proxy->obeyed;

$host->reload;
ok(!$host->has_redis, 'after a reload the new workers have no connection yet');
is(join(' ', publish()), $all, '... what is published there is taken');
ok(wait_until(sub { !$host->workers(old => 1) && $host->has_redis }),
    '... when they have one');

# -- Redis is away -------------------------------------------------------

$proxy->tell('delay 0');
$proxy->tell('refuse');
$proxy->obeyed;
ok(wait_until(sub { !$host->hub->{redis_links} }), 'Redis is lost');
$host->reload;

my $begun = time;
is(join(' ', publish()), join(' ', ('error', 503) x 8),
    '... then new workers refuse');
cmp_ok(time - $begun, '<', scale(5), '... and do not wait for its timeout');

# -- and comes back ------------------------------------------------------

$proxy->tell('to ' . $redis->port);
$proxy->tell('heal');
ok(wait_until(sub { !$host->workers(old => 1) && $host->has_redis }, 20),
    'it is back');
is(join(' ', publish()), $all, '... and all is taken');

done_testing();
