package Chaos::Schedule;

# What happens when: the same seed, the same schedule.
#
#   my $schedule = Chaos::Schedule->new(seed => 7, seconds => 120,
#       hosts => 2, redis => 1);
#   for my $event ($schedule->events) { $event->{at}, $event->{kind}, ... }
#
# What lasts for a while is two events, and the second is there before the end.
# Members of an event: host, a number from 0; count and which, of clients or
# workers; lasts, in seconds; ms; how; old, 1: a worker that shuts down is taken
# if there is one.

use strict;
use warnings;

# kind, its weight without Redis and with it, what it is made of, and how it
# ends
my @KINDS = (
    [reload  => 5, 4, { host => 1 }],
    [kill    => 9, 7, { host => 1, which => 100, old => 5 }],
    [hang    => 3, 3, { host => 1, which => 100, lasts => [0.1, 2] },
                'resume', 'worker'],
    [drop    => 8, 6, { which => 100, count => [1, 6],
                        how => [qw(drop reset half close)] }],
    [flee    => 1, 1, { host => 1 }],
    [pause   => 5, 3, { which => 100, count => [1, 4], lasts => [0.5, 5] }],
    [leave   => 5, 3, { which => 100, count => [1, 4], lasts => [0.1, 3] }],
    [away    => 4, 3, { which => 100, count => [1, 4], lasts => [0.3, 7] }],
    [restart => 0, 2, { lasts => [0.05, 3] }, 'started', 'redis'],
    [freeze  => 0, 2, { lasts => [0.2, 4] }, 'thaw', 'redis'],
    [cut     => 0, 3, { host => 1 }],
    [refuse  => 0, 2, { host => 1, lasts => [0.2, 3] }, 'heal', 'link'],
    [half    => 0, 2, { host => 1, lasts => [0.5, 5] }, 'heal', 'link'],
    [deaf    => 0, 2, { host => 1, lasts => [0.5, 5] }, 'heal', 'link'],
    [delay   => 0, 2, { host => 1, lasts => [0.5, 4], ms => [5, 200] },
                'heal', 'link'],
    [forget  => 0, 1, {}],
);

sub new {
    my ($class, %option) = @_;
    my $self = bless { pause => 0.8, %option, events => [] }, $class;

    $self->{state} = ($self->{seed} ^ 0x9e3779b9) & 0xffffffff || 1;
    $self->_random for 1 .. 16;
    $self->_fill;

    return $self;
}

sub events { return @{ $_[0]{events} } }

# What may happen and does not, with this seed.

sub never {
    my ($self) = @_;
    my %seen   = map { $_->{kind} => 1 } $self->events;
    my $column = $self->{redis} ? 2 : 1;

    return grep { !$seen{$_} } map { $_->[0] } grep { $_->[$column] } @KINDS;
}

# Marsaglia's xorshift, because Perl's own differs between builds.

sub _random {
    my ($self) = @_;
    my $x = $self->{state};

    $x ^= $x << 13 & 0xffffffff;
    $x ^= $x >> 17;
    $x ^= $x << 5 & 0xffffffff;
    $self->{state} = $x;

    return $x / 2 ** 32;
}

sub _fill {
    my ($self) = @_;
    my $column = $self->{redis} ? 2 : 1;
    my $sum    = 0;
    my ($at, %busy, @events) = (0);

    $sum += $_->[$column] for @KINDS;

    while (1) {
        $at += 0.02 + 2 * $self->{pause} * $self->_random;
        last if $at > $self->{seconds} - 0.5;

        my $point = $self->_random * $sum;
        my ($row) = grep { ($point -= $_->[$column]) < 0 } @KINDS;
        my $event = $self->_event($row // $KINDS[0], $at);
        my ($end, $place) = @$row[4, 5];

        if ($place) {
            $place .= $event->{host} // '';
            next if ($busy{$place} // 0) > $at;

            my $until = $at + $event->{lasts};
            $until = $self->{seconds} - 0.1
                if $until > $self->{seconds} - 0.1;
            $busy{$place} = $until + 0.5;
            push @events, { at => $until, kind => $end,
                exists $event->{host} ? (host => $event->{host}) : () };
        }

        push @events, $event;
    }

    $self->{events} = [sort { $a->{at} <=> $b->{at} } @events];

    return;
}

sub _event {
    my ($self, $row, $at) = @_;
    my %event = (at => $at, kind => $row->[0]);
    my $parts = $row->[3];

    for my $name (sort keys %$parts) {
        my $part = $parts->{$name};

        if ($name eq 'host') {
            $event{host} = int $self->_random * $self->{hosts};
        } elsif ($name eq 'old') {
            $event{old} = $self->_random * $part < 1 ? 1 : 0;
        } elsif ($name eq 'how') {
            $event{how} = $part->[$self->_random * @$part];
        } elsif (ref $part) {
            my $value = $part->[0]
                + $self->_random * ($part->[1] - $part->[0]);
            $event{$name} = $name eq 'lasts'
                ? 0 + sprintf('%.2f', $value) : int $value;
        } else {
            $event{$name} = int $self->_random * $part;
        }
    }

    return \%event;
}

# An event as a line.

sub line {
    my ($event) = @_;
    return sprintf '%8.2f  %-8s %s', $event->{at}, $event->{kind},
        join ' ', map { "$_=$event->{$_}" }
            grep { !/^(?:at|kind)$/ } sort keys %$event;
}

sub text {
    my ($self) = @_;
    return join "\n", map { line($_) } $self->events;
}

1;
