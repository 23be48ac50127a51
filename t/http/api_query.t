# What the API tells: live channels and their counts over all hosts, history and
# members; and that it forgets.

use lib 't/lib';
use Wscast;
use Wscast::Api;
use Time::HiRes qw(time);

my $CONF = <<'CONF';
wscast_hub chat {
    zone  16m;
    %%REDIS%%

    channel  kept:*  { history 50 10m; }
    channel  room:*  { history 50 10m; presence on; }
    channel  here:*  { presence on; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    wscast_subscriptions  2000;
    large_client_header_buffers  4 32k;

    location /json {
        wscast        chat;
        wscast_allow  all "*";
        wscast_user   $arg_user;
    }

    location /api/ {
        wscast_api  chat;
    }

    location /moved/ {
        rewrite  ^/moved/(.*)$ /api/$1 last;
    }
}
CONF

sub subscriber {
    my ($host, $user, @channels) = @_;
    my $ws = $host->ws("/json?user=$user");
    $ws->{id} = $ws->recv_json->{client};
    $ws->ask({ type => 'subscribe', channel => $_ }) for @channels;
    return $ws;
}

sub names {
    my ($r) = @_;
    return join ' ', map { "$_->{channel}:$_->{subscribers}" }
        @{ $r->{json}{channels} };
}

settings($CONF, sub {
    my ($in, $one, $two, $redis) = @_;

    # -- live channels ---------------------------------------------------

    {
        is(api($one, GET => 'channels')->{body}, "{\"channels\":[]}\n",
            "$in: without clients there are no channels");

        my @ws = (
            (map { subscriber($one, '', 'x:1', 'a', 'x:2') } 1 .. 4),
            (map { subscriber($two, '', 'x:1', 'b/c') } 1 .. 5),
            subscriber($two, '', "x:\xc3\xa9", 'x:10'),
        );

        my $r = api($one, GET => 'channels');
        is($r->{status}, 200, '... then they are listed');
        is(names($r), "a:4 b/c:5 x:1:9 x:10:1 x:2:4 x:\xc3\xa9:1",
            '... by name, with the subscribers of all hosts')
            || diag($r->{body});
        is($r->{body}, api($two, GET => 'channels')->{body},
            '... the same on any host');
        ok(!exists $r->{json}{more}, '... and there are no others');

        is(names(api($one, GET => 'channels?prefix=x:')),
            "x:1:9 x:10:1 x:2:4 x:\xc3\xa9:1", '... those of a prefix');
        is(names(api($one, GET => 'channels?prefix=b%2Fc&limit=1')), 'b/c:5',
            '... which may be percent-encoded');
        is(names(api($one, GET => 'channels?prefix=none')), '',
            '... perhaps none');

        my ($after, @pages) = ('');

        while (1) {
            my $page = api($two, GET => "channels?limit=2&after=$after");
            push @pages, names($page);
            last if !$page->{json}{more} || @pages > 9;
            $after = $page->{json}{channels}[-1]{channel} =~ s/:/%3A/r;
        }

        is(join(' | ', @pages), "a:4 b/c:5 | x:1:9 x:10:1 | x:2:4 x:\xc3\xa9:1",
            '... page by page');
        is(names(api($one, GET => 'channels?limit=1&prefix=x:&after=x%3A10')),
            'x:2:4', '... with a prefix, too');

        is(api($one, GET => 'channels/x:1')->{body},
            "{\"channel\":\"x:1\",\"subscribers\":9}\n",
            "$in: one channel is counted over all hosts");
        is(api($one, GET => 'channels/nobody')->{json}{subscribers}, 0,
            '... also one that nobody is on');

        my @load = map { subscriber($_, '',
            map { sprintf 'many:%04d', $_ } 1 .. 1200) } $one, $two;
        $r = api($one, GET => 'channels?prefix=many:&limit=1000');
        is(scalar @{ $r->{json}{channels} }, 1000,
            "$in: a thousand channels are told");
        is(names($r), join(' ', map { sprintf 'many:%04d:2', $_ } 1 .. 1000),
            '... none left out, none counted wrongly');
        ok($r->{json}{more}, '... and that there are others');
        $r = api($one, GET => 'channels?prefix=many:&after=many:1000');
        is($r->{json}{channels}[0]{channel}, 'many:1001', '... which follow');
        $_->drop for @ws, @load;
        ok(wait_until(sub { names(api($one, GET => 'channels')) eq '' }),
            '... until their clients have gone');
    }

    # -- history ---------------------------------------------------------

    {
        my $ws = subscriber($two, 'ann', 'kept:1');
        my ($epoch, @live);

        for my $n (1 .. 30) {
            my $r = api($one, POST => 'channels/kept:1',
                body => qq({"n": $n, "big":12345678901234567890}));
            $epoch = $r->{json}{epoch};
            push @live, $ws->recv_text;
        }

        like($epoch, qr/^[0-9a-f]{16}$/, "$in: a publish tells the epoch");
        $ws->ask({ type => 'publish', channel => 'kept:1', data => 'ann' });
        push @{ $ws->{aside} }, $ws->recv_json if !@{ $ws->{aside} // [] };
        is($ws->{aside}[0]{data}, 'ann', '... as does one of a client');

        my $r = api($two, POST => 'channels/kept:1', body => "\xff\1",
            headers => ['Content-Type: application/octet-stream']);
        is($r->{json}{offset}, 32, '... and the offset');
        push @live, $ws->recv_text;

        is(api($one, GET => 'channels/kept:1/history?limit=1')->{body},
            qq({"channel":"kept:1","epoch":"$epoch","offset":32,"messages":[)
            . "$live[-1]],\"more\":true}\n",
            "$in: history has the very messages that clients get");
        is(api($two, GET => 'channels/kept:1/history?limit=3&before=4')
            ->{body},
            qq({"channel":"kept:1","epoch":"$epoch","offset":32,"messages":[)
            . join(',', @live[0 .. 2]) . "]}\n", '... before an offset');

        $r = api($one, GET => 'channels/kept:1/history');
        is(join(' ', map { $_->{offset} } @{ $r->{json}{messages} }),
            join(' ', 13 .. 32), '... 20 unless told, the oldest first');
        is($r->{json}{messages}[-2]{user}, 'ann', '... with who published');

        $r = api($one, GET => 'channels/kept:1/history?before=1');
        is_deeply($r->{json}, { channel => 'kept:1', epoch => $epoch,
            offset => 32, messages => [] }, '... and nothing before the first');
        $r = api($one, GET => 'channels/kept:1/history?before=99');
        is($r->{json}{messages}[-1]{offset}, 32, '... an offset that is to come');

        api($one, POST => 'channels/kept:1', body => $_) for 1 .. 40;
        $r = api($two, GET => 'channels/kept:1/history?limit=1000');
        is(join(' ', map { $_->{offset} } @{ $r->{json}{messages} }),
            join(' ', 23 .. 72), '... what is over its length has gone');

        is_deeply(api($one, GET => 'channels/kept:1')->{json},
            { channel => 'kept:1', subscribers => 1, epoch => $epoch,
                offset => 72 }, "$in: a channel tells where it is");

        my $gone = api($two, DELETE => 'channels/kept:1/history');
        is($gone->{body},
            qq({"channel":"kept:1","epoch":"$epoch","offset":72}\n),
            "$in: history is forgotten, its position kept");
        is_deeply(api($one, GET => 'channels/kept:1/history')->{json},
            { channel => 'kept:1', epoch => $epoch, offset => 72,
                messages => [] }, '... on all hosts');
        is(api($one, POST => 'channels/kept:1', body => 'x')->{json}{offset},
            73, '... and goes on from there');

        $r = api($one, GET => 'channels/kept:never/history');
        is($r->{status}, 200, "$in: nothing has been published to a channel");
        is_deeply($r->{json}{messages}, [], '... so that it has no messages');
        is($r->{json}{offset} // 0, 0, '... and no offset');
        $ws->drop;
    }

    {
        my $data = 'x' x 30_000;
        api($one, POST => 'channels/kept:large', body => $data) for 1 .. 40;
        my $r = $one->http('GET',
            '/api/channels/kept:large/history?limit=1000');
        my @offsets = $r->{body} =~ /"offset":(\d+),"time"/g;
        cmp_ok(scalar @offsets, '<', 20, "$in: an answer has its limit");
        cmp_ok(scalar @offsets, '>', 4, '... in bytes');
        is($offsets[-1], 40, '... it holds the newest');
        like($r->{body}, qr/"more":true/, '... and tells that there are more');

        my $before = $offsets[0];
        $r = $one->http('GET', '/api/channels/kept:large/history?limit=1000'
            . "&before=$before");
        is(($r->{body} =~ /"offset":(\d+),"time"/g)[-1], $before - 1,
            '... which follow');
    }

    # -- presence --------------------------------------------------------

    {
        my @ws = map { subscriber($_ % 2 ? $one : $two, "u$_", 'room:1') }
            1 .. 7;
        my $r = api($one, GET => 'channels/room:1/presence');
        is_deeply($r->{json}, { channel => 'room:1', total => 7, members => [
            map { { client => $ws[$_ - 1]{id}, user => "u$_" } } 1 .. 7
        ] }, "$in: members of all hosts, in the order of joining")
            || diag($r->{body});

        my ($after, @users) = ('');

        for (1 .. 9) {
            $r = api($two, GET => "channels/room:1/presence?limit=3$after");
            push @users, join ' ', map { $_->{user} } @{ $r->{json}{members} };
            is($r->{json}{total}, 7, '... of so many');
            last if !defined $r->{json}{next};
            $after = "&after=$r->{json}{next}";
        }

        is(join(' | ', @users), 'u1 u2 u3 | u4 u5 u6 | u7', '... in pages');

        is(api($one, GET => 'channels/room:1')->{json}{members}, 7,
            '... and counted');
        is_deeply(api($one, GET => 'channels/here:1')->{json},
            { channel => 'here:1', subscribers => 0, members => 0 },
            '... also where nobody is');
        $_->drop for @ws;
    }

    # -- slashes ---------------------------------------------------------

    {
        my $ws = subscriber($two, '', 'kept:a/history', 'kept:a');
        is(api($one, POST => 'channels/kept:a%2Fhistory', body => 'x')
            ->{json}{channel}, 'kept:a/history',
            "$in: a slash written %2F belongs to a name");
        is($ws->recv_json->{channel}, 'kept:a/history', '... that has it');
        is(scalar @{ api($one, GET => 'channels/kept:a%2fhistory/history')
            ->{json}{messages} }, 1, '... and may have a history');
        is_deeply(api($one, GET => 'channels/kept:a/history')->{json}
            {messages}, [], '... as others have theirs');
        is(api($one, GET => 'channels/kept:a%2Fb/c')->{json}{channel},
            'kept:a/b/c', '... a plain one inside may be either');
        is(api($one, GET => 'channels/history')->{json}{channel}, 'history',
            '... and a name may be a word of ours');

        for my $path ('/moved/channels/kept:a%2Fhistory',
            '/%61pi/channels/kept:a%2Fhistory',
            '/api//channels/kept:a%2Fhistory',
            '/x/../api/channels/kept:a%2Fhistory?a=/history')
        {
            my $r = $one->http('GET', $path);
            like($r->{body}, qr{^\{"channel":"kept:a/history","sub},
                "... by whatever way it comes: $path");
        }

        # what rules of locations have seen is what counts
        like($one->http('GET', '/api/channels/x%2F..%2Fkept:b')->{body},
            qr/"channel":"kept:b"/, '... what nginx has resolved is resolved');
        like($one->http('GET', '/api/channels/kept:b%2F%2Fhistory')->{body},
            qr/"messages"/, '... as is what it has merged');
        $ws->drop;
    }

    # -- refusals --------------------------------------------------------

    refused(api($one, GET => 'channels/plain/history'), 400,
        'history is not enabled on plain', "$in: no history");
    refused(api($one, DELETE => 'channels/a%22b/history'), 400,
        'history is not enabled on a"b', '... nothing to forget');
    refused(api($one, GET => 'channels/kept:1/presence'), 400,
        'presence is not enabled on kept:1', '... no presence');

    for my $limit ('0', '1001', '-1', 'x', '', '1e2', '99999999999999999999') {
        for my $path ('channels', 'channels/room:1/history',
            'channels/room:1/presence')
        {
            refused(api($one, GET => "$path?limit=$limit"), 400,
                'limit is not a number from 1 to 1000',
                "... $path?limit=$limit");
        }
    }

    refused(api($one, GET => 'channels/room:1/history?before=0'), 400,
        'before is not an offset', '... before the beginning');
    refused(api($one, GET => 'channels/room:1/presence?after=b'), 400,
        'after is not the next of an answer', '... an odd cursor');
    refused(api($one, GET => 'channels?prefix=%ff'), 400,
        'prefix or after is not UTF-8', '... an odd prefix');
    refused(api($one, GET => 'channels?after=%c3'), 400,
        'prefix or after is not UTF-8', '... an odd after');
    refused(api($one, GET => 'channels/a%01b'), 400, 'channel is not valid',
        '... an odd name');

    return if !$redis;

    # -- Redis stands still ----------------------------------------------

    $redis->freeze;

    for my $path ('channels', 'channels/room:1', 'channels/kept:1/history',
        'channels/room:1/presence')
    {
        my $begun = time;
        refused(api($one, GET => $path), 503, 'engine is away',
            "while Redis stands still: $path");
        cmp_ok(time - $begun, '<', scale(6), '... in bounded time');
    }

    refused(api($one, DELETE => 'channels/kept:1/history'), 503,
        'engine is away', '... and nothing is forgotten');
    $redis->thaw;
    ok(wait_until(sub {
        api($one, GET => 'channels/room:1')->{status} == 200
    }, 20), '... and it goes on when Redis does');
});

done_testing();
