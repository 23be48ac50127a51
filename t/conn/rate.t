# How many messages a second a client may send.

use lib 't/lib';
use Wscast;

my $nginx = host(<<'CONF');
wscast_hub chat { zone 4m; }

wscast_message_rate  5 burst=8;

server {
    listen 127.0.0.1:%%PORT%%;

    location /json { wscast chat; wscast_allow all "*"; }
    location /text { wscast chat text; wscast_channel room;
                     wscast_allow publish room; }
    location /metrics { wscast_status; }
    location /free { wscast chat; wscast_message_rate off; }
}
CONF

for my $path ('/json', '/text') {
    my $ws = $nginx->ws($path);
    my $payload = '{"type":"ping"}';

    $ws->text($payload) for 1 .. 8;
    $ws->recv for 1 .. 8 + ($path eq '/json');
    ok($ws->silent(0), "$path: a burst of eight is taken");
    $ws->ping for 1 .. 50;

    select undef, undef, undef, 0.45;
    $ws->text($payload);
    ok(defined $ws->recv, '... pings are not counted, and time helps');

    $ws->text($payload) for 1 .. 10;
    my $end = $ws->wait_close;
    is($end->{code}, 4429, '... the rest is too much');
    is($end->{reason}, 'too many messages', '... and told so');
}

{
    my $ws = $nginx->ws('/free');
    $ws->text('{"type":"ping"}') for 1 .. 200;
    $ws->recv_json for 0 .. 200;
    pass('off in a location is off');
}

my ($rate) = $nginx->http(GET => '/metrics')->{body}
    =~ /^wscast_closes_total\{hub="chat",reason="rate"\} (\d+)$/m;
is($rate, 2, 'the closes are counted');

for my $bad ('0', '5 burst=0', '5 burst', '-1', 'fast', '5 6', '2000000') {
    bad_config("wscast_message_rate $bad is refused", <<"CONF",
wscast_hub chat { zone 4m; }
server { listen 127.0.0.1:%%PORT%%; wscast_message_rate $bad; }
CONF
        qr/invalid value in "wscast_message_rate \Q$bad\E"/, qr/burst=40/);
}

done_testing();
