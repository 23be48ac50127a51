# One host without Redis, four workers: clients that are cut off at random, or
# moved by reloads, come back with the position that they had, and miss nothing.

use lib 't/lib';
use Wscast;
use Wscast::Readers;
use Time::HiRes qw(sleep time);

my $CONF = <<'CONF';
wscast_hub chat {
    zone     32m;
    channel  room:*  { history 20000 10m; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /ws {
        wscast              chat;
        wscast_allow        all "*";
        wscast_welcome      $pid;
        wscast_send_buffer  16m;
        wscast_drain        1s;
    }

    location /api/ { wscast_api chat; }
}
CONF

my $host = host($CONF, workers => 4);
my @ways = qw(drop reset close half);

srand 3;

# Cuts so many a second off, however slow this machine is.
sub cutter {
    my ($readers, $rate) = @_;
    my ($begun, $cuts) = (time, 0);

    return sub {
        while ($cuts < $rate * (time - $begun)) {
            my @there = grep { !$_->{ws}{eof} } $readers->readers or last;
            $readers->cut($there[rand @there], $ways[rand @ways]);
            $cuts++;
        }
    };
}

# -- 50 clients that drop at random, under 500 messages a second ---------

{
    my $seconds = asan() ? 15 : 30;
    my $readers = Wscast::Readers->new(hosts => [$host], count => 50,
        channel => 'room:drop');

    $readers->begin;
    my %pids = map { $_->{greeting} => 1 } $readers->readers;
    is(scalar keys %pids, 4, '... of all four workers');

    $readers->talk(rate => 500, voices => 4, api => 1);
    $readers->run($seconds, cutter($readers, asan() ? 10 : 30));
    ok($readers->finish(60), 'at the end all have caught up');

    my $cuts = $readers->sum('ends');
    cmp_ok($cuts, '>', $seconds * 5, "$cuts connections were cut");
    my $taken = () = $readers->taken;
    cmp_ok($taken, '>', $seconds * 300, "$taken messages were published");
    is($readers->{errors}, 0, 'none of them was refused');
    $readers->whole('cut at random');
    $readers->orderly('cut at random');
    cmp_ok($host->hub->{recoveries_total}, '>', $seconds * 4,
        'recoveries are counted');
    is($host->hub->{bus_lapped_total}, 0, '... and no worker fell behind');
    $_->{ws}->drop for $readers->readers;
}

# -- reloads -------------------------------------------------------------

{
    my $readers = Wscast::Readers->new(hosts => [$host], count => 40,
        channel => 'room:reload');
    my $cut     = cutter($readers, 4);
    my $reloads = 0;

    $readers->begin;
    my $next = time + 1;
    $readers->talk(rate => 300, voices => 4, api => 1, keys => 1);
    my $end = time + scale(60);
    $readers->run(1, sub {
        $cut->();
        return if $reloads == 3 || time < $next;
        $host->signal('HUP');
        $reloads++;
        $next = time + (asan() ? 3.5 : 2.5);
    }) while $reloads < 3 && time < $end;
    is($reloads, 3, 'three reloads have begun');

    my %codes;
    my $moved = sub {
        %codes = ();
        for my $c ($readers->readers) {
            $codes{$_} += $c->{codes}{$_} for keys %{ $c->{codes} };
        }
        return ($codes{1001} // 0) >= 60;
    };
    ok($readers->listen($moved), 'clients are asked to move')
        || diag(explain(\%codes));
    ok($readers->finish(60), 'after three reloads all have caught up');
    $moved->();
    delete $codes{1001};
    is(join(' ', %codes), '', '... and nobody was turned out otherwise');
    $readers->whole('reloaded');
    $_->{ws}->drop for $readers->readers;
}

# -- a position from before a reload, when nobody was there ---------------

{
    my $readers = Wscast::Readers->new(hosts => [$host], count => 1,
        channel => 'room:alone');
    my ($c) = $readers->readers;
    my $post = sub { $host->http('POST', '/api/channels/room:alone',
        body => $_[0])->{status} };

    $readers->begin;
    is($post->($_), 200, "message $_ is published") for 1, 2;
    $readers->listen(sub { @{ $c->{got} } == 2 });
    $c->{ws}->drop;
    $post->(3);
    $host->reload;
    $post->(4);
    ok(wait_until(sub { !$host->workers(old => 1) }), 'old workers are gone');
    $post->(5);
    $readers->enter($c);
    $readers->listen(sub { @{ $c->{got} } == 5 });
    is("@{ $c->{got} } $c->{wrong} $c->{broken}", '1 2 3 4 5 0 0',
        'what was published on both sides of a reload is recovered');
    $c->{ws}->drop;
}

done_testing();
