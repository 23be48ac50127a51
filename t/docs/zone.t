# What docs/operations.md says of the zone: how much is kept in it, what goes
# when it is full, and what members take.

use lib 't/lib';
use Wscast;
use Wscast::Docs;

my $FILE  = 'docs/operations.md';
my %keeps = map { $_->[0] => $_->[4] }
    grep { @$_ == 5 && $_->[0] =~ /^\d+m$/ } Wscast::Docs::rows($FILE);
my @hosts;

sub hub {
    my ($zone) = @_;
    push @hosts, host(<<"CONF", workers => 1);
wscast_hub chat {
    zone $zone;

    channel  keep:*  { history 100000 1d; }
    channel  room:*  { presence on; history 10 1d; }
}

server {
    listen 127.0.0.1:%%PORT%%;
    client_max_body_size     4m;
    client_body_buffer_size  4m;

    location /api/ { wscast_api chat; }
    location /ws {
        wscast                chat;
        wscast_allow          all "*";
        wscast_subscriptions  65536;
        wscast_user           \$arg_user;
        wscast_info           \$arg_info;
    }
}
CONF
    return $hosts[-1];
}

# Publishes n messages of 200 bytes; what came to be kept besides.

sub fill {
    my ($nginx, $n) = @_;
    my @messages = map { {
        channels => [map { "keep:$_" } 1 .. 10], data => 'x' x 198
    } } 1 .. 50;
    my $body = JSON::PP::encode_json({ messages => \@messages });

    for (1 .. $n / 500) {
        my $r = $nginx->http('POST', '/api/publish', body => $body);
        die "publish: $r->{status}\n" if $r->{status} != 200;
    }
}

cmp_ok(scalar keys %keeps, '>=', 4, 'the documentation has figures');

for my $zone ('1m', '4m') {
    my $nginx = hub($zone);
    my $many  = 2 * $keeps{$zone};

    $many -= $many % 500;
    fill($nginx, $many);

    my $hub   = $nginx->hub;
    my $kept  = $many - $hub->{history_evicted_total};

    note("zone $zone keeps $kept");
    cmp_ok($kept, '>=', $keeps{$zone}, "zone $zone keeps what is said");
    cmp_ok($kept, '<', 1.05 * $keeps{$zone}, '... and not much more');
    is($hub->{publishes_total}, $many, '... and all are published');

    my $history = JSON::PP::decode_json($nginx->http('GET',
        '/api/channels/keep:1/history?limit=1000')->{body});
    my @offsets = map { $_->{offset} } @{ $history->{messages} };

    is($offsets[-1], $many / 10, 'the newest message is there');
    is(join(' ', @offsets), join(' ', $offsets[0] .. $offsets[-1]),
        '... and of the others it is the oldest that went');
}

# As the formula in the table has it.

sub blocks { my ($bytes) = @_; return int(($bytes + 119) / 120) }

for my $case (['' => 0], ['?user=' . 'u' x 100 => 100],
    ['?user=' . 'u' x 100 . '&info=' . 'i' x 200 => 302])
{
    my ($query, $text) = @$case;
    my $nginx = hub('1m');
    my $each  = blocks(120) + blocks($text) + blocks(56 + 12);
    my $half  = $keeps{'1m'} * blocks(108 + 200) / 2;
    my $ws    = $nginx->ws("/ws$query");
    my ($n, $r, $joined, $refused) = 0;

    fill($nginx, 4000);                 # what is there gives way
    $ws->recv_json;

    do {
        $n++;
        $r = $ws->ask({ type => 'subscribe',
            channel => sprintf 'room:%07d', $n });

        if ($n % 20 == 0) {
            my $hub = $nginx->hub;
            ($joined, $refused) = @$hub{qw(presence_joins_total
                presence_refused_total)};
        }
    } until $refused || $n > 3000;

    cmp_ok($joined * $each, '>', 0.95 * $half,
        "members with $text bytes of user and info take half of the zone");
    cmp_ok($joined * $each, '<', 1.05 * $half, '... and no more');
    is($r->{type}, 'subscribed', 'one for whom there is no room hears all');

    my $list = $ws->ask({ type => 'presence', channel => $r->{channel} });
    is($list->{total}, 0, '... and is not listed');
}

done_testing();
