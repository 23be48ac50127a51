package Chaos::Proxy;

# The network between a host and Redis, on the loopback: a process that passes
# bytes on, and does what it is told.
#
#   my $proxy = Chaos::Proxy->new($redis_port);
#   $proxy->port;
#   $proxy->tell('cut');       reset all connections
#   $proxy->tell('refuse');    and take no new ones
#   $proxy->tell('half');      pass nothing on, and say nothing of it
#   $proxy->tell('deaf');      the same, of what Redis says
#   $proxy->tell('mute');      the same, of what it says to subscribers
#   $proxy->tell('to 6380');   new connections go there
#   $proxy->tell('delay 50');  pass everything on 50 ms later
#   $proxy->tell('heal');      after half, deaf and mute: reset what was open
#   $proxy->obeyed;            waits until all of that is done
#
# The process ends with the one that started it.

use strict;
use warnings;

use IO::Socket::INET;
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

sub new {
    my ($class, $target) = @_;
    my $port = Wscast::free_port();
    my $self = bless { port => $port, target => $target }, $class;

    pipe my $in, my $out or die "pipe: $!\n";
    pipe my $done, my $ack or die "pipe: $!\n";
    $self->_listen;
    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        close $_ for $out, $done;
        @$self{qw(control ack)} = ($in, $ack);
        eval { $self->_run; 1 } or print STDERR "proxy: $@";
        POSIX::_exit(0);
    }

    close $_ for $in, $ack, delete $self->{listen};
    $out->autoflush(1);
    @$self{qw(pid out done told)} = ($pid, $out, $done, 0);

    return $self;
}

sub port { return $_[0]{port} }

sub tell {
    my ($self, $word) = @_;
    print { $self->{out} } "$word\n";
    $self->{told}++;
    return;
}

sub obeyed {
    my ($self) = @_;
    $self->{told} -= sysread($self->{done}, my $acks, $self->{told})
        || die "the proxy has ended\n" while $self->{told};
    return;
}

sub stop {
    my ($self) = @_;
    kill 'TERM', $self->{pid};
    waitpid $self->{pid}, 0;
    return;
}

# -- in its own process --------------------------------------------------

sub _listen {
    my ($self) = @_;
    $self->{listen} = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1', LocalPort => $self->{port},
        Listen => 64, ReuseAddr => 1,
    ) or die "cannot listen on $self->{port}: $!\n";
    return;
}

sub _run {
    my ($self) = @_;

    $SIG{$_} = 'DEFAULT' for qw(TERM HUP INT);
    @$self{qw(mode delay pairs)} = ('', 0, {});

    while (1) {
        my ($rin, $win) = ('', '');

        vec($rin, fileno $self->{control}, 1) = 1;
        vec($rin, fileno $self->{listen}, 1) = 1 if $self->{listen};

        my $now  = time;
        my $wait = 0.5;

        for my $side (map { @$_ } values %{ $self->{pairs} }) {
            vec($rin, $side->{fd}, 1) = 1;
            my $first = $side->{queue}[0] or next;
            my $left  = $first->[0] - $now;
            vec($win, $side->{fd}, 1) = 1 if $left <= 0;
            $wait = $left if $left > 0 && $left < $wait;
        }

        my $n = select $rin, $win, undef, $wait;
        next if $n < 0;

        $self->_serve($_, $rin, $win) for values %{ $self->{pairs} };
        $self->_accept
            if $self->{listen} && vec $rin, fileno $self->{listen}, 1;

        if (vec $rin, fileno $self->{control}, 1) {
            sysread $self->{control}, my $words, 4096 or return;
            for my $word (split /\n/, $words) {
                $self->_obey($word);
                syswrite $self->{ack}, '.';
            }
        }
    }
}

sub _obey {
    my ($self, $word) = @_;
    my ($verb, $value) = split / /, $word;

    if ($verb eq 'delay') {
        $self->{delay} = $value / 1000;
        return;
    }

    if ($verb eq 'to') {
        $self->{target} = $value;
        return;
    }

    $self->_close($_, 1) for $verb eq 'cut' || $verb eq 'refuse'
        || $verb eq 'heal' && $self->{mode} =~ /half|deaf|mute/
        ? values %{ $self->{pairs} } : ();

    if ($verb eq 'refuse') {
        close delete $self->{listen} if $self->{listen};
    } elsif ($verb eq 'heal') {
        $self->_listen if !$self->{listen};
        @$self{qw(mode delay)} = ('', 0);
    } elsif ($verb ne 'cut') {
        $self->{mode} = $verb;
    }

    return;
}

sub _accept {
    my ($self) = @_;
    my $client = $self->{listen}->accept or return;
    my $server = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $self->{target});

    if (!$server) {
        close $client;
        return;
    }

    my @pair = map {
        $_->blocking(0);
        setsockopt $_, IPPROTO_TCP, TCP_NODELAY, 1;
        { sock => $_, fd => fileno $_, queue => [] };
    } $client, $server;

    $self->{pairs}{ $pair[0]{fd} } = \@pair;

    return;
}

sub _close {
    my ($self, $pair, $reset) = @_;

    delete $self->{pairs}{ $pair->[0]{fd} };

    for my $side (@$pair) {
        setsockopt $side->{sock}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0
            if $reset;
        close $side->{sock};
    }

    return;
}

# What one side says goes into the other's queue.

sub _serve {
    my ($self, $pair, $rin, $win) = @_;

    for my $i (0, 1) {
        my ($side, $other) = @$pair[$i, 1 - $i];

        if (vec $rin, $side->{fd}, 1) {
            my $n = sysread $side->{sock}, my $bytes, 65536;

            if (!defined $n && !$!{EAGAIN} || defined $n && !$n) {
                $self->_close($pair, !defined $n);
                return;
            }

            my $mode = $self->{mode};
            $pair->[0]{subscribes} ||= !$i && $bytes =~ /SUBSCRIBE/;
            push @{ $other->{queue} }, [time + $self->{delay}, $bytes]
                if $n && $mode ne 'half' && !($mode eq 'deaf' && $i)
                && !($mode eq 'mute' && $i && $pair->[0]{subscribes});
        }

        while (vec($win, $side->{fd}, 1) && @{ $side->{queue} }
            && $side->{queue}[0][0] <= time)
        {
            my $n = syswrite $side->{sock}, $side->{queue}[0][1];

            if (!defined $n) {
                last if $!{EAGAIN};
                $self->_close($pair, 1);
                return;
            }

            substr $side->{queue}[0][1], 0, $n, '';
            last if length $side->{queue}[0][1];
            shift @{ $side->{queue} };
        }
    }

    return;
}

1;
