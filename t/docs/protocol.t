# The messages of docs/protocol.md: a real server takes those of clients as
# they stand there, and sends the others, with these members in this order.

use lib 't/lib';
use Wscast;
use Wscast::Docs;
use Wscast::Token;
use Encode ();
use utf8;

my $SECRET = 'a secret of thirty-two bytes, or more';
my $redis  = redis();
my $nginx  = host(<<'CONF', redis => $redis, files => {
wscast_hub chat {
    redis      redis://127.0.0.1:%%REDIS_PORT%%;
    token_key  HS256 %%PREFIX%%/chat.key;

    channel  plain:*  { presence on; }
    channel  room:*   { history 100 10m; presence on grace=0s; }
    channel  back:*   { history 100 10m; presence on grace=20s; }
}

server {
    listen 127.0.0.1:%%PORT%%;

    location /ws {
        wscast          chat;
        wscast_token    $arg_token;
        wscast_welcome  hello;
        wscast_drain    100ms;
        wscast_allow    subscribe publish presence history
                        "room:7" "back:*" "plain:*";
        wscast_allow    subscribe "unsaid";
    }

    location /api/ { wscast_api chat; }
}
CONF
    'chat.key' => $SECRET });

ok(wait_until(sub { $nginx->has_redis }), 'the host is up');

# -- shapes --------------------------------------------------------------

# What a message is made of: its members in their order, with the kinds of
# their values; and the same of the objects in its arrays.

my @inner;

sub shape {
    my ($key) = @_;
    my $n     = @inner;
    my $shape = inside($key);

    return $shape if $key !~ /^(?:data|info|msg|id)$/;

    splice @inner, $n;                  # these can be anything

    return 'any';
}

sub inside {
    my ($key) = @_;

    if (/\G\s*\{\s*/gc) {
        my @members;

        until (/\G\s*\}/gc) {
            /\G\s*"((?:[^"\\]|\\.)*)"\s*:/gc or die 'no member: ' . $_;
            my $name = $1;
            push @members, "$name=" . shape($name);
            /\G\s*,/gc;
        }

        return '{' . join(' ', @members) . '}';
    }

    if (/\G\s*\[/gc) {
        until (/\G\s*\]/gc) {
            push @inner, "$key: " . shape('');
            /\G\s*,/gc;
        }

        return '[]';
    }

    /\G\s*("(?:[^"\\]|\\.)*"|[-+.eE0-9]+|true|false|null)/gc
        or die 'no value: ' . $_;
    my $value = $1;

    return $value if $key eq 'type' || $key eq 'recovered' || $key eq 'more';
    return 'epoch' if $key eq 'epoch' && $value =~ /^"[0-9a-f]{16}"$/;
    return 'client' if $key =~ /^(?:client|member)$/ && length $value == 18;
    return $value =~ /^"/ ? 'string' : $value =~ /^[a-z]/ ? 'word' : 'number';
}

sub shapes {
    local ($_) = @_;
    @inner = ();
    pos = 0;
    my $outer = shape('');

    return ($outer, @inner);
}

is(join(' ', shapes('{"type":"a","id":[1],"members":[{"client":1}]}')),
    '{type="a" id=any members=[]} members: {client=number}',
    'shapes are what they are');

# -- what a server says --------------------------------------------------

my (%said, @clients);

