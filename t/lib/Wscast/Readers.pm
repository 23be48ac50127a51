package Wscast::Readers;

# Clients that keep their place on a channel, come back to it whenever they are
# cut off, and must end with every message, once, in order; and the voices
# that publish numbered messages to it meanwhile.
#
#   my $readers = Wscast::Readers->new(hosts => \@hosts, count => 50,
#       channel => 'room:1');
#   $readers->begin;
#   $readers->talk(rate => 500, voices => 3, api => 1);
#   $readers->run(30, sub { ... });      # the code is called again and again
#   $readers->finish;
#   $readers->whole('under load');
#
# Options of new(): path, a string or what gives one for the number of a reader
# ("/ws"); event, which is called with (reader, message) for what is neither
# message nor answer.
#
# A reader has: host, ws, id (its connection's), member (the id by which others
# know it), greeting (the welcome), subscribed, epoch, offset, got (numbers),
# wrong (messages out of place), broken (times it was told that something was
# lost), ends (connections that it has lost) and codes (with which the server
# has closed them; 0: without a word).
#
# talk(): rate, in messages a second over all; voices, connections; api, 1: the
# HTTP API is one voice more, for a tenth of them; keys, 1: every message has a
# key, and is published again until it is answered; hosts, other ones.

use strict;
use warnings;

use parent 'Wscast::Crowd';

use JSON::PP ();
use Test::More ();
use Time::HiRes qw(time);
use Wscast::WebSocket;

sub new {
    my ($class, %option) = @_;
    my $self = bless { path => '/ws', %option, voices => [] }, $class;
    my @hosts = @{ $self->{hosts} };

    $self->{crowd} = [map {
        { host => $hosts[$_ % @hosts], n => $_, got => [], wrong => 0,
          broken => 0, ends => 0, codes => {} }
    } 1 .. $self->{count}];

    return $self;
}

sub readers { return $_[0]->crowd }

sub sum {
    my ($self, $what) = @_;
    my $sum = 0;
    $sum += $_->{$what} for $self->readers;
    return $sum;
}

# -- reading -------------------------------------------------------------

# Connects a reader, again if it was there before, and asks for what it missed.

sub enter {
    my ($self, $c) = @_;
    my $ws = $self->_client($c);
    my $m  = { type => 'subscribe', id => 1, channel => $self->{channel} };

    $c->{subscribed} = 0;
    $m->{since}{client} = $c->{id} if defined $c->{id};
    @{ $m->{since} }{qw(epoch offset)} = ($c->{epoch}, 0 + $c->{offset})
        if $c->{epoch};
    $ws->json($m);

    return;
}

sub begin {
    my ($self) = @_;
    $self->enter($_) for $self->readers;
    return Test::More::ok($self->listen(sub {
        !grep { !$_->{subscribed} } $self->readers
    }), "clients are on $self->{channel}: $self->{count}");
}

# Leaves without asking: by "drop", "reset", "half" a frame, or "close".

sub cut {
    my ($self, $c, $how) = @_;
    my $ws = $c->{ws};

    if ($how eq 'close') {
        $ws->queue(Wscast::WebSocket::close_bytes(1000));
        $ws->_write;
    } elsif ($how eq 'half') {
        $ws->queue("\x81\xfe\x01");
        $ws->_write;
    }

    $ws->{cut} = 1;
    $ws->drop(reset => $how eq 'reset' || $how eq 'half');

    return;
}

# Tens of thousands of messages a second: those are cut by hand.

sub _parse {
    my ($self, $text) = @_;

    if ($text =~ /^\{"type":"message","channel":"[^"]+","data":(\d+),
        "epoch":"(\w+)","offset":(\d+),/x)
    {
        return { type => 'message', data => 0 + $1, epoch => $2,
                 offset => 0 + $3 };
    }

    if ($text =~ /^\{"type":"published","id":(\d+),.*"offset":(\d+)\}$/) {
        return { type => 'published', id => 0 + $1, offset => 0 + $2 };
    }

    return JSON::PP::decode_json($text);
}

