# A client that does not read is closed with 4408, or misses the newest and is
# counted; memory stays bounded; the others notice nothing.

use lib 't/lib';
use Wscast;

my $nginx = host(<<'CONF', workers => 1);
wscast_hub chat {
    zone 32m;
}

server {
    listen 127.0.0.1:%%PORT%%;

    wscast_heartbeat   off;
    wscast_welcome     "welcome";

    location /close {
        wscast              chat text;
        wscast_channel      "room:1";
        wscast_send_buffer  256k;
    }

    location /drop {
        wscast              chat text;
        wscast_channel      "room:1";
        wscast_send_buffer  256k drop;
    }

    location /talk {
        wscast              chat text;
        wscast_channel      "room:1";
        wscast_allow        publish "room:1";
        wscast_send_buffer  64m;
    }

    location /flood {
        wscast              chat text;
        wscast_channel      "room:2";
        wscast_send_buffer  64k;
    }
}
CONF

my $N    = 400;
my $SIZE = 50_000;

sub number { my ($i) = @_; return sprintf '%05d %s', $i, 'x' x $SIZE }

# Reads until nothing more comes and returns the numbers of the messages.

sub numbers {
    my ($ws) = @_;
    my @got;

    gather([$ws], timeout => 30, until => sub { @got && $got[-1] == $N },
        message => sub {
            my ($data) = $_[1]{data} =~ /^(\d{5}) x*\z/;
            push @got, length $_[1]{data} == $SIZE + 6 ? $data + 0 : -1;
        });

    return @got;
}

my $close = $nginx->ws('/close', rcvbuf => 4096);
my $drop  = $nginx->ws('/drop', rcvbuf => 4096);
my $talk  = $nginx->ws('/talk');
my $fast  = $nginx->ws('/talk');

is($_->recv_text, 'welcome', 'a client is welcomed')
    for $close, $drop, $talk, $fast;

my $before = $nginx->memory;
my $most   = 0;
my @fast;

for my $i (1 .. $N) {
    $talk->queue(Wscast::WebSocket::frame_bytes(1, number($i)));
    gather([$talk, $fast], until => sub { @fast >= $i }, message => sub {
        my ($ws, $m) = @_;
        push @fast, $m->{data} =~ /^(\d+)/ if $ws == $fast;
    });

    if ($i % 50 == 0) {
        my $queued = $nginx->hub->{queued_bytes};
        $most = $queued if $queued > $most;
    }
}

is("@fast", join(' ', map { sprintf '%05d', $_ } 1 .. $N),
    'a client that reads gets everything');
cmp_ok($most, '<=', 2 * (256 * 1024 + $SIZE + 100),
    'what waits is bounded by wscast_send_buffer');
cmp_ok($nginx->memory - $before, '<', asan() ? 300_000 : 10_000,
    'memory stays bounded');

{
    my @got = numbers($close);
    cmp_ok(scalar @got, '<', $N, 'a client that does not read misses some');
    is("@got", join(' ', 1 .. @got), '... but gets whole ones, in order');
    my $end = $close->ending;
    is($end->{code}, 4408, '... and is told so: closed with 4408');
    $close->wait_close;
}

{
    my $dropped = $nginx->hub->{messages_dropped_total};
    cmp_ok($dropped, '>', 0, 'where the newest are dropped they are counted');

    my @got;
    gather([$drop], timeout => 30, until => sub { @got == $N - $dropped },
        message => sub { push @got, $_[1]{data} =~ /^(\d{5})/ });
    is(@got + $dropped, $N, 'received and dropped is all');
    is("@got", join(' ', map { sprintf '%05d', $_ } 1 .. @got),
        'the oldest are kept, whole and in order');

    $talk->text(number($N));
    is(length($drop->recv_text), $SIZE + 6, 'the connection lives on');
}

is($nginx->hub->{closes}{slow}, 1, 'the slow one is counted');

# -- a flood of pings whose pongs are not read ---------------------------

{
    my $ws = $nginx->ws('/flood', rcvbuf => 4096, no_read => 1);
    my $memory = $nginx->memory;
    my $pings  = Wscast::WebSocket::frame_bytes(9, 'x' x 125) x 1000;
    my $rounds = 0;

    ok(wait_until(sub {
        $ws->queue($pings) if length $ws->{out} < length $pings;
        1 while $ws->_write;
        $ws->{broken} || $nginx->hub->{closes}{slow} == 2;
    }, 30), 'a client that pings and never reads is ended');

    cmp_ok($nginx->memory - $memory, '<', asan() ? 300_000 : 5_000,
        '... and has cost little');
    $ws->drop;
    ok(wait_until(sub { $nginx->hub->{closes}{slow} == 2 }, 15),
        '... as slow');
}

done_testing();
