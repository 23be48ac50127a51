# The opening handshake over real connections: every refusal with its status
# and fields, every form of a good one.

use lib 't/lib';
use Wscast;
use Wscast::Http;
use MIME::Base64 qw(encode_base64);

my $nginx = host(<<'CONF');
wscast_hub chat {
    zone 4m;
}

server {
    listen 127.0.0.1:%%PORT%%;
    listen 127.0.0.1:%%PORT_h2c%% http2;

    location /ws {
        wscast  chat;
    }

    location /hold {
        wscast          chat;
        wscast_request  hold;
    }

    location /text {
        wscast          chat text;
        wscast_channel  "room:1";
    }

    location /origin {
        wscast         chat;
        wscast_origin  https://chat.example https://other.example:8443;
    }

    location /any {
        wscast         chat;
        wscast_origin  any;
    }
}

server {
    listen 127.0.0.1:%%PORT_h2%% ssl http2;

    ssl_certificate      %%CERT%%;
    ssl_certificate_key  %%KEY%%;

    location /ws {
        wscast  chat;
    }
}
CONF

sub shake {
    my ($path, %option) = @_;
    return $nginx->ws($path, raw => 1)->handshake(%option);
}

sub refusal {
    my ($name, $status, %option) = @_;
    my $r = shake($option{path} // '/ws', %option);

    is($r->{status}, $status, $name) || diag($r->{head});

    my $upgrade = $r->{header}{upgrade};
    my $version = $r->{header}{'sec-websocket-version'};

    if ($status == 426) {
        is($upgrade, 'websocket', "... and tells what to upgrade to");
    }

    if ($option{says_version}) {
        is($version, '13', '... and tells the version that is spoken');
    }

    isnt($r->{header}{'sec-websocket-accept'} // 'none', '',
        '... and accepts nothing') if $status == 101;

    return $r;
}

# -- refusals ------------------------------------------------------------

is($nginx->http('GET', '/ws')->{status}, 426,
    'a plain GET is told to upgrade');
is($nginx->http('GET', '/ws')->{header}{upgrade}, 'websocket',
    'a plain GET is told what to upgrade to');

refusal('POST is not allowed', 405, method => 'POST');
refusal('PUT is not allowed', 405, method => 'PUT');
refusal('HTTP/1.0 cannot upgrade', 426, version => '1.0');
refusal('a request without Upgrade is told to', 426,
    without => ['Upgrade']);
refusal('an upgrade to something else is refused', 426,
    without => ['Upgrade'], headers => ['Upgrade: h2c']);
refusal('"websockets" is not "websocket"', 426,
    without => ['Upgrade'], headers => ['Upgrade: websockets']);
refusal('a request without Connection is refused', 426,
    without => ['Connection'], headers => ['Connection: keep-alive']);
refusal('a missing version is refused', 426,
    without => ['Sec-WebSocket-Version'], says_version => 1);

for my $version (8, 0, 14, '13, 8', '013') {
    refusal("version $version is refused", 426, says_version => 1,
        without => ['Sec-WebSocket-Version'],
        headers => ["Sec-WebSocket-Version: $version"]);
}

refusal('two versions are a bad request', 400,
    headers => ['Sec-WebSocket-Version: 13']);
refusal('a missing key is a bad request', 400,
    without => ['Sec-WebSocket-Key']);
refusal('two keys are a bad request', 400,
    headers => ['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']);

my $seventeen = encode_base64('x' x 17, '');
my $fifteen   = encode_base64('x' x 15, '');

for my $key ('', 'short', $fifteen, $seventeen, '!' x 22 . '==',
    'dGhlIHNhbXBsZSBub25jZQ=', 'dGhlIHNhbXBsZSBub25jZQ')
{
    refusal("the key '$key' is a bad request", 400, key => $key);
}

refusal('a body is a bad request', 400,
    headers => ['Content-Length: 5'], glue => 'hello');
refusal('a malformed list of subprotocols is a bad request', 400,
    protocol => 'two words');

# -- origins -------------------------------------------------------------

is(shake('/ws', origin => 'http://localhost')->{status}, 101,
    'the same host is a good origin');
is(shake('/ws', host => 'localhost:8080',
    origin => 'http://localhost:8080')->{status}, 101,
    'the same host and port are a good origin');
is(shake('/ws')->{status}, 101, 'no origin is a good one');

for my $origin ('http://evil.example', 'http://localhost.evil.example',
    'null', 'http://localhost@evil.example', '')
{
    next if $origin eq '';
    refusal("the origin $origin is refused", 403, origin => $origin);
}

is(shake('/origin', origin => 'https://chat.example')->{status}, 101,
    'a listed origin is good');
is(shake('/origin', origin => 'https://other.example:8443')->{status}, 101,
    'another listed origin is good');
refusal('a listed origin of another scheme is refused', 403,
    path => '/origin', origin => 'http://chat.example');
refusal('a listed origin of another port is refused', 403,
    path => '/origin', origin => 'https://other.example');
refusal('the same host is refused when a list leaves it out', 403,
    path => '/origin', origin => 'http://localhost');
is(shake('/any', origin => 'http://evil.example')->{status}, 101,
    'any origin is good where any is');

# -- good handshakes -----------------------------------------------------

for my $form (
    ['Upgrade: WebSocket', 'Connection: upgrade'],
    ['Upgrade: WEBSOCKET', 'Connection: UPGRADE'],
    ['Upgrade: h2c, websocket', 'Connection: keep-alive, Upgrade'],
    ['Upgrade: websocket,h2c', 'Connection: Upgrade,keep-alive'],
    ['Upgrade: websocket', 'Connection: keep-alive', 'Connection: Upgrade'],
    ['Upgrade:  websocket ', 'Connection: ,, upgrade ,'],
) {
    is(shake('/ws', without => ['Upgrade', 'Connection'],
        headers => $form)->{status}, 101, "accepted: @$form");
}

{
    my $ws = $nginx->ws('/ws', raw => 1);
    my $request = $ws->request;

    for my $byte (split //, $request) {
        $ws->raw($byte);
    }

    is($ws->read_response->{status}, 101,
        'a handshake may come byte by byte');
    is($ws->recv_json->{type}, 'welcome', '... and goes on as any other');
}

{
    my $ping  = Wscast::WebSocket::frame_bytes(9, 'glued');
    my $frame = Wscast::WebSocket::frame_bytes(1,
        '{"type":"ping","id":"glued"}');
    my $ws = $nginx->ws('/ws', glue => $ping . $frame);
    my @got = map { $ws->frame } 1 .. 3;
    my %by_op = map { ($_->{op} => $_->{data}) } @got;

    is($by_op{10}, 'glued', 'a ping glued to the handshake is answered');
    is((grep { $_->{data} =~ /"id":"glued"/ } @got), 1,
        'a message glued to the handshake is answered');
}

{
    # more than fits the buffer of the header, and cut in the middle
    my $id    = 'x' x 100;
    my $large = '{"type":"ping","pad":"' . 'y' x 60000 . "\",\"id\":\"$id\"}";
    my $frame = Wscast::WebSocket::frame_bytes(1, $large);
    my $ws    = $nginx->ws('/ws', glue => substr $frame, 0, 30001);

    $ws->raw(substr $frame, 30001);
    is($ws->recv_json->{type}, 'welcome', 'half a frame may be glued on');
    is($ws->recv_json->{id}, $id, '... and the rest comes later');
}

{
    my $ws = $nginx->ws('/ws',
        glue => Wscast::WebSocket::close_bytes(1000, 'bye'));
    my $end = $ws->wait_close;

    is($end->{code}, 1000, 'a close frame may be glued on');
}

# -- subprotocols --------------------------------------------------------

sub chosen {
    my ($path, $offer) = @_;
    my $r = shake($path, protocol => $offer);
    is($r->{status}, 101, "'$offer' is accepted on $path");
    return $r->{header}{'sec-websocket-protocol'} // 'none';
}

is(chosen('/ws', 'foo, wscast.json'), 'wscast.json',
    'json chooses the subprotocol it speaks');
is(chosen('/ws', 'foo, bar'), 'none',
    'json chooses none of those it does not speak');
is(chosen('/text', 'foo, bar'), 'foo',
    'text takes the first that is offered');
is(shake('/ws')->{header}{'sec-websocket-protocol'} // 'none', 'none',
    'without an offer nothing is chosen');

# -- other versions of HTTP ----------------------------------------------

for my $try (['PORT_h2c', 'http', '--http2-prior-knowledge'],
    ['PORT_h2', 'https', '--http2'])
{
    my ($name, $scheme, $flag) = @$try;
    my $port = $nginx->port($name);
    my $url  = "$scheme://127.0.0.1:$port/ws";
    my $out  = `curl -sk $flag -D - -o /dev/null --max-time 10 $url`;

    like($out, qr{^HTTP/2 426}, "HTTP/2 over $scheme cannot upgrade");
    unlike($out, qr{^(?:upgrade|connection):}mi,
        '... and is sent no field that HTTP/2 forbids');
}

# -- the access log ------------------------------------------------------

sub logged {
    my ($path) = @_;
    return scalar grep { m{"GET \Q$path\E HTTP/1\.1" 101 } }
        split /\n/, $nginx->access_text;
}

{
    my $ws = $nginx->ws('/ws?released');
    ok(wait_until(sub { logged('/ws?released') == 1 }),
        'a released request is logged with 101 when it is upgraded');

    my $held = $nginx->ws('/hold?held');
    is($held->recv_json->{type}, 'welcome', 'a held request works');
    ok(hold_for(0.3, sub { logged('/hold?held') == 0 }),
        '... is not logged while it is open');
    is($held->close(1000)->{code}, 1000, '... closes as any other');
    ok(wait_until(sub { logged('/hold?held') == 1 }),
        '... and is logged when it ends');
}

done_testing();
