# The json dialect, message by message: every answer and every error.

use lib 't/lib';
use Wscast;

my $nginx = host(<<'CONF');
wscast_hub chat {
    zone            4m;
    channel_length  50;

    channel  quiet:*  { echo off; }
}

server {
    listen 127.0.0.1:%%PORT%%;

    location /ws {
        wscast                chat;
        wscast_allow          all "room:*" "quiet:*";
        wscast_allow          subscribe "read:*";
        wscast_allow          publish "write:*";
        wscast_subscriptions  5;
        wscast_user           $arg_user;
        wscast_welcome        $arg_welcome;
        wscast_ping           7s;
    }

    location /one {
        wscast          chat;
        wscast_channel  "room:$arg_room";
        wscast_allow    all "room:$arg_room";
    }

    location /two {
        wscast          chat;
        wscast_channel  "room:a" "room:b";
        wscast_allow    all "room:*";
    }

    location /text {
        wscast          chat text;
        wscast_channel  "room:a";
        wscast_allow    publish "room:a";
    }

    location /shout {
        wscast          chat;
        wscast_allow    all "*";
        wscast_welcome  '{"motd":[1, 2]}';
    }
}
CONF

sub client {
    my ($path) = @_;
    my $ws = $nginx->ws($path // '/ws');
    $ws->{welcome} = $ws->recv_json;
    return $ws;
}

sub is_error {
    my ($ws, $message, $code, $name) = @_;
    $ws->text(ref $message ? $Wscast::WebSocket::JSON->utf8->encode($message)
                           : $message);
    my $m = $ws->recv_json;
    is($m->{type}, 'error', $name);
    is($m->{code}, $code, "... with code $code") || diag(explain($m));
    ok(length $m->{reason}, '... and a reason');
    return $m;
}

# -- welcome -------------------------------------------------------------

{
    my $w = client()->{welcome};
    is($w->{type}, 'welcome', 'the first message is the welcome');
    like($w->{client}, qr/^[\x21-\x7e]{16}$/, '... with the id of the client');
    is($w->{ping}, 7, '... and the interval of pings');
    ok(!exists $w->{user} || !defined $w->{user}, '... and no user');
    ok(!exists $w->{msg}, '... and no msg');

    my $other = client('/ws?user=ann&welcome=hi')->{welcome};
    isnt($other->{client}, $w->{client}, 'another client has another id');
    is($other->{user}, 'ann', 'the user is told');
    is($other->{msg}, 'hi', 'the welcome is told as a string');

    my $ws = $nginx->ws('/shout');
    like($ws->recv_text, qr/"msg":\{"motd":\[1, ?2\]\}/,
        'a welcome that is JSON is told as JSON');
}

# -- ping ----------------------------------------------------------------

{
    my $ws = client();
    $ws->json({ type => 'ping' });
    is($ws->recv_text, '{"type":"pong"}', 'a ping is answered with a pong');

    for my $id ('7', '"seven"', '-1.5e3', '12345678901234567890123', '"\u00fc"')
    {
        $ws->text(qq({"type":"ping","id":$id}));
        is($ws->recv_text, qq({"type":"pong","id":$id}),
            "the id $id is echoed as it came");
    }
}

# -- subscribe, publish, unsubscribe -------------------------------------

{
    my ($ann, $bob) = (client('/ws?user=ann'), client('/ws?user=bob'));

    is_deeply($ann->ask({ type => 'subscribe', channel => 'room:1' }),
        { type => 'subscribed', id => 'q1', channel => 'room:1' },
        'a subscription is answered');
    is($bob->ask({ type => 'subscribe', channel => 'room:1' })->{type},
        'subscribed', 'another client subscribes too');

    $ann->text('{"id":5,"type":"publish","channel":"room:1",'
        . '"data":{"n":9007199254740993, "s":"\u00e9" ,"f":1.10}}');

    my @got = map { $ann->recv_text } 1 .. 2;
    my ($answer)  = grep { /"published"/ } @got;
    my ($message) = grep { /"message"/ } @got;

    is($answer, '{"type":"published","id":5,"channel":"room:1"}',
        'a publish is answered once it is taken');
    ok($message, 'the publisher gets its own message');

    my $text = $bob->recv_text;
    is($text, $message, 'all get the same message');
    like($text, qr/"data":\{"n":9007199254740993, "s":"\\u00e9" ,"f":1\.10\}/,
        'data arrive byte for byte');

    my $m = $Wscast::WebSocket::JSON->utf8->decode($text);
    is($m->{type}, 'message', 'its type is message');
    is($m->{channel}, 'room:1', 'it names the channel');
    is($m->{client}, $ann->{welcome}{client}, '... and the client');
    is($m->{user}, 'ann', '... and the user');
    ok(abs($m->{time} / 1000 - time) < 60, '... and the time in ms');
    ok(!exists $m->{offset} && !exists $m->{epoch},
        '... and no position without history');

    for my $data ('1', 'null', 'true', '"x"', '[]', '18446744073709551616',
        '-0.0', '1e400', '""', '{"a":{"a":{"a":[[[]]]}}}')
    {
        $ann->text(qq({"type":"publish","channel":"room:1","data":$data}));
        my ($of_ann) = grep { /"message"/ } map { $ann->recv_text } 1 .. 2;
        like($bob->recv_text, qr/"data":\Q$data\E[,}]/, "data $data arrive");
    }

    is_deeply($bob->ask({ type => 'unsubscribe', channel => 'room:1' }),
        { type => 'unsubscribed', id => 'q3', channel => 'room:1' },
        'an unsubscription is answered');
    $ann->ask({ type => 'publish', channel => 'room:1', data => 'gone?' });
    ok($bob->silent(0.3), 'after it nothing arrives');
    is($bob->ask({ type => 'subscribe', channel => 'room:1' })->{type},
        'subscribed', 'the channel may be joined again');
}

