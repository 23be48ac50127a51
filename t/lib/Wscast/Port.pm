package Wscast::Port;

# Ports to listen on, for the harness of the tests and for the bench.

use strict;
use warnings;

use Exporter qw(import);
use IO::Socket::INET;

our @EXPORT_OK = qw(free_port);

my %taken;

# One outside the range from which the kernel takes the clients' ones.

sub free_port {
    for (1 .. 1000) {
        my $port = 10240 + int rand 20000;
        next if $taken{$port};

        my $s = IO::Socket::INET->new(
            LocalAddr => '127.0.0.1', LocalPort => $port,
            Listen => 1, ReuseAddr => 1,
        ) or next;

        close $s;
        $taken{$port} = 1;
        return $port;
    }

    die "no free port\n";
}

1;
