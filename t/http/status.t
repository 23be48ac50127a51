# wscast_status: Prometheus text that its tools would accept, and the same as
# JSON; the counters count.

use lib 't/lib';
use Wscast;
use Wscast::Metrics;

my $nginx = host(<<'CONF', workers => 3);
wscast_hub chat {
    zone 4m;
}

wscast_hub other.hub-2 {
    zone 4m;
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /ws {
        wscast        chat;
        wscast_allow  all "*";
    }

    location /status {
        wscast_status;
    }
}
CONF

my @read;

sub metrics {
    my $r = $nginx->http('GET', '/status');
    @read = Wscast::Metrics::read($r->{body});
    my $metrics = shift @read;
    return $metrics;
}

sub value {
    my ($name, $labels) = @_;
    return metrics()->{"wscast_$name"}{ $labels // 'hub="chat"' };
}

sub becomes {
    my ($name, $value, $why) = @_;
    my $last;
    ok(wait_until(sub { ($last = value($name) // 'nothing') eq $value }, 5),
        $why) || diag("$name is $last, not $value");
}

# -- the form ------------------------------------------------------------

{
    my $r = $nginx->http('GET', '/status');
    is($r->{status}, 200, 'the status is served');
    like($r->{header}{'content-type'}, qr{^text/plain; ?version=0\.0\.4},
        'its type is Prometheus text');
    my ($metrics, @wrong) = Wscast::Metrics::read($r->{body});
    is("@wrong", '', 'its form is what Prometheus accepts');

    for my $name (qw(connections connections_total messages_received_total
        messages_sent_total bytes_received_total bytes_sent_total
        publishes_total subscriptions channels
        redis_reconnects_total gaps_total workers))
    {
        ok(defined $metrics->{"wscast_$name"}{'hub="chat"'},
            "wscast_$name is there");
    }

    ok(defined $metrics->{wscast_closes_total}{'hub="chat",reason="closed"'},
        'closes are told by reason');
    is($metrics->{wscast_connections}{'hub="other.hub-2"'}, 0,
        'every hub is told of');

    is($nginx->http('HEAD', '/status')->{status}, 200, 'HEAD is served');
    is($nginx->http('POST', '/status', body => 'x')->{status}, 405,
        'POST is not');
}

# -- the counting --------------------------------------------------------

becomes('workers', 3, 'all workers are counted');
is(value('redis_up'), undef, 'an embedded hub has no Redis');

my @clients = map { $nginx->ws('/ws') } 1 .. 6;
$_->recv for @clients;

becomes('connections', 6, 'open connections are counted');
becomes('connections_total', 6, '... and accepted ones');
becomes('messages_sent_total', 6, 'the welcomes are counted');

$_->ask({ type => 'subscribe', channel => 'a' }) for @clients;
$clients[0]->ask({ type => 'subscribe', channel => 'b' });

becomes('subscriptions', 7, 'subscriptions are counted');
becomes('messages_received_total', 7, '... and the messages that asked');

my $before = value('bytes_sent_total');
is($clients[0]->ask({ type => 'publish', channel => 'a', data => 'x' })
    ->{type}, 'published', 'a message is published');

becomes('publishes_total', 1, 'publishes are counted once a host');
becomes('messages_sent_total', 6 + 7 + 1 + 6,
    'messages sent are counted once a receiver');
ok(wait_until(sub { value('bytes_sent_total') - $before > 6 * 40 }),
    'bytes sent grow with them');
cmp_ok(value('bytes_received_total'), '>', 8 * 30,
    'bytes received are counted');

is($clients[5]->close(1000)->{code}, 1000, 'one client closes');
$clients[4]->drop(reset => 1);
$clients[3]->raw("\xff");
is($clients[3]->wait_close->{code}, 1002, 'one client errs');
refused();

becomes('connections', 3, 'they are not counted as open any more');
becomes('subscriptions', 4, '... nor their subscriptions');

is(value('closes_total', 'hub="chat",reason="closed"'), 1,
    'a close is counted as one');
is(value('closes_total', 'hub="chat",reason="gone"'), 1,
    'a lost connection is counted as one');
is(value('closes_total', 'hub="chat",reason="protocol"'), 1,
    'a breach of the protocol is counted as one');
becomes('handshakes_refused_total', 1, 'a refused handshake is counted');

sub refused {
    return $nginx->ws('/ws', raw => 1)->handshake(key => 'x');
}

# -- JSON ----------------------------------------------------------------

{
    my ($metrics, $json, %told);

    # what did not change meanwhile
    ok(wait_until(sub {
        $metrics = metrics();
        $json = $nginx->status;
        my $again = metrics();
        return !grep {
            my $name = $_;
            grep { $metrics->{$name}{$_} ne $again->{$name}{$_} }
                keys %{ $again->{$name} };
        } keys %$again;
    }), 'all is at rest');

    is_deeply([sort keys %{ $json->{hubs} }], ['chat', 'other.hub-2'],
        'JSON has all the hubs');

    for my $name (sort keys %$metrics) {
        my ($short) = $name =~ /^wscast_(.*)/ or next;
        my $samples = $metrics->{$name};

        for my $labels (grep { /^hub="chat"/ } keys %$samples) {
            $told{$labels =~ /reason="(.*)"/ ? "closes.$1" : $short}
                = $samples->{$labels};
        }
    }

    my %said = map {
        my $v = $json->{hubs}{chat}{$_};
        my $prefix = $_;
        ref $v ? map { ("closes.$_" => $v->{$_}) } keys %$v : ($_ => $v);
    } keys %{ $json->{hubs}{chat} };

    is_deeply(\%said, \%told, 'JSON tells the same as the text');
}

done_testing();
