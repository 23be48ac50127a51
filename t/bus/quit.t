# nginx ends, or its workers do: who subscribes in Redis stays until the last
# client has gone, what waits for a client is sent before it is asked to move,
# and nothing is left behind.

use lib 't/lib';
use Wscast;
use Time::HiRes qw(sleep time);

my $redis = redis();

my $CONF = <<'CONF';
wscast_hub local {
    zone     8m;
    channel  room:*  { history 100 2s; presence on grace=1s; }
}

wscast_hub remote {
    zone     8m;
    redis    redis://127.0.0.1:%%REDIS_PORT%%;

    redis_timeout  5s 5s;
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    wscast_allow         all "*";
    wscast_drain         4s;
    wscast_send_buffer   64m;
    wscast_message_size  256k;
    wscast_welcome       $pid;

    location /local  { wscast local; }
    location /remote { wscast remote; wscast_drain 6s; }
    location /soon   { wscast local; wscast_drain 300ms; }
}
CONF

sub new_host {
    my ($name) = @_;
    my $host = host($CONF, redis => $redis, workers => 3, name => $name);
    ok(wait_until(sub { $host->has_redis('remote') }),
        "$name finds Redis");
    return $host;
}

sub client {
    my ($host, $path, $channel) = @_;
    my $ws = $host->ws($path, timeout => 20);
    $ws->{pid} = $ws->recv_json->{msg};
    $ws->ask({ type => 'subscribe', channel => $channel });
    return $ws;
}

# -- who subscribes for all is the last to go ----------------------------

