# What docs/redis.md says of Redis: the ACL suffices for everything, its
# examples work, keys and the envelope are as its tables say.

use lib 't/lib';
use Wscast;
use Wscast::Docs;
use utf8;

binmode Test::More->builder->$_, ':encoding(UTF-8)'
    for 'output', 'failure_output';

my $redis = redis();

my ($acl) = map { $_->{text} =~ /^(ACL SETUSER .*)$/m }
    Wscast::Docs::blocks('docs/redis.md');
is($redis->command(split / /, $acl), 'OK', 'Redis takes the ACL');

my $nginx = host(<<'CONF', redis => $redis, workers => 2);
wscast_hub chat {
    redis          redis://wscast:secret@127.0.0.1:%%REDIS_PORT%%;
    redis_timeout  5s 3s;
}

server {
    listen 127.0.0.1:%%PORT%%;

    location /ws {
        wscast          chat;
        wscast_channel  "room:7";
        wscast_allow    publish "room:7";
        wscast_user     "ann";
    }
}
CONF

ok(wait_until(sub { $nginx->hub->{redis_links} == 3 }),
    'with it two workers have three connections');

my $ws = $nginx->ws('/ws');
my $id = $ws->recv_json->{client};

my ($publish) = map { $_->{text} =~ /^redis-cli (PUBLISH .*)$/m }
    Wscast::Docs::blocks('docs/redis.md');
my $port = $redis->port;
my $cli = Wscast::Redis::program('cli');
is(`$cli -p $port $publish`, "1\n", 'redis-cli publishes to one host');

my $m = $ws->recv_json;
is_deeply([@$m{qw(channel data client user)}],
    ['room:7', { text => 'hello' }, undef, undef], '... and it arrives');

# probes pass the ACL, too

# Of each connection its number and address.

sub connections {
    return map { /^id=(\d+) addr=(\S+) / ? ($1 => $2) : () }
        grep { / user=wscast / } split /\n/, $redis->command('CLIENT', 'LIST');
}

{
    my %then = connections();
    my $monitor = bless { port => $port }, 'Wscast::Redis';
    my %probed;

    is(scalar keys %then, 3, 'Redis knows them by their user');

    # what the last command of each is may be another one a moment later
    $monitor->command('MONITOR');
    ok(wait_until(sub {
        $probed{$1} = 1 if $monitor->_reply =~ /\[\d+ (\S+)\] "ping"/i;
        return !grep { !$probed{$_} } values %then;
    }, 30), 'each is probed while nothing happens');

    my %now = connections();
    is(join(' ', sort keys %now), join(' ', sort keys %then), '... and stays');
}

is($redis->command('PUBSUB', 'NUMSUB', 'wscast:chat:room:7')->[1], 1,
    'one subscription a host');

{
    my $other = bless { port => $port }, 'Wscast::Redis';
    $other->command('SUBSCRIBE', 'wscast:chat:room:7');
    $ws->json({ type => 'publish', data => 17 });

    my (undef, undef, $bytes) = @{ $other->_reply };
    my ($zero, $version, $kind, $flags, $time, $epoch, $offset, $client,
        $exclude, $user, $info) = unpack 'CCCCQ>Q>Q>CCnN', $bytes;

    is("$zero $version $kind $flags", '0 1 0 2', 'the envelope begins so');
    ok(abs($time / 1000 - time) < 60, '... then comes the time');
    is("$epoch $offset", '0 0', '... no position');
    is(substr($bytes, 36), "${id}ann17",
        '... and client, exclude, user, info and data');
    is("$client $exclude $user $info", length($id) . ' 0 3 0',
        '... of these lengths');
}

# -- history, presence, keys: with the same user -------------------------

my @docs = map { $_->{text} =~ s/\\\n\s*//gr } grep { $_->{lang} eq 'sh' }
    Wscast::Docs::blocks('docs/redis.md');
my $stored = host(<<'CONF', redis => $redis, workers => 2);
wscast_hub chat {
    redis          redis://wscast:secret@127.0.0.1:%%REDIS_PORT%%;
    redis_timeout  5s 10s;

    channel  room:*  { history 100 10m; presence on grace=1s; }
}

server {
    listen 127.0.0.1:%%PORT%%;

    location /ws {
        wscast        chat;
        wscast_allow  all "*";
        wscast_user   $arg_user;
    }

    location /api/ { wscast_api chat; }
}
CONF

ok(wait_until(sub { $stored->has_redis }), 'a host with history is up');

{
    my ($ann, $bob) = map { $stored->ws("/ws?user=$_") } 'ann', 'bob';
    $_->recv_json for $ann, $bob;

    is($ann->ask({ type => 'subscribe', channel => 'room:9' })->{offset}, 0,
        'nobody has published');

    for (1 .. 2) {
        is($ann->ask({ type => 'publish', channel => 'room:9', key => 'k',
            data => 'x' x 200 })->{offset}, 1, 'a publish and its repeat');
    }

    is($bob->ask({ type => 'subscribe', channel => 'room:9', since => {
        epoch => '0123456789abcdef', offset => 3 } })->{recovered}, 0,
        'a position of nobody is not resumed');
    is($ann->ask({ type => 'presence', channel => 'room:9' })->{total}, 2,
        'both are there');

    my ($eval) = grep { /--eval/ } @docs;
    $eval =~ s/redis-cli/$cli -p $port/;
    $eval =~ s/room:7/room:9/g;
    my ($epoch, $offset) = split /\n/, `cd docs/examples && $eval`;
    like($epoch, qr/^[0-9a-f]{16}$/, 'the script publishes in the same epoch');
    isnt($epoch, '0123456789abcdef', '... not in that of its call');
    is($offset, 2, '... with the next offset');

    my $heard = $bob->recv_json;
    $heard = $bob->recv_json until $heard->{type} eq 'message';
    is_deeply([@$heard{qw(epoch offset)}], [$epoch, 2], '... and it arrives');

    my $history = $ann->ask({ type => 'history', channel => 'room:9' });
    is(join(' ', map { $_->{offset} } @{ $history->{messages} }), '1 2',
        '... into the history');

    $bob->drop;                         # a member may come back

    # "…" stands for the first name of the cell up to its last colon
    my (@like, @odd);

    for my $row (Wscast::Docs::rows('docs/redis.md')) {
        my @names = $row->[0] =~ /`([^`]+)`/g;
        next if !@names || $names[0] !~ /^(\{wscast:.*):/;
        my $begin = $1;

        for my $name (@names) {
            my $like = quotemeta $name =~ s/^…/$begin/r =~ s/:C\}/:room:9}/r;
            push @like, $like =~ s/\\:[LK]$/:.+/r;
        }
    }

    my @keys;

    ok(wait_until(sub {
        @keys = @{ $redis->command('KEYS', '*') };
        return grep { /lost:version$/ } @keys;
    }), 'who may come back is noted');

    for my $key (@keys) {
        push @odd, $key if !grep { $key =~ /^$_$/ } @like;
    }

    cmp_ok(scalar @keys, '>', 8, 'there are keys');
    is("@odd", '', '... and all of them are in the table');

    my $left = $ann->recv_json;
    $left = $ann->recv_json until $left->{type} eq 'leave';
    is($left->{user}, 'bob', 'after grace the other leaves');

    is($stored->http('DELETE', '/api/channels/room:9/history')->{status}, 200,
        'the history is deleted');
}

unlike($_->log_text, qr/redis refused/, 'Redis has refused nothing')
    for $nginx, $stored;

done_testing();
