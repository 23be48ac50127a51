package Wscast::Redis;

# A private redis-server, or valkey-server, on a free loopback port and a unix
# socket, and a client of its protocol that is just large enough for the tests.
#
#   my $redis = redis();
#   $redis->command('PUBLISH', 'wscast:chat:room:1', 'hello');
#   $redis->kill9;  $redis->start;  $redis->freeze;  $redis->thaw;
#
# Options: args, more words for the command line; auth, what to say with AUTH
# ([password], or [user, password]); stopped => 1, it is started later.
#
#   Wscast::Redis::program('server')        what is run; or 'cli', 'check-aof'

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(time sleep);

my $count = 0;

sub new {
    my ($class, %option) = @_;
    my $dir = Wscast::scratch() . '/redis' . ++$count;
    mkdir $dir or die "mkdir $dir: $!\n";

    my $self = bless {
        dir  => $dir,
        port => Wscast::free_port(),
        args => $option{args} // [],
        auth => $option{auth},
    }, $class;

    $self->start unless $option{stopped};

    return $self;
}

# What the environment names, or what is installed: Redis before Valkey.

sub program {
    my ($part) = @_;
    my @names = map { "$_-$part" } 'redis', 'valkey';

    if (my $server = $ENV{WSCAST_REDIS_SERVER}) {
        return $server if $part eq 'server';
        unshift @names, $server =~ s/server$/$part/r;
    }

    for my $name (@names) {
        return $name if grep { -f && -x } $name =~ m{/} ? $name
            : map { "$_/$name" } split /:/, $ENV{PATH};
    }

    die "neither redis-$part nor valkey-$part: `make deps` installs one\n";
}

sub port   { return $_[0]{port} }
sub socket { return "$_[0]{dir}/redis.sock" }
sub pid    { return $_[0]{pid} }

sub start {
    my ($self) = @_;

    delete $self->{link};

    my $program = program('server');
    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>>', "$self->{dir}/log";
        open STDERR, '>&', \*STDOUT;
        my @command = ($program, '--port', $self->{port},
            '--bind', '127.0.0.1', '--unixsocket', $self->socket,
            '--unixsocketperm', '777', '--dir', $self->{dir}, '--save', '',
            '--appendonly', 'no', '--daemonize', 'no', @{ $self->{args} });
        { exec @command }
        POSIX::_exit(127);
    }

    $self->{pid} = $pid;

    my $up = Wscast::wait_until(sub {
        return -1 if waitpid($pid, WNOHANG) == $pid;
        return eval { $self->command('PING') eq 'PONG' };
    }, 60);

    if (!$up || $up < 0) {
        die "$program did not start, see $self->{dir}/log\n";
    }

    return $self;
}

sub _end {
    my ($self, $signal) = @_;
    my $pid = delete $self->{pid} or return;

    delete $self->{link};
    kill $signal, $pid;

    my $gone = Wscast::wait_until(
        sub { waitpid($pid, WNOHANG) == $pid }, 5);

    if (!$gone) {
        kill 'KILL', $pid;
        waitpid $pid, 0;
    }

    return;
}

sub stop    { my ($self) = @_; $self->thaw; return $self->_end('TERM') }
sub kill9   { my ($self) = @_; return $self->_end('KILL') }
sub abandon { my ($self) = @_; return $self->_end('KILL') }

sub freeze {
    my ($self) = @_;
    $self->{frozen} = 1;
    return kill 'STOP', $self->{pid};
}

sub thaw {
    my ($self) = @_;
    return if !delete $self->{frozen} || !$self->{pid};
    return kill 'CONT', $self->{pid};
}

# Sends one command and returns its answer: a string, undef, or an array.

sub command {
    my ($self, @words) = @_;

    if (!$self->{link}) {
        $self->{link} = IO::Socket::INET->new(
            PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Timeout => 5,
        ) or die "redis: $!\n";
        $self->{in} = '';
        $self->_say('AUTH', @{ $self->{auth} }) if $self->{auth};
    }

    return $self->_say(@words);
}

sub _say {
    my ($self, @words) = @_;

    my $out = '*' . @words . "\r\n";
    $out .= '$' . length($_) . "\r\n$_\r\n" for @words;
    syswrite $self->{link}, $out;

    return $self->_reply;
}

sub _reply {
    my ($self) = @_;
    my $line = $self->_take(sub { $_[0] =~ /^(.*?)\r\n/s ? $+[0] : 0 });
    my ($type, $rest) = $line =~ /^(.)(.*)\r\n/s;

    return $rest if $type eq '+' || $type eq ':';
    die "redis: $rest\n" if $type eq '-';

    if ($type eq '$') {
        return if $rest < 0;
        my $bytes = $self->_take(
            sub { length $_[0] >= $rest + 2 ? $rest + 2 : 0 });
        return substr $bytes, 0, $rest;
    }

    die "redis: odd answer\n" if $type ne '*';

    return [map { scalar $self->_reply } 1 .. $rest];
}

sub _take {
    my ($self, $enough) = @_;
    my $end = time + 10;

    while (1) {
        my $n = $enough->($self->{in});
        return substr $self->{in}, 0, $n, '' if $n;

        IO::Select->new($self->{link})->can_read($end - time)
            or die "redis: no answer\n";
        sysread($self->{link}, $self->{in}, 65536, length $self->{in})
            or die "redis: connection lost\n";
    }
}

1;
