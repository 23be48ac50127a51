package Soak;

# Endurance: the same fault, over and over, under a steady load; after each
# round of them all clients leave, and then nothing may be held that was not
# held before.
#
#   Soak::run(mode => 'redis', seed => 7, kills => 1000, reloads => 100,
#       restarts => 50, rounds => 5);
#
# Clients, publishers, servers and what is held against them are those of
# t/chaos: nothing acknowledged is lost, nothing comes twice or out of order,
# the members are the clients.  Here a fault waits until the one before has been
# mended: a killed worker's replacement has welcomed a client, those of a reload
# have, Redis is subscribed again, and every client is back.
#
# Memory cannot be the same to the byte: the allocator keeps for reuse what a
# worker once needed at a time, a page of 1000 messages for instance.  So the
# first round of each kind of fault shows what that kind takes, and those after
# it must not take more.  What a worker leaks each time, 10 KB in 200 faults, is
# more than it may differ by.

use strict;
use warnings;

use FindBin;
use Test::More ();
use Time::HiRes qw(time);
use Wscast;
use Chaos;
use Soak::Books;

our @ISA = ('Chaos');

# Kilobytes that a worker, and a master, may have more after a round.

use constant {
    SLACK_WORKER => 2048,
    SLACK_MASTER => 256,
};

my @CHANNELS = ('room:1', 'room:2');

sub run {
    my (%option) = @_;
    my $self = bless { rate => Wscast::asan() ? 40 : 100, clients => 24,
        rounds => 5, rcvbuf => 0, base => {}, %option }, 'Soak';

    srand $self->{seed};
    $self->{restarts} = 0 if $self->{mode} ne 'redis';
    $self->{world} = Chaos::World->new(mode => $self->{mode}, drain => '1s',
        timeout => '5s 5s');
    $self->{number} = 0;

    my $state;
    $self->_ok(Wscast::wait_until(
        sub { !($state = $self->{world}->whole) }, 20), 'the servers are up')
        || Test::More::diag($state);

    # members that were lost with Redis leave when their lease has ended: half
    # a minute later, which is too long to be waited for twice in a short run

    $self->_round('warm-up', map { $self->{"${_}s"} ? ($_, $_) : () }
        qw(kill reload), $self->{rounds} > 1 ? 'restart' : ());
    $self->{start} = Soak::Books->new($self->{world});

    $self->_class($_) for grep { $self->{"${_}s"} } qw(kill reload restart);
    $self->{world}->stop;
    $self->_table;

    return;
}

sub _class {
    my ($self, $kind) = @_;
    my $left   = $self->{"${kind}s"};
    my $rounds = $self->{rounds};
    my $first;

    while ($rounds) {
        my $n = int($left / $rounds--);
        $left -= $n;
        next if !$n;

        my $row = $self->_round($kind, ($kind) x $n);
        $first ? $self->_compare($row, $first) : ($first = $row);
    }

    return;
}

# -- a round -------------------------------------------------------------

sub _round {
    my ($self, $name, @events) = @_;
    my $begun = time;

    $self->{title} = "$name " . ++$self->{times}{$name};
    $self->_people;
    $self->{record}{base} = { %{ $self->{base} } };
    $self->{publishing} = [$begun, 0];

    $self->_event($_) for @events;

    delete $self->{publishing};
    $self->{enough} = @events;
    $self->_calm;
    $self->_judge;
    $self->{base} = { %{ $self->{record}{top} } };

    my $row = { name => $self->{title}, events => scalar @events,
        seconds => time - $begun, count => $self->{record}{count} };

    $self->_settle;
    $row->{books} = Soak::Books->new($self->{world});
    push @{ $self->{rows} }, $row;
    $self->_line($row);

    if ($self->{failed}) {
        Test::More::diag("violation: $_")
            for splice @{ $self->{record}{violations} };
    }

    return $row;
}

