package Chaos::Reader;

# A client with a place on a channel with history, a membership of it, and a
# subscription to a channel without.  Whatever ends its connection, it comes
# back and says where it was.

use strict;
use warnings;

use JSON::PP ();
use Time::HiRes qw(time);

sub new {
    my ($class, %option) = @_;

    # seen: the last things that it saw
    return bless { %option, seen => [], not_before => 0 },
        $class;
}

sub _saw {
    my ($self, $text) = @_;
    my $seen = $self->{seen};
    push @$seen, $self->{record}->at . "  $text";
    shift @$seen if @$seen > 16;
    return;
}

sub _wrong {
    my ($self, $text) = @_;
    $self->{record}->wrong("$self->{name}: $text", $self);
    return;
}

# The time for which the checker stood still is nobody else's fault.

sub stood {
    my ($self, $seconds) = @_;
    $self->{excused} += $seconds;
    return;
}

# -- coming and going ----------------------------------------------------

sub step {
    my ($self) = @_;
    my $now = time;

    if (!$self->{ws}) {
        $self->_connect if $now >= $self->{not_before};
    } elsif ($self->{ws}{up} && !$self->{asked} && !$self->{leaving}
        && $now >= $self->{not_before})
    {
        $self->_subscribe;

    } elsif ($self->{subscribed} && !$self->{view}
        && $now - $self->{looked} > 3)
    {
        $self->_look;

    } elsif ($self->{asked} && !$self->{late}
        && $now - $self->{asked} - $self->{excused} > Wscast::scale(15)
        && ($self->{ws}{paused} // 0) < $self->{asked}
        && (!$self->{subscribed} || !$self->{segment}))
    {
        $self->{late} = 1;
        $self->_wrong('no answer to subscribe in 15 seconds');
    }

    return;
}

sub _connect {
    my ($self) = @_;

    $self->{ws} = $self->{net}->connect($self->{host}->port, '/ws'
        . ($self->{user} ? "?user=$self->{user}" : ''), $self,
        $self->{rcvbuf} ? (rcvbuf => $self->{rcvbuf}) : ());
    $self->{not_before} = time + 0.1;
    delete @$self{qw(subscribed asked segment late)};

    return;
}

sub opened {
    my ($self, $ws) = @_;
    $self->{record}->count('connections');
    $self->_saw("is connected to $self->{host}{name}");
    $self->_subscribe;
    return;
}

sub _subscribe {
    my ($self) = @_;
    my %since;

    $since{client} = $self->{id} if defined $self->{id};
    @since{qw(epoch offset)} = ($self->{epoch}, 0 + $self->{offset})
        if defined $self->{epoch};

    $self->_say({ type => 'subscribe', id => 'h',
        channel => $self->{channel}, %since ? (since => \%since) : () });
    $self->_say({ type => 'subscribe', id => 'p',
        channel => $self->{plain} }) if !$self->{segment};
    $self->{asked} = time;
    $self->{excused} = 0;
    $self->{others} = {};
    $self->_saw("subscribes since " . ($self->{offset} // 'nothing'));

    return;
}

sub _say {
    my ($self, $m) = @_;
    $self->{ws}->queue(Wscast::WebSocket::frame_bytes(1,
        JSON::PP::encode_json($m)));
    return;
}

# Leaves the channel, and comes back to it.

sub leave {
    my ($self, $seconds) = @_;
    return 0 if !$self->{subscribed};

    $self->_say({ type => 'unsubscribe', id => 'u',
        channel => $self->{channel} });
    delete @$self{qw(asked subscribed view)};
    $self->{leaving} = 1;
    $self->{not_before} = time + $seconds;
    $self->_saw('unsubscribes');

    return 1;
}

sub cut {
    my ($self, $how, $seconds) = @_;
    my $ws = $self->{ws} or return 0;

    if ($how eq 'close' || $how eq 'half') {
        $ws->queue($how eq 'half' ? "\x81\xfe\x01"
            : Wscast::WebSocket::close_bytes(1000));
        $ws->_write;
    }

    $self->_saw("leaves by $how");
    $self->{net}->drop($ws, reset => $how eq 'reset' || $how eq 'half');
    $self->_over($seconds);

    return 1;
}

sub ended {
    my ($self, $ws) = @_;
    my $code = $ws->{close} ? $ws->{close}{code} : 'none';

    $self->{record}->count("closed with $code") if $ws->{up};
    $self->_saw("loses its connection, close code $code");
    $self->_over($code eq '1001' ? 0 : 0.05 + rand 0.3);

    my $odd = $ws->{up} && $code !~ /^(?:none|1000|1001|4408)$/;
    $self->_wrong("closed with $code $ws->{close}{reason}") if $odd;

    return;
}

sub _over {
    my ($self, $seconds) = @_;

    $self->{segment}{end} = time if $self->{segment};
    delete @$self{qw(ws subscribed asked segment view leaving)};
    $self->{not_before} = time + $seconds;

    return;
}

# -- hearing -------------------------------------------------------------

sub heard {
    my ($self, $ws, $text) = @_;

    # nearly all are messages: those are cut by hand
    if ($text =~ /^\{"type":"message","channel":"([^"]+)","data":\{"n":(\d+)
        [^}]*\}(?:,"epoch":"(\w+)","offset":(\d+))?[,}]/x)
    {
        $self->{record}->count('received');
        return $1 eq $self->{channel}
            ? $self->_message($3, $4, $2) : $self->_plain($1, $2, $3);
    }

    my $m = JSON::PP::decode_json($text);
    my $do = $self->can("_on_$m->{type}");

    return $do ? $self->$do($m) : $self->_wrong("heard $text");
}

