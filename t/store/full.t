# A zone that is too small for all that is asked of it: history loses what is
# oldest, members beyond half of it are not listed, and all else goes on.  And
# one that is large enough for 10,000 members of a channel.

use lib 't/lib';
use Wscast;
use JSON::PP ();

my $CONF = <<'CONF';
wscast_hub chat {
    zone     1m;
    channel  room:*   { history 100 10m; }
    channel  here:*   { presence on grace=0s; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /ws {
        wscast               chat;
        wscast_allow         all "*";
        wscast_user          $arg_user;
        wscast_message_size  120k;
        wscast_send_buffer   16m;
        wscast_subscriptions 256;
    }

    # not told of others
    location /blind {
        wscast               chat;
        wscast_allow         subscribe "*";
        wscast_user          $arg_user;
        wscast_ping          1h;     # they are not read all the time
    }

    location /api/ { wscast_api chat; }
}
CONF

my $host = host($CONF, workers => 2);
ok(wait_until(sub { $host->hub->{zone_presence_bytes} == 2 * 128 }),
    'each worker has a place for its members before it is full');

sub client {
    my ($path) = @_;
    my $ws = $host->ws($path // '/ws', timeout => 30);
    $ws->{id} = JSON::PP::decode_json($ws->recv_text)->{client};
    return $ws;
}

# Asks many questions at once; the answers come in the order of their ids.
sub ask_all {
    my ($ws, @questions) = @_;
    my ($sent, @answers) = (0);
    my $got = 0;

    # replies must not wait behind questions
    while ($got < @questions) {
        if ($sent < @questions && $sent - $got < 100) {
            my $q = $questions[$sent++];
            $q->{id} = $sent;
            $ws->queue(Wscast::WebSocket::frame_bytes(1,
                JSON::PP::encode_json($q)));
            next if $sent % 50;
        }
        $ws->flush;
        my $m = JSON::PP::decode_json($ws->recv_text);
        next if !defined $m->{id};
        $answers[$m->{id} - 1] = $m;
        $got++;
    }

    return @answers;
}

sub ask {
    my ($ws, %question) = @_;
    return (ask_all($ws, \%question))[0];
}

sub publish {
    my ($channel, $data, @more) = @_;
    return { type => 'publish', channel => $channel, data => $data, @more };
}

# The answer to a subscription with a position, and what it was sent at once.
sub resume {
    my ($channel, $epoch, $offset) = @_;
    my $ws = client();
    $ws->json({ type => 'subscribe', channel => $channel,
                since => { epoch => $epoch, offset => 0 + $offset } });
    $ws->json({ type => 'ping' });
    my (@got, $answer);
    while (my $m = JSON::PP::decode_json($ws->recv_text)) {
        last if $m->{type} eq 'pong';
        $answer = $m, next if $m->{type} eq 'subscribed';
        push @got, $m->{offset};
    }
    # the messages may come after the pong
    while ($answer->{recovered} && ($got[-1] // $offset) < $answer->{offset}) {
        push @got, JSON::PP::decode_json($ws->recv_text)->{offset};
    }
    $ws->drop;
    return ($answer, @got);
}

my $p = client();

# -- more messages than there is room for --------------------------------

my $CHANNELS = 60;
my (%epoch, @order);

{
    my $live = client();
    ask($live, type => 'subscribe', channel => 'room:7');

    my @all = map {
        my $round = $_;
        map { publish("room:$_", 'x' x 200) } 1 .. $CHANNELS
    } 1 .. 90;
    my @answers = ask_all($p, @all);

    my ($bad, %top) = (0);
    for my $a (@answers) {
        $bad++ if $a->{type} ne 'published'
            || $a->{offset} != ++$top{ $a->{channel} }
            || $a->{epoch} ne ($epoch{ $a->{channel} } //= $a->{epoch});
        push @order, "$a->{channel} $a->{offset}";
    }
    is($bad, 0, scalar(@all) . ' messages are published, each with its place');
    is(join(' ', map { JSON::PP::decode_json($live->recv_text)->{offset} }
        1 .. 90), join(' ', 1 .. 90), 'who is there gets all of them');
    $live->drop;

    my $evicted = $host->hub->{history_evicted_total};
    cmp_ok($evicted, '>', 1000, "$evicted messages had to go");

    # what is left is what was published last
    my @kept;
    for my $n (1 .. $CHANNELS) {
        my $h = ask($p, type => 'history', channel => "room:$n",
            limit => 1000);
        $bad++ if $h->{offset} != 90 || $h->{epoch} ne $epoch{"room:$n"};
        push @kept, map { "room:$n $_->{offset}" } @{ $h->{messages} };
    }
    is($bad, 0, '... and the channels are where they were');
    is(scalar @kept, @order - $evicted, '... each of them is counted');
    cmp_ok(scalar @kept, '>', 800, scalar(@kept) . ' are left');
    is(join(',', sort @kept), join(',', sort @order[-@kept .. -1]),
        '... those that were published last');
}

# -- what is left can be recovered, and what is not is told --------------

for my $channel ('room:1', 'room:30', "room:$CHANNELS") {
    my ($first) = map { $_->{messages}[0]{offset} } ask($p, type => 'history',
        channel => $channel, limit => 100);
    my $epoch = $epoch{$channel};

    my ($answer, @got) = resume($channel, $epoch, $first - 1);
    ok($answer->{recovered}, "from $first on $channel recovers");
    is("@got", join(' ', $first .. 90), '... all that is left');

    ($answer, @got) = resume($channel, $epoch, $first - 2);
    ok(!$answer->{recovered}, 'a message earlier it does not');
    is("$answer->{epoch} $answer->{offset} @got", "$epoch 90 ",
        '... but goes on from its end');
    ($answer, @got) = resume($channel, $epoch, 90);
    ok($answer->{recovered} && !@got, 'who has all has missed nothing');
}

# -- more channels than there is room for --------------------------------

{
    my $quiet = client();
    my $then  = ask($quiet, type => 'subscribe', channel => 'room:quiet');
    my @answers = ask_all($p, map { publish("room:many$_", $_) } 1 .. 8000);
    is(scalar(grep { $_->{type} ne 'published' || $_->{offset} != 1 }
        @answers), 0, 'messages to 8000 channels are published');

    my ($answer, @got) = resume('room:many8000', $answers[-1]{epoch}, 0);
    ok($answer->{recovered} && "@got" eq '1', 'the last one is known');
    ($answer, @got) = resume('room:many1', $answers[0]{epoch}, 0);
    ok(!$answer->{recovered}, 'the first one is not');
    is($answer->{offset}, 0, '... it begins anew');
    isnt($answer->{epoch}, $answers[0]{epoch}, '... in another epoch');
    ($answer, @got) = resume('room:many1', $answers[0]{epoch}, 1);
    ok(!$answer->{recovered},
        '... so that nobody there takes its end for its own');
    is(ask($p, %{ publish('room:many1', 'again') })->{offset}, 1,
        '... and goes on');

    my $now = ask($p, %{ publish('room:quiet', 'at last') });
    isnt($now->{epoch}, $then->{epoch}, 'so does one with subscribers');
    my $m = JSON::PP::decode_json($quiet->recv_text);
    is("$m->{data} $m->{epoch} $m->{offset}", "at last $now->{epoch} 1",
        '... who get its messages all the same');
    $quiet->drop;
}

# -- long messages -------------------------------------------------------

{
    my $live = client();
    my $s = ask($live, type => 'subscribe', channel => 'room:long');
    my $text = 'y' x 100_000;
    my @answers = ask_all($p, map { publish('room:long', "$_ $text") } 1 .. 30);
    is(scalar(grep { $answers[$_]{offset} != $_ + 1 } 0 .. 29), 0,
        '3 MB are published to a zone of 1 MB');
    my @heads = map {
        my $m = JSON::PP::decode_json($live->recv_text);
        length $m->{data} > 100_000 ? $m->{data} =~ /^(\d+)/ : '?'
    } 1 .. 30;
    is("@heads", join(' ', 1 .. 30), '... and heard');
    my ($answer, @got) = resume('room:long', $s->{epoch}, 29);
    ok($answer->{recovered} && "@got" eq '30', 'the last can be recovered');
    ($answer) = resume('room:long', $s->{epoch}, 10);
    ok(!$answer->{recovered}, 'the tenth cannot');
    $live->drop;
}

# -- more keys than there is room for ------------------------------------

{
    my @answers = ask_all($p, map { publish('bare', $_, key => "k$_") }
        1 .. 9000);
    is(scalar(grep { $_->{type} ne 'published' } @answers), 0,
        '9000 messages with keys are published');
    my $before = $host->hub->{publishes_total};
    ask($p, %{ publish('bare', 'x', key => 'k9000') });
    is($host->hub->{publishes_total}, $before, 'the last key is known');
    ask($p, %{ publish('bare', 'x', key => 'k1') });
    is($host->hub->{publishes_total}, $before + 1, 'the first one is not');
}

# -- more members than half of it ----------------------------------------

{
    my $user = 'u' x 100;
    my @clients = map { client("/blind?user=$user$_") } 1 .. 40;
    my (%answers, $subscribed);

    for my $ws (@clients) {
        $subscribed += grep { $_->{type} eq 'subscribed' } ask_all($ws,
            map { { type => 'subscribe', channel => "here:$_" } } 1 .. 100);
    }
    is($subscribed, 4000, '4000 times somebody subscribes');

    my $refused = $host->hub->{presence_refused_total};
    my $listed = sub {
        my $sum = 0;
        $sum += $_->{total} for ask_all($p, map {
            { type => 'presence', channel => "here:$_", limit => 1 } }
                1 .. 100);
        return $sum;
    };
    my $members = $listed->();
    cmp_ok($refused, '>', 500, "$refused were not listed");
    cmp_ok($members, '>', 800, "$members were");
    is($members + $refused, 4000, '... which is all of them');

    my @last = ask_all($p, map { publish("here:$_", "to $_") } 1 .. 100);
    is(scalar(grep { $_->{type} ne 'published' } @last), 0,
        'who is full of members takes messages');
    my $deaf = 0;
    for my $ws (@clients) {
        my %heard;
        $heard{ JSON::PP::decode_json($ws->recv_text)->{data} }++ for 1 .. 100;
        $deaf += grep { !$heard{"to $_"} } 1 .. 100;
    }
    is($deaf, 0, 'all of them hear, members or not');

    ask_all($p, map { publish('room:' . $_ % 40, 'z' x 200) } 1 .. 4000);
    is($listed->(), $members, 'no message drives a member out');
    my ($h) = ask_all($p, { type => 'history', channel => 'room:1' });
    cmp_ok(scalar @{ $h->{messages} }, '>', 10, '... and there is history');

    # who leaves makes room
    $_->drop for splice @clients, 0, 30;
    ok(wait_until(sub { $listed->() < $members - 500 }), 'members leave');
    my $ws = client('/blind?user=late');
    $refused = $host->hub->{presence_refused_total};
    ask($ws, type => 'subscribe', channel => 'here:1');
    is($host->hub->{presence_refused_total}, $refused,
        'then there is room for others');
    ok((grep { $_->{client} eq $ws->{id} } @{ ask($p, type => 'presence',
        channel => 'here:1', limit => 1000)->{members} }),
        '... who are listed');
    $_->drop for @clients, $ws;
    ok(wait_until(sub { $listed->() == 0 }), 'in the end nobody is there');
}

# -- ten thousand members ------------------------------------------------

# nginx inherits it
if (`sh -c 'ulimit -n'` !~ /unlimited/ && `sh -c 'ulimit -n'` < 12_000) {
    is(system('prlimit', "--pid=$$", '--nofile=12000:12000'), 0,
        'this process may open 12000 files');
}

{
    my $many = asan() ? 3000 : 10_000;
    my $part = $many / 10;
    my $host = host(<<'CONF', workers => 2, connections => 11_000);
wscast_hub chat {
    zone     32m;
    channel  here:*   { presence on grace=1s; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /blind {
        wscast        chat;
        wscast_allow  subscribe "*";
        wscast_user   $arg_user;
        wscast_ping   1h;
    }

    location /ws   { wscast chat; wscast_allow all "*"; }
    location /api/ { wscast_api chat; }
}
CONF

    # what the workers compute: the time that passes says more of this machine
    my (@clients, @times);

    for my $n (1 .. 10) {
        my @new = map { $host->ws("/blind?user=u$n-$_") } 1 .. $part;
        for my $ws (@new) {
            $ws->{id} = JSON::PP::decode_json($ws->recv_text)->{client};
        }

        my $begun = $host->cpu;
        my $bad   = 0;
        for my $ws (@new) {
            $ws->json({ type => 'subscribe', channel => 'here:1' });
        }
        for my $ws (@new) {
            $bad++ if $ws->recv_text !~ /"type":"subscribed"/;
        }
        push @times, $host->cpu - $begun;
        push @clients, @new;
        is($bad, 0, @clients . ' members');
    }

    cmp_ok($times[-1], '<', 10 * $times[0] + scale(0.2),
        sprintf 'the last %d took the workers %.2f s, the first %.2f', $part,
        @times[-1, 0]);

    my $ws = $host->ws('/ws', timeout => 30);
    my (@pages, @ids, $after);
    $ws->recv;

    do {
        my $m = $ws->ask({ type => 'presence', channel => 'here:1',
            limit => 1000, defined $after ? (after => $after) : () });
        is($m->{total}, $many, 'a page tells how many there are');
        push @ids, map { $_->{client} } @{ $m->{members} };
        push @pages, scalar @{ $m->{members} };
        $after = $m->{next};
    } while (defined $after && @pages < 100);

    my $all = join ' ', sort map { $_->{id} } @clients;
    ok(join(' ', sort @ids) eq $all, '... together they have all, once');
    is(scalar(grep { $_ != 1000 } @pages), 0, '... and each is full');

    my $r = $host->http('GET', '/api/channels/here:1/presence?limit=1000');
    is(scalar @{ JSON::PP::decode_json($r->{body})->{members} }, 1000,
        'so is one of the API');

    $_->drop for @clients;
    ok(wait_until(sub {
        $ws->ask({ type => 'presence', channel => 'here:1', limit => 1 })
            ->{total} == 0;
    }, 30), 'all of them leave');
    $ws->drop;
}

done_testing();