sub _ok {
    my ($self, $ok, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return $self->SUPER::_ok($ok, $self->{title}
        ? "$self->{title}: $name" : $name);
}

# One turn of everything; where turns are long, on a machine that does a lot
# besides, less is published, so that the clients can follow.

sub _turn {
    my ($self) = @_;

    if (my $p = $self->{publishing}) {
        my $due = int($self->{rate} * (time - $p->[0])) - $p->[1];
        $p->[1] += $due;
        $self->_publish for 1 .. ($due > 5 ? 5 : $due);
    }

    return $self->SUPER::_turn;
}

# Looks no more often than ten times a second.

sub _until_now_and_then {
    my ($self, $seconds, $condition) = @_;
    my $last = 0;

    return $self->_until($seconds, sub {
        return 0 if time - $last < 0.1;
        $last = time;
        return $condition->();
    });
}

# -- events --------------------------------------------------------------

sub _event {
    my ($self, $kind) = @_;
    my $do = "_event_$kind";
    my $state;

    my @fresh = $self->$do;
    $self->{record}->deed(join ' ', $kind, @fresh);

    my $mended = $self->_until_now_and_then(60, sub {
        $state = $self->{half} && $kind eq 'reload' ? ''
            : $self->{world}->whole;
        return 0 if $state;
        ($state = $self->_absent) && return 0;
        return 1;
    });

    $self->{record}->wrong("$kind: after a minute: $state") if !$mended;

    return;
}

sub _host {
    my ($self) = @_;
    my @hosts = $self->{world}->hosts;
    return $hosts[rand @hosts];
}

sub _event_kill {
    my ($self) = @_;
    my $host = $self->_host;
    my @old  = $host->workers;
    my $pid  = $old[rand @old];

    kill 'KILL', $pid;
    $self->_welcomed($host, @old);

    return "$host->{name} $pid";
}

# Until a worker that was not there before has welcomed somebody.

sub _welcomed {
    my ($self, $host, @old) = @_;
    my %old = map { $_ => 1 } @old;

    my $there = $self->_until(30, sub {
        my $ws = eval { $host->ws('/ws') } or return 0;
        my $m  = eval { $ws->recv_json };
        $ws->drop;
        return $m && $m->{msg} && !$old{ $m->{msg} };
    });

    $self->{record}->wrong("$host->{name}: no new worker welcomes anybody")
        if !$there;

    return;
}

# Every second reload comes while the workers of the one before are draining.

sub _event_reload {
    my ($self) = @_;
    my $host = $self->_host;
    my @old  = $host->workers;

    $self->{half} = !$self->{half};
    $host->signal('HUP');
    $self->_welcomed($host, @old);

    return $host->{name};
}

sub _event_restart {
    my ($self) = @_;
    my $end = time + 0.1 + rand 1;

    $self->{how} = !$self->{how};
    $self->{world}->restart({ how => $self->{how} });
    $self->_until(10, sub { time > $end });
    $self->{world}->started;

    return $self->{how} ? 'TERM' : 'KILL';
}

# -- what is left --------------------------------------------------------

sub _settle {
    my ($self) = @_;
    my $world = $self->{world};
    my ($host) = $world->hosts;
    my $left;

    $self->{net}->drop($_->{ws})
        for grep { $_->{ws} } @{ $self->{readers} }, @{ $self->{voices} };

    $self->_ok(Wscast::wait_until(sub {
        $left = join ' ', map { my $h = $_; map { $self->_list($h, $_) }
            @CHANNELS } $world->hosts;
        return $left eq '';
    }, 60), 'nobody is a member when all have gone')
        || Test::More::diag($left);

    for my $channel (@CHANNELS) {
        $self->_ok($host->http('DELETE', "/api/channels/$channel/history")
            ->{status} == 200, "the history of $channel is forgotten");
    }

    $self->_ok(Wscast::wait_until(sub {
        my $now = eval { Soak::Books->new($world) } or return 0;
        $left = $now->wrong($self->{start});
        return $left eq '';
    }, 40), 'descriptors, zone, gauges and Redis are as at the start')
        || Test::More::diag($left);

    return;
}

# A round holds no more memory than the first of its kind.

sub _compare {
    my ($self, $row, $first) = @_;

    return if Wscast::asan();

    for my $name (sort keys %{ $row->{books}{memory} }) {
        my ($now, $then) = map { $_->{books}{memory}{$name} } $row, $first;
        my $slack = $name =~ /master/ ? SLACK_MASTER
            : SLACK_WORKER * $self->{world}{hosts}[0]{workers};

        $self->_ok($now <= $then + $slack, "$name holds no more memory")
            || Test::More::diag("$now KB, after the first round $then KB");
    }

    return;
}

# -- figures -------------------------------------------------------------

my $FORMAT = '%-8s %-11s %6s %5s  %8s %8s %9s %5s  %7s %7s %4s %7s';

sub _line {
    my ($self, $row) = @_;
    my $sums = $row->{books}->sums;

    Test::More::note(sprintf $FORMAT, $self->{mode}, $row->{name},
        $row->{events}, int $row->{seconds},
        (map { $row->{count}{$_} // 0 }
            qw(published acknowledged received violations)),
        @$sums{qw(master workers descriptors zone)});

    return;
}

sub _table {
    my ($self) = @_;

    Test::More::note(sprintf $FORMAT, 'mode', 'round', 'events', 's',
        'publish', 'acked', 'received', 'wrong', 'master', 'workers', 'fds',
        'zone');
    Test::More::note(sprintf $FORMAT, '', '', '', '', '', '', '', '', 'KB',
        'KB', '', 'bytes');
    $self->_line($_) for @{ $self->{rows} };

    return;
}

1;
