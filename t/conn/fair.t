# A channel with many subscribers and clients at full speed take their turns:
# HTTP, and other channels of the same worker, are served meanwhile.

use lib 't/lib';
use Wscast;

my $MANY = asan() ? 500 : 2000;

my $nginx = host(<<'CONF', workers => 1, connections => 8192,
wscast_hub chat {
    zone 32m;
}

server {
    listen 127.0.0.1:%%PORT%% backlog=4096;

    access_log  off;
    error_log   %%PREFIX%%/logs/error.log warn;

    wscast_heartbeat    off;
    wscast_welcome      "welcome";
    wscast_send_buffer  64m;

    location /hot {
        wscast          chat text;
        wscast_channel  "hot:$arg_room";
        wscast_allow    publish "hot:*";
    }

    location /quiet {
        wscast          chat text;
        wscast_channel  "quiet";
        wscast_allow    publish "quiet";
    }

    location /http {
        return 200 "served";
    }
}
CONF
    main => 'worker_rlimit_nofile 8192;');

my ($worker) = $nginx->workers;

# Milliseconds of the worker's processor between question and answer: on a
# machine that is busy with other things a clock on the wall tells little.

sub measure {
    my ($name, $room, $subscribers, $publishers, $window, $size) = @_;

    my $r = load('fair', $nginx->port, $worker, "/hot?room=$room",
        $subscribers, $publishers, $window, $size, 3, '/quiet', '/http');

    is($r->{welcomed}, $r->{clients}, "$name: all clients are welcomed");
    is($r->{failed}, 0, "$name: and nobody is turned away");

    for my $who ('calm_http', 'busy_http', 'calm_quiet', 'busy_quiet') {
        note(sprintf '%s, %s: %d, p50 %.1f ms, p99 %.1f ms, of the worker '
            . '%.1f and %.1f ms', $name, $who,
            @{ $r->{$who} }{qw(n p50 p99 cpu50 cpu99)});
    }

    return $r;
}

# -- many subscribers ----------------------------------------------------

{
    my $r = measure('a hot channel', 1, $MANY, 1, 16, 512);

    cmp_ok($r->{received}, '>', 10 * $MANY, 'a hot channel is hot');
    cmp_ok($r->{least}, '<', $r->{clients},
        'HTTP is answered before a message has reached all');
    note("$r->{least} of $r->{clients} had it");
    cmp_ok($r->{busy_http}{n}, '>', 20, 'it is answered all the time');
    cmp_ok($r->{busy_http}{cpu50}, '<', scale(20), '... and soon');
    cmp_ok($r->{busy_quiet}{n}, '>', 200,
        'another channel is served all the time');
    cmp_ok($r->{busy_quiet}{cpu50}, '<', scale(20), '... and soon');
}

# -- publishers at full speed --------------------------------------------

{
    my $r = measure('fast publishers', 2, 0, 8, 100, 100);

    cmp_ok($r->{received}, '>', 10_000, 'publishers at full speed are fast');
    cmp_ok($r->{busy_http}{cpu50}, '<', scale(10),
        'they do not keep HTTP waiting');
    cmp_ok($r->{busy_quiet}{cpu50}, '<', scale(10),
        '... nor another channel');
}

# -- slices do not show --------------------------------------------------

{
    my $r = load('blast', $nginx->port, '/hot?room=3', 4, 250,
        asan() ? 100 : 400, 100, 30);

    is($r->{lost}, 0, 'a channel of many: nothing is lost');
    is($r->{disorder}, 0, '... each publisher\'s comes in order');
    my %orders = map { $_ => 1 } @{ $r->{orders} };
    is(scalar keys %orders, 1, '... and in one order for all');
}

# Who comes and goes meanwhile has no hole in what he gets.

{
    my @others = map { $nginx->ws('/hot?room=4') } 1 .. 150;
    my $voice  = $nginx->ws('/hot?room=4', no_read => 1);
    my ($said, $holes, $seen) = (0, 0, 0);
    $_->recv_text for @others;

    my $say = sub {
        $voice->queue(join '', map {
            Wscast::WebSocket::frame_bytes(1, ++$said)
        } 1 .. 50);
        $voice->_write while length $voice->{out};
    };

    for my $round (1 .. 20) {
        $say->();
        my $ws = $nginx->ws('/hot?room=4', timeout => 20);
        $say->();

        $ws->recv_text;
        my @got;
        push @got, $ws->recv_text while !@got || $got[-1] != $said;
        $holes += grep { $got[$_] != $got[0] + $_ } 0 .. $#got;
        $seen  += @got;

        # every other one while much is on its way to it
        $say->() if $round % 2;
        $round % 2 ? $ws->drop : $ws->close(1000);
    }

    cmp_ok($seen, '>=', 20 * 50, 'who comes meanwhile hears what follows');
    is($holes, 0, '... without a hole');

    my @late = grep {
        my ($ws, $n) = ($_, 0);
        $n++ while $n < $said && $ws->recv_text == $n + 1;
        $n != $said;
    } @others[0, 75, 149];
    is(scalar @late, 0, '... and who stays hears all of it');
    $_->drop for $voice, @others;
}

# What it published before its end, it receives before its end.

{
    my @others = map { $nginx->ws('/hot?room=5') } 1 .. 150;
    my $ws = $nginx->ws('/hot?room=5');
    $_->recv_text for $ws, @others;

    my @mine = map { "message $_" } 1 .. 100;
    $ws->{closing} = 1;
    $ws->raw(join '', (map { Wscast::WebSocket::frame_bytes(1, $_) } @mine),
        Wscast::WebSocket::close_bytes(1000));

    my @got;

    while (my $frame = $ws->frame) {
        push @got, $frame->{data} if $frame->{op} == 1;
        last if $frame->{op} == 8;
    }

    is("@got", "@mine", 'one of many gets its own messages before its end');
    is(join(' ', map { $others[99]->recv_text } @mine), "@mine",
        '... and so do the others');
    $_->drop for $ws, @others;
}

# -- the end ------------------------------------------------------------

{
    wait_until(sub { $nginx->hub->{connections} == 0 }, 20);
    is($nginx->hub->{connections}, 0, 'all have gone');
    is($nginx->hub->{closes}{slow}, 0, 'nobody was slow');
    is($nginx->hub->{queued_bytes}, 0, 'nothing is left in a queue');
}

done_testing();
