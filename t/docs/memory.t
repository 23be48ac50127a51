# What docs/operations.md says of the memory of idle clients.

use lib 't/lib';
use Wscast;

# few enough for a usual limit of descriptors
my $N = asan() ? 300 : 800;

sub measure {
    my ($path) = @_;
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
}
CONF

    # what is allocated once is not the clients'
    $_->drop for map { $nginx->ws('/?room=0') } 1 .. 20;
    wait_until(sub { $nginx->hub->{connections} == 0 });

    my $before  = $nginx->memory;
    my @clients = map { $nginx->ws("$path?room=$_") } 1 .. $N;
    is($nginx->hub->{connections}, $N, "$N clients are there");

    my $each = ($nginx->memory - $before) / $N;
    note(sprintf '%s: %.2f KB a client', $path, $each);
    $_->drop for @clients;

    return $each;
}

my ($released, $held) = map { measure($_) } '/', '/hold';

cmp_ok($released, '<', asan() ? 30 : 1.5, 'an idle client costs about 1 KB');
cmp_ok($held, '<', asan() ? 30 : 12, 'one that is held costs about 10 KB');

# a sanitizer keeps for a while what is freed, the released requests too
cmp_ok($held, '>', asan() ? 0 : 5 * $released, '... which is more');

done_testing();
