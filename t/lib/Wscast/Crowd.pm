package Wscast::Crowd;

# What Wscast::Readers and Wscast::Streams have in common: a crowd of clients,
# and voices that publish to them, while the servers behind them come and go.
# Who is cut off comes back.
#
# new() of a kind of crowd fills in:
#
#   hosts     where its clients and voices are
#   crowd     the clients; each has: host, n, ws, ends (connections that it has
#             lost), codes (with which the server has closed them; 0: without a
#             word)
#   voices    those who publish; each has: host, ws, waiting (by the number of
#             what is not answered yet)
#   path      a string, or what gives one for the n of a client, 0: a voice's
#
# A kind of crowd defines:
#
#   enter(client)            connects it, and asks for what it has missed
#   _parse(text)             the message
#   _hear(client, message)
#   _answer(voice, message)
#   _speak                   publishes what is due by now

use strict;
use warnings;

use Time::HiRes qw(sleep time);
use Wscast::WebSocket;

sub crowd { return @{ $_[0]{crowd} } }

# Until the condition holds; who is cut off comes back.

sub listen {
    my ($self, $until, $seconds) = @_;
    my $end = time + Wscast::scale($seconds // 20);

    while (time < $end) {
        my $slice = time + 0.05;
        my $met   = $self->_gather(1, sub {
            $self->_speak;
            return $until->() || (time > $slice ? -1 : 0);
        });

        return $met if $met && $met ne -1;
        $self->_revive;
    }

    return;
}

# For so long; the code is called again and again.

sub run {
    my ($self, $seconds, $step) = @_;
    my $end = time + $seconds;

    while (time < $end) {
        my $slice = time + 0.05;
        $step->() if $step;
        $self->_revive;
        $self->_gather(1, sub { $self->_speak; time > $slice });
    }

    return;
}

# The voices go away, and publish nothing any more.

sub hush {
    my ($self) = @_;
    $_->{ws}->drop for grep { $_->{ws}{sock} } @{ $self->{voices} };
    $self->{voices} = [];
    return;
}

# -- for the kinds of crowd ----------------------------------------------

# A client's connection; the caller says on it what it wants.

sub _client {
    my ($self, $c) = @_;
    $c->{ws} = $self->_open($c->{host}, $c->{n});
    $c->{ws}{client} = $c;
    return $c->{ws};
}

sub _voice {
    my ($self, $voice) = @_;
    $voice->{ws} = $self->_open($voice->{host}, 0);
    $voice->{ws}{voice} = $voice;
    return;
}

# The same for one that was cut off; 0: not yet.

sub _voice_again {
    my ($self, $voice) = @_;

    $voice->{ws}->drop if $voice->{ws}{sock};
    $voice->{not_before} = time + 0.1;
    return 1 if eval { $self->_voice($voice); 1 };
    $voice->{ws} = { eof => 1 };

    return 0;
}

sub _open {
    my ($self, $host, $n) = @_;
    my $path = ref $self->{path} ? $self->{path}->($n) : $self->{path};
    return $host->ws($path, timeout => 20);
}

# A connection that the test itself has cut has no code.

sub _revive {
    my ($self) = @_;

    for my $c ($self->crowd) {
        my $ws = $c->{ws};
        next if !$ws->{close} && !$ws->{eof};

        $c->{ends}++;
        $c->{codes}{ $ws->{close} ? $ws->{close}{code} : 0 }++ if !$ws->{cut};
        $ws->drop if $ws->{sock};

        $c->{ws} = { eof => 1, cut => 1 } if !eval { $self->enter($c); 1 };
    }

    return;
}

sub _gather {
    my ($self, $seconds, $until) = @_;

    return Wscast::gather(
        [map { $_->{ws} } @{ $self->{voices} }, $self->crowd],
        timeout => $seconds,
        until   => $until,
        message => sub {
            my ($ws, $frame) = @_;
            my $m = $self->_parse($frame->{data});
            return $self->_hear($ws->{client}, $m) if $ws->{client};
            return $self->_answer($ws->{voice}, $m);
        },
    );
}

1;
