# Tokens: who a client is and what it may, at the handshake, later, and at the
# end; and nothing of them or of their keys in a log of ours.

use lib 't/lib';
use Wscast;
use Wscast::Token;

my $SECRET = 'a secret of thirty-two bytes, or more';
my %pem    = map { $_ => Wscast::Token::private($_) } 'rsa', 'ec', 'ed';
my $other  = Wscast::Token::private('rsa');

my $nginx = host(<<'CONF', files => {
wscast_hub chat {
    zone          4m;
    token_key     HS256 %%PREFIX%%/secret.key;
    token_key     RS256 %%PREFIX%%/issuer.jwks;
    token_key     PS256 %%PREFIX%%/issuer.pem;
    token_key     ES256 %%PREFIX%%/ec.pem;
    token_key     EdDSA %%PREFIX%%/ed.pem;
    token_leeway  6s;
    channel       room:*  { presence on grace=0s; }
}

map $http_authorization $bearer {
    "~*^Bearer (?<jwt>.+)$"  $jwt;
}

server {
    listen 127.0.0.1:%%PORT%%;

    location /ws {
        wscast        chat;
        wscast_token  $arg_token;
        wscast_allow  subscribe "news";
    }

    location /bearer {
        wscast        chat;
        wscast_token  $bearer;
    }

    location /named {
        wscast        chat;
        wscast_token  $arg_token;
        wscast_user   $arg_user;
        wscast_info   $arg_info;
    }

    location /plain {
        wscast        chat;
        wscast_allow  all "*";
    }

    location = /session {
        internal;
        proxy_pass  http://127.0.0.1:%%PORT_backend%%/session$is_args$args;
        proxy_pass_request_body  off;
        proxy_set_header         Content-Length "";
    }

    location /asked {
        auth_request      /session;
        auth_request_set  $session_user $upstream_http_x_user;
        auth_request_set  $session_info $upstream_http_x_info;

        wscast        chat;
        wscast_user   $session_user;
        wscast_info   $session_info;
        wscast_allow  all "room:*";
    }
}

server {
    listen 127.0.0.1:%%PORT_backend%%;

    location /session {
        if ($http_cookie !~ "sid=good") {
            return 401;
        }

        add_header  X-User ann;
        add_header  X-Info '{"name":"Ann B."}';
        return      204;
    }
}
CONF
    'secret.key'  => "$SECRET\n",
    'issuer.pem'  => Wscast::Token::public($pem{rsa}),
    'ec.pem'      => Wscast::Token::public($pem{ec}),
    'ed.pem'      => Wscast::Token::public($pem{ed}),
    'issuer.jwks' => JSON::PP::encode_json({ keys => [
        Wscast::Token::jwk($other, kid => 'old', alg => 'RS256'),
        Wscast::Token::jwk($pem{rsa}, kid => 'new', use => 'sig'),
    ] }),
});

my @made;       # all tokens of this test: none may be in a log line of ours

sub jwt {
    push @made, Wscast::Token::jwt($SECRET, @_);
    return $made[-1];
}

sub signed {
    push @made, Wscast::Token::signed(@_);
    return $made[-1];
}

sub answer {
    my ($path, %option) = @_;
    my $ws = $nginx->ws($path, %option, raw => 1);
    my $r = $ws->handshake;
    $ws->drop;
    return $r;
}

sub refused {
    my ($name, $token, $reason) = @_;
    my $r = answer("/ws?token=$token");

    is($r->{status}, 401, "$name: 401");
    like($r->{body}, $reason, '... and it is told why');
    is($r->{header}{'www-authenticate'}, 'Bearer error="invalid_token"',
        '... as RFC 6750 wants it');
}

sub welcome {
    my ($path, %option) = @_;
    my $ws = $nginx->ws($path, %option);
    my $m = $ws->recv_json;
    is($m->{type}, 'welcome', 'the handshake is taken') or diag($m->{type});
    return ($ws, $m);
}

# What a client may do: "yes", or the code of the error.

sub may {
    my ($ws, $op, $channel, %more) = @_;
    my $m = $ws->ask({ type => $op, channel => $channel, %more });
    return $m->{type} eq 'error' ? $m->{code} : 'yes';
}

# -- at the handshake ----------------------------------------------------

{
    my ($ws, $m) = welcome('/ws');
    ok(!defined $m->{user}, 'without a token a client is nobody');
    is(may($ws, 'subscribe', 'news'), 'yes', '... who may what the location'
        . ' allows');
    is(may($ws, 'subscribe', 'room:1'), 403, '... and nothing else');
    $ws->drop;

    ($ws, $m) = welcome('/ws?token=');
    ok(!defined $m->{user}, 'an empty token is none');
    $ws->drop;
}

