package Wscast::Autobahn::Frames;

# Sections 1 to 5 and 10: framing, pings, reserved bits and opcodes,
# fragments.  (The suite has no section 8; 11 to 13 are compression.)

use strict;
use warnings;

use Exporter qw(import);
use Wscast::WebSocket;

our @EXPORT = qw(frame echoed refused text_echo send_text HELLO);

use constant HELLO => 'Hello, world!';

# Shorthands that the other sections use too.

sub frame { return Wscast::WebSocket::frame_bytes(@_) }

sub echoed {
    my ($id, $about, $steps, @expect) = @_;
    return { id => $id, about => $about, steps => $steps,
        expect => [@expect],
        end => { by => 'us', codes => [1000], clean => 1 } };
}

sub refused {
    my ($id, $about, $code, $steps, @expect) = @_;
    return { id => $id, about => $about, steps => $steps,
        expect => [@expect], end => { by => 'them', codes => [$code] } };
}

# Each frame is a write of its own, cut into pieces of $cut bytes if given.

sub sends {
    my ($cut, @frames) = @_;
    return [map { [send => $_, $cut] } @frames];
}

sub together { return [[send => join '', @_]] }

sub cases {
    return (_framing(), _pings(), _reserved(), _opcodes(), _fragments(),
        _auto());
}

sub _framing {
    my @cases;
    my @kinds = ([1, 'text', '*'], [2, 'binary', "\xfe"]);

    for my $kind (@kinds) {
        my ($op, $name, $byte) = @$kind;
        my $i = 0;

        for my $n (0, 125, 126, 127, 128, 65535, 65536, 65536) {
            my $cut = ++$i == 8 ? 997 : undef;
            my $data = $byte x $n;
            push @cases, echoed("1.$op.$i",
                "$name of $n bytes" . ($cut ? " in pieces of $cut" : ''),
                sends($cut, frame($op, $data)), [$name => $data]);
        }
    }

    return @cases;
}

sub _pings {
    my @cases;
    my $bytes = "\x00\xff\xfe\xfd\xfc\xfb\x00\xff";
    my $full  = "\xfe" x 125;
    my $many  = [map { "payload-$_" } 0 .. 9];
    my $i     = 0;

    for my $p (['an empty ping', ''], ['a ping with text', HELLO],
        ['a ping with bytes', $bytes], ['a ping of 125 bytes', $full])
    {
        push @cases, echoed('2.' . ++$i, $p->[0],
            sends(undef, frame(9, $p->[1])), [pong => $p->[1]]);
    }

    push @cases,
        refused('2.5', 'a ping of 126 bytes', 1002,
            sends(undef, frame(9, "\xfe" x 126))),
        echoed('2.6', 'a ping of 125 bytes, byte by byte',
            sends(1, frame(9, $full)), [pong => $full]),
        _closed_after('2.7', 'a pong nobody asked for, empty',
            frame(10, '')),
        _closed_after('2.8', 'a pong nobody asked for, with payload',
            frame(10, 'unsolicited pong payload')),
        echoed('2.9', 'a pong nobody asked for, then a ping',
            sends(undef, frame(10, 'unsolicited pong payload'),
                frame(9, 'ping payload')), [pong => 'ping payload']),
        echoed('2.10', 'ten pings', sends(undef, map { frame(9, $_) } @$many),
            map { [pong => $_] } @$many),
        echoed('2.11', 'ten pings, byte by byte',
            sends(1, map { frame(9, $_) } @$many),
            map { [pong => $_] } @$many);

    return @cases;
}

sub _closed_after {
    my ($id, $about, $frame) = @_;
    my $case = echoed($id, $about, sends(undef, $frame));
    push @{ $case->{steps} },
        [close => Wscast::WebSocket::close_bytes(1000)];
    return $case;
}

# A good message, then something bad, then a ping that must stay unanswered:
# in one write, frame by frame, byte by byte.

sub _bad_second {
    my ($id, $about, $how, $bad) = @_;
    my @frames = (frame(1, HELLO), $bad, frame(9, ''));
    my $steps = $how eq 'together' ? together(@frames)
              : $how eq 'frames'   ? sends(undef, @frames)
              :                      sends(1, @frames);

    return refused($id, "$about after a good message, $how", 1002, $steps,
        [text => HELLO]);
}