sub _hear {
    my ($self, $c, $m) = @_;

    if ($m->{type} eq 'message') {
        $c->{wrong}++ if !$c->{subscribed} || $m->{epoch} ne $c->{epoch}
            || $m->{offset} != $c->{offset} + 1;
        @$c{qw(epoch offset)} = @$m{qw(epoch offset)};
        push @{ $c->{got} }, $m->{data};

    } elsif ($m->{type} eq 'welcome') {
        $c->{id} = $c->{member} = $m->{client};
        $c->{greeting} = $m->{msg};

    } elsif ($m->{type} eq 'subscribed') {
        $c->{broken}++ if !$m->{id} || $c->{epoch} && !$m->{recovered};
        @$c{qw(epoch offset)} = @$m{qw(epoch offset)} if !$m->{recovered};
        $c->{member} = $m->{member} if defined $m->{member};
        $c->{subscribed} = 1;

    } elsif ($self->{event}) {
        $self->{event}->($c, $m);
    }

    return;
}

# -- publishing ----------------------------------------------------------

sub talk {
    my ($self, %option) = @_;
    my @hosts = @{ $option{hosts} // $self->{hosts} };
    my $n     = 0;

    $self->hush;
    $self->{talk}   = { voices => 2, %option, begun => time, sent => 0 };
    $self->{taken}  = {};
    $self->{order}  = {};
    $self->{again}  = 0;
    $self->{errors} = 0;
    $self->{differ} = 0;
    $self->{poster} = $option{api} ? { host => $hosts[0], waiting => [] }
                                   : undef;
    $self->{voices} = [map {
        { host => $hosts[$n++ % @hosts], waiting => {} }
    } 1 .. $self->{talk}{voices}];

    $self->_voice($_) for @{ $self->{voices} };

    return;
}

sub _publish {
    my ($self, $voice, $n) = @_;
    my $key = $self->{talk}{keys} ? qq(,"key":"k$n") : '';

    $voice->{waiting}{$n} = 1;
    $voice->{ws}->queue(Wscast::WebSocket::frame_bytes(1,
        qq({"type":"publish","id":$n,"channel":"$self->{channel}",)
        . qq("data":$n$key})));

    return;
}

# The API is asked once at a time; what it did not answer is kept for later.

sub _post {
    my ($self) = @_;
    my $poster  = $self->{poster};
    my $waiting = $poster->{waiting};

    return if !@$waiting || time < ($poster->{not_before} // 0);

    my $n = $waiting->[0];
    my $r = eval {
        $poster->{host}->http('POST', "/api/channels/$self->{channel}",
            body => $n, timeout => 5, headers => $self->{talk}{keys}
                ? ["Idempotency-Key: k$n"] : []);
    };

    if ($r && $r->{status} == 200) {
        shift @$waiting;
        $self->_taken('api', $n, 0 + $1) if $r->{body} =~ /"offset":(\d+)/;
        return;
    }

    if ($self->{talk}{keys}) {
        $self->{again}++;
        $poster->{not_before} = time + 0.1;
    } else {
        $self->{errors}++;
        shift @$waiting;
    }

    return;
}

sub _taken {
    my ($self, $voice, $n, $offset) = @_;
    my $known = $self->{taken}{$n};

    $self->{differ}++ if defined $known && $known != $offset;
    $self->{taken}{$n} = $offset;
    push @{ $self->{order}{$voice} }, $offset;

    return;
}

sub _answer {
    my ($self, $voice, $m) = @_;

    if ($m->{type} eq 'published') {
        delete $voice->{waiting}{ $m->{id} };
        $self->_taken("$voice", @$m{qw(id offset)});

    } elsif ($m->{type} eq 'error') {
        $self->{errors}++;
        $self->{reason} = $m->{reason};

        if ($self->{talk}{keys}) {
            $voice->{not_before} = time + 0.1;
            $voice->{restless} = 1;
        } else {
            delete $voice->{waiting}{ $m->{id} };
        }
    }

    return;
}

# Sends what is due by now, and again what was not answered.

sub _speak {
    my ($self) = @_;
    my $talk   = $self->{talk} or return;
    my $voices = $self->{voices};

    return if !@$voices;

    for my $voice (@$voices) {
        my $ws    = $voice->{ws};
        my $ended = $ws->{eof} || $ws->{close};
        next if !$ended && !$voice->{restless}
            || time < ($voice->{not_before} // 0);

        $voice->{restless} = 0;

        next if $ended && !$self->_voice_again($voice);

        my @left = sort { $a <=> $b } keys %{ $voice->{waiting} };
        $self->{again} += @left;

        if ($talk->{keys}) {
            $self->_publish($voice, $_) for @left;
        } else {
            $self->{errors} += @left;
            $voice->{waiting} = {};
        }
    }

    if (!$talk->{over}) {
        my $due = $talk->{rate} * (time - $talk->{begun});

        while ($talk->{sent} < $due) {
            my $n = ++$talk->{sent};

            if ($self->{poster} && $n % 10 == 0) {
                push @{ $self->{poster}{waiting} }, $n;
                next;
            }

            my $voice = $voices->[$n % @$voices];

            if ($voice->{ws}{eof}) {
                $voice->{waiting}{$n} = 1;
            } else {
                $self->_publish($voice, $n);
            }
        }
    }

    $self->_post if $self->{poster};

    return;
}

# Until every publish is answered and every reader has what was published
# last.

sub finish {
    my ($self, $seconds) = @_;

    $self->{talk}{over} = 1;
    my $met = $self->listen(sub {
        return 0 if $self->{poster} && @{ $self->{poster}{waiting} };
        return 0 if grep { %{ $_->{waiting} } } @{ $self->{voices} };
        my ($top) = sort { $b <=> $a } values %{ $self->{taken} };
        return !grep { !defined $_->{offset} || $_->{offset} < $top }
            $self->readers;
    }, $seconds);
    $self->hush;

    return $met;
}

# -- the outcome ---------------------------------------------------------

# What was taken, in the order of the channel.

sub taken {
    my ($self) = @_;
    my $at = $self->{taken};
    return sort { $at->{$a} <=> $at->{$b} } keys %$at;
}

sub whole {
    my ($self, $name) = @_;
    my $taken = $self->{taken};
    my @want  = $self->taken;
    my $want  = join ' ', @want;
    my %seen;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    Test::More::is(scalar(grep { $seen{$_}++ } values %$taken)
        + $self->{differ}, 0, "$name: every publish has an offset of its own");

    my @lost = grep { $_->{wrong} || $_->{broken} } $self->readers;
    Test::More::is(scalar @lost, 0,
        "$name: nobody found a gap or was told of one");

    # what was refused for a lost answer may have been taken all the same
    my $unsure = $self->{errors};
    my @bad = grep {
        $want ne join ' ',
            grep { !$unsure || defined $taken->{$_} } @{ $_->{got} };
    } $self->readers;
    Test::More::is(scalar @bad, 0,
        "$name: every client has every message, once, in order")
        || Test::More::diag(scalar(@want) . ' taken, got: ',
            join ' ', map { scalar @{ $_->{got} } } $self->readers);

    return;
}

# That what each voice has said came in its order; not for what was repeated.

sub orderly {
    my ($self, $name) = @_;
    my $order = $self->{order};
    my $wrong = 0;

    for my $voice (keys %$order) {
        my @at = @{ $order->{$voice} };
        $wrong += grep { $at[$_] <= $at[$_ - 1] } 1 .. $#at;
    }

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return Test::More::is($wrong, 0,
        "$name: what each publisher has said is in its order");
}

1;
