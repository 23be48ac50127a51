# POST channels/{channel}, embedded and with Redis: types of content, positions,
# keys that make it safe to repeat, clients that are left out.

use lib 't/lib';
use Wscast;
use Wscast::Api;
use Time::HiRes qw(time);

my $CONF = <<'CONF';
wscast_hub chat {
    zone  16m;
    %%REDIS%%

    channel  kept:*  { history 100 10m; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /json {
        wscast        chat;
        wscast_allow  all "*";
    }

    location /text {
        wscast          chat text;
        wscast_channel  "$arg_c";
        wscast_welcome  "welcome";
    }

    location /api/ {
        wscast_api  chat;
    }
}
CONF

sub subscriber {
    my ($host, @channels) = @_;
    my $ws = $host->ws('/json');
    $ws->{id} = $ws->recv_json->{client};
    $ws->ask({ type => 'subscribe', channel => $_ }) for @channels;
    return $ws;
}

sub publish {
    my ($host, $channel, $body, @headers) = @_;
    return api($host, POST => "channels/$channel", body => $body,
        headers => [@headers]);
}

settings($CONF, sub {
    my ($in, $one, $two, $redis) = @_;

    # -- types -----------------------------------------------------------

    {
        my $text = $two->ws('/text?c=a');
        my $ws = subscriber($two, 'a');
        $text->recv;

        for my $type ('application/json', 'Application/JSON',
            'application/json; charset=utf-8', 'application/json ;a=b')
        {
            my $r = publish($one, 'a', ' [1, {"x" : 2}] ',
                "Content-Type: $type");
            is($r->{status}, 200, "$in: $type is taken");
            is($text->recv_text, ' [1, {"x" : 2}] ', '... as it is');
            is_deeply($ws->recv_json->{data}, [1, { x => 2 }], '... as JSON');
            refused(publish($one, 'a', $_, "Content-Type: $type"), 400,
                'body is not valid JSON', "... but not \"$_\"")
                for '', '{', '1 2', "\"\xff\"", "'a'", 'NaN';
        }

        for my $type ('application/jsonp', 'text/json', 'text/plain') {
            is(publish($one, 'a', '{', "Content-Type: $type")->{status}, 200,
                "$in: $type is text");
            is($text->recv_text, '{', '... whatever it is');
            is($ws->recv_json->{data}, '{', '... a string to json clients');
        }

        is(publish($one, 'a', "\0", 'Content-Type: application/octet-streams')
            ->{status}, 200, "$in: a type is compared whole");
        is($text->recv->{op}, 1, '... and others are text');
        $ws->recv;
        publish($one, 'a', "\xff", 'content-type: Application/Octet-Stream;a');
        is($text->recv->{op}, 2, '... octets are binary');
        ok(exists $ws->recv_json->{data}{base64}, '... base64 in JSON');
        $_->drop for $text, $ws;
    }

    # -- positions and keys ----------------------------------------------

    {
        my $ws = subscriber($two, 'kept:1', 'plain');
        my $r = publish($one, 'kept:1', 'first', 'Idempotency-Key: k');
        my $epoch = $r->{json}{epoch};
        like($epoch, qr/^[0-9a-f]{16}$/, "$in: an answer has the epoch");
        is($r->{json}{offset}, 1, '... and the offset');
        my $m = $ws->recv_json;
        is("$m->{epoch} $m->{offset}", "$epoch 1", '... as the message has');

        for my $host ($one, $two) {
            my $again = publish($host, 'kept:1', 'first',
                'idempotency-key: k');
            is("$again->{json}{epoch} $again->{json}{offset}", "$epoch 1",
                '... a repeat of its key is answered as the first was');
        }

        is(publish($two, 'kept:1', 'other', 'Idempotency-Key: K')
            ->{json}{offset}, 2, '... another key publishes');
        is(publish($two, 'kept:2', 'first', 'Idempotency-Key: k')
            ->{json}{offset}, 1, '... as does the same on another channel');
        is(publish($two, 'kept:1', 'third')->{json}{offset}, 3,
            '... and no key at all');
        is(publish($one, 'plain', 'once', 'Idempotency-Key: p')->{status}, 200,
            "$in: a channel without history takes keys");
        ok(!exists publish($two, 'plain', 'once', 'Idempotency-Key: p')
            ->{json}{offset}, '... and tells no position');
        publish($one, 'plain', 'end');
        is(join(' ', map { $ws->recv_json->{data} } 1 .. 4),
            'other third once end', '... it arrives once');

        for my $key ('', 'x' x 129, "\xff") {
            refused(publish($one, 'kept:1', 'x', "Idempotency-Key: $key"), 400,
                'Idempotency-Key is not 1 to 128 bytes of UTF-8',
                '... an odd key of ' . length($key) . ' bytes');
        }

        is(publish($one, 'kept:1', 'x', 'Idempotency-Key: ' . 'x' x 128)
            ->{status}, 200, '... the longest is taken');
        $ws->drop;
    }

    # -- exclusion -------------------------------------------------------

    {
        my ($me, $other) = map { subscriber($two, 'kept:x') } 1 .. 2;
        publish($one, 'kept:x', 'not mine', "Wscast-Exclude: $me->{id}");
        publish($one, 'kept:x', 'all');
        is($other->recv_json->{data}, 'not mine', "$in: others get it");
        is($me->recv_json->{data}, 'all', '... who is excluded does not');
        refused(publish($one, 'kept:x', 'x', 'Wscast-Exclude: ' . 'x' x 256),
            400, 'Wscast-Exclude is not the id of a client', '... an odd id');
        $_->drop for $me, $other;
    }

    # -- clients that do not wait ----------------------------------------

    {
        my $ws = subscriber($two, 'kept:hasty');

        for my $n (1 .. 200) {
            my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                PeerPort => $one->port) or die;
            syswrite $sock, "POST /api/channels/kept:hasty HTTP/1.1\r\n"
                . "Host: a\r\nContent-Length: 5\r\n\r\nhello";
            close $sock;
        }

        ok(wait_until(sub {
            api($two, GET => 'channels/kept:hasty')->{json}{offset}
        }), "$in: who leaves before the answer has published");
        is($ws->recv_json->{data}, 'hello', '... what it sent');
        $ws->drop;
    }

    return if !$redis;

    # -- Redis stands still ----------------------------------------------

    for my $channel ('plain', 'kept:1') {
        ok(wait_until(sub { publish($one, $channel, 'x')->{status} == 200 }),
            'Redis is there');
        $redis->freeze;
        my $begun = time;
        refused(publish($one, $channel, 'x', 'Idempotency-Key: frozen'), 503,
            'engine is away', "while Redis stands still: $channel");
        cmp_ok(time - $begun, '<', scale(6), '... in bounded time');

        # who does not wait for it
        for my $path ("channels/$channel", 'publish') {
            my $body = qq({"messages":[{"channel":"$channel","data":1}]});
            my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                PeerPort => $two->port) or die;
            syswrite $sock, "POST /api/$path HTTP/1.1\r\nHost: a\r\n"
                . 'Content-Length: ' . length($body) . "\r\n\r\n$body";
            select undef, undef, undef, 0.1;
            close $sock;
        }

        $redis->thaw;
        ok(wait_until(sub {
            publish($one, $channel, 'x', 'Idempotency-Key: frozen')->{status}
                == 200
        }), '... and with its key it can be repeated');
    }
});

done_testing();