{
    my ($a, $b) = (client(), client());
    $_->ask({ type => 'subscribe', channel => 'quiet:1' }) for $a, $b;
    is($a->ask({ type => 'publish', channel => 'quiet:1', data => 1 })
        ->{type}, 'published', 'a publish where echo is off is answered');
    is($b->recv_json->{data}, 1, '... and reaches the others');
    ok($a->silent(0.3), '... but not its publisher');

    my $c = client();
    is($c->ask({ type => 'publish', channel => 'quiet:1', data => 2 })
        ->{type}, 'published', 'publishing needs no subscription');
    is($_->recv_json->{data}, 2, 'a subscriber gets it') for $a, $b;
}

# -- the channel by default ----------------------------------------------

{
    my $ws = client('/one?room=7');
    $ws->json({ type => 'publish', id => 1, data => 'x' });
    my %by_type = map { ($_->{type} => $_) } map { $ws->recv_json } 1 .. 2;
    is($by_type{published}{channel}, 'room:7',
        'where one channel is joined it may be left out');
    is($by_type{message}{channel}, 'room:7',
        '... and its messages come without another subscription');
    is_error($ws, { type => 'subscribe' }, 409,
        'the channel of the location is joined already');
    is($ws->ask({ type => 'unsubscribe' })->{type}, 'unsubscribed',
        'it may be left');
    is($ws->ask({ type => 'subscribe', channel => 'room:7' })->{type},
        'subscribed', '... and joined again');

    my $two = client('/two');
    is_error($two, { type => 'publish', data => 'x' }, 400,
        'where two channels are joined it may not be left out');
    ok($two->silent(0.1), 'two channels of a location are not announced');
}

# -- errors --------------------------------------------------------------

