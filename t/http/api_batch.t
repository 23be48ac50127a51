# POST publish: many messages at once, each with its own fate.

use lib 't/lib';
use Wscast;
use Wscast::Api;
use Time::HiRes qw(time);

my $CONF = <<'CONF';
wscast_hub chat {
    zone  16m;
    %%REDIS%%

    channel  kept:*  { history 2000 10m; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    client_max_body_size  16m;
    wscast_subscriptions  1000;
    wscast_send_buffer    64m;

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

sub batch {
    my ($host, @messages) = @_;
    return api($host, POST => 'publish', body => { messages => \@messages });
}

sub subscriber {
    my ($host, @channels) = @_;
    my $ws = $host->ws('/json');
    $ws->{id} = $ws->recv_json->{client};
    $ws->ask({ type => 'subscribe', channel => $_ }) for @channels;
    return $ws;
}

# Up to a message of this data.

sub until_data {
    my ($ws, $data) = @_;
    my @got;

    while (my $m = $ws->recv_json) {
        last if $m->{data} eq $data;
        push @got, $m;
    }

    return \@got;
}

settings($CONF, sub {
    my ($in, $one, $two, $redis) = @_;

    # -- results ---------------------------------------------------------

    {
        my $ws = subscriber($two, 'a', 'b', 'kept:1');
        my $r = batch($one,
            { channel => 'a', data => { n => 1 } },
            { channels => ['b', 'kept:1'], data => 'two' },
            { channel => 'kept:1', data => undef },
        );
        is($r->{status}, 200, "$in: a batch is answered 200");

        my $results = $r->{json}{results};
        my $epoch = $results->[2]{epoch};
        like($epoch, qr/^[0-9a-f]{16}$/, '... with epochs');
        is_deeply($results, [
            { message => 0, channel => 'a' },
            { message => 1, channel => 'b' },
            { message => 1, channel => 'kept:1', epoch => $epoch,
                offset => 1 },
            { message => 2, channel => 'kept:1', epoch => $epoch,
                offset => 2 },
        ], '... one result for each message and channel, in order');

        my @got = map { $ws->recv_json } 1 .. 4;
        is(join(' ', sort map { "$_->{channel}:"
            . (ref $_->{data} ? 'object' : $_->{data} // 'null') } @got),
            'a:object b:two kept:1:null kept:1:two',
            '... and all arrive');
        is((grep { exists $_->{client} || exists $_->{user} } @got), 0,
            '... of no client');
        $ws->drop;
    }

    {
        my $ws = $two->ws('/text?c=raw');
        $ws->recv;
        my $data = '{ "big": 12345678901234567890123, "s":"\u00fc\/" }';
        my $r = api($one, POST => 'publish', body =>
            qq( {"x":[1],"messages" : [{"channel":"r\\u0061w","data": $data },)
            . qq({"data":"1","channel":"raw"}]} ));
        is($r->{status}, 200, "$in: spelling does not matter");
        is($r->{json}{results}[0]{channel}, 'raw', '... names are decoded');
        is($ws->recv_text, $data, '... data is cut out byte for byte');
        is($ws->recv_text, '"1"', '... as JSON');
        $ws->drop;
    }

    # -- errors in it ----------------------------------------------------

    {
        my $ws = subscriber($two, 'ok');
        my $r = api($one, POST => 'publish', body => <<'BODY');
{"messages":[
  {"channel":"ok","data":1},
  {"channel":"a\u0001b","data":1},
  {"channel":"ok"},
  7,
  {"data":1},
  {"channel":"ok","channels":["ok"],"data":1},
  {"channels":[],"data":1},
  {"channels":{"a":1},"data":1},
  {"channels":["ok",5,"ok"],"data":2},
  {"channel":"ok","data":1,"key":""},
  {"channel":"ok","data":1,"key":7},
  {"channels":["ok","x"],"data":1,"exclude":[]},
  {"channel":"\ud800","data":1},
  {"channel":"ok","data":"end"}
]}
BODY
        is($r->{status}, 200, "$in: errors in a batch do not stop it");
        my $error = sub { { code => 400, reason => $_[0] } };
        my $key = $error->('key is not a string of 1 to 128 bytes');
        my $exclude = $error->('exclude is not the id of a client');
        my $both = $error->('channel and channels are both there');
        my $channels = $error->('channels is not an array of names');
        my $channel = $error->('channel is not valid');
        is_deeply($r->{json}{results}, [
            { message => 0, channel => 'ok' },
            { message => 1, channel => "a\1b", error => $channel },
            { message => 2, channel => 'ok',
                error => $error->('data is missing') },
            { message => 3, error => $error->('message is not an object') },
            { message => 4, error => $error->('channel is missing') },
            { message => 5, error => $both },
            { message => 6, error => $channels },
            { message => 7, error => $channels },
            { message => 8, channel => 'ok' },
            { message => 8, error => $channel },
            { message => 8, channel => 'ok' },
            { message => 9, channel => 'ok', error => $key },
            { message => 10, channel => 'ok', error => $key },
            { message => 11, channel => 'ok', error => $exclude },
            { message => 11, channel => 'x', error => $exclude },
            { message => 12, error => $channel },
            { message => 13, channel => 'ok' },
        ], '... each is named by its message and channel')
            || diag($r->{body});
        is(join(' ', map { $_->{data} } @{ until_data($ws, 'end') }),
            '1 2 2', '... and the others arrive');
        $ws->drop;
    }

    my $shape = 'body is not a JSON object with an array of messages';

    for my $body ('', 'x', '[]', '{}', '{"messages":{}}', '{"messages":[1}',
        '{"messages":[]} x', "{\"messages\":[\"\xff\"]}", '{"messages":"a"}',
        '{"messages":[' . '[' x 200 . ']' x 200 . ']}')
    {
        refused(api($one, POST => 'publish', body => $body), 400, $shape,
            "$in: a batch is refused: " . substr $body, 0, 30);
    }

    is(batch($one)->{body}, "{\"results\":[]}\n", "$in: it may be empty");

    # -- how many --------------------------------------------------------

    {
        my $ws = subscriber($two, 'kept:many');
        my $r = batch($one,
            map { { channel => 'kept:many', data => $_ } } 1 .. 1000);
        my @offsets = map { $_->{offset} } @{ $r->{json}{results} };
        is("@offsets", join(' ', 1 .. 1000),
            "$in: a thousand messages are taken, in order");
        my @got = map { $ws->recv_json->{data} } 1 .. 1000;
        is("@got", join(' ', 1 .. 1000), '... and arrive in order');

        refused(batch($one, map { { channel => 'kept:many', data => 0 } }
            1 .. 1001), 413, 'more than 1000 messages in one request',
            '... but not one more');

        my @channels = map { "c$_" } 1 .. 100;
        $r = batch($one,
            map { { channels => \@channels, data => $_ } } 1 .. 100);
        is(scalar(grep { !$_->{error} } @{ $r->{json}{results} }), 10000,
            '... ten thousand publishes are');
        refused(batch($one,
            (map { { channels => \@channels, data => $_ } } 1 .. 100),
            { channel => 'kept:many', data => 'over' }), 413,
            'more than 10000 publishes in one request', '... but not one more');
        ok($ws->silent(0.3), '... and nothing of what was refused arrives');
        $ws->drop;
    }

    # a batch larger than the bus has room for waits for its readers
    {
        my $ws = subscriber($two, 'large');
        my $r = api($one, POST => 'publish', body => '{"messages":['
            . join(',', map { qq({"channel":"large","data":"$_ )
                . 'x' x 60_000 . '"}' } 1 .. 200) . ']}');
        is(scalar(grep { !$_->{error} } @{ $r->{json}{results} }), 200,
            "$in: a batch of 12 MB is taken");
        my @got = map { $ws->recv_text =~ /"data":"(\d+) x{60000}"/ } 1 .. 200;
        is("@got", join(' ', 1 .. 200), '... and arrives in order');

        $r = api($one, POST => 'publish', body => '{"messages":['
            . '{"channel":"large","data":"' . 'x' x 7_000_000 . '"},'
            . '{"channel":"large","data":"end"}]}');
        is($r->{json}{results}[0]{error}{code}, 413,
            '... one too large for the hub is told');
        is($ws->recv_json->{data}, 'end', '... and the next one taken');
        $ws->drop;
    }

    # -- key and exclude -------------------------------------------------

    {
        my $me = subscriber($two, 'kept:key', 'plain');
        my $other = subscriber($one, 'kept:key', 'plain');
        my @messages = ({ channels => ['kept:key', 'plain'], data => 'once',
            key => "k $in", exclude => $me->{id} });

        my $first = batch($one, @messages);
        is($first->{json}{results}[0]{offset}, 1, "$in: a key publishes");
        is(batch($_, @messages)->{body}, $first->{body},
            '... once; a repeat is answered the same') for $one, $two;
        is(batch($one, @messages, @messages)->{json}{results}[2]{offset}, 1,
            '... within one batch, too');

        batch($two, { channel => 'kept:key', data => 'end' });
        is(join(' ', sort map { $_->{channel} }
            @{ until_data($other, 'end') }), 'kept:key plain',
            '... it arrives once in each channel');
        is(join(' ', map { $_->{channel} } @{ until_data($me, 'end') }), '',
            '... but not at who is excluded');
        $_->drop for $me, $other;
    }

    # -- a client that does not wait -------------------------------------

    {
        my $ws = subscriber($two, 'hasty');

        my $body = '{"messages":[' . join(',', map { '{"channel":"hasty",'
            . '"data":"' . 'x' x 1000 . '"}' } 1 .. 900) . ']}';

        for my $n (1 .. 20) {
            my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                PeerPort => $one->port) or die;
            syswrite $sock, "POST /api/publish HTTP/1.1\r\nHost: a\r\n"
                . 'Content-Length: ' . length($body) . "\r\n\r\n";
            my $done = 0;
            $done += syswrite $sock, $body, 1 << 20, $done
                while $done < length $body;
            close $sock;
        }

        is(batch($one, { channel => 'hasty', data => 'end' })->{status}, 200,
            "$in: clients that leave in the middle do no harm");
        my ($broken, $end) = (0, 0);

        while (!$end && (my $text = $ws->recv_text)) {
            $end = 1 if $text =~ /"data":"end"/;
            $broken++ if !$end && $text !~ /"data":"x{1000}"/;
        }

        is($end, 1, '... who publishes after them is heard');
        is($broken, 0, '... what they published is whole');
        $ws->drop;
    }

    return if !$redis;

    # -- Redis stands still ----------------------------------------------

    $redis->freeze;
    my $begun = time;
    my $r = batch($one, map { { channel => "c$_", data => 1 } } 1 .. 5);
    is($r->{status}, 200, 'while Redis stands still a batch is understood');
    is_deeply([map { $_->{error}{code} } @{ $r->{json}{results} }],
        [(503) x 5], '... and each of its messages is answered 503');
    cmp_ok(time - $begun, '<', scale(6), '... in bounded time');
    $redis->thaw;
    ok(wait_until(sub {
        !grep { $_->{error} } @{ batch($one,
            { channel => 'kept:after', data => 1 })->{json}{results} // [{}] };
    }), '... and it goes on when Redis does');
});

done_testing();
