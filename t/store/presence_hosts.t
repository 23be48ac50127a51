# A whole host dies: its members leave on the others, by the lease of its
# workers, within 35 s, and each of them once.

use lib 't/lib';
use Wscast;
use Time::HiRes qw(time);

my $redis = redis();

my $CONF = <<'CONF';
wscast_hub chat {
    zone     8m;
    redis    redis://127.0.0.1:%%REDIS_PORT%%;
    channel  room:*  { presence on; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /ws {
        wscast        chat;
        wscast_allow  all "*";
        wscast_user   $arg_user;
    }
}
CONF

my ($one, $two) = map {
    host($CONF, redis => $redis, workers => 2, name => "host $_")
} 'one', 'two';
ok(wait_until(sub { $_->has_redis }), "$_->{name} finds Redis") for $one, $two;

sub client {
    my ($host, $user) = @_;
    my $ws = $host->ws("/ws?user=$user", timeout => 60);
    $ws->{id} = $ws->recv_json->{client};
    $ws->json({ type => 'subscribe', id => 1, channel => 'room:1' });
    while (my $m = $ws->recv_json) {
        last if $m->{type} eq 'subscribed';
    }
    return $ws;
}

my @dying = map { client($two, "dying$_") } 1 .. 20;
my @staying = map { client($one, "staying$_") } 1 .. 5;

sub present {
    my $ws = client($one, 'asker');
    $ws->json({ type => 'presence', id => 2, channel => 'room:1' });
    my $m;
    do { $m = $ws->recv_json } while $m->{type} ne 'presence';
    $ws->json({ type => 'unsubscribe', id => 3, channel => 'room:1' });
    do { $_ = $ws->recv_json } while $_->{type} ne 'unsubscribed';
    $ws->drop;
    return $m->{total};
}

is(present(), 26, 'members of both hosts are there');

# -- the host has not listened for a moment ------------------------------

{
    $redis->command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    my %stale;
    gather(\@staying, timeout => 10, message => sub {
        my ($ws, $frame) = @_;
        my $m = JSON::PP::decode_json($frame->{data});
        $stale{ $ws->{id} }++ if $m->{type} eq 'presence' && $m->{stale}
            && $m->{channel} eq 'room:1';
    }, until => sub { keys %stale == @staying });
    is(join(' ', values %stale), join(' ', (1) x @staying),
        'a host that was deaf for a moment tells so, once');
    is(present(), 26, '... and who is there, is there');
}

# -- the other one dies --------------------------------------------------

$two->crash;
my $killed = time;

# The time for which this machine stood still does not count.
my (%left, $last);
my ($turn, $stood) = ($killed, 0);
gather(\@staying, timeout => 60, message => sub {
    my ($ws, $frame) = @_;
    my $m = JSON::PP::decode_json($frame->{data});
    if ($m->{type} eq 'leave' && $m->{user} =~ /^dying/) {
        $left{ $ws->{id} }{ $m->{client} }++;
        $last = time;
    }
}, until => sub {
    my $now = time;
    $stood += $now - $turn if $now > $turn + 0.5;
    $turn = $now;
    !grep { keys %{ $left{ $_->{id} } // {} } < 20 } @staying;
});

my $ids = join ' ', sort map { $_->{id} } @dying;

for my $ws (@staying) {
    is(join(' ', sort keys %{ $left{ $ws->{id} } }), $ids,
        'a member elsewhere sees all of them leave');
}

cmp_ok($last - $killed - $stood, '<', 35, '... within 35 s');
diag(sprintf 'after %.1f s, %.1f of them stood still', $last - $killed,
    $stood);

# whoever else looks for dead leases finds nothing any more

gather(\@staying, timeout => 5, message => sub {
    my ($ws, $frame) = @_;
    my $m = JSON::PP::decode_json($frame->{data});
    $left{ $ws->{id} }{ $m->{client} }++ if $m->{type} eq 'leave';
}, until => sub { 0 });

is(scalar(grep { $_ != 1 } map { values %$_ } values %left), 0,
    '... exactly once each');
is(present(), 6, 'who is there, is there');

$_->drop for @dying;
done_testing();
