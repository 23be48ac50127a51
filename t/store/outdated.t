# What a server says that had been replaced before: a master of a cluster that
# stood still does what it was told to, and its successor hands that on.  It
# belongs to no count that Redis goes on with: nobody hears it, nor is told of
# a loss.  When there really is another count everybody is.

use lib 't/lib';
use Wscast;
use JSON::PP ();

my $redis = redis();

my $CONF = <<'CONF';
wscast_hub chat {
    zone             16m;
    redis            redis://127.0.0.1:%%REDIS_PORT%%;
    channel  kept:*  { history 100 10m; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /json { wscast chat; wscast_allow all "*"; }
    location /api/ { wscast_api chat; }
}
CONF

my ($one, $two) = my @hosts = map {
    host($CONF, redis => $redis, name => "host $_")
} 'one', 'two';

ok(wait_until(sub { $_->has_redis }), "$_->{name} finds Redis") for @hosts;

sub post {
    my ($data) = @_;
    my $r = $one->http('POST', '/api/channels/kept:1', body => $data);
    return JSON::PP::decode_json($r->{body});
}

# As a publish on another server, with its own count, is announced.
sub late {
    my ($epoch, $offset, $data) = @_;
    my $time = 1000 * time;
    $redis->command('PUBLISH', 'wscast:chat:kept:1',
        pack('CCCC Q> H16 Q> CC n N', 0, 1, 0, 2 | 4, $time, $epoch, $offset,
            0, 0, 0, 0) . $data);
    return;
}

my @ws = map { ($_->ws('/json'), $_->ws('/json')) } @hosts;
$_->recv for @ws;
$_->ask({ type => 'subscribe', channel => 'kept:1' }) for @ws;

sub all_hear {
    my ($name, @want) = @_;
    my @wrong;

    for my $ws (@ws) {
        my @got = map {
            my $m = $ws->recv_json;
            $m->{type} eq 'message' ? $m->{data}
                : "$m->{type} at $m->{offset}";
        } @want;
        push @wrong, "@got" if "@got" ne "@want";
    }

    is(join(', ', @wrong), '', "all hear $name: @want");
    return;
}

my $first = post(1);
is($first->{offset}, 1, 'a channel begins');
post(2);
all_hear('what is said', 1, 2);

late('f' x 16, 3, '"late"');
post(3);
all_hear('nothing that was said late', 3);

late('f' x 16, $_, '"late"') for 1 .. 5;
my $said = post(4);
all_hear('none of several', 4);
is($said->{epoch}, $first->{epoch}, '... and the channel goes on as before');

late($first->{epoch}, 2, '"late"');
late('e' x 16, 7, '"late"');
post($_) for 5 .. 20;
all_hear('all that comes behind it', 5 .. 20);

is($_->hub->{gaps_total}, 0, "$_->{name} counts no gap") for @hosts;

# -- another count -------------------------------------------------------

{
    my $key = '{wscast:chat:kept:1}';
    $redis->command('DEL', "$key:stream", "$key:meta");
    my $anew = post(21);
    isnt($anew->{epoch}, $first->{epoch}, 'Redis has lost it all');
    late($first->{epoch}, 21, '"late"');
    post(22);
    all_hear('of another count', 'subscribed at 0', 21, 22);

    my $ws = $two->ws('/json');
    $ws->recv;
    ok($ws->ask({ type => 'subscribe', channel => 'kept:1',
        since => { epoch => $anew->{epoch}, offset => 0 } })->{recovered},
        '... and may resume there');
    $ws->drop;
}

$_->drop for @ws;
done_testing();
