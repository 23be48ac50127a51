package Wscast::Metrics;

# Reads the Prometheus text format, as strictly as its own tools do.
#
#   my ($metrics, @wrong) = Wscast::Metrics::read($text);
#   $metrics->{wscast_connections}{'hub="chat"'}
#
# Wrong is: a line of no known form; a sample without HELP and TYPE before it,
# or apart from the others of its metric; a repeated sample; a counter without
# _total, something else with it; a name with a unit that is no base unit; a
# label or a name with letters that are not allowed; no line feed at the end.

use strict;
use warnings;

my $NAME  = qr/[a-zA-Z_:][a-zA-Z0-9_:]*/;
my $LABEL = qr/[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"/;
my $VALUE = qr/[-+]?(?:\d+(?:\.\d*)?(?:e[-+]?\d+)?|Inf)|NaN/i;

sub read {
    my ($text) = @_;
    my (%metrics, %help, %type, %over, @wrong);
    my $current = '';

    push @wrong, 'no line feed at the end' if $text !~ /\n\z/;

    for my $line (split /\n/, $text) {
        next if $line eq '' || $line =~ /^# (?!HELP|TYPE)/;

        my ($name) = $line =~ /^(?:# (?:HELP|TYPE) )?($NAME)/;

        if (!defined $name) {
            push @wrong, "odd line: $line";
            next;
        }

        if ($name ne $current) {
            push @wrong, "$name is scattered" if $over{$name}++;
            $current = $name;
        }

        if ($line =~ /^# HELP $NAME (\S.*)$/) {
            push @wrong, "two HELP lines of $name" if $help{$name}++;

        } elsif ($line =~ /^# TYPE $NAME (counter|gauge|histogram|summary)$/) {
            push @wrong, "two TYPE lines of $name" if $type{$name};
            push @wrong, "TYPE of $name comes late" if $metrics{$name};
            $type{$name} = $1;

        } elsif ($line =~ /^$NAME(?:\{($LABEL(?:,$LABEL)*)\})? ($VALUE)$/) {
            my ($labels, $value) = ($1 // '', $2);
            push @wrong, "$name without HELP" if !$help{$name};
            push @wrong, "$name without TYPE" if !$type{$name};
            push @wrong, "$name\{$labels\} comes twice"
                if exists $metrics{$name}{$labels};
            my %seen;
            $seen{$_}++ && push @wrong, "label $_ twice in $name"
                for $labels =~ /([a-zA-Z_][a-zA-Z0-9_]*)="/g;
            $metrics{$name}{$labels} = $value;

        } else {
            push @wrong, "odd line: $line";
        }
    }

    for my $name (sort keys %type) {
        my $counter = $type{$name} eq 'counter';
        push @wrong, "the counter $name does not end in _total"
            if $counter && $name !~ /_total$/;
        push @wrong, "$name ends in _total and is no counter"
            if !$counter && $name =~ /_total$/;
        push @wrong, "$name is not in base units"
            if $name =~ /_(?:milliseconds|ms|kilobytes|kb|mb|minutes|hours)/;
        push @wrong, "$name says its type" if $name =~ /_(?:counter|gauge)$/;
        push @wrong, "$name is not in snake case" if $name =~ /[A-Z]/;
    }

    return (\%metrics, @wrong);
}

1;
