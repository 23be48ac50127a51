# History and resume: positions, pages, keys, and what cannot be recovered; in
# one host alone, and on two with Redis, where all is the same.

use lib 't/lib';
use Wscast;

my $CONF = <<'CONF';
wscast_hub chat {
    zone 8m;
    %%ENGINE%%

    channel  room:*   { history 5 10m; }
    channel  long:*   { history 1000 10m; echo off; }
    channel  brief:*  { history 10 3s; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /ws {
        wscast              chat;
        wscast_allow        all "*";
        wscast_user         $arg_user;
        wscast_send_buffer  64k;
        wscast_ping         1h;     # not all are read all the time
    }

    location /reader { wscast chat; wscast_allow subscribe "room:*"; }
    location /text   { wscast chat text; wscast_channel room:text;
                       wscast_allow publish "*"; }
    location /api/   { wscast_api chat; }
}
CONF

my (@hosts, $turn);

sub client {
    my ($path) = @_;
    my $ws = $hosts[$turn++ % @hosts]->ws($path // '/ws');
    $ws->{welcome} = $ws->recv_json;
    return $ws;
}

sub ask {
    my ($ws, %message) = @_;
    $ws->json(\%message);
    return $ws->recv_json;
}

sub publish {
    my ($ws, $channel, $data, @rest) = @_;
    return ask($ws, type => 'publish', channel => $channel, data => $data,
               @rest);
}

for my $redis (undef, redis()) {
    my $engine = $redis ? 'redis redis://127.0.0.1:%%REDIS_PORT%%;' : '';
    my $conf = $CONF =~ s/%%ENGINE%%/$engine/r;

    @hosts = map { host($conf, workers => 3, $redis ? (redis => $redis) : ()) }
        $redis ? (1, 2) : 1;
    ok(wait_until(sub { $_->has_redis }), 'Redis is found')
        for $redis ? @hosts : ();

    subtest $redis ? 'two hosts with Redis' : 'one host' => \&examine;
}

done_testing();


sub examine {

# -- positions -----------------------------------------------------------

my $p = client();
my $a = client();

my $s = ask($a, type => 'subscribe', id => 1, channel => 'room:1');
is($s->{type}, 'subscribed', 'a channel with history is subscribed');
like($s->{epoch}, qr/^[0-9a-f]{16}$/, '... and has an epoch');
is($s->{offset}, 0, '... and offset 0 while nobody has published');
ok(!exists $s->{recovered}, '... and nothing was to be recovered');

my $epoch = $s->{epoch};

for my $n (1 .. 3) {
    my $r = publish($p, 'room:1', $n);
    is($r->{type}, 'published', "message $n is published");
    is($r->{offset}, $n, '... and has the next offset');
    is($r->{epoch}, $epoch, '... in the epoch of the channel');
    my $m = $a->recv_json;
    is("$m->{epoch} $m->{offset} $m->{data}", "$epoch $n $n",
        '... and tells its position to the subscriber');
}

{
    my $r = ask($p, type => 'subscribe', channel => 'plain');
    ok(!exists $r->{epoch} && !exists $r->{offset},
        'a channel without history has no position');
    $r = publish($p, 'plain', 1);
    my $m = $p->recv_json;
    ($r, $m) = ($m, $r) if $r->{type} eq 'message';
    ok(!exists $r->{offset} && !exists $m->{offset},
        '... nor have its messages');
}

# -- resume --------------------------------------------------------------

sub resume {
    my ($channel, $since, $path) = @_;
    my $ws = client($path);
    $ws->json({ type => 'subscribe', id => 9, channel => $channel,
                since => $since });
    my $answer = $ws->recv_json;
    return ($answer, $ws);
}

for my $from (0 .. 3) {
    my ($answer, $ws) = resume('room:1', { epoch => $epoch, offset => $from });
    ok($answer->{recovered}, "from $from on all is recovered");
    is($answer->{offset}, 3, '... the answer says where the channel is');
    is(join(' ', map { $ws->recv_json->{data} } $from + 1 .. 3),
        join(' ', $from + 1 .. 3), '... and what was missed follows');
    $ws->json({ type => 'ping' });
    is($ws->recv_json->{type}, 'pong', '... and nothing else');
    $ws->close;
}

{
    my ($answer, $ws) = resume('room:1', { epoch => 'f' x 16, offset => 2 });
    is($answer->{recovered}, JSON::PP::false(),
        'of another epoch nothing can be recovered');
    is("$answer->{epoch} $answer->{offset}", "$epoch 3",
        '... the answer has the position to go on from');
    publish($p, 'room:1', 4);
    is($ws->recv_json->{offset}, 4, '... and live messages follow');
    is($a->recv_json->{offset}, 4, '... as for everybody');
}

for my $n (5 .. 9) {
    publish($p, 'room:1', $n);
    $a->recv_json;
}

{
    my ($answer) = resume('room:1', { epoch => $epoch, offset => 3 });
    is($answer->{recovered}, JSON::PP::false(),
        'what history has dropped cannot be recovered');
    my $ws;
    ($answer, $ws) = resume('room:1', { epoch => $epoch, offset => 4 });
    ok($answer->{recovered}, 'the last that it keeps can');
    is(join(' ', map { $ws->recv_json->{offset} } 1 .. 5), '5 6 7 8 9',
        '... in order');

    ($answer) = resume('room:1', { epoch => $epoch, offset => 10 });
    is($answer->{recovered}, JSON::PP::false(),
        'an offset that was never given is not recovered');
    ($answer) = resume('plain', { epoch => $epoch, offset => 1 });
    is($answer->{recovered}, JSON::PP::false(),
        'nor is anything on a channel without history');
    ($answer) = resume('room:1', { epoch => $epoch, offset => 8 }, '/reader');
    ok($answer->{recovered}, 'resuming needs the right to subscribe alone');
}

# -- more than fits into the client's buffer -----------------------------

{
    my $text = 'x' x 4000;
    my $r = ask($p, type => 'publish', channel => 'long:1', data => 0);
    for my $n (1 .. 500) {
        $p->json({ type => 'publish', channel => 'long:1',
                   data => "$n $text" });
    }
    $p->recv_json for 1 .. 500;

    my ($answer, $ws) = resume('long:1', { epoch => $r->{epoch},
                                           offset => 1 });
    ok($answer->{recovered}, '2 MB are recovered through a buffer of 64 KB');
    my @seen;
    for my $n (1 .. 500) {
        my $m = $ws->recv_json;
        push @seen, $m->{data} =~ /^(\d+)/ ? $1 : '?';
        publish($p, 'long:1', "live $n") if $n % 100 == 0;
    }
    is("@seen", join(' ', 1 .. 500), '... all, once, in order');
    is(join(' ', map { $ws->recv_json->{offset} } 1 .. 5),
        '502 503 504 505 506', '... and what was published meanwhile');
}

# -- the own messages, without echo --------------------------------------

{
    my $ws = client();
    my $me = $ws->{welcome}{client};
    ask($ws, type => 'subscribe', channel => 'long:2');
    my $r = publish($ws, 'long:2', 'mine');
    publish($p, 'long:2', 'theirs');
    is($ws->recv_json->{data}, 'theirs', 'without echo one hears the others');
    $ws->drop;

    my ($answer, $again) = resume('long:2', { epoch => $r->{epoch},
                                              offset => 0, client => $me });
    ok($answer->{recovered}, 'a client that tells its former id resumes');
    is($again->recv_json->{data}, 'theirs', '... without what it has said');

    ($answer, $again) = resume('long:2', { epoch => $r->{epoch},
                                           offset => 0 });
    is($again->recv_json->{data}, 'mine', 'a stranger gets that too');
}

# -- the history command -------------------------------------------------

{
    my $h = ask($p, type => 'history', id => 4, channel => 'room:1');
    is($h->{type}, 'history', 'history is answered');
    is($h->{id}, 4, '... with the id');
    is("$h->{epoch} $h->{offset}", "$epoch 9", '... and the position');
    is(join(' ', map { $_->{offset} } @{ $h->{messages} }), '5 6 7 8 9',
        '... oldest first');
    is($h->{messages}[0]{type}, 'message', '... as messages');
    is($h->{messages}[0]{channel}, 'room:1', '... of the channel');
    ok(!$h->{more}, '... and there are no others');

    $h = ask($p, type => 'history', channel => 'room:1', limit => 2);
    is(join(' ', map { $_->{offset} } @{ $h->{messages} }), '8 9',
        'limit picks the newest');
    ok($h->{more}, '... and says that there are older ones');
    $h = ask($p, type => 'history', channel => 'room:1', limit => 2,
             before => 8);
    is(join(' ', map { $_->{offset} } @{ $h->{messages} }), '6 7',
        'before goes back');
    $h = ask($p, type => 'history', channel => 'room:1', before => 1);
    is(scalar @{ $h->{messages} }, 0, 'before the first there is nothing');

    $h = ask($p, type => 'history', channel => 'plain');
    is($h->{code}, 400, 'a channel without history is an error');
    $h = ask(client('/reader'), type => 'history', channel => 'room:1');
    is($h->{code}, 403, 'without the right it is refused');
}

# -- keys ----------------------------------------------------------------

{
    my $one = publish($p, 'room:1', 'k', key => 'k1');
    is($one->{offset}, 10, 'a publish with a key is published');
    is($a->recv_json->{offset}, 10, '... and delivered');
    my $two = publish(client(), 'room:1', 'other', key => 'k1');
    is($two->{offset}, 10, 'its repeat is answered as the first');
    publish($p, 'room:1', 'next');
    is($a->recv_json->{data}, 'next', '... and is not delivered');
    is(publish($p, 'room:2', 'k', key => 'k1')->{offset}, 1,
        'on another channel it is another key');

    my $q = client();
    ask($q, type => 'subscribe', channel => 'bare');
    publish($p, 'bare', 1, key => 'x');
    publish($p, 'bare', 2, key => 'x');
    publish($p, 'bare', 3);
    is($q->recv_json->{data}, 1, 'keys count without history, too');
    is($q->recv_json->{data}, 3, '... the repeat is not delivered');
}

# -- time ----------------------------------------------------------------

{
    my $r = publish($p, 'brief:1', 1);
    my ($answer) = resume('brief:1', { epoch => $r->{epoch}, offset => 0 });
    ok($answer->{recovered}, 'what is fresh is recovered');
    select undef, undef, undef, 3.3;
    ($answer) = resume('brief:1', { epoch => $r->{epoch}, offset => 0 });
    ok(!$answer->{recovered}, 'what has expired is not');
    ($answer) = resume('brief:1', { epoch => $r->{epoch}, offset => 1 });
    ok($answer->{recovered}, 'who has missed nothing has missed nothing');
}

# -- a reload keeps it ---------------------------------------------------

{
    $hosts[0]->reload;
    my $ws = client();
    $ws->json({ type => 'subscribe', channel => 'room:1',
                since => { epoch => $epoch, offset => 9 } });
    my $answer = $ws->recv_json;
    ok($answer->{recovered}, 'a reload forgets nothing');
    is($ws->recv_json->{offset}, 10, '... the messages are there');
}

}
