# Clients of both dialects share channels.

use lib 't/lib';
use Wscast;
use MIME::Base64 qw(encode_base64);

my $nginx = host(<<'CONF', workers => 2);
wscast_hub chat {
    zone 4m;
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /text {
        wscast          chat text;
        wscast_channel  "room:1";
        wscast_allow    publish "room:1";
        wscast_welcome  $pid;
        wscast_user     "text user";
    }

    location /json {
        wscast          chat;
        wscast_channel  "room:1";
        wscast_allow    publish "room:1";
        wscast_welcome  $pid;
        wscast_user     "json user";
    }
}
CONF

# several of each, so that both are found on both workers
my @text = map { $nginx->ws('/text') } 1 .. 8;
my @json = map { $nginx->ws('/json') } 1 .. 8;
my %pid;

$pid{ $_->recv_text }++ for @text;
$pid{ $_->recv_json->{msg} }++ for @json;
is(scalar keys %pid, 2, 'both workers have clients');

sub broadcast {
    my ($from, $how, $what) = @_;
    $from->$how($what);
    my @frames = map { $_->recv } @text;
    my @values = map { $_->recv_text } @json;
    my %seen   = map { ("$_->{op} $_->{data}" => 1) } @frames;
    is(scalar keys %seen, 1, 'all text clients get the same');
    my %told = map { $_ => 1 } @values;
    is(scalar keys %told, 1, 'all json clients get the same');
    return ($frames[0], $values[0]);
}

for my $case (
    ['text', 'hello', '"hello"'],
    ['text', "\xc3\xbc\"\\\n\x01",
        qr/^"\xc3\xbc\\"\\\\(?:\\n|\\u000a)\\u0001"$/],
    ['text', '{"a": 9007199254740993}', '{"a": 9007199254740993}'],
    ['text', '[1,2', '"[1,2"'],
    ['text', '17', '17'],
    ['text', '', '""'],
    ['binary', "\x00\xff\xfe", '{"base64":"' . encode_base64("\x00\xff\xfe", '')
        . '"}'],
    ['binary', '{"a":1}', '{"base64":"' . encode_base64('{"a":1}', '') . '"}'],
    ['binary', '', '{"base64":""}'],
) {
    my ($how, $what, $data) = @$case;
    my ($frame, $json) = broadcast($text[0], $how, $what);
    my ($got) = $json =~ /"data":(.*?),"(?:user|client|time)":/s;

    is($frame->{op}, $how eq 'text' ? 1 : 2, "$how from text stays $how");
    is($frame->{data}, $what, '... unchanged');
    ref $data ? like($got, $data, '... json clients get it as JSON')
              : is($got, $data, '... json clients get it as JSON');
    like($json, qr/"user":"text user"/, '... with its user');
}

for my $data ('"hello"', '{"a":[1, 2.50]}', 'null', '18446744073709551616') {
    my $ws = shift @json;
    $ws->text(qq({"type":"publish","data":$data}));

    is($_->recv_text, $data, "$data from json reaches text as JSON text")
        for @text;
    like($_->recv_text, qr/"data":\Q$data\E,/, '... and json') for @json;
    push @json, $ws;

    my @own = map { $ws->recv_text } 1 .. 2;
    is(scalar(grep { /"type":"message"/ } @own), 1, '... and its publisher');
}

done_testing();
