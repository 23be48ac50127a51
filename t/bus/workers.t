# One worker, many, or none but the master; and the death of one costs its own
# clients only.

use lib 't/lib';
use Wscast;

my $CONF = <<'CONF';
wscast_hub chat {
    zone 8m;
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    wscast_send_buffer  16m;

    location / {
        wscast          chat text;
        wscast_channel  "room:1";
        wscast_allow    publish "room:1";
        wscast_welcome  $pid;
    }

    location /api/ {
        wscast_api  chat;
    }
}
CONF

sub frame { return Wscast::WebSocket::frame_bytes(1, @_) }

sub clients {
    my ($nginx, $n) = @_;
    my @ws = map { $nginx->ws('/') } 1 .. $n;
    $_->{pid} = $_->recv_text for @ws;
    return @ws;
}

# -- any number of them --------------------------------------------------

for my $n (0, 1, 2, 9) {
    my $name  = $n == 0 ? 'master_process off' : "$n worker(s)";
    my $nginx = host($CONF, workers => $n, name => "the host of $name");
    my @ws    = clients($nginx, 6 + 6 * $n);
    my %pid   = map { $_->{pid} => 1 } @ws;

    cmp_ok(scalar keys %pid, '>=', $n > 2 ? $n / 2 : $n || 1,
        "$name: clients everywhere");

    for my $from (@ws[0 .. 5]) {
        $from->text("from $from->{serial}");
        is((grep { $_->recv_text ne "from $from->{serial}" } @ws), 0,
            "$name: all get what one says");
    }

    my $r = $nginx->http('POST', '/api/channels/room:1', body => 'api');
    is($r->{status}, 200, "$name: the API publishes");
    like($r->{body}, qr/"subscribers":${\scalar @ws}\b/,
        "$name: ... and counts all subscribers");
    is((grep { $_->recv_text ne 'api' } @ws), 0, "$name: ... to all");
    is($nginx->hub->{workers}, $n || 1, "$name: the status counts them");

    $_->drop for @ws;
    $nginx->closing_checks;
}

# -- kill -9 under load --------------------------------------------------

{
    my $nginx = host($CONF, workers => 4, name => 'the host of the killed');
    $nginx->expect_log(qr/worker process \d+ exited on signal 9/);

    my @ws = clients($nginx, 48);
    my %pid = map { $_->{pid} => 1 } @ws;
    is(scalar keys %pid, 4, 'all four workers have clients');

    my (%next, %problem, %published);
    my ($victims, $lost) = (0, 0);

    for my $victim (sort keys %pid) {
        my @mine  = grep { $_->{pid} == $victim && !$_->{eof} } @ws;
        my @alive = grep { $_->{pid} != $victim && !$_->{eof} } @ws;
        last if !@alive || ++$victims > 3;

        # publishers on every worker, the victim's too, at full speed
        my %publisher = map { $_->{pid} => $_ } @mine, @alive;
        my $round = "round$victims";
        my (%got, $killed);
        my $n = 3000;

        for my $from (values %publisher) {
            $from->queue(join '', map {
                frame("$round $from->{pid} $_ " . 'x' x 100)
            } 1 .. $n);
        }

        my @want = grep { $_ != $victim } keys %publisher;
        my $heard = 0;

        my $hear = sub {
            my ($ws, $m) = @_;
            my ($r, $from, $i) = split / /, $m->{data};
            return if ($r // '') ne $round;
            $heard++;
            my $key = "$ws $from";
            $problem{$key} = "$i after $got{$key}"
                if $i != ($got{$key} // 0) + 1;
            $got{$key} = $i;
        };

        my $met = gather([@mine, @alive], timeout => 30, message => $hear,
            until => sub {
                if (!$killed && $heard > 2000) {
                    kill 'KILL', $victim;
                    $killed = 1;
                    $lost++;
                }

                for my $ws (@alive) {
                    for my $from (@want) {
                        return 0 if ($got{"$ws $from"} // 0) < $n;
                    }
                }

                return $killed;
            });

        ok($killed, "worker $victims of the host is killed under load");
        ok($met, 'survivors get everything that survivors publish');

        ok(wait_until(sub {
            my @now = $nginx->workers;
            @now == 4 && !grep { $_ == $victim } @now;
        }), 'another worker takes its place');

        # what is said now comes behind all that the killed one had published
        $alive[0]->queue(frame("$round end 1"));
        ok(gather(\@alive, timeout => 30, message => $hear,
            until => sub { !grep { !$got{"$_ end"} } @alive }),
            '... and what is said then reaches all');

        my @odd = grep { my $k = $_; grep { index($k, "$_ ") == 0 } @alive }
            keys %problem;
        is((scalar @odd), 0, '... without a gap, from the killed one too')
            || diag(explain([map { "$_: $problem{$_}" } @odd]));

        # of that all survivors got the same
        my %upto = map { ($got{"$_ $victim"} // 0) => 1 } @alive;
        is(scalar keys %upto, 1, '... and as much of that as the others');
        is((grep { $_->{eof} } @alive), 0, 'no survivor lost its connection');
        $_->drop for @mine;
    }

    my @again = clients($nginx, 48);
    my @all   = (@again, grep { !$_->{eof} } @ws);
    my %now   = map { $_->{pid} => 1 } @again;
    is(scalar keys %now, 4, 'new clients are served by all four');

    for my $from (@again[0 .. 5]) {
        $from->text("after $from->{serial}");
        is((grep { $_->recv_text ne "after $from->{serial}" } @all), 0,
            'old and new hear each other');
    }

    ok(wait_until(sub { $nginx->hub->{connections} == @all }),
        'only living connections are counted') ||
        diag($nginx->hub->{connections} . ' of ' . @all);
    is($nginx->hub->{workers}, 4, '... and living workers');
    is($nginx->hub->{workers_lost_total}, $lost,
        '... but the killed ones, too, as such');
}

done_testing();
