# A reload that takes the hub to another Redis, into Redis or out of it: what is
# published meanwhile by clients of old and of new workers reaches those of
# their own generation, with positions of their own, and who moves is told.

use lib 't/lib';
use Wscast;

my @redis = (redis(), redis());

sub conf {
    my ($redis) = @_;

    return <<"CONF";
wscast_hub chat {
    zone     4m;
    redis    $redis;
    channel  room  { history 100 10m; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /ws {
        wscast        chat;
        wscast_allow  all "*";
        wscast_drain  3s;
    }
}
CONF
}

my %of = (none => 'off',
    map { ("redis $_" => 'redis://127.0.0.1:' . $redis[$_]->port) } 0, 1);
$of{'redis 1, as database 1'} = $of{'redis 1'} . '/1';

my $nginx = host(conf($of{none}), workers => 1);

sub client {
    my (%since) = @_;
    my $ws = $nginx->ws('/ws');
    $ws->{name} = $ws->recv_json->{client};
    $ws->json({ type => 'subscribe', id => 1, channel => 'room',
        %since ? (since => \%since) : () });
    $ws->{at} = $ws->recv_json;
    return $ws;
}

# What comes for as long as the answer and the message itself are not there.

sub publishes {
    my ($ws, $data) = @_;
    my ($answer, $message);

    $ws->json({ type => 'publish', id => 2, channel => 'room',
        data => $data });

    while (!$answer || !$message) {
        my $m = $ws->recv_json;
        $answer  = $m if $m->{type} eq 'published';
        $message = $m if $m->{type} eq 'message' && $m->{data} eq $data;
        last if $m->{type} eq 'error';
    }

    return $message if $message && $answer->{offset} == $message->{offset}
        && $answer->{epoch} eq $message->{epoch};
    return;
}

my $n   = 0;
my $was = 'none';

for my $is ('redis 0', 'redis 1', 'none', 'redis 1',
    'redis 1, as database 1')
{
    my $name = "from $was to $is";
    my $old  = client();

    ok(publishes($old, 'before ' . ++$n), "$name: before it one is heard");

    my ($pid) = $nginx->workers;
    $nginx->configure(conf($of{$is}));
    $nginx->signal('HUP');
    ok(wait_until(sub {
        my @now = $nginx->workers;
        return @now == 1 && $now[0] != $pid
            && ($is eq 'none' || $nginx->hub->{redis_up});
    }), "$name: the new worker is there");

    my $new = client();
    my %heard;

    for my $k (1 .. 3) {
        my $m = publishes($old, "old $n.$k");
        ok($m, "$name: a client of the old worker hears itself, $k");
        $old->{last} = $m;
        ok(publishes($new, "new $n.$k"),
            "$name: a client of the new one hears itself, $k");
    }

    is($old->wait_close->{code}, 1001, "$name: the old one is asked to move");

    my $back = client(epoch => $old->{last}{epoch},
        offset => $old->{last}{offset}, client => $old->{name});
    ok(!$back->{at}{recovered}, "$name: who moves is told of what is missing");
    ok(publishes($back, "back $n"), '... and goes on');

    $_->drop for $old, $new, $back;
    ok(wait_until(sub { !$nginx->workers(old => 1) }, 15),
        "$name: the old worker ends");
    $was = $is;
}

my @lines = $nginx->log_text
    =~ /\[warn\].*hub "chat" has another redis now, or none: its zone/g;
is(scalar @lines, 5, 'each time a line at warn says so');

# the same Redis by a new configuration is the same
my $stays = client();
my $last  = publishes($stays, 'last');
$nginx->reload(conf($of{$was}));
is($stays->wait_close->{code}, 1001, 'a reload without a change');
is(client(epoch => $last->{epoch}, offset => $last->{offset},
    client => $stays->{name})->{at}{recovered}, JSON::PP::true,
    '... after it one goes on where one was');

done_testing();
