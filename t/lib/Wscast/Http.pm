package Wscast::Http;

# HTTP/1.1 by hand: one request a connection, read to its end; so that nginx
# holds nothing of it any more, unless the request asks for that.
#
#   my $r = Wscast::Http::request($port, 'GET', '/', headers => ['A: b']);
#   $r->{status}, $r->{header}{'content-type'}, $r->{body}, $r->{head}

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(time);

sub request {
    my ($port, $method, $path, %option) = @_;
    my @headers = @{ $option{headers} // [] };
    my $body    = $option{body};
    my $version = $option{version} // '1.1';

    push @headers, 'Host: localhost' if !grep { /^host:/i } @headers;
    push @headers, 'Connection: close' if !grep { /^connection:/i } @headers;
    push @headers, 'Content-Length: ' . length $body if defined $body;

    return exchange($port, join("\r\n", "$method $path HTTP/$version",
        @headers, '', '') . ($body // ''), $option{timeout});
}

# Sends the bytes and reads one response, and after "Connection: close" the end.

sub exchange {
    my ($port, $bytes, $timeout) = @_;
    my $end  = time + Wscast::scale($timeout // 10);
    my $sock = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10,
    ) or die "cannot connect to port $port: $!\n";
    my $in = '';
    my $to_end = $bytes =~ /^connection: *close\r$/mi;

    while (length $bytes) {
        my $n = syswrite $sock, $bytes;
        last if !defined $n;
        substr $bytes, 0, $n, '';
    }

    while ($to_end || !complete($in)) {
        my $left = $end - time;
        last if $left <= 0 || !IO::Select->new($sock)->can_read($left);
        last if !sysread $sock, $in, 1 << 20, length $in;
    }

    return parse($in);
}

# True if the response is whole without the end of the connection.

sub complete {
    my ($in) = @_;
    my ($head, $body) = split /\r\n\r\n/, $in, 2;

    return 0 if !defined $body;
    return 1 if $head =~ m{^HTTP/1\.1 (?:101|204|304)};
    return length $body >= $1 if $head =~ /^content-length:\s*(\d+)/mi;
    return $body =~ /(?:^|\r\n)0\r\n\r\n\z/
        if $head =~ /^transfer-encoding:\s*chunked/mi;

    return 0;
}

sub parse {
    my ($in) = @_;
    my ($head, $body) = split /\r\n\r\n/, $in, 2;

    $head //= '';
    my ($line, @lines) = split /\r\n/, $head;
    my ($status) = ($line // '') =~ m{^HTTP/1\.[01] (\d{3})};
    my %header;

    for (@lines) {
        my ($name, $value) = /^([^:]+):\s*(.*?)\s*$/ or next;
        $name = lc $name;
        $header{$name} = defined $header{$name} ? "$header{$name}, $value"
                                                : $value;
    }

    if (($header{'transfer-encoding'} // '') eq 'chunked') {
        $body = dechunk($body);
    }

    return {
        status => $status // 0, head => $head, header => \%header,
        body => $body // '', raw => $in,
    };
}

sub dechunk {
    my ($body) = @_;
    my $plain = '';

    while ($body =~ s/^([0-9a-fA-F]+)[^\r]*\r\n//) {
        my $n = hex $1 or last;
        $plain .= substr $body, 0, $n, '';
        $body =~ s/^\r\n//;
    }

    return $plain;
}

1;
