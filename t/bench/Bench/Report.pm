package Bench::Report;

# Tables: on the terminal, in t/bench/results/PART.json, and in
# docs/performance.md, which is made of the results that are there.

use strict;
use warnings;

use JSON::PP ();
use POSIX ();

use Bench qw($ROOT);
use Bench::Server;
use Bench::Text;

my $results  = "$ROOT/t/bench/results";
my $document = "$ROOT/docs/performance.md";
# All text here is bytes of UTF-8, and stays that.

my $json     = JSON::PP->new->canonical->pretty->indent_length(1);

# -- tables --------------------------------------------------------------

# The columns that have something in them, then the rows: lists of cells.

sub cells {
    my ($t) = @_;
    my @columns = grep { my $c = $_; grep { length($_->{$c} // '') }
        @{ $t->{rows} } } @{ $t->{columns} };

    return [@columns], map { my $row = $_; [map { $row->{$_} // '' }
        @columns] } @{ $t->{rows} };
}

sub markdown {
    my ($t) = @_;
    my ($head, @rows) = cells($t);

    return "### $t->{title}\n\n" . join '', map { '| ' . join(' | ', @$_)
        . " |\n" } $head, [map { '---' } @$head], @rows;
}

sub plain {
    my ($t) = @_;
    my @rows = cells($t);
    my @width;

    for my $row (@rows) {
        for my $i (0 .. $#$row) {
            utf8::decode($row->[$i]);
            my $w = length $row->[$i];
            $width[$i] = $w if $w > ($width[$i] // 0);
        }
    }

    my $text = '';

    for my $row (@rows) {
        my $line = join '  ', map { sprintf '%-*s', $width[$_], $row->[$_] }
            0 .. $#$row;
        $text .= "  $line\n" =~ s/ +$//mr;
    }

    utf8::encode($text);
    return "\n$t->{title}\n\n$text\n";
}

# -- the machine ---------------------------------------------------------

sub first_match {
    my ($file, $like) = @_;
    open my $in, '<', $file or return '?';
    while (<$in>) { return $1 if $_ =~ $like }
    return '?';
}

sub said {
    my ($command, $like) = @_;
    my $text = `$command 2>/dev/null` // '';
    return $text =~ $like ? $1 : '?';
}

sub about {
    my $memory = first_match('/proc/meminfo', qr/^MemTotal:\s+(\d+)/);

    return {
        date    => POSIX::strftime('%Y-%m-%d %H:%M UTC', gmtime),
        version => said("git -C $ROOT describe --always --dirty", qr/(\S+)/),
        rounds  => Bench::rounds(),
        slice   => Bench::seconds(),
        network => $ENV{WSCAST_BENCH_NETWORK} // 'shared',
        machine => join(', ',
            first_match('/proc/cpuinfo', qr/^model name\s*:\s*(.*)/),
            said('nproc', qr/(\d+)/) . ' cores',
            sprintf('%.0f GB', $memory / 1048576),
            said('uname -sr', qr/(.*)/)),
    };
}

sub versions {
    return join(', ', Bench::Server::nginx_version(),
        'nchan ' . said("dpkg-query -W -f '\${Version}' libnginx-mod-nchan",
            qr/(\S+)/),
        'Node ' . said('node -v', qr/(\S+)/),
        'ws ' . first_match("$ROOT/t/bench/package.json", qr/"ws": "(.*?)"/),
        'Redis ' . said('redis-server --version', qr/v=(\S+)/),
        'gcc ' . said('gcc -dumpfullversion', qr/(\S+)/) . ' (`-O2`)') . ".\n";
}

# -- what is kept --------------------------------------------------------

sub keep {
    my ($part, @tables) = @_;
    my $file = "$results/$part.json";

    mkdir $results;
    open my $out, '>', "$file.new" or die "$file: $!\n";
    print {$out} $json->encode({ %{ about() }, tables => \@tables });
    close $out or die "$file: $!\n";
    rename "$file.new", $file or die "$file: $!\n";
    return;
}

sub document {
    my @parts = @_;
    my $text = $Bench::Text::head;
    my $newest;

    for my $part (@parts) {
        open my $in, '<', "$results/$part.json" or next;
        my $result = $json->decode(do { local $/; <$in> });
        my ($title, $about) = @{ $Bench::Text::parts{$part} };

        $text .= "\n## $title\n\n";
        $text .= "$about\n" if $about;
        $text .= markdown($_) . "\n" for @{ $result->{tables} };
        $text .= "$result->{date}, $result->{version}, "
            . "`ROUNDS=$result->{rounds} SLICE=$result->{slice}`"
            . (($result->{network} // '') eq 'shared'
                ? ", without a network of their own.\n" : ".\n");
        $newest = $result
            if !$newest || $result->{date} gt $newest->{date};
    }

    return if !$newest;

    $text .= "\n## Machine and versions\n\n$newest->{machine}.\n\n"
        . versions();

    open my $out, '>', $document or die "$document: $!\n";
    print {$out} $text;
    close $out or die "$document: $!\n";
    return;
}

1;
