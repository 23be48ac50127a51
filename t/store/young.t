# A worker that has just begun has clients before it has its connection to
# Redis, which is slow here: who resumes there waits for it, and is not told
# that something is missing.

use lib 't/lib', 't/chaos';
use Wscast;
use Chaos::Proxy;
use JSON::PP ();
use Time::HiRes qw(time);

my $redis = redis();
my $proxy = Chaos::Proxy->new($redis->port);
my $conf  = <<'CONF' =~ s/%%PROXY%%/$proxy->port/er;
wscast_hub chat {
    zone             16m;
    redis            redis://127.0.0.1:%%PROXY%%;
    redis_timeout    2s 2s;
    redis_reconnect  50ms 100ms;

    channel  room:*  { history 100 10m; presence on; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /ws {
        wscast          chat;
        wscast_allow    all "*";
        wscast_welcome  $pid;
        wscast_drain    3s;
    }

    location /api/ { wscast_api chat; }
}
CONF

my $host = host($conf, workers => 1);

sub subscribe {
    my (%since) = @_;
    my $ws = $host->ws('/ws');
    my $pid = $ws->recv_json->{msg};
    my $said = $ws->ask({ type => 'subscribe', channel => 'room:1',
        %since ? (since => \%since) : () });
    return ($ws, $said, $pid);
}

ok(wait_until(sub { $host->has_redis }), 'Redis is found');

my ($first, $said, $old) = subscribe();
$host->http('POST', '/api/channels/room:1', body => $_) for 1 .. 3;
is(JSON::PP::decode_json($host->http('POST', '/api/channels/room:1',
    body => 4)->{body})->{offset}, 4, 'messages are published');

$proxy->tell('delay 150');
$proxy->obeyed;
$host->reload;

my ($ws, $answer, $new) = subscribe(epoch => $said->{epoch}, offset => 1);
isnt($new, $old, 'a client comes to a new worker');
ok($answer->{recovered}, '... and is not told that something is lost');
is($answer->{offset}, 4, '... it has missed three messages');
is_deeply([map { ($ws->recv_json->{data}) } 2 .. 4], [2, 3, 4],
    '... and gets them');

# Redis is not there at all: the answer comes all the same

$proxy->tell('half');
$proxy->obeyed;
$host->reload;

my $begun = time;
my ($deaf, $none, $third) = subscribe(epoch => $said->{epoch}, offset => 1);
isnt($third, $new, 'a client comes to a worker that has no Redis');
ok(!$none->{recovered}, '... and is told that nobody can say');
cmp_ok(time - $begun, '<', scale(8), '... after some seconds');

$proxy->tell('heal');
ok(wait_until(sub { $host->hub->{redis_up} }, 15), 'Redis is back');
$_->drop for $first, $ws, $deaf;
$proxy->stop;

done_testing();
