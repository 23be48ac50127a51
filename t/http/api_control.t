# Ending clients from outside, wherever they are; and the routes: what there is,
# and by which method.

use lib 't/lib';
use Wscast;
use Wscast::Api;
use IO::Socket::INET;
use Time::HiRes qw(time);

my $CONF = <<'CONF';
wscast_hub chat {
    zone  16m;
    %%REDIS%%

    channel  room:*  { presence on grace=0s; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    wscast_drain  1h;
    wscast_ping   1h;           # nobody reads while others are examined

    location /json {
        wscast          chat;
        wscast_channel  "room:1";
        wscast_allow    all "*";
        wscast_user     $arg_user;
    }

    location /text {
        wscast          chat text;
        wscast_channel  "room:1";
        wscast_welcome  "welcome";
        wscast_user     $arg_user;
    }

    location /api/ {
        wscast_api  chat;
    }

    location /deep/er {
        wscast_api  chat;
    }
}
CONF

# Who leaves does so before somebody counts who is there.

sub leave {
    my ($host, @ws) = @_;

    $_->drop for @ws;

    return ok(wait_until(sub {
        my $json = api($host, GET => 'channels/room:1')->{json};
        return defined $json->{subscribers}
            && !$json->{subscribers} && !$json->{members};
    }), '... and who has gone is counted no more');
}

sub client {
    my ($host, $user) = @_;
    my $ws = $host->ws("/json?user=$user");
    $ws->{id} = $ws->recv_json->{client};
    return $ws;
}

settings($CONF, sub {
    my ($in, $one, $two, $redis) = @_;

    # -- one client ------------------------------------------------------

    {
        my @ws = map { client($_ % 2 ? $one : $two, 'ann') } 1 .. 6;

        for my $ws (@ws[0, 1]) {
            my $r = api($one, DELETE => "clients/$ws->{id}");
            is($r->{status}, 200, "$in: a client can be disconnected");
            is($r->{body}, "{\"disconnected\":1}\n", '... wherever it is');
            my $end = $ws->wait_close;
            is($end->{code}, 4403, '... it is closed with 4403');
            is($end->{reason}, 'disconnected by the API', '... and told why');
            is(api($two, DELETE => "clients/$ws->{id}")->{body},
                "{\"disconnected\":0}\n", '... and cannot be once more');
        }

        is($_->ask({ type => 'ping' })->{type}, 'pong',
            '... no other is concerned') for @ws[2 .. 5];
        is(api($one, DELETE => 'clients/nobody')->{body},
            "{\"disconnected\":0}\n", '... nobody need be there');
        is(api($one, DELETE => 'users/ann')->{body},
            "{\"disconnected\":4}\n", "$in: a user can be disconnected");
        is($_->wait_close->{code}, 4403, '... all connections are closed')
            for @ws[2 .. 5];
    }

    # -- one user --------------------------------------------------------

    {
        my $name = "d'\xc3\xa9/x y";
        my $path = 'd%27%C3%A9%2Fx%20y';
        my @his = map { $_->ws("/text?user=$name" =~ s/ /%20/r) } $one, $two;
        $_->recv for @his;
        my @others = (client($one, 'bob'), client($two, ''));

        # a variable is what nginx has of the URI: as it was written
        my $written = $his[0]{path} =~ s/.*user=//r;
        my $r = api($two, DELETE => 'users/' . $written =~ s/%/%25/gr);
        is($r->{json}{disconnected}, 2,
            "$in: a user may have any name") || diag($r->{body});
        is($_->wait_close->{code}, 4403, '... in any dialect') for @his;

        is(api($one, DELETE => 'users/bo')->{json}{disconnected}, 0,
            '... the whole of it must match');
        is($_->ask({ type => 'ping' })->{type}, 'pong', '... others stay')
            for @others;

        refused(api($one, DELETE => 'users/' . 'x' x 1025), 400,
            'user is not valid', '... one too long is none');
        refused(api($one, DELETE => 'users/%ff'), 400, 'user is not valid',
            '... nor is one that is not UTF-8');
        refused(api($one, DELETE => 'clients/' . 'x' x 256), 400,
            'client is not valid', '... the same of a client');
        leave($one, @others);
    }

    # -- counts ----------------------------------------------------------

    {
        my @ws = map { client($_ % 2 ? $one : $two, "u$_") } 1 .. 20;
        is(api($_, GET => 'channels/room:1')->{json}{subscribers}, 20,
            "$in: each host knows the clients of all") for $one, $two;
        is(api($one, DELETE => "users/u$_")->{json}{disconnected}, 1,
            "... u$_ is ended") for 1 .. 10;
        $_->wait_close for @ws[0 .. 9];
        ok(wait_until(sub {
            my $json = api($two, GET => 'channels/room:1')->{json};
            return $json->{subscribers} == 10 && $json->{members} == 10;
        }), '... and then they are counted no more')
            || diag(api($two, GET => 'channels/room:1')->{body});

        # while workers of both generations serve
        $two->reload;
        ok(!$redis || wait_until(sub {
            my $hub = $two->hub;
            return $hub->{redis_up}
                && $hub->{redis_links} == $hub->{workers} + 1;
        }), "$in: workers of both generations serve");
        is(api($one, GET => 'channels/room:1')->{json}{subscribers}, 10,
            "$in: those of old workers are counted during a reload");
        is(api($two, DELETE => 'users/u11')->{json}{disconnected}, 1,
            '... and can be disconnected');
        leave($one, @ws);
    }

    # -- many at a time --------------------------------------------------

    {
        my $ws = client($two, 'eve');
        my @socks = map {
            my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                PeerPort => $one->port) or die;
            syswrite $sock, join '', map {
                "GET /api/channels/room:1 HTTP/1.1\r\nHost: a\r\n\r\n"
            } 1 .. 20;
            $sock;
        } 1 .. 30;

        # half of them leave at once
        close $_ for @socks[0 .. 14];

        for my $sock (@socks[15 .. 29]) {
            my $in = '';
            my @answers;
            my $end = time + scale(10);

            while (time < $end && @answers < 20) {
                next if !IO::Select->new($sock)->can_read(0.2);
                sysread $sock, $in, 65536, length $in or last;
                @answers = $in =~ /^\{.*\}$/mg;
            }

            my @right = grep { /"subscribers":1,/ } @answers;
            is(scalar @right, 20, 'all that is asked at once is answered')
                || diag($in);
        }

        leave($one, $ws);
    }

    # -- routes ----------------------------------------------------------

    my %allow = (
        'channels'                 => 'GET',
        'channels/x'               => 'GET, POST',
        'channels/room:1/history'  => 'GET, DELETE',
        'channels/room:1/presence' => 'GET',
        'publish'                  => 'POST',
        'clients/x'                => 'DELETE',
        'users/x'                  => 'DELETE',
    );

    for my $path (sort keys %allow) {
        for my $method (qw(GET POST DELETE PUT PATCH OPTIONS)) {
            next if $allow{$path} =~ /\b$method\b/;
            my $r = api($one, $method => $path,
                $method =~ /^P/ ? (body => 'x') : ());
            refused($r, 405, 'method is not allowed here',
                "$in: $method $path");
            is($r->{header}{allow}, $allow{$path}, '... may be others');
        }

        my $r = api($one, HEAD => $path);
        is($r->{status}, 405, "... HEAD $path");
    }

    for my $path ('', 'nonsense', 'channel/x', 'channels/', 'publish/x',
        'publish/', 'clients', 'clients/', 'users', 'users/', 'Channels')
    {
        refused(api($one, $_ => $path, $_ eq 'POST' ? (body => 'x') : ()),
            404, 'no such route', "$in: $_ $path") for 'GET', 'POST', 'DELETE';
    }

    like($one->http('GET', '/deep/er/channels/x')->{body},
        qr/"channel":"x"/, "$in: a location may be without a slash");
    refused($one->http('GET', '/deep/erchannels/x'), 404, 'no such route',
        '... which is asked for then');

    # a body where none is due
    like(api($one, GET => 'channels/x', body => 'x' x 5000)->{body},
        qr/"channel":"x"/, '... a body of a GET does no harm');

    return if !$redis;

    # -- the other host hangs, or says nonsense --------------------------

    {
        my $ws = client($one, 'ann');
        my ($victim) = $two->workers;
        ok($two->stop_worker($victim), 'a worker hangs');
        my $begun = time;
        my $r = api($one, GET => 'channels/room:1');
        is($r->{json}{subscribers}, 1, 'without a worker that hangs');
        cmp_ok(time - $begun, '<', scale(4), '... is answered in time');
        kill 'CONT', $victim;
        leave($one, $ws);
    }

    {
        my $ws = client($two, 'ann');
        my @nonsense = ('', '{', '[]', '{}', '{"ask":1}', '{"ask":"nothing"}',
            '{"ask":"client","name":7}', '{"ask":"user","name":""}',
            '{"ask":"channels","name":"","limit":1e9,"host":"0","worker":7}',
            '{"ask":"count","name":"\ud800","id":1}', "\0\1\2", "\xff",
            '{"ask":"channels","name":"","limit":0,"after":"","host":'
                . '"0000000000000000","worker":"0000000000000000","id":1}',
            '{"ask":' x 200);
        $redis->command('PUBLISH', "wscast:chat:\1control", $_) for @nonsense;
        is($ws->ask({ type => 'ping' })->{type}, 'pong',
            'nonsense in Redis does no harm');

        my ($reply) = grep { /\x01reply:/ } @{ $redis->command('PUBSUB',
            'CHANNELS', "wscast:chat:\1reply:*") };
        ok($reply, 'each worker has a channel for its answers');

        for my $id (1 .. 200) {
            $redis->command('PUBLISH', $reply, $_) for @nonsense,
                qq({"host":"00","worker":"","workers":1,"id":$id}),
                '{"host":"0000000000000001","worker":"0000000000000002",'
                . qq("workers":1,"id":$id,"channels":[["a"],[1,2],"x"]});
        }

        is(api($one, GET => 'channels/room:1')->{json}{subscribers}, 1,
            '... nor in answers');

        is($redis->command('PUBLISH', "wscast:chat:\1control",
            '{"ask":"client","name":"' . $ws->{id} . '"}'), 2,
            'a question that wants no answer');
        is($ws->wait_close->{code}, 4403, '... is obeyed');
    }

    # -- a worker answers, and ends before the others answer -------------

    {
        # a third host, of three workers and then of two
        my $third = bless { port => $redis->port }, 'Wscast::Redis';
        $third->command('SUBSCRIBE', "wscast:chat:\1control");

        my $begun = time;
        my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $one->port) or die;
        syswrite $sock, "GET /api/channels/room:1 HTTP/1.1\r\nHost: a\r\n"
            . "Connection: close\r\n\r\n";

        my $asked = JSON::PP::decode_json($third->_reply->[2]);
        my @workers = (3, 2, 2);

        for my $n (1 .. 3) {
            # what must not be the end shall have had the time to be it
            hold_for(0.2, sub { 1 }) if $n == 3;
            $redis->command('PUBLISH',
                "wscast:chat:\1reply:$asked->{host}:$asked->{worker}",
                sprintf '{"host":"00000000000000ff","worker":"%016x",'
                    . '"workers":%d,"id":%d,"count":%d}',
                    $n, $workers[$n - 1], $asked->{id}, $n == 3 ? 7 : 0);
        }

        my $answer = do { local $/; readline $sock };
        my $took = time - $begun;
        ok($answer =~ /"subscribers":7,/ || $took > 1,
            'who was asked is waited for, though another worker has ended')
            || diag(sprintf '%s after %.3f s', $answer, $took);
    }

    # -- Redis stands still ----------------------------------------------

    {
        my $ws = client($one, 'ann');
        $redis->freeze;
        my $begun = time;
        refused(api($one, DELETE => 'users/ann'), 503, 'engine is away',
            'while Redis stands still nobody is disconnected');
        cmp_ok(time - $begun, '<', scale(6), '... in bounded time');

        # an asker who does not wait for it
        my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $one->port) or die;
        syswrite $sock, "DELETE /api/users/x HTTP/1.1\r\nHost: a\r\n\r\n";
        close $sock;

        $redis->thaw;
        ok(wait_until(sub {
            my $r = api($one, DELETE => 'users/ann');
            return $r->{status} == 200;
        }, 20), '... and then it is done');

        # perhaps by the first question, which was lost to its asker alone

        is($ws->wait_close->{code}, 4403, '... with 4403');
    }
});

done_testing();
