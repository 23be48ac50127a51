# What docs/redis.md says of Redis: the ACL suffices, a plain PUBLISH arrives,
# and the envelope is as its table says.

use lib 't/lib';
use Wscast;
use Wscast::Docs;

my $redis = redis();

my ($acl) = map { $_->{text} =~ /^(ACL SETUSER .*)$/m }
    Wscast::Docs::blocks('docs/redis.md');
is($redis->command(split / /, $acl), 'OK', 'Redis takes the ACL');

my $nginx = host(<<'CONF', redis => $redis, workers => 2);
wscast_hub chat {
    redis          redis://wscast:secret@127.0.0.1:%%REDIS_PORT%%;
    redis_timeout  500ms 500ms;
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
is(`redis-cli -p $port $publish`, "1\n", 'redis-cli publishes to one host');

my $m = $ws->recv_json;
is_deeply([@$m{qw(channel data client user)}],
    ['room:7', { text => 'hello' }, undef, undef], '... and it arrives');

# probes pass the ACL, too
ok(hold_for(1.5, sub { $nginx->hub->{redis_links} == 3 }),
    'the connections stay while nothing happens');
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

done_testing();
