# The cases of the Autobahn test suite's sections 1 to 7, 9, 10, 12 and 13,
# judged strictly: whole as the suite sends them, and those of the first
# sections cut into pieces of one byte and of seven, too.

use lib 't/lib';
use Wscast;
use Wscast::Autobahn;
use Wscast::Autobahn::Deflate;
use Wscast::Autobahn::Frames;
use Wscast::Autobahn::Large;
use Wscast::Autobahn::Text;

my $nginx = host(<<'CONF');
wscast_hub echo {
    zone 256m;
}

server {
    listen 127.0.0.1:%%PORT%%;

    location / {
        wscast               echo text;
        wscast_channel       "echo:$connection";
        wscast_allow         publish "echo:$connection";
        wscast_message_size  16m;
        wscast_send_buffer   40m;
        wscast_heartbeat     off;
        wscast_deflate       on min=0;
        wscast_origin        any;
    }
}
CONF

my @small = (Wscast::Autobahn::Frames::cases(),
    Wscast::Autobahn::Text::cases());
my @large = Wscast::Autobahn::Large::cases();
my @packed = Wscast::Autobahn::Deflate::cases();

is(@small + @large, 301, 'the suite has 301 cases without compression');
is(@packed, 216, '... and 216 with it');

sub passes {
    my ($how, $cases, %option) = @_;

    for my $run (Wscast::Autobahn::run($nginx->port, '/', $cases, %option)) {
        is($run->{problem}, '', "$run->{id} $run->{about}$how");
    }

    return;
}

passes('', \@small);
passes(', seven bytes a write', \@small, cut => 7);
passes(', a byte a write',
    [grep { $_->{id} !~ /^(?:1\.[12]\.[678]|7\.1\.6|10\.1\.1)$/ } @small],
    cut => 1);
passes('', \@large, at_once => 4);
passes('', \@packed);

my $hub = $nginx->hub;

# 1188 of each data, and of each parameters
is($hub->{inflated_total}, 12 * 1188, 'each message came compressed');
cmp_ok($hub->{deflate_bytes_out_total}, '<',
    0.6 * $hub->{deflate_bytes_in_total}, '... and went so, and smaller');

done_testing();
