# A full ring slows the publishers and loses nothing; a worker that does not
# drain is cut loose, and its clients are told.

use lib 't/lib';
use Wscast;
use Time::HiRes qw(time);

my $CONF = <<'CONF';
wscast_hub chat {
    zone 1m;
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    wscast_send_buffer   256m;
    wscast_message_size  16k;

    location / {
        wscast          chat text;
        wscast_channel  "room:1";
        wscast_allow    publish "room:1";
        wscast_welcome  $pid;
    }

    location /api/ {
        wscast_api  chat;
    }
}
CONF

# -- many times the size of the ring -------------------------------------

{
    my $nginx = host($CONF, workers => 4, name => 'the host of a small ring');
    my $r = load('blast', $nginx->port, '/', 4, 5000, 4, 2000, 15);
    note(sprintf '40 MB through 1 MB in %.1f s', $r->{seconds});

    is($r->{lost}, 0, '40 MB pass through a zone of 1 MB, none is lost');
    is($r->{disorder}, 0, '... each publisher\'s in order');
    my %orders = map { $_ => 1 } @{ $r->{orders} };
    is(scalar keys %orders, 1, '... one order for all');
    is($r->{ended}, 0, '... and no connection is lost') || diag(explain($r));
    is($nginx->hub->{bus_lapped_total}, 0, 'no worker was cut loose');
}

# -- a worker that stands still ------------------------------------------

{
    my $nginx = host($CONF, workers => 3, name => 'the host of a frozen one');
    $nginx->expect_log(qr/wscast: worker fell behind/);

    my @ws = map { $nginx->ws('/', timeout => 30) } 1 .. 24;
    my %by_pid;
    push @{ $by_pid{ $_->{pid} = $_->recv_text } }, $_ for @ws;
    is(scalar keys %by_pid, 3, 'all three workers have clients');

    my ($frozen, @alive) = sort keys %by_pid;
    my $from = $by_pid{ $alive[0] }[0];
    my @rest = map { @{ $by_pid{$_} } } @alive;
    my $n    = 4000;
    my $full = 300;                     # more of them than the ring can hold
    my (%got, $beyond);

    ok($nginx->stop_worker($frozen), 'one of them is stopped');
    my $frames = join '', map {
        Wscast::WebSocket::frame_bytes(1, "$_ " . 'x' x 1000)
    } 1 .. $n;
    my $begun = my $last = time;
    my $paused = 0;
    $from->queue($frames);

    # how fast all is read is the machine's: what counts is when nothing comes
    my $met = gather(\@rest, timeout => 300,
        message => sub {
            my ($ws, $m) = @_;
            my ($number) = $m->{data} =~ /^(\d+)/;
            my $now = time;
            $paused += $now - $last if $now - $last > 1;
            $last = $now;
            $beyond //= $now if $number > $full;
            push @{ $got{$ws} }, $number;
        },
        until => sub {
            return 1 if !grep { @{ $got{$_} // [] } < $n } @rest;
            return -1 if time - $last > scale(20);
        });
    kill 'CONT', $frozen;

    is($met, 1, 'the others go on without it');
    cmp_ok(($beyond // 0) - $begun, '>', 4,
        '... after they have waited for it');
    cmp_ok($paused, '<', scale(10), '... but not for long');
    is((grep { "@{ $got{$_} }" ne join ' ', 1 .. $n } @rest), 0,
        '... and miss nothing');

    my @ends = map { $_->wait_close(20) } @{ $by_pid{$frozen} };
    is((grep { ($_->{code} // 0) != 1013 } @ends), 0,
        'clients of the frozen one are told with 1013')
        || diag(explain($ends[0]));
    is($nginx->hub->{bus_lapped_total}, 1, '... which is counted');
    is((() = $nginx->log_text =~ /\[error\] .*wscast:\sworker\s$frozen\shas
        \sread\snothing\sfor\s5\sseconds/gx), 1,
        '... and had been told by another one');

    # it is whole again
    my @again = map { $nginx->ws('/') } 1 .. 24;
    my %pid = map { $_->recv_text => 1 } @again;
    ok($pid{$frozen}, 'the frozen one takes clients again');
    $again[0]->text('hello again');
    is((grep { $_->recv_text ne 'hello again' } @again), 0,
        '... who get everything');
}

done_testing();
