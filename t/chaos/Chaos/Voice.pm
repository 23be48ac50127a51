package Chaos::Voice;

# A publisher.  What has a key it publishes until it is answered; what has none
# it publishes once, and an error, or no answer, leaves it open whether it is
# there.

use strict;
use warnings;

use JSON::PP ();
use Time::HiRes qw(time);

sub new {
    my ($class, %option) = @_;
    return bless { %option, waiting => {}, not_before => 0, last => {} },
        $class;
}

sub body {
    my ($n) = @_;

    # some are long, so that those who read slowly are felt
    my $pad = $n % 10 ? $n * 7919 % 200 : 4000;

    return qq({"n":$n,"pad":") . 'x' x $pad . '"}';
}

sub publish {
    my ($self, $n, $channel, $key) = @_;
    return 0 if !$key && (!$self->{ws} || !$self->{ws}{up});

    $self->{record}->sent($n, $channel, $key);
    $self->{waiting}{$n} = { channel => $channel, key => $key };
    $self->_send($n) if $self->{ws} && $self->{ws}{up};

    return 1;
}

sub _send {
    my ($self, $n) = @_;
    my $w   = $self->{waiting}{$n};
    my $key = $w->{key} ? qq(,"key":"k$n") : '';

    $w->{times}++;
    $w->{asked} = time;
    delete $w->{again};
    $self->{ws}->queue(Wscast::WebSocket::frame_bytes(1,
        qq({"type":"publish","id":$n,"channel":"$w->{channel}",)
        . '"data":' . body($n) . "$key}"));

    return;
}

sub step {
    my ($self) = @_;
    my $now = time;

    if (!$self->{ws}) {
        return if $now < $self->{not_before};
        $self->{not_before} = $now + 0.1;
        $self->{ws} = $self->{net}->connect($self->{host}->port, '/ws',
            $self);
        return;
    }

    return if !$self->{ws}{up};

    for my $n (sort { $a <=> $b } keys %{ $self->{waiting} }) {
        my $w = $self->{waiting}{$n};

        if (!$w->{asked} || $w->{again} && $now >= $w->{again}) {
            $self->{record}->count('published again') if $w->{times};
            $self->_send($n);
        } elsif (!$w->{late} && !$w->{again}
            && $now - $w->{asked} > Wscast::scale(15))
        {
            $w->{late} = 1;
            $self->{record}->wrong("$self->{name}: publish $n was not "
                . 'answered in 15 seconds');
        }
    }

    return;
}

sub stood {
    my ($self, $seconds) = @_;
    $_->{asked} += $seconds
        for grep { $_->{asked} } values %{ $self->{waiting} };
    return;
}

sub idle { return !%{ $_[0]{waiting} } }

sub waits {
    my ($self) = @_;
    my $waiting = $self->{waiting};
    my @some    = (sort { $a <=> $b } keys %$waiting)[0 .. 4];

    return sprintf '%s on %s, %s, waits for %d: %s', $self->{name},
        $self->{host}{name}, $self->{ws} ? 'connected' : 'not connected',
        scalar keys %$waiting, join ', ', map {
            my $w = $waiting->{$_};
            "$_ to $w->{channel} (" . ($w->{times} // 0) . ' times)'
        } grep { defined } @some;
}

sub opened { return }

sub ended {
    my ($self, $ws) = @_;
    my $waiting = $self->{waiting};

    $self->{record}->count('voices cut off');
    delete $self->{ws};
    $self->{not_before} = time + 0.1;

    for my $n (keys %$waiting) {
        delete $waiting->{$n}{asked};
        next if $waiting->{$n}{key};
        delete $waiting->{$n};
        $self->{record}->count('unanswered');
    }

    return;
}

sub heard {
    my ($self, $ws, $text) = @_;

    if ($text =~ /^\{"type":"published","id":(\d+),"channel":"[^"]+"
        (?:,"epoch":"(\w+)","offset":(\d+))?\}$/x)
    {
        return $self->_taken($1, $2, $3);
    }

    my $m = JSON::PP::decode_json($text);
    return if $m->{type} eq 'welcome' || $m->{type} eq 'disconnect';

    if ($m->{type} ne 'error' || $m->{code} != 503) {
        return $self->{record}->wrong("$self->{name} heard $text");
    }

    $self->_refused($m->{id});

    return;
}

sub _refused {
    my ($self, $n) = @_;
    my $w = $self->{waiting}{$n} or return;

    $self->{record}->count('refused');

    if ($w->{key}) {
        $w->{again} = time + 0.2 + 0.1 * ($w->{times} // 1);
    } else {
        delete $self->{waiting}{$n};
    }

    return;
}

sub _taken {
    my ($self, $n, $epoch, $offset) = @_;
    my $w = delete $self->{waiting}{$n};

    return $self->{record}->wrong("$self->{name}: $n was answered twice")
        if !$w;

    # what it said once is in the order in which it said it
    if (defined $offset && $w->{times} == 1) {
        my $last = $self->{last}{ $w->{channel} } // 0;
        $self->{record}->wrong("$self->{name}: $n is at $offset of "
            . "$w->{channel}, what it said before at $last")
            if $offset < $last;
        $self->{last}{ $w->{channel} } = $offset;
    }

    $self->{record}->taken($n, $epoch, $offset, undef);

    return;
}

# -- through the API -----------------------------------------------------

package Chaos::Poster;

our @ISA = ('Chaos::Voice');

sub publish {
    my ($self, $n, $channel, $key) = @_;
    return 0 if !$key && (%{ $self->{waiting} } || $self->{asked});

    $self->{record}->sent($n, $channel, $key);
    $self->{waiting}{$n} = { channel => $channel, key => $key };

    return 1;
}

# One after another.

sub step {
    my ($self) = @_;
    return if $self->{asked} || Time::HiRes::time() < $self->{not_before};

    my ($n) = sort { $a <=> $b } keys %{ $self->{waiting} };
    return if !defined $n;

    my $w = $self->{waiting}{$n};
    $self->{asked} = 1;
    $self->{record}->count('published again') if $w->{times}++;
    $self->{net}->request($self->{host}->port, 'POST',
        "/api/channels/$w->{channel}",
        $w->{key} ? ["Idempotency-Key: k$n"] : [], Chaos::Voice::body($n),
        sub { $self->_answered($n, @_) });

    return;
}

sub _answered {
    my ($self, $n, $r) = @_;

    delete $self->{asked};

    if ($r->{status} == 200) {
        my ($epoch)  = $r->{body} =~ /"epoch":"(\w+)"/;
        my ($offset) = $r->{body} =~ /"offset":(\d+)/;
        return $self->_taken($n, $epoch, $offset);
    }

    $self->{record}->wrong("$self->{name}: status $r->{status} $r->{body}")
        if $r->{status} != 503 && $r->{status} || $r->{late};
    $self->{not_before} = Time::HiRes::time() + 0.1;
    $self->_refused($n);

    return;
}

1;
