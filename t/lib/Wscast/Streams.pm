package Wscast::Streams;

# Listeners that hear many channels at once, and voices that publish numbered
# messages to all of these in turn, while the servers behind them come and go.
#
#   my $streams = Wscast::Streams->new(hosts => \@hosts,
#       kept => [map { "kept:$_" } 1 .. 20], plain => [...]);
#   $streams->begin;
#   $streams->talk(rate => 300);
#   $streams->run(5, sub { ... });       # the code is called again and again
#   $streams->pause;  $streams->go_on;   # all that was said is answered
#   $streams->finish;
#   $streams->whole('after a failover');
#
# Options of new(): kept, plain, channels with and without history; listeners,
# of each host (2); path ("/ws").  Of talk(): rate, messages in a second over
# all; voices (2); keys, 1: each message has a key and is published until it is
# taken; hosts, other ones.
#
# A listener has: host, ws, ends (connections that it has lost), codes (of
# these), and in "on", by channel: epoch, offset, got (numbers), wrong (messages
# out of place), told (times it heard of a loss).

use strict;
use warnings;

use parent 'Wscast::Crowd';

use JSON::PP ();
use Test::More ();
use Time::HiRes qw(time);
use Wscast::WebSocket;

# Numbers from here on only show that a channel is alive.
my $MARK = 1_000_000_000;

my $JSON = JSON::PP->new->utf8->allow_nonref;

sub new {
    my ($class, %option) = @_;
    my $self = bless {
        path => '/ws', listeners => 2, kept => [], plain => [], %option,
        voices => [], mark => $MARK, n => 0,
    }, $class;

    $self->{channels} = [@{ $self->{kept} }, @{ $self->{plain} }];
    $self->{keeps}    = { map { $_ => 1 } @{ $self->{kept} } };
    $self->{crowd}    = [map {
        my $host = $_;
        map { { host => $host, n => $_, on => {}, ends => 0, codes => {} } }
            1 .. $self->{listeners};
    } @{ $self->{hosts} }];
    $self->_forget;

    return $self;
}

sub listeners { return $_[0]->crowd }

# What was published and heard up to now does not count any more.

sub _forget {
    my ($self) = @_;

    $self->{taken}   = {};      # channel, number: position
    $self->{refused} = {};      # channel: how many
    $self->{unsure}  = 0;
    $self->{reasons} = {};

    for my $c ($self->listeners) {
        @$_{qw(got wrong told)} = ([], 0, 0) for values %{ $c->{on} };
        $c->{gaps} = $c->{host}->hub->{gaps_total};
        $c->{ends} = 0;
        $c->{codes} = {};
    }

    return;
}

# -- listening -----------------------------------------------------------

sub enter {
    my ($self, $c) = @_;
    my $ws = $self->_client($c);

    for my $channel (@{ $self->{channels} }) {
        my $on = $c->{on}{$channel} //= { got => [], wrong => 0, told => 0 };
        my $m  = { type => 'subscribe', id => 1, channel => $channel };

        $on->{subscribed} = 0;
        @{ $m->{since} }{qw(epoch offset)} = ($on->{epoch}, 0 + $on->{offset})
            if $on->{epoch};
        $ws->queue(Wscast::WebSocket::frame_bytes(1, $JSON->encode($m)));
    }

    return;
}

sub begin {
    my ($self, $seconds) = @_;

    $self->enter($_) for $self->listeners;

    my $met = $self->listen(sub {
        !grep { !$_->{subscribed} } map { values %{ $_->{on} } }
            $self->listeners
    }, $seconds);

    return Test::More::ok($met, $self->listeners . ' clients hear '
        . @{ $self->{channels} } . ' channels');
}

sub leave {
    my ($self) = @_;
    $_->{ws}->drop for grep { $_->{ws}{sock} } $self->listeners;
    $self->hush;
    return;
}

sub _parse {
    my ($self, $text) = @_;

    if ($text =~ /^\{"type":"message","channel":"([^"\\]+)","data":(\d+),
        (?:"epoch":"(\w+)","offset":(\d+),)?/x)
    {
        return { type => 'message', channel => $1, data => 0 + $2,
                 epoch => $3, offset => $4 };
    }

    return $JSON->decode($text);
}

