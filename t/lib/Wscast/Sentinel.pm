package Wscast::Sentinel;

# Real sentinels on free loopback ports, which watch a master and its replicas
# and call it `main`.
#
#   my $sentinels = Wscast::Sentinel->new($master);
#   $sentinels->list                        127.0.0.1:...,127.0.0.1:...
#   my $port = $sentinels->master_port;     on which they agree, or 0
#   $sentinels->calm                        nothing is down, all are told of
#
#   my ($one) = $sentinels->all;            each of them is a Wscast::Redis
#   $one->command(qw(SENTINEL FAILOVER main));
#   $one->freeze;  $one->thaw;  $one->kill9;
#
# Options: count (3); conf, more lines of the configuration of each; auth (see
# Wscast::Redis); tls => { CERT, KEY }: files, and the servers are watched and
# named by their {tls_port}.
#
# Who is asked is asked on the plain port, with TLS as well.

use strict;
use warnings;

use POSIX ();
use Wscast ();

my $owner = $$;
my @started;

END {
    my $status = $?;

    if ($$ == $owner) {
        $_->kill9 for @started;
    }

    $? = $status;
}

sub new {
    my ($class, $master, %option) = @_;
    my $self = bless { count => 3, conf => [], %option, all => [] }, $class;

    $self->_start($master) for 1 .. $self->{count};

    for my $one ($self->all) {
        Wscast::wait_until(sub { eval { $one->command('PING') } }, 10)
            or die "sentinel did not start, see $one->{dir}/log\n";

        # what it does every 10 s, it shall do more often here; and it shall
        # not do nothing for 30 s when the machine has stood still for two
        $one->command(qw(SENTINEL DEBUG info-period 300 publish-period 200
            ask-period 200 ping-period 200 tilt-period 1000));
    }

    Wscast::wait_until(sub { $self->_acquainted }, 20)
        or die "sentinels do not meet\n";

    return $self;
}

sub _start {
    my ($self, $master) = @_;
    my $port = Wscast::free_port();
    my $dir  = Wscast::scratch() . "/sentinel$port";
    my $one  = bless { port => $port, dir => $dir, auth => $self->{auth} },
        'Wscast::Redis';
    my @tls;

    if (my $tls = $self->{tls}) {
        $one->{tls_port} = Wscast::free_port();
        @tls = ("tls-port $one->{tls_port}", 'tls-replication yes',
            'tls-auth-clients no', "tls-cert-file $tls->{CERT}",
            "tls-key-file $tls->{KEY}", "tls-ca-cert-file $tls->{CERT}");
    }

    mkdir $dir or die "mkdir $dir: $!\n";
    open my $out, '>', "$dir/conf" or die "$dir/conf: $!\n";
    print {$out} map { "$_\n" } "port $port", 'bind 127.0.0.1', "dir $dir",
        @tls, 'sentinel monitor main 127.0.0.1 '
            . ($self->{tls} ? $master->{tls_port} : $master->port) . ' 2',
        'sentinel down-after-milliseconds main 500',
        'sentinel failover-timeout main 1500', @{ $self->{conf} };
    close $out or die "$dir/conf: $!\n";

    my $program = Wscast::Redis::program('server');
    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>>', "$dir/log";
        open STDERR, '>&', \*STDOUT;
        { exec $program, "$dir/conf", '--sentinel' }
        POSIX::_exit(127);
    }

    $one->{pid} = $pid;
    push @started, $one;
    push @{ $self->{all} }, $one;

    return;
}

sub all { return @{ $_[0]{all} } }

sub list {
    my ($self) = @_;
    return join ',', map { '127.0.0.1:' . ($_->{tls_port} // $_->port) }
        $self->all;
}

# What one of them knows of the master.

sub about {
    my ($self, $one) = @_;
    return { @{ $one->command(qw(SENTINEL MASTER main)) } };
}

sub _acquainted {
    my ($self) = @_;

    for my $one ($self->all) {
        my $about = $self->about($one);
        return 0 if $about->{'num-other-sentinels'} < $self->{count} - 1
            || $about->{'num-slaves'} < 1;
    }

    return 1;
}

sub master_port {
    my ($self) = @_;
    my %told;

    for my $one (grep { $_->pid } $self->all) {
        my $addr = $one->command(
            qw(SENTINEL get-master-addr-by-name main));
        $told{ $addr->[1] } = 1;
    }

    return keys %told == 1 ? (keys %told)[0] : 0;
}

sub calm {
    my ($self) = @_;
    my ($one) = $self->all;

    return 0 if $self->about($one)->{flags} ne 'master';

    return !grep {
        my %replica = @$_;
        $replica{flags} ne 'slave' || $replica{'master-link-status'} ne 'ok';
    } @{ $one->command(qw(SENTINEL REPLICAS main)) };
}

1;
