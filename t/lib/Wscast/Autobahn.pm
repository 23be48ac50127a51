package Wscast::Autobahn;

# Runs cases of the Autobahn test suite, re-expressed as tables, against an
# echo server: many at once, judged strictly.
#
#   for (Wscast::Autobahn::run($port, $path, \@cases, cut => 1)) {
#       is($_->{problem}, '', "$_->{id}: $_->{about}");
#   }
#
# A case is { id, about, steps, expect, end }.
#
# steps     [send => $bytes, $cut]: in one write, or in pieces of $cut bytes;
#           $bytes may be a function that makes them
#           [close => $bytes]: our close frame, sent likewise
#           [quiet => $seconds]: nothing more may come meanwhile
#           [await => N]: until N events of expect have come
# expect    the events in order: [text => $data], [binary => ...],
#           [pong => ...]
# again     what to send and how often, each time when the echo has come
# deflate   offers of permessage-deflate, of which one must be accepted
# series    called with the client: what to send next, as it comes back, [kind,
#           data, bytes]; nothing when it is over
# end       { by => 'us', codes => [...], clean => 1 }: when all of expect has
#           come we close with 1000 (unless there was a close step), and the
#           server's close frame has one of these codes
#           { by => 'them', codes => [...] }: the server closes, with one of
#           these codes, without a close step of ours
#
# In every case the server must be the one who ends the TCP connection.

use strict;
use warnings;

use Time::HiRes qw(time);
use Wscast::WebSocket;

my %KIND = (1 => 'text', 2 => 'binary', 9 => 'ping', 10 => 'pong');

sub run {
    my ($port, $path, $cases, %option) = @_;
    my @todo    = @$cases;
    my $at_once = $option{at_once} // 16;
    my (@running, @done);

    while (@todo || @running) {
        while (@todo && @running < $at_once) {
            push @running, _begin($port, $path, shift @todo, %option);
        }

        _turn(\@running);

        for my $run (@running) {
            _advance($run);
        }

        push @done, grep { defined $_->{problem} } @running;
        @running = grep { !defined $_->{problem} } @running;
    }

    my %place = map { $cases->[$_]{id} => $_ } 0 .. $#$cases;

    return sort { $place{ $a->{id} } <=> $place{ $b->{id} } } @done;
}

