# For a minute 2,000 clients a second come and go, half of them in the middle
# of something, the others after a publish.  Afterwards everything is as it
# was.

use lib 't/lib';
use Wscast;

my ($RATE, $SECONDS) = asan() ? (300, 60) : (2000, 60);

my $nginx = host(<<'CONF', workers => 2, connections => 8192);
wscast_hub chat {
    zone 16m;
}

server {
    listen 127.0.0.1:%%PORT%% reuseport backlog=4096;

    access_log  off;
    error_log   %%PREFIX%%/logs/error.log error;

    location / {
        wscast          chat text;
        wscast_channel  "room:$arg_room";
        wscast_allow    publish "room:*";
        wscast_welcome  "welcome";
    }
}
CONF

# At rest: of those who leave in the middle of a handshake nobody counts.

sub descriptors {
    my $least = $nginx->descriptors;

    hold_for(1, sub {
        my $n = $nginx->descriptors;
        $least = $n if $n < $least;
        return 1;
    });

    return $least;
}

sub settled {
    return wait_until(sub {
        my $hub = $nginx->hub;
        return !$hub->{connections} && !$hub->{subscriptions}
            && !$hub->{channels} && !$hub->{queued_bytes} ? $hub : 0;
    }, 20);
}

# what is cached and grown once is grown before
my $warm = load('churn', $nginx->port, '/', $RATE, 5);
ok(settled(), 'after the first seconds nobody is left');

my @workers = $nginx->workers;
my ($memory, $descriptors) = ($nginx->memory, descriptors());
my $before = $nginx->hub;

# somebody stays all the time and must notice nothing
my $witness = $nginx->ws('/?room=7', timeout => 90);
is($witness->recv_text, 'welcome', 'somebody stays');

my $result = load_begin('churn', $nginx->port, '/', $RATE, $SECONDS);
my $heard  = 0;
my $asked  = 0;
my $end    = Time::HiRes::time() + $SECONDS - 1;

while (Time::HiRes::time() < $end) {
    my $m = $witness->recv(20) or last;
    $heard++;

    if ($heard % 50 == 0) {
        $witness->text('{"type":"ping"}');
        $asked++;
    }
}

my $r = $result->();
note(sprintf '%d connections in %.1f s: %d left in the handshake, %d in a '
    . 'frame, %d closed; at most %d at once',
    @$r{qw(opened seconds mid_handshake mid_frame closed most)});

is($r->{failed}, 0, 'every client could do what it wanted');
is($r->{opened}, $RATE * $SECONDS, 'they were as many')
    || diag(explain($r));
cmp_ok($r->{mid_handshake} + $r->{mid_frame}, '>', $r->{opened} * 0.45,
    'half of them left in the middle of something');
cmp_ok($heard, '>', $r->{closed} / 100,
    'who stays heard what was published');

is($witness->close(1000)->{code}, 1000, 'who stays leaves as he likes');

my $after = settled();
ok($after, 'nobody is left, no channel, no subscription');
is($after->{connections_total} - $before->{connections_total},
    $r->{opened} - $r->{mid_handshake} + 1, 'all of them were counted');
is(join(' ', $nginx->workers), "@workers", 'no worker died');
ok(wait_until(sub { $nginx->descriptors == $descriptors }),
    'no descriptor is left open')
    || diag($nginx->descriptors . ", not $descriptors");

# malloc keeps what the peak has needed, at most 16 KB a client: more clients
# at once than in the first seconds are no leak, 9 bytes a connection are one
my $grown = $nginx->memory - $memory;
my $peak  = $r->{most} > $warm->{most} ? $r->{most} - $warm->{most} : 0;
note("memory has grown by $grown KB, the peak by $peak clients");
cmp_ok($grown, '<', asan() ? 300_000 : 1_000 + 16 * $peak,
    'no memory is left behind');

done_testing();
