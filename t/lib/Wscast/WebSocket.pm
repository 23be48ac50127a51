package Wscast::WebSocket;

# A WebSocket client in which nothing is automatic that a test may want to do
# wrongly.
#
#   my $ws = $nginx->ws('/ws', origin => ..., protocol => ..., tls => 1);
#   $ws->text('hello');  $ws->binary($bytes);  $ws->json({ type => 'ping' });
#   my $m = $ws->recv;             { op, data } of a data message; undef: over
#   my $ws = $nginx->ws('/ws', deflate => 'permessage-deflate');
#   $ws->packed('hello');          $m->{packed} are the bytes it came in
#   my $frame = $ws->frame;        any frame, control frames too
#   my $end = $ws->close(1000);    { code, reason, clean, reset }
#   my $end = $ws->wait_close;
#
# Every frame of the server is checked as it arrives: unmasked, final, without
# reserved bits, of a known opcode and of minimal length; control frames at
# most 125 bytes; text is UTF-8.  A breach dies.
#
# Reading ends at a deadline of "timeout" seconds (10), and then dies.  For
# many clients at once see gather() of Wscast.pm.  new(..., raw => 1) only
# connects; handshake() then sends the request and reads the answer.

use strict;
use warnings;

use Carp qw(croak);
use Digest::SHA qw(sha1_base64);
use Errno qw(EAGAIN EWOULDBLOCK EINTR);
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Scalar::Util qw(weaken);
use Socket qw(IPPROTO_TCP TCP_NODELAY SOL_SOCKET SO_RCVBUF SO_LINGER);
use Time::HiRes qw(time);
use Wscast::Deflate;

use constant {
    CONTINUATION => 0, TEXT => 1, BINARY => 2,
    CLOSE => 8, PING => 9, PONG => 10,
};

our $JSON = JSON::PP->new->canonical->allow_nonref->allow_bignum;

my $GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
my (%open, $serial);

# -- connecting ----------------------------------------------------------

sub new {
    my ($class, $port, $path, %option) = @_;
    my $self = bless {
        timeout => 10,
        %option,
        port    => $port,
        path    => $path,
        in      => '',
        out     => '',
        serial  => ++$serial,
    }, $class;

    $self->{sock} = $self->_connect;
    weaken($open{$serial} = $self);

    return $self if $option{raw};

    my $r = $self->handshake;
    croak "$path: " . ($r->{head} || 'no answer') if $r->{status} != 101;

    return $self;
}