sub _begin {
    my ($port, $path, $case, %option) = @_;
    my $ws = Wscast::WebSocket->new($port, $path,
        deflate => $case->{deflate});

    return {
        %$case,
        cut     => $option{cut},
        ws      => $ws,
        problem => $case->{deflate} && !$ws->{agreed}
            ? 'compression was not agreed on' : undef,
        steps   => [@{ $case->{steps} }],
        again   => $case->{again} ? [@{ $case->{again} }] : undef,
        events  => [],
        chunks  => [],
        until   => time + Wscast::scale($case->{seconds} // 10),
    };
}

# -- one turn of the loop ------------------------------------------------

sub _turn {
    my ($running) = @_;
    my ($rin, $win) = ('', '');

    for my $run (@$running) {
        my $fd = fileno $run->{ws}{sock};
        vec($rin, $fd, 1) = 1;
        vec($win, $fd, 1) = 1 if @{ $run->{chunks} }
            || length $run->{ws}{out};
    }

    select $rin, $win, undef, 0.02;

    for my $run (@$running) {
        my $fd = fileno $run->{ws}{sock};
        _send($run) if vec $win, $fd, 1;
        _receive($run) if vec $rin, $fd, 1;
    }

    return;
}

# Every piece is a write of its own.

sub _send {
    my ($run) = @_;
    my ($ws, $chunks) = @$run{qw(ws chunks)};

    for (1 .. 256) {
        if (!length $ws->{out}) {
            $ws->queue(_piece($chunks) // return);
        }

        if (!$ws->_write) {
            @$chunks = () if $ws->{broken};
            return;
        }
    }

    return;
}

sub _piece {
    my ($chunks) = @_;
    my $chunk = $chunks->[0] or return;
    my ($bytes, $cut) = @$chunk;

    if (!$cut || length $$bytes <= $cut) {
        shift @$chunks;
        return $$bytes;
    }

    return substr $$bytes, 0, $cut, '';
}

sub _receive {
    my ($run) = @_;
    my $ws = $run->{ws};

    $ws->_read;

    while (my $frame = eval { $ws->take_frame }) {
        next if $frame->{op} == Wscast::WebSocket::CLOSE;
        push @{ $run->{events} }, [$KIND{ $frame->{op} }, $frame->{data}];
        _again($run) if $run->{again};
        _series($run) if $run->{series};
    }

    $run->{problem} = $@ if $@;

    return;
}

# Compares the echo with what was sent and sends the next.

sub _again {
    my ($run) = @_;
    my ($kind, $data, $frame, $times) = @{ $run->{again} };
    my $event = pop @{ $run->{events} };

    if ($event->[0] ne $kind || $event->[1] ne $data) {
        $run->{problem} = "odd echo: $event->[0]";
        return;
    }

    if (--$run->{again}[3] > 0) {
        $run->{ws}->raw($frame);
        return;
    }

    delete $run->{again};

    return;
}

sub _series {
    my ($run) = @_;
    my ($event, $due) = (pop @{ $run->{events} }, $run->{due});

    if ($due && ($event->[0] ne $due->[0] || $event->[1] ne $due->[1])) {
        $run->{problem} = "odd echo: $event->[0]";
        return;
    }

    my ($kind, $data, $bytes) = $run->{series}->($run->{ws});

    if (!defined $kind) {
        delete $run->{series};
        return;
    }

    $run->{due} = [$kind, $data];
    $run->{ws}->raw($bytes);

    return;
}

# -- the course of a case ------------------------------------------------

sub _advance {
    my ($run) = @_;
    my $ws = $run->{ws};

    return if defined $run->{problem};

    if ($ws->{eof}) {
        $run->{problem} = _verdict($run);

    } elsif (time > $run->{until}) {
        $run->{problem} = 'not over in time, events: ' . _tell($run);

    } elsif (!@{ $run->{chunks} } && !length $ws->{out}) {
        _step($run);
    }

    $ws->drop if defined $run->{problem};

    return;
}

sub _step {
    my ($run) = @_;
    my $step = $run->{steps}[0];

    if (!$step && $run->{series}) {
        _series($run) if !$run->{due};
        return;
    }

    if (!$step) {
        my $ours = $run->{end}{by} eq 'us' && !$run->{ws}{closing};

        if ($ours && !$run->{again} && _as_expected($run)) {
            $run->{ws}{closing} = 1;
            $run->{ws}->raw(Wscast::WebSocket::close_bytes(1000));
        }

        return;
    }

    my ($verb, $what, $cut) = @$step;

    if ($verb eq 'send' || $verb eq 'close') {
        my $bytes = ref $what ? $what->() : $what;
        $run->{ws}{closing} = 1 if $verb eq 'close';
        push @{ $run->{chunks} }, [\$bytes, $cut // $run->{cut}];
        _send($run);

    } elsif ($verb eq 'quiet') {
        my $begun = $run->{quiet} //= { since => time,
            events => scalar @{ $run->{events} } };

        if (@{ $run->{events} } != $begun->{events} || $run->{ws}{close}) {
            $run->{problem} = 'not quiet';
        }

        return if time < $begun->{since} + $what;
        delete $run->{quiet};

    } elsif ($verb eq 'await') {
        return if @{ $run->{events} } < $what;
    }

    shift @{ $run->{steps} };

    return;
}

sub _as_expected {
    my ($run) = @_;
    my ($got, $want) = @$run{qw(events expect)};

    return @$got == @$want && !grep {
        $got->[$_][0] ne $want->[$_][0] || $got->[$_][1] ne $want->[$_][1]
    } 0 .. $#$want;
}

sub _verdict {
    my ($run) = @_;
    my $ending = $run->{ws}->ending;
    my $end    = $run->{end};
    my $code   = $ending->{code};
    my $ours   = grep { $_->[0] eq 'close' } @{ $run->{steps} };

    return 'other events than expected: ' . _tell($run)
        if !_as_expected($run) && !$end->{any_prefix};
    return 'messages are missing' if $run->{again} || $run->{series};
    return 'no close frame came, events: ' . _tell($run)
        if !defined $code;
    return "closed with $code $ending->{reason}"
        if !grep { $_ == $code } @{ $end->{codes} };
    return "our part was not awaited"
        if $end->{by} eq 'us' && ($ours || !$run->{ws}{closing});
    return 'not clean' . ($ending->{reset} ? ': reset' : '')
        if $end->{clean} && !$ending->{clean};

    return '';
}

sub _tell {
    my ($run) = @_;
    return join(', ', map { "$_->[0] of " . length $_->[1] }
        @{ $run->{events} }) || 'none';
}

1;