{
    my $host   = new_host('the host that ends');
    my $leader = $host->leader('remote');
    my @ws;

    while (@ws < 24) {
        my $ws = client($host, '/remote', 'c');
        $ws->{pid} == $leader ? $ws->drop : push @ws, $ws;
    }

    my ($n, @said, %last, %at, @early) = (0);
    my $hear = sub {
        my ($ws, $m) = @_;
        push @{ $last{$ws} }, $1 if $m->{data} =~ /"data":(\d+)/;
        $at{$ws} //= [$n, time] if $m->{data} =~ /"disconnect"/;
    };
    my $there = sub { grep { !$_->{eof} && !$_->{close} } @ws };

    $host->signal('QUIT');
    my $begun = time;

    # until it is asked to move each hears what is published
    my $met = gather(\@ws, timeout => 20, message => $hear, until => sub {
        if (!@early && !$host->still($leader)) {
            # what the others were told before it went is here
            for my $ws ($there->()) {
                $ws->_read;
                while (my $frame = $ws->take_frame) {
                    my $m = $ws->_message($frame) or next;
                    $hear->($ws, $m);
                }
            }
            @early = (scalar $there->());
        }

        sleep 0.02;
        push @said, time;
        $redis->command('PUBLISH', 'wscast:remote:c', ++$n);
        return !$there->();
    });

    ok($met, 'all are asked to move') || diag(time - $begun);
    cmp_ok($n, '>', 50, "$n messages are published meanwhile");
    is((grep { !defined $at{$_} } @ws), 0, '... with a word before 1001');
    is((grep { my $l = $last{$_} // [];
        grep { $l->[$_] != $l->[0] + $_ } 0 .. $#$l } @ws), 0,
        'nobody misses one in between');
    # the first that a client did not hear was on its way, or it was deaf
    is((grep {
        my ($up_to, $then) = @{ $at{$_} };
        my $missed = $last{$_}[-1] // 0;
        $missed < $up_to && $then - $said[$missed] > scale(2.5);
    } @ws), 0, '... nor at the end')
        || diag(join ' ', map { "$at{$_}[0]/" . ($last{$_}[-1] // 0) } @ws);
    ok($host->wait_end(10), 'then it ends');
    is($early[0] // 0, 0, 'the one that is subscribed is the last to go');
    is((() = $host->log_text =~ /subscribes in redis for hub "remote"/g), 1,
        'one worker has been subscribed all the time');
    ok(wait_until(sub {
        1 == split /\n/, $redis->command('CLIENT', 'LIST')
    }), 'no connection to Redis is left');
}

# -- what waits for a client ---------------------------------------------

my $host = new_host('the host that stays');

sub kept {
    my $hub = $host->hub('local');
    return $hub->{zone_used_bytes} - $hub->{zone_presence_bytes};
}

my $kept = kept();

{
    my @slow  = map { client($host, '/soon', 'big') } 1 .. 6;
    my $voice = client($host, '/local', 'other');
    my $text  = 'x' x 200_000;
    my $n     = 40;

    # far more than what the sockets take
    $voice->ask({ type => 'publish', channel => 'big', data => "$_ $text" })
        for 1 .. $n;
    ok(wait_until(sub { $host->hub('local')->{queued_bytes} > 5_000_000 }),
        'much waits for clients that do not read');
    $host->reload;
    sleep 1;

    my %got;
    ok(gather(\@slow, timeout => 30,
        message => sub {
            my ($ws, $m) = @_;
            push @{ $got{$ws} }, $m->{data} =~ /"data":"(\d+) x+"/ ? $1
                : $m->{data} =~ /"type":"(\w+)"/ ? $1 : 'odd';
        },
        until => sub { !grep { !$_->{close} } @slow },
    ), 'when they read they are asked to move');
    is((grep { $_->{close}{code} != 1001 } @slow), 0, '... with 1001');
    is((grep { join(' ', @{ $got{$_} }) ne join(' ', 1 .. $n, 'disconnect') }
        @slow), 0, '... behind all that waited');
    $_->drop for @slow, $voice;
    ok(wait_until(sub { !$host->workers(old => 1) }), 'the old workers end');
}

# -- what is left behind -------------------------------------------------

{
    my $records = sub {
        my $hub = $host->hub('local');
        return join ' ', map { "$_=$hub->{$_}" } qw(workers connections
            subscriptions channels queued_bytes zone_messages);
    };
    my $before = $records->();

    for my $round (1 .. 3) {
        my @ws = map { client($host, '/local', "room:$_") } 1 .. 12;
        $ws[$_]->ask({ type => 'publish', channel => 'room:' . ($_ + 1),
            data => $_ }) for 0 .. 11;
        $host->reload;
        $_->drop for @ws[0 .. 5];
        $_->wait_close(15) for @ws[6 .. 11];
        $_->drop for @ws[6 .. 11];
    }

    # of presence there is a block for each worker
    ok(wait_until(sub {
        !$host->workers(old => 1) && $records->() eq $before
            && $host->hub('local')->{zone_presence_bytes} == 3 * 128
    }, 20), 'after reloads the zone has as many records as before')
        || diag("$before\n", $records->(), "\n",
            $host->hub('local')->{zone_presence_bytes});

    # the names of channels are remembered, in a block each
    cmp_ok(kept() - $kept, '<=', 13 * 128,
        '... and no more than the names of channels');
    is($host->hub('local')->{workers_lost_total}, 0,
        'no worker ended without a word');
}

# -- the old workers while they wait -------------------------------------

sub used {
    my $sum = 0;

    for my $pid (@_) {
        open my $in, '<', "/proc/$pid/stat" or next;
        my @field = split ' ', readline($in) =~ s/^.*\) //r;
        $sum += $field[11] + $field[12];
    }

    return $sum / 100;
}

{
    my @ws  = map { client($host, $_, 'c') } ('/local', '/remote') x 8;
    my @old = $host->workers;

    $host->signal('HUP');
    ok(wait_until(sub { $host->workers(old => 1) == 3 }), 'workers leave');
    my ($begun, $spent) = (time, used(@old));
    my $last = $spent;
    gather(\@ws, timeout => 20, until => sub {
        my $now = used(@old);
        $last = $now if $now > $last;
        return !grep { !$_->{eof} && !$_->{close} } @ws;
    });
    $spent = $last - $spent;
    my $took = time - $begun;
    note(sprintf '%.2f s of the processor in %.1f s', $spent, $took);
    cmp_ok($spent, '<', 0.1 * $took * (asan() ? 3 : 1),
        'they use next to nothing of the processor until they end');
    $_->drop for @ws;
}

# -- SIGTERM -------------------------------------------------------------

{
    my @ws = map { client($host, $_, 'c') } ('/local', '/remote') x 8;
    $host->signal('TERM');
    ok($host->wait_end(10), 'SIGTERM ends it at once');
    is((grep { !eval { $_->wait_close(5); 1 } } @ws), 0,
        '... and all connections');
    ok(wait_until(sub {
        1 == split /\n/, $redis->command('CLIENT', 'LIST')
    }), '... those to Redis, too');
}

done_testing();