{
    my $token = jwt({ sub => "an\x{e9}", exp => time + 60, wscast => {
        subscribe => ['room:*'], publish => ['room:7'], other => 1 } });
    my ($ws, $m) = welcome("/ws?token=$token");

    is($m->{user}, "an\x{e9}", 'sub is the user');
    is(may($ws, 'subscribe', 'room:1'), 'yes', 'what the token allows may be'
        . ' done');
    is(may($ws, 'publish', 'room:7', data => 1), 'yes', '... all of it');
    is(may($ws, 'publish', 'room:1', data => 1), 403, '... and no more');
    is(may($ws, 'subscribe', 'news'), 'yes', 'the grants of the location'
        . ' stay');
    is(may($ws, 'presence', 'room:1'), 403, 'presence is a grant of its own');
    $ws->drop;
}

for my $case (['RS256', 'rsa', kid => 'new'], ['RS256', 'rsa'],
    ['PS256', 'rsa'], ['PS256', 'rsa', kid => 'any'], ['ES256', 'ec'],
    ['EdDSA', 'ed'])
{
    my ($alg, $key, @header) = @$case;
    my $token = signed($alg, $pem{$key}, { sub => $alg }, @header);
    my ($ws, $m) = welcome("/ws?token=$token");
    is($m->{user}, $alg, "a token of $alg is verified (@header)");
    $ws->drop;
}

{
    my $token = jwt({ sub => 'by header' });
    my ($ws, $m) = welcome('/bearer',
        headers => ["Authorization: Bearer $token"]);
    is($m->{user}, 'by header', 'a token may come in a header');
    $ws->drop;
}

refused('a token that is none', 'nonsense', qr/malformed/);
refused('alg none', Wscast::Token::input('none', { sub => 'a' }) . '.',
    qr/malformed/);
refused('alg none with a signature',
    Wscast::Token::input('none', { sub => 'a' }) . '.AAAA', qr/algorithm/);
refused('a public key for a secret', Wscast::Token::jwt(
    Wscast::Token::public($pem{rsa}), { sub => 'a' }), qr/does not match/);
refused('another secret', Wscast::Token::jwt('x' x 32, { sub => 'a' }),
    qr/does not match/);
refused('a key of another kid', signed('RS256', $pem{rsa}, {}, kid => 'old'),
    qr/does not match/);
refused('an unknown kid', signed('RS256', $pem{rsa}, {}, kid => 'lost'),
    qr/not known/);
refused('an expired token', jwt({ sub => 'a', exp => time - 10 }),
    qr/expired/);
refused('an early token', jwt({ sub => 'a', nbf => time + 60 }),
    qr/not valid yet/);
refused('a sub that is no string', jwt({ sub => 7 }), qr/claim sub/);
refused('a token that is cut', substr(jwt({ sub => 'a' }), 0, -2),
    qr/malformed|does not match/);

{
    my ($ws) = welcome('/ws?token=' . jwt({ exp => time - 1 }));
    $ws->drop;
    pass('within the leeway an expired token is taken');
}

is(answer('/plain?token=nonsense')->{status}, 101,
    'where no token is asked for none is looked at');

# A token of 100 KB does not fit where nginx reads the request.

cmp_ok(answer('/bearer', headers => ['Authorization: Bearer '
    . jwt({ sub => 'a', x => 'x' x 75_000 })])->{status}, '>=', 400,
    'a token of 100 KB is refused');

# -- user and info -------------------------------------------------------

# What the others are told of the client at this path: a member of room:1.

