# What wscast_status tells of the zone is what docs/operations.md says that
# things take, block for block, and it is given back.

use lib 't/lib';
use Wscast;

use constant BLOCK => 128;

my $nginx = host(<<'CONF', workers => 2);
wscast_hub chat {
    zone     4m;
    channel  room:*  { history 10 10m; }
    channel  here:*  { presence on grace=0s; }
}

server {
    listen 127.0.0.1:%%PORT%%;

    location /ws {
        wscast        chat;
        wscast_allow  all "*";
        wscast_user   $arg_user;
    }

    location /counted {
        wscast              chat;
        wscast_connections  $arg_key 10;
    }

    location /api/ { wscast_api chat; }
}
CONF

sub blocks { my ($bytes) = @_; return int(($bytes + 119) / 120) }

sub becomes {
    my ($name, %want) = @_;
    my ($hub, $told);

    ok(wait_until(sub {
        $hub = $nginx->hub;
        $told = join ' ', map { "$_=$hub->{$_}" } sort keys %want;
        return !grep { $hub->{$_} != $want{$_} } keys %want;
    }, 5), $name) || diag($told);

    return;
}

sub publish {
    my ($channel, $body, @headers) = @_;
    my $r = $nginx->http('POST', "/api/channels/$channel", body => $body,
        headers => \@headers);
    return is($r->{status}, 200, "$channel: published");
}

# -- at first ------------------------------------------------------------

# each worker is an owner of members to be

ok(wait_until(sub { $nginx->hub->{zone_presence_bytes} == 2 * BLOCK }, 5),
    'a worker takes a block');

my $hub = $nginx->hub;
my $own = 2 * BLOCK;

is($hub->{zone_used_bytes}, $own, 'and nothing else is in use');
is($hub->{bus_bytes}, 1 << 20, 'the log is a quarter of the zone');
cmp_ok($hub->{zone_bytes}, '>', 2.7e6, 'what is left is told');
cmp_ok($hub->{zone_bytes} + $hub->{bus_bytes}, '<', 4 << 20,
    '... and fits in');

# -- messages, keys ------------------------------------------------------

my $message = blocks(108 + 200) * BLOCK;
my $channel = blocks(72 + 6) * BLOCK;

publish('room:1', 'x' x 200);
becomes('a message and its channel', zone_messages => 1, zone_keys => 0,
    zone_used_bytes => $own + $channel + $message);

publish('room:1', 'x' x 200, 'Idempotency-Key: one') for 1 .. 2;
becomes('a message with a key', zone_messages => 2, zone_keys => 1,
    zone_used_bytes => $own + $channel + 2 * $message + BLOCK);

publish('plain:1', 'x' x 200, 'Idempotency-Key: one');
becomes('a key without history', zone_messages => 2, zone_keys => 2,
    zone_used_bytes => $own + $channel + 2 * $message + 2 * BLOCK);

publish('room:1', 'x' x 200) for 1 .. 15;
becomes('no more than history keeps', zone_messages => 10, zone_keys => 2,
    zone_used_bytes => $own + $channel + 10 * $message + 2 * BLOCK);

is($nginx->http('DELETE', '/api/channels/room:1/history')->{status}, 200,
    'a history is forgotten');
becomes('its channel and the keys stay', zone_messages => 0, zone_keys => 2,
    zone_used_bytes => $own + $channel + 2 * BLOCK);

$own += $channel + 2 * BLOCK;

# -- members, counted connections ----------------------------------------

{
    my $before = $nginx->hub->{zone_presence_bytes};
    my $user   = 'u' x 150;
    my $name   = 'here:1';
    my $group  = blocks(56 + length $name) * BLOCK
        + BLOCK;                                # of the grace time
    my $ws     = $nginx->ws("/ws?user=$user");
    my $other  = $nginx->ws('/ws');

    $_->recv for $ws, $other;
    $_->ask({ type => 'subscribe', channel => $name }) for $ws, $other;

    my $members = blocks(120) * 2 + blocks(150);
    becomes('two members', zone_presence_bytes => $before + $group
        + $members * BLOCK, zone_used_bytes => $own + $group
        + $members * BLOCK);

    my @counted = map { $nginx->ws('/counted?key=me') } 1 .. 3;
    $_->recv for @counted;
    becomes('three counted connections', zone_presence_bytes => $before
        + $group + ($members + 1 + 3) * BLOCK);

    $_->drop for $ws, $other, @counted;
    becomes('all is given back', zone_presence_bytes => $before,
        zone_used_bytes => $own);
}

# -- the log between the workers -----------------------------------------

# A worker that is stopped reads nothing; when it goes on it is not behind.

{
    my @all = map { $nginx->ws('/ws') } 1 .. 12;

    $_->recv for @all;
    $_->ask({ type => 'subscribe', channel => 'plain:2' }) for @all;
    becomes('what is read does not wait', bus_backlog_bytes => 0);

    my $pid = ($nginx->workers)[0];
    ok($nginx->stop_worker($pid), 'a worker is stopped');

    # the other one takes the request, as the stopped one cannot
    my $long = 'x' x 20000;
    my ($hub, $told);

    for (1 .. 3) {
        my $r = eval { $nginx->http('POST', '/api/channels/plain:2',
            body => $long, timeout => 2) };
        $told++ if $r && ($r->{status} // 0) == 200;
    }

    ok($told, 'the other worker publishes');
    ok(wait_until(sub {
        $hub = eval { $nginx->hub };
        return $hub && $hub->{bus_backlog_bytes} >= 20000;
    }, 10), 'what a stopped worker has not read is told')
        || diag($hub && $hub->{bus_backlog_bytes});

    kill 'CONT', $pid;
    becomes('it reads on', bus_backlog_bytes => 0, bus_lapped_total => 0);
}

done_testing();
