# What stays of a connection when its request has been freed: the log and its
# context, the addresses; little else.

use lib 't/lib';
use Wscast;
use IO::Socket::INET;
use IO::Socket::UNIX;

# few enough for a usual limit of descriptors
my $N = asan() ? 200 : 800;

my $nginx = host(<<'CONF', workers => 1, connections => 1200);
wscast_hub chat { }

server {
    listen       127.0.0.1:%%PORT%% backlog=4096;
    listen       127.0.0.1:%%PORT_PROXY%% proxy_protocol;
    listen       unix:%%PREFIX%%/sock;

    access_log   off;
    wscast_ping  off;

    location / {
        wscast          chat text;
        wscast_channel  "room";
        wscast_allow    publish "room";
    }
}
CONF

my $request = join "\r\n", 'GET / HTTP/1.1', 'Host: localhost',
    'Upgrade: websocket', 'Connection: Upgrade',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13', '', '';

# "hello", masked with zeros, then a close frame
my $hello = "\x81\x85\0\0\0\0hello";
my $close = "\x88\x82\0\0\0\0\x03\xe8";

sub reads {
    my ($s, $like) = @_;
    my $text = '';

    local $SIG{ALRM} = sub { die "only $text\n" };
    alarm scale(10);
    while ($text !~ $like) {
        sysread $s, $text, 4096, length $text or last;
    }
    alarm 0;

    return $text;
}

sub talks {
    my ($name, $s, $before) = @_;

    syswrite $s, ($before // '') . $request;
    like(reads($s, qr/\r\n\r\n/), qr/^HTTP\/1\.1 101 /, "$name: is let in");
    syswrite $s, $hello;
    like(reads($s, qr/hello/), qr/\x81\x05hello/, "$name: hears itself");
    syswrite $s, $close;
    like(reads($s, qr/\x03\xe8/), qr/\x88\x02\x03\xe8/, "$name: is closed");
    return close $s;
}

sub is_logged {
    my ($name, $client) = @_;
    my $like = qr/\[info\].*wscast: .*while\ serving\ a\ websocket,
        \ client:\ \Q$client\E,\ server:\ \S+$/mx;

    return ok(wait_until(sub { $nginx->log_text =~ $like }),
        "$name: its end is logged with its address");
}

# -- whose socket it is --------------------------------------------------

talks('TCP', IO::Socket::INET->new('127.0.0.1:' . $nginx->port));
is_logged('TCP', '127.0.0.1');

my $path = $nginx->dir . '/sock';
talks('a unix socket', IO::Socket::UNIX->new($path));
is_logged('a unix socket', 'unix:');

talks('behind a proxy', IO::Socket::INET->new('127.0.0.1:'
    . $nginx->port('PORT_PROXY')), "PROXY TCP4 10.1.2.3 10.1.2.4 5000 80\r\n");

# -- how little ----------------------------------------------------------

{
    $_->drop for map { $nginx->ws('/') } 1 .. 20;
    wait_until(sub { $nginx->hub->{connections} == 0 });

    my $before  = $nginx->memory;
    my @clients = map { $nginx->ws('/') } 1 .. $N;
    my $each    = ($nginx->memory - $before) * 1024 / $N;

    is($nginx->hub->{connections}, $N, "$N clients are idle");
    cmp_ok($each, '<', asan() ? 30_000 : 1000,
        'each of them costs less than 1,000 bytes')
        or diag($each);

    $_->drop for @clients;
    ok(wait_until(sub { $nginx->hub->{connections} == 0 }), '... and goes');
}

done_testing();
