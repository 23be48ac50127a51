# Redis has lost the last messages of a channel, as after a failover to a
# replica that lagged behind, and counts on from there: whoever knew them is
# told, at once or when he comes back, although the offsets fit again.

use lib 't/lib';
use Wscast;
use JSON::PP ();

my $redis = redis();

my $CONF = <<'CONF';
wscast_hub chat {
    zone             16m;
    redis            redis://127.0.0.1:%%REDIS_PORT%%;
    redis_reconnect  300ms 600ms;
    channel  kept:*  { history 100 10m; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /json {
        wscast        chat;
        wscast_allow  all "*";
    }

    location /api/ {
        wscast_api  chat;
    }
}
CONF

my ($one, $two) = my @hosts = map {
    host($CONF, redis => $redis, name => "host $_")
} 'one', 'two';

sub post {
    my ($host, $body) = @_;
    my $r = $host->http('POST', '/api/channels/kept:1', body => $body);
    return $r->{status} == 200 && JSON::PP::decode_json($r->{body});
}

sub subscribe {
    my ($host, @since) = @_;
    my $ws = $host->ws('/json');
    $ws->recv;
    my $said = $ws->ask({ type => 'subscribe', channel => 'kept:1',
        @since ? (since => { epoch => $since[0], offset => $since[1] }) : (),
    });
    return ($ws, $said);
}

ok(wait_until(sub { $_->has_redis }), "$_->{name} finds Redis") for @hosts;

my $key = '{wscast:chat:kept:1}';

for my $time (1 .. 3) {
    my ($here) = subscribe($one);
    my ($there) = subscribe($two);
    my $last;

    for my $n (1 .. 5) {
        $last = post($one, "$time-$n");
        is($_->recv_json->{data}, "$time-$n", 'a message is heard')
            for $here, $there;
    }

    my ($epoch, $offset) = @$last{'epoch', 'offset'};

    # the last three are lost, and all connections with them
    my $entries = $redis->command('XRANGE', "$key:stream", '-', '+');
    splice @$entries, -3;
    $redis->command('MULTI');
    $redis->command('DEL', "$key:stream");
    $redis->command('XADD', "$key:stream", $_->[0], @{ $_->[1] })
        for @$entries;
    $redis->command('HSET', "$key:meta", 'o', $offset - 3);
    $redis->command('EXEC');
    $redis->command('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes')
        for 'pubsub', 'normal';

    # whoever is back first publishes more than were lost
    my @answers;
    ok(wait_until(sub {
        for my $host (@hosts) {
            my $answer = post($host, 'new' . @answers) or next;
            push @answers, $answer;
        }
        return @answers > 10;
    }), "time $time: it goes on");

    my %epochs = map { $_->{epoch} => 1 } @answers;
    is(scalar keys %epochs, 1, 'one epoch begins');
    isnt($answers[0]{epoch}, $epoch, '... another one');
    is($answers[0]{offset}, $offset - 2, '... which goes on counting');

    my $new = $answers[0]{epoch};
    my $top = $answers[-1]{offset};

    for my $ws ($here, $there) {
        my ($told, $at, $ok) = (0, $offset, 1);

        gather([$ws], timeout => 5, until => sub { $told && $at == $top },
            message => sub {
                my $m = JSON::PP::decode_json($_[1]{data});
                if ($m->{type} eq 'subscribed') {
                    $told++ if !$m->{recovered} && $m->{epoch} eq $new;
                    $at = $m->{offset};
                } elsif ($m->{type} eq 'message') {
                    $ok = 0 if $m->{epoch} ne $new || $m->{offset} != $at + 1;
                    $at = $m->{offset};
                }
            });

        is("$told $at $ok", "1 $top 1",
            'a client is told once, and then gets all that follows');
    }

    my ($late, $said) = subscribe($two, $epoch, $offset);
    ok(!$said->{recovered}, 'who comes back with a lost position is told');
    is($said->{epoch}, $new, '... which epoch it is');

    my $history = $late->ask({ type => 'history', channel => 'kept:1',
        limit => 100 });
    my @messages = @{ $history->{messages} };
    is($messages[-1]{offset}, $top, 'the history has what follows');
    is((grep { $_->{epoch} ne $new } @messages), 0,
        '... and what was left, all in this epoch');
    is(scalar @messages, $top, '... without a hole');

    my ($back, $again) = subscribe($one, $new, 1);
    ok($again->{recovered}, 'positions in it can be resumed');

    $_->drop for $here, $there, $late, $back;
    ok(wait_until(sub { $_->has_redis }), "$_->{name} is up") for @hosts;
}

done_testing();
