# wss: everything over TLS, of both versions.

use lib 't/lib';
use Wscast;

my $nginx = host(<<'CONF', workers => 1);
wscast_hub chat {
    zone 64m;
}

server {
    listen 127.0.0.1:%%PORT%% ssl;

    ssl_certificate      %%CERT%%;
    ssl_certificate_key  %%KEY%%;
    ssl_protocols        TLSv1.2 TLSv1.3;

    location / {
        wscast               chat text;
        wscast_channel       "own:$connection";
        wscast_allow         publish "own:*";
        wscast_message_size  4m;
        wscast_send_buffer   16m;
        wscast_heartbeat     off;
    }

    location /hold {
        wscast           chat text;
        wscast_channel   "hold:$connection";
        wscast_allow     publish "hold:*";
        wscast_request   hold;
    }

    location /ping {
        wscast       chat;
        wscast_ping  1s 1s;
    }
}
CONF

my $big = join '', map { chr $_ % 251 } 1 .. 3_000_000;

for my $version ('TLSv1_2', 'TLSv1_3') {
    my %tls = (tls => 1, tls_options => { SSL_version => $version });
    my $ws  = $nginx->ws('/', %tls);

    $ws->text("hello over $version");
    is($ws->recv_text, "hello over $version", "$version: a message comes back");

    $ws->binary($big);
    my $m = $ws->recv(20);
    ok($m->{data} eq $big, "$version: 3 MB come back");

    # many small frames, written and read at once
    my ($sent, @got) = (3000);
    $ws->queue(join '', map {
        Wscast::WebSocket::frame_bytes(1, "number $_")
    } 1 .. $sent);
    gather([$ws], timeout => 20, until => sub { @got >= $sent },
        message => sub { push @got, $_[1]{data} });
    is("@got", join(' ', map { "number $_" } 1 .. $sent),
        "$version: $sent small ones come back in order");

    is($ws->close(1000)->{code}, 1000, "$version: it closes");

    $ws = $nginx->ws('/', %tls,
        glue => Wscast::WebSocket::frame_bytes(1, 'glued'));
    is($ws->recv_text, 'glued', "$version: a frame may be glued on");

    my $frame = Wscast::WebSocket::frame_bytes(1, 'byte by byte');
    $ws->raw($_) for split //, $frame;
    is($ws->recv_text, 'byte by byte', "$version: a byte a record");

    # a large answer together with a close, which must not overtake it
    $ws->text('x' x 1_000_000);
    is(length($ws->recv_text), 1_000_000, "$version: 1 MB comes back");
    $ws->raw("\x83\x80abcd");
    is($ws->wait_close->{code}, 1002, "$version: a breach is told");

    $ws = $nginx->ws('/hold', %tls);
    $ws->text('held');
    is($ws->recv_text, 'held', "$version: a held request works");
    is($ws->close(1000)->{code}, 1000, "$version: ... and closes");

    $ws = $nginx->ws('/', %tls);
    $ws->drop;
    $ws = $nginx->ws('/', %tls);
    $ws->raw(substr Wscast::WebSocket::frame_bytes(1, 'x' x 1000), 0, 100);
    $ws->drop(reset => 1);
    ok(wait_until(sub { $nginx->hub->{connections} == 0 }),
        "$version: who vanishes is not counted any more");
}

{
    my $ws = $nginx->ws('/ping', tls => 1, mute => 1);
    $ws->recv;
    my $frame = $ws->frame(5);
    is($frame->{op}, 9, 'pings go over TLS');
    is($ws->frame(5), undef, '... and who does not answer is left');
}

done_testing();
