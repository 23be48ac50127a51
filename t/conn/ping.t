# wscast_ping: silent peers are pinged; who does not answer is left.

use lib 't/lib';
use Wscast;
use Time::HiRes qw(time);

my $nginx = host(<<'CONF');
wscast_hub chat {
    zone 4m;
}

server {
    listen 127.0.0.1:%%PORT%%;

    location / {
        wscast       chat;
        wscast_ping  1s 1s;
    }

    location /default {
        wscast  chat;
    }
}
CONF

my %begun = map { $_ => time } 'silent', 'answers', 'talks', 'pongs';
my %ws = map { $_ => $nginx->ws('/', mute => 1) } sort keys %begun;
my (%pings, %ended);

is($ws{$_}->recv_json->{ping}, 1, 'the welcome tells the interval')
    for sort keys %ws;
is($nginx->ws('/default')->recv_json->{ping}, 25, '25 seconds by default');

my $said  = time;
my $until = time + 4.5;

while (time < $until) {
    if (time - $said > 0.3) {
        $said = time;
        $ws{talks}->json({ type => 'ping' });
        $ws{pongs}->send_frame(10, '');
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
cmp_ok($pings{silent}[0], '>', 0.9, '... after the interval');
cmp_ok($pings{silent}[0], '<', scale(1.6), '... and no later');
ok($ended{silent}, 'if it does not answer, it is left');
cmp_ok($ended{silent}, '>', 1.9, '... after the timeout');
cmp_ok($ended{silent}, '<', scale(2.6), '... and no later');

cmp_ok(scalar @{ $pings{answers} // [] }, '>=', 2,
    'a client that answers is pinged again');
ok(!$ended{answers}, '... and stays');
ok(!$pings{talks}, 'a client that talks is not pinged');
ok(!$ended{talks}, '... and stays');
ok(!$pings{pongs}, 'a client that sends pongs by itself is not pinged');
ok(!$ended{pongs}, '... and stays');

is($nginx->hub->{closes}{silent}, 1, 'the silent one is counted as such');

done_testing();
