# Clients of both dialects and the API share channels: all of them get the same
# bytes, live, from a position, and from history; without Redis and with it.

use lib 't/lib';
use Wscast;
use Wscast::Api;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);

my $CONF = <<'CONF';
wscast_hub chat {
    zone 16m;
    %%REDIS%%
    channel  kept:*  { history 1000 10m; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /text {
        wscast               chat text;
        wscast_channel       $arg_channel;
        wscast_allow         publish "*";
        wscast_welcome       $pid;
        wscast_user          "text user";
        wscast_message_size  128k;
    }

    location /json {
        wscast               chat;
        wscast_channel       $arg_channel;
        wscast_allow         publish "*";
        wscast_welcome       $pid;
        wscast_user          "json user";
    }

    location /any {
        wscast               chat;
        wscast_allow         all "*";
        wscast_user          "json user";
        wscast_message_size  128k;
    }

    location /api/ { wscast_api chat; }
}
CONF

my $CHARS = join '', map { chr } 1 .. 31, 34, 92, 127;
my $ODD   = "\x{fc}\x{20ac}\x{1f600}\x{2028}";
utf8::encode($ODD);

# published as text or binary; what json clients get, if that is not the same
my @TEXTS = (
    ['hello',                        text => 'hello', '"hello"'],
    ['quotes and controls',          text => "\"\\\n\x01",
        qr/^"\\"\\\\(?:\\n|\\u000a)\\u0001"$/],
    ['all that JSON escapes',        text => $CHARS, undef],
    ['characters of 2 to 4 bytes',   text => $ODD, qq("$ODD")],
    ['a NUL',                        text => "a\0b", '"a\u0000b"'],
    ['nothing',                      text => '', '""'],
    ['an object',                    text => '{"a": 9007199254740993}'],
    ['a broken array',               text => '[1,2', '"[1,2"'],
    ['a number',                     text => '17'],
    ['a number that JSON has not',   text => '017', '"017"'],
    ['two values',                   text => '1 2', '"1 2"'],
    ['60 KB of text',                text => 'word ' x 12_288, undef],
    ['60 KB of controls',            text => "\x02" x 60_000, undef],
    ['a thousand brackets',          text => '[' x 1000 . ']' x 1000, undef],
    ['bytes that are no text',       binary => "\x00\xff\xfe"],
    ['text as binary',               binary => '{"a":1}'],
    ['no bytes',                     binary => ''],
    ['all bytes',                    binary => join '', map { chr } 0 .. 255],
    ['60 KB of bytes',               binary => "\xed\xa0\x80" x 20_000],
);

# published as JSON, which everybody gets as it stands
my @VALUES = (
    '"hello"', 'null', 'true', '0', '-0', '{}', '[]', '""',
    '9007199254740993', '9223372036854775807', '-9223372036854775808',
    '18446744073709551616', '123456789012345678901234567890',
    '0.1', '1.0', '2.50', '-0.0', '1E400', '1e-400', '1E+2',
    '3.14159265358979323846264338327950288419716939937510',
    '{"a":[1, 2.50]}', "{ \"a\" :\t[ 1 ,\n 2 ] }",
    '{"a":1,"a":2,"":3}', '{"data":1,"type":"ping","channel":"x","id":9}',
    '"\u00fc\u0000\u2028\ud83d\ude00\/\""', qq("$ODD\\u00E9\\u00e9"),
    '[' x 100 . '{"a":' x 20 . '1' . '}' x 20 . ']' x 100,
    '[' . join(',', ('"' . 'x' x 100 . '"') x 500) . ']',
    '"' . '\n\u0001' x 7500 . '"',
);

sub short { return length $_[0] > 40 ? substr($_[0], 0, 40) . '...' : $_[0] }

sub quiet { return $_[0] =~ s/[^\x20-\x22\x24-\x7e]/./gr }

# An answer to what was asked, as it came.
sub ask {
    my ($host, $message) = @_;
    my $ws = $host->ws('/any', timeout => 20);
    $ws->recv;
    $ws->json($message);
    return ($ws->recv_text, $ws);
}

sub cases {
    my ($engine, @hosts) = @_;

    for my $channel ('plain:1', 'kept:1') {
        subtest "$engine, $channel" => sub { channel($channel, @hosts[0, 1]) };
    }

    return;
}

settings($CONF, \&cases);
done_testing();


sub channel {
    my ($channel, @hosts) = @_;
    my $kept = $channel =~ /^kept/;

    # several of each, so that both are found on several workers
    my $several = sub {
        my ($path, $pid) = @_;
        my (@ws, %pids);

        while (@ws < 8 || keys %pids < 2 && @ws < 100) {
            push @ws, $hosts[@ws % 2]->ws("$path?channel=$channel");
            $pids{ $pid->($ws[-1]) } = 1;
        }

        return (\@ws, scalar keys %pids);
    };
    my ($text, $text_pids) = $several->('/text', sub { $_[0]->recv_text });
    my ($json, $json_pids) = $several->('/json',
        sub { $_[0]->recv_json->{msg} });
    my @text = @$text;
    my @json = @$json;
    cmp_ok($text_pids, '>', 1, 'several workers have text clients');
    cmp_ok($json_pids, '>', 1, '... and clients that speak json');

    my $any = $hosts[1]->ws('/any');
    $any->recv;
    my $turn = 0;

    my %publish = (
        text   => sub { $text[0]->text($_[0]) },
        binary => sub { $text[-1]->binary($_[0]) },
        json   => sub {
            $any->text(
                qq({"type":"publish","channel":"$channel","data":$_[0]}));
            like($any->recv_text, qr/"type":"published"/, 'it is published');
        },
        'text by the API' => sub {
            is(api($hosts[0], POST => "channels/$channel",
                body => $_[0])->{status}, 200, 'the API takes it');
        },
        'binary by the API' => sub {
            is(api($hosts[1], POST => "channels/$channel", body => $_[0],
                headers => ['Content-Type: application/octet-stream'])
                ->{status}, 200, 'the API takes it');
        },
        'json by the API' => sub {
            is(api($hosts[1], POST => "channels/$channel", body => $_[0],
                headers => ['Content-Type: application/json'])->{status}, 200,
                'the API takes it');
        },
        'a batch' => sub {
            my $r = api($hosts[0], POST => 'publish', body =>
                qq({"messages":[{"data":$_[0],"channel":"$channel"}]}));
            ok(!$r->{json}{results}[0]{error}, 'the API takes it');
        },
    );

    # what everybody gets, live: the frame of text, the message of json clients
    my $live = sub {
        my ($name, $how, $what) = @_;
        my $user = $how =~ /API|batch/ ? undef : "$how user";

        $user = 'text user' if $how eq 'binary';
        $publish{$how}->($what);
        my %frames = map { ("$_->{op} $_->{data}" => $_) }
            map { $_->recv } @text;
        my %told = map { $_->recv_text => 1 } @json;
        is(scalar keys %frames, 1, "$name as $how: text clients get the same");
        is(scalar keys %told, 1, '... json clients get the same');

        my ($frame)   = values %frames;
        my ($message) = keys %told;
        my $m = eval { JSON::PP->new->utf8->decode($message) };
        ok($m, '... in JSON');
        is($m->{user}, $user, '... with its user');

        my ($data) = $message =~ /^\{"type":"message","channel":"[^"]*",
            "data":(.*?)(?:,"epoch":"\w+","offset":\d+)?
            (?:,"user":"[^"]*")?(?:,"client":"[^"]*")?,"time":\d+\}$/xs;
        return ($frame, $data, $message, $m);
    };

    # and what is read of it later
    my $later = sub {
        my ($message, $m) = @_;
        return is($m->{offset}, undef, '... nothing is kept') if !$kept;

        for my $host (@hosts) {
            my ($epoch, $offset) = @$m{qw(epoch offset)};
            my ($answer, $ws) = ask($host, { type => 'subscribe',
                channel => $channel,
                since => { epoch => $epoch, offset => $offset - 1 } });
            like($answer, qr/"recovered":true/, '... it is recovered');
            ok($ws->recv_text eq $message, '... as the same message');
            $ws->drop;

            ($answer, $ws) = ask($host, { type => 'history',
                channel => $channel, limit => 1 });
            my ($body) = $answer =~ /"messages":\[(.*)\](?:,"more":true)?\}$/s;
            ok($body eq $message, '... and so it is in the history')
                || diag(short($answer));
            $ws->drop;

            my $r = api($host, GET => "channels/$channel/history?limit=1");
            ($body) = $r->{body}
                =~ /"messages":\[(.*)\](?:,"more":true)?\}\s*$/s;
            ok($body eq $message, '... and in that of the API')
                || diag(short($r->{body}));
        }

        return 1;
    };

    for my $case (@TEXTS) {
        my ($name, $how, $what, $want) = @$case;

        for my $by ($how, "$how by the API") {
            my ($frame, $data, $message, $m) = $live->($name, $by, $what);
            is($frame->{op}, $how eq 'text' ? 1 : 2, "... it stays $how");
            ok($frame->{data} eq $what, '... unchanged');

            if ($how eq 'binary') {
                is($data, '{"base64":"' . encode_base64($what, '') . '"}',
                    '... json clients get it in base64');
            } elsif (ref $want) {
                like($data, $want, '... json clients get a string');
            } elsif (@$case > 3 && !defined $want) {
                my $text = $m->{data};
                utf8::encode($text) if !ref $text;
                ok($text eq $what, '... json clients get a string');
            } else {
                is($data, $want // $what, '... json clients get it as JSON');
            }

            $later->($message, $m);
        }
    }

    for my $value (@VALUES) {
        for my $how ('json', 'json by the API', 'a batch') {
            my ($frame, $data, $message, $m)
                = $live->(quiet(short($value)), $how, $value);
            is($frame->{op}, 1, '... it is text');
            ok($frame->{data} eq $value, '... unchanged')
                || diag(short($frame->{data}));
            ok($data eq $value, '... and so for json clients')
                || diag(short($data));
            $later->($message, $m);
        }
    }

    # its publisher gets it, too

    $json[0]->text('{"type":"publish","data":{"mine": 1}}');
    my @own = map { $json[0]->recv_text } 1 .. 2;
    is(scalar(grep { /"type":"published"/ } @own), 1, 'a json client is told');
    my ($own) = grep { /"type":"message"/ } @own;
    my %told = map { $_->recv_text => 1 } @json[1 .. $#json];
    is(join("\n", keys %told), $own, '... and gets what the others get');
    is($_->recv_text, '{"mine": 1}', '... as text clients do') for @text;

    # -- all of it at once ---------------------------------------------------

    if ($kept) {
        my ($answer, $ws) = ask($hosts[0],
            { type => 'history', channel => $channel, limit => 1 });
        my $m = JSON::PP->new->utf8->decode($answer);
        my (@one, @pages);
        $ws->drop;

        ($answer, $ws) = ask($hosts[1], { type => 'subscribe',
            channel => $channel, since => { epoch => $m->{epoch},
                                            offset => 0 } });
        like($answer, qr/"recovered":true/, 'all of it is recovered');
        push @one, $ws->recv_text for 1 .. $m->{offset};
        $ws->drop;

        my $before = $m->{offset} + 1;
        while ($before > 1) {
            my $r = api($hosts[0],
                GET => "channels/$channel/history?limit=100&before=$before");
            my ($body) = $r->{body}
                =~ /"messages":\[(.*)\](?:,"more":true)?\}\s*$/s;
            unshift @pages, $body;
            my ($first) = map { $_->{offset} } @{ $r->{json}{messages} };
            last if !$first || $first >= $before;
            $before = $first;
        }
        ok(join(',', @one) eq join(',', @pages),
            '... the same that pages of the history have');
    }

    $_->drop for @text, @json, $any;
    return;
}
