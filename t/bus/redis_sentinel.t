# redis+sentinel://: the master is found through the sentinels, and followed
# when it changes; who stays connected misses nothing on channels with history,
# or is told.

use lib 't/lib';
use Wscast;
use Wscast::Sentinel;
use JSON::PP ();
use Time::HiRes qw(time sleep);

# FAILOVERS=20: as many, however long it takes.
my $FAILOVERS = $ENV{FAILOVERS} // 5;
my $SECONDS   = $ENV{FAILOVERS} ? 3600 : 60;

# A server that changes its part cuts its clients, us included.

sub ask {
    my ($server, @words) = @_;

    return wait_until(sub {
        my $said = eval { $server->command(@words) };
        delete $server->{link} if !defined $said;
        return defined $said && [$said];
    }, 10)->[0];
}

# -- servers -------------------------------------------------------------

my $first = redis();
my $second = redis(args => ['--replicaof', '127.0.0.1 ' . $first->port]);
my %server = ($first->port => $first, $second->port => $second);

my $sentinels = Wscast::Sentinel->new($first);
my @sentinels = $sentinels->all;
my $list = $sentinels->list;

is(scalar @sentinels, 3, 'three sentinels watch a master and its replica');

my $CONF = <<"CONF";
wscast_hub chat {
    zone             16m;
    redis            redis+sentinel://$list/main/3;
    redis_timeout    500ms 1s;
    redis_reconnect  50ms 300ms;
    channel  kept:*  { history 1000 10m; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    wscast_ping  off;

    location /json {
        wscast        chat;
        wscast_allow  all "*";
    }

    location /api/ {
        wscast_api  chat;
    }
}
CONF

my @hosts = map { host($CONF, name => "host $_", trim => 1) } 'one', 'two';

sub post {
    my ($host, $channel, $body) = @_;
    my $r = $host->http('POST', "/api/channels/$channel", body => $body);
    $r->{json} = eval { JSON::PP::decode_json($r->{body}) } // {};
    return $r;
}

# Clients of a server that are ours: the others have flags of their own.

sub ours {
    my ($server) = @_;
    my $clients = ask($server, qw(CLIENT LIST));
    return scalar grep { / db=3 / && / flags=[NP] / } split /\n/, $clients;
}

# All connections of both hosts are with this server.

sub all_with {
    my ($server) = @_;
    return !(grep { !$_->has_redis } @hosts) && ours($server) == 6;
}

ok(wait_until(sub { $_->has_redis }), "$_->{name} finds the master")
    for @hosts;
is(ours($first), 6, 'all of its connections are with the master');
is(ours($second), 0, '... none with the replica');

# -- clients -------------------------------------------------------------

my @ws = map { my $h = $_; map { $h->ws('/json') } 1 .. 4 } @hosts;
my (%heard, %position, %told);

for my $ws (@ws) {
    $ws->recv;
    $ws->ask({ type => 'subscribe', channel => 'room:1' });
    my $said = $ws->ask({ type => 'subscribe', channel => 'kept:1' });
    $position{$ws} = [$said->{epoch}, $said->{offset}];
}

# On a channel with history each message follows the one before it, unless the
# client is told otherwise.

my $holes = 0;

sub hear {
    my ($ws, $m) = @_;
    my $event = JSON::PP::decode_json($m->{data});

    if ($event->{type} eq 'subscribed' && exists $event->{recovered}) {
        $told{$ws}++;
        $position{$ws} = [$event->{epoch}, $event->{offset}];

    } elsif ($event->{type} eq 'message' && $event->{channel} eq 'kept:1') {
        my ($epoch, $offset) = @{ $position{$ws} };
        $holes++ if $event->{epoch} ne $epoch
            || $event->{offset} != $offset + 1;
        $position{$ws} = [$event->{epoch}, $event->{offset}];
    }

    $heard{$ws}{ $event->{data} } = 1 if $event->{type} eq 'message';

    return;
}

sub listen_for {
    my ($seconds) = @_;
    return gather(\@ws, message => \&hear, timeout => $seconds,
        until => sub { 0 });
}

sub all_hear {
    my ($why) = @_;

    for my $channel ('room:1', 'kept:1') {
        for my $host (@hosts) {
            my $said = "$why $channel $host->{name}";
            my $r = post($host, $channel, $said);
            is($r->{status}, 200,
                "$why: $host->{name} publishes to $channel");

            # or are told of a position that is behind it
            ok(gather(\@ws, message => \&hear, timeout => 5, until => sub {
                !grep { !$heard{$_}{$said} && !($told{$_}
                    && $position{$_}[1] >= ($r->{json}{offset} // 'inf'))
                } @ws;
            }), '... and all hear it');
        }
    }

    return;
}

all_hear('at first');

# -- the master dies, again and again ------------------------------------

my $begun = time;
my $n = 0;
my @held = map { $_->holds } @hosts;

for my $time (1 .. $FAILOVERS) {
    my $old = $server{ $sentinels->master_port } or die "no master\n";
    my @acknowledged;

    # a message that was acknowledged may be lost with the master: then the
    # clients are told
    for (1 .. 20) {
        my $r = post($hosts[$_ % 2], 'kept:1', ++$n);
        push @acknowledged, $n if $r->{status} == 200;
    }

    # every other time the replica has it all
    my $even = $time % 2 == 0;
    if ($even) {
        ask($old, 'SET', 'all', $time);
        is(ask($old, 'WAIT', 1, 5000), 1, 'the replica is up to date');
    }

    %told = ();
    $old->kill9;
    my $killed = time;

    ok(wait_until(sub {
        listen_for(0.02);
        my $port = $sentinels->master_port;
        $port && $port != $old->port && all_with($server{$port});
    }, 20), sprintf 'failover %d: both hosts are with the new master', $time)
        || last;
    diag(sprintf '%.1f s', time - $killed) if $ENV{WSCAST_VERBOSE};

    all_hear("after failover $time");

    my @lost = grep { my $i = $_; grep { !$heard{$_}{$i} && !$told{$_} } @ws }
        @acknowledged;
    is("@lost", '', '... nothing acknowledged is missing without a word');

    is(scalar keys %told, 0, '... nor anything at all') if $even;

    # the old one comes back as a master, for a moment
    my $visits = 0;
    my $new = $server{ $sentinels->master_port };
    $old->start;
    ok(wait_until(sub {
        $visits += ours($old);
        ask($old, 'ROLE')->[0] eq 'slave';
    }, 20), '... the old master comes back, and becomes a replica');
    is($visits, 0, '... with none of us as its client');
    is(ours($new), 6, '... all connections stay with the new one');
    ok(wait_until(sub {
        my $role = ask($old, 'ROLE');
        $role->[0] eq 'slave' && $role->[3] eq 'connected';
    }, 20), '... of which it is a replica');
    ok(wait_until(sub { $sentinels->calm }, 20),
        '... as the sentinels know, too');

    last if time - $begun > $SECONDS;
}

is($holes, 0, 'on the channel with history no message was skipped');
for (0 .. 1) {
    ok($hosts[$_]->holds_no_more($held[$_]),
        "$hosts[$_]{name} holds no more memory, descriptors and zone than "
        . 'before');
}
is((grep { $_->{eof} } @ws), 0, 'no client was closed');

# -- a failover that is asked for ----------------------------------------

{
    my $old = $server{ $sentinels->master_port };
    my $reconnects = $hosts[0]->hub->{redis_reconnects_total};

    ok(wait_until(sub {
        eval { $sentinels[0]->command(qw(SENTINEL FAILOVER main)) eq 'OK' };
    }, 10), 'a failover is asked for');
    ok(wait_until(sub {
        listen_for(0.02);
        my $port = $sentinels->master_port;
        $port && $port != $old->port && all_with($server{$port});
    }, 20), '... and followed, though the old master lives');
    ok(wait_until(sub { ours($old) == 0 }), '... which is left alone');
    all_hear('after it was asked for');
    is($holes, 0, '... without a hole');
}

# -- a master that stands still, and goes on when there is another --------

{
    my $old = $server{ $sentinels->master_port };

    $old->freeze;
    delete $old->{link};
    ok(wait_until(sub {
        listen_for(0.02);
        my $port = $sentinels->master_port;
        $port && $port != $old->port && all_with($server{$port});
    }, 20), 'a master that stands still is replaced');
    all_hear('after it stood still');

    my $reconnects = $hosts[0]->hub->{redis_reconnects_total};
    $old->thaw;
    my $visits = 0;
    ok(wait_until(sub {
        $visits += ours($old);
        ask($old, 'ROLE')->[0] eq 'slave';
    }, 20), '... and when it goes on becomes a replica');
    is($visits, 0, '... with none of us as its client');
    is($hosts[0]->hub->{redis_reconnects_total}, $reconnects,
        '... which nobody here notices');
    all_hear('after it went on');
    is($holes, 0, '... without a hole');
}

# -- a master that is none any more, and nobody is told ------------------

{
    my $old = $server{ $sentinels->master_port };
    my ($new) = grep { $_ != $old } values %server;

    # the sentinels stand still, so that nobody cuts the connections
    $_->freeze for @sentinels;
    ask($old, 'REPLICAOF', '127.0.0.1', $new->port);
    ok(wait_until(sub {
        ours($old) == 0 || !grep { $_->has_redis } @hosts
    }, 10), 'a server that has become a replica is left');
    ok(wait_until(sub { $_->log_text =~ /is no master/ }),
        '... as the log tells') for @hosts;

    ask($old, 'REPLICAOF', 'NO', 'ONE');
    $_->thaw for @sentinels;
    ok(wait_until(sub { listen_for(0.02); all_with($old) }, 30),
        'with a master again all goes on');
    listen_for(0.5);
    all_hear('after it was none');
}

# -- a sentinel dies -----------------------------------------------------

{
    $sentinels[0]->kill9;

    my $master = $server{ $sentinels->master_port };
    ask($master, 'CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes')
        for 'normal', 'pubsub';
    ok(wait_until(sub { listen_for(0.02); all_with($master) }),
        'with one sentinel less the master is found');

    # one that is asked first by some, and does not answer
    $sentinels[1]->freeze;
    ask($master, 'CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes')
        for 'normal', 'pubsub';
    ok(wait_until(sub { listen_for(0.02); all_with($master) }),
        '... and with one that stands still');
    $sentinels[1]->thaw;

    my $late = host($CONF, name => 'the late one', workers => 1);
    ok(wait_until(sub { $late->hub->{redis_up} }), '... also by who begins');
    all_hear('with two sentinels');
}

$_->drop for @ws;

# -- who is asked does not know ------------------------------------------

{
    my $port = $sentinels[1]->port;

    for my $case (
        ["127.0.0.1:$port/other", qr/does not know the master/],
        ['127.0.0.1:' . $first->port . '/main',
            qr/SENTINEL answered "ERR unknown command/],
    ) {
        my $host = host(<<"CONF", workers => 1, name => $case->[0]);
wscast_hub chat {
    redis            redis+sentinel://$case->[0];
    redis_reconnect  20ms 100ms;
}
server { listen 127.0.0.1:%%PORT%%; location / { wscast chat; } }
CONF
        ok(wait_until(sub { $host->hub->{redis_reconnects_total} > 6 }),
            "$case->[0]: is asked again and again");
        like($host->log_text, qr/\[error\].*$case->[1]/, '... and told');
    }
}

# -- the configuration ---------------------------------------------------

sub hub { return "wscast_hub chat { redis $_[0]; }" }

good_config('one sentinel', hub('redis+sentinel://127.0.0.1/main'));
good_config('many, a user, a database',
    hub('redis+sentinel://u:p@127.0.0.1:1,127.0.0.1:2,127.0.0.1/main/7'));
bad_config('no master', hub('redis+sentinel://127.0.0.1:1'),
    qr/no master/, qr/redis\+sentinel/);
bad_config('no database', hub('redis+sentinel://127.0.0.1:1/main/x'),
    qr/invalid database/);
bad_config('an empty sentinel', hub('redis+sentinel://127.0.0.1,/main'),
    qr/redis\+sentinel/, qr/name a host/);
bad_config('a port that is none',
    hub('redis+sentinel://127.0.0.1:99999/main'),
    qr/invalid port/, qr/redis\+sentinel/);

done_testing();
