# permessage-deflate through a real nginx: what is agreed on, what comes, what
# is refused, and what it takes.

use lib 't/lib';
use Wscast;
use Wscast::WebSocket;

my $nginx = host(<<'CONF', workers => 1, connections => 1200);
wscast_hub chat {
    zone 16m;
    channel kept { history 100 1m; }
}

server {
    listen 127.0.0.1:%%PORT%%;

    wscast_deflate  on min=100;

    location /text {
        wscast               chat text;
        wscast_channel       "text:$arg_room";
        wscast_allow         publish "text:*";
        wscast_message_size  64k;
        wscast_welcome       "welcome";
    }

    location /json {
        wscast               chat;
        wscast_allow         all "*";
        wscast_message_size  1m;
        wscast_subscriptions 10;
    }

    location /off {
        wscast               chat text;
        wscast_channel       "text:$arg_room";
        wscast_deflate       off;
    }

    location /eager {
        wscast               chat text;
        wscast_channel       "text:$arg_room";
        wscast_allow         publish "text:*";
        wscast_deflate       on level=9 min=0;
    }
}
CONF

my $PLAIN    = 'permessage-deflate';
my $CHROMIUM = 'permessage-deflate; client_max_window_bits';
my $SMALL    = 'permessage-deflate; server_max_window_bits=12';
my $OURS     = 'permessage-deflate; server_no_context_takeover';

sub frame_bytes { return Wscast::WebSocket::frame_bytes(@_) }
sub counter     { return $nginx->hub->{$_[0]} }

# -- what is agreed on ---------------------------------------------------

sub answer {
    my ($path, @offers) = @_;
    my $ws = $nginx->ws("$path?room=none", deflate => \@offers);
    my $answer = $ws->{response}{header}{'sec-websocket-extensions'};

    $ws->drop;

    return $answer;
}

is(answer('/text', $PLAIN), "$OURS; client_no_context_takeover",
    'a plain offer is accepted');
is(answer('/text', $CHROMIUM), "$OURS; client_max_window_bits=12",
    'so is that of Chromium, with a window of 4 KB');
is(answer('/text', $SMALL),
    "$OURS; server_max_window_bits=9; client_no_context_takeover",
    'and one for a smaller window');
is(answer('/text', 'x-other; a="b, c"', "$PLAIN; level=1", $CHROMIUM),
    "$OURS; client_max_window_bits=12",
    'of offers in several headers the first that can be had');
is(answer('/text', "$PLAIN; server_max_window_bits=8, x-other"), undef,
    'offers that cannot be had are passed over');
is(answer('/text', '@@; =; "', $PLAIN), undef,
    'and what is malformed is no error');
is(answer('/text'), undef, 'who offers nothing is not answered');
is(answer('/off', $CHROMIUM), undef, 'nor is anybody where it is off');

# -- one form for all ----------------------------------------------------

{
    my @packed = map { $nginx->ws('/text?room=1', deflate => $_) }
        ($PLAIN, $CHROMIUM) x 10;
    my @small = map { $nginx->ws('/text?room=1', deflate => $SMALL) } 1 .. 3;
    my @plain = map { $nginx->ws("$_?room=1") } '/text', '/off';
    my @all   = (@packed, @small, @plain);

    is($_->recv_text, 'welcome', 'a client is welcomed')
        for grep { $_->{path} !~ /off/ } @all;

    my $before = $nginx->hub;
    my $text   = 'the same words, ' x 20;
    $packed[0]->text($text);

    my @got = map { $_->recv } @all;
    is((grep { $_->{data} eq $text } @got), @all, 'all get the message');
    is((grep { $_->{packed} } @got), 23, '... compressed who agreed on it');
    is((grep { $_->{packed} } @got[23, 24]), 0, '... as it is the others');

    my $after = $nginx->hub;
    is($after->{deflated_total} - $before->{deflated_total}, 2,
        '... compressed once for 20 clients, and once for a small window');
    is($after->{deflate_bytes_in_total} - $before->{deflate_bytes_in_total},
        2 * length $text, '... which counts its bytes before');
    is($after->{deflate_bytes_out_total}
        - $before->{deflate_bytes_out_total},
        $got[0]{packed} + $got[20]{packed}, '... and after');
    cmp_ok($got[0]{packed}, '<', 40, '... far fewer');

    $packed[0]->text('x' x 99);
    is($packed[1]->recv->{packed}, undef, 'a short message is sent as it is');

    $packed[0]->binary(join '', map { chr rand 256 } 1 .. 200);
    is($packed[1]->recv->{packed}, undef, 'so is what would not get smaller');
    is(counter('deflated_total') - $after->{deflated_total}, 2,
        '... which is found out once, and the short one is not tried');
    $_->drop for @all;
}

