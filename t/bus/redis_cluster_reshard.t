# Slots that move to another server while everybody publishes to the channels
# in them: MOVED, ASK and TRYAGAIN are Redis' matter and ours, and nobody else's.

use lib 't/lib';
use Wscast;
use Wscast::Api;
use Wscast::Cluster;
use Wscast::Streams;
use Time::HiRes qw(time);

my $CONF = <<'CONF';
wscast_hub chat {
    zone             32m;
    redis            %%URL%%;
    redis_timeout    1s 4s;
    redis_reconnect  50ms 300ms;

    channel  kept:*  { history 5000 10m; presence on; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /ws {
        wscast              chat;
        wscast_allow        all "*";
        wscast_send_buffer  16m;
    }

    location /api/  { wscast_api chat; }
}
CONF

my @kept  = map { "kept:$_" } 1 .. 10;
my @plain = map { "room:$_" } 1 .. 10;
my ($cluster, $streams, @hosts);

sub begin {
    my (%option) = @_;

    $cluster = Wscast::Cluster->new(replicas => 0, timeout => 5000,
        %option);
    my $conf = $CONF =~ s/%%URL%%/$cluster->url/er;
    @hosts   = map { host($conf, name => "host $_") } 'one', 'two';
    $streams = Wscast::Streams->new(hosts => \@hosts, kept => \@kept,
        plain => \@plain);
    $streams->begin;
    ok($streams->alive($_), "$_->{name}: all channels are alive") for @hosts;

    return;
}

# Everybody goes on talking at each step of it.

sub move {
    my ($channel, $to) = @_;
    my $slot = $cluster->slot("wscast:chat:$channel");
    my $step = sub { $streams->run(0.04) };

    $cluster->settle;
    $to //= (grep { $_ != $cluster->owner($slot) } $cluster->masters)[0];

    return $cluster->move_slot($slot, $to, begun => $step, halfway => $step);
}

sub outcome {
    my ($name, %option) = @_;

    ok($streams->finish, "$name: all arrives");
    is($streams->refused, 0, '... nothing was refused')
        || diag(explain($streams->{reasons}));
    is($streams->ends, 0, '... nobody is closed');
    $streams->whole($name, %option);
    $streams->orderly($name) if !$option{twice};

    return;
}

begin();

# -- the slots of channels with and without history ----------------------

{
    $streams->talk(rate => 300, voices => 4);
    $streams->run(0.3);
    move($_) for @kept[0 .. 4];
    $streams->run(0.3);
    cmp_ok($cluster->count("errorstat_$_"), '>', 0, "$_ was answered")
        for 'MOVED', 'ASK', 'TRYAGAIN';
    outcome('slots with history move');

    $streams->talk(rate => 300, voices => 4);
    $streams->run(0.3);
    move($_) for @plain[0 .. 4];
    $streams->run(0.3);
    outcome('slots without history move');
}

# -- there and back, many times ------------------------------------------

{
    my $slot = $cluster->slot('wscast:chat:kept:6');
    my $home = $cluster->owner($slot);
    my ($away) = grep { $_ != $home } $cluster->masters;

    $streams->talk(rate => 300, voices => 4);

    for my $time (1 .. 6) {
        $cluster->move_slot($slot, $time % 2 ? $away : $home);
        $streams->run(0.1);
        $cluster->settle;
    }

    outcome('a slot that moves there and back');

    # within one answer of Redis
    $streams->talk(rate => 300, voices => 4);

    for my $time (1 .. 10) {
        $cluster->move_slot($slot, $time % 2 ? $away : $home);
        $cluster->settle;
    }

    $streams->run(0.2);
    outcome('... and as fast as the servers can follow');
}

# -- servers that send us to and fro -------------------------------------

{
    my $slot  = $cluster->slot('wscast:chat:room:10');
    my $home  = $cluster->owner($slot);
    my ($off) = grep { $_ != $home } $cluster->masters;
    my $moved = $cluster->count('errorstat_MOVED');

    # each of them says that the other has it
    $cluster->_setslot($home, $slot, 'NODE', $off->{id});
    my $begun = time;
    is(api($hosts[0], POST => 'channels/room:10', body => 'x')->{status}, 503,
        'if servers name each other a publish is answered 503');
    cmp_ok(time - $begun, '<', scale(9), '... in time');
    is(api($hosts[0], POST => 'channels/room:9', body => 'x')->{status}, 200,
        '... those to other channels are taken');
    $streams->run(1);
    $moved = $cluster->count('errorstat_MOVED') - $moved;
    cmp_ok($moved, '<', 2000, "... and nobody runs in circles: $moved");

    $cluster->_setslot($home, $slot, 'NODE', $home->{id});
    ok($streams->alive($_), '... and when they agree it goes on')
        for @hosts;

    # keys go to a server that does not want them
    my $ask  = $cluster->count('errorstat_ASK');
    my $keys = $cluster->slot('wscast:chat:kept:new');
    $home  = $cluster->owner($keys);
    ($off) = grep { $_ != $home } $cluster->masters;
    $cluster->_setslot($home, $keys, 'MIGRATING', $off->{id});
    $begun = time;
    is(api($hosts[0], POST => 'channels/kept:new', body => 'x')->{status}, 503,
        'the same of a slot that is sent to who does not take it');
    cmp_ok(time - $begun, '<', scale(9), '... in time');
    $ask = $cluster->count('errorstat_ASK') - $ask;
    cmp_ok($ask, '<', 200, "... nobody runs in circles: $ask");
    $cluster->_setslot($home, $keys, 'STABLE');
    is(api($hosts[0], POST => 'channels/kept:new', body => 'x')->{status}, 200,
        '... and when it stays it goes on');
}

# -- another server ------------------------------------------------------

{
    my @masters = $cluster->masters;
    my $n = 0;

    $cluster->{meanwhile} = sub { $streams->run(0.03) };
    $streams->talk(rate => 200, voices => 4);
    my $new = $cluster->add_node;

    $cluster->move_slots($_, $new, 60, sub {
        $streams->run(0.01) if $n++ % 10 == 0;
    }) for @masters;
    move($_, $new) for @kept[6 .. 9], @plain[6 .. 9];
    $streams->run(0.3);
    outcome('another server takes slots');
    is($cluster->owner('wscast:chat:kept:8'), $new, '... those of channels');

    # who begins now
    my $ws = $hosts[0]->ws('/ws');
    $ws->recv;
    is($ws->ask({ type => 'subscribe', channel => 'kept:8' })->{offset},
        api($hosts[1], GET => 'channels/kept:8')->{json}{offset},
        '... which tell their position there');
    $ws->drop;

    $streams->talk(rate => 200, voices => 4);
    $cluster->settle;
    $cluster->move_slots($new, $masters[0], undef, sub {
        $streams->run(0.01) if $n++ % 10 == 0;
    });

    # who has not published there since learns it within five seconds; a server
    # that goes before that is one that is lost
    my $gone = 'redis at 127.0.0.1:' . $new->port . ' has no slots any more';
    ok(wait_until(sub {
        $streams->run(0.1);
        return !grep {
            $_->workers != (() = $_->log_text =~ /\Q$gone\E/g)
        } @hosts;
    }, 20), '... and gives them back, and no worker needs it any more');
    $cluster->remove_node($new);
    $streams->run(0.3);
    outcome('... and goes');
}

# -- a migration that is not finished ------------------------------------

{
    my $slot = $cluster->slot('wscast:chat:kept:2');
    my $from = $cluster->owner($slot);
    my ($to) = grep { $_ != $from } $cluster->masters;

    $streams->talk(rate => 200, voices => 4);
    $cluster->_setslot($to, $slot, 'IMPORTING', $from->{id});
    $cluster->_setslot($from, $slot, 'MIGRATING', $to->{id});
    $streams->run(0.2);
    my $keys = $cluster->ask($from, 'CLUSTER', 'GETKEYSINSLOT', $slot, 100);
    $cluster->_migrate($from, $to, @$keys);
    $streams->run(1);
    ok($streams->pause, 'halfway all publishes are answered');
    $cluster->_setslot($_, $slot, 'STABLE') for $from, $to;
    $cluster->_setslot($_, $slot, 'NODE', $to->{id}) for $to,
        grep { $_ != $to } $cluster->masters;
    outcome('a migration that takes its time');
}

$streams->leave;
$_->closing_checks for @hosts;
$_->stop for $cluster->nodes;

# -- without sharded Pub/Sub ---------------------------------------------

begin(sharded => 0);
$streams->talk(rate => 300, voices => 4);
$streams->run(0.3);
move($_) for @kept[0 .. 2], @plain[0 .. 2];
$streams->run(0.3);
outcome('without SPUBLISH', twice => 1);
$streams->leave;

done_testing();
