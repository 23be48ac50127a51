# An "if" and a "limit_except" inside a location are parts of it: what serves
# the location serves them.

use lib 't/lib';
use Wscast;

my $nginx = host(<<'CONF');
wscast_hub chat { zone 4m; channel * { history 10 1m; } }

server {
    listen 127.0.0.1:%%PORT%%;

    location /ws {
        set $room lobby;

        if ($arg_room) {
            set $room $arg_room;
        }

        wscast_ping     50s;
        wscast          chat;
        wscast_channel  $room;
        wscast_allow    publish $room;
    }

    location /text {
        wscast          chat text;
        wscast_channel  lobby;
        wscast_welcome  hello;

        if ($arg_lower) {
            set $room lobby;
        }
    }

    location /both {
        wscast  chat;

        if ($http_upgrade = "") {
            rewrite     ^ /page break;
            proxy_pass  http://127.0.0.1:%%PORT%%;
        }
    }

    location = /page { return 200 page; }

    location /api/ {
        wscast_api  chat;

        limit_except GET {
            allow  127.0.0.1;
            deny   all;
        }

        if ($arg_limit) {
            set $x 1;
        }
    }

    location /closed/ {
        wscast_api  chat;

        limit_except GET { deny all; }
    }

    location = /metrics {
        wscast_status;

        if ($arg_format) {
            set $x 1;
        }

        limit_except POST { allow all; }
    }
}
CONF

# -- clients -------------------------------------------------------------

for my $of (['/ws', 'lobby'], ['/ws?room=7', '7']) {
    my ($uri, $room) = @$of;
    my $ws = $nginx->ws($uri);

    is($ws->recv_json->{ping}, 50, "$uri: a client is welcomed");
    $ws->json({ type => 'publish', id => 1, data => 1 });
    is((grep { $_->{type} eq 'published' } map { $ws->recv_json } 1 .. 2)[0]
        ->{channel}, $room, '... and is in the channel that was set');
    $ws->drop;
}

is($nginx->ws('/text?lower=1')->recv_text, 'hello',
    'the dialect is that of the location');
is($nginx->ws('/both')->recv_json->{type}, 'welcome',
    'a client of a location that proxies what is no WebSocket');
is($nginx->http('GET', '/both')->{body}, 'page', '... and a page of it');

# -- the API and the status ----------------------------------------------

is($nginx->http('POST', '/api/channels/a', body => 'x')->{status}, 200,
    'who is allowed by limit_except publishes');
like($nginx->http('GET', '/api/channels/a/history?limit=1')->{body},
    qr/"offset":1,"messages":\[\{/, 'the API under an "if" answers');
is($nginx->http('POST', '/closed/channels/a', body => 'x')->{status}, 403,
    'who is not allowed by limit_except is refused');
is($nginx->http('GET', '/closed/channels/a')->{status}, 200,
    '... and may do the rest');
like($nginx->http('GET', '/metrics')->{body}, qr/^wscast_connections\{/m,
    'the status under a limit_except answers');
like($nginx->http('GET', '/metrics?format=json')->{body}, qr/"hubs"/,
    '... and under an "if"');

done_testing();
