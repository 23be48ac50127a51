package Chaos::Net;

# One loop for all clients, in which nothing waits for anything: neither for the
# answer to a handshake nor for that to a request.
#
#   my $ws = $net->connect($port, $path, $owner, rcvbuf => N);   or undef
#   $net->request($port, 'POST', $path, \@headers, $body, sub { my ($r) = @_ });
#   $net->turn(0.02);
#
# Chaos::Net->new(odd => sub { what is against the protocol },
#     stood => sub { seconds for which this process was not here })
#
# Of an owner are called: opened($ws), heard($ws, $text), ended($ws); the last
# one also for a connection that did not come about.  A WebSocket with
# "paused" is not read before that time.

use strict;
use warnings;

use IO::Socket::INET;
use Time::HiRes qw(time);
use Wscast::Http;
use Wscast::WebSocket;

use constant HANDSHAKE => 10;

sub new {
    my ($class, %option) = @_;
    return bless { %option, lines => {}, requests => {} }, $class;
}

sub connect {
    my ($self, $port, $path, $owner, %option) = @_;
    my $ws = eval {
        Wscast::WebSocket->new($port, $path, raw => 1, %option);
    } or return;

    $ws->queue($ws->request);
    @$ws{qw(owner born)} = ($owner, time);
    $self->{lines}{ $ws->{serial} } = $ws;

    return $ws;
}

sub request {
    my ($self, $port, $method, $path, $headers, $body, $then) = @_;
    my $sock = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 5);

    if (!$sock) {
        $then->({ status => 0, body => '' });
        return;
    }

    syswrite $sock, join "\r\n", "$method $path HTTP/1.1",
        'Host: localhost', 'Connection: close',
        'Content-Length: ' . length $body, @$headers, '', $body;
    $sock->blocking(0);
    $self->{requests}{ fileno $sock }
        = { sock => $sock, in => '', then => $then, born => time };

    return;
}

sub drop {
    my ($self, $ws, %option) = @_;
    delete $self->{lines}{ $ws->{serial} };
    $ws->drop(%option);
    return;
}

sub turn {
    my ($self, $seconds) = @_;
    my ($rin, $win) = ('', '');
    my $now   = time;
    my @lines = values %{ $self->{lines} };
    my $stood = $now - ($self->{last} // $now);

    # the time for which this process stood still is nobody else's fault
    if ($stood > 1) {
        $self->{stood}->($stood);
        $_->{born} += $stood for @lines, values %{ $self->{requests} };
    }

    for my $ws (@lines) {
        my $fd = fileno $ws->{sock};
        vec($rin, $fd, 1) = 1 if ($ws->{paused} // 0) < $now;
        vec($win, $fd, 1) = 1 if length $ws->{out};
    }

    vec($rin, $_, 1) = 1 for keys %{ $self->{requests} };

    select $rin, $win, undef, $seconds;
    $self->{last} = time;

    for my $ws (@lines) {
        next if !$ws->{sock};
        my $fd = fileno $ws->{sock};
        $ws->_write if vec $win, $fd, 1;
        $ws->_read if $ws->{sock} && vec $rin, $fd, 1;
        $self->_line($ws);
    }

    for my $fd (keys %{ $self->{requests} }) {
        my $q = $self->{requests}{$fd};
        my $n = vec($rin, $fd, 1)
            ? sysread $q->{sock}, $q->{in}, 65536, length $q->{in} : -1;
        next if $n && !Wscast::Http::complete($q->{in})
            && $now - $q->{born} < 30;
        delete $self->{requests}{$fd};
        $q->{then}->(Wscast::Http::complete($q->{in})
            ? Wscast::Http::parse($q->{in})
            : { status => 0, body => '',
                late => $now - $q->{born} >= 30 });
    }

    return;
}

# What one connection has for us.

sub _line {
    my ($self, $ws) = @_;

    if (!$ws->{up} && Wscast::Http::complete($ws->{in})) {
        my $r = Wscast::Http::parse($ws->{in});
        $ws->{in} = $r->{body};
        $ws->{up} = $r->{status} == 101;
        $self->{status}{ $r->{status} }++;
        $ws->{up} ? $ws->{owner}->opened($ws) : ($ws->{eof} = 1);
    }

    if ($ws->{up}) {
        my $sound = eval {
            while ($ws->{sock} and my $frame = $ws->take_frame) {
                my $m = $ws->_message($frame) or next;
                $ws->{owner}->heard($ws, $m->{data});
            }
            1;
        };

        if (!$sound) {
            $self->{odd}->($@);
            $ws->{eof} = 1;
        }
    } elsif (time - $ws->{born} > Wscast::scale(HANDSHAKE)) {
        $self->{odd}->("no answer to a handshake on $ws->{port}");
        $ws->{eof} = 1;
    }

    # dropped by its owner meanwhile, or ended
    return if !$self->{lines}{ $ws->{serial} };
    return if !$ws->{eof} && !$ws->{close};

    $self->drop($ws);
    $ws->{owner}->ended($ws);

    return;
}

1;
