# Commands to Redis whose answers somebody waits for: in order under load, and
# answered with an error when Redis stands still.

use lib 't/lib';
use Wscast;
use Time::HiRes qw(time);

my $redis = redis();
my $nginx = host(<<'CONF', redis => $redis, workers => 1);
wscast_hub chat {
    redis            redis://127.0.0.1:%%REDIS_PORT%%;
    redis_timeout    500ms 2s;
    redis_reconnect  50ms 500ms;
    channel "h:*"    { history 100 10m; }
}

server {
    listen 127.0.0.1:%%PORT%%;

    wscast_allow  all "*";

    location /ws {
        wscast  chat;
    }
}
CONF

my $ws = $nginx->ws('/ws');
$ws->recv;

sub works {
    return wait_until(sub {
        my $r = $ws->ask({ type => 'publish', channel => 'h:a',
            data => 1 });
        return $r->{type} eq 'published';
    });
}

ok(works(), 'a publish with history is answered by Redis');

# commands and publishes of all kinds, many under way at a time

sub mixed {
    my ($n) = @_;
    my (%got, @wrong);

    my @ask = map {
        my $id = "$_";
        { type => 'publish', id => "h$id", channel => 'h:a', data => $_ },
        { type => 'publish', id => "p$id", channel => 'plain', data => $_ },
        { type => 'history', id => "q$id", channel => 'h:a', limit => 1 }
    } 1 .. $n;

    my %answer = (h => 'published', p => 'published', q => 'history');

    $ws->json($_) for @ask;

    while (keys %got < @ask) {
        my $m = $ws->recv_json or last;
        push @wrong, $m if $m->{type} ne $answer{ substr $m->{id}, 0, 1 };
        push @wrong, $m if $m->{id} =~ /^p/ && $m->{offset};
        push @wrong, $m if $m->{id} =~ /^h/ && !$m->{offset};
        $got{ $m->{id} }++;
    }

    ok(!@wrong, 'each gets the answer to what it asked')
        || diag(explain(\@wrong));
    is(scalar keys %got, 3 * $n, '... all of them');

    return;
}

mixed(300);

# -- Redis stands still ---------------------------------------------------

for my $type ('history', 'publish') {

    # the connections are idle, and have been probed
    select undef, undef, undef, 2.4;

    $redis->freeze;

    my $begun = time;
    my $r = $ws->ask({ type => $type, channel => 'h:a', data => 1 });
    my $took = time - $begun;

    is("$r->{type} $r->{code}", 'error 503', "$type: frozen, it is away");
    cmp_ok($took, '<', scale(4), '... after twice the timeout at most');

    $begun = time;
    $r = $ws->ask({ type => $type, channel => 'h:a', data => 1 });
    is("$r->{type} $r->{code}", 'error 503', '... and so is the next');
    cmp_ok(time - $begun, '<', scale(1.5), '... at once, not by the timeout');

    $redis->thaw;
    ok(works(), '... until it goes on');
}

mixed(20);

done_testing();