sub heard {
    my ($ws) = @_;
    my @all;

    while (defined(my $text = $ws->recv_text)) {
        $said{$_} = 1 for shapes($text);
        push @all, JSON::PP::decode_json($text);
        return \@all if ($all[-1]{id} // '') eq 'sync';
    }

    return \@all;
}

# Sends a text, and what has come when answers to it and to a ping are there.

sub exchange {
    my ($ws, $text, $answered) = @_;
    my @all;

    $ws->text(Encode::encode_utf8(ref $text
        ? JSON::PP::encode_json($text) : $text)) if defined $text;

    wait_until(sub {
        $ws->text('{"type":"ping","id":"sync"}');
        push @all, @{ heard($ws) };
        return !$answered || grep { $answered->($_) } @all;
    });

    return \@all;
}

sub of { my ($type) = @_; return sub { $_[0]{type} eq $type } }

sub token {
    my ($user, %more) = @_;
    return Wscast::Token::jwt($SECRET,
        { sub => $user, exp => time + 600, %more });
}

sub client {
    my ($query) = @_;
    my $ws = $nginx->ws('/ws' . ($query // ''));
    $ws->{welcome} = exchange($ws)->[0];
    push @clients, $ws;
    return $ws;
}

sub on {
    my ($ws, $channel, %more) = @_;
    my $all = exchange($ws, { type => 'subscribe', id => 1, channel => $channel,
        %more }, of('subscribed'));
    return (grep { $_->{type} eq 'subscribed' } @$all)[0];
}

sub published {
    my ($path, $body) = @_;
    my $r = $nginx->http('POST', "/api/channels/$path", body => $body);
    is($r->{status}, 200, "published to $path");
}

my $ann   = client('?token=' . token('ann', info => { name => 'Ann' },
    wscast => { subscribe => ['room:8'] }));
my $bob   = client('?token=' . token('bob'));
my $guest = client();

on($ann, $_) for 'plain:1', 'room:7', 'room:8';
on($guest, 'room:7');
on($_, 'plain:1') for $bob, $guest;
exchange($ann, undef, of('join'));

exchange($bob, { type => 'publish', channel => 'plain:1', data => 1 },
    of('published'));
exchange($ann, undef, of('message'));
published('room:7', $_) for 1 .. 3;
exchange($guest, undef, sub { ($_[0]{offset} // 0) == 3 });

exchange($ann, { type => 'history', id => 1, channel => 'room:7',
    limit => 2 }, of('history'));
exchange($ann, { type => 'presence', id => 1, channel => 'plain:1',
    limit => 2 }, of('presence'));

{
    my $was = on($guest, 'back:3');

    exchange($guest, { type => 'unsubscribe', channel => 'back:3' },
        of('unsubscribed'));
    published('back:3', 'meanwhile');
    is(on($guest, 'back:3', since => { epoch => $was->{epoch}, offset => 0 })
        ->{recovered}, JSON::PP::true, 'one goes on where it was');
}

# members who leave and come
on($bob, 'room:7');
exchange($bob, { type => 'unsubscribe', channel => 'room:7' },
    of('unsubscribed'));
exchange($ann, undef, of('leave'));

# one who comes back, on another connection: the same member
{
    my $first = client('?token=' . token('eve', info => [1]));
    my $was   = on($first, 'back:1');
    my $id    = $first->{welcome}{client};

    $first->drop;
    published('back:1', 'meanwhile');

    my $now = on(client('?token=' . token('eve', info => [1])), 'back:1',
        since => { epoch => $was->{epoch}, offset => $was->{offset},
            client => $id });
    is($now->{recovered}, JSON::PP::true, 'one comes back');
    is($now->{member}, $id, '... as the same member');
}

# a token with less: what it does not allow ends
exchange($ann, { type => 'token', token => token('ann') }, sub {
    $_[0]{type} eq 'unsubscribed' && !defined $_[0]{id} });

# -- what clients say, as it is documented -------------------------------

my @documented = map { $_->{text} =~ s/\n\z//; $_ }
    grep { $_->{lang} eq 'json' } Wscast::Docs::blocks('docs/protocol.md');
my %MARK = (history => 'messages', presence => 'members', token => 'expires');
my %asked = map { $_ => 1 }
    qw(ping subscribe unsubscribe publish history presence token);
my (%of_client, @of_server);

for my $block (@documented) {
    my $m = JSON::PP::decode_json(Encode::encode_utf8($block->{text}));

    if (!$asked{ $m->{type} }
        || $MARK{ $m->{type} } && exists $m->{ $MARK{ $m->{type} } })
    {
        push @of_server, $block;
        next;
    }

    my $ws   = client('?token=' . token('ann', info => { name => 'Ann' }));
    my $text = $block->{text};

    if ($m->{type} eq 'token') {
        my $fresh = token('ann');
        is($text =~ s/"token":"[^"]+"/"token":"$fresh"/, 1, "$block->{at}:");
    }

    on($ws, $m->{channel}) if $m->{type} eq 'unsubscribe';

    my $all = exchange($ws, $text, sub { defined $_[0]{id} && defined $m->{id}
        && $_[0]{id} eq $m->{id} });
    my ($answer) = grep { defined $_->{id} && $_->{id} eq $m->{id} } @$all;

    $of_client{ $m->{type} }++;
    is($answer->{type}, { ping => 'pong', publish => 'published',
        subscribe => 'subscribed', unsubscribe => 'unsubscribed'
        }->{ $m->{type} } // $m->{type}, "$block->{at}: $m->{type} is taken");
    $ws->drop;
}

is(join(' ', sort keys %of_client), join(' ', sort keys %asked),
    'every command has an example');

# -- the rest of what a server says --------------------------------------

# continuity breaks on an open connection: Redis loses all it has
on($guest, 'back:2');
published('back:2', 'one');
exchange($guest, undef, of('message'));
my $reconnects = $nginx->hub->{redis_reconnects_total};
$redis->command('FLUSHALL');
$redis->command('CLIENT', 'KILL', 'TYPE', 'pubsub');
wait_until(sub { $nginx->hub->{redis_reconnects_total} > $reconnects }, 10);
ok(wait_until(sub { $nginx->has_redis }), 'it is up again');
published('back:2', 'two');
exchange($guest, undef, sub {
    $_[0]{type} eq 'subscribed' && !defined $_[0]{id} });

exchange($guest, { type => 'publish', id => 5, channel => 'room:8', data => 1 },
    of('error'));

# nginx ends: clients are told
$_->drop for grep { $_ != $guest } @clients;
$nginx->signal('QUIT');

while (defined(my $text = $guest->recv_text)) {
    $said{$_} = 1 for shapes($text);
}

is($nginx->wait_end(10), 1, 'nginx ends');

# -- what a server says, as it is documented -----------------------------

for my $block (@of_server) {
    my @shapes = shapes($block->{text});
    my @unsaid = grep { !$said{$_} } @shapes;

    is(join("\n", @unsaid), '', "$block->{at}: a server says this") || diag(
        join "\n", 'it says', grep { /\Q@{[$unsaid[0] =~ s{ .*}{}r]}\E/ }
            sort keys %said);
}

cmp_ok(scalar @of_server, '>', 15, 'there are examples');

done_testing();
