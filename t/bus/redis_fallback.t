# redis_fallback local: while Redis is away a host delivers to its own clients,
# and when it is back all is as before.

use lib 't/lib';
use Wscast;
use JSON::PP ();
use Time::HiRes qw(time sleep);

my $redis = redis();

sub conf {
    my ($fallback) = @_;
    return <<"CONF";
wscast_hub chat {
    zone             16m;
    redis            redis://127.0.0.1:%%REDIS_PORT%%;
    redis_timeout    500ms 1s;
    redis_reconnect  50ms 200ms;
    $fallback
    channel  kept:*  { history 100 10m; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /text {
        wscast          chat text;
        wscast_channel  "room:1";
        wscast_allow    publish "room:1";
    }

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
}

my $one    = host(conf('redis_fallback local;'), redis => $redis,
    name => 'the one');
my $other  = host(conf('redis_fallback local;'), redis => $redis,
    name => 'the other');
my $strict = host(conf('redis_fallback reject;'), redis => $redis,
    name => 'the strict one');
my @hosts = ($one, $other, $strict);

sub post {
    my ($host, $channel, $body, %header) = @_;
    my $r = $host->http('POST', "/api/channels/$channel", body => $body,
        headers => [map { "$_: $header{$_}" } keys %header]);
    $r->{json} = eval { JSON::PP::decode_json($r->{body}) } // {};
    return $r;
}

for my $host (@hosts) {
    ok(wait_until(sub { $host->has_redis }), "$host->{name} finds Redis");
}

# several of each host, so that each of its workers has some
my %ws = map { my $h = $_; $h->{name} => [map { $h->ws('/json') } 1 .. 6] }
    @hosts;
my @all = map { @$_ } values %ws;
my %heard;

for my $ws (@all) {
    $ws->recv;
    $ws->ask({ type => 'subscribe', channel => $_ }) for 'room:1', 'kept:1';
}

sub hear {
    my ($ws, $m) = @_;
    my $event = JSON::PP::decode_json($m->{data});
    push @{ $heard{$ws} }, $event if $event->{type} eq 'message';
    return;
}

# What each client of the host has heard since the last time must be this.

sub all_heard {
    my ($host, $name, @data) = @_;
    my $clients = $ws{ $host->{name} };

    gather($clients, message => \&hear, timeout => 5, until => sub {
        !grep { @{ $heard{$_} // [] } < @data } @$clients;
    });
    gather($clients, message => \&hear, timeout => 0.1, until => sub { 0 });

    my %is = map { join(' ', map { $_->{data} } @{ $heard{$_} // [] }) => 1 }
        @$clients;
    is(join(' | ', keys %is), join(' ', @data), "$name: $host->{name}");

    my @events = map { @{ $heard{$_} // [] } } @$clients;
    %heard = ();

    return @events;
}

# -- all is well ---------------------------------------------------------

is(post($one, 'kept:1', 'before')->{json}{offset}, 1,
    'with Redis a message has a position');
all_heard($_, 'with Redis all hosts hear it', 'before') for @hosts;
is($one->hub->{fallback_publishes_total}, 0, '... and nothing is counted');

# -- Redis is gone -------------------------------------------------------

for my $time (1 .. 2) {
    $redis->kill9;
    ok(wait_until(sub { !$_->hub->{redis_up} && !$_->hub->{redis_links} }),
        "killed, time $time: $_->{name} knows") for @hosts;

    my $counted = $one->hub->{fallback_publishes_total};
    my @r = map { post($one, 'room:1', "plain$_") } 1 .. 20;

    is((grep { $_->{status} != 200 } @r), 0, 'publishing is answered 200');
    all_heard($one, 'this host hears it, in order', map { "plain$_" } 1 .. 20);
    all_heard($other, 'others do not');

    my $r = post($one, 'kept:1', 'kept');
    is($r->{status}, 200, 'a channel with history takes it, too');
    ok(!exists $r->{json}{offset}, '... without a position');
    my @events = all_heard($one, 'it is delivered', 'kept');
    is((grep { exists $_->{offset} || exists $_->{epoch} } @events), 0,
        '... without one');

    post($one, 'kept:1', 'twice', 'Idempotency-Key' => 'k') for 1 .. 2;
    all_heard($one, 'a key is not looked at', 'twice', 'twice');

    my ($ws) = @{ $ws{'the one'} };
    my $said = $ws->ask({ type => 'publish', channel => 'kept:1',
        data => 'by a client' });
    is($said->{type}, 'published', 'a client is answered');
    ok(!exists $said->{offset}, '... without a position');
    push @{ $heard{$ws} }, $ws->recv_json;
    all_heard($one, 'its message is delivered', 'by a client');

    my $talker = $one->ws('/text');
    $talker->text('by text');
    is($talker->recv_text, 'by text', 'a text client gets its own back');
    all_heard($one, '... and others get it', 'by text');
    $talker->drop;

    is($one->hub->{fallback_publishes_total} - $counted, 25,
        'all of that is counted');

    is(post($strict, 'room:1', 'x')->{status}, 503, 'reject rejects');
    all_heard($strict, '... and delivers nothing');

    # new clients are let in meanwhile, and hear
    my $late = $one->ws('/json');
    $late->recv;
    is($late->ask({ type => 'subscribe', channel => 'late' })->{type},
        'subscribed', 'who comes now is subscribed');
    post($one, 'late', 'hello');
    is($late->recv_json->{data}, 'hello', '... and hears');
    $late->drop;

    $redis->start;
    ok(wait_until(sub { $_->has_redis }), "back, time $time: $_->{name} knows")
        for @hosts;

    # Redis has lost its data: clients of kept:1 are told so
    gather(\@all, message => \&hear, timeout => 0.5, until => sub { 0 });
    is(scalar(keys %heard), 0, 'nothing is delivered again')
        || diag(explain(\%heard));

    is(post($one, 'kept:1', 'after')->{json}{offset}, 1,
        'messages have positions again');
    all_heard($_, 'and all hosts hear them', 'after') for @hosts;
}

for my $host ($one, $other) {
    my @told = grep { /delivered on this host alone/ }
        split /\n/, $host->log_text;
    # two workers, two outages
    cmp_ok(scalar @told, '<=', 4, "$host->{name}: the log tells it once");
    cmp_ok(scalar @told, '>=', $host == $one ? 2 : 0, '... each outage');
}

# -- Redis stands still --------------------------------------------------

{
    $redis->freeze;
    my $r = post($one, 'room:1', 'asked');
    is($r->{status}, 503, 'what Redis was asked to do is not done here, too');

    ok(wait_until(sub { post($one, 'frozen', 'x')->{status} == 200 }),
        'then it is known to be away');
    ok(wait_until(sub { !$_->hub->{redis_up} && !$_->hub->{redis_links} }),
        '... to all workers') for $one;
    post($one, 'room:1', 'meanwhile');
    all_heard($one, 'this host goes on', 'meanwhile');

    $redis->thaw;
    ok(wait_until(sub { $_->has_redis }), "$_->{name} finds it again")
        for @hosts;
    gather(\@all, message => \&hear, timeout => 0.5, until => sub { 0 });
    %heard = ();        # "asked" may have been taken, or not

    is(post($other, 'room:1', 'end')->{status}, 200, 'publishing goes on');
    all_heard($_, 'everybody hears it', 'end') for @hosts;
}

# -- the configuration ---------------------------------------------------

bad_config('a fallback that is none',
    'wscast_hub chat { redis_fallback elsewhere; }',
    qr/redis_fallback elsewhere/, qr/"reject"/, qr/"local"/);
good_config('a fallback without Redis',
    'wscast_hub chat { redis_fallback local; }');

$_->drop for @all;

done_testing();
