package Bench;

# What the parts of the bench share: processes of their own scheduling group
# on a core of their own, servers, loads, medians, and the list of what went
# wrong.
#
# Servers run on the first core; the load, Redis and whatever else measures,
# on the second.  On a machine with one core nothing is pinned, and no figure
# means anything.

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Temp ();
use IO::Handle;
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep time);

use lib dirname(__FILE__) . '/../lib';
use Wscast::Port qw(free_port);

our @EXPORT_OK = qw(
    $ROOT spawn stop stop_all scratch free_port wait_port children
    private_memory median rounds seconds long_rounds long_seconds digits ratio
    wrong wrongs
);

our $ROOT = abs_path(dirname(__FILE__) . '/../..');

my ($scratch, %running, @wrong, $owner);
$owner = $$;

# -- processes -----------------------------------------------------------

my @cores = do {
    my $list = `taskset -cp $$ 2>/dev/null` =~ /: (\S+)$/ ? $1 : '0';
    map { /(\d+)-(\d+)/ ? $1 .. $2 : $_ } split /,/, $list;
};

# A session is a scheduling group of the kernel's, which shares the processor
# out among groups: ours weighs more than what else runs on the machine.

sub raise {
    my ($nice) = @_;
    POSIX::setsid();
    open my $group, '>', '/proc/self/autogroup' or return;
    print {$group} $nice;
    close $group;
    return;
}

# spawn(core 0 or 1, options, command...): its process id.
# in, out: file handles; log: a file for what it says.

sub spawn {
    my ($core, $o, @command) = @_;
    my $pid = fork // die "fork: $!";

    if ($pid) {
        $running{$pid} = $command[0];
        return $pid;
    }

    raise(-10);
    open STDIN, '<&', $o->{in} or die $! if $o->{in};
    open STDIN, '<', '/dev/null' or die $! if !$o->{in};
    open STDOUT, '>&', $o->{out} or die $! if $o->{out};
    open STDOUT, '>', $o->{log} or die $! if !$o->{out};
    open STDERR, '>>', $o->{log} or die $!;
    @command = ('taskset', '-c', $cores[$core], @command) if @cores > 1;
    { no warnings 'exec'; exec @command }
    POSIX::_exit(127);
}

sub stop {
    my ($pid, $signal) = @_;
    delete $running{$pid} or return;
    kill $signal // 'TERM', $pid;

    for (1 .. 100) {
        return if waitpid($pid, POSIX::WNOHANG()) != 0;
        sleep 0.1;
    }

    kill 'KILL', $pid;
    waitpid $pid, 0;
    return;
}

sub stop_all { stop($_) for keys %running; return }

END { local $?; stop_all() if $$ == $owner }

sub children {
    my ($parent) = @_;
    my @found;

    for my $stat (glob '/proc/[0-9]*/stat') {
        open my $in, '<', $stat or next;
        my $line = <$in> // next;
        push @found, $1 if $line =~ /^(\d+) \(.*\) \S $parent /;
    }

    return @found;
}

# Bytes that belong to these processes alone.

sub private_memory {
    my $sum = 0;

    for my $pid (@_) {
        open my $in, '<', "/proc/$pid/smaps_rollup" or die "$pid: $!\n";
        while (<$in>) { $sum += $1 * 1024 if /^Private_\w+:\s+(\d+) kB/ }
    }

    return $sum;
}

# -- places --------------------------------------------------------------

sub scratch {
    $scratch //= File::Temp->newdir('wscast-bench-XXXXXX', TMPDIR => 1);
    chmod 0755, "$scratch";
    return "$scratch";
}

sub wait_port {
    my ($port, $log) = @_;

    for (1 .. 200) {
        my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port");
        return $s if $s;
        sleep 0.05;
    }

    open my $in, '<', $log or die "nobody listens on $port\n";
    die "nobody listens on $port:\n", <$in>;
}

# -- figures -------------------------------------------------------------

sub rounds  { return $ENV{ROUNDS} || 40 }
sub seconds { return $ENV{SLICE} || 0.05 }

# What has to get going first takes longer turns, and fewer of them.

sub long_rounds  { return rounds() / 4 }
sub long_seconds { return 6 * seconds() }

sub median {
    my @v = sort { $a <=> $b } @_;
    return 0 if !@v;
    return ($v[$#v / 2] + $v[@v / 2]) / 2;
}

sub digits {
    my ($v) = @_;
    return sprintf $v < 10 ? '%.2f' : $v < 100 ? '%.1f' : '%.0f', $v;
}

sub ratio { return sprintf '%.2f', $_[0] }

# A loss, a repetition, a connection that was dropped: the run has failed.

sub wrong {
    my ($text) = @_;
    push @wrong, $text;
    print STDERR "! $text\n";
    return;
}

sub wrongs { return @wrong }

1;
