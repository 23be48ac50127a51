package Soak::Books;

# What the servers hold: memory, descriptors, what the zone has in use, keys and
# connections in Redis.
#
#   my $books = Soak::Books->new($world);
#   print $books->wrong($then);
#
# Without clients each worker has a block of the zone and a lease in Redis, and
# all else but memory is what it was, or something leaks.  The keys of publishes
# end by themselves, after 5 minutes: they do not count.

use strict;
use warnings;

use constant BLOCK => 128;

my $P = '{wscast:chat:}';

my @NONE   = qw(connections subscriptions channels queued_bytes zone_messages
    bus_backlog_bytes);
my @GAUGES = (@NONE, qw(workers zone_presence_bytes));

sub new {
    my ($class, $world) = @_;
    my $self = bless { exact => {}, memory => {} }, $class;

    $self->_host($_) for $world->hosts;
    $self->_redis($world->{redis}) if $world->{redis};

    return $self;
}

sub _host {
    my ($self, $host) = @_;
    my $hub   = $host->hub;
    my $name  = $host->{name};
    my $exact = $self->{exact}{$name} = {};

    $exact->{$_} = $hub->{$_} for @GAUGES;
    $exact->{zone} = $hub->{zone_used_bytes} - BLOCK * $hub->{zone_keys};
    $exact->{'descriptors of the master'} = _descriptors($host->pid);
    $exact->{'descriptors of workers'}
        = join ' ', sort map { _descriptors($_) } $host->workers;
    $exact->{processes} = () = $host->workers(old => 1);

    $self->{memory}{"$name, master"}  = _anonymous($host->pid);
    $self->{memory}{"$name, workers"} = _anonymous($host->workers);

    return;
}

sub _descriptors {
    my ($pid) = @_;
    return scalar(() = glob "/proc/$pid/fd/*");
}

# Kilobytes that are a process's own; the zone is not.

sub _anonymous {
    my $sum = 0;

    for my $pid (@_) {
        open my $in, '<', "/proc/$pid/smaps_rollup" or next;
        while (<$in>) {
            $sum += $1 if /^Anonymous:\s+(\d+)/;
        }
    }

    return $sum;
}

sub _redis {
    my ($self, $redis) = @_;
    my %key = map { $_ => 1 } @{ $redis->command('KEYS', '*') };
    my @keys = grep { !/:key:|:lease:/ } sort keys %key;

    # one of the clients is ourselves
    my @clients = split /\n/, $redis->command('CLIENT', 'LIST');

    $self->{exact}{redis} = {
        keys        => join(' ', @keys),
        leases      => scalar $redis->command('ZCARD', "$P:leases"),
        owned       => scalar $redis->command('SCARD', "$P:owned"),
        dead        => scalar $redis->command('ZCARD', "$P:dead"),
        awaited     => scalar $redis->command('EXISTS', "$P:lost"),
        channels    => $self->_channels($redis, grep { /:lease:/ } keys %key),
        connections => scalar @clients,
    };

    return;
}

# Channels that leases name.

sub _channels {
    my ($self, $redis, @leases) = @_;
    my $n = 0;

    $n += $redis->command('SCARD', $_) for @leases;

    return $n;
}

# What is not as it must be, or not as it was then, in words.

sub wrong {
    my ($self, $then) = @_;
    my $exact = $self->{exact};
    my ($workers, @lines) = (0);

    for my $place (grep { $_ ne 'redis' } sort keys %$exact) {
        my $host = $exact->{$place};
        my $own  = BLOCK * $host->{workers};

        push @lines, "$place: members take $host->{zone_presence_bytes}"
            if $host->{zone_presence_bytes} != $own;
        push @lines, map { "$place: $_ is $host->{$_}" }
            grep { $host->{$_} } @NONE;
        $workers += $host->{workers};
    }

    if (my $redis = $exact->{redis}) {
        my %want = (leases => $workers, owned => $workers, dead => 0,
            awaited => 0);
        push @lines, map { "redis: $_ is $redis->{$_}" }
            grep { $redis->{$_} != $want{$_} } sort keys %want;
    }

    return join "\n", @lines, $then ? $self->_differences($then) : ();
}

sub _differences {
    my ($self, $then) = @_;
    my @lines;

    for my $place (sort keys %{ $self->{exact} }) {
        my ($now, $before) = map { $_->{exact}{$place} } $self, $then;
        push @lines, map { "$place: $_ is $now->{$_}, was $before->{$_}" }
            grep { $now->{$_} ne $before->{$_} } sort keys %$now;
    }

    return @lines;
}

sub sums {
    my ($self) = @_;
    my (%memory, %sum);

    for my $name (keys %{ $self->{memory} }) {
        $memory{ $name =~ s/.*, //r } += $self->{memory}{$name};
    }

    for my $place (values %{ $self->{exact} }) {
        my $all = join ' ', map { $_ // () }
            @$place{'descriptors of the master', 'descriptors of workers'};
        $sum{descriptors} += $_ for split ' ', $all;
        $sum{zone} += $place->{zone} // 0;
    }

    return { %sum, master => $memory{master}, workers => $memory{workers} };
}

1;
