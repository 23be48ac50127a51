package Bench::Load;

# A load (t/bench/load): a process with its connections open, that is told
# what to do and answers with its figures.

use strict;
use warnings;

use JSON::PP ();

use Bench qw($ROOT);

my @must_be_zero = qw(
    lost duplicates disordered corrupt stale dropped failed
);

# Bench::Load->new(server, clients => 1000, publishers => 1, ...): options of
# the load, without their dashes; to => 'echo' for another of the server's urls.
# start() does not wait for its connections: opened() does.

sub new {
    my $self = start(@_);
    $self->opened;
    return $self;
}

sub start {
    my ($class, $server, %o) = @_;
    my $to = delete $o{to} // 'sub';
    my $log = Bench::scratch() . '/load.log';

    pipe my $in, my $tell or die $!;
    pipe my $hear, my $out or die $!;
    $tell->autoflush(1);

    my @options = map {
        ("--$_", $o{$_} eq 'yes' ? () : $o{$_})
    } grep { length $o{$_} } sort keys %o;

    my $pid = Bench::spawn(1, { in => $in, out => $out, log => $log },
        load(), '--pid', join(',', @{ $server->{pids} }),
        ($server->{redis} ? ('--redis', $server->{redis}) : ()),
        ($server->{pub} ? ('--publish', $server->{pub}) : ()),
        @options, ref $server->{$to} ? @{ $server->{$to} } : $server->{$to});

    my $self = bless {
        pid => $pid, tell => $tell, hear => $hear, log => $log,
        name => $server->{name}, clients => $o{clients} // 0,
        peer => $server->{peer}, server => $server,
    }, $class;

    close $in;
    close $out;
    return $self;
}

sub opened {
    my ($self) = @_;
    my $open = $self->{open} = $self->hear;

    $self->wrong("of $self->{clients} clients $open->{ready} are ready: "
        . $open->{error}) if $open->{ready} != $self->{clients};
    return;
}

# That a peer loses something is no failure of ours, but said.

sub wrong {
    my ($self, $text) = @_;
    $text = "$self->{name}: $text";
    return Bench::wrong($text) if !$self->{peer};
    print STDERR "? $text\n";
    return;
}

sub load { return $ENV{BENCH_LOAD} // "$ROOT/build/bench/load" }

sub tell {
    my ($self, $command) = @_;
    $self->{command} = $command;
    print { $self->{tell} } "$command\n" or die "$self->{name}: $!\n";
    return;
}

sub hear {
    my ($self) = @_;
    my $line = readline $self->{hear};

    if (!defined $line) {
        open my $in, '<', $self->{log} or die $!;
        die "$self->{name}: the load has ended: ", <$in>, "\n";
    }

    my $answer = JSON::PP::decode_json($line);

    for my $key (grep { $answer->{$_} } @must_be_zero) {
        $self->wrong(($self->{command} // 'opening')
            . ": $key $answer->{$key} $answer->{error}");
    }

    return $answer;
}

sub ask {
    my ($self, $command) = @_;
    $self->tell($command);
    return $self->hear;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@);
    close $self->{tell};
    Bench::stop($self->{pid});
    return;
}

1;