{
    my $ws = client();

    for my $bad ('hello', '', '[]', '"x"', '1', '{', '{"type":"ping"',
        '{"type":"ping"}}', "{'type':'ping'}", '{"type":"ping",}', 'null')
    {
        is_error($ws, $bad, 400, "'$bad' is no JSON object");
    }

    is_error($ws, {}, 400, 'an object without a type is malformed');
    is_error($ws, { type => 1 }, 400, 'a type is a string');
    is_error($ws, { type => 'shout' }, 400, 'an unknown type is refused');
    is_error($ws, { type => 'ping', id => [] }, 400,
        'an id is a string or a number');
    is_error($ws, { type => 'subscribe' }, 400, 'a channel is needed');
    is_error($ws, { type => 'subscribe', channel => 5 }, 400,
        'a channel is a string');
    is_error($ws, { type => 'subscribe', channel => '' }, 400,
        'a channel is not empty');
    is_error($ws, '{"type":"subscribe","channel":"room:\u0001"}', 400,
        'a channel has no control characters');
    is_error($ws, '{"type":"subscribe","channel":"room:\ud800"}', 400,
        'a channel has no lone surrogate');
    is_error($ws, { type => 'subscribe', channel => 'room:' . 'x' x 50 },
        400, 'a channel is not too long');
    is_error($ws, { type => 'publish', channel => 'room:1' }, 400,
        'data are needed');
    is_error($ws, '[' x 1000, 400, 'depth is limited');

    my $m = is_error($ws, { type => 'shout', id => 'mine' }, 400,
        'an error is answered');
    is($m->{id}, 'mine', '... with the id');

    for my $type ('history', 'presence') {
        $m = is_error($ws, { type => $type, channel => 'room:1', id => 3 },
            400, "$type is refused");
        like($m->{reason}, qr/not enabled/, '... as not enabled');
        is($m->{id}, 3, '... with the id');
    }

    $m = is_error($ws, { type => 'subscribe', channel => 'write:1' }, 403,
        'what is not granted is refused');
    like($m->{reason}, qr/write:1/, '... and named');
    $m = is_error($ws, { type => 'publish', channel => 'read:1', data => 1 },
        403, 'a publish that is not granted is refused');
    is($m->{reason}, 'not allowed to publish to read:1', '... and named');
    is_error($ws, { type => 'unsubscribe', channel => 'room:9' }, 404,
        'a channel that is not subscribed cannot be left');

    $ws->ask({ type => 'subscribe', channel => 'read:1' });
    is_error($ws, { type => 'subscribe', channel => 'read:1' }, 409,
        'a channel cannot be joined twice');

    $ws->ask({ type => 'subscribe', channel => "read:$_" }) for 2 .. 5;
    is_error($ws, { type => 'subscribe', channel => 'read:6' }, 429,
        'subscriptions are limited');
    $ws->ask({ type => 'unsubscribe', channel => 'read:5' });
    is($ws->ask({ type => 'subscribe', channel => 'read:6' })->{type},
        'subscribed', 'one that was left makes room');

    $ws->binary('{"type":"ping"}');
    is($ws->recv_json->{code}, 400, 'binary is refused');
    is($ws->ask({ type => 'ping' })->{type}, 'pong',
        'after all these errors the connection lives');
}

# -- odd texts -----------------------------------------------------------

{
    my $ws = client();

    $ws->text(" \t\r\n{ \"type\" : \"ping\" , \"id\" : 1 } \n");
    is($ws->recv_json->{id}, 1, 'white space is of no matter');
    $ws->text('{"\u0074ype":"p\u0069ng","id":2}');
    is($ws->recv_json->{id}, 2, 'escapes in names and types are decoded');
    $ws->text('{"type":"shout","type":"ping","id":3}');
    is($ws->recv_json->{type}, 'pong', 'of repeated members the last counts');
    $ws->text('{"type":"subscribe","channel":"room:\ud83d\ude00\u00fc"}');
    is($ws->recv_text, qq({"type":"subscribed","channel":"room:)
        . qq(\xf0\x9f\x98\x80\xc3\xbc"}), 'channels may have any character');
    $ws->text('{"type":"subscribe","channel":"room:\"\\\\"}');
    is($ws->recv_json->{channel}, 'room:"\\', '... quotes too');
    is($ws->close(1000)->{clean}, 1, 'it closes cleanly');
}

done_testing();
