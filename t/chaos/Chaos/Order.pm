package Chaos::Order;

# Channels without history: is there one order in which all connections got
# what they got, and does anybody miss something?
#
# Each connection's list says of any two neighbours which comes first.  All
# lists of a channel together make a graph; if it has a cycle there is no one
# order.  If it has none, a connection may miss a message n only if n was
# published before it was subscribed and nothing that it got comes before n, or
# if nothing that it got comes after n; or if its host has counted a gap in the
# meantime.

use strict;
use warnings;

sub examine {
    my ($record) = @_;
    my %by;

    push @{ $by{ $_->{channel} } }, $_ for @{ $record->{segments} };

    for my $channel (sort keys %by) {
        my @segments = grep { @{ $_->{got} } } @{ $by{$channel} };
        _once($record, $_) for @segments;

        my $graph = _graph(\@segments);
        my $order = _sort($graph);

        if (!$order) {
            _contradiction($record, $channel, \@segments);
            next;
        }

        my %rank = map { $order->[$_] => $_ } 0 .. $#$order;
        my $self = { record => $record, order => $order, rank => \%rank,
                     graph => $graph };
        _complete($self, $_) for @segments;
        _heard($record, $channel, \%rank, $by{$channel});
    }

    return;
}

sub _once {
    my ($record, $segment) = @_;
    my %seen;

    $seen{$_}++ && $record->wrong("$segment->{name} got $_ of "
        . "$segment->{channel} twice on one connection")
        for @{ $segment->{got} };

    return;
}

sub _graph {
    my ($segments) = @_;
    my %graph;

    for my $segment (@$segments) {
        my $before;

        for my $n (@{ $segment->{got} }) {
            $graph{$n} //= {};
            $graph{$before}{$n} = 1 if defined $before && $before != $n;
            $before = $n;
        }
    }

    return \%graph;
}

# Kahn's algorithm; nothing if there is a cycle.

sub _sort {
    my ($graph) = @_;
    my (%into, @order);

    $into{$_}++ for map { keys %$_ } values %$graph;
    my @free = sort { $b <=> $a } grep { !$into{$_} } keys %$graph;

    while (@free) {
        my $n = pop @free;
        push @order, $n;
        push @free, grep { !--$into{$_} } sort { $b <=> $a }
            keys %{ $graph->{$n} };
    }

    return @order == keys %$graph ? \@order : undef;
}

# Two messages and two connections that contradict each other, if there are
# such: a cycle may also go through more.

sub _contradiction {
    my ($record, $channel, $segments) = @_;
    my %first;

    for my $segment (@$segments) {
        my $got = $segment->{got};

        for my $i (0 .. $#$got - 1) {
            for my $j ($i + 1 .. ($i + 20 > $#$got ? $#$got : $i + 20)) {
                my $other = $first{"$got->[$j] $got->[$i]"};

                if ($other) {
                    return $record->wrong("$channel: $segment->{name} on "
                        . "$segment->{host} got $got->[$i] before "
                        . "$got->[$j], $other->{name} on $other->{host} "
                        . 'the other way round');
                }

                $first{"$got->[$i] $got->[$j]"} //= $segment;
            }
        }
    }

    return $record->wrong("$channel: no order agrees with all connections");
}

sub _complete {
    my ($self, $segment) = @_;
    my ($rank, $order, $record) = @$self{qw(rank order record)};
    my $got   = $segment->{got};
    my %has   = map { $got->[$_] => $_ } 0 .. $#$got;
    my $first = $rank->{ $got->[0] };
    my $last  = $rank->{ $got->[-1] };
    my $start = $first;

    # what was published after the answer to subscribe may stand before
    while ($start > 0 && $first - $start < 500) {
        $start--;
    }

    my @missing = grep { !exists $has{$_} } @$order[$start .. $last];
    my @lost;

    for my $n (@missing) {
        my $sent = $record->{sent}{$n}[0];
        next if !$sent;
        next if $sent <= $segment->{since}
            && ($rank->{$n} < $first || !_path($self, $got->[0], $n));
        next if !_path($self, $n, $got->[-1]);

        # by what it got next it has missed this one: the order has places
        # for messages of which nobody knows which of them comes first
        my $i = 0;
        $i++ while $rank->{ $got->[$i] } < $rank->{$n}
            || !_path($self, $n, $got->[$i]);
        my $heard = $segment->{at}[$i];

        if ($record->gap_between($segment->{host}, $sent - 2, $heard + 4)) {
            $record->count('missed, and counted as a gap');
        } else {
            push @lost, $n;
        }
    }

    $record->wrong(sprintf '%s on %s, connected from %.3f, missed %d of %s: '
        . '%s', @$segment{qw(name host)},
        $segment->{since} - $record->{begun}, scalar @lost,
        $segment->{channel}, join ' ', map { sprintf '%d (sent %.3f)', $_,
            $record->{sent}{$_}[0] - $record->{begun} }
            @lost > 5 ? @lost[0 .. 4] : @lost) if @lost;

    return;
}

# Whether one message is known to come before another.

sub _path {
    my ($self, $from, $to) = @_;
    my ($rank, $graph) = @$self{qw(rank graph)};
    my %seen = ($from => 1);
    my @next = ($from);

    while (defined(my $n = pop @next)) {
        return 1 if $n == $to;
        push @next, grep { $rank->{$_} <= $rank->{$to} && !$seen{$_}++ }
            keys %{ $graph->{$n} };
    }

    return 0;
}

# What was acknowledged while somebody was there has reached somebody.

sub _heard {
    my ($record, $channel, $rank, $segments) = @_;

    for my $n (keys %{ $record->{taken} }) {
        my ($sent, $of) = @{ $record->{sent}{$n} };
        next if $of ne $channel || defined $rank->{$n};

        my $taken = $record->{taken}{$n}[0];
        my ($witness) = grep {
            $_->{since} < $sent
                && (!defined $_->{end} || $_->{end} > $taken + 10)
                && !$record->gap_between($_->{host}, $sent - 2, $taken + 12)
        } @$segments;

        $record->wrong(sprintf '%s: %d, sent at %.3f, was acknowledged, and '
            . 'nobody has got it, not even %s on %s', $channel, $n,
            $sent - $record->{begun}, @$witness{qw(name host)}) if $witness;
    }

    return;
}

1;