sub _on_disconnect { return }
sub _on_join       { return $_[0]->_turnover($_[1], 1) }
sub _on_leave      { return $_[0]->_turnover($_[1], 0) }

# Who comes was not there, and who leaves was; with Redis these, too, can fall
# into a gap, or be told again after one.

sub _turnover {
    my ($self, $m, $there) = @_;
    my $known = $self->{others}{ $m->{client} };

    $self->{record}->count($there ? 'joins heard' : 'leaves heard');
    $self->{others}{ $m->{client} } = $there;
    $self->{view}{ $m->{client} } = $there if $self->{view};
    return if !defined $known || $known != $there;

    $self->{record}->count("$m->{type} told again");
    $self->_wrong("$m->{type} of $m->{client} for the second time")
        if !$self->{record}{redis};

    return;
}

# Who is there, as this client knows it: from an answer, and what it was told
# from the question on.  Who may have missed something is told to ask again.

sub _look {
    my ($self) = @_;
    delete $self->{view};
    $self->{looked} = time;
    $self->{others} = {};
    $self->_say({ type => 'presence', id => 'm' . ++$self->{looks},
        channel => $self->{channel}, limit => 1000 });
    return;
}

sub _on_presence {
    my ($self, $m) = @_;

    if ($m->{stale}) {
        $self->{record}->count('told that members are stale');
        $self->_look if $self->{subscribed};
    } elsif ($m->{id} eq "m$self->{looks}") {
        $self->{view} = { (map { $_->{client} => 1 } @{ $m->{members} }),
                          %{ $self->{others} } };
    }

    return;
}

sub view {
    my ($self) = @_;
    my $view = $self->{view} or return 'nobody yet';
    return join ' ', sort grep { $view->{$_} && !$self->{ids}{$_} }
        keys %$view;
}

sub _on_unsubscribed {
    my ($self, $m) = @_;
    $self->_saw('is unsubscribed');
    delete $self->{leaving};
    $self->_wrong('unsubscribed without having asked') if !$m->{id};
    return;
}

sub _on_error {
    my ($self, $m) = @_;
    return if $m->{code} == 503 && ($m->{id} // '') =~ /^m/;
    return $self->_wrong("error $m->{code} $m->{reason}");
}

sub _on_welcome {
    my ($self, $m) = @_;
    $self->{id} = $self->{member} = $m->{client};
    $self->{ids}{ $m->{client} } = 1;
    $self->_saw("is $m->{client} at worker $m->{msg}");
    return;
}

sub _on_subscribed {
    my ($self, $m) = @_;

    if ($m->{channel} eq $self->{plain}) {
        push @{ $self->{record}{segments} }, $self->{segment} = {
            channel => $self->{plain}, name => $self->{name},
            host => $self->{host}{name}, since => time, got => [], at => [],
        };
        return;
    }

    my $asked = $self->{asked} // time;
    my $lost  = defined $self->{epoch} && !$m->{recovered};

    $self->_saw('is subscribed: offset ' . ($m->{offset} // 'unknown')
        . (exists $m->{recovered}
            ? ", recovered $m->{recovered}" : '')
        . ($m->{id} ? '' : ', without having asked'));

    if ($lost || !$m->{id}) {
        # Redis may also go away while it is read what was missed
        my $resuming = $m->{id}
            || ($self->{offset} // 0) < ($self->{upto} // 0);
        my $right = $resuming && $self->{record}->troubled(
            $self->{host}{name}, $asked, time);
        $self->{record}->count(
            $right ? 'told recovered:false while Redis was away'
                   : 'told recovered:false without a reason');
        $self->_wrong('was told recovered:false, '
            . ($m->{id} ? 'resuming' : 'without having asked')) if !$right;
    } elsif ($m->{recovered}) {
        $self->{record}->count('recoveries');
        $self->{upto} = $m->{offset};
        $self->_wrong("answered with offset $m->{offset}, "
            . "$self->{offset} was asked for")
            if $m->{offset} < $self->{offset};
    }

    @$self{qw(epoch offset)} = @$m{qw(epoch offset)} if !$m->{recovered};
    return if !$m->{id};

    # while Redis is away nobody can say who goes on as whom: it may be any of
    # those that this client was before
    $self->{member} = $m->{member} // $self->{id};
    $self->{ids}{ $self->{member} } = 1;
    $self->{unsure} = $self->{record}->troubled($self->{host}{name}, $asked,
        time);
    $self->{subscribed} = 1;
    $self->_look;

    return;
}

sub _message {
    my ($self, $epoch, $offset, $n) = @_;

    return $self->_wrong("message $n has no offset") if !defined $offset;

    if (defined $self->{offset} && $offset != $self->{offset} + 1) {
        $self->_wrong("$self->{channel}: offset $offset comes after "
            . "$self->{offset}");
    } elsif (!$self->{subscribed} && !$self->{asked}) {
        # between unsubscribe and its answer: they still count
        $self->{record}->count('received while leaving');
    } elsif (!$self->{subscribed}) {
        $self->_wrong("$self->{channel}: message before subscribed");
    }

    $self->{record}->placed($self->{channel}, $epoch, $offset, $n, $self);
    @$self{qw(epoch offset)} = ($epoch, $offset);

    return;
}

sub _plain {
    my ($self, $channel, $n, $epoch) = @_;
    my $segment = $self->{segment};

    return $self->_wrong("message $n of $channel came unasked")
        if $channel ne $self->{plain} || defined $epoch || !$segment;

    push @{ $segment->{got} }, $n;
    push @{ $segment->{at} }, time;

    return;
}

1;