sub _reserved {
    my $bytes = "\x00\xff\xfe\xfd\xfc\xfb\x00\xff";

    return (
        refused('3.1', 'reserved bits 1', 1002,
            sends(undef, frame(1, HELLO, rsv => 1))),
        _bad_second('3.2', 'reserved bits 2', 'together',
            frame(1, HELLO, rsv => 2)),
        _bad_second('3.3', 'reserved bits 3', 'frames',
            frame(1, HELLO, rsv => 3)),
        _bad_second('3.4', 'reserved bits 4', 'bytes',
            frame(1, HELLO, rsv => 4)),
        refused('3.5', 'reserved bits 5, binary', 1002,
            sends(undef, frame(2, $bytes, rsv => 5))),
        refused('3.6', 'reserved bits 6, binary', 1002,
            sends(undef, frame(2, HELLO, rsv => 6))),
        refused('3.7', 'reserved bits 7, close', 1002,
            sends(undef, frame(8, '', rsv => 7))),
    );
}

sub _opcodes {
    my @cases;

    for my $group ([1, 3], [2, 11]) {
        my ($i, $op) = @$group;
        my $text = 'reserved opcode payload';

        push @cases,
            refused("4.$i.1", "opcode $op, empty", 1002,
                sends(undef, frame($op, ''))),
            refused("4.$i.2", 'opcode ' . ($op + 1), 1002,
                sends(undef, frame($op + 1, $text))),
            _bad_second("4.$i.3", 'opcode ' . ($op + 2), 'together',
                frame($op + 2, '')),
            _bad_second("4.$i.4", 'opcode ' . ($op + 3), 'frames',
                frame($op + 3, HELLO)),
            _bad_second("4.$i.5", 'opcode ' . ($op + 4), 'bytes',
                frame($op + 4, HELLO));
    }

    return @cases;
}

sub _fragments {
    my @part = map { "fragment$_" } 0 .. 5;
    my $two  = $part[1] . $part[2];
    my $ping = 'ping payload';
    my @cases;

    push @cases,
        refused('5.1', 'a fragmented ping', 1002, together(
            frame(9, $part[1], fin => 0), frame(0, $part[2]))),
        refused('5.2', 'a fragmented pong', 1002, together(
            frame(10, $part[1], fin => 0), frame(0, $part[2])));

    my @halves = (frame(1, $part[1], fin => 0), frame(0, $part[2]));
    my @pinged = ($halves[0], frame(9, $ping), $halves[1]);
    my @ways   = (
        ['in one write', \&together],
        ['frame by frame', sub { sends(undef, @_) }],
        ['byte by byte', sub { sends(1, @_) }],
    );

    for my $i (0 .. 2) {
        my ($name, $way) = @{ $ways[$i] };
        push @cases,
            echoed('5.' . (3 + $i), "two fragments $name",
                $way->(@halves), [text => $two]),
            echoed('5.' . (6 + $i), "a ping between two fragments $name",
                $way->(@pinged), [pong => $ping], [text => $two]);

        for my $fin (1, 0) {
            push @cases, refused('5.' . (9 + $i + ($fin ? 0 : 3)),
                "a continuation of nothing (final $fin) and a text $name",
                1002, $way->(frame(0, 'non-continuation payload',
                    fin => $fin), frame(1, HELLO)));
        }
    }

    push @cases, refused('5.15', 'two fragments, a continuation of nothing',
        1002, together(@halves, frame(0, $part[3], fin => 0),
            frame(1, $part[4])), [text => $two]);

    for my $fin (0, 1) {
        my @round = (frame(0, $part[1], fin => $fin),
            frame(1, $part[2], fin => 0), frame(0, $part[3]));
        push @cases, refused('5.' . (16 + $fin), 'twice a continuation of '
            . "nothing (final $fin), then a fragmented text", 1002,
            together(@round, @round));
    }

    push @cases, refused('5.18', 'both fragments of opcode text', 1002,
        together(frame(1, $part[1], fin => 0), frame(1, $part[2])));

    for my $i (0, 1) {
        my $way = $ways[$i][1];
        push @cases, echoed('5.' . (19 + $i),
            "five fragments with a pause and two pings, $ways[$i][0]",
            [
                @{ $way->(frame(1, $part[1], fin => 0),
                    frame(0, $part[2], fin => 0), frame(9, 'pongme 1!')) },
                [await => 1], [quiet => 0.3],
                @{ $way->(frame(0, $part[3], fin => 0),
                    frame(0, $part[4], fin => 0), frame(9, 'pongme 2!'),
                    frame(0, $part[5])) },
            ],
            [pong => 'pongme 1!'], [pong => 'pongme 2!'],
            [text => join '', @part[1 .. 5]]);
    }

    return @cases;
}

sub _auto {
    my $data = '*' x 65536;
    my @parts = unpack '(a1300)*', $data;
    my @frames = map {
        frame($_ ? 0 : 1, $parts[$_], fin => $_ == $#parts)
    } 0 .. $#parts;

    return echoed('10.1.1', '65536 bytes of text in fragments of 1300',
        sends(undef, @frames), [text => $data]);
}

1;
