package Chaos::Pulse;

# Somebody else on the way to Redis that a host takes: asks PING again and again
# on a connection of its own.  When it is not answered, Redis is away for that
# host as well, whether the schedule wants it or the machine has no time.
#
#   my $pulse = Chaos::Pulse->new(record => $record, host => $name,
#       port => $port);
#   $pulse->step;               often
#   $pulse->stood($seconds);    nobody could ask or hear for so long

use strict;
use warnings;

use Errno ();
use IO::Socket::INET;
use Time::HiRes qw(time);

use constant EVERY => 0.2;
use constant LATE  => 0.4;

sub new {
    my ($class, %option) = @_;
    return bless { %option, next => 0 }, $class;
}

sub stood {
    my ($self, $seconds) = @_;
    $self->{asked} += $seconds if $self->{asked};
    return;
}

sub step {
    my ($self) = @_;
    my $now = time;

    $self->_hear($now) if $self->{asked};

    if ($self->{asked} && $now - $self->{asked} > LATE) {
        $self->_away($self->{asked});
    }

    return if $self->{asked} || $now < $self->{next};

    $self->{next} = $now + EVERY;
    $self->{sock} //= IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $self->{port}, Timeout => 1);
    return $self->_away($now) if !$self->{sock};

    $self->{sock}->blocking(0);
    syswrite $self->{sock}, "PING\r\n";
    $self->{asked} = $now;

    return;
}

sub _hear {
    my ($self, $now) = @_;
    my $n = sysread $self->{sock}, my $bytes, 64;

    if ($n && $bytes =~ /^\+PONG/) {
        delete $self->{asked};
        $self->{trouble}[2] = $now + Wscast::scale(3) if $self->{trouble};
        delete $self->{trouble};

    # it ended, or Redis says that it is loading its file
    } elsif (defined $n || !$!{EAGAIN}) {
        delete @$self{qw(asked sock)};
        $self->_away($now);
    }

    return;
}

sub _away {
    my ($self, $since) = @_;
    return if $self->{trouble};
    $self->{trouble} = $self->{record}->trouble_begins($self->{host}, $since);
    $self->{record}->count('times that Redis did not answer');
    return;
}

1;
