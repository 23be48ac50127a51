package Chaos;

# A checker of the whole: clients, publishers and servers under a schedule of
# everything that can go wrong, and at the end a look at what everybody has.
#
#   Chaos::run(mode => 'redis', seed => 7, seconds => 120);
#
# mode is "redis" or "embedded".  rate is that of all publishes in a second;
# clients, their number; pause, the mean time between two events; all, 1 if the
# schedule of this seed must have everything in it.
#
# What it holds against the servers:
#
#   - on a channel with history nobody finds a gap, a repeat or another order
#     than anybody else, and nothing that was acknowledged is missing.  Who is
#     told recovered:false is excused only if it resumed while Redis, or the
#     way there, was away on its host, by the schedule or by what somebody else
#     on that way says (Chaos::Pulse), or within 3 seconds after that, or if
#     that began before it had all that it had missed: Redis writes everything
#     down before it answers (appendfsync no: the system outlives it, and
#     nobody waits for a disk) and history is longer than any pause, so that
#     nothing else loses anything;
#   - on a channel without history there is one order that all agree with, no
#     connection gets anything twice, and none misses anything unless the gap
#     counter of its host has moved then;
#   - what a publisher said once is in its order, every publish and every
#     subscribe is answered, and what was published again with its key is there
#     once;
#   - in the end every host names the same members, and they are the clients;
#     and joins and leaves, from the last question on, have told all of them
#     the same;
#   - gauges, descriptors and connections to Redis are what they were before,
#     and nobody works without work.

use strict;
use warnings;

use JSON::PP ();
use Test::More ();
use Time::HiRes qw(sleep time);
use Wscast;
use Chaos::Net;
use Chaos::Order;
use Chaos::Reader;
use Chaos::Record;
use Chaos::Schedule;
use Chaos::Voice;
use Chaos::World;

my @HISTORY = ('room:1', 'room:2');
my @PLAIN   = ('plain:1', 'plain:2');

sub run {
    my (%option) = @_;
    my $self = bless { rate => Wscast::asan() ? 50 : 150, clients => 24,
        pause => Wscast::asan() ? 1.6 : 0.8, %option }, 'Chaos';
    my $redis = $self->{mode} eq 'redis' ? 1 : 0;

    $self->{schedule} = Chaos::Schedule->new(seed => $self->{seed},
        seconds => $self->{seconds}, pause => $self->{pause},
        redis => $redis, hosts => 1 + $redis);
    Test::More::note("$self->{mode}, seed $self->{seed}, "
        . "$self->{seconds} seconds, "
        . scalar($self->{schedule}->events) . ' events');

    my @never = $self->{schedule}->never;
    $self->_ok(!@never, 'everything happens that can happen')
        || Test::More::diag("@never") if $self->{all};

    $self->{world} = Chaos::World->new(mode => $self->{mode});
    $self->_prepare;
    $self->_rage;
    $self->_calm;
    $self->_judge;
    $self->_leave;
    $self->{world}->stop;
    $self->_tell;

    return;
}

