package Bench::Faulty;

# A broadcast server that does wrong on purpose: what one publisher says goes
# to all of /sub, but for what its fault does with it.
#
# Faults hit the first subscriber only, and each message whose number ends in
# five: so it is known how often.

use strict;
use warnings;

use Digest::SHA qw(sha1_base64);
use IO::Select;
use IO::Socket::INET;

# Runs in a process of its own; returns its port and process id.

sub start {
    my ($fault) = @_;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        Listen => 64, ReuseAddr => 1) or die $!;
    my $pid = fork // die $!;
    return ($listener->sockport, $pid) if $pid;

    $SIG{PIPE} = 'IGNORE';
    $SIG{TERM} = 'DEFAULT';
    alarm 60;
    eval { serve($listener, $fault) };
    print STDERR $@ if $@;
    require POSIX;
    POSIX::_exit($@ ? 1 : 0);
}

sub serve {
    my ($listener, $fault) = @_;
    my $select = IO::Select->new($listener);
    my (%in, %open, @subscribers, $first);
    my $count = 0;

    while (my @ready = $select->can_read) {
        for my $s (@ready) {
            if ($s == $listener) {
                $s = $listener->accept or next;
                $select->add($s);
                $in{$s} = '';
                next;
            }

            if (!sysread $s, $in{$s}, 65536, length $in{$s}) {
                $select->remove($s);
                @subscribers = grep { $_ != $s } @subscribers;
                close $s;
                next;
            }

            if (!$open{$s}) {
                my $path = handshake($s, \$in{$s}) // next;
                $open{$s} = 1;
                next if $path ne '/sub';
                push @subscribers, $s;
                $first //= $s;
            }

            while (defined(my $payload = frame_in(\$in{$s}))) {
                cast($fault, $count++, $payload, $first, @subscribers);
            }
        }
    }

    return;
}

sub handshake {
    my ($s, $in) = @_;
    $$in =~ s/\AGET (\S+)(.*?)\r\n\r\n//s or return;
    my ($path, $head) = ($1, $2);
    my ($key) = $head =~ /Sec-WebSocket-Key: (\S+)/;
    my $accept = sha1_base64($key . '258EAFA5-E914-47DA-95CA-C5AB0DC85B11');

    all($s, "HTTP/1.1 101 Fine\r\nUpgrade: websocket\r\n"
        . "Connection: Upgrade\r\nSec-WebSocket-Accept: $accept=\r\n\r\n");
    return $path;
}

sub all {
    my ($s, $bytes) = @_;

    while (length $bytes) {
        my $n = syswrite $s, $bytes;
        return if !$n;
        substr($bytes, 0, $n) = '';
    }

    return;
}

# The payload of the next text; pongs and closes are passed over.

sub frame_in {
    my ($in) = @_;

    while (length $$in >= 6) {
        my ($first, $len) = unpack 'CC', $$in;
        my $head = 2;
        $len &= 127;

        if ($len == 126) {
            ($len, $head) = (unpack('n', substr $$in, 2), 4);
        } elsif ($len == 127) {
            return if length $$in < 10;
            ($len, $head) = (unpack('Q>', substr $$in, 2), 10);
        }

        return if length $$in < $head + 4 + $len;
        my $mask = substr $$in, $head, 4;
        my $payload = substr $$in, $head + 4, $len;
        substr($$in, 0, $head + 4 + $len) = '';
        next if ($first & 15) != 1;
        return $payload ^ substr $mask x ($len / 4 + 1), 0, $len;
    }

    return;
}

# long: the length takes 8 bytes, whatever it is.

sub frame {
    my ($payload, %o) = @_;
    my $len  = length $payload;
    my $head = pack 'C', ($o{more} ? 0 : 0x80) | ($o{opcode} // 1);

    return $head . pack('C Q>', 127, $len) . $payload
        if $o{long} || $len > 65535;
    return $head . pack('C n', 126, $len) . $payload if $len > 125;
    return $head . pack('C', $len) . $payload;
}

# fault => what the first subscriber gets for a message that it hits.

my $kept;

my %hit = (
    lose    => sub { '' },
    repeat  => sub { frame($_[0]) x 2 },
    corrupt => sub { frame($_[0] =~ s/quick/quack/r) },
    shorten => sub { frame(substr $_[0], 0, -1) },
    mask    => sub { my $f = frame($_[0]); $f ^ "\0\x80" },
    reserve => sub { frame($_[0]) ^ "\x40" },
    close   => sub { frame("\x03\xf3", opcode => 8) },
    reorder => sub { $kept = $_[0]; '' },
);

# fault => how all messages come to all, right but hard to read.

my %dress = (
    bytes => sub { map { split //, $_ } frame($_[0], long => 1) },
    cut   => sub {
        my @p = unpack '(a97)*', $_[0];
        my $all = '';

        for my $i (0 .. $#p) {
            $all .= frame($p[$i], opcode => $i ? 0 : 1, more => $i < $#p,
                long => $i % 2);
            $all .= frame('there?', opcode => 9);
        }

        return unpack '(a31)*', $all;
    },
);

sub cast {
    my ($fault, $number, $payload, $first, @subscribers) = @_;

    for my $s (@subscribers) {
        my @pieces = $dress{$fault} ? $dress{$fault}->($payload)
            : frame($payload);

        if ($s == $first && $hit{$fault} && $number % 10 == 5) {
            @pieces = $hit{$fault}->($payload);

        } elsif ($s == $first && defined $kept) {
            push @pieces, frame($kept);
            undef $kept;
        }

        all($s, $_) for grep { length } @pieces;
    }

    return;
}

1;
