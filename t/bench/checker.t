#!/usr/bin/perl

# The load of `make bench` sees what a server does wrong, counts it rightly,
# and takes nothing for wrong that is right.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use JSON::PP qw(decode_json);
use Test::More;

use Bench::Faulty;

my $load = "$FindBin::Bin/../../build/bench/load";
my @clean = qw(lost duplicates disordered corrupt stale dropped);

# Forty messages at once to three subscribers.  A loss is one when nothing has
# come for two seconds: so all run at the same time.

my @running;

sub found {
    my ($fault, $size, %expected) = @_;
    my ($port, $pid) = Bench::Faulty::start($fault);
    my $url = "ws://127.0.0.1:$port";

    open my $said, '-|', "printf 'burst $size 40 1\\n' | exec $load"
        . " --clients 3 --publishers 1 --opening 1 --publish $url/pub $url/sub"
        or die $!;
    push @running, [$fault, $size, $said, $pid, %expected];
    return;
}

sub compare {
    my ($fault, $size, $said, $pid, %expected) = @_;
    my $like  = delete $expected{error} // qr/^/;
    my @lines = readline $said;
    my $name  = "$fault, $size bytes";

    close $said;
    kill 'TERM', $pid;
    waitpid $pid, 0;
    is(scalar @lines, 2, "$name: the load answers") or return;

    my $answer = decode_json($lines[1]);
    my %found  = map { $_ => $answer->{$_} } 'delivered', @clean;
    my %right  = (delivered => 120, map({ $_ => 0 } @clean), %expected);

    is_deeply(\%found, \%right, "$name: it counts rightly")
        or diag(explain($answer));
    like($answer->{error}, $like, "$name: it says what happened");
    return;
}

found('none', 48);
found('none', 200);
found('none', 70_000);
found('bytes', 100);
found('cut', 300);
found('cut', 5000);

found('lose', 200, delivered => 116, lost => 4);
found('repeat', 200, duplicates => 4);
found('reorder', 200, disordered => 4);
found('corrupt', 200, delivered => 116, lost => 4, corrupt => 4,
    error => qr/corrupt/);
found('shorten', 200, delivered => 116, lost => 4, corrupt => 4,
    error => qr/corrupt/);

# the first is gone at its sixth message, and has lost what comes after it

my @gone = (delivered => 85, lost => 35, dropped => 1);

found('mask', 200, @gone, error => qr/client 0.*mask/);
found('reserve', 200, @gone, error => qr/client 0.*reserved bit/);
found('close', 200, @gone, error => qr/client 0: close 1011/);

compare(@$_) for @running;

done_testing();
