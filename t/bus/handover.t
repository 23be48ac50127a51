# A reload moves the host's subscription in Redis from an old worker to a new
# one while messages arrive: nobody misses one, gets one twice or out of order.

use lib 't/lib';
use Wscast;
use Time::HiRes qw(time);

my $redis = redis();

my $CONF = <<'CONF';
wscast_hub chat {
    zone   8m;
    redis  redis://127.0.0.1:%%REDIS_PORT%%;

    redis_timeout  5s 5s;
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    wscast_drain      1s;
    wscast_welcome    "worker $pid";
    wscast_heartbeat  off;
    wscast_allow      publish "room:*";

    location /text {
        wscast          chat text;
        wscast_channel  "room:$arg_room";
    }

    location /stay {
        wscast          chat text;
        wscast_channel  "room:$arg_room";
        wscast_drain    10m;
    }
}
CONF

my ($moving, $steady) = map {
    host($CONF, redis => $redis, workers => 3, name => $_)
} 'the moving', 'the steady';

for my $host ($moving, $steady) {
    ok(wait_until(sub { $host->has_redis }), 'Redis is found');
}

my $publisher = $steady->ws('/text?room=1');
$publisher->recv;

my ($next, %got, %live, @clients, @done) = (1);

# Who is asked to move before its channel was live has heard nothing yet.

sub heard {
    my ($ws, $m) = @_;
    $live{$ws} = 1 if $m->{data} =~ /^worker /;
    push @{ $got{$ws} }, $m->{data} if $m->{data} =~ /^\d+\z/;
    return;
}

# publishes without a pause, a few messages ahead of what the publisher hears,
# and reads what comes

sub go_on {
    my ($seconds) = @_;
    my $end = time + $seconds;

    gather([$publisher, @clients], timeout => 20, message => \&heard,
        until => sub {
            my $heard = $got{$publisher} ? $got{$publisher}[-1] : 0;
            $publisher->queue(Wscast::WebSocket::frame_bytes(1, $next++))
                while $next - $heard < 20 && time < $end;
            return time > $end;
        });

    return;
}

# what a client got is a piece of 1, 2, 3, ... without a hole

sub holes {
    my (@n) = @_;
    return 'nothing' if !@n;
    my @wrong = grep { $n[$_] != $n[0] + $_ } 0 .. $#n;
    return @wrong ? "at $wrong[0]: @n[$wrong[0] - 1 .. $wrong[0]]" : '';
}

my $ROUNDS = asan() ? 4 : 10;

for my $round (1 .. $ROUNDS) {
    my @new = map { $moving->ws("/text?room=1") } 1 .. 6;
    push @clients, @new;
    go_on(0.3);

    $moving->signal('HUP');

    # every other time the next reload comes before the last one is over
    go_on(0.2);
    next if $round % 2;

    ok(wait_until(sub { go_on(0.05); !$moving->workers(old => 1) }, 15),
        "reload $round: the old workers go");

    # those of the new workers are still there
    my @gone = grep { $_->{eof} } @clients;
    @clients = grep { !$_->{eof} } @clients;
    push @done, @gone;
}

go_on(0.5);
my $last = $next - 1;

my @late = map { $moving->ws('/text?room=1') } 1 .. 3;
push @clients, @late;
go_on(0.5);
$last = $next - 1;

gather([$publisher, @clients], timeout => 10, message => \&heard, until => sub {
    !grep { ($got{$_}[-1] // 0) < $last } $publisher, @clients;
});

is(holes(@{ $got{$publisher} // [] }), '',
    'a client of the other host gets everything');
is(join('; ', grep { $_ } map { holes(@{ $got{$_} // [] }) }
    grep { $live{$_} || $got{$_} } @done), '',
    'who is asked to move gets everything until then');
is(join('; ', grep { $_ } map { holes(@{ $got{$_} // [] }) } @clients), '',
    'who is there after the reloads gets everything');
is((grep { ($got{$_}[-1] // 0) != $last } @clients), 0, '... to the end');

is($moving->hub->{gaps_total}, 0, 'no gap is counted');
is($moving->hub->{redis_handovers_total},
    $moving->hub->{redis_leaders_total} - 1,
    'whoever subscribed took over from another, but the first');
cmp_ok($moving->hub->{redis_handovers_total}, '>=', $ROUNDS / 2,
    '... again and again');
is($redis->command('PUBSUB', 'NUMSUB', 'wscast:chat:room:1')->[1], 2,
    'each host is subscribed once');
cmp_ok($last, '>', 500, "$last messages came in the meantime");

# a channel that is joined during the handover
{
    my $ok = 0;

    for my $n (1 .. 3) {
        $moving->signal('HUP');
        my @ws = map { $moving->ws("/stay?room=new-$n") } 1 .. 4;
        $_->recv for @ws;
        $redis->command('PUBLISH', "wscast:chat:room:new-$n", "hello $n");
        $ok += ($_->recv_text // '') eq "hello $n" for @ws;
        $_->drop for @ws;
        wait_until(sub { !$moving->workers(old => 1) }, 10);
    }

    is($ok, 12, 'a channel joined during a handover is live when it says so');
}

$_->drop for $publisher, @clients;

done_testing();
