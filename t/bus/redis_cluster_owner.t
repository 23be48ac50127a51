# A server that is gone right after its slots have moved away, before anybody
# has heard of that.  What is published to them waits for who has them now, is
# taken there, in order and once, and is refused only if nobody has them.

use lib 't/lib';
use Wscast;
use Wscast::Api;
use Wscast::Cluster;
use Time::HiRes qw(time sleep);

# Nobody is missed by the others as long as this takes.
my $cluster = Wscast::Cluster->new(masters => 4, replicas => 0,
    timeout => 60_000, args => [qw(--cluster-require-full-coverage no)]);

my $CONF = <<'CONF';
wscast_hub chat {
    zone             16m;
    redis            %%URL%%;
    redis_timeout    1s 4s;
    redis_reconnect  50ms 300ms;

    channel  kept:*  { history 5000 10m; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /ws {
        wscast        chat;
        wscast_allow  all "*";
    }

    location /api/ { wscast_api chat; }
}
CONF

$CONF =~ s/%%URL%%/$cluster->url/e;

my $host = host($CONF, workers => 3);


# -- who asks whom -------------------------------------------------------

# Each worker asks a server for the owners of slots: by port, its connections.

sub scouts {
    my %scouts;

    for my $node ($cluster->up) {
        my @ids = map { /^id=(\d+)/ }
            grep { /\bcmd=cluster\|slots\b/ } $cluster->clients($node);
        $scouts{ $node->port } = \@ids if @ids;
    }

    return %scouts;
}

# Until so many servers are asked by all: who is sent away goes elsewhere.

sub arrange {
    my ($servers) = @_;

    return ok(wait_until(sub {
        my %at = scouts();
        my @ports = sort { @{ $at{$a} } <=> @{ $at{$b} } || $a <=> $b }
            keys %at;
        return 0 if $host->workers != map { @$_ } values %at;
        return 1 if @ports == $servers;
        my $port = $ports[@ports > $servers ? 0 : -1];
        my ($node) = grep { $_->port == $port } $cluster->up;
        $cluster->ask($node, qw(CLIENT KILL ID), $at{$port}[0]);
        sleep 0.2;
        return 0;
    }, 30), "all workers ask, $servers of the servers");
}

# -- who publishes -------------------------------------------------------

# So many that each worker has some.

my @voices = map { $host->ws('/ws') } 1 .. 12;
$_->recv_json for @voices;

sub on {
    my ($node, $prefix, $count) = @_;

    return (grep {
        $cluster->owner("wscast:chat:$_") == $node
    } map { "$prefix:$_" } 1 .. 60)[0 .. $count - 1];
}

sub all_taken {
    my ($name, @channels) = @_;

    return ok(wait_until(sub {
        !grep {
            my $ws = $_;
            grep {
                $ws->ask({ type => 'publish', channel => $_,
                    data => 'there' })->{type} ne 'published'
            } @channels;
        } @voices;
    }, 20), $name);
}

# Each says three things on each channel, and goes on without an answer.

sub say_on {
    my ($round, @channels) = @_;

    for my $v (0 .. $#voices) {
        for my $channel (@channels) {
            $voices[$v]->json({ type => 'publish', id => 'p',
                channel => $channel, data => "$round.$v.$_" }) for 1 .. 3;
        }
    }

    return;
}

# What has been answered, by kind, when so many have been, or after so long.

sub answers {
    my ($told, $count, $seconds) = @_;
    my $begun = time;

    gather(\@voices, timeout => 30,
        message => sub { $told->{$1}++ if $_[1]{data} =~ /"type":"(\w+)"/ },
        until => sub {
            my $all = 0;
            $all += $_ for values %$told;
            return $all >= $count || time - $begun > $seconds;
        });

    return join ' ', map { "$told->{$_} $_" } sort keys %$told;
}

# What was said in a round: by each voice, in this order.

sub said {
    my ($round, @messages) = @_;
    my %said;

    /^$round\.(\d+)\.(\d+)$/ && push @{ $said{$1} }, $2
        for map { $_->{data} } @messages;

    return \%said;
}

sub kept {
    my ($channel) = @_;
    my $r = api($host, GET => "channels/$channel/history?limit=1000");

    return @{ $r->{json}{messages} // [] };
}

# A client on these channels, which the host has followed to their new server.

sub listen_to {
    my ($new, @channels) = @_;
    my $ear = $host->ws('/ws');

    $ear->recv_json;
    $ear->ask({ type => 'subscribe', channel => $_ }) for @channels;

    return sub {
        ok(wait_until(sub {
            my %n = map { @{ $cluster->ask($new, qw(PUBSUB SHARDNUMSUB),
                "wscast:chat:$_") } } @channels;
            return !grep { !$_ } values %n;
        }), '... who listens has followed them');
        return $ear;
    };
}

# -- what happens --------------------------------------------------------

my $round = 0;

sub vanishes {
    my ($name, $busy, $heard) = @_;
    my %scouts = scouts();
    my ($old, $new) = grep { !$scouts{ $_->port } } $cluster->masters;
    my ($kept, $left) = on($old, 'kept', 2);
    my ($plain) = on($old, 'room', 1);
    my %told;

    all_taken("$name: all can be published to", $kept, $plain, $left);
    $round++;

    # who publishes is not told: who can be asked is busy
    my $ear = $heard && listen_to($new, $kept, $plain);
    $cluster->move_slot($cluster->slot("wscast:chat:$_"), $new)
        for $kept, $plain;
    $ear = $ear->() if $ear;
    $busy->freeze;
    delete $busy->{link};
    $old->kill9;

    my $all = 2 * 3 * @voices;
    say_on($round, $kept, $plain);
    unlike(answers(\%told, $all, 0.4), qr/error/,
        '... a server is gone whose slots have moved: nobody is refused');
    $busy->thaw;
    is(answers(\%told, $all, 10), "$all published", '... all is taken');

    my $said = { map { $_ => [1 .. 3] } 0 .. $#voices };
    is_deeply(said($round, kept($kept)), $said,
        '... by who has them now, once, and in order');

    if ($ear) {
        my %heard;
        push @{ $heard{ $_->{channel} } }, $_
            while $_ = eval { $ear->recv_json(0.5) };
        is_deeply(said($round, @{ $heard{$_} }), $said, "... so $_ is heard")
            for $kept, $plain;
        $ear->drop;
    }

    # what has not moved
    my $begun = time;
    %told = ();
    say_on($round, $left);
    is(answers(\%told, 3 * @voices, 10), 3 * @voices . ' error',
        '... what nobody has is refused');
    cmp_ok(time - $begun, '<', scale(2), '... in time');

    return ($old, $new, $kept);
}

sub comes_back {
    my ($name, @nodes) = @_;

    $_->start for @nodes;
    $cluster->settle;
    all_taken("$name: it goes on", on($_, 'kept', 1), on($_, 'room', 1))
        for $cluster->masters;

    return;
}

all_taken('all servers are there', map { on($_, 'kept', 1) }
    $cluster->masters);

{
    arrange(1);
    my %scouts = scouts();
    my ($busy) = grep { $scouts{ $_->port } } $cluster->up;
    my ($old, $new, $kept) = vanishes('all ask the same', $busy);

    # and nobody tells who has it
    my ($begun, %told) = (time);
    $busy->freeze;
    $new->kill9;
    say_on(++$round, $kept);
    is(answers(\%told, 3 * @voices, 10), 3 * @voices . ' error',
        'while nobody answers a publish is refused');
    cmp_ok(time - $begun, '<', scale(4), '... in time');
    $busy->thaw;
    comes_back('those that were gone are back', $old, $new);
}

# -- who subscribes learns it before the others, or behind them ----------

for my $turn (0 .. 3) {
    arrange(2);
    my %scouts = scouts();
    my $busy = (grep { $scouts{ $_->port } } $cluster->up)[$turn % 2];
    my ($old) = vanishes("some know, $turn", $busy, $turn > 1);
    comes_back('it is back', $old);
}

$_->drop for @voices;
done_testing();