sub _hear {
    my ($self, $c, $m) = @_;
    my $on = $c->{on}{ $m->{channel} // '' } or return;

    if ($m->{type} eq 'message') {
        if ($self->{keeps}{ $m->{channel} }) {
            my $next = !defined $on->{epoch} || defined $m->{epoch}
                && $m->{epoch} eq $on->{epoch}
                && $m->{offset} == $on->{offset} + 1;
            $on->{wrong}++ if !$on->{subscribed} || !$next;
            @$on{qw(epoch offset)} = @$m{qw(epoch offset)};
        }

        # what is no number was said by others
        if ($m->{data} =~ /\D/) {
            return;
        } elsif ($m->{data} >= $MARK) {
            $on->{mark} = $m->{data};
        } else {
            push @{ $on->{got} }, $m->{data};
        }

    } elsif ($m->{type} eq 'subscribed') {
        if ($self->{keeps}{ $m->{channel} } && !$m->{recovered}) {
            $on->{told}++ if $on->{epoch};
            @$on{qw(epoch offset)} = @$m{qw(epoch offset)};
        }
        $on->{subscribed} = 1;

    } elsif ($m->{type} eq 'error') {
        $self->{reasons}{ $m->{reason} }++;
    }

    return;
}

# -- publishing ----------------------------------------------------------

sub talk {
    my ($self, %option) = @_;
    my @hosts = @{ $option{hosts} // $self->{hosts} };

    $self->hush;
    $self->{talk}   = { voices => 2, rate => 200, %option };
    $self->{voices} = [map {
        { n => $_, host => $hosts[$_ % @hosts], waiting => {} }
    } 0 .. $self->{talk}{voices} - 1];
    $self->_voice($_) for @{ $self->{voices} };
    $self->_forget;
    $self->go_on;

    return;
}

sub _publish {
    my ($self, $voice, $n) = @_;
    my $name = $JSON->encode($voice->{waiting}{$n});
    my $key  = $self->{talk}{keys} ? qq(,"key":"k$n") : '';

    $voice->{ws}->queue(Wscast::WebSocket::frame_bytes(1,
        qq({"type":"publish","id":$n,"channel":$name,"data":$n$key})));

    return;
}

sub _answer {
    my ($self, $voice, $m) = @_;
    my $n = $m->{id} // return;

    if ($m->{type} eq 'published') {
        my $channel = delete $voice->{waiting}{$n};
        $self->{taken}{$channel}{$n}
            = ($m->{epoch} // '') . ' ' . ($m->{offset} // $n);

    } elsif ($m->{type} eq 'error') {
        $self->{reasons}{ $m->{reason} }++;
        $self->{refused}{ $voice->{waiting}{$n} }++;
        $voice->{again}{$n} = 1;
        $voice->{not_before} = time + 0.1;
    }

    return;
}

# What was refused is said again if it has a key, else never.

sub _repeat {
    my ($self, $voice) = @_;
    my $ended = $voice->{ws}{eof} || $voice->{ws}{close};

    return if time < ($voice->{not_before} // 0);
    return if !$ended && !%{ $voice->{again} // {} };

    if ($ended) {
        $self->_voice_again($voice) or return;
        $voice->{again} = { map { $_ => 1 } keys %{ $voice->{waiting} } };
    }

    for my $n (sort { $a <=> $b } keys %{ delete $voice->{again} }) {
        if ($self->{talk}{keys}) {
            $self->_publish($voice, $n);
        } else {
            delete $voice->{waiting}{$n};
            $self->{unsure}++;
        }
    }

    return;
}

sub _speak {
    my ($self) = @_;
    my $talk = $self->{talk} or return;
    my @channels = @{ $self->{channels} };
    my @voices   = @{ $self->{voices} };

    $self->_repeat($_) for @voices;
    return if !$talk->{begun} || !@voices;

    my $due = $talk->{rate} * (time - $talk->{begun});

    while ($talk->{sent} < $due) {
        $talk->{sent}++;
        my $n     = ++$self->{n};
        my $voice = $voices[int($n / @channels) % @voices];

        $voice->{waiting}{$n} = $channels[$n % @channels];
        $self->_publish($voice, $n) if !$voice->{ws}{eof};
    }

    return;
}

# Nothing more is said, and what was said is answered.

sub pause {
    my ($self, $seconds) = @_;
    delete $self->{talk}{begun};
    return $self->listen(sub {
        !grep { %{ $_->{waiting} } } @{ $self->{voices} }
    }, $seconds);
}

sub go_on {
    my ($self) = @_;
    @{ $self->{talk} }{qw(begun sent)} = (time, 0);
    return;
}

# Every channel is alive from a host to all listeners.

sub alive {
    my ($self, $host, $seconds) = @_;
    my $first = $self->{mark} + 1;
    my %taken;

    my $deaf = sub {
        my ($channel) = @_;
        return grep {
            my $on = $_->{on}{$channel};
            ($on->{mark} // 0) < $first;
        } $self->listeners;
    };

    my $met = $self->listen(sub {
        my @left = grep { $deaf->($_) } @{ $self->{channels} } or return 1;
        return 0 if time < ($self->{ask_after} // 0);

        $self->{ask_after} = time + 0.3;
        my $mark = ++$self->{mark};
        my $r = eval { $host->http('POST', '/api/publish', timeout => 5,
            body => $JSON->encode({ messages => [map {
                { channel => $_, data => $mark } } @left] })) };
        $self->{last_answer} = $r ? $r->{body} : $@;
        return 0;
    }, $seconds // 30);

    if (!$met) {
        my @left = grep { $deaf->($_) } @{ $self->{channels} };
        Test::More::diag('deaf: ', join ' ', map {
            my $channel = $_;
            map { "$channel on $_->{host}{name}" } $deaf->($channel) } @left);
        Test::More::diag("answered: $self->{last_answer}");
    }

    return $met;
}

# All that was said is answered, and has arrived.

sub finish {
    my ($self, $seconds) = @_;
    my $answered = $self->pause($seconds);
    my $met = 1;

    $met &&= $self->alive($_, $seconds) for @{ $self->{hosts} };
    $self->{talk}{over} = 1;

    return $answered && $met;
}

# -- the outcome ---------------------------------------------------------

sub taken {
    my ($self, @of) = @_;
    my $sum = 0;
    $sum += keys %{ $self->{taken}{$_} // {} }
        for @of ? @of : @{ $self->{channels} };
    return $sum;
}

sub refused {
    my ($self, @of) = @_;
    my $sum = 0;
    $sum += $self->{refused}{$_} // 0 for @of ? @of : @{ $self->{channels} };
    return $sum;
}

sub sum {
    my ($self, $what, @of) = @_;
    my $sum = 0;

    for my $c ($self->listeners) {
        $sum += $c->{on}{$_}{$what} for @of ? @of : @{ $self->{kept} };
    }

    return $sum;
}

sub ends {
    my ($self) = @_;
    my $sum = 0;
    $sum += $_->{ends} for $self->listeners;
    return $sum;
}

# What is wrong on one channel: a list of texts.  Who was told of a loss is
# excused for what he lacks, but not for what he has twice.  With lossy what
# nobody has heard does not count.

sub _channel {
    my ($self, $channel, $may_miss, $lossy) = @_;
    my $taken = $self->{taken}{$channel} // {};
    my (@bad, %orders, %at);

    if ($lossy) {
        my %heard = map { $_ => 1 } map { @{ $_->{on}{$channel}{got} } }
            $self->listeners;
        $taken = { map { $_ => $taken->{$_} } grep { $heard{$_} }
            keys %$taken };
    }

    $at{$_}++ && push @bad, "the position $_ was given twice"
        for values %$taken;

    for my $c ($self->listeners) {
        my $on = $c->{on}{$channel};
        my (%seen, %last);
        my $who = "a client of $c->{host}{name}";

        push @bad, "$who: $on->{wrong} out of place" if $on->{wrong};

        my @twice = grep { $seen{$_}++ } @{ $on->{got} };
        push @bad, "$who: twice: @twice" if @twice && !$on->{told};

        my @missing = sort { $a <=> $b } grep { !$seen{$_} } keys %$taken;
        push @bad, "$who: misses @missing" if @missing && !$on->{told}
            && !$may_miss->{ $c->{host}{name} }
            && ($self->{keeps}{$channel} || !$c->{ends});

        $orders{ join ' ', @{ $on->{got} } } = 1 if !$on->{told} && !@missing;
    }

    push @bad, 'there are ' . keys(%orders) . ' orders' if keys %orders > 1;

    return map { "$channel: " . substr $_, 0, 300 } @bad;
}

# With told => 1 Redis may have lost what it had not yet given to a replica;
# with twice => 1 what has no history may come twice, or in another order, where
# gaps are counted.

sub whole {
    my ($self, $name, %option) = @_;
    my (%may_miss, @bad);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    push @bad, $self->_channel($_, {}, $option{told}) for @{ $self->{kept} };
    Test::More::is(join("\n", @bad), '',
        "$name: with history all have what was taken, once, in one order");

    Test::More::is($self->sum('told'), 0, '... nobody is told of a loss')
        if !$option{told};

    # what was missed without history is counted on that host
    for my $c ($self->listeners) {
        $may_miss{ $c->{host}{name} } = 1
            if $c->{host}->hub->{gaps_total} > $c->{gaps};
    }

    @bad = map { $self->_channel($_, $option{gaps} // 1 ? \%may_miss : {}) }
        @{ $self->{plain} };
    @bad = grep { !/twice|orders/ } @bad if $option{twice} && %may_miss;
    Test::More::is(join("\n", @bad), '',
        "$name: without it as well, unless gaps are counted");

    return;
}

# What each voice has said came in its order; not for what it repeated.  Of all
# channels, or of some.

sub orderly {
    my ($self, $name, @of) = @_;
    my $channels = @{ $self->{channels} };
    my @bad;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    for my $c ($self->listeners) {
        for my $channel (@of ? @of : sort keys %{ $c->{on} }) {
            my %last;

            for my $n (@{ $c->{on}{$channel}{got} }) {
                my $voice = int($n / $channels) % $self->{talk}{voices};
                push @bad, "$channel: $n after $last{$voice}"
                    if $n < ($last{$voice} // 0);
                $last{$voice} = $n;
            }
        }
    }

    splice @bad, 10 if @bad > 10;

    return Test::More::is(join("\n", @bad), '',
        "$name: what each publisher has said is in its order");
}

1;
