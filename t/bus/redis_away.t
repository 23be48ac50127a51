# Redis goes away and comes back, under load: nginx serves on, publishing is
# answered 503 meanwhile, and returns within the backoff.

use lib 't/lib';
use Wscast;
use JSON::PP ();
use Time::HiRes qw(time);

my $redis = redis();

my $CONF = <<'CONF';
wscast_hub chat {
    zone             16m;
    redis            redis://127.0.0.1:%%REDIS_PORT%%;
    redis_timeout    500ms 1s;
    redis_reconnect  100ms 1s;
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /text {
        wscast          chat text;
        wscast_channel  "room:1";
        wscast_allow    publish "room:1";
        wscast_welcome  "welcome";
    }

    location /json {
        wscast        chat;
        wscast_allow  all "*";
    }

    location /api/ {
        wscast_api  chat;
    }

    location /other {
        return 200 "still served";
    }

    wscast_ping  off;
}
CONF

sub post {
    my ($host, $body) = @_;
    my $r = $host->http('POST', '/api/channels/room:1', body => $body // 'x');
    $r->{json} = eval { JSON::PP::decode_json($r->{body}) } // {};
    return $r;
}

my @hosts = map {
    host($CONF, redis => $redis, workers => 2, name => "host $_")
} 'one', 'two';
my ($one, $two) = @hosts;

ok(wait_until(sub { $_->has_redis }), 'Redis is found') for @hosts;

my %workers = map { $_ => join ' ', $_->workers } @hosts;
my @text = map { my $h = $_; map { $h->ws('/text') } 1 .. 6 } @hosts;
is($_->recv_text, 'welcome', 'a client is welcomed') for @text;

my @json = map { $_->ws('/json') } @hosts;
$_->recv for @json;
$_->ask({ type => 'subscribe', channel => 'room:1' }) for @json;

# Everybody hears what is said now on either host.

my $round = 0;

sub all_hear {
    my ($why) = @_;
    my $said = 'round ' . ++$round;
    my %heard;

    # on the way back the first ones may find one of the hosts not yet there
    my $ok = wait_until(sub {
        for my $host (@hosts) {
            post($host, "$said " . $host->port);
        }

        return gather([@text, @json], timeout => 0.3,
            message => sub {
                my ($ws, $m) = @_;
                $heard{$ws}{$1} = 1 if $m->{data} =~ /\Q$said\E (\d+)/;
            },
            until => sub {
                !grep { keys %{ $heard{$_} // {} } < 2 } @text, @json;
            });
    }, 10);

    ok($ok, "$why: everybody hears both hosts");
    gather([@text, @json], timeout => 0.3, until => sub { 0 });

    return;
}

all_hear('at first');

# -- killed under load ---------------------------------------------------

for my $time (1 .. 2) {
    # load: both hosts publish as fast as they can through json clients
    my @busy = map { $_->ws('/json') } @hosts, @hosts;
    $_->recv for @busy;
    my (%answer, $sent);

    my $blow = sub {
        for my $ws (@busy) {
            next if length $ws->{out};
            $ws->queue(join '', map {
                Wscast::WebSocket::frame_bytes(1, '{"type":"publish",'
                    . '"channel":"load","id":' . ++$sent . ',"data":1}')
            } 1 .. 20);
        }
    };
    my $count = sub {
        my ($ws, $m) = @_;
        $answer{$1}++ if $m->{data} =~ /"(published|code":\d+)/;
    };

    gather(\@busy, timeout => 10, message => $count,
        until => sub { $blow->(); ($answer{published} // 0) > 2000 });
    cmp_ok($answer{published} // 0, '>', 2000, "load runs, time $time");

    $redis->kill9;
    %answer = ();

    ok(gather(\@busy, timeout => 10, message => $count,
        until => sub { $blow->(); ($answer{'code":503'} // 0) > 100 }),
        'when Redis is killed publishes are answered 503');
    is((grep { $_->{eof} } @busy), 0, '... and nobody is closed for it');
    is((grep { !/503|published/ } keys %answer), 0, '... with nothing else')
        || diag(explain(\%answer));

    for my $host (@hosts) {
        my $r = post($host);
        is($r->{status}, 503, 'the API answers 503');
        is($r->{json}{error}{code}, 503, '... in JSON');
        is($host->http('GET', '/other')->{body}, 'still served',
            'nginx serves everything else');
        ok(wait_until(sub { !$host->hub->{redis_up} }), 'the status tells');

        # were there a delay, all had it; one may come when the machine stalls
        my @took;

        for my $n (1 .. 5) {
            my $begun = time;
            my $ws = $host->ws('/json');
            is($ws->recv_json->{type}, 'welcome', "client $n is taken on");
            is($ws->ask({ type => 'ping' })->{type}, 'pong',
                '... and answered');
            push @took, time - $begun;
            $ws->drop;
        }

        cmp_ok((sort { $a <=> $b } @took)[2], '<', scale(0.5),
            '... without delay');
    }

    # a text client has no other way to be told
    my $talker = shift @text;
    $talker->text('lost?');
    is($talker->wait_close->{code}, 1013,
        'a text client that publishes is closed with 1013');

    $redis->start;
    my $begun = time;
    ok(wait_until(sub { post($one)->{status} == 200
        && post($two)->{status} == 200 }),
        'when Redis is back so is publishing');
    cmp_ok(time - $begun, '<', scale(4), '... within the backoff');

    %answer = ();
    ok(gather(\@busy, timeout => 10, message => $count,
        until => sub { $blow->(); ($answer{published} // 0) > 500 }),
        '... and the load goes on');

    all_hear("after time $time");
    is((grep { $_->{eof} } @text, @json), 0, 'no subscriber was closed');
    $_->drop for @busy;
}

cmp_ok($one->hub->{redis_reconnects_total}, '>=', 2, 'reconnects are counted');
cmp_ok($one->hub->{gaps_total}, '>=', 1,
    'channels that may have missed something are counted');
is(join(' ', $_->workers), $workers{$_}, 'no worker died') for @hosts;

my @gaps = grep { /gap|missed/i } split /\n/, $one->log_text;
cmp_ok(scalar @gaps, '<=', 4, 'the log tells of a gap once, not per channel')
    || diag(explain(\@gaps));

# -- Redis stands still --------------------------------------------------

{
    ok(wait_until(sub { $one->has_redis }), 'Redis is up');
    $redis->freeze;
    my $begun = time;
    my $r = post($one);
    is($r->{status}, 503, 'a Redis that does not answer is found out');
    cmp_ok(time - $begun, '<', scale(4), '... by the timeout');
    is($one->http('GET', '/other')->{body}, 'still served',
        'meanwhile nginx serves everything else');

    # nobody publishes on this host: it must notice by itself
    ok(wait_until(sub { !$two->hub->{redis_up} }, 30),
        'a subscription that has gone deaf is found without traffic');

    $redis->thaw;
    ok(wait_until(sub { post($one)->{status} == 200
        && post($two)->{status} == 200 }),
        'when it goes on publishing returns');
    all_hear('after it stood still');
}

# -- connections cut from the other side ---------------------------------

{
    for my $type ('pubsub', 'normal') {
        for my $round (1 .. 3) {
            $redis->command('CLIENT', 'KILL', 'TYPE', $type, 'SKIPME', 'yes');
        }

        all_hear("after Redis has cut $type connections");
    }
}

# -- a start without Redis -----------------------------------------------

{
    $redis->kill9;
    my $late = host($CONF, redis => $redis, name => 'the host that is early');

    is($late->http('GET', '/other')->{body}, 'still served',
        'nginx starts while Redis is down');
    is(post($late)->{status}, 503, '... and answers 503');

    my $ws = $late->ws('/json');
    is($ws->recv_json->{type}, 'welcome', '... and takes clients');
    $ws->json({ type => 'subscribe', id => 1, channel => 'room:1' });
    my $text = $late->ws('/text', timeout => 20);

    $late->reload;
    ok(1, '... and reloads');

    $redis->start;
    ok(wait_until(sub { post($late)->{status} == 200 }),
        'when Redis comes up it is found');
    my $new = $late->ws('/text');
    is($new->recv_text, 'welcome', '... and channels become live');
    all_hear('after a start');
}

$_->drop for @text, @json;

done_testing();
