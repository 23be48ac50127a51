# Redis is killed while it writes a publish to its append only file.  What is
# left of the transaction is not thrown away at the next start, if it ends in
# the middle of a command, but done at the start after that, before what was
# written next.  Wherever it ends: no channel has a hole, all that was taken is
# there, and no key is believed that came with what was lost.

use lib 't/lib';
use Wscast;
use JSON::PP ();

my $redis = redis(args => ['--appendonly', 'yes', '--appendfsync', 'always']);

my $host = host(<<'CONF', redis => $redis);
wscast_hub chat {
    zone             16m;
    redis            redis://127.0.0.1:%%REDIS_PORT%%;
    redis_timeout    5s 10s;        # it writes to the disk
    redis_reconnect  10ms 50ms;

    channel  room:*  { history 100 10m; }
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

my $script = do {
    open my $in, '<', 'docs/examples/publish.lua' or die "publish.lua: $!\n";
    local $/;
    readline $in;
};

# -- the file ------------------------------------------------------------

sub aof {
    my @files = glob "$redis->{dir}/appendonlydir/*.incr.aof";
    return $files[-1] // "$redis->{dir}/appendonly.aof";
}

sub bytes {
    open my $in, '<:raw', aof() or die aof() . ": $!\n";
    local $/;
    return readline $in;
}

# The commands of the last transaction: name, where it begins and ends.
sub last_transaction {
    my ($bytes) = @_;
    my $at = rindex $bytes, "*1\r\n\$5\r\nMULTI\r\n";
    my @commands;

    while ($at < length $bytes) {
        my $begin = $at;
        pos($bytes) = $at;
        $bytes =~ /\G\*(\d+)\r\n/gc or die "no command at $at\n";
        my ($words, $name) = ($1);

        for (1 .. $words) {
            $bytes =~ /\G\$(\d+)\r\n/gc or die 'no word at ' . pos $bytes;
            $name //= substr $bytes, pos $bytes, $1;
            pos($bytes) += $1 + 2;
        }

        $at = pos $bytes;
        push @commands, { name => $name, begin => $begin, end => $at };
    }

    return @commands;
}

# -- publishing ----------------------------------------------------------

# What the host says of its connections may be from before a restart; what this
# Redis says of them, besides the test's own, is not.
sub up {
    return wait_until(sub {
        return $host->has_redis
            && $redis->command('CLIENT', 'LIST') =~ tr/\n// == 3 + 1;
    });
}

# Until it is taken, with its key.
sub post {
    my ($channel, $body) = @_;
    my $r;

    wait_until(sub {
        $r = $host->http('POST', "/api/channels/$channel", body => $body,
            headers => ["Idempotency-Key: $body"]);
        return $r->{status} == 200;
    }) or return;

    return JSON::PP::decode_json($r->{body});
}

sub listen_to {
    my ($channel) = @_;
    my $ws = $host->ws('/ws');
    my $said;

    $ws->recv;
    $said = $ws->ask({ type => 'subscribe', channel => $channel });

    return { ws => $ws, offset => $said->{offset}, epoch => $said->{epoch},
             got => {}, wrong => '' };
}

# Everything up to an offset.
sub hear {
    my ($client, $upto) = @_;

    return gather([$client->{ws}], timeout => 10,
        until => sub { $client->{wrong} || $client->{offset} >= $upto },
        message => sub {
            my $m = JSON::PP::decode_json($_[1]{data});

            if ($m->{type} ne 'message') {
                $client->{wrong} ||= $_[1]{data};
            } elsif ($m->{offset} != $client->{offset} + 1
                || $m->{epoch} ne ($client->{epoch} // $m->{epoch}))
            {
                $client->{wrong} ||= "$m->{epoch} $m->{offset} after "
                    . "$client->{epoch} $client->{offset}";
            }

            $client->{offset} = $m->{offset};
            $client->{epoch} //= $m->{epoch};
            $client->{got}{ $m->{offset} } = $m->{data};
        });
}

# -- one death -----------------------------------------------------------

# Somebody's publish that nobody has heard of: Redis is another one meanwhile,
# with the same file.
sub publish_aside {
    my ($channel) = @_;
    my $answer;
    my $name = "wscast:chat:$channel";

    $redis->kill9;

    {
        local $redis->{port} = Wscast::free_port();
        $redis->start;
        $answer = $redis->command('EVAL', $script, 3, "{$name}:stream",
            "{$name}:meta", "{$name}:key:lost", $name, 'lost', 100, 600000,
            'aaaabbbbccccdddd');
        $redis->kill9;
    }

    return $answer;
}

sub restart {
    $redis->kill9 if $redis->pid;
    $redis->start;
    return up();
}

# Where to cut: the number of a command, and 1: in its middle.  silent: until
# the second restart nothing is published to this channel, but to another.

my ($number, $twins) = (0, 0);

sub die_at {
    my ($which, $middle, %how) = @_;
    my $channel = 'room:' . ++$number;
    my $client  = listen_to($channel);
    my %taken;

    my $take = sub {
        my ($body) = @_;
        my $m = post($channel, $body) or return;
        $taken{ $m->{offset} } = $body;
        return 1;
    };

    my $before = $how{before} // 3;
    $take->("before $_") for 1 .. $before;
    my $lost = publish_aside($channel);
    is($lost->[1], $before + 1, "$channel: an offset is given")
        or return;

    my $bytes    = bytes();
    my @commands = last_transaction($bytes);
    my $command  = $commands[$which] or return restart() && 0;
    my $cut      = $middle
        ? int(($command->{begin} + $command->{end}) / 2) : $command->{end};

    truncate aof(), $cut or die "truncate: $!\n";
    ok(restart(), sprintf 'cut %s %s of %s, Redis starts',
        $middle ? 'in the middle of' : 'behind', $command->{name},
        join ' ', map { $_->{name} } @commands);

    my $ok = $how{silent} ? 1 : $take->('second 1') && $take->('second 2');
    ok($ok && post('room:0', "second $number"), '... and takes messages');

    ok(restart(), '... it starts once more');
    $ok = $take->('lost') && $take->('third');
    ok($ok, '... and takes others, among them what was lost');

    my ($top) = sort { $b <=> $a } keys %taken;
    hear($client, $top);
    is($client->{wrong}, '', '... nobody finds a gap or a repeat');
    is(join(', ', grep { $client->{got}{$_} ne $taken{$_} } keys %taken), '',
        '... what was taken is what was heard');

    my $history = $client->{ws}->ask({ type => 'history', limit => 100,
        channel => $channel });
    my @kept = map { "$_->{offset} $_->{data}" } @{ $history->{messages} };
    is_deeply(\@kept, [map { "$_ $client->{got}{$_}" } 1 .. $top],
        '... and what is kept');

    $twins++ if $redis->command('XLEN', "{wscast:chat:$channel}:stream")
        > $top;
    $client->{ws}->drop;

    return $which < $#commands;
}

ok(up(), 'the host finds Redis');

# EXEC whole is no cut, and MULTI alone leaves nothing
for my $how ({}, { silent => 1 }, { before => 0 }, { before => 7 }) {
    my $n = 1;
    1 while die_at($n++, 1, %$how);
    cmp_ok($n, '>', 5, 'a transaction of several commands');
}

{
    my $n = 0;
    1 while die_at($n++, 0);
}

cmp_ok($twins, '>', 0, 'what was lost has come back, and was not believed');

# -- what docs/redis.md tells to do --------------------------------------

sub rewritten {
    $redis->command('BGREWRITEAOF');
    return wait_until(sub {
        return $redis->command('INFO', 'persistence')
            =~ /aof_rewrite_in_progress:0.*aof_rewrite_scheduled:0/s;
    });
}

sub cut_aside {
    my ($channel) = @_;

    publish_aside($channel);
    my @commands = last_transaction(bytes());
    truncate aof(), $commands[2]{end} + 9 or die "truncate: $!\n";

    return $commands[0]{begin};
}

ok(rewritten(), 'Redis writes its file anew');

{
    my $begin    = cut_aside('room:fixed');
    my $manifest = aof() =~ s/\.\d+\.incr\.aof$/.manifest/r;
    my $check    = Wscast::Redis::program('check-aof');
    my $said     = `echo y | $check --fix $manifest 2>&1`;

    is($?, 0, 'redis-check-aof --fix mends the file') or diag($said);
    is(-s aof(), $begin, '... and leaves nothing of the transaction');
    ok(restart(), 'Redis starts');
    is(post('room:fixed', 'first')->{offset}, 1, '... and takes a message');
    ok(restart(), '... and starts once more');
    is($redis->command('XLEN', '{wscast:chat:room:fixed}:stream'), 1,
        '... and has no more');
}

{
    cut_aside('room:anew');
    ok(restart(), 'Redis starts with a cut file');
    ok(rewritten(), '... and writes it anew');
    is(post('room:anew', 'first')->{offset}, 1, '... and takes a message');
    ok(restart(), '... and starts once more');
    is($redis->command('XLEN', '{wscast:chat:room:anew}:stream'), 1,
        '... and has no more, either');
}

done_testing();
