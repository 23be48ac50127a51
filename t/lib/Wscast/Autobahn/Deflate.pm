package Wscast::Autobahn::Deflate;

# Sections 12 and 13: compressed messages of many sizes, whole and fragmented,
# of data that compress well, badly and not at all; and the parameters that a
# client may ask for.
#
# The suite sends 1000 messages of each size; here it is half a megabyte, and
# 200 messages at most.

use strict;
use warnings;

use Wscast::WebSocket;

my $OFFER = 'permessage-deflate';

# What the suite's own client adds to each offer.
my $CLIENT = '; client_no_context_takeover; client_max_window_bits';

# Length of a message, of its fragments (0: whole).

my @SIZES = (
    (map { [$_, 0] } 16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536,
        131072),
    (map { [$_, 256] } 8192, 16384, 32768, 65536, 131072),
    (map { [131072, $_] } 1024, 4096, 32768),
);

my @PARAMETERS = (
    ['nothing', $OFFER],
    ['no context', "$OFFER; server_no_context_takeover"],
    ['a window of 9 bits', "$OFFER; server_max_window_bits=9"],
    ['one of 15 bits', "$OFFER; server_max_window_bits=15"],
    ['no context, and a window of 9 bits',
        "$OFFER; server_no_context_takeover; server_max_window_bits=9"],
    ['no context, and one of 15 bits',
        "$OFFER; server_no_context_takeover; server_max_window_bits=15"],
    ['this, or less, or nothing',
        "$OFFER; server_no_context_takeover; server_max_window_bits=9",
        "$OFFER; server_no_context_takeover", $OFFER],
);

# -- data ----------------------------------------------------------------

# The same numbers in every run.

my $seed = 1;

sub _random {
    my ($n) = @_;
    $seed = ($seed * 1103515245 + 12345) & 0x7fffffff;
    return ($seed >> 8) % $n;
}

sub _words {
    my ($n) = @_;
    my @syllables = qw(ba ken do ri mel to sa fun ger lo pi wer ta ni);
    return join ' ', map { join '', map { $syllables[_random(14)] }
        1 .. 1 + _random(3) } 1 .. $n;
}

sub _fill {
    my ($make) = @_;
    my $data = '';
    $data .= $make->(length $data) while length $data < 200_000;
    return $data;
}

sub _data {
    my $row = 0;

    return (
        ['text', 2, _fill(sub { ucfirst(_words(9)) . ".\n" })],
        ['a picture', 2, _fill(sub {
            $row++;
            pack 'C*', map { ($row + $_ / 2 + _random(4)) & 255 } 1 .. 512;
        })],
        ['noise', 2, _fill(sub { pack 'C*', map { _random(256) } 1 .. 512 })],
        ['JSON', 1, _fill(sub {
            sprintf '{"id":%d,"name":"%s","tags":["%s","%s"],"price":%d.%02d},',
                _random(1e6), _words(2), _words(1), _words(1), _random(1000),
                _random(100)
        })],
        ['HTML', 1, _fill(sub {
            sprintf qq{<tr class="%s"><td>%s</td><td><a href="/%s">%s</a>\n},
                _random(2) ? 'odd' : 'even', _words(4), _words(1), _words(2)
        })],
    );
}

# -- cases ---------------------------------------------------------------

sub _case {
    my ($id, $data, $size, $offers) = @_;
    my ($name, $op, $bytes) = @$data;
    my ($length, $fragment) = @$size;
    my $count = int 2 ** 19 / $length;
    my $at    = 0;

    $count = 200 if $count > 200;

    return {
        id => $id, steps => [], expect => [], seconds => 120,
        about => "$count messages of $length bytes of $name"
            . ($fragment ? " in fragments of $fragment" : ''),
        end    => { by => 'us', codes => [1000], clean => 1 },
        deflate => [map { $_ . $CLIENT } @$offers],
        series => sub {
            my ($ws) = @_;
            return if $count-- == 0;

            my $message = substr $bytes . $bytes, $at, $length;
            $at = ($at + $length) % length $bytes;

            return ($op == 1 ? 'text' : 'binary', $message,
                _frames($op, $ws->{agreed}->pack($message), $fragment));
        },
    };
}

sub _frames {
    my ($op, $payload, $fragment) = @_;
    my $out = '';
    my $at  = 0;

    return Wscast::WebSocket::frame_bytes($op, $payload, rsv => 4)
        if !$fragment;

    do {
        my $piece = substr $payload, $at, $fragment;
        $out .= Wscast::WebSocket::frame_bytes($at ? 0 : $op, $piece,
            rsv => $at ? 0 : 4, fin => $at + $fragment >= length $payload);
        $at += $fragment;
    } while $at < length $payload;

    return $out;
}

sub cases {
    my @data = _data();
    my @cases;

    for my $i (0 .. $#data) {
        push @cases, map { _case('12.' . ($i + 1) . '.' . ($_ + 1),
            $data[$i], $SIZES[$_], [$OFFER]) } 0 .. $#SIZES;
    }

    for my $i (0 .. $#PARAMETERS) {
        my ($name, @offers) = @{ $PARAMETERS[$i] };

        for my $j (0 .. $#SIZES) {
            my $case = _case('13.' . ($i + 1) . '.' . ($j + 1), $data[3],
                $SIZES[$j], \@offers);
            $case->{about} .= ", asking for $name";
            push @cases, $case;
        }
    }

    return @cases;
}

1;
