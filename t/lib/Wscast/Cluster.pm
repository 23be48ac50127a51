package Wscast::Cluster;

# A Redis Cluster of real servers on free loopback ports: three masters, each
# with a replica, unless something else is asked for.
#
#   my $cluster = Wscast::Cluster->new;
#   $cluster->url                           redis+cluster://127.0.0.1:...
#   my $node = $cluster->owner('a:channel');
#   $node->command('INFO');                 it is a Wscast::Redis
#
#   my $new = $cluster->kill_master($node); kill -9, until its replica is one
#   $cluster->restart($node);               it comes back as a replica
#   $cluster->failover($node);              asked for: CLUSTER FAILOVER
#   $cluster->move_slot($slot, $to, halfway => sub { ... });
#   $cluster->move_slots($from, $to, 100);
#   my $seventh = $cluster->add_node;
#   $cluster->remove_node($seventh);
#   $cluster->count('errorstat_MOVED')      over all nodes
#
# Options: masters (3), replicas (of each, 1), timeout (ms, 1000), args (more
# words for the command lines), auth (see Wscast::Redis), sharded => 0 (without
# SPUBLISH and SSUBSCRIBE, as before Redis 7), tls => { CERT, KEY }: files.  The
# code in $cluster->{meanwhile} is called again and again where it waits.
#
# Who is asked is asked on the plain port, with TLS as well.

use strict;
use warnings;

use Time::HiRes qw(time);
use Wscast ();

sub new {
    my ($class, %option) = @_;
    my $self = bless {
        masters => 3, replicas => 1, timeout => 1000, %option, nodes => [],
    }, $class;

    my $begun = time;
    my @masters  = map { $self->_start } 1 .. $self->{masters};
    my @replicas = map { $self->_start } 1 .. $self->{replicas} * @masters;

    $self->_share_out(@masters);
    $self->_introduce($_) for @masters, @replicas;
    $self->_wait(sub { $self->_acquainted }, 'nodes do not meet');

    for my $n (0 .. $#replicas) {
        my $master = $masters[$n % @masters];
        $replicas[$n]->command('CLUSTER', 'REPLICATE', $master->{id});
    }

    $self->settle;
    $self->{took} = time - $begun;

    return $self;
}

# -- one node ------------------------------------------------------------