sub _connect {
    my ($self) = @_;

    # a small receive buffer must be set before the connection is made
    my $sock = IO::Socket::INET->new(Proto => 'tcp') or die "socket: $!\n";

    if ($self->{rcvbuf}) {
        setsockopt $sock, SOL_SOCKET, SO_RCVBUF, pack 'i', $self->{rcvbuf};
    }

    connect $sock, Socket::pack_sockaddr_in($self->{port},
        Socket::inet_aton('127.0.0.1'))
        or croak "cannot connect to port $self->{port}: $!";
    setsockopt $sock, IPPROTO_TCP, TCP_NODELAY, 1;

    if ($self->{tls}) {
        require IO::Socket::SSL;
        $sock = IO::Socket::SSL->start_SSL($sock,
            SSL_verify_mode => 0, SSL_hostname => 'localhost',
            %{ $self->{tls_options} // {} },
        ) or croak "TLS: $IO::Socket::SSL::SSL_ERROR";
    }

    $sock->blocking(0);

    return $sock;
}

# The request's text; options: origin, protocol, headers (more of them),
# method, version, and without => [names], which leaves some out.

sub request {
    my ($self, %option) = @_;

    %option = (%$self, %option);
    $self->{key} = $option{key}
        // encode_base64(join('', map { chr rand 256 } 1 .. 16), '');

    my @lines = (
        'Host: ' . ($option{host} // 'localhost'),
        'Upgrade: websocket', 'Connection: Upgrade',
        "Sec-WebSocket-Key: $self->{key}", 'Sec-WebSocket-Version: 13',
    );

    for my $name (@{ $option{without} // [] }) {
        @lines = grep { !/^\Q$name\E:/i } @lines;
    }

    push @lines, "Origin: $option{origin}" if defined $option{origin};
    push @lines, "Sec-WebSocket-Protocol: $option{protocol}"
        if defined $option{protocol};
    push @lines, "Sec-WebSocket-Extensions: $_"
        for ref $option{deflate} ? @{ $option{deflate} }
            : $option{deflate} // ();
    push @lines, @{ $option{headers} // [] };

    return join "\r\n", ($option{method} // 'GET') . " $option{path} HTTP/"
        . ($option{version} // '1.1'), @lines, '', '';
}

# Sends the request (and the bytes in "glue" after it) and reads the answer; a
# 101 is examined in full.

sub handshake {
    my ($self, %option) = @_;

    $self->raw($self->request(%option)
        . ($option{glue} // $self->{glue} // ''));

    return $self->read_response;
}

sub read_response {
    my ($self) = @_;

    require Wscast::Http;
    $self->_await(sub {
        $self->{eof} || Wscast::Http::complete($self->{in})
    }, 'an answer to the handshake');

    my $r = Wscast::Http::parse($self->{in});
    $self->{response} = $r;
    $self->{in} = $r->{status} == 101 ? $r->{body} : '';

    if ($r->{status} == 101) {
        my $h = $r->{header};
        croak 'Sec-WebSocket-Accept is wrong'
            if ($h->{'sec-websocket-accept'} // '')
                ne sha1_base64($self->{key} . $GUID) . '=';
        croak "odd Upgrade: $r->{head}"
            if lc($h->{upgrade} // '') ne 'websocket';
        croak "odd Connection: $r->{head}"
            if lc($h->{connection} // '') ne 'upgrade';
        croak "a body is announced: $r->{head}"
            if defined $h->{'content-length'}
                || defined $h->{'transfer-encoding'};
        $self->{agreed} = Wscast::Deflate->new(
            $h->{'sec-websocket-extensions'}, $self->{deflate})
            if defined $h->{'sec-websocket-extensions'};
    }

    return $r;
}

# -- sending -------------------------------------------------------------

# The bytes of one frame.  fin (1), rsv (0 to 7), mask (1), key, length_bytes
# (0, 2 or 8: the form of the length) and length (what it claims).

sub frame_bytes {
    my ($opcode, $payload, %option) = (shift, '' . shift, @_);
    my $n     = $option{length} // length $payload;
    my $form  = $option{length_bytes} // ($n < 126 ? 0 : $n < 65536 ? 2 : 8);
    my $mask  = $option{mask} // 1;
    my $first = (($option{fin} // 1) << 7) | (($option{rsv} // 0) << 4)
        | $opcode;

    my $head = $form == 0 ? pack('CC', $first, $mask << 7 | $n)
             : $form == 2 ? pack('CCn', $first, $mask << 7 | 126, $n)
             :              pack('CCQ>', $first, $mask << 7 | 127, $n);

    return $head . $payload if !$mask;

    my $key = $option{key} // pack 'N', int rand 2 ** 32;

    return $head . $key
        . ($payload ^ substr $key x (length($payload) / 4 + 1), 0,
            length $payload);
}

sub close_bytes {
    my ($code, $reason, %option) = @_;
    return frame_bytes(CLOSE,
        defined $code ? pack('n', $code) . ($reason // '') : '', %option);
}

sub queue {
    my ($self, $bytes) = @_;
    $self->{out} .= $bytes;
    return;
}

sub raw {
    my ($self, $bytes) = @_;
    $self->{out} .= $bytes;
    $self->flush;
    return;
}

# Sends all that waits, reading meanwhile so that nobody is stuck.

sub flush {
    my ($self) = @_;
    my $end = time + Wscast::scale($self->{timeout});

    while (length $self->{out} && !$self->{eof}) {
        next if $self->_write;
        croak 'the server does not read' if time > $end;

        my ($rin, $win) = ('', '');
        vec($rin, fileno $self->{sock}, 1) = 1 if !$self->{no_read};
        vec($win, fileno $self->{sock}, 1) = 1;
        select $rin, $win, undef, 0.2;
        $self->_read if !$self->{no_read}
            && vec $rin, fileno $self->{sock}, 1;
    }

    return !$self->{eof};
}

sub send_frame {
    my ($self, $opcode, $payload, %option) = @_;
    return $self->raw(frame_bytes($opcode, $payload, %option));
}

# A text message as it is compressed; more options: op, the opcode.

sub packed {
    my ($self, $data, %option) = @_;
    return $self->raw(frame_bytes($option{op} // TEXT,
        $self->{agreed}->pack($data), rsv => 4));
}

sub text   { my $s = shift; return $s->raw(frame_bytes(TEXT,   @_)) }
sub binary { my $s = shift; return $s->raw(frame_bytes(BINARY, @_)) }
sub ping   { my $s = shift; return $s->raw(frame_bytes(PING, $_[0] // '')) }

sub json {
    my ($self, $value) = @_;
    return $self->text($JSON->utf8->encode($value));
}

# -- receiving -----------------------------------------------------------

sub _write {
    my ($self) = @_;
    my $n = syswrite $self->{sock}, $self->{out},
        length $self->{out} > 1 << 18 ? 1 << 18 : length $self->{out};

    if (defined $n) {
        substr $self->{out}, 0, $n, '';
        return $n;
    }

    if ($! != EAGAIN && $! != EWOULDBLOCK && $! != EINTR) {
        $self->{out} = '';
        $self->{broken} = 1;

        # what the server said before it left can still be read
        $self->_read until $self->{eof} || $self->{no_read};
        $self->{eof} = 1;
    }

    return 0;
}

# Reads what is there; true if something came.

sub _read {
    my ($self) = @_;
    my $got = 0;

    while (!$self->{eof}) {
        my $n = sysread $self->{sock}, $self->{in}, 1 << 18,
            length $self->{in};

        if ($n) {
            $got += $n;
            last if !$self->{tls} && $n < 1 << 18;
            last if $self->{tls} && !$self->{sock}->pending;
            next;
        }

        if (defined $n) {
            $self->{eof} = 1;
            last;
        }

        last if $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;

        $self->{reset} = "$!";
        $self->{eof} = 1;
    }

    return $got;
}

sub _end {
    my ($self, $seconds) = @_;
    return time + Wscast::scale($seconds // $self->{timeout});
}

sub _await {
    my ($self, $done, $what, $end) = @_;

    $end //= $self->_end;

    while (!$done->()) {
        my $left = $end - time;
        croak "$self->{path}: no $what in time" if $left <= 0;

        $self->_write if length $self->{out};
        IO::Select->new($self->{sock})->can_read($left < 0.2 ? $left : 0.2);
        $self->_read;
    }

    return;
}

# The next frame out of what has been read: { op, data }, or nothing yet.

sub take_frame {
    my ($self) = @_;
    my $have = length $self->{in};

    return if $have < 2;

    my ($first, $n) = unpack 'CC', $self->{in};
    my $op   = $first & 15;
    my $head = 2;

    my $packed = $first & 0x40 && $self->{agreed} && $op < CLOSE;

    croak sprintf 'server frame begins with %#x', $first
        if ($first & 0xf0) != ($packed ? 0xc0 : 0x80);
    croak "server frame of opcode $op"
        if $op != TEXT && $op != BINARY && ($op < CLOSE || $op > PONG);
    croak 'server frame is masked' if $n & 128;

    if ($n == 126) {
        return if $have < 4;
        $n = unpack 'x2n', $self->{in};
        $head = 4;
        croak "length $n in two bytes" if $n < 126;

    } elsif ($n == 127) {
        return if $have < 10;
        $n = unpack 'x2Q>', $self->{in};
        $head = 10;
        croak "length $n in eight bytes" if $n < 65536;
    }

    croak "control frame of $n bytes" if $op >= CLOSE && $n > 125;
    return if $have < $head + $n;

    my $data = substr $self->{in}, 0, $head + $n, '';
    substr $data, 0, $head, '';
    $self->{frames}++;
    my $size = length $data;
    $data = $self->{agreed}->unpack($data) if $packed;

    if ($op == TEXT && $data =~ /[\x80-\xff]/) {
        my $copy = $data;
        croak 'server sent text that is not UTF-8'
            if !utf8::decode($copy);
    }

    croak 'server frame after its close frame' if $self->{close};
    $self->_closed($data) if $op == CLOSE;

    return { op => $op, data => $data, $packed ? (packed => $size) : () };
}

sub _closed {
    my ($self, $data) = @_;

    croak 'close frame of one byte' if length $data == 1;
    $self->{close} = length $data
        ? { code => unpack('n', $data), reason => substr $data, 2 }
        : { code => 1005, reason => '' };

    if (!$self->{closing} && !$self->{mute}) {
        $self->{closing} = 1;
        $self->queue(frame_bytes(CLOSE, substr $data, 0, 2));
        $self->_write;
    }

    return;
}

# The next frame; undef after the end of the connection.

sub frame {
    my ($self, $seconds) = @_;
    return $self->_frame($self->_end($seconds));
}

sub _frame {
    my ($self, $end) = @_;
    my $frame;

    $self->_await(sub { ($frame = $self->take_frame) || $self->{eof} },
        'frame', $end);

    return $frame;
}

# What a frame means to a client that behaves: a data message, or nothing.

sub _message {
    my ($self, $frame) = @_;

    if ($frame->{op} == PING && !$self->{mute}) {
        $self->queue(frame_bytes(PONG, $frame->{data}));
        $self->_write;
    }

    return $frame->{op} < CLOSE ? $frame : undef;
}

sub recv {
    my ($self, $seconds) = @_;
    my $end = $self->_end($seconds);    # pings do not put it off

    while (my $frame = $self->_frame($end)) {
        my $message = $self->_message($frame);
        return $message if $message;
        return if $frame->{op} == CLOSE;
    }

    return;
}

sub recv_text {
    my ($self, $seconds) = @_;
    my $m = $self->recv($seconds) // return;

    croak 'binary message where text was due' if $m->{op} != TEXT;

    return $m->{data};
}

sub recv_json {
    my ($self, $seconds) = @_;
    my $text = $self->recv_text($seconds) // return;
    return $JSON->utf8->decode($text);
}

# Sends a JSON message and returns the next message that answers its id.

my $id = 0;

sub ask {
    my ($self, $value) = @_;
    my $mine = 'q' . ++$id;

    $self->json({ %$value, id => $mine });

    while (my $m = $self->recv_json) {
        return $m if ref $m eq 'HASH' && ($m->{id} // '') eq $mine;
        push @{ $self->{aside} }, $m;
    }

    croak 'the connection ended before an answer came';
}

# 1 if nothing but control frames comes for so long.

sub silent {
    my ($self, $seconds) = @_;
    my $end = time + $seconds;

    while ((my $left = $end - time) > 0) {
        IO::Select->new($self->{sock})->can_read($left);
        $self->_read;

        while (my $frame = $self->take_frame) {
            return 0 if $self->_message($frame);
        }

        return 0 if $self->{eof};
    }

    return 1;
}

# -- ending --------------------------------------------------------------

sub close {
    my ($self, $code, $reason) = @_;

    $self->{closing} = 1;
    $self->raw(close_bytes($code, $reason));

    return $self->wait_close;
}

# Reads up to the end of the connection.

sub wait_close {
    my ($self, $seconds) = @_;

    $self->_await(sub {
        while (my $frame = $self->take_frame) {
            $self->_message($frame);
        }
        $self->{eof};
    }, 'end of the connection', $self->_end($seconds));

    my $end = $self->ending;
    $self->drop;

    return $end;
}

sub ending {
    my ($self) = @_;

    return {
        code   => $self->{close} ? $self->{close}{code} : undef,
        reason => $self->{close} ? $self->{close}{reason} : undef,
        reset  => $self->{reset} ? 1 : 0,
        clean  => $self->{close} && $self->{closing} && $self->{eof}
            && !$self->{reset} && $self->{in} eq '' ? 1 : 0,
    };
}

# Leaves without a word; with reset => 1 by a RST.

sub drop {
    my ($self, %option) = @_;

    delete $open{ $self->{serial} };
    my $sock = delete $self->{sock} or return;
    $self->{eof} = 1;

    if ($option{reset}) {
        setsockopt $sock, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    }

    if ($self->{tls}) {
        $sock->close(SSL_no_shutdown => 1);
    } else {
        CORE::close($sock);
    }

    return;
}

sub drop_all {
    $_ && $_->drop for values %open;
    return;
}

sub DESTROY {
    my ($self) = @_;
    delete $open{ $self->{serial} };
    return;
}

1;
