# What is wrong in a configuration fails nginx -t with one line that names the
# directive and the value; what is right passes.

use lib 't/lib';
use Wscast;
use Wscast::Token;

my $HUB = "wscast_hub chat { zone 4m; }\n";

# In a server, in a location, in a hub.

sub server   { return "server { listen 127.0.0.1:%%PORT%%; $_[0] }" }
sub location { return $HUB . server("location / { $_[0] }") }
sub hub      { return "wscast_hub chat { zone 4m; $_[0] }" }

# -- good ones -----------------------------------------------------------

good_config('a hub without directives', 'wscast_hub chat { }');
good_config('two hubs',
    "$HUB wscast_hub news { zone 1m; channel * { echo off; } }");
good_config('a hub of all directives', hub(<<'CONF'));
    redis             redis://user:pass@127.0.0.1:6379/3;
    redis_prefix      "other:";
    redis_timeout     500ms 1s;
    redis_reconnect   50ms 2s;
    channel_length    100;
    token_leeway      10s;
    channel           room:*  { echo off; history 100 10m; presence on; }
    channel           game:*  { presence on grace=0s; history 100000 365d; }
    channel           *       { echo on; history off; presence off; }
CONF
good_config('Redis over a unix socket', hub('redis redis+unix:/tmp/x.sock;'));
good_config('Redis off', hub('redis off;'));
good_config('a password file', hub(<<'CONF'), files => { pass => "s\n" });
    redis                redis://127.0.0.1:6379;
    redis_password_file  %%PREFIX%%/pass;
CONF
good_config('a time for connecting alone', hub('redis_timeout 3s;'));
good_config('a location of all directives', location(<<'CONF'));
    wscast                chat text;
    wscast_channel        "room:$arg_room" lobby;
    wscast_allow          subscribe publish "room:$arg_room" "lobby";
    wscast_allow          all "*";
    wscast_token          "";
    wscast_user           $remote_user;
    wscast_info           '{"name":"$remote_user"}';
    wscast_origin         https://a.example https://b.example:8443;
    wscast_welcome        '{"type":"welcome"}';
    wscast_heartbeat      '{"type":"hb"}' '{"type":"hb-ack"}';
    wscast_ping           30s 5s;
    wscast_message_size   32k;
    wscast_send_buffer    512k drop;
    wscast_subscriptions  10;
    wscast_deflate        on level=9 min=1k;
    wscast_drain          30s;
    wscast_request        hold;
CONF
good_config('compression above the location, and not in it', $HUB
    . server('wscast_deflate on; location / { wscast chat; '
        . 'wscast_deflate off; }'));
good_config('compression of all messages',
    location('wscast chat; wscast_deflate on min=0;'));
good_config('directives above the location', $HUB . server(<<'CONF'));
    wscast_ping         10s;
    wscast_origin       any;
    wscast_heartbeat    off;
    wscast_drain        1s;
    location /a { wscast chat; }
    location /b { wscast chat json; wscast_ping 5s 5s; }
CONF
good_config('the API and the status', $HUB . server(
    'location /api/ { wscast_api chat; } location /s { wscast_status; }'));
good_config('a hub after the server that names it',
    server('location / { wscast chat; }') . $HUB);

# -- bad ones ------------------------------------------------------------

bad_config('an unknown hub in wscast',
    server('location / { wscast chat; }'), qr/wscast_hub chat/, qr/"chat"/);
bad_config('an unknown hub in wscast_api',
    server('location / { wscast_api nohub; }'), qr/wscast_hub nohub/,
    qr/"nohub"/);
bad_config('a location that something else serves, too',
    $HUB . server('location /x { wscast chat; proxy_pass http://127.0.0.1; }'),
    qr/wscast chat/, qr/location of its own/);
bad_config('a location that something else serves already',
    $HUB . server('location /x { proxy_pass http://127.0.0.1; wscast chat; }'),
    qr/"wscast"/, qr/location of its own/);
