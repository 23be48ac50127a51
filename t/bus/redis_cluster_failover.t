# A cluster whose masters are replaced, die, stand still, and are all gone,
# while two hosts publish to channels of all of them.

use lib 't/lib';
use Wscast;
use Wscast::Api;
use Wscast::Cluster;
use Wscast::Streams;
use Time::HiRes qw(time sleep);

# FAILOVERS=20: as many of each kind.
my $FAILOVERS = $ENV{FAILOVERS} // 3;

# What is killed comes back with its data.
my $cluster = Wscast::Cluster->new(args => [qw(--appendonly yes
    --cluster-require-full-coverage no)]);

my $CONF = <<'CONF';
wscast_hub chat {
    zone             32m;
    redis            %%URL%%;
    redis_timeout    1s 3s;
    redis_reconnect  50ms 300ms;

    channel  kept:*  { history 5000 10m; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /ws {
        wscast              chat;
        wscast_allow        all "*";
        wscast_send_buffer  16m;
        wscast_drain        10d;
        wscast_ping         off;
    }

    location /api/  { wscast_api chat; }
    location /other { return 200 "still served"; }
}
CONF

$CONF =~ s/%%URL%%/$cluster->url/e;

my @hosts = map { host($CONF, name => "host $_", trim => 1) } 'one', 'two';
my ($one, $two) = @hosts;
my @kept  = map { "kept:$_" } 1 .. 12;
my @plain = map { "room:$_" } 1 .. 12;

my $streams = Wscast::Streams->new(hosts => \@hosts, kept => \@kept,
    plain => \@plain);

$streams->begin;
ok($streams->alive($_), "$_->{name}: all channels are alive") for @hosts;

# While the servers are busy with themselves everybody goes on talking.

$cluster->{meanwhile} = sub { $streams->run(0.03) };

sub owned {
    my ($node) = @_;
    return grep { $cluster->owner("wscast:chat:$_") == $node } @kept, @plain;
}

# What they hold when nobody talks, and that it is the same again.

my @held = map { $_->holds } @hosts;

sub held_no_more {
    my ($name) = @_;

    $streams->hush;

    for my $n (0 .. $#hosts) {
        ok($hosts[$n]->holds_no_more($held[$n]), "$name: $hosts[$n]{name} "
            . 'holds no more memory, descriptors and zone than before');
    }

    return;
}

# What has been a master is asked for nothing any more.

sub left_alone {
    my ($old, $name) = @_;
    my @asked = qw(spublish ssubscribe eval evalsha);
    my $sum = sub {
        my $n = 0;
        $n += $cluster->count("cmdstat_$_", $old) for @asked;
        return $n;
    };

    my $before = $sum->();
    ok($streams->alive($_), "$name: $_->{name} goes on") for @hosts;
    is($sum->() - $before, 0, '... and leaves the former master alone');

    return;
}

# -- failovers that are asked for ----------------------------------------

for my $time (1 .. $FAILOVERS) {
    my $old = ($cluster->masters)[$time % 3];
    my $new;

    $streams->talk(rate => 300, voices => 4);
    $streams->run(0.3);
    $new = $cluster->failover($old);
    $streams->run(0.3);

    my $name = "asked for, $time";
    ok($streams->finish, "$name: a replica takes over, and all arrives");
    is($streams->refused, 0, '... nothing was refused')
        || diag(explain($streams->{reasons}));
    is($streams->ends, 0, '... nobody is closed');

    $streams->whole($name);
    $streams->orderly($name);
    left_alone($old, $name);
    held_no_more($name);
}

# -- a server that for a moment does not know whose a slot is ------------

# As one that has just become a replica: it is told in the next moment.

{
    my ($asked) = grep {
        grep { /\bcmd=cluster\|slots\b/ } $cluster->clients($_)
    } $cluster->up;
    my ($channel) = grep {
        $cluster->owner("wscast:chat:$_") != $asked
    } @kept;
    my $slot = $cluster->slot("wscast:chat:$channel");
    my $asks = $cluster->count('cmdstat_cluster|slots', $asked);

    $streams->talk(rate => 300, voices => 4);
    ok(wait_until(sub {
        eval { $cluster->ask($asked, qw(CLUSTER DELSLOTS), $slot) };
        $streams->run(0.005);
        return $cluster->count('cmdstat_cluster|slots', $asked) > $asks;
    }, 20), 'a server that does not know an owner is asked for all');
    $streams->run(0.5);
    ok($streams->finish, '... all arrives');
    is($streams->refused, 0, '... nothing was refused')
        || diag(explain($streams->{reasons}));
    $streams->whole('an owner was not known');
    $cluster->settle;
}

# -- masters that die ----------------------------------------------------

for my $time (1 .. $FAILOVERS) {
    my $old = ($cluster->masters)[$time % 3];
    my %hers = map { $_ => 1 } owned($old);
    my $name = "killed, $time";

    # all that was taken is with the replica; what comes then is said again
    # until there is another master
    $streams->talk(rate => 200, voices => 4, keys => 1);
    $streams->run(0.3);
    ok($streams->pause, "$name: all is answered");
    $cluster->caught_up($old);
    $cluster->kill_begin($old);
    my $killed = time;
    $streams->go_on;
    $cluster->_wait(sub { $cluster->promoted($old) }, 'no promotion');
    ok($streams->listen(sub {
        !grep { $_->hub->{redis_up} != 1 } @hosts
    }), '... a replica takes over');
    ok($streams->finish, '... and all arrives, however often it was said');
    diag(sprintf '%.1f s', time - $killed) if $ENV{WSCAST_VERBOSE};
    is($streams->ends, 0, '... nobody is closed');
    is($streams->refused(grep { !$hers{$_} } @kept, @plain), 0,
        '... channels of other servers go on meanwhile')
        || diag(explain($streams->{reasons}));
    $streams->whole($name);

    $cluster->restart($old);
    is(($cluster->ask($old, 'ROLE'))->[0], 'slave',
        '... the old master comes back as a replica');
    left_alone($old, $name);
    held_no_more($name);
}

# -- one that dies with messages that its replica has not ----------------

{
    my $old = ($cluster->masters)[0];

    $streams->talk(rate => 1000, voices => 4);
    $streams->run(0.5);
    $cluster->kill_master($old);
    ok($streams->finish, 'killed while busy: all channels are alive again');
    $streams->whole('killed while busy', told => 1);
    is($streams->ends, 0, '... nobody is closed');
    $cluster->restart($old);
    held_no_more('killed while busy');
}

# -- one that stands still -----------------------------------------------

{
    my $old = ($cluster->masters)[1];
    my ($kept) = grep { /kept/ } owned($old);
    my $late = 0;

    $streams->talk(rate => 200, voices => 4, keys => 1);
    $streams->run(0.3);
    $streams->pause;
    $cluster->caught_up($old);
    $cluster->freeze_begin($old);

    my $begun = time;
    my $r = api($one, POST => "channels/$kept", body => 1);
    cmp_ok(time - $begun, '<', scale(5),
        'a master that stands still: a publish is answered by the timeout');

    $streams->go_on;
    $cluster->_wait(sub { $cluster->promoted($old) }, 'no promotion');
    ok($streams->finish, '... a replica takes over, and all arrives');
    is($streams->ends, 0, '... nobody is closed');
    $streams->whole('frozen');

    $cluster->thaw($old);
    $cluster->settle;
    is(($cluster->ask($old, 'ROLE'))->[0], 'slave',
        '... when it goes on it is a replica');
    left_alone($old, 'frozen');
    is($streams->sum('told'), 0, '... and nobody is told of a loss');
    held_no_more('frozen');
}

# -- a master without a replica ------------------------------------------

sub refuses {
    my ($host, $channel, $name) = @_;
    my $begun;

    # what is on its way when it happens may still be taken
    my $r = wait_until(sub {
        $begun = time;
        my $r = api($host, POST => "channels/$channel", body => '"lost?"');
        $r->{status} == 503 && $r;
    }, 10);
    ok($r, "$name: a publish is answered 503") || return;
    cmp_ok(time - $begun, '<', scale(5), '... in time');

    return;
}

{
    my $old = ($cluster->masters)[2];
    my ($replica) = $cluster->replicas($old);
    my ($hers)   = owned($old);
    my ($others) = grep { $cluster->owner("wscast:chat:$_") != $old } @kept;

    $streams->talk(rate => 200, voices => 4, keys => 1);
    $streams->run(0.3);
    $replica->kill9;
    $cluster->kill_begin($old);

    refuses($_, $hers, "$_->{name}, a third of the cluster is gone")
        for @hosts;
    is(api($one, POST => "channels/$others", body => '"there"')->{status}, 200,
        '... channels of the rest go on');
    is($one->http('GET', '/other')->{body}, 'still served',
        '... as does all else');

    # by default the others then refuse what has keys
    $cluster->ask($_, qw(CONFIG SET cluster-require-full-coverage yes))
        for $cluster->up;
    refuses($_, $others, "$_->{name}, with full coverage demanded")
        for @hosts;

    $_->start for $old, $replica;
    $cluster->settle;
    ok($streams->finish(60), 'when it is back all arrives');
    is($streams->ends, 0, '... nobody is closed');
    $streams->whole('a third was gone');
    held_no_more('a third was gone');
}

# -- all of them ---------------------------------------------------------

{
    $streams->hush;
    $_->kill9 for $cluster->nodes;
    refuses($_, 'room:1', "$_->{name}, the cluster is gone") for @hosts;

    my $begun = time;
    my $late = host($CONF, name => 'the host that is early');
    is($late->http('GET', '/other')->{body}, 'still served',
        'nginx starts while the cluster is down');
    $late->reload;
    refuses($late, 'room:1', 'after a reload');
    good_config('nginx -t is content meanwhile', $CONF);

    my $ws = $late->ws('/ws', timeout => 20);
    is($ws->recv_json->{type}, 'welcome', 'clients are taken on');
    is($ws->ask({ type => 'ping' })->{type}, 'pong', '... and answered');
    is($ws->ask({ type => 'subscribe', channel => 'kept:1' })->{type},
        'subscribed', '... and subscribed');

    $_->start for $cluster->nodes;
    $cluster->settle;
    ok($streams->alive($_, 60), "$_->{name} finds it when it is back")
        for @hosts, $late;

    my $heard = 0;
    ok(gather([$ws], message => sub { $heard ||= $_[1]{data} =~ /"hello"/ },
        until => sub {
            api($one, POST => 'channels/kept:1', body => '"hello"');
            $heard;
        }), '... and who came meanwhile hears what is said then');
    held_no_more('all were gone');

    is(join(' ', grep { /\[error\]/ && !/redis/ } split /\n/,
        $_->log_text), '', "$_->{name} complains of nothing else")
        for @hosts, $late;
    cmp_ok(scalar(() = $_->log_text =~ /\[error\]/g), '<',
        40 * (3 + $FAILOVERS), '... and not too often') for @hosts;
    $ws->drop;
}

$streams->leave;
done_testing();
