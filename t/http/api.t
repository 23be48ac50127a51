# POST channels/{channel}: a backend broadcasts to WebSocket clients.

use lib 't/lib';
use Wscast;
use JSON::PP ();

my $nginx = host(<<'CONF');
wscast_hub chat {
    zone            8m;
    channel_length  100;
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    client_max_body_size     8m;
    client_body_buffer_size  1k;

    location /text {
        wscast          chat text;
        wscast_channel  "$arg_c";
        wscast_welcome  "welcome";
    }

    location /json {
        wscast          chat;
        wscast_channel  "$arg_c";
    }

    location /api/ {
        wscast_api  chat;
    }

    location /closed/ {
        wscast_api  chat;
        deny        all;
    }
}
CONF

my $text = $nginx->ws('/text?c=room:1');
my $json = $nginx->ws('/json?c=room:1');
my @more = map { $nginx->ws('/text?c=room:1') } 1 .. 6;

is($text->recv_text, 'welcome', 'the text client is there');
my $me = $json->recv_json;
is($me->{type}, 'welcome', 'the json client is there');
$_->recv for @more;

sub publish {
    my ($channel, $body, @headers) = @_;
    my $r = $nginx->http('POST', "/api/channels/$channel",
        body => $body, headers => [@headers]);
    $r->{json} = eval { JSON::PP::decode_json($r->{body}) } // {};
    return $r;
}

sub error_is {
    my ($r, $status, $name) = @_;
    is($r->{status}, $status, $name);
    $r->{json} //= eval { JSON::PP::decode_json($r->{body}) } // {};
    is($r->{json}{error}{code}, $status, '... and the body says so too');
    ok(length($r->{json}{error}{reason} // ''), '... with a reason')
        || diag($r->{body});
    like($r->{header}{'content-type'}, qr{^application/json},
        '... in JSON');
}

# -- publishing ----------------------------------------------------------

{
    my $r = publish('room:1', 'hello');
    is($r->{status}, 200, 'a POST is answered 200');
    like($r->{header}{'content-type'}, qr{^application/json}, '... in JSON');
    is_deeply($r->{json}, { channel => 'room:1', subscribers => 8 },
        '... with the channel and the subscribers of all workers');
    is($text->recv_text, 'hello', 'the body reaches text clients');

    my $m = $json->recv_json;
    is($m->{type}, 'message', 'the body reaches json clients');
    is($m->{channel}, 'room:1', '... with its channel');
    is($m->{data}, 'hello', '... as a string');
    ok(!exists $m->{client} && !exists $m->{user},
        '... of no client and no user');
    ok(abs($m->{time} / 1000 - time) < 60, '... with the time in ms');

    is($_->recv_text, 'hello', 'another subscriber has it') for @more;
}

{
    is(publish('room%3A1', '{"a":[1, 2],"big":12345678901234567890}')
        ->{status}, 200, 'the channel may be percent-encoded');
    is($text->recv_text, '{"a":[1, 2],"big":12345678901234567890}',
        'JSON reaches text clients as it is');
    like($json->recv_text,
        qr/"data":\{"a":\[1, 2\],"big":12345678901234567890\}/,
        'JSON reaches json clients byte for byte');
}

{
    my $bytes = join '', map { chr } 0 .. 255;
    is(publish('room:1', $bytes, 'Content-Type: application/octet-stream')
        ->{status}, 200, 'octets are taken');

    my $m = $text->recv;
    is($m->{op}, 2, 'octets are binary to text clients');
    is($m->{data}, $bytes, '... byte for byte');
    require MIME::Base64;
    is($json->recv_json->{data}{base64},
        MIME::Base64::encode_base64($bytes, ''),
        'octets are base64 to json clients');
}

{
    my $r = publish('room:1', 'not for you', "Wscast-Exclude: $me->{client}");
    is($r->{status}, 200, 'a client may be excluded');
    is($text->recv_text, 'not for you', 'the others get it');
    ok($json->silent(0.3), 'the excluded client does not');
}

{
    my $large = join ',', 1 .. 60000;
    is(publish('room:1', $large)->{status}, 200,
        'a body that nginx keeps in a file is taken');
    is($text->recv_text, $large, '... and arrives whole');
    $json->recv;
}

{
    my $r = Wscast::Http::exchange($nginx->port,
        "POST /api/channels/room:1 HTTP/1.1\r\nHost: localhost\r\n"
        . "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        . "5\r\nhello\r\n7\r\n chunks\r\n0\r\n\r\n");
    is($r->{status}, 200, 'a chunked body is taken');
    is($text->recv_text, 'hello chunks', '... and arrives whole');
    $json->recv;
}

{
    is(publish('nobody', 'hello')->{json}{subscribers}, 0,
        'a channel may have no subscribers');
    is(publish('room:1', '')->{status}, 200, 'an empty body is taken');
    is($text->recv_text, '', '... and arrives empty');
    $json->recv;
}

for my $case (['a%2Fb', 'a/b'], ['a%20b', 'a b'], ['%C3%BC', "\xc3\xbc"],
    ['a%252Fb', 'a%2Fb'], ['100%25', '100%'], ['a+b', 'a+b'])
{
    my ($path, $name) = @$case;
    my $r = publish($path, 'x');
    is($r->{status}, 200, "the path $path names a channel");
    utf8::decode(my $decoded = $name);
    is($r->{json}{channel}, $decoded, "... the channel $name");
}

# -- refusals ------------------------------------------------------------

error_is(publish('a%01b', 'x'), 400, 'a control character is refused');
error_is(publish('a%FFb', 'x'), 400, 'a name not in UTF-8 is refused');
error_is(publish('x' x 101, 'x'), 400, 'a name too long is refused');
is(publish('x' x 100, 'x')->{status}, 200, 'the longest name is taken');
error_is(publish('', 'x'), 404, 'an empty name is not found');
error_is(publish('room:1', "\xff\xfe"), 400,
    'text that is not UTF-8 is refused');
error_is(publish('room:1', 'x' x 7_000_000), 413,
    'a message too large for the zone is refused');
error_is($nginx->http('POST', '/api/nonsense', body => 'x'), 404,
    'an unknown resource is not found');
error_is($nginx->http('PUT', '/api/channels/room:1', body => 'x'), 405,
    'an unknown method is refused');

is($nginx->http('POST', '/closed/channels/room:1', body => 'x')->{status},
    403, 'access is nginx\'s');
ok($text->silent(0.3), 'nothing of that was delivered');

done_testing();
