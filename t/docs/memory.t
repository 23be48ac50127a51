# What docs/operations.md says of the memory of idle clients.

use lib 't/lib';
use Wscast;

# A sanitizer keeps for a while what is freed: not here.
$ENV{WSCAST_ASAN_OPTIONS} = 'quarantine_size_mb=0:'
    . 'thread_local_quarantine_size_kb=0';

# few enough for a usual limit of descriptors
my $N = asan() ? 300 : 800;

# With $packed each client sends so many messages compressed, and takes its
# context over.

sub measure {
    my ($path, $packed) = @_;
    my @offer = $packed
        ? (deflate => 'permessage-deflate; client_max_window_bits') : ();
    my $nginx = host(<<'CONF', workers => 1, connections => 1200);
wscast_hub chat { }

server {
    listen 127.0.0.1:%%PORT%% backlog=4096;

    access_log  off;

    location / {
        wscast          chat text;
        wscast_channel  "room:$arg_room";
    }

    location /hold {
        wscast          chat text;
        wscast_channel  "room:$arg_room";
        wscast_request  hold;
    }

    location /deflate {
        wscast          chat text;
        wscast_channel  "room:$arg_room";
        wscast_allow    publish "room:*";
        wscast_deflate  on;
    }
}
CONF

    # what is allocated once is not the clients'
    $_->drop for map { $nginx->ws('/?room=0') } 1 .. 20;
    wait_until(sub { $nginx->hub->{connections} == 0 });

    my $before  = $nginx->memory;
    my @clients = map { $nginx->ws("$path?room=$_", @offer) } 1 .. $N;
    is($nginx->hub->{connections}, $N, "$N clients are there");

    for my $ws (@clients) {
        for (1 .. $packed // 0) {
            $ws->packed(join '', map { chr 97 + rand 26 } 1 .. 1000);
            $ws->recv;
        }
    }

    my $each = ($nginx->memory - $before) / $N;
    note(sprintf '%s: %.2f KB a client', $path, $each);
    $_->drop for @clients;

    return $each;
}

my ($released, $held) = map { measure($_) } '/', '/hold';
my $packed = measure('/deflate', 6);

# a sanitizer puts something around each block
my $more = asan() ? 1.7 : 1;

cmp_ok($released, '<', 1.5 * $more, 'an idle client costs about 1 KB');
cmp_ok($held, '<', 12 * $more, 'one that is held costs about 10 KB');
cmp_ok($held, '>', 5 * $released, '... which is more');
cmp_ok($packed, '<', $released + 5 * $more,
    'one that has sent compressed messages costs 4 KB more');

done_testing();
