# Two hosts over Redis, and everything that breaks connections: clients that
# drop, subscriptions that are cut, scripts that are forgotten, a leader that
# is killed, a Redis that is emptied, or restarted with and without its data.

use lib 't/lib';
use Wscast;
use Wscast::Readers;
use Time::HiRes qw(sleep time);

my $redis = redis(args => ['--appendonly', 'yes', '--appendfsync', 'always']);

my $CONF = <<'CONF';
wscast_hub chat {
    zone             32m;
    redis            redis://127.0.0.1:%%REDIS_PORT%%;
    redis_timeout    5s 10s;        # it writes to the disk
    redis_reconnect  50ms 300ms;

    channel  room:*   { history 20000 10m; }
    channel  small:*  { history 3 10m; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /ws {
        wscast              chat;
        wscast_allow        all "*";
        wscast_send_buffer  16m;
        wscast_drain        1s;
    }

    location /api/ { wscast_api chat; }
}
CONF

my @hosts = map {
    host($CONF, redis => $redis, workers => 2, name => "host $_")
} 'one', 'two';
my ($one, $two) = @hosts;

# Whatever is published then is taken.
sub up {
    ok(wait_until(sub { $_->has_redis }), "$_->{name} has Redis") for @hosts;
    return;
}

srand 42;

sub readers {
    my ($count, $channel, @on) = @_;
    up();
    my $readers = Wscast::Readers->new(hosts => @on ? \@on : \@hosts,
        count => $count, channel => $channel);
    $readers->begin;
    return $readers;
}

sub leave {
    my ($readers) = @_;
    $_->{ws}->drop for $readers->readers;
    return;
}

# -- 50 clients that drop at random, under 500 messages a second ---------

{
    my $readers = readers(50, 'room:drop');
    my $seconds = asan() ? 10 : 30;
    my ($begun, $drops) = (time, 0);

    $readers->talk(rate => 500);
    $readers->run($seconds, sub {
        while ($drops < 15 * (time - $begun)) {
            my @there = grep { $_->{subscribed} && !$_->{ws}{eof} }
                $readers->readers or last;
            my $c = $there[rand @there];
            $readers->cut($c, rand() < 0.5 ? 'reset' : 'drop');
            $c->{host} = $hosts[rand 2];
            $drops++;
        }
    });
    ok($readers->finish(60), 'at the end all have caught up');

    my $taken = () = $readers->taken;
    cmp_ok($drops, '>', asan() ? 50 : 200, "$drops connections were dropped");
    cmp_ok($taken, '>', $seconds * 300, 'many messages were published');
    is($readers->{errors}, 0, 'none was refused');
    $readers->whole('dropping clients');
    leave($readers);

    my $sum = 0;
    $sum += $_->hub->{recoveries_total} for @hosts;
    cmp_ok($sum, '>=', $drops * 0.9, 'recoveries are counted');
}

# -- subscriptions that are cut under load -------------------------------

{
    my $readers = readers(10, 'room:cut');
    my ($next, $cuts) = (time, 0);

    $readers->talk(rate => 300);
    my $end = time + scale(60);
    $readers->run(0.5, sub {
        return if time < $next;
        my @ids = $redis->command('CLIENT', 'LIST', 'TYPE', 'pubsub')
            =~ /^id=(\d+)/mg;
        return if !@ids;
        $next = time + 0.5;
        $redis->command('CLIENT', 'KILL', 'ID', $ids[rand @ids]);
        $cuts++;
    }) while $cuts < 10 && time < $end;
    ok($readers->finish(60), 'at the end all have caught up');

    my $taken = () = $readers->taken;
    cmp_ok($cuts, '>=', 10, 'the subscriptions were cut again and again');
    cmp_ok($taken, '>', 100, 'messages were published');
    $readers->whole('subscriptions cut');
    is($readers->sum('ends'), 0, '... on the same connections');
    cmp_ok($one->hub->{caught_up_total} + $two->hub->{caught_up_total}, '>',
        0, '... with what was fetched from the stream');
    leave($readers);
}

# -- scripts that Redis has forgotten ------------------------------------

{
    my $readers = readers(4, 'room:flush');
    my $next = time;

    $readers->talk(rate => 500);
    $readers->run(2, sub {
        return if time < $next;
        $next = time + 0.2;
        $redis->command('SCRIPT', 'FLUSH');
    });
    ok($readers->finish(60), 'at the end all have caught up');

    is($readers->{errors}, 0, 'without its scripts Redis takes everything');
    $readers->whole('scripts forgotten');
    $readers->orderly('scripts forgotten');
    leave($readers);
}

# -- a leader that is killed ---------------------------------------------

{
    # clients of the worker that is killed come back; the others notice nothing
    my $readers = readers(12, 'room:leader', $one);
    my ($killed, $begun) = (0, time);

    $one->expect_log(qr/exited on signal 9/);
    $readers->talk(rate => 200, voices => 1, hosts => [$two]);
    $readers->run(1, sub {
        return if $killed == 2 || time < $begun + 0.5 + 1.5 * $killed;
        my @pids = $one->workers;
        return if @pids < 2;
        kill 'KILL', $pids[$killed++];
    }) while $killed < 2 && time < $begun + scale(60);
    $readers->run(2);
    ok($readers->finish(60), 'at the end all have caught up');
    is($killed, 2, '... though two workers were killed');
    is($readers->{errors}, 0, 'the other host publishes on');
    $readers->whole('leader killed');
    leave($readers);
}

# -- reloads under load --------------------------------------------------

{
    my $readers = readers(12, 'room:reload', $one);
    my ($reloads, $begun) = (0, time);

    $readers->talk(rate => 200, voices => 1, hosts => [$two]);
    $readers->run(6, sub {
        return if $reloads == 2 || time < $begun + 0.5 + 2 * $reloads;
        $one->signal('HUP');
        $reloads++;
    });
    ok($readers->listen(sub { $readers->sum('ends') >= 12 })
        && $readers->finish(60), 'at the end all have caught up');
    cmp_ok($readers->sum('ends'), '>=', 12, 'after reloads clients have moved');
    is($readers->{errors}, 0, '... and nothing was refused');
    $readers->whole('reloads');
    leave($readers);
}

# -- a short history: what is gone is told -------------------------------

{
    my $readers = readers(1, 'small:1', $one);
    my ($c) = $readers->readers;
    my $post = sub { $two->http('POST', '/api/channels/small:1',
        body => $_[0])->{status} };
    is($post->(1), 200, 'a message is published');
    $readers->listen(sub { @{ $c->{got} } == 1 });
    is($c->{offset}, 1, '... and got');

    $c->{ws}->drop;
    $post->($_) for 2 .. 4;
    $readers->enter($c);
    $readers->listen(sub { @{ $c->{got} } == 4 });
    is("@{ $c->{got} } $c->{broken} $c->{wrong}", '1 2 3 4 0 0',
        'three messages are recovered');

    $c->{ws}->drop;
    $post->($_) for 5 .. 8;
    $readers->enter($c);
    $readers->listen(sub { $c->{subscribed} });
    is("$c->{broken} $c->{offset}", '1 8', 'four are not, and that is told');
    $post->(9);
    $readers->listen(sub { @{ $c->{got} } == 5 });
    is("$c->{got}[-1] $c->{wrong}", '9 0', '... and it goes on from there');
    $c->{ws}->drop;
}

# -- Redis restarts with its data ----------------------------------------

sub whole {
    my ($readers, $why) = @_;
    my $n = 0;

    # a host that is late learns only where the channel is
    ok(wait_until(sub {
        my $said = "$why, " . ++$n;
        my $r = $two->http('POST', '/api/channels/room:restart',
            body => $said);
        $r->{status} == 200 && $readers->listen(sub {
            !grep { ($_->{got}[-1] // '') ne $said } $readers->readers }, 1);
    }, 15), "$why: what is published is heard by all")
        || diag(explain(($readers->readers)[0]{got}));

    return;
}

{
    my $readers = readers(6, 'room:restart');
    my @clients = $readers->readers;
    whole($readers, 'before');

    $redis->kill9;
    sleep 0.5;
    $redis->start;
    whole($readers, 'restarted with its data');
    is((grep { $_->{broken} || $_->{wrong} } @clients), 0,
        '... and nothing was missed');

    # without a connection being lost
    $redis->command('FLUSHALL');
    whole($readers, 'emptied');
    is((grep { $_->{broken} != 1 } @clients), 0, '... and told to all, once')
        || diag(join ' ', map { $_->{broken} } @clients);
    is((grep { $_->{wrong} } @clients), 0, '... before the first message');

    # and with
    $redis->command('FLUSHALL');
    $redis->kill9;
    unlink glob "$redis->{dir}/appendonlydir/*";
    $redis->start;
    whole($readers, 'restarted without its data');
    is((grep { $_->{broken} != 2 } @clients), 0, '... and told to all, once')
        || diag(join ' ', map { $_->{broken} } @clients);
    is((grep { $_->{wrong} } @clients), 0, '... before the first message');

    my $c = $clients[0];
    $c->{ws}->drop;
    $c->{epoch} = '0123456789abcdef';
    $readers->enter($c);
    $readers->listen(sub { $c->{subscribed} });
    is($c->{broken}, 3, 'another epoch is not recovered');
    leave($readers);
}

done_testing();
