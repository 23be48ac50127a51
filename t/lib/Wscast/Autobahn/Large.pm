package Wscast::Autobahn::Large;

# Section 9: large messages, whole, fragmented and chopped, and round trips.

use strict;
use warnings;

use Wscast::Autobahn::Frames;

use constant { K => 1 << 10, M => 1 << 20 };

my %OP = (text => 1, binary => 2);

sub _data {
    my ($seed, $n) = @_;
    return substr $seed x ($n / length($seed) + 1), 0, $n;
}

# The bytes are made when they are sent: together they are many.

sub _case {
    my ($id, $about, $kind, $data, $bytes, $cut) = @_;
    my $case = echoed($id, "$kind, $about",
        [[send => $bytes, $cut]], [$kind => $data]);

    $case->{seconds} = 60;

    return $case;
}

sub cases {
    my @cases;

    for my $kind ('text', 'binary') {
        my $op   = $OP{$kind};
        my $seed = $kind eq 'text' ? 'BAsd7&jh23' : "\x00\xfe\x23\xfa\xf0";
        my $byte = $kind eq 'text' ? '*' : "\xfe";
        my $i    = 0;

        for my $n (64 * K, 256 * K, M, 4 * M, 8 * M, 16 * M) {
            my $data = _data($seed, $n);
            push @cases, _case("9.$op." . ++$i, "$n bytes", $kind, $data,
                sub { frame($op, $data) });
        }

        my $data = $byte x (4 * M);
        $i = 0;

        for my $n (64, 256, K, 4 * K, 16 * K, 64 * K, 256 * K, M, 4 * M) {
            push @cases, _case('9.' . ($op + 2) . '.' . ++$i,
                "4 MB in fragments of $n", $kind, $data,
                sub { _fragments($op, $data, $n) });
        }

        my $mega = _data($seed, M);
        $i = 0;

        for my $cut (64, 128, 256, 512, 1024, 2048) {
            push @cases, _case('9.' . ($op + 4) . '.' . ++$i,
                "1 MB in pieces of $cut", $kind, $mega,
                sub { frame($op, $mega) }, $cut);
        }

        $i = 0;

        for my $n (0, 16, 64, 256, 1024, 4096) {
            my $small = $byte x $n;
            my $case = echoed('9.' . ($op + 6) . '.' . ++$i,
                "$kind, 1000 round trips of $n bytes",
                [[send => frame($op, $small)]]);
            $case->{again}   = [$kind, $small, frame($op, $small), 1000];
            $case->{seconds} = 60;
            push @cases, $case;
        }
    }

    return @cases;
}

sub _fragments {
    my ($op, $data, $n) = @_;
    my $out  = '';
    my $last = length($data) - $n;

    for (my $at = 0; $at <= $last; $at += $n) {
        $out .= frame($at ? 0 : $op, substr($data, $at, $n),
            fin => $at == $last);
    }

    return $out;
}

1;