sub member {
    my ($path, %option) = @_;
    my ($ws) = welcome($path, %option);
    is(may($ws, 'subscribe', 'room:1'), 'yes', '... and joins');
    my $watch = $nginx->ws('/plain');
    $watch->recv;
    my $m = $watch->ask({ type => 'presence', channel => 'room:1' });
    $watch->drop;
    $ws->drop;
    wait_until(sub {
        my $again = $nginx->ws('/plain');
        $again->recv;
        my $n = $again->ask({ type => 'presence', channel => 'room:1' });
        $again->drop;
        !@{ $n->{members} // [] };
    });
    is(scalar @{ $m->{members} // [] }, 1, 'there is one member');
    return $m->{members}[0] // {};
}

my %grants = (wscast => { subscribe => ['room:*'] });

{
    my $token = jwt('{"sub":"ann","info":{"id":9007199254740993,"n":[1.50]},'
        . '"wscast":{"subscribe":["room:*"]}}');
    my $member = member("/named?token=$token");
    is($member->{user}, 'ann', 'without wscast_user sub is the user');
    is($member->{info}{id}, '9007199254740993', 'info is the token\'s');

    $member = member("/named?token=$token&user=ben&info=[1]");
    is($member->{user}, 'ben', 'wscast_user is before sub');
    is_deeply($member->{info}, [1], 'wscast_info is before info');

    $member = member("/named?token=$token&info=no%20json");
    is($member->{info}, 'no%20json', 'what is no JSON is told as a string');
}

is(answer('/named?info=' . 'x' x 4095)->{status}, 400,
    'an info of more than 4096 bytes is refused');

{
    my $member = member('/asked', headers => ['Cookie: sid=good']);
    is($member->{user}, 'ann', 'auth_request tells the user');
    is($member->{info}{name}, 'Ann B.', '... and what presence shows');
    is(answer('/asked')->{status}, 401, '... or refuses the client');
}

# -- renewal -------------------------------------------------------------

{
    my $exp = time + 60;
    my ($ws) = welcome('/ws?token='
        . jwt({ sub => 'ann', exp => $exp, %grants }));
    my $m = $ws->ask({ type => 'token', token => jwt({ sub => 'ann',
        exp => $exp + 60, wscast => { subscribe => ['room:2'],
        publish => ['room:*'] } }) });
    is($m->{type}, 'token', 'a token is renewed');
    is($m->{expires}, $exp + 60, '... and the answer tells until when');
    is(may($ws, 'publish', 'room:3', data => 1), 'yes', '... what it allows'
        . ' holds at once');
    is(may($ws, 'subscribe', 'room:1'), 403, '... what it does not is over');

    for my $bad ([jwt({ sub => 'ben' }), 403], ['nonsense', 401],
        [jwt({ sub => 'ann', exp => 1 }), 401], ['', 401],
        [Wscast::Token::jwt('x' x 32, { sub => 'ann' }), 401])
    {
        my ($token, $code) = @$bad;
        $m = $ws->ask({ type => 'token', token => $token });
        is($m->{type} . ' ' . ($m->{code} // ''), "error $code",
            'another is refused: ' . ($m->{reason} // ''));
        is(may($ws, 'publish', 'room:3', data => 1), 'yes',
            '... and changes nothing');
    }

    $m = $ws->ask({ type => 'token', token => jwt({ sub => 'ann' }) });
    ok($m->{type} eq 'token' && !exists $m->{expires},
        'one without exp lasts');
    $ws->drop;
}

{
    my ($ws) = welcome('/ws?token=' . jwt({ sub => 'ann', %grants }));
    is(may($ws, 'subscribe', 'room:1'), 'yes', 'subscribed with a token');
    $ws->json({ type => 'token', token => jwt({ sub => 'ann' }) });
    my %got;
    $got{ $_->{type} } = $_ for $ws->recv_json, $ws->recv_json;
    is($got{unsubscribed}{channel}, 'room:1',
        'what a new token does not allow any more is ended');
    ok($got{token}, '... and the token taken');
    $ws->drop;
}

{
    my ($ws) = welcome('/plain');
    my $m = $ws->ask({ type => 'token', token => jwt({}) });
    is($m->{code}, 400, 'where no token is taken none can be renewed');
    $ws->drop;
}

# -- the end -------------------------------------------------------------

{
    my $exp = time - 3;
    my ($short) = welcome('/ws?token=' . jwt({ sub => 'a', exp => $exp }));
    my ($long) = welcome('/ws?token=' . jwt({ sub => 'b', exp => $exp }));
    $long->ask({ type => 'token', token => jwt({ sub => 'b',
        exp => time + 60 }) });

    my $end = $short->wait_close(10);
    is($end->{code}, 4401, 'a token that runs out ends its connection');
    is($end->{reason}, 'token expired', '... and says so');
    # not time(): its clock may be a tick behind nginx's

    cmp_ok(Time::HiRes::time(), '>=', $exp + 6,
        '... not before the leeway is over');
    cmp_ok(time, '<=', $exp + 6 + scale(5), '... nor much later');
    is(may($long, 'subscribe', 'news'), 'yes', 'one that was renewed goes on');
    $long->drop;
}

# -- logs ----------------------------------------------------------------

# A signature stands for its token: no line has one, nginx's own included.

{
    my $log = $nginx->log_text;
    my @told = grep { length && index($log, $_) >= 0 } $SECRET,
        map { (split /\./)[2] } @made;

    cmp_ok(scalar(() = $log =~ /handshake refused with 401/g), '>', 5,
        'refusals are logged');
    is_deeply(\@told, [], '... and tell nothing of tokens or keys');
}

done_testing();
