# The text dialect: the classic tutorial server, and its client unmodified.

use lib 't/lib';
use Wscast;

my $nginx = host(<<'CONF');
wscast_hub chat {
    zone     4m;
    channel  quiet:*  { echo off; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /tutorial {
        wscast          chat text;
        wscast_channel  "room:$arg_room";
        wscast_allow    publish "room:$arg_room";
        wscast_welcome  '{"type":"welcome","msg":"Welcome!"}';
    }

    location /plain {
        wscast            chat text;
        wscast_channel    "room:$arg_room" "news";
        wscast_allow      publish "room:*" "news";
        wscast_heartbeat  off;
    }

    location /own {
        wscast            chat text;
        wscast_channel    "room:$arg_room";
        wscast_allow      publish "room:*";
        wscast_heartbeat  hello "hi there";
    }

    location /read {
        wscast          chat text;
        wscast_channel  "room:$arg_room";
    }

    location /quiet {
        wscast          chat text;
        wscast_channel  "quiet:1";
        wscast_allow    publish "quiet:*";
    }
}
CONF

# Who is welcomed has joined; where nobody is, it is waited for: so many
# subscriptions there are then.
sub joined {
    my ($n) = @_;
    my $now;

    return ok(wait_until(sub {
        return ($now = $nginx->hub->{subscriptions}) == $n;
    }), 'all have joined') || diag("$now subscriptions, not $n");
}

# -- the classic client --------------------------------------------------

{
    my @clients = map { $nginx->ws('/tutorial?room=1') } 1 .. 6;
    my ($ann, @others) = @clients;

    is($_->recv_text, '{"type":"welcome","msg":"Welcome!"}',
        'the welcome comes first') for @clients;

    $ann->text('{"type":"ping"}');
    is($ann->recv_text, '{"type":"pong"}', 'its ping is answered');

    for my $ping ('{ "type": "ping" }', "{\n\t\"type\"\t:\r\n\"ping\"}\n",
        '{"type":"p\u0069ng"}')
    {
        $ann->text($ping);
        is($ann->recv_text, '{"type":"pong"}',
            'a ping is one however it is written');
    }

    $ann->text('{"type":"chat","msg":"hello"}');
    is($_->recv_text, '{"type":"chat","msg":"hello"}',
        'no ping was broadcast, the message is') for @clients;

    for my $almost ('{"type":"pings"}', '{"type":"ping","x":1}', 'ping',
        '"ping"', '{"type":"ping"', '[{"type":"ping"}]')
    {
        $ann->text($almost);
        is($_->recv_text, $almost, "$almost is no ping and broadcast")
            for $ann, $others[0];
        $_->recv for @others[1 .. 4];
    }

    is($ann->close(1000)->{clean}, 1, 'a client leaves');
    $others[0]->text('still here');
    is($_->recv_text, 'still here', 'the others go on') for @others;
}

# -- verbatim ------------------------------------------------------------

{
    my ($a, $b, $elsewhere) = (map { $nginx->ws("/plain?room=$_") } 2, 2, 3);
    joined(6);
    my $bytes = join '', map { chr } 0 .. 255;

    for my $text ('hello', '', '{"type":"ping"}', "\0", '{"n":1e999}',
        "\xe2\x82\xac \xf0\x9f\x98\x80", 'x' x 60000)
    {
        $a->text($text);
        my $name = length $text > 20 ? length($text) . ' bytes' : "'$text'";
        is($_->recv_text, $text, "$name arrives as it was sent") for $a, $b;
    }

    for my $data ($bytes, '', 'text in binary') {
        $a->binary($data);

        for my $ws ($a, $b) {
            my $m = $ws->recv;
            is($m->{op}, 2, 'binary arrives as binary');
            is($m->{data}, $data, '... as it was sent');
        }
    }

    $a->send_frame(1, 'frag', fin => 0);
    $a->send_frame(0, 'ments');
    is($b->recv_text, 'fragments', 'fragments arrive as one message');

    ok($elsewhere->silent(0.2), 'another room hears nothing of it');
}

# -- who may what --------------------------------------------------------

{
    my $own = $nginx->ws('/own?room=4');
    my $b   = $nginx->ws('/plain?room=4');

    joined(3);
    $own->text('hello');
    is($own->recv_text, 'hi there', 'a heartbeat of other words is answered');
    $own->text('{"type":"ping"}');
    is($b->recv_text, '{"type":"ping"}', '... and only that');

    my $reader = $nginx->ws('/read?room=4');
    joined(4);
    $own->text('for the reader');
    is($reader->recv_text, 'for the reader', 'joining needs no grant');
    $reader->text('may I?');
    is($reader->wait_close->{code}, 1008, 'publishing does: closed with 1008');
}

{
    my ($a, $b) = map { $nginx->ws('/quiet') } 1 .. 2;

    joined(2);
    for my $i (1 .. 3) {
        $a->text("from a $i");
        is($b->recv_text, "from a $i", 'echo off: the other gets it');
    }

    $b->text('from b');
    is($a->recv_text, 'from b', 'echo off: nobody gets his own');
    ok($b->silent(0.2), '... neither does b');
}

done_testing();
