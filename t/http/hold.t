# wscast_request hold, and limit_conn, which holds by itself.

use lib 't/lib';
use Wscast;

my $nginx = host(<<'CONF');
limit_conn_zone  $server_port  zone=conns:1m;

wscast_hub chat {
    zone 4m;
}

server {
    listen 127.0.0.1:%%PORT%%;

    wscast_heartbeat  off;
    wscast_drain      1s;

    location /limited {
        limit_conn         conns 3;
        limit_conn_status  429;

        wscast          chat text;
        wscast_channel  "room:1";
        wscast_allow    publish "room:1";
    }

    location /hold {
        wscast          chat text;
        wscast_channel  "room:1";
        wscast_allow    publish "room:1";
        wscast_request  hold;
    }
}
CONF

# -- limit_conn ----------------------------------------------------------

{
    my @in = map { $nginx->ws('/limited') } 1 .. 3;

    ok(hold_for(0.5, sub {
        $nginx->ws('/limited', raw => 1)->handshake->{status} == 429;
    }), 'limit_conn counts a client for its whole life');

    $in[0]->text('hello');
    is((grep { $_->recv_text ne 'hello' } @in), 0, '... and it works');

    is((pop @in)->close(1000)->{code}, 1000, 'one closes');
    my $next;
    ok(wait_until(sub {
        $next = $nginx->ws('/limited', raw => 1);
        $next->handshake->{status} == 101;
    }), '... and makes room');

    (pop @in)->drop;
    ok(wait_until(sub {
        my $ws = $nginx->ws('/limited', raw => 1);
        push @in, $ws;
        $ws->handshake->{status} == 101;
    }), 'so does one that vanishes');
}

# -- hold ----------------------------------------------------------------

{
    my @ws = map { $nginx->ws('/hold') } 1 .. 6;

    for my $bytes ('hello', 'x' x 60000) {
        $ws[0]->text($bytes);
        is((grep { $_->recv_text ne $bytes } @ws), 0,
            length($bytes) . ' bytes pass');
    }

    $ws[0]->raw("\x83\x80abcd");
    is($ws[0]->wait_close->{code}, 1002, 'a breach is closed with 1002');
    $ws[1]->drop;
    $ws[2]->drop(reset => 1);
    is($ws[3]->close(3000)->{code}, 3000, 'a close is answered');

    my $logged = sub {
        return scalar grep { m{"GET /hold HTTP/1\.1" 101 } }
            split /\n/, $nginx->access_text;
    };
    ok(wait_until(sub { $logged->() == 4 }), 'each is logged at its end');

    $nginx->reload;
    is($_->wait_close->{code}, 1001, 'a reload asks them to move')
        for @ws[4, 5];
    ok(wait_until(sub { $logged->() == 6 }), '... and they are logged');
    ok(wait_until(sub { !$nginx->workers(old => 1) }),
        '... and the workers leave');
}

done_testing();
