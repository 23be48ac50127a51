package Bench::Fanout;

# What a delivery costs: fan-out of one channel, deflate, many channels, and
# how late the last one of a burst is.

use strict;
use warnings;

use List::Util qw(shuffle);

use Bench qw(median rounds seconds long_rounds long_seconds digits ratio
    wrong);
use Bench::Load;
use Bench::Server;

# Takes the candidates in turn, round after round, all of them connected: what
# else happens on the machine comes and goes within a second, and happens to
# all of them if a turn is short.  The order is a new one in each round, because
# it matters who was there before.  Returns a list of answers for each.

sub turns {
    my ($loads, $command, $rounds) = @_;
    my @answers = map { [] } @$loads;

    for (1 .. $rounds // rounds()) {
        for my $i (shuffle(0 .. $#$loads)) {
            push @{ $answers[$i] }, $loads->[$i]->ask($command);
        }
    }

    return @answers;
}

# The median of a figure, and of its ratio to another's of the same round, as
# far as both took part in that.

sub figure {
    my ($answers, $key) = @_;
    return median(map { $_->{$key} } grep { $_ } @$answers);
}

sub against {
    my ($answers, $others, $key) = @_;
    return median(map { $answers->[$_]{$key} / ($others->[$_]{$key} || 1) }
        grep { $answers->[$_] && $others->[$_] } 0 .. $#$answers);
}

sub load_of {
    my ($server, $clients) = @_;
    return Bench::Load->new($server, clients => $clients, publishers => 1,
        spin => 'yes', say => $server->{say} // '');
}

# -- one channel ---------------------------------------------------------

my %clients = (
    100    => sub { few() },
    1000   => sub { few(), many() },
    10_000 => sub { few() },
);

sub few {
    return (
        Bench::Server::floor('send'),
        Bench::Server::floor('coalesce'),
        Bench::Server::nchan('nchan'),
        Bench::Server::ours('text'),
        Bench::Server::ours('json', dialect => 'json'),
    );
}

# Each has a Redis of its own: else one would hear what the other publishes.

sub many {
    return (
        Bench::Server::ws('ws'),
        Bench::Server::ours('2 workers', workers => 2),
        Bench::Server::ours('Redis', redis => Bench::Server::redis()),
        Bench::Server::ours('Redis, 2 workers',
            redis => Bench::Server::redis(), workers => 2),
    );
}

# Who takes part: a floor in what it is the floor of, the others in everything,
# but in what is for a few.

my @tables = (
    { title => 'One message at a time', command => 'run %u 1',
        floor => 'floor (send)', sizes => [64, 512, 4096] },
    { title => '16 messages in flight', command => 'run %u 16',
        floor => 'floor (coalesce)', sizes => [64, 512, 4096],
        slow => { nchan => 1, ws => 1 } },
    { title => 'One after the other', command => 'flow %u',
        floor => 'floor (send)', sizes => [512],
        few => { text => 1, json => 1, nchan => 1 } },
);

sub takes_part {
    my ($name, $table) = @_;
    return $name eq $table->{floor} if $name =~ /^floor/;
    return !$table->{few} || $table->{few}{$name};
}

# A message to 10,000 takes longer than a turn should, and 16 of them two
# seconds of some peers: whose ratio is so large that it need not be exact.

sub rounds_of { my ($n) = @_; return rounds() / ($n > 1000 ? 2 : 1) }

sub sits_out {
    my ($name, $table, $round) = @_;
    return $table->{slow} && $table->{slow}{$name} && $round % 4;
}

sub fanout {
    my %rows;

    for my $n (grep { !$ENV{CLIENTS} || $_ == $ENV{CLIENTS} }
        sort { $a <=> $b } keys %clients)
    {
        my %load = map { $_->{name} => load_of($_, $n) } $clients{$n}->();
        my $answers = one_channel($n, \%load);

        for my $table (@tables) {
            for my $size (@{ $table->{sizes} }) {
                my $row = row($n, $size, $table, $answers);
                push @{ $rows{ $table->{title} } }, $row;
                progress("$n x $size, $table->{title}", $row);
            }
        }
    }

    return map { {
        title => $_->{title}, rows => $rows{ $_->{title} },
        columns => [qw(subscribers bytes floor text json nchan),
            'text ÷ nchan', 'floor ÷ nchan', $_->{few} ? ()
                : ('ws', '2 workers', 'Redis', 'Redis, 2 workers')],
    } } @tables;
}

# The answers by table, bytes and name.

sub one_channel {
    my ($n, $load) = @_;
    my %answers;

    # who has just connected acknowledges each of 16 packets
    $_->ask('run 64 1 ' . 20 * 1e-5 * $n) for values %$load;

    for my $table (@tables) {
        my @names = grep { takes_part($_, $table) } sort keys %$load;

        for my $size (@{ $table->{sizes} }) {
            my $command = sprintf "$table->{command} %s", $size, seconds();

            for my $round (0 .. rounds_of($n) - 1) {
                for my $name (shuffle(@names)) {
                    next if sits_out($name, $table, $round);
                    $answers{ $table->{title} }{$size}{$name}[$round]
                        = $load->{$name}->ask($command);
                }
            }
        }
    }

    return \%answers;
}

sub row {
    my ($n, $size, $table, $answers) = @_;
    my %of = %{ $answers->{ $table->{title} }{$size} };
    my $floor = delete $of{ $table->{floor} };

    return {
        subscribers => $n, bytes => $size,
        floor => digits(figure($floor, 'cpu')) . ' µs',
        'text ÷ nchan' => ratio(against($of{text}, $of{nchan}, 'cpu')),
        'floor ÷ nchan' => ratio(against($floor, $of{nchan}, 'cpu')),
        map { $_ => ratio(against($of{$_}, $floor, 'cpu')) } keys %of,
    };
}

# Sampled by ticks: the sum of the rounds is all that it allows.

sub figure_user {
    my ($answers) = @_;
    my ($user, $count) = (0, 0);

    for (@$answers) {
        $user  += $_->{user} * $_->{delivered};
        $count += $_->{delivered};
    }

    return $count ? $user / $count : 0;
}

sub progress {
    my ($what, $row) = @_;
    print "  $what: ", join(', ', map { "$_ $row->{$_}" }
        grep { !/^(?:subscribers|bytes)$/ } sort keys %$row), "\n";
    return;
}

# -- whose time it is ----------------------------------------------------

# The kernel samples what is user time at every tick: so this takes longer.

sub user {
    my @servers = (
        Bench::Server::floor('send'),
        Bench::Server::ours('text'),
        Bench::Server::ours('json', dialect => 'json'),
        Bench::Server::nchan('nchan'),
    );
    my @loads = map { load_of($_, 1000) } @servers;
    my @answers = turns(\@loads, 'run 512 1 0.5', 9);
    my @rows;

    for my $i (0 .. $#servers) {
        my $user = figure_user($answers[$i]);

        push @rows, {
            server => $servers[$i]{name}, user => sprintf('%.2f µs', $user),
            system => digits(figure($answers[$i], 'cpu') - $user) . ' µs',
        };
    }

    return {
        title => 'A delivery of 512 bytes to one of 1,000, one message at a '
            . 'time',
        columns => [qw(server user system)], rows => \@rows,
    };
}

# -- a burst -------------------------------------------------------------

sub burst {
    my @servers = (
        Bench::Server::floor('send'),
        Bench::Server::ours('text'),
        Bench::Server::ours('json', dialect => 'json'),
        Bench::Server::nchan('nchan'),
        Bench::Server::ws('ws'),
    );
    my @loads = map { load_of($_, 20) } @servers;
    my @answers = turns(\@loads, 'burst 512 16 8', 11);
    my @rows;

    for my $i (0 .. $#servers) {
        push @rows, { server => $servers[$i]{name}, map {
            $_ => sprintf '%.2f ms', figure($answers[$i], $_) / 1000
        } qw(p50 p99 max) };
    }

    return {
        title => '16 messages at once to 20 subscribers: when they arrive',
        columns => [qw(server p50 p99 max)], rows => \@rows,
    };
}

# -- permessage-deflate --------------------------------------------------

sub deflate {
    my $server = Bench::Server::ours('deflate', dialect => 'json',
        locations => <<'CONF');
        location = /deflate {
            wscast         bench;
            wscast_channel bench;
            wscast_deflate on;
        }
CONF
    $server->{deflated} = $server->{sub} =~ s{/sub$}{/deflate}r;

    my @rows;

    # one after the other: both would hear the same channel

    for my $on (0, 1) {
        my $load = Bench::Load->new($server, clients => 1000,
            publishers => 1, say => $server->{say},
            $on ? (to => 'deflated', deflate => 'yes') : ());
        my %row = (deflate => $on ? 'on' : 'off');

        $on == $load->{open}{agreed} or wrong('deflate is not agreed upon');

        for my $window (1, 16) {
            my ($answers) = turns([$load],
                "run 1024 $window " . long_seconds(), long_rounds());
            $row{bytes} = digits(figure($answers, 'bytes'));
            $row{ $window == 1 ? 'one at a time' : '16 in flight' } =
                digits(figure($answers, 'cpu')) . ' µs';
        }

        push @rows, \%row;
    }

    return {
        title => '1 KB of JSON to 1,000 subscribers',
        columns => ['deflate', 'bytes', 'one at a time', '16 in flight'],
        rows => \@rows,
    };
}

# -- many channels -------------------------------------------------------

sub talk {
    my ($kind) = @_;

    return (
        join => qq({"type":"subscribe","channel":"$kind-%c"}),
        say  => qq({"type":"publish","channel":"$kind-%c","data":"%s"}),
        ack  => '"subscribed"',
    );
}

sub channels_server {
    my $server = Bench::Server::ours('json', dialect => 'json',
        locations => <<'CONF');
        location = /many {
            wscast       bench;
            wscast_allow all "*";
        }
CONF
    $server->{$_} = $server->{sub} =~ s{/sub$}{/many}r for qw(many pub);
    return $server;
}

sub channels {
    my @rows;

    # as many deliveries under way as with the one channel

    for my $case (
        ['10,000 channels of 10, each client in 10', 10_000, 10],
        ['9,984 channels of 10, each client in 128', 780, 128])
    {
        my ($name, $clients, $streams) = @$case;
        my @loads = map { Bench::Load->new(channels_server(), to => 'many',
            publishers => 1, clients => $clients, %$_) }
            { talk('one'), fan => $clients, streams => 1 },
            { talk('many'), fan => 10, streams => $streams };
        my @commands = map { sprintf 'run 512 %d %s', $_, long_seconds() }
            1, $clients / 10;
        my (@one, @each);

        $loads[$_]->ask($commands[$_] =~ s/\S+$/2/r) for 0, 1;

        for (1 .. long_rounds()) {
            push @one,  $loads[0]->ask($commands[0]);
            push @each, $loads[1]->ask($commands[1]);
        }

        push @rows, {
            channels => $name,
            'one channel' => digits(figure(\@one, 'cpu')) . ' µs',
            'many' => digits(figure(\@each, 'cpu')) . ' µs',
            ratio => ratio(against(\@each, \@one, 'cpu')),
        };
    }

    return {
        title => 'Many channels: a delivery, against one channel of as many '
            . 'clients',
        columns => ['channels', 'one channel', 'many', 'ratio'],
        rows => \@rows,
    };
}

1;
