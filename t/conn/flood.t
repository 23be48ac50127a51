# One client sends as much as it can; another on the same worker is served all
# the same.  How long that takes is told by the time that the worker has worked.

use lib 't/lib';
use Wscast;
use Time::HiRes qw(time);

my $nginx = host(<<'CONF', workers => 1);
wscast_hub chat {
    zone 16m;
}

server {
    listen 127.0.0.1:%%PORT%%;

    wscast_heartbeat    off;
    wscast_send_buffer  64m;
    wscast_welcome      "welcome";

    location /flood {
        wscast          chat text;
        wscast_channel  "flood";
        wscast_allow    publish "flood";
    }

    location /other {
        wscast          chat text;
        wscast_channel  "own:$connection";
        wscast_allow    publish "own:*";
    }
}
CONF

sub frame { return Wscast::WebSocket::frame_bytes(@_) }

my $flood = $nginx->ws('/flood');
my $other = $nginx->ws('/other');
is($_->recv_text, 'welcome', 'a client is welcomed') for $flood, $other;

# -- ten thousand in one segment -----------------------------------------

sub all_come {
    my ($name, $n, $bytes, $pattern) = @_;
    my (@got, $answered);
    my $asked = $nginx->cpu;

    $flood->queue($bytes);
    $flood->_write;
    $other->text('me too');

    gather([$flood, $other], timeout => 30,
        until => sub { @got >= $n && $answered },
        message => sub {
            my ($ws, $m) = @_;
            return push @got, $m->{data} if $ws == $flood;
            $answered = $nginx->cpu - $asked;
        });

    is(scalar @got, $n, "$name all come back");
    is((grep { $got[$_] ne $pattern->($_) } 0 .. $#got), 0,
        '... in order');
    cmp_ok($answered // 99, '<', scale(0.3), '... and another is answered');
}

all_come('10,000 tiny messages', 10_000,
    join('', map { frame(1, $_) } 0 .. 9999), sub { $_[0] });
all_come('10,000 empty messages', 10_000, frame(1, '') x 10_000,
    sub { '' });

{
    my $text = 'x' x 10_000;
    my @bytes = (frame(1, 'x', fin => 0), (frame(0, 'x', fin => 0)) x 9998,
        frame(0, 'x'));
    all_come('a message in 10,000 fragments', 1, join('', @bytes),
        sub { $text });
    all_come('a message in 10,000 empty fragments', 1,
        join('', frame(1, '', fin => 0), (frame(0, '', fin => 0)) x 9998,
            frame(0, 'end')), sub { 'end' });
}

{
    $flood->raw(join '', map { frame(9, $_) } 1 .. 10_000);
    my @pongs;
    push @pongs, $flood->frame->{data} while @pongs < 10_000;
    is("@pongs", join(' ', 1 .. 10_000), '10,000 pings are all answered');
}

# -- a million frames ----------------------------------------------------

sub million {
    my ($name, $first, $frame, $last, $answer) = @_;
    my $memory = $nginx->memory;
    my $chunk  = $frame x 50_000;
    my $worst  = 0;
    my $rounds = 0;
    my $sent   = 0;
    my $asked;

    $flood->queue($first);
    $other->text('go');

    my $enough = sub { $sent >= 20 && $rounds >= 20 };
    my $until  = time + scale(20);

    # a million, and on until the other has been served often enough
    while ((!$enough->() || length $flood->{out}) && time < $until) {
        if (!length $flood->{out} && !$enough->()) {
            $flood->queue($chunk);
            $sent++;
        }

        $flood->_write;
        $other->_read;

        while ($other->take_frame) {
            my $took = $asked ? $nginx->cpu - $asked : 0;
            $worst = $took if $took > $worst;
            $rounds++;
            $asked = $nginx->cpu;
            $other->text('and again');
        }
    }

    cmp_ok($rounds, '>=', 20, "during a million $name another is served");
    cmp_ok($worst, '<', scale(0.3), '... in time, each time');
    cmp_ok($nginx->memory - $memory, '<', asan() ? 300_000 : 3_000,
        '... and they cost no memory');

    $other->frame;
    $flood->raw($last);
    is($flood->recv_text, $answer, '... and they are taken whole');
}

million('pongs', '', frame(10, '', key => "\1\2\3\4"), frame(1, 'alive'),
    'alive');
million('empty fragments', frame(1, 'begun, ', fin => 0),
    frame(0, '', fin => 0, key => "\1\2\3\4"), frame(0, 'ended'),
    'begun, ended');

# -- pings that nobody wants answers to ----------------------------------

{
    my $ws = $nginx->ws('/other', rcvbuf => 4096, no_read => 1);
    my ($memory, $hub) = ($nginx->memory, $nginx->hub);
    my $pings = frame(9, 'x' x 100, key => "\1\2\3\4") x 100_000;

    $ws->queue($pings);
    ok(wait_until(sub {
        1 while $ws->_write;
        $ws->{broken} || !length $ws->{out};
    }, 30), '100,000 pings at once, whose answers are not read');

    cmp_ok($nginx->memory - $memory, '<', asan() ? 300_000 : 24_000,
        '... cost less than they are long');
    $other->text('well?');
    is($other->recv_text, 'well?', '... and another is served');
    $ws->drop;
    ok(wait_until(sub {
        $nginx->hub->{queued_bytes} == $hub->{queued_bytes}
    }, 20), '... and nothing is left of them');
}

done_testing();