# -- what clients compress -----------------------------------------------

{
    my @ws = map { $nginx->ws('/eager?room=2', deflate => $_) }
        $PLAIN, $CHROMIUM, $SMALL,
        'permessage-deflate; client_max_window_bits=8',
        'permessage-deflate; client_no_context_takeover';
    my $bad = 0;
    my $in  = counter('inflated_total');

    for my $turn (1 .. 40) {
        my $text = join ' ', map { "word" . int rand 50 } 1 .. 1 + rand 400;

        for my $ws (@ws) {
            $ws->packed($text, op => 1 + $turn % 2);
            $bad += grep { $_->recv->{data} ne $text } @ws;
        }
    }

    is($bad, 0, 'whatever context clients take over, all is understood');
    is(counter('inflated_total') - $in, 200, '... and counted');

    my ($before, $text) = ($nginx->hub, 'ab' x 1000);
    my $payload = $ws[0]{agreed}->pack($text);
    my @pieces  = $payload =~ /.{1,3}/gs;

    for my $i (0 .. $#pieces) {
        $ws[0]->raw($_) for split //, frame_bytes($i ? 0 : 1, $pieces[$i],
            rsv => $i ? 0 : 4, fin => $i == $#pieces);
        $ws[0]->ping('x') if $i == 1;
    }

    is($ws[1]->recv->{data}, $text, 'fragments come byte by byte');

    my $after = $nginx->hub;
    is($after->{inflate_bytes_in_total} - $before->{inflate_bytes_in_total},
        length $payload, '... their bytes are counted as they came');
    is($after->{inflate_bytes_out_total} - $before->{inflate_bytes_out_total},
        length $text, '... and as what they were');

    $ws[2]->send_frame(1, "\x00", rsv => 4);
    is($ws[3]->recv->{data}, $text, 'a message');
    is($ws[3]->recv->{data}, '', '... and one that is empty, of one byte');
    $_->drop for @ws;
}

# -- json ----------------------------------------------------------------

{
    my $old = $nginx->ws('/json', deflate => $CHROMIUM);
    my $ask = sub {
        my ($ws, $value) = @_;
        $ws->packed($Wscast::WebSocket::JSON->utf8->encode($value));
        return $ws->recv_json;
    };

    is($old->recv_json->{type}, 'welcome', 'json: a client is welcomed');
    my $at = $ask->($old, { type => 'subscribe', channel => 'kept' });
    is($at->{type}, 'subscribed', '... subscribes');

    my $data = { text => 'schön ' x 50, id => '12345678901234567890' };
    $old->packed($Wscast::WebSocket::JSON->utf8->encode(
        { type => 'publish', channel => 'kept', data => $data }));

    # the answer and the message come in either order
    my ($m) = grep { $_->{data} =~ /"type":"message"/ }
        map { $old->recv } 1 .. 2;
    my $json = $Wscast::WebSocket::JSON->utf8->decode($m->{data});
    ok($m->{packed}, '... is sent messages compressed');
    is_deeply($json->{data}, $data, '... as they were published');

    my $new = $nginx->ws('/json', deflate => $CHROMIUM);
    $new->recv_json;
    my $answer = $ask->($new, { type => 'subscribe', channel => 'kept',
        since => { epoch => $at->{epoch}, offset => $at->{offset} } });
    ok($answer->{recovered}, '... one comes back');
    $m = $new->recv;
    is($Wscast::WebSocket::JSON->utf8->decode($m->{data})->{offset},
        $json->{offset}, '... and gets what it has missed');
    is($m->{packed}, undef, '... which is for it alone: as it is');
    $_->drop for $old, $new;
}

# -- what is refused -----------------------------------------------------

my $hello = "\xf2\x48\xcd\xc9\xc9\x07\x00";