sub _ok {
    my ($self, $ok, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 2;
    $self->{failed}++ if !$ok;
    return Test::More::ok($ok, "$self->{mode}: $name");
}

# -- the crowd -----------------------------------------------------------

sub _prepare {
    my ($self) = @_;
    my $world = $self->{world};
    my $state;

    $self->_ok(Wscast::wait_until(sub { !($state = $world->whole) }, 20),
        'the servers are up') || Test::More::diag($state);
    $self->{descriptors} = $world->descriptors;
    $self->_people;

    return;
}

sub _people {
    my ($self) = @_;
    my $world  = $self->{world};
    my $record = $self->{record} = $world->{record} = Chaos::Record->new(
        redis => $self->{mode} eq 'redis');
    my $net    = $self->{net} = Chaos::Net->new(
        odd   => sub { $record->wrong($_[0]) },
        stood => sub {
            $record->count('times that the checker stood still');
            $record->deed(sprintf 'the checker stood still for %.1f s', @_);
            $_->stood(@_) for map { @{ $self->{$_} } }
                qw(readers voices pulses);
        });
    my @hosts  = $world->hosts;
    $self->{pulses} = [$world->pulses($record)];
    my @common = (record => $record, net => $net);

    $self->{readers} = [map {
        Chaos::Reader->new(@common, name => "client $_",
            host    => $hosts[$_ % @hosts],
            channel => $HISTORY[$_ / 2 % 2],
            plain   => $PLAIN[$_ / 4 % 2],
            user    => $_ % 3 ? "u$_" : '',
            rcvbuf  => $_ % 2 ? 0 : $self->{rcvbuf} // 4096)
    } 1 .. $self->{clients}];

    $self->{voices} = [
        (map { Chaos::Voice->new(@common, name => "voice $_",
            host => $hosts[$_ % @hosts]) } 1 .. 6),
        (map { Chaos::Poster->new(@common, name => "poster $_",
            host => $hosts[$_ % @hosts]) } 1 .. 2),
    ];

    $self->_ok($self->_until(20, sub { !$self->_absent }),
        'all clients are there') || Test::More::diag($self->_absent);
    $record->{begun} = time;

    return;
}

sub _absent {
    my ($self) = @_;
    return join ', ', map { $_->{name} }
        grep { !$_->{subscribed} || !$_->{segment} } @{ $self->{readers} };
}

# One turn of everything.

sub _turn {
    my ($self) = @_;

    $_->step for map { @{ $self->{$_} } } qw(readers voices pulses);
    $self->{net}->turn(0.02);

    my $now = time;

    if ($now - ($self->{watched} // 0) > 0.3) {
        $self->{watched} = $now;
        $self->{world}->watch($self->{record});
    }

    return;
}

sub _until {
    my ($self, $seconds, $condition) = @_;
    my $end = time + Wscast::scale($seconds);

    while (time < $end) {
        $self->_turn;
        return 1 if $condition->();
    }

    return 0;
}

# Every fourth message has no key; those to channels with and without history
# are equally many.

sub _publish {
    my ($self, $channel) = @_;
    my $n     = ++$self->{number};
    my @all   = (@HISTORY, @PLAIN);
    my $key   = $channel || $n % 4 ? 1 : 0;
    my $voice = $self->{voices}[rand @{ $self->{voices} }];

    $self->{record}->count('published')
        if $voice->publish($n, $channel // $all[rand @all], $key);

    return $n;
}

# -- events --------------------------------------------------------------

sub _rage {
    my ($self) = @_;
    my $begun  = time;
    my @events = $self->{schedule}->events;
    my $sent   = 0;

    while ((my $now = time - $begun) < $self->{seconds}) {
        $self->_do(shift @events) while @events && $events[0]{at} <= $now;

        # no more at once than a publisher would after a pause of ours
        my $due = int($self->{rate} * $now) - $sent;
        $sent += $due;
        $self->_publish for 1 .. ($due > 50 ? 50 : $due);
        $self->_turn;
    }

    $self->_do($_) for @events;

    return;
}

sub _do {
    my ($self, $event) = @_;
    my $record = $self->{record};
    my $crowd  = $self->can("_crowd_$event->{kind}");
    my $kind   = $event->{kind};
    my $done   = $crowd ? $self->$crowd($event)
                        : $self->{world}->$kind($event);

    $record->deed(Chaos::Schedule::line($event)
        . ($done ? $done eq '1' ? '' : " ($done)" : ' (not done)'));
    $record->count("event $kind") if $done;

    return;
}

sub _chosen {
    my ($self, $event) = @_;
    my $readers = $self->{readers};
    return map { $readers->[($event->{which} + 7 * $_) % @$readers] }
        1 .. $event->{count};
}

sub _crowd_drop {
    my ($self, $event) = @_;
    return scalar grep { $_->cut($event->{how}, rand 0.3) }
        $self->_chosen($event);
}

sub _crowd_away {
    my ($self, $event) = @_;
    return scalar grep { $_->cut('drop', $event->{lasts}) }
        $self->_chosen($event);
}

sub _crowd_flee {
    my ($self, $event) = @_;
    my $host = ($self->{world}->hosts)[$event->{host}];
    return scalar grep { $_->{host} == $host && $_->cut('drop', rand 0.5) }
        @{ $self->{readers} };
}

sub _crowd_leave {
    my ($self, $event) = @_;
    return scalar grep { $_->leave($event->{lasts}) } $self->_chosen($event);
}

sub _crowd_pause {
    my ($self, $event) = @_;
    my @chosen = grep { $_->{ws} } $self->_chosen($event);
    $_->{ws}{paused} = time + $event->{lasts} for @chosen;
    return scalar @chosen;
}

# -- afterwards ----------------------------------------------------------

sub _calm {
    my ($self) = @_;
    my $state;

    $self->{world}->mend;
    $self->{record}->deed('calm');

    $self->_ok($self->_until(60, sub {
        !grep { !$_->idle } @{ $self->{voices} };
    }), 'every publish is answered')
        || Test::More::diag(join "\n", map { $_->waits } @{ $self->{voices} });
    $self->_ok($self->_until(60, sub {
        ($self->{asked_whole} // 0) < time - 0.2
            && ($self->{asked_whole} = time)
            && !($state = $self->{world}->whole);
    }), 'the servers are whole again') || Test::More::diag($state);
    $self->_ok($self->_until(20, sub { !$self->_absent }),
        'all clients are back') || Test::More::diag($self->_absent);

    # one more for everybody, after which nothing comes; and another one for who
    # has only now read that it was too slow, and has connected again
    my (%last, $left);

    $self->_ok($self->_until(30, sub {
        if (!%last || grep { $self->_is_new($_, \%last) }
            @{ $self->{readers} })
        {
            $self->{record}->count('last messages');
            %last = map { $_ => $self->_publish($_) } @HISTORY, @PLAIN;
        }

        $left = join "\n", map { $self->_lacks($_, \%last) }
            @{ $self->{readers} };
        return $left eq '';
    }), 'all have the last messages') || Test::More::diag($left);

    return;
}

sub _is_new {
    my ($self, $reader, $last) = @_;
    my $sent = $self->{record}{sent}{ $last->{ $reader->{plain} } };

    return $reader->{segment} && $sent
        && $reader->{segment}{since} >= $sent->[0];
}

sub _lacks {
    my ($self, $reader, $last) = @_;
    my ($kept, $plain) = @$last{ @$reader{qw(channel plain)} };
    my $place   = $self->{record}{place}{ $reader->{channel} }{$kept};
    my $segment = $reader->{segment};

    return if defined $place && ($reader->{offset} // 0) >= $place
        && $segment && ($segment->{got}[-1] // 0) == $plain;

    return join "\n    ", "$reader->{name} at "
        . ($reader->{offset} // 'no offset') . ', ' . ($place // 'unknown')
        . " of $reader->{channel} is the last, and at "
        . ($segment ? $segment->{got}[-1] // 'none' : 'nothing')
        . ", $plain of $reader->{plain} is; it saw",
        @{ $reader->{seen} };
}

sub _judge {
    my ($self) = @_;
    my $record = $self->{record};

    $record->history_holds($self->{readers});
    Chaos::Order::examine($record);

    for my $host ($self->{world}->hosts) {
        $self->_members($host, $_) for @HISTORY;
        $self->_history($host, $_) for @HISTORY;
    }

    my $wrong = $record->{count}{violations} // 0;
    $self->_ok(!$wrong, 'nothing is lost, repeated, or out of order')
        || Test::More::diag("$wrong violations");
    $self->_ok(($record->{count}{acknowledged} // 0)
        > ($self->{enough} // $self->{rate} * $self->{seconds} / 4),
        '... of many messages');

    return;
}

# A question of a client that is on no channel.

sub _ask {
    my ($self, $host, $m) = @_;
    my $ws = $host->ws('/ws');
    $ws->recv;
    my $answer = $ws->ask($m);
    $ws->drop;
    return $answer;
}

sub _list {
    my ($self, $host, $channel) = @_;
    my ($after, @members);

    do {
        my $m = $self->_ask($host, { type => 'presence', limit => 10,
            channel => $channel, defined $after ? (after => $after) : () });
        push @members, map { $_->{client} } @{ $m->{members} // [] };
        $after = $m->{next};
    } while (defined $after);

    return sort @members;
}

sub _members {
    my ($self, $host, $channel) = @_;
    my ($wrong, $asked) = ('', 0);

    $self->_ok($self->_until(20, sub {
        return 0 if time - $asked < 0.3;
        $asked = time;
        $wrong = $self->_strangers($channel, $self->_list($host, $channel));
        return $wrong eq '';
    }), "the members of $channel are the clients on $host->{name}")
        || Test::More::diag($wrong);

    my @members = sort $self->_list($host, $channel);

    $self->_ok($self->_until(10, sub {
        $wrong = join "\n", map {
            my $r    = $_;
            my $want = join ' ', grep { !$r->{ids}{$_} } @members;
            my $have = $r->view;
            $have eq $want ? () : "$r->{name} sees $have\ninstead of $want";
        } grep { $_->{channel} eq $channel && $_->{host} == $host }
            @{ $self->{readers} };
        return $wrong eq '';
    }), '... and what they were told makes the same')
        || Test::More::diag($wrong);

    return;
}

# Who is a member and no client, or a client and no member.

sub _strangers {
    my ($self, $channel, @members) = @_;
    my @there = grep { $_->{channel} eq $channel } @{ $self->{readers} };
    my (%who, @wrong);

    for my $r (@there) {
        $who{$_} = $r for $r->{unsure} ? keys %{ $r->{ids} } : $r->{member};
    }

    for my $id (@members) {
        my $r = $who{$id};
        push @wrong, "$id is nobody" if !$r;
        push @wrong, "$id is $r->{name} again" if $r && $r->{found}++;
    }

    push @wrong, map { "$_->{name} ($_->{member}) is missing" }
        grep { !$_->{found} } @there;
    delete $_->{found} for @there;

    return join ', ', @wrong;
}

# What a host has kept is what the clients have got.

sub _history {
    my ($self, $host, $channel) = @_;
    my $record = $self->{record};
    my $top    = $record->{top}{$channel};
    my $base   = $record->{base}{$channel} // 0;
    my ($before, $expected, $wrong) = ($top + 1, $top, '');

    while ($before > $base + 1 && !$wrong && $top - $before < 15000) {
        my $m = $self->_ask($host, { type => 'history', limit => 1000,
            channel => $channel, before => $before });
        my @messages = reverse @{ $m->{messages} // [] };

        $wrong = "nothing before $before" if !@messages;

        for my $message (@messages) {
            $wrong ||= "at $expected $message->{offset}, "
                . "$message->{data}{n}"
                if $message->{offset} != $expected
                    || $message->{data}{n}
                        != ($record->{table}{$channel}{$expected} // -1);
            $expected--;
        }

        $before = $expected + 1;
    }

    $self->_ok($wrong eq '', "$host->{name} keeps what was heard on $channel")
        || Test::More::diag($wrong);

    return;
}

sub _leave {
    my ($self) = @_;
    my $world = $self->{world};
    my $left;

    $self->{net}->drop($_->{ws})
        for grep { $_->{ws} } @{ $self->{readers} }, @{ $self->{voices} };

    $self->_ok(Wscast::wait_until(sub {
        $left = join ' ', map {
            my $hub = $_->hub;
            map { "$_=$hub->{$_}" } grep { $hub->{$_} }
                qw(connections subscriptions channels queued_bytes);
        } $world->hosts;
        return $left eq '';
    }, 15), 'when all have gone the gauges are 0') || Test::More::diag($left);

    for my $host ($world->hosts) {
        for my $channel (@HISTORY) {
            $self->_ok(Wscast::wait_until(
                sub { !$self->_list($host, $channel) }, 15),
                "nobody is a member of $channel on $host->{name}");
        }
    }

    my $now;
    $self->_ok(Wscast::wait_until(sub {
        return ($now = $world->descriptors) == $self->{descriptors};
    }, 10), 'the workers have as many descriptors as before')
        || Test::More::diag("$now, before $self->{descriptors}");

    my $state;
    $self->_ok(Wscast::wait_until(sub { !($state = $world->whole) }, 10),
        'and as many connections to Redis') || Test::More::diag($state);

    my $used = $world->used;
    sleep 2;
    $used = $world->used - $used;
    $self->_ok($used < 0.3, 'nobody works without work')
        || Test::More::diag("$used seconds of 2");

    return;
}

sub _tell {
    my ($self) = @_;
    my $record = $self->{record};
    my $count  = $record->{count};
    my $sums   = join '; ', map { "$_ $count->{$_}" } sort keys %$count;

    if (!$self->{failed}) {
        Test::More::note("$self->{mode}, seed $self->{seed}: $sums");
        return;
    }

    Test::More::diag("$self->{mode}: make chaos MODE=$self->{mode} "
        . "SEED=$self->{seed} MINUTES=" . $self->{seconds} / 60
        . " PAUSE=$self->{pause}");
    Test::More::diag("$sums\nthe schedule:\n" . $self->{schedule}->text);
    Test::More::diag("what was done:\n" . join "\n", @{ $record->{deeds} });
    Test::More::diag("violation: $_") for @{ $record->{violations} };

    return;
}

1;