bad_config('an API in such a location',
    $HUB . server('location /x { wscast_api chat; stub_status; }'),
    qr/wscast_api chat/, qr/location of its own/);
bad_config('a status in such a location',
    $HUB . server('location /x { wscast_status; stub_status; }'),
    qr/"wscast_status"/, qr/location of its own/);
for my $url ('rediss://u:secret@h:1', 'redis://u:secret@127.0.0.1:1/x',
    'redis://u:secret@127.0.0.1:99999')
{
    my ($ok, $out) = nginx_test(hub("redis $url;"));
    ok(!$ok && $out =~ /redis/ && $out !~ /secret/,
        "a password is not told: $url");
}

bad_config('two hubs of one name', $HUB . $HUB, qr/wscast_hub/, qr/"chat"/);
bad_config('a hub without a name', 'wscast_hub { }',
    qr/"wscast_hub"/);
bad_config('a hub of an odd name', 'wscast_hub "a b" { }', qr/wscast_hub/,
    qr/"a b"/);
bad_config('a hub in a server', server('wscast_hub chat { }'),
    qr/"wscast_hub" directive is not allowed here/);
bad_config('an unknown directive in a hub', hub('nonsense on;'),
    qr/"nonsense"/);
bad_config('a directive in a hub that belongs into a location',
    hub('wscast_ping 1s;'), qr/"wscast_ping"/);

bad_config('a zone too small', 'wscast_hub chat { zone 8k; }',
    qr/"?zone"?/, qr/8k/);
bad_config('a zone that is no size', 'wscast_hub chat { zone lots; }',
    qr/"?zone"?/, qr/lots/);
bad_config('two zones', hub('zone 8m;'), qr/"?zone"?/, qr/duplicate/);

for my $url ('127.0.0.1:6379', 'http://127.0.0.1', 'redis://', 'redis://:x',
    'redis://127.0.0.1:99999', 'redis://127.0.0.1/notanumber',
    'redis://user@127.0.0.1', 'redis+unix:', 'redis+nonsense://h')
{
    # of a URL that may hold a password not all is shown
    bad_config("the Redis URL $url", hub("redis $url;"),
        qr/\bredis\b/, $url =~ /@/ ? qr/password/ : qr/\Q$url\E/);
}

bad_config('two Redis URLs',
    hub('redis redis://127.0.0.1; redis redis://127.0.0.1:1;'),
    qr/\bredis\b/, qr/duplicate/);
bad_config('a password file that is not there', hub(
    'redis redis://127.0.0.1; redis_password_file /nonexistent/file;'),
    qr/redis_password_file|\/nonexistent\/file/, qr/\/nonexistent\/file/);
