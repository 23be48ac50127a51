# How a connection ends: the closing handshake from both sides, breaches of
# the protocol, and clients who just vanish.

use lib 't/lib';
use Wscast;
use Time::HiRes qw(time);

my $nginx = host(<<'CONF');
wscast_hub chat {
    zone 8m;
}

server {
    listen 127.0.0.1:%%PORT%%;

    location / {
        wscast               chat text;
        wscast_channel       "own:$connection";
        wscast_allow         publish "own:*";
        wscast_message_size  64k;
        wscast_heartbeat     off;
    }

    location /json {
        wscast  chat;
    }
}
CONF

sub frame { return Wscast::WebSocket::frame_bytes(@_) }

# -- the client closes ---------------------------------------------------

for my $code (1000, 1001, 1011, 3000, 4999) {
    my $ws    = $nginx->ws('/');
    my $begun = time;
    my $end   = $ws->close($code, 'bye');

    is($end->{code}, $code, "a close with $code is answered with $code");
    is($end->{clean}, 1, '... and the server ends the connection cleanly');
    cmp_ok(time - $begun, '<', Wscast::scale(1), '... at once');
}

{
    my $ws = $nginx->ws('/');
    is($ws->close->{code}, 1005, 'a close without a code is answered so');

    $ws = $nginx->ws('/');
    my $large = 'x' x 60000;
    $ws->text($large);
    is($ws->recv_text, $large, 'a large message comes back');
    is($ws->close(1000)->{clean}, 1, '... and the close after it is clean');

    $ws = $nginx->ws('/');
    my @bytes = split //, Wscast::WebSocket::close_bytes(1000, 'slowly');
    $ws->{closing} = 1;
    $ws->raw($_) for @bytes;
    is($ws->wait_close->{code}, 1000, 'a close may come byte by byte');

    # more than is read at a time: to close then would reset the connection
    $ws = $nginx->ws('/', timeout => 15);
    $ws->{closing} = 1;
    $ws->queue(Wscast::WebSocket::close_bytes(1000, 'bye') . 'x' x 1_000_000);
    my $end = $ws->wait_close;
    is($end->{code}, 1000, 'what follows a close does not cost its answer');
    ok(!$end->{reset} && !$ws->{broken}, '... nor is the connection reset');
}

# -- the server closes ---------------------------------------------------

my @breaches = (
    ['a frame without a mask', 1002, frame(1, 'x', mask => 0)],
    ['a length not minimal in two bytes', 1002,
        frame(1, 'x', length_bytes => 2)],
    ['a length not minimal in eight bytes', 1002,
        frame(1, 'x' x 200, length_bytes => 8)],
    ['a length over 63 bits', 1002,
        "\x81\xff\x80\0\0\0\0\0\0\0abcd"],
    ['a message over the limit', 1009, frame(1, 'x' x 65537)],
    ['a fragmented ping', 1002, frame(9, 'x', fin => 0)],
    ['text not in UTF-8', 1007, frame(1, "\xff")],
    ['a close with the code 1006', 1002,
        Wscast::WebSocket::close_bytes(1006)],
);

for my $breach (@breaches) {
    my ($name, $code, $bytes) = @$breach;
    my $ws = $nginx->ws('/');
    $ws->raw($bytes);
    my $end = $ws->wait_close;

    is($end->{code}, $code, "$name is closed with $code");
    ok(length $end->{reason}, '... and a reason');
    is($end->{reset}, 0, '... and not by a reset');
}

{
    my $ws = $nginx->ws('/');
    $ws->raw(substr frame(1, 'x' x 65537), 0, 14);
    is($ws->wait_close->{code}, 1009,
        'a message too large is refused from its header alone');

    $ws = $nginx->ws('/');
    $ws->raw("\x82\xff\x00\x00\x7f\xff\xff\xff\xff\xffmask");
    is($ws->wait_close->{code}, 1009, 'the largest length costs nothing');

    $ws = $nginx->ws('/');
    $ws->text('x' x 65536);
    is(length($ws->recv_text), 65536, 'a message of the limit passes');

    $ws->send_frame(1, 'x' x 40000, fin => 0);
    $ws->raw(substr frame(0, 'x' x 30000), 0, 8);
    is($ws->wait_close->{code}, 1009, 'fragments are added up');
}

{
    # the client does not answer the close frame, and does not leave
    my $ws = $nginx->ws('/', mute => 1, timeout => 15);
    $ws->raw(frame(3, ''));
    my $begun = time;
    is($ws->wait_close->{code}, 1002, 'a client that does not answer a close');
    cmp_ok(time - $begun, '<', Wscast::scale(10), '... is left in time');
}

{
    # it goes on sending for as long as it can
    my $ws = $nginx->ws('/', mute => 1, timeout => 15);
    $ws->raw(frame(3, ''));

    ok(wait_until(sub {
        $ws->queue('x' x 60000) if length $ws->{out} < 60000;
        $ws->_write;
        $ws->_read;
        $ws->{eof};
    }, 12), 'a client that sends on after a breach is left in time');
}

# -- clients who vanish --------------------------------------------------

sub open_now { return $nginx->hub->{connections} }

{
    ok(wait_until(sub { open_now() == 0 }), 'nobody is left so far');

    my @clients = map { $nginx->ws('/') } 1 .. 8;
    ok(wait_until(sub { open_now() == 8 }), 'eight clients are there');

    $clients[0]->drop;
    $clients[1]->drop(reset => 1);
    $clients[2]->raw(substr frame(1, 'x' x 1000), 0, 500);
    $clients[2]->drop;
    $clients[3]->raw(substr frame(1, 'x' x 1000), 0, 500);
    $clients[3]->drop(reset => 1);
    $clients[4]->raw(frame(1, 'x' x 1000, fin => 0));
    $clients[4]->drop;
    $clients[5]->raw("\x81");
    $clients[5]->drop;
    shutdown $clients[6]{sock}, 1;
    is($clients[6]->wait_close->{reset}, 0,
        'a client that only ends its side is left');

    ok(wait_until(sub { open_now() == 1 }), 'seven vanish, one is left');
    $clients[7]->text('still here');
    is($clients[7]->recv_text, 'still here', '... and well');

    my $gone = $nginx->hub->{closes}{gone};
    cmp_ok($gone, '>=', 7, 'they are counted as gone');
}

done_testing();