for (
    ['a broken message', 1007, frame_bytes(1, "\x06garbage", rsv => 4)],
    ['one that stops', 1007, frame_bytes(1, "\xf2\x48\xcd", rsv => 4)],
    ['one without a byte', 1007, frame_bytes(1, '', rsv => 4)],
    ['a context that is not there', 1007,
        frame_bytes(1, "\xf2\x00\x11\x00\x00", rsv => 4)],
    ['text that is not UTF-8', 1007, frame_bytes(1,
        "\x00\x01\x00\xfe\xff\xff\x00", rsv => 4)],
    ['a compressed ping', 1002, frame_bytes(9, $hello, rsv => 4)],
    ['RSV1 on a later fragment', 1002, frame_bytes(1, $hello, rsv => 4,
        fin => 0) . frame_bytes(0, $hello, rsv => 4)],
    ['RSV2', 1002, frame_bytes(1, $hello, rsv => 2)],
    ['RSV1 and RSV3', 1002, frame_bytes(1, $hello, rsv => 5)],
    ['a compressed form that is too long', 1009,
        frame_bytes(1, 'x', rsv => 4, length => 64 * 1280 + 65)],
) {
    my ($name, $code, $bytes) = @$_;
    my $ws = $nginx->ws('/eager?room=3', deflate => $CHROMIUM);
    $ws->raw($bytes);
    my $end = $ws->wait_close;
    is($end->{code}, $code, "$name closes with $code");
}

{
    my $ws = $nginx->ws('/text?room=3');
    $ws->raw(frame_bytes(1, $hello, rsv => 4));
    is($ws->wait_close->{code}, 1002, 'nothing is compressed unagreed');
}

# -- bombs ---------------------------------------------------------------

{
    my $z    = Wscast::Deflate->new("$OURS; client_no_context_takeover",
        $PLAIN);
    my $bomb = $z->pack("\0" x (64 << 20), level => 9);

    cmp_ok(length $bomb, '<', 70_000, '64 MB fit into a frame of 64 KB');

    my ($in, $out) = map { counter($_) }
        'inflated_total', 'inflate_bytes_out_total';
    my $fits = $z->pack("\0" x 65536, level => 9);
    my $over = $z->pack("\0" x 65537, level => 9);
    my $ws   = $nginx->ws('/text?room=4', deflate => $PLAIN);

    $ws->recv;
    $ws->send_frame(2, $fits, rsv => 4);
    is(length $ws->recv->{data}, 65536, 'a message of 64 KB is let in');
    $ws->send_frame(2, $over, rsv => 4);
    is($ws->wait_close->{code}, 1009, '... a byte more is not');

    my $before = $nginx->memory;
    my (%code, $most);

    for my $turn (1 .. 5) {
        my @ws = map { $nginx->ws('/text?room=4', deflate => $PLAIN) }
            1 .. 20;
        $_->raw(frame_bytes(2, $bomb, rsv => 4)) for @ws;
        $code{ $_->wait_close->{code} }++ for @ws;
        $most = $nginx->memory;
    }

    is_deeply(\%code, { 1009 => 100 }, '100 bombs close with 1009');

    # a sanitizer keeps for a while what is freed
    cmp_ok($most - $before, '<', asan() ? 50_000 : 4_000,
        '... and leave no memory taken: 6 GB would have been');
    is(counter('inflated_total') - $in, 1, '... none of them is a message');
    is(counter('inflate_bytes_out_total') - $out, 65536, '... or its bytes');

    my $alive = $nginx->ws('/text?room=4', deflate => $PLAIN);
    is($alive->recv_text, 'welcome', '... the worker goes on');

    # hundreds that fit, at once: the worker serves others between; it finds
    # what both have said when it goes on

    my $busy = $nginx->ws('/text?room=6', deflate => $PLAIN);
    my $quick = $nginx->ws('/text?room=7', deflate => $PLAIN);
    $_->recv for $busy, $quick;
    my ($came, $answered) = (0, undef);
    my ($worker) = $nginx->workers;

    kill STOP => $worker;
    $busy->raw(frame_bytes(2, $fits, rsv => 4) x 400);
    $quick->text('me too');
    kill CONT => $worker;
    gather([$quick, $busy], timeout => 30,
        until => sub { $came == 400 && defined $answered },
        message => sub {
            my ($ws, $m) = @_;
            $ws == $quick ? ($answered = $came)
                : ($came += length $m->{data} == 65536);
        });
    is($came, 400, '400 messages of 64 KB in 40 KB come all');
    cmp_ok($answered, '<', 100, '... and another client is not last');
    $_->drop for $busy, $quick;

    # in the middle of their messages, and then gone

    my @half = map { $nginx->ws('/text?room=5', deflate => $CHROMIUM) }
        1 .. 20;
    $_->raw(substr frame_bytes(2, $fits, rsv => 4), 0, 40) for @half;
    $alive->ping;
    $alive->frame;
    $_->drop for @half, $alive;
    wait_until(sub { counter('connections') == 0 });
    pass('clients go in the middle of a compressed message');
}

done_testing();