bad_config('a password file that is a directory', hub(
    'redis redis://127.0.0.1; redis_password_file /;'),
    qr/redis_password_file \/"/, qr/directory/);

for my $bad (['empty', "\n", qr/is empty/], ['too large', 'x' x 4097,
    qr/larger than 4096 bytes/])
{
    my ($ok, $out) = nginx_test(hub('redis redis://127.0.0.1; '
        . 'redis_password_file %%PREFIX%%/pass;'),
        files => { pass => $bad->[1] });
    ok(!$ok && $out =~ /redis_password_file \S+pass"/ && $out =~ $bad->[2],
        "a password file that is $bad->[0]") || diag($out);
}

good_config('a password of 4096 bytes', hub('redis redis://127.0.0.1; '
    . 'redis_password_file %%PREFIX%%/pass;'), files => { pass => 'x' x 4096 });
bad_config('a timeout that is no time', hub('redis_timeout soon;'),
    qr/redis_timeout/, qr/soon/);
bad_config('a reconnect whose least is above its most',
    hub('redis_reconnect 5s 1s;'), qr/redis_reconnect/, qr/5s|1s/);
bad_config('a channel length of nothing', hub('channel_length 0;'),
    qr/channel_length/, qr/"?0"?/);
bad_config('an echo that is neither on nor off',
    hub('channel * { echo maybe; }'), qr/echo/, qr/maybe/);
bad_config('an unknown rule of a channel',
    hub('channel * { nonsense on; }'), qr/"nonsense"/);

bad_config('an unknown dialect', location('wscast chat xml;'),
    qr/wscast/, qr/"xml"/, qr/text.*json|json.*text/);
bad_config('wscast twice', location('wscast chat; wscast chat;'),
    qr/"wscast" directive is duplicate/);
bad_config('wscast outside a location', $HUB . server('wscast chat;'),
    qr/"wscast" directive is not allowed here/);
bad_config('wscast_status outside a location',
    $HUB . server('wscast_status;'),
    qr/"wscast_status" directive is not allowed here/);

bad_config('an unknown operation',
    location('wscast chat; wscast_allow read "*";'),
    qr/wscast_allow/, qr/"read"/, qr/subscribe/);
bad_config('operations without a pattern',
    location('wscast chat; wscast_allow publish subscribe;'),
    qr/wscast_allow/, qr/pattern/);
bad_config('a pattern without operations',
    location('wscast chat; wscast_allow "room:*" "x";'),
    qr/wscast_allow/, qr/"room:\*"/);
bad_config('a text location without a channel',
    location('wscast chat text;'), qr/wscast chat text/,
    qr/wscast_channel/);
bad_config('the API in a location by a regular expression', $HUB
    . server('location ~ ^/api/ { wscast_api chat; }'), qr/"wscast_api"/);
bad_config('two that serve one location',
    location('wscast chat; wscast_api chat;'), qr/"wscast_api"/);
bad_config('more channels than subscriptions', location('wscast chat; '
    . 'wscast_subscriptions 1; wscast_channel a b;'), qr/wscast_channel/,
    qr/wscast_subscriptions/);

for my $bad (
    ['wscast_ping', 'nonsense'], ['wscast_ping', '0'],
    ['wscast_ping', '1s 0', '0'], ['wscast_heartbeat', 'on'],
    ['wscast_heartbeat', 'alone'], ['wscast_message_size', 'nonsense'],
    ['wscast_message_size', '0'], ['wscast_send_buffer', 'nonsense'],
    ['wscast_send_buffer', '1m maybe', 'maybe'],
    ['wscast_subscriptions', 'nonsense'], ['wscast_subscriptions', '0'],
    ['wscast_drain', 'nonsense'], ['wscast_request', 'maybe'],
    ['wscast_origin', 'https://a.example/path'],
    ['wscast_origin', 'https://a.example/'], ['wscast_origin', 'a.example'],
    ['wscast_origin', 'any https://a.example', 'any'],
    ['wscast_deflate', 'maybe'], ['wscast_deflate', 'level=3', 'level=3'],
    ['wscast_deflate', 'on level=0', 'level=0'],
    ['wscast_deflate', 'on level=10', 'level=10'],
    ['wscast_deflate', 'on level=', 'level='],
    ['wscast_deflate', 'on level=high', 'level=high'],
    ['wscast_deflate', 'on min=some', 'min=some'],
    ['wscast_deflate', 'on min=', 'min='],
    ['wscast_deflate', 'on min=-1', 'min=-1'],
    ['wscast_deflate', 'on window=9', 'window=9'],
    ['wscast_deflate', 'off min=1k', 'off'],
) {
    my ($name, $values, $value) = @$bad;
    $value //= $values;
    bad_config("$name $values", location("wscast chat; $name $values;"),
        qr/\b$name\b/, qr/(?<![\w.])\Q$value\E(?![\w.])/);
}

bad_config('a message larger than the zone can carry',
    location('wscast chat; wscast_message_size 16m;'),
    qr/wscast_message_size/, qr/16m|zone/);
bad_config('a channel name that no channel can have',
    location('wscast chat; wscast_channel "";'), qr/wscast_channel/);
bad_config('a channel name that is too long for the hub', hub('')
    . server('location / { wscast chat; wscast_channel a '
        . 'b' x 201 . '; }'), qr/"wscast_channel b+"/, qr/up to 200 bytes/,
    qr/channel_length/);
good_config('... and not too long for another', hub('channel_length 201;')
    . server('wscast_channel ' . 'b' x 201 . '; location / { wscast chat; }'));

bad_config('compression twice',
    location('wscast chat; wscast_deflate on; wscast_deflate off;'),
    qr/"wscast_deflate" directive is duplicate/);
bad_config('a directive twice',
    location('wscast chat; wscast_ping 1s; wscast_ping 2s;'),
    qr/"wscast_ping" directive is duplicate/);

# -- history and presence ------------------------------------------------

for my $bad (
    ['history 100', '100', qr/100 10m/], ['history on', 'on', qr/off/],
    ['history 0 1m', '0 1m', qr/1 to 100000/],
    ['history 100001 1m', '100001 1m', qr/1 to 100000/],
    ['history many 1m', 'many 1m', qr/1 to 100000/],
    ['history -1 1m', '-1 1m', qr/1 to 100000/],
    ['history 10 0', '10 0', qr/from 1s/],
    ['history 10 999ms', '10 999ms', qr/from 1s/],
    ['history 10 366d', '10 366d', qr/to 365d/],
    ['history 10 1y', '10 1y', qr/to 365d/],
    ['history 10 soon', '10 soon', qr/from 1s/],
    ['presence maybe', 'maybe', qr/"on"/],
    ['presence off grace=3s', 'off', qr/alone/],
    ['presence on grace=61s', 'grace=61s', qr/60s/],
    ['presence on grace=', 'grace=', qr/60s/],
    ['presence on grace=long', 'grace=long', qr/60s/],
    ['presence on 3s', '3s', qr/grace=TIME/],
) {
    my ($text, $value, $cure) = @$bad;
    my ($name) = $text =~ /^(\w+)/;
    bad_config($text, hub("channel * { $text; }"), qr/"?$name\b/,
        qr/\Q$value\E"/, $cure);
}

bad_config('history twice',
    hub('channel * { history 1 1m; history 2 2m; }'), qr/"history"/,
    qr/duplicate/);
bad_config('presence twice', hub('channel * { presence on; presence on; }'),
    qr/"presence"/, qr/duplicate/);
bad_config('history outside a channel', hub('history 1 1m;'),
    qr/"history" directive is not allowed here/);

# -- keys ----------------------------------------------------------------

my $SECRET = 'a secret of at least thirty-two bytes';

# A file for a key; nginx -t is asked with it in place.

sub key_file {
    my ($text) = @_;
    return (files => { 'a.key' => $text });
}

sub bad_key {
    my ($name, $alg, $text, @patterns) = @_;
    my ($ok, $out) = nginx_test(hub("token_key $alg %%PREFIX%%/a.key;"),
        key_file($text));
    my ($line) = grep { /\[emerg\]/ } split /\n/, $out;
    my $told = !grep { ($line // '') !~ $_ } qr/token_key/, qr/\b$alg\b/,
        qr/a\.key/, @patterns;

    ok(!$ok && $told, $name) or diag($ok ? 'nginx -t was content' : $out);
    ok(index($out, substr($text, 0, 12)) < 0 || length $text < 12,
        '... and tells nothing of the key');
}

my $rsa = Wscast::Token::private('rsa');
my $weak = Wscast::Token::public(Wscast::Token::private('rsa1024'));
my $ec = Wscast::Token::public(Wscast::Token::private('ec'));
my $ed = Wscast::Token::public(Wscast::Token::private('ed'));
my $jwk = JSON::PP::encode_json(Wscast::Token::jwk($rsa, alg => 'RS256'));

for my $good (
    ['a secret', 'HS256', "$SECRET\n"], ['a secret', 'HS512', 'x' x 64],
    ['a public key', 'RS256', Wscast::Token::public($rsa)],
    ['a certificate', 'PS256', Wscast::Token::certificate($rsa)],
    ['a public key', 'ES256', $ec], ['a public key', 'EdDSA', $ed],
    ['a public key', 'EdDSA',
        Wscast::Token::public(Wscast::Token::private('ed448'))],
    ['a JWK', 'RS256', $jwk], ['a JWKS', 'RS256', qq({"keys":[$jwk]}\n)],
) {
    my ($name, $alg, $text) = @$good;
    good_config("$name for $alg", hub("token_key $alg a.key;"),
        files => { 'conf/a.key' => $text });
}

good_config('several keys of a hub, and where their tokens are',
    hub('token_key HS256 %%PREFIX%%/a.key; token_key HS256 %%PREFIX%%/a.key;')
        . server('wscast_token $arg_token; location / { wscast chat; }'),
    key_file($SECRET));

bad_config('an unknown algorithm', hub('token_key none a.key;'),
    qr/token_key/, qr/"none"/, qr/HS256/);
bad_config('a file that is not there',
    hub('token_key HS256 /nonexistent/a.key;'),
    qr/token_key HS256/, qr/\/nonexistent\/a.key/, qr/No such file/);
bad_config('a file that is a directory', hub('token_key HS256 /;'),
    qr/token_key HS256 \/"/, qr/directory/);

bad_key('an empty file', 'HS256', "\n\n", qr/is empty/);
bad_key('a short secret', 'HS256', 'x' x 31, qr/32 bytes/);
bad_key('a secret too short for HS512', 'HS512', 'x' x 63, qr/64 bytes/);
bad_key('a PEM for a secret', 'HS256', Wscast::Token::public($rsa),
    qr/is a PEM/);
bad_key('a secret for a PEM', 'RS256', $SECRET, qr/neither a PEM nor a JWKS/);
bad_key('a private key', 'RS256', $rsa, qr/private key/, qr/-pubout/);
bad_key('a short RSA key', 'RS256', $weak, qr/less than 2048 bits/);
bad_key('an EC key for RS256', 'RS256', $ec, qr/no RSA key/);
bad_key('an RSA key for ES256', 'ES256', Wscast::Token::public($rsa),
    qr/P-256/);
bad_key('another curve', 'ES256',
    Wscast::Token::public(Wscast::Token::private('p384')), qr/P-256/);
bad_key('an EC key for EdDSA', 'EdDSA', $ec, qr/Ed25519/);
bad_key('a broken PEM', 'RS256',
    "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    qr/no public key/);
bad_key('a JWKS without a key of this algorithm', 'PS256', $jwk,
    qr/no key for this algorithm/);
bad_key('a broken JWKS', 'RS256', qq({"keys":[$jwk}), qr/neither a JWK/);
bad_key('a file too large', 'HS256', 'x' x (1024 * 1024 + 1), qr/larger/);

{
    my ($ok, $out) = nginx_test(hub('token_key HS256 %%PREFIX%%/a.key;' x 65),
        key_file($SECRET));
    ok(!$ok && $out =~ /one too many: a hub takes 64/, 'the 65th key');
}

for my $time ('soon', '1h1s', '-1s') {
    bad_config("a leeway of $time", hub("token_leeway $time;"),
        qr/"token_leeway \Q$time\E"/, qr/5s/);
}

bad_config('two leeways', hub('token_leeway 1s; token_leeway 2s;'),
    qr/"token_leeway"/, qr/duplicate/);
bad_config('tokens without a key',
    location('wscast chat; wscast_token $arg_token;'),
    qr/"wscast_token"/, qr/hub "chat"/, qr/token_key ALG FILE/);

done_testing();
