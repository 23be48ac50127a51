package Wscast::Autobahn::Text;

# Sections 6 (UTF-8) and 7 (closing).

use strict;
use warnings;

use Wscast::Autobahn::Frames;
use Wscast::WebSocket;

my $GREEK  = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";
my $EDITED = 'edited';
my $UMLAUT = "Hello-\xc2\xb5\@\xc3\x9f\xc3\xb6\xc3\xa4";
my $REST   = "\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!";

sub cases { return (_utf8_basics(), _fail_fast(), _utf8(), _closing()) }

# One fragment a byte.

sub _bytewise {
    my ($data) = @_;
    my @bytes = split //, $data;

    return [[send => join '', map {
        frame($_ ? 0 : 1, $bytes[$_], fin => $_ == $#bytes)
    } 0 .. $#bytes]];
}

sub _utf8_basics {
    my $bad = "$GREEK\xed\xa0\x80$EDITED";

    return (
        echoed('6.1.1', 'an empty text', [[send => frame(1, '')]],
            [text => '']),
        echoed('6.1.2', 'three empty fragments', [[send =>
            frame(1, '', fin => 0) . frame(0, '', fin => 0)
            . frame(0, '')]], [text => '']),
        echoed('6.1.3', 'a fragment between two empty ones', [[send =>
            frame(1, '', fin => 0)
            . frame(0, 'middle frame payload', fin => 0)
            . frame(0, '')]], [text => 'middle frame payload']),
        echoed('6.2.1', 'valid text', [[send => frame(1, $UMLAUT . $REST)]],
            [text => $UMLAUT . $REST]),
        echoed('6.2.2', 'valid text cut between characters', [[send =>
            frame(1, $UMLAUT, fin => 0) . frame(0, $REST)]],
            [text => $UMLAUT . $REST]),
        echoed('6.2.3', 'valid text in fragments of a byte',
            _bytewise($UMLAUT . $REST), [text => $UMLAUT . $REST]),
        echoed('6.2.4', 'Greek text in fragments of a byte',
            _bytewise($GREEK), [text => $GREEK]),
        refused('6.3.1', 'a surrogate in text', 1007,
            [[send => frame(1, $bad)]]),
        refused('6.3.2', 'a surrogate in fragments of a byte', 1007,
            _bytewise($bad)),
    );
}

# The breach is told when its byte arrives, not at the end of the message: the
# last part is never sent.

sub _fail_fast {
    my $bad  = "\xf4\x90\x80\x80";
    my $all  = $GREEK . $bad . $EDITED;
    my $key  = "\x11\x22\x33\x44";
    my $one  = frame(1, $all, key => $key);
    my $head = length($one) - length $all;
    my @cases;

    # where the text is cut: after the valid part and the bad character, or
    # just before and after the byte that makes it impossible
    for my $i (0, 1) {
        my ($a, $b) = $i ? (12, 13) : (11, 15);
        push @cases,
            refused('6.4.' . (1 + $i), "fails fast in fragments at $b", 1007,
                [
                    [send => frame(1, substr($all, 0, $a), fin => 0)],
                    [quiet => 0.3],
                    [send => frame(0, substr($all, $a, $b - $a), fin => 0)],
                ]),
            refused('6.4.' . (3 + $i), "fails fast inside a frame at $b",
                1007,
                [
                    [send => substr $one, 0, $head + $a],
                    [quiet => 0.3],
                    [send => substr $one, $head + $a, $b - $a],
                ]);
    }

    return @cases;
}

# Groups of section 6, from 6.5 on: octets in hexadecimal.  A group is valid,
# invalid, or a list in which a minus marks what is invalid.

my @short = qw(c0 e080 f08080 f8808080 fc80808080
               df efbf f7bfbf fbbfbfbf fdbfbfbfbf);

sub _hex { return unpack 'H*', $_[0] }

my @groups = (
    ['valid sequences', _hex('hello$world'), _hex("hello\xc2\xa2world"),
        _hex("hello\xe2\x82\xacworld"), _hex("hello\xf0\xa4\xad\xa2world"),
        _hex($GREEK)],
    ['prefixes of a valid text', map {
        my $whole = { 2 => 1, 5 => 1, 7 => 1, 9 => 1, 11 => 1 }->{$_};
        ($whole ? '' : '-') . _hex(substr $GREEK, 0, $_)
    } 1 .. length $GREEK],
    ['the first of each length', qw(00 c280 e0a080 f0908080)],
    ['the first of lengths 5 and 6', qw(-f888808080 -fc8480808080)],
    ['the last of each length', qw(7f dfbf efbfbf f48fbfbf)],
    ['the last of lengths 4, 5 and 6 as once defined',
        qw(-f7bfbfbf -fbbfbfbfbf -fdbfbfbfbfbf)],
    ['other boundaries', qw(ed9fbf ee8080 efbfbd f48fbfbf -f4908080)],
    ['continuation bytes alone',
        (map { '-' . substr '80bf80bf80bf', 0, 2 * $_ } 1), '-bf',
        (map { '-' . substr '80bf80bf80bf', 0, 2 * $_ } 2 .. 6),
        '-' . join '', map { sprintf '%02x', $_ } 0x80 .. 0xbe],
    ['start bytes alone', map {
        '-' . join '', map { sprintf '%02x20', $_ } @$_
    } [0xc0 .. 0xde], [0xe0 .. 0xee], [0xf0 .. 0xf6], [0xf8 .. 0xfa],
        [0xfc]],
    ['the last continuation byte missing', map { "-$_" } @short],
    ['incomplete sequences in a row', '-' . join '', @short],
    ['impossible bytes', qw(-fe -ff -fefeffff)],
    ['an overlong slash',
        qw(-c0af -e080af -f08080af -f8808080af -fc80808080af)],
    ['the largest overlong ones',
        qw(-c1bf -e09fbf -f08fbfbf -f887bfbfbf -fc83bfbfbfbf)],
    ['an overlong zero',
        qw(-c080 -e08080 -f0808080 -f880808080 -fc8080808080)],
    ['single surrogates',
        qw(-eda080 -edadbf -edae80 -edafbf -edb080 -edbe80 -edbfbf)],
    ['pairs of surrogates', map {
        my $high = $_;
        map { "-$high$_" } qw(edb080 edbfbf)
    } qw(eda080 edadbf edae80 edafbf)],
    ['non-characters, which are valid', qw(efbfbe efbfbf), map {
        my $plane = $_;
        map { "$plane$_" } qw(be bf)
    } qw(f09fbf f0afbf f0bfbf f18fbf f19fbf f1afbf f1bfbf f28fbf
        f29fbf f2afbf f2bfbf f38fbf f39fbf f3afbf f3bfbf f48fbf)],
    ['specials', map { "efbf$_" } qw(b9 ba bb bc bd be bf)],
);

sub _utf8 {
    my @cases;

    for my $g (0 .. $#groups) {
        my ($about, @octets) = @{ $groups[$g] };

        for my $i (0 .. $#octets) {
            my ($bad, $hex) = $octets[$i] =~ /^(-?)(.*)/;
            my $data = pack 'H*', $hex;
            my $id   = '6.' . ($g + 5) . '.' . ($i + 1);
            my $name = "$about, " . substr $hex, 0, 24;
            my $send = [[send => frame(1, $data)]];

            push @cases, $bad ? refused($id, $name, 1007, $send)
                              : echoed($id, $name, $send, [text => $data]);
        }
    }

    return @cases;
}

# -- closing -------------------------------------------------------------

sub _close { return Wscast::WebSocket::close_bytes(@_) }

# What the server answers to our close frame; what follows it is ignored.

sub _answered {
    my ($id, $about, $codes, $close, %more) = @_;

    return {
        id => $id, about => $about, expect => $more{expect} // [],
        steps => [
            ($more{before} ? [send => $more{before}] : ()),
            [close => $close],
            ($more{after} ? [send => $more{after}] : ()),
        ],
        end => { by => 'us', codes => $codes, clean => $more{clean} // 1,
            any_prefix => $more{any_prefix} },
    };
}

sub _closing {
    my $text  = 'Hello World!';
    my $bad   = "$GREEK\xed\xa0\x80$EDITED";
    my $large = substr 'BAsd7&jh23' x 26215, 0, 256 * 1024;
    my @cases = (
        echoed('7.1.1', 'a text, then a close', [[send => frame(1, $text)]],
            [text => $text]),
        _answered('7.1.2', 'two close frames', [1000], _close(1000),
            after => frame(8, '')),
        _answered('7.1.3', 'a ping after the close', [1000], _close(1000),
            after => frame(9, '')),
        _answered('7.1.4', 'a text after the close', [1000], _close(1000),
            after => frame(1, $text)),
        _answered('7.1.5', 'a close between two fragments', [1000],
            _close(1000), before => frame(1, 'fragment1', fin => 0),
            after => frame(0, 'fragment2')),
        _answered('7.1.6', '256 KB, a text, a close and a ping', [1000],
            _close(1000), before => frame(1, $large) . frame(1, $text),
            after => frame(9, ''),
            expect => [[text => $large], [text => $text]]),
        _answered('7.3.1', 'an empty close frame', [1000, 1005], _close()),
        _answered('7.3.2', 'a close frame of one byte', [1002],
            frame(8, 'a'), clean => 0),
        _answered('7.3.3', 'a close frame with a code', [1000],
            _close(1000)),
        _answered('7.3.4', 'a close frame with a reason', [1000],
            _close(1000, $text)),
        _answered('7.3.5', 'a close frame with the longest reason', [1000],
            _close(1000, '*' x 123)),
        _answered('7.3.6', 'a close frame of 126 bytes', [1002],
            _close(1000, '*' x 124), clean => 0),
        _answered('7.5.1', 'a close reason that is not UTF-8', [1007],
            _close(1000, $bad), clean => 0),
    );

    my ($i, $j, $k) = (0, 0, 0);

    for my $code (1000 .. 1003, 1007 .. 1011, 3000, 3999, 4000, 4999) {
        push @cases, _answered('7.7.' . ++$i, "close code $code",
            [1000, $code], _close($code));
    }

    for my $code (0, 999, 1004 .. 1006, 1016, 1100, 2000, 2999) {
        push @cases, _answered('7.9.' . ++$j, "close code $code", [1002],
            _close($code), clean => 0);
    }

    for my $code (5000, 65535) {
        push @cases, _answered('7.13.' . ++$k, "close code $code", [1002],
            _close($code), clean => 0);
    }

    return @cases;
}

1;
