package Wscast::Port;

# Ports to listen on, for the harness of the tests and for the bench.

use strict;
use warnings;

use Exporter qw(import);
use IO::Socket::INET;
use Socket qw(AF_UNIX SOCK_STREAM);

our @EXPORT_OK = qw(free_port);

my %taken;

# One outside the range from which the kernel takes the clients' ones.  Nobody
# else who asks here gets it as long as this process lives, though nobody may
# listen on it for long: a server is yet to begin, or was killed.

sub free_port {
    for (1 .. 1000) {
        my $port = 10240 + int rand 20000;
        next if $taken{$port};

        my $mine = _claim($port) or next;
        my $s = IO::Socket::INET->new(
            LocalAddr => '127.0.0.1', LocalPort => $port,
            Listen => 1, ReuseAddr => 1,
        ) or next;

        close $s;
        $taken{$port} = $mine;
        return $port;
    }

    die "no free port\n";
}

# A socket whose name, in no directory, only one can have, and which is gone
# with its process.

sub _claim {
    my ($port) = @_;

    socket my $claim, AF_UNIX, SOCK_STREAM, 0 or die "socket: $!\n";
    return bind($claim, pack 'S a*', AF_UNIX, "\0wscast-port-$port")
        ? $claim : undef;
}

1;
