# Clients who send nonsense in every dialect and at every cut: what the server
# answers stays a sequence of whole frames, and a witness notices nothing.

use lib 't/lib';
use Wscast;

my $SEED = $ENV{WSCAST_SEED} // 20261122;

my $nginx = host(<<'CONF', workers => 2);
wscast_hub chat {
    zone 8m;
}

server {
    listen 127.0.0.1:%%PORT%%;
    listen 127.0.0.1:%%PORT_ssl%% ssl;

    ssl_certificate      %%CERT%%;
    ssl_certificate_key  %%KEY%%;

    error_log  %%PREFIX%%/logs/error.log warn;

    location /text {
        wscast          chat text;
        wscast_channel  "room:$arg_room";
        wscast_allow    publish "room:*";
        wscast_welcome  "welcome";
    }

    location /json {
        wscast          chat;
        wscast_channel  "room:1" "room:2";
        wscast_allow    all "*";
    }

    location /hold {
        wscast          chat text;
        wscast_channel  "room:2";
        wscast_allow    publish "*";
        wscast_request  hold;
    }
}
CONF

srand $SEED;

my @json = ('{"type":"ping"}', '{"type":"subscribe","channel":"a"}',
    '{"type":"unsubscribe","channel":"a"}', '{"type":"publish",'
    . '"channel":"room:1","data":[1]}', '{"type":"publish","data":"\ud800"}',
    '[[[[', '{"type":"history","id":"\u0000"}', "\xef\xbb\xbf{}", '');
my @codes = (0, 999, 1000, 1005, 1006, 1015, 2999, 3000, 4999, 65535);

sub pick { return $_[rand @_] }

sub noise { return join '', map { chr rand 256 } 1 .. rand $_[0] }

# One frame, more often right than wrong.

sub frame {
    my $op = pick(1, 1, 1, 2, 0, 9, 10, 8, int rand 16);
    my $data = $op == 8 ? pack('n', pick(@codes)) . pick('', 'bye', "\xff")
             : $op >= 9 ? noise(pick(10, 10, 10, 140))
             :            pick(pick(@json), noise(200), 'x' x rand 70_000);

    return Wscast::WebSocket::frame_bytes($op, $data,
        fin  => pick(1, 1, 1, 0),
        rsv  => pick((0) x 30, 1 .. 7),
        mask => pick((1) x 30, 0),
        (rand() < 0.03 ? (length_bytes => length $data < 65536 ? 2 : 8) : ()),
    );
}

my $witness = $nginx->ws('/text?room=0', timeout => 20);
is($witness->recv_text, 'welcome', 'a witness is there');

my ($opened, @odd, %code) = (0);

for my $round (1 .. 60) {
    my @ws = map {
        my $path = pick('/text?room=1', '/text?room=2', '/json', '/hold');
        $nginx->ws($path, rand() < 0.15
            ? (tls => 1, port => $nginx->port('PORT_ssl')) : ());
    } 1 .. 10;
    $opened += @ws;

    for my $ws (@ws) {
        my $bytes = join '', map { frame() } 1 .. 1 + rand 12;
        $bytes .= noise(50) if rand() < 0.2;

        while (length $bytes && !$ws->{eof}) {
            $ws->queue(substr $bytes, 0, 1 + rand pick(3, 100, 70_000), '');
            $ws->_write for 1 .. 20;
        }
    }

    $_->drop(reset => rand() < 0.5) for grep { rand() < 0.3 } @ws;

    # who is left is read to the end; our parser dies of anything odd
    for my $ws (grep { $_->{sock} } @ws) {
        my $end = eval {
            $ws->flush if length $ws->{out};
            $ws->{closing} = 1;
            $ws->raw(Wscast::WebSocket::close_bytes(1000)) if !$ws->{eof};
            $ws->wait_close;
        };
        push @odd, $@ if !$end;
        $code{ $end->{code} // 'none' }++ if $end;
    }

    $witness->text("round $round");
    push @odd, 'the witness' if ($witness->recv_text // '') ne "round $round";
}

note(join ', ', map { "$_: $code{$_}" } sort keys %code);
is(scalar @odd, 0, "$opened clients of nonsense (seed $SEED) get whole "
    . 'frames and an end') || diag(@odd);
is((grep { !/^(?:none|1000|1002|1007|1008|1009|3000|4999|1005)$/ }
    keys %code), 0, 'they are closed with codes that are due')
    || diag(explain(\%code));
cmp_ok($code{1002} // 0, '>', 10, 'many for a breach of the protocol');

done_testing();
