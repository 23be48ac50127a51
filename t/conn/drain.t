# A reload is a non-event: clients of the old workers go on until each is asked
# to move with 1001, at a moment of its own within wscast_drain.

use lib 't/lib';
use Wscast;
use Time::HiRes qw(time);

my $CONF = <<'CONF';
wscast_hub chat {
    zone 8m;
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    wscast_drain  4s;

    location /text {
        wscast          chat text;
        wscast_channel  "room:1";
        wscast_allow    publish "room:1";
        wscast_welcome  $pid;
    }

    location /stays {
        wscast          chat text;
        wscast_channel  "room:1";
        wscast_allow    publish "room:1";
        wscast_drain    1h;
    }

    location /never {
        wscast          chat text;
        wscast_channel  "room:1";
        wscast_drain    1s;
    }
}
CONF

my $nginx = host($CONF, workers => 2);

sub clients {
    my ($n) = @_;
    my @ws = map { $nginx->ws('/text') } 1 .. $n;
    $_->{pid} = $_->recv_text for @ws;
    $_->{got} = [] for @ws;
    return @ws;
}

# -- reload --------------------------------------------------------------

{
    my @old = clients(40);
    my %old_pid = map { $_->{pid} => 1 } @old;
    is(scalar keys %old_pid, 2, 'both workers have clients');

    my $stays = $nginx->ws('/stays');
    my $begun = time;
    $nginx->reload;

    my @new = clients(8);
    is((grep { $old_pid{ $_->{pid} } } @new), 0,
        'who comes after the reload is served by new workers');

    # a new client publishes until the last old one has gone, and so does one
    # of an old worker
    my %left;
    my ($published, $witnessed, $from_old, $last) = (0, 0, 0, time);

    my $over = gather([@old, $stays, @new], timeout => 15,
        message => sub {
            my ($ws, $m) = @_;
            push @{ $ws->{got} }, $m->{data};
            $witnessed = $1 if $ws == $new[1] && $m->{data} =~ /^new (\d+)/;
        },
        close => sub {
            my ($ws) = @_;
            $left{$ws} = { after => time - $begun, %{ $ws->ending },
                witnessed => $witnessed };
        },
        until => sub {
            if (time - $last > 0.02) {
                $last = time;
                $new[0]->queue(Wscast::WebSocket::frame_bytes(1,
                    'new ' . ++$published));
                $stays->queue(Wscast::WebSocket::frame_bytes(1,
                    'old ' . ++$from_old)) if $published % 2 == 0;
            }
            return keys %left == @old;
        });

    ok($over, 'all clients of the old workers are asked to move');

    # this holds, too, where a machine stands still for two of the four seconds
    my @after = sort { $a <=> $b } map { $_->{after} } values %left;
    is((grep { $_->{code} != 1001 } values %left), 0, '... with 1001');
    is((grep { !$_->{clean} } values %left), 0, '... cleanly');
    cmp_ok($after[-1], '<', scale(6.5), '... within wscast_drain');
    cmp_ok($after[-1] - $after[0], '>', 1.5, '... spread over it');
    cmp_ok($after[30] - $after[0], '>', 0.5, '... evenly');

    # until it left, each got all that a client of a new worker got, in order
    my $gaps = 0;
    my $deaf = 0;

    for my $ws (@old) {
        my @n = map { /^new (\d+)/ ? $1 : () } @{ $ws->{got} };
        $gaps++ if grep { $n[$_] != $n[0] + $_ } 0 .. $#n;
        my $due = $left{$ws}{witnessed} - 10;
        $deaf++ if $due > 0 && (@n == 0 || $n[-1] < $due);
    }

    is($gaps, 0, 'meanwhile old clients missed nothing of new workers');
    is($deaf, 0, '... to the end');

    my @heard;
    gather([$stays, @new], timeout => 5,
        message => sub { push @{ $_[0]{got} }, $_[1]{data} },
        until   => sub {
            @heard = map { /^old (\d+)/ ? $1 : () } @{ $new[1]{got} };
            return @heard >= $from_old;
        });
    cmp_ok(scalar @heard, '>', 5, 'new clients hear what old ones publish');
    is("@heard", join(' ', 1 .. $from_old), '... all of it');
    $stays->drop;

    ok(wait_until(sub { !$nginx->workers(old => 1) }),
        'the old workers are gone');
    is((grep { $_->{eof} } @new), 0, 'nobody else was asked');

    # and again, with clients who do not answer
    my @never = map { $nginx->ws('/never', mute => 1) } 1 .. 3;
    $_->drop for @new;
    $nginx->reload;
    is($_->wait_close(10)->{code}, 1001, 'who does not answer is asked too')
        for @never;
    ok(wait_until(sub { !$nginx->workers(old => 1) }, 20),
        '... and does not hold the worker');
}

# -- a handshake in the middle of a reload -------------------------------

{
    my $before  = $nginx->descriptors;
    my @half    = map { $nginx->ws('/text', raw => 1) } 1 .. 8;
    my @request = map { $_->request } @half;
    $half[$_]->raw(substr $request[$_], 0, 60) for 0 .. $#half;
    ok(wait_until(sub { $nginx->descriptors == $before + @half }),
        'eight begin their handshakes');
    $nginx->reload;
    my $fine = 0;

    $half[$_]->raw(substr $request[$_], 60) for 0 .. $#half;
    my @status = map {
        (eval { $_->read_response } // { status => 0 })->{status}
    } @half;

    for my $i (0 .. $#half) {
        # nginx may close a request that has not come; it may not answer oddly
        $fine++ if $status[$i] == 0;
        next if $status[$i] != 101;
        my $end = eval { $half[$i]->wait_close(10) };
        $fine++ if $end && ($end->{code} // 0) == 1001;
    }

    is($fine, scalar @half,
        'who upgrades while a worker leaves is asked to move, too');
}

# -- the end -------------------------------------------------------------

{
    my @all   = clients(20);
    my $begun = time;
    $nginx->signal('QUIT');
    my @ends = map { $_->wait_close(10) } @all;

    is((grep { ($_->{code} // 0) != 1001 } @ends), 0,
        'at the end all are asked to move with 1001');
    cmp_ok(time - $begun, '<', scale(6.5), '... within wscast_drain');
    ok($nginx->wait_end(10), 'and nginx ends');
}

{
    # SIGTERM does not wait
    my $fast = host($CONF, name => 'the host that is terminated');
    my @all  = map { $fast->ws('/text') } 1 .. 10;
    $fast->signal('TERM');
    ok($fast->wait_end(5), 'SIGTERM ends nginx at once');
    is((grep { eval { $_->wait_close(5); 1 } } @all), 10,
        '... and with it all connections');
}

done_testing();