sub _start {
    my ($self) = @_;
    my $bus  = Wscast::free_port();
    my @args = (
        '--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf',
        '--cluster-node-timeout', $self->{timeout}, '--cluster-port', $bus,
        '--cluster-replica-validity-factor', 0,
        '--cluster-allow-replica-migration', 'no',
        '--repl-diskless-sync-delay', 0, '--shutdown-timeout', 0,
    );
    my $tls;

    if ($self->{tls}) {
        $tls = Wscast::free_port();
        push @args, '--tls-port', $tls, '--tls-cluster', 'yes',
            '--tls-replication', 'yes', '--tls-auth-clients', 'no',
            '--tls-cert-file', $self->{tls}{CERT},
            '--tls-key-file', $self->{tls}{KEY},
            '--tls-ca-cert-file', $self->{tls}{CERT};
    }

    if (!($self->{sharded} // 1)) {
        push @args, '--rename-command', 'SPUBLISH', '',
            '--rename-command', 'SSUBSCRIBE', '';
    }

    if (my $auth = $self->{auth}) {
        push @args, '--masterauth', $auth->[-1];
        push @args, '--masteruser', $auth->[0] if @$auth > 1;
    }

    my $node = Wscast::redis(args => [@args, @{ $self->{args} // [] }],
        auth => $self->{auth});
    @$node{qw(bus tls_port)} = ($bus, $tls);
    $node->{id} = $node->command('CLUSTER', 'MYID');
    push @{ $self->{nodes} }, $node;

    return $node;
}

sub _share_out {
    my ($self, @masters) = @_;
    my $each = 16384 / @masters;

    for my $n (0 .. $#masters) {
        my ($from, $to) = (int $each * $n, int($each * ($n + 1)) - 1);
        $masters[$n]->command('CLUSTER', 'ADDSLOTS', $from .. $to);
        $masters[$n]->command('CLUSTER', 'SET-CONFIG-EPOCH', $n + 1);
    }

    return;
}

# All of them at once: gossip would take its time.

sub _introduce {
    my ($self, $node) = @_;

    for my $other ($self->up) {
        next if $other == $node;
        $node->command('CLUSTER', 'MEET', '127.0.0.1',
            $other->{tls_port} // $other->port, $other->{bus});
    }

    return;
}

sub _acquainted {
    my ($self) = @_;
    my @up = $self->up;

    for my $node (@up) {
        my %known = map { $_->{id} => $_ } $self->view($node);
        return 0 if grep { /handshake/ } map { $_->{flags} } values %known;
        return 0 if grep { !$known{ $_->{id} } } @up;
    }

    return 1;
}

sub _wait {
    my ($self, $condition, $what) = @_;

    my $meanwhile = $self->{meanwhile} // sub { };

    return Wscast::wait_until(sub { $meanwhile->(); $condition->() }, 30)
        || die "cluster: $what\n" . join "\n", map { $_->{line} }
            $self->view(($self->up)[0]);
}

# Says something to a node that may just have cut its clients.

sub ask {
    my ($self, $node, @words) = @_;
    my $end = time + Wscast::scale(10);

    while (1) {
        my $said = eval { [$node->command(@words)] };
        return $said->[0] if $said;
        my $why = $@;
        delete $node->{link} if $why =~ /connection lost|no answer|redis: \w+ /;
        die $why if time > $end || $why !~ /connection lost|refused|LOADING/;
    }
}

# -- who is who ----------------------------------------------------------

sub nodes { return @{ $_[0]{nodes} } }

# Those that run and are not frozen.

sub up { return grep { $_->pid && !$_->{frozen} } $_[0]->nodes }

sub url {
    my ($self, $user) = @_;
    my $list = join ',', map { '127.0.0.1:' . ($_->{tls_port} // $_->port) }
        $self->nodes;

    return ($self->{tls} ? 'rediss' : 'redis') . '+cluster://'
        . (defined $user ? "$user\@" : '') . $list;
}

# What a node knows of all: id, flags, master (an id), slots ([from, to], ...),
# and the line of CLUSTER NODES.

sub view {
    my ($self, $node) = @_;
    my @view;

    for my $line (split /\n/, $self->ask($node, 'CLUSTER', 'NODES')) {
        my ($id, $at, $flags, $master, undef, undef, $epoch, $link, @slots)
            = split / /, $line;
        push @view, {
            id => $id, flags => $flags, master => $master, line => $line,
            link  => $link, epoch => $epoch,
            slots => [map { /^(\d+)(?:-(\d+))?$/ ? [$1, $2 // $1] : () }
                @slots],
        };
    }

    return @view;
}

sub _by_id {
    my ($self, $id) = @_;
    my ($node) = grep { $_->{id} eq $id } $self->nodes;
    return $node // die "no node $id\n";
}

sub masters {
    my ($self) = @_;
    return map { $self->_by_id($_->{id}) }
        grep { $_->{flags} =~ /master/ && @{ $_->{slots} } }
        $self->view(($self->up)[0]);
}

sub replicas {
    my ($self, $master) = @_;
    return map { $self->_by_id($_->{id}) }
        grep { $_->{flags} =~ /slave/ && $_->{flags} !~ /fail/
            && $_->{master} eq $master->{id} }
        $self->view(($self->up)[0]);
}

# The slot of a key or a channel: CRC16 of what stands in its first braces.

sub slot {
    my (undef, $name) = @_;
    my $crc = 0;

    $name = $1 if $name =~ /^[^{]*\{([^}]+)\}/s;

    for my $byte (unpack 'C*', $name) {
        $crc ^= $byte << 8;
        $crc = ($crc & 0x8000 ? $crc << 1 ^ 0x1021 : $crc << 1) & 0xffff
            for 1 .. 8;
    }

    return $crc % 16384;
}

sub owner {
    my ($self, $what, $asked) = @_;
    my $slot = $what =~ /^\d+$/ ? $what : $self->slot($what);

    for my $known ($self->view($asked // ($self->up)[0])) {
        next if $known->{flags} !~ /master/;
        return $self->_by_id($known->{id})
            if grep { $_->[0] <= $slot && $slot <= $_->[1] }
                @{ $known->{slots} };
    }

    return;
}

# -- until all is well ---------------------------------------------------

# Every node has the same map, misses nobody, and replicas have what they are
# replicas of.

sub settled {
    my ($self) = @_;
    my (%maps, @up) = ();

    @up = $self->up;

    for my $node (@up) {
        return 0 if $self->ask($node, 'CLUSTER', 'INFO')
            !~ /^cluster_state:ok/m;
        my @view = $self->view($node);
        my %here = map { $_->{id} => $_ } @view;
        return 0 if grep { !$here{ $_->{id} } || $here{ $_->{id} }{flags}
            =~ /fail|handshake/ } @up;
        # who does not know the others' epochs yet may give a slot away in vain
        $maps{ join ' ', sort map { my $v = $_;
            map { "@$_ $v->{id} $v->{epoch}" } @{ $v->{slots} } } @view } = 1;

        my $role = $self->ask($node, 'ROLE');
        return 0 if $role->[0] eq 'slave' && $role->[3] ne 'connected';
    }

    return keys %maps == 1;
}

sub settle {
    my ($self) = @_;
    return $self->_wait(sub { $self->settled }, 'it does not settle');
}

# The replicas of a master have everything that it has.

sub caught_up {
    my ($self, $master) = @_;

    return $self->_wait(sub {
        my $info = $self->ask($master, 'INFO', 'replication');
        my ($offset) = $info =~ /^master_repl_offset:(\d+)/m;
        my @at = $info =~ /^slave\d+:.*state=online,offset=(\d+)/mg;
        return @at && !grep { $_ < $offset } @at;
    }, 'a replica does not catch up');
}

# -- failures ------------------------------------------------------------

# Until all that are left agree on who has the slots of a node now.

sub promoted {
    my ($self, $old) = @_;
    my $new;

    return eval {
        my %now;

        for my $node ($self->up) {
            next if $node == $old;
            return 0 if $self->ask($node, 'CLUSTER', 'INFO')
                !~ /^cluster_state:ok/m;
            $new = $self->owner($old->{had}, $node) or return 0;
            $now{ $new->port } = 1;
        }

        keys %now == 1 && $new != $old && $new;
    };
}

# Remembers one of the slots of a master.

sub _note {
    my ($self, $master) = @_;
    my ($known) = grep { $_->{id} eq $master->{id} }
        $self->view(($self->up)[0]);
    $master->{had} = $known->{slots}[0][0];
    return;
}

sub kill_begin {
    my ($self, $master) = @_;
    $self->_note($master);
    return $master->kill9;
}

sub freeze_begin {
    my ($self, $master) = @_;
    $self->_note($master);
    delete $master->{link};
    return $master->freeze;
}

sub kill_master {
    my ($self, $master) = @_;
    $self->kill_begin($master);
    return $self->_wait(sub { $self->promoted($master) }, 'no promotion');
}

sub thaw {
    my ($self, $node) = @_;
    delete $node->{link};
    return $node->thaw;
}

sub restart {
    my ($self, $node) = @_;
    $node->start;
    return $self->settle;
}

sub failover {
    my ($self, $master) = @_;
    my ($replica) = $self->replicas($master);

    $self->_note($master);
    $self->ask($replica, 'CLUSTER', 'FAILOVER');
    my $new = $self->_wait(sub {
        my $now = eval { $self->owner($master->{had}, $replica) };
        $now && $now == $replica && $now;
    }, 'no failover');
    $self->settle;

    return $new;
}

# -- slots ---------------------------------------------------------------

sub _setslot {
    my ($self, $node, $slot, @state) = @_;
    return $self->ask($node, 'CLUSTER', 'SETSLOT', $slot, @state);
}

sub _migrate {
    my ($self, $from, $to, @keys) = @_;
    my @auth = @{ $self->{auth} // [] };

    @auth = (@auth > 1 ? 'AUTH2' : 'AUTH', @auth) if @auth;

    return $self->ask($from, 'MIGRATE', '127.0.0.1',
        $to->{tls_port} // $to->port, '', 0, 5000, @auth, 'KEYS', @keys);
}

# Who says himself that a slot is his: others may not have heard of it yet.

sub _holder {
    my ($self, $slot) = @_;
    my ($node) = grep {
        my ($own) = grep { $_->{flags} =~ /myself/ } $self->view($_);
        $own->{flags} =~ /master/ && grep {
            $_->[0] <= $slot && $slot <= $_->[1]
        } @{ $own->{slots} };
    } $self->up;
    return $node;
}

# As redis-cli --cluster reshard does it.  Called, if given, with the keys that
# are left: begun, when both know, and halfway, after each key.

sub move_slot {
    my ($self, $slot, $to, %call) = @_;
    my $from = $self->_holder($slot) // die "slot $slot has no owner\n";

    return if $from == $to;

    $self->_setslot($to, $slot, 'IMPORTING', $from->{id});
    $self->_setslot($from, $slot, 'MIGRATING', $to->{id});
    $call{begun}->() if $call{begun};

    while (1) {
        my $n = $call{halfway} ? 1 : 100;
        my $keys = $self->ask($from, 'CLUSTER', 'GETKEYSINSLOT', $slot, $n);
        last if !@$keys;
        $self->_migrate($from, $to, @$keys);
        $call{halfway}->() if $call{halfway};
    }

    # first who gets it, so that nobody is without an owner
    for my $node ($to, $from, grep { $_ != $to && $_ != $from } $self->up) {
        next if $self->ask($node, 'ROLE')->[0] ne 'master';
        $self->_setslot($node, $slot, 'NODE', $to->{id});
    }

    return $from;
}

# The first so many slots of a node, or all; step is called after each.

sub move_slots {
    my ($self, $from, $to, $count, $step) = @_;
    my ($known) = grep { $_->{id} eq $from->{id} }
        $self->view(($self->up)[0]);
    my @slots = map { $_->[0] .. $_->[1] } @{ $known->{slots} };

    splice @slots, $count if defined $count && @slots > $count;

    for my $slot (@slots) {
        $self->move_slot($slot, $to);
        $step->() if $step;
    }

    return @slots;
}

sub add_node {
    my ($self) = @_;
    my $node = $self->_start;

    $self->_introduce($node);
    $self->_wait(sub { $self->_acquainted }, 'a new node does not get in');
    $self->settle;

    return $node;
}

# One that has no slots any more.

sub remove_node {
    my ($self, $node) = @_;

    $self->{nodes} = [grep { $_ != $node } $self->nodes];
    $self->ask($_, 'CLUSTER', 'FORGET', $node->{id}) for $self->up;
    $self->ask($node, 'CLUSTER', 'RESET', 'HARD');
    $node->stop;

    return $self->settle;
}

# -- what they have counted ----------------------------------------------

# errorstat_MOVED, cmdstat_spublish, ... since each of them was started; of all
# that run, or of some.

sub count {
    my ($self, $name, @of) = @_;
    my $section = $name =~ /^errorstat/ ? 'errorstats' : 'commandstats';
    my $sum = 0;

    for my $node (@of ? @of : $self->up) {
        $sum += $1 if $self->ask($node, 'INFO', $section)
            =~ /^\Q$name\E:(?:count|calls)=(\d+)/m;
    }

    return $sum;
}

# The clients of a node that are not nodes, nor ask here.

sub clients {
    my ($self, $node) = @_;
    my $own = $node->{link} ? $node->{link}->sockport : 0;

    return grep { !/ flags=[^ ]*[MS]/ && !/ addr=\S+:$own / && /\S/ }
        split /\n/, $self->ask($node, 'CLIENT', 'LIST');
}

1;
