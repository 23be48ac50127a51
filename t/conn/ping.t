# wscast_ping: silent peers are pinged; who does not answer is left.  The times
# are so long that a machine may stand still for two seconds.

use lib 't/lib';
use Wscast;
use POSIX ();
use Time::HiRes qw(time);

my $nginx = host(<<'CONF');
wscast_hub chat {
    zone 4m;
}

server {
    listen 127.0.0.1:%%PORT%%;

    location / {
        wscast       chat;
        wscast_ping  3s 3s;
    }

    location /default {
        wscast  chat;
    }
}
CONF

my %begun = map { $_ => time } 'silent', 'answers', 'talks', 'pongs', 'half',
    'slow';
my %ws = map { $_ => $nginx->ws('/', mute => 1) } sort keys %begun;
my (%pings, %ended);

is($ws{$_}->recv_json->{ping}, 3, 'the welcome tells the interval')
    for sort keys %ws;
is($nginx->ws('/default')->recv_json->{ping}, 25, '25 seconds by default');

# half a header, and nothing more; and a message that comes byte by byte
$ws{half}->raw("\x81\xfe\x01");
my $message = Wscast::WebSocket::frame_bytes(1, '{"type":"ping"}');

my $said  = time;
my $until = time + scale(12);
my @left  = ('silent', 'half');

# until the silent ones have gone, and another was asked for the second time
while (time < $until && (grep({ !$ended{$_} } @left)
    || @{ $pings{answers} // [] } < 2))
{
    if (time - $said > 0.3) {
        $said = time;
        $ws{talks}->json({ type => 'ping' });
        $ws{pongs}->send_frame(10, '');
        $ws{slow}->raw(substr $message, 0, 1, '') if length $message > 1;
    }

    select undef, undef, undef, 0.02;

    for my $who (sort keys %ws) {
        next if $ended{$who};
        $ws{$who}->_read;

        while (my $frame = $ws{$who}->take_frame) {
            next if $frame->{op} != 9;
            push @{ $pings{$who} }, time - $begun{$who};
            $ws{$who}->send_frame(10, $frame->{data}) if $who eq 'answers';
        }

        $ended{$who} = time - $begun{$who} if $ws{$who}{eof};
    }
}

is(scalar @{ $pings{silent} // [] }, 1, 'a silent client is pinged, once');
cmp_ok($pings{silent}[0], '>', 2.9, '... after the interval');
cmp_ok($pings{silent}[0], '<', scale(5.5), '... and no later');
ok($ended{silent}, 'if it does not answer, it is left');
cmp_ok($ended{silent}, '>', 5.9, '... after the timeout');
cmp_ok($ended{silent}, '<', scale(8.5), '... and no later');

cmp_ok(scalar @{ $pings{answers} // [] }, '>=', 2,
    'a client that answers is pinged again');
ok(!$ended{answers}, '... and stays');
ok(!$pings{talks}, 'a client that talks is not pinged');
ok(!$ended{talks}, '... and stays');
ok(!$pings{pongs}, 'a client that sends pongs by itself is not pinged');
ok(!$ended{pongs}, '... and stays');

is(scalar @{ $pings{half} // [] }, 1,
    'a client that stops within a frame is pinged');
ok($ended{half}, '... and left');
ok(!$pings{slow}, 'one whose message comes byte by byte is not pinged');
ok(!$ended{slow}, '... and stays');
$ws{slow}->raw($message);
is($ws{slow}->recv_json->{type}, 'pong', '... and is answered in the end');

is($nginx->hub->{closes}{silent}, 2, 'the silent ones are counted as such');

# -- a client that is frozen ---------------------------------------------

{
    $_->drop for values %ws;
    ok(wait_until(sub { $nginx->hub->{connections} == 0 }), 'all have gone');

    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        my $ws = eval { $nginx->ws('/', timeout => 60) };
        1 while $ws && eval { $ws->frame };
        POSIX::_exit(0);
    }

    ok(wait_until(sub { $nginx->hub->{connections_total} == 8 }),
        'a client in a process of its own');
    kill 'STOP', $pid;
    ok(wait_until(sub { $nginx->hub->{closes}{silent} == 3 }, 20),
        'one that is frozen is found by the ping');
    kill 'KILL', $pid;
    waitpid $pid, 0;
}

done_testing();
