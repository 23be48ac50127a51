package Chaos::World;

# The servers: two hosts of three workers with Redis, each on a network of its
# own, or one host of four workers without; and what is done to them.

use strict;
use warnings;

use Time::HiRes qw(time);
use Chaos::Proxy;
use Chaos::Pulse;

my $CONF = <<'CONF';
wscast_hub chat {
    zone  128m;
    %%REDIS%%

    channel  room:*  { history 20000 1h; presence on grace=2s; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport sndbuf=16k;

    access_log  off;

    location /ws {
        wscast              chat;
        wscast_allow        all "*";
        wscast_user         $arg_user;
        wscast_welcome      $pid;
        wscast_send_buffer  64k;
        wscast_drain        %%DRAIN%%;
    }

    location /api/ { wscast_api chat; }
}
CONF

my $REDIS = <<'CONF';
    redis            redis://127.0.0.1:%d;
    redis_timeout    %s;
    redis_reconnect  50ms 500ms;
CONF

sub new {
    my ($class, %option) = @_;
    my $self = bless { drain => '2s', timeout => '500ms 1s', %option, hosts => [], proxies => [] },
        $class;

    if ($self->{mode} eq 'redis') {
        $self->{redis} = Wscast::redis(args =>
            ['--appendonly', 'yes', '--appendfsync', 'no',
             '--auto-aof-rewrite-min-size', '8mb']);
    }

    for my $i (0 .. ($self->{redis} ? 1 : 0)) {
        my $redis = '';

        if ($self->{redis}) {
            push @{ $self->{proxies} },
                Chaos::Proxy->new($self->{redis}->port);
            $redis = sprintf $REDIS, $self->{proxies}[$i]->port,
                $self->{timeout};
        }

        my $conf = $CONF =~ s/%%REDIS%%/$redis/r;
        $conf =~ s/%%DRAIN%%/$self->{drain}/;

        my $host = Wscast::host($conf,
            workers => $self->{redis} ? 3 : 4,
            name => ('one', 'two')[$i] . " ($self->{mode})");

        # the second is nginx's, too: who was killed held the lock of the zone,
        # which the master then takes from it
        $host->expect_log(qr/exited on signal 9/);
        $host->expect_log(qr/shared memory zone "wscast:[\w:]+" was locked by/);
        push @{ $self->{hosts} }, $host;
    }

    return $self;
}

sub hosts { return @{ $_[0]{hosts} } }

# Everything is there, and nothing else.

sub whole {
    my ($self, $record) = @_;

    for my $host ($self->hosts) {
        my $hub = eval { $host->hub } or return "$host->{name}: no status";
        my @now = $host->workers;

        return "$host->{name}: " . @now . ' workers'
            if @now != $host->{workers};
        return "$host->{name}: an old worker is there"
            if $host->workers(old => 1);
        return "$host->{name}: wscast_workers is $hub->{workers}"
            if $hub->{workers} != $host->{workers};
        next if !$self->{redis};
        return "$host->{name}: wscast_redis_up is $hub->{redis_up}"
            if !$hub->{redis_up};
        return "$host->{name}: wscast_redis_links is $hub->{redis_links}"
            if $hub->{redis_links} != $host->{workers} + 1;
    }

    return '';
}

sub descriptors {
    my ($self) = @_;
    my $n = 0;

    for my $host ($self->hosts) {
        $n += () = glob "/proc/$_/fd/*" for $host->workers;
    }

    return $n;
}

# Seconds of the processor that the workers and masters have used.

sub used {
    my ($self) = @_;
    my $sum = 0;

    for my $pid (map { $_->pid, $_->workers } $self->hosts) {
        open my $in, '<', "/proc/$pid/stat" or next;
        my @field = split ' ', readline($in) =~ s/^.*\) //r;
        $sum += $field[11] + $field[12];
    }

    return $sum / 100;
}

# How Redis is, from where the hosts are.

sub pulses {
    my ($self, $record) = @_;

    return map { Chaos::Pulse->new(record => $record,
        host => $self->{hosts}[$_]{name}, port => $self->{proxies}[$_]->port)
    } 0 .. $#{ $self->{proxies} };
}

