# A message that its publisher was told is taken, and that no host has heard and
# no replica has, when the master dies: it is lost, and this is told, also if
# its offset is given out again before anybody asks.

use lib 't/lib', 't/chaos';
use Wscast;
use Wscast::Api;
use Wscast::Cluster;
use Chaos::Proxy;
use JSON::PP ();
use Time::HiRes qw(time);

my $CONF = <<'CONF';
wscast_hub chat {
    zone             16m;
    redis            %%URL%%;
    redis_timeout    500ms 2s;
    redis_reconnect  %%PAUSE%%;
    channel  kept:*  { history 100 10m; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /ws {
        wscast        chat;
        wscast_allow  all "*";
    }

    location /api/ {
        wscast_api            chat;
        client_max_body_size  1m;
    }
}
CONF

sub conf {
    my ($url, $pause) = @_;
    return $CONF =~ s/%%URL%%/$url/r =~ s/%%PAUSE%%/$pause/r;
}

sub post {
    my ($host, $channel, $body) = @_;
    my $r = api($host, POST => "channels/$channel", body => $body);
    return $r->{status} == 200 && $r->{json};
}

sub hears {
    my ($host, $channel) = @_;
    my $ws = $host->ws('/ws', timeout => 20);
    $ws->recv_json;
    $ws->{at} = $ws->ask({ type => 'subscribe', channel => $channel })
        ->{offset};
    return $ws;
}

# What is heard until a message comes: "lost" for being told so, "gap" for a
# message that does not follow what was heard or told before, and the data.

sub until_heard {
    my ($ws, $data, $again) = @_;
    my @heard;

    gather([$ws], timeout => 20, until => sub {
        $again->() if $again;
        return @heard && $heard[-1] eq $data;
    }, message => sub {
        my $m = JSON::PP::decode_json($_[1]{data});

        if ($m->{type} eq 'subscribed' && !$m->{recovered}) {
            push @heard, 'lost';
        } elsif ($m->{type} eq 'message') {
            push @heard, 'gap' if $m->{offset} != $ws->{at} + 1;
            push @heard, $m->{data};
        } else {
            return;
        }

        $ws->{at} = $m->{offset};
    });

    return "@heard";
}

# Nobody of this host has Redis, and then everybody.

sub gone {
    my ($host) = @_;
    ok(wait_until(sub { !$host->hub->{redis_links} }),
        "$host->{name} has lost Redis");
    return;
}

sub back {
    my ($host) = @_;
    ok(wait_until(sub { $host->has_redis }), "$host->{name} has it again");
    return;
}

sub gaps { return $_[0]->hub->{gaps_total} }

sub told_in_log {
    my @lines = $_[0]->log_text =~ /kept:\w+", and perhaps of others, /g;
    return scalar @lines;
}

# -- one master and its replica ------------------------------------------

my ($master, $replica) = (redis(), redis());
my @proxies = map { Chaos::Proxy->new($master->port) } 1, 2;
my ($one, $two) = my @hosts = map {
    host(conf('redis://127.0.0.1:' . $proxies[$_]->port, '50ms 200ms'),
        name => 'host ' . (qw(one two))[$_])
} 0, 1;

sub replicate {
    $replica->command('REPLICAOF', '127.0.0.1', $master->port);
    ok(wait_until(sub {
        my $info = $master->command('INFO', 'replication');
        my ($offset) = $info =~ /^master_repl_offset:(\d+)/m;
        $info =~ /^slave0:.*state=online,offset=(\d+)/m && $1 == $offset;
    }), 'a replica has what its master has');
    return;
}

# From here on nothing comes to the hosts or the replica.

sub part {
    $replica->command('REPLICAOF', 'NO', 'ONE');
    $_->tell('mute') for @proxies;
    $_->obeyed for @proxies;
    return;
}

# The master dies; its place is taken for the hosts of these proxies.

sub succeed {
    $_->tell('refuse') for @proxies;
    $master->kill9;
    gone($_) for @hosts;
    $_->tell('to ' . $replica->port) for @proxies;
    return;
}

sub swap {
    ($master, $replica) = ($replica, $master);
    $replica->start;
    return;
}

ok(wait_until(sub { $_->has_redis }), "$_->{name} finds Redis") for @hosts;

# In peace nothing is fetched, and nobody is told anything.
{
    my @ws = map { hears($_, 'kept:peace') } @hosts;
    my $last;
    replicate();

    for my $n (1 .. 200) {
        $last = post($hosts[$n % 2], 'kept:peace', $n);
    }

    is(until_heard($_, 200), join(' ', 1 .. 200), 'all is heard') for @ws;
    is($last->{offset}, 200, '... with one offset each');
    is($_->hub->{caught_up_total} + gaps($_), 0,
        "$_->{name}: nothing had to be fetched") for @hosts;
    $_->drop for @ws;
}

# Nobody has published since.
{
    my ($here, $there) = map { hears($_, 'kept:a') } @hosts;
    my $before = post($one, 'kept:a', '"before"');
    is(until_heard($_, 'before'), 'before', 'a message is heard')
        for $here, $there;
    replicate();

    my @gaps = map { gaps($_) } @hosts;
    my $logged = told_in_log($one);

    part();
    my $lost = post($one, 'kept:a', '"lost"');
    is($lost->{offset}, $before->{offset} + 1, 'a message is taken');
    succeed();
    $_->tell('heal') for @proxies;

    is(until_heard($here, 'after', sub {
        post($two, 'kept:a', '"after"')
            if gaps($one) > $gaps[0] && $two->has_redis;
    }) =~ s/( after)+$//r, 'lost',
        'its host tells of the loss before anything is published');

    # a host that asks only after a message is told that this is the end
    my $last = time;
    like(until_heard($there, 'after', sub {
        return if time < $last + 1;
        $last = time;
        post($two, 'kept:a', '"after"');
    }), qr/^lost(?: after)+$/, '... the other one with the next message');
    ok(wait_until(sub { told_in_log($one) > $logged }), '... the log says so');
    is(gaps($hosts[$_]), $gaps[$_] + 1, "... $hosts[$_]{name} counts it")
        for 0, 1;

    back($one);
    my $next = post($one, 'kept:a', '"next"');
    isnt($next->{epoch}, $lost->{epoch}, '... another epoch has begun');
    $_->drop for $here, $there;
    swap();
}

# Who does not know gives the offset out again.
{
    my ($here, $there) = map { hears($_, 'kept:b') } @hosts;
    my $before = post($one, 'kept:b', '"before"');
    is(until_heard($_, 'before'), 'before', 'a message is heard')
        for $here, $there;
    replicate();
    part();

    my $lost = post($one, 'kept:b', '"lost"');
    succeed();
    $proxies[1]->tell('heal');
    back($two);

    my $again;
    ok($again = post($two, 'kept:b', '"again"'), 'another message is taken');
    is("$again->{epoch} $again->{offset}", "$lost->{epoch} $lost->{offset}",
        '... and gets the place of the lost one');
    is(until_heard($there, 'again'), 'again', '... where nobody knows of that');

    my $gaps = gaps($one);
    $proxies[0]->tell('heal');
    ok(wait_until(sub { gaps($one) > $gaps }), 'who knows finds out');
    back($one);
    my $next = post($two, 'kept:b', '"next"');
    is(until_heard($here, 'next'), 'lost next', '... and tells');
    is(until_heard($there, 'next'), 'lost next', '... the others, too');
    isnt($next->{epoch}, $lost->{epoch}, '... in another epoch');
    $_->drop for $here, $there;
    swap();
}

# So is it if nobody listens where it was published.
{
    my $there  = hears($two, 'kept:c');
    my $before = post($one, 'kept:c', '"before"');
    is(until_heard($there, 'before'), 'before', 'a message is heard');
    replicate();
    part();

    my $lost = post($one, 'kept:c', '"lost"');
    succeed();
    $proxies[1]->tell('heal');
    back($two);

    ok(post($two, 'kept:c', '"again"'), 'another message is taken');
    ok(post($two, 'kept:c', '"more"'), '... and one more');
    is(until_heard($there, 'more'), 'again more', '... and both are heard');
    $proxies[0]->tell('heal');
    back($one);

    my $next;
    ok($next = post($one, 'kept:c', '"next"'), 'then who knows publishes');
    isnt($next->{epoch}, $lost->{epoch}, '... in another epoch');
    is(until_heard($there, 'next'), 'lost next', '... and the loss is told');

    my $last = post($one, 'kept:c', '"last"');
    is($last->{epoch}, $next->{epoch}, '... once');
    is(until_heard($there, 'last'), 'last', '... and all goes on');
    $there->drop;
}

$_->quit for @hosts;
$_->stop for @proxies;

# -- a cluster -----------------------------------------------------------

# Its subscriber is cut off by a message that is too long for it.
{
    my $cluster = Wscast::Cluster->new;
    my $host = host(conf($cluster->url, '5s 5s'), name => 'host of a cluster');
    my $old  = $cluster->owner('wscast:chat:kept:d');
    my ($new) = $cluster->replicas($old);

    my $here = hears($host, 'kept:d');
    ok(wait_until(sub { post($host, 'kept:d', '"before"') }), 'it is up');
    like(until_heard($here, 'before'), qr/before/, 'a message is heard');
    $cluster->caught_up($old);

    my $gaps = gaps($host);
    $cluster->ask($old, qw(ACL SETUSER default -psync -sync));
    $cluster->ask($old, qw(CLIENT KILL TYPE replica));
    $cluster->ask($old, qw(CONFIG SET client-output-buffer-limit),
        'pubsub 1 0 0');

    my $lost = post($host, 'kept:d', JSON::PP->new->allow_nonref->encode(
        'x' x 50_000));
    $cluster->kill_begin($old);
    ok($lost, 'cluster: a message is taken, and its master dies');
    ok($cluster->_wait(sub { $cluster->promoted($old) }, 'no promotion'),
        '... and is replaced');

    ok(wait_until(sub { gaps($host) > $gaps }, 20), '... the loss is counted');
    my $next;
    ok(wait_until(sub { $next = post($host, 'kept:d', '"next"') }, 20),
        '... it goes on');
    is(until_heard($here, 'next'), 'lost next', '... the loss is told');
    isnt($next->{epoch}, $lost->{epoch}, '... in another epoch');
    $here->drop;
}

done_testing();
