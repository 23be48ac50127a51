package Chaos::Record;

# What was published, what was acknowledged, what each client has got, and
# which of that must not be.
#
# Messages have numbers of their own.  On a channel with history there is one
# table for all clients, offset => number: who says otherwise, or finds a gap
# before it, is wrong at once.  On the others what each connection has got is
# kept, and examined at the end (Chaos::Order).

use strict;
use warnings;

use Time::HiRes qw(time);

use constant SHOWN => 12;

sub new {
    my ($class, %option) = @_;

    return bless {
        begun      => time,
        sent       => {},       # number => [first sent, channel, with a key]
        taken      => {},       # number => [when acknowledged, offset]
        table      => {},       # channel => { offset => number }
        place      => {},       # channel => { number => offset }
        epoch      => {},       # channel => epoch
        top        => {},       # channel => highest offset seen
        base       => {},       # channel => its offset before all this
        segments   => [],       # what connections got of the other channels
        gaps       => {},       # host => [when its counter moved]
        trouble    => [],       # [host or '*', from, to]
        deeds      => [],
        violations => [],
        count      => {},
        %option,
    }, $class;
}

sub at { return sprintf '%.3f', time - $_[0]{begun} }

sub count {
    my ($self, $what, $n) = @_;
    $self->{count}{$what} += $n // 1;
    return;
}

# A line of what was done, for the context of what is found.

sub deed {
    my ($self, $text) = @_;
    push @{ $self->{deeds} }, $self->at . "  $text";
    return;
}

sub wrong {
    my ($self, $text, $reader) = @_;
    my $deeds = $self->{deeds};
    my $first = @$deeds > 12 ? @$deeds - 12 : 0;

    $self->count('violations');
    return if @{ $self->{violations} } >= SHOWN;

    push @{ $self->{violations} }, join "\n", $self->at . "  $text",
        '  what was done before:',
        (map { "    $_" } @$deeds[$first .. $#$deeds]),
        $reader ? ('  what the client saw before:',
            map { "    $_" } @{ $reader->{seen} }) : ();

    return;
}

# -- when being told of a loss is right ----------------------------------

# While Redis, or the way there, is away, a host cannot know what a client that
# resumes has missed, and says so; and for as long as it needs to connect
# again.

sub trouble_begins {
    my ($self, $where, $since) = @_;
    my $trouble = [$where, $since // time];
    push @{ $self->{trouble} }, $trouble;
    return $trouble;
}

sub trouble_ends {
    my ($self, $where) = @_;
    $_->[0] eq $where and $_->[2] //= time + Wscast::scale(3)
        for @{ $self->{trouble} };
    return;
}

sub troubled {
    my ($self, $host, $from, $to) = @_;

    return scalar grep {
        ($_->[0] eq '*' || $_->[0] eq $host) && $_->[1] <= $to
            && (!defined $_->[2] || $_->[2] >= $from)
    } @{ $self->{trouble} };
}

sub gap_between {
    my ($self, $host, $from, $to) = @_;
    return scalar grep { $_ >= $from && $_ <= $to }
        @{ $self->{gaps}{$host} // [] };
}

# -- channels with history -----------------------------------------------

# Somebody says that a message is at an offset; who holds that against all that
# was said before.

sub placed {
    my ($self, $channel, $epoch, $offset, $n, $who) = @_;
    my $known = $self->{table}{$channel}{$offset} //= $n;
    my $place = $self->{place}{$channel}{$n} //= $offset;

    $self->{epoch}{$channel} //= $epoch;
    $self->{top}{$channel} = $offset
        if $offset > ($self->{top}{$channel} // 0);

    if ($self->{epoch}{$channel} ne $epoch) {
        $self->wrong("$channel has another epoch, $epoch instead of "
            . "$self->{epoch}{$channel}, for message $n at $offset", $who);
        $self->{epoch}{$channel} = $epoch;
    }

    $self->wrong("$channel: at $offset is $n, but others had $known", $who)
        if $known != $n;
    $self->wrong("$channel: $n is at $offset, and at $place, too", $who)
        if $place != $offset;
    $self->wrong("$channel: $n was never published there", $who)
        if ($self->{sent}{$n}[1] // '') ne $channel;

    return;
}

# -- publishers ----------------------------------------------------------

sub sent {
    my ($self, $n, $channel, $key) = @_;
    $self->{sent}{$n} //= [time, $channel, $key];
    return;
}

sub taken {
    my ($self, $n, $epoch, $offset, $voice) = @_;
    my $known   = $self->{taken}{$n};
    my $channel = $self->{sent}{$n}[1];

    $self->count('acknowledged') if !$known;
    $self->{taken}{$n} //= [time, $offset];

    if (defined $offset) {
        $self->placed($channel, $epoch, $offset, $n, $voice);
    } elsif ($channel =~ /^room/) {
        $self->wrong("$channel: $n was acknowledged without an offset");
    }

    return;
}

# -- the end -------------------------------------------------------------

# What was acknowledged on channels with history has reached everybody who is
# at the top: their offsets have no holes, and what is at each of them is the
# same for all.  What is left to see is that it is there at all.

sub history_holds {
    my ($self, $readers) = @_;

    for my $channel (sort keys %{ $self->{top} }) {
        my ($table, $top) = ($self->{table}{$channel},
            $self->{top}{$channel});
        my $first = 1 + ($self->{base}{$channel} // 0);
        my @holes = grep { !defined $table->{$_} } $first .. $top;

        $self->wrong("$channel: nobody has heard of " . @holes
            . " offsets of $top, the first is $holes[0]") if @holes;

        for my $r (grep { $_->{channel} eq $channel } @$readers) {
            $self->wrong("$r->{name} is at " . ($r->{offset} // 'no offset')
                . " of $top on $channel at the end", $r)
                if ($r->{offset} // -1) != $top;
        }
    }

    return;
}

1;
