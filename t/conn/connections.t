# How many connections a key may have on a host, over all workers.

use lib 't/lib';
use Wscast;

my $CONF = <<'CONF';
wscast_hub chat {
    zone 4m;
    %%ENGINE%%
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    wscast_connections  $arg_key 5;

    location /ws    { wscast chat; }
    location /text  { wscast chat text; wscast_channel room;
                      wscast_request hold; }
    location /free  { wscast chat; wscast_connections off; }
}
CONF

sub fill {
    my ($host, $path, $n) = @_;
    my (@in, @out);

    for (1 .. $n) {
        my $ws = eval { $host->ws($path) };
        push @{ $ws ? \@in : \@out }, $ws || $@;
    }

    return (\@in, \@out);
}

for my $redis (undef, redis()) {
    my $engine = $redis ? 'redis redis://127.0.0.1:%%REDIS_PORT%%;' : '';
    my $with = $redis ? 'with Redis' : 'embedded';
    my $host = host($CONF =~ s/%%ENGINE%%/$engine/r, workers => 3,
        $redis ? (redis => $redis) : ());

    my ($in, $out) = fill($host, '/ws?key=a', 8);
    is(scalar @$in, 5, "$with: five are let in, on three workers");
    like($out->[0], qr/429/, '... the others are refused with 429');

    my ($others) = fill($host, '/text?key=b', 8);
    is(scalar @$others, 5, '... another key has a count of its own');
    is(scalar @{ (fill($host, '/ws', 8))[0] }, 8, '... no key has none');
    is(scalar @{ (fill($host, '/free?key=a', 8))[0] }, 8, '... nor has "off"');

    $_->drop for @$in[0, 1], @$others[0, 1];
    ok(wait_until(sub {
        my $ws = eval { $host->ws('/ws?key=a') } or return 0;
        push @$in, $ws;
    }), '... who leaves makes room');
    ok(wait_until(sub {
        my $ws = eval { $host->ws('/text?key=b') } or return 0;
        push @$others, $ws;
    }), '... where the request is held, too');

    ok(wait_until(sub {
        my $ws = eval { $host->ws('/ws?key=a') } or return 0;
        push @$in, $ws;
    }), '... and the next one, too');
    is(scalar @{ (fill($host, '/ws?key=a', 5))[0] }, 0,
        '... but no more than have left');

    $host->reload;
    is(scalar @{ (fill($host, '/ws?key=b', 3))[0] }, 1,
        '... a reload, and the clients of old workers, change nothing');

    $host->expect_log(qr/exited on signal 9/);
    my ($big) = fill($host, '/ws?key=c', 5);
    kill KILL => $host->workers;
    ok(wait_until(sub {
        my $ws = eval { $host->ws('/ws?key=c') } or return 0;
        push @$big, $ws;
        return @$big == 10;
    }), '... the connections of killed workers are forgotten');
}

for my $bad ('', '$arg_x', '$arg_x 0', '$arg_x many', '$arg_x -1') {
    bad_config("wscast_connections $bad is refused", <<"CONF",
wscast_hub chat { zone 4m; }
server { listen 127.0.0.1:%%PORT%%; wscast_connections $bad; }
CONF
        $bad eq '' ? qr/"wscast_connections"/
            : qr/"wscast_connections \Q$bad\E"/);
}

done_testing();
