# Questions to all workers find them, quickly, whatever has happened to workers,
# hosts and Redis before.

use lib 't/lib';
use Wscast;
use Wscast::Api;
use Time::HiRes qw(time);

my $CONF = <<'CONF';
wscast_hub chat {
    zone  8m;
    %%REDIS%%
    redis_reconnect  50ms 200ms;
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    wscast_drain  10s;

    location /json {
        wscast          chat;
        wscast_channel  "room:1";
        wscast_user     $arg_user;
        wscast_ping     off;
    }

    location /api/ {
        wscast_api  chat;
    }
}
CONF

sub client {
    my ($host, $user) = @_;
    my $ws = $host->ws('/json?user=' . ($user // ''));
    $ws->recv_json;
    return $ws;
}

# How many there are, and how long the answer took.

sub count {
    my ($host) = @_;
    my $begun = time;
    my $n = api($host, GET => 'channels/room:1')->{json}{subscribers} // -1;
    return ($n, time - $begun);
}

sub counted {
    my ($host, $n, $name) = @_;
    my ($got, $took);

    # whoever has just died is waited for once more
    my $ok = wait_until(sub {
        ($got, $took) = count($host);
        return $got == $n && $took < scale(0.5);
    });

    ok($ok, $name) || diag("$got in $took s");

    return;
}

# What has come until now.

sub hear {
    for my $ws (@_) {
        $ws->_read;
        while (my $frame = $ws->take_frame) { $ws->_message($frame) }
    }

    return;
}

settings($CONF, sub {
    my ($in, $one, $two, $redis) = @_;
    my @ws = map { client($_ % 2 ? $one : $two) } 1 .. 12;

    # whoever waits for somebody in vain waits for a second, again and again;
    # a machine that stands still holds up the one that is asked just then
    my ($wrong, $slow) = (0, 0);

    for my $host (($one, $two) x 60) {
        my ($n, $took) = count($host);
        $wrong++ if $n != 12;
        $slow++ if $took > scale(0.3);
    }

    is($wrong, 0, "$in: each of 120 questions is answered right");
    cmp_ok($slow, '<', 3, '... at once');

    is($_->hub->{publishes_total}, 0, '... and counted as no publish')
        for $one, $two;

    # -- workers come and go ---------------------------------------------

    for my $time (1 .. 3) {
        $_->reload for $one, $two;
        my @new = map { client($_) } ($one, $two) x 6;

        # old clients are asked to move one by one, meanwhile
        hear(@ws);
        my $most = grep { !$_->{eof} } @ws;
        my ($n) = count($one);
        hear(@ws);
        my $least = grep { !$_->{eof} && !$_->{close} } @ws;
        ok($n <= $most + @new && $n >= $least + @new && $least > 0,
            "$in: during reload $time old and new are counted")
            || diag("$n of $most to $least, and " . @new);

        $_->drop for @ws;
        counted($two, scalar(@new), '... then the new ones alone');
        @ws = @new;
    }

    for my $host ($one, $two) {
        my @old = $host->workers;
        $host->expect_log(qr/worker process \d+ exited on signal 9/);
        kill 'KILL', $old[0];
        ok(wait_until(sub {
            my @now = $host->workers;
            return @now == @old && !grep { $_ == $old[0] } @now;
        }), "$in: a worker is killed");

        gather(\@ws, timeout => 0.5, until => sub { 0 });
        @ws = grep { !$_->{eof} } @ws;
        my $ws = client($host, 'late');
        counted($one, @ws + 1, '... who is left is counted');
        counted($two, @ws + 1, '... by everybody');
        is(api($one, DELETE => 'users/late')->{json}{disconnected}, 1,
            '... and can be ended');
        is($ws->wait_close->{code}, 4403, '... with 4403');
    }

    if ($redis) {

        # -- Redis comes and goes ----------------------------------------

        push @ws, client($one), client($two);

        for my $how ('killed', 'frozen') {
            $redis->$_ for $how eq 'killed' ? 'kill9' : 'freeze';
            ok(wait_until(sub {
                api($one, GET => 'channels')->{status} == 503
                    && api($two, GET => 'channels')->{status} == 503
            }), "when Redis is $how nobody can be asked");
            $redis->$_ for $how eq 'killed' ? 'start' : 'thaw';
            counted($_, scalar(@ws), '... and after it everybody answers')
                for $one, $two;
        }

        # -- a host goes, another comes ----------------------------------

        $_->drop for grep { $_->{port} == $two->port } @ws;
        @ws = grep { $_->{sock} } @ws;
        $two->quit;
        counted($one, scalar(@ws), 'without the other host');
        $two->start;
        ok(wait_until(sub { $two->hub->{redis_links} >= 3 }), 'it comes back');
        push @ws, client($two);
        counted($_, scalar(@ws), '... and counts') for $one, $two;

        # -- somebody else listens ---------------------------------------

        my $link = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $redis->port) or die;
        syswrite $link, "PSUBSCRIBE *\r\n";
        sysread $link, my $answer, 100;
        my ($n, $took) = count($one);
        is($n, scalar(@ws), 'with a listener that does not answer');
        cmp_ok($took, '<', scale(4), '... the count is right, after a second');
        close $link;
    }

    $_->drop for @ws;
});

done_testing();