# The counters of gaps, and when they moved.

sub watch {
    my ($self, $record) = @_;

    for my $host ($self->hosts) {
        my $gaps = eval { $host->hub->{gaps_total} } // next;

        if ($gaps != ($self->{gaps}{ $host->{name} } // 0)) {
            push @{ $record->{gaps}{ $host->{name} } }, time;
            $record->deed("$host->{name} counts gaps: $gaps");
            $record->count('gaps', $gaps - ($self->{gaps}{ $host->{name} }
                // 0));
        }

        $self->{gaps}{ $host->{name} } = $gaps;
    }

    return;
}

# -- what is done --------------------------------------------------------

sub reload {
    my ($self, $event) = @_;
    return $self->{hosts}[$event->{host}]->signal('HUP');
}

sub kill {
    my ($self, $event) = @_;
    my $host = $self->{hosts}[$event->{host}];
    my @pids = $event->{old} ? $host->workers(old => 1) : ();

    @pids = $host->workers if !@pids;
    return 0 if !@pids;

    my $pid = $pids[$event->{which} % @pids];
    CORE::kill 'KILL', $pid;

    return "worker $pid";
}

# A worker that does nothing for a while, and does not know it.

sub hang {
    my ($self, $event) = @_;
    my $host = $self->{hosts}[$event->{host}];
    my @pids = $host->workers or return 0;
    my $pid  = $pids[$event->{which} % @pids];

    CORE::kill 'STOP', $pid;
    $self->{hung}{ $event->{host} } = $pid;

    return "worker $pid";
}

sub resume {
    my ($self, $event) = @_;
    my $pid  = delete $self->{hung}{ $event->{host} } or return 0;
    my $host = $self->{hosts}[$event->{host}];

    # it may have been killed in its sleep
    my $there = grep { $_ == $pid } $host->workers, $host->workers(old => 1);
    CORE::kill 'CONT', $pid if $there;

    return $there ? "worker $pid" : 'killed meanwhile';
}

sub restart {
    my ($self, $event) = @_;
    $self->{record}->trouble_begins('*');
    $event->{how} ? $self->{redis}->stop : $self->{redis}->kill9;
    return 1;
}

sub started {
    my ($self) = @_;
    $self->{redis}->start if !$self->{redis}->pid;
    $self->{record}->trouble_ends('*');
    return 1;
}

sub freeze {
    my ($self) = @_;
    $self->{record}->trouble_begins('*');
    return $self->{redis}->freeze;
}

sub thaw {
    my ($self) = @_;
    $self->{redis}->thaw;
    $self->{record}->trouble_ends('*');
    return 1;
}

sub _network {
    my ($self, $event, $word) = @_;
    my $name = $self->{hosts}[$event->{host}]{name};

    $self->{proxies}[$event->{host}]->tell($word);
    $self->{record}->trouble_begins($name) if $word ne 'heal';
    $self->{record}->trouble_ends($name) if $word =~ /^(?:heal|cut)$/;

    return 1;
}

sub cut    { return $_[0]->_network($_[1], 'cut') }
sub refuse { return $_[0]->_network($_[1], 'refuse') }
sub half   { return $_[0]->_network($_[1], 'half') }
sub deaf   { return $_[0]->_network($_[1], 'deaf') }
sub heal   { return $_[0]->_network($_[1], 'heal') }

sub delay {
    my ($self, $event) = @_;
    return $self->_network($event, "delay $event->{ms}");
}

sub forget {
    my ($self) = @_;
    my $redis = $self->{redis};

    # a Redis that is frozen would keep us waiting
    return 0 if $redis->{frozen} || !$redis->pid;
    return eval { $redis->command('SCRIPT', 'FLUSH') } ? 1 : 0;
}

# Everything works again.

sub mend {
    my ($self) = @_;

    $self->resume({ host => $_ }) for keys %{ $self->{hung} };
    return if !$self->{redis};

    $self->thaw;
    $self->started;
    $self->heal({ host => $_ }) for 0 .. $#{ $self->{proxies} };

    return;
}

sub stop {
    my ($self) = @_;
    $_->stop for @{ $self->{proxies} };
    return;
}

1;
