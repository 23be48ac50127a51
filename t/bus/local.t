# Embedded, four workers: every kind of message byte for byte, one order for
# all, and a hundred thousand at full speed without loss.

use lib 't/lib';
use Wscast;

my $nginx = host(<<'CONF', workers => 4);
wscast_hub chat {
    zone 64m;
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    wscast_heartbeat     off;
    wscast_message_size  1m;
    wscast_send_buffer   64m;

    location /text {
        wscast          chat text;
        wscast_channel  "room:$arg_room";
        wscast_allow    publish "room:*";
        wscast_welcome  $pid;
    }

    location /json {
        wscast          chat;
        wscast_channel  "room:$arg_room";
        wscast_allow    publish "room:*";
        wscast_welcome  $pid;
    }
}
CONF

my (@text, @json, %worker);

# until each of the four workers has both kinds

for (1 .. 200) {
    my $ws = $nginx->ws('/text?room=1');
    my $js = $nginx->ws('/json?room=1');
    push @text, $ws;
    push @json, $js;
    $worker{ $ws->{pid} = $ws->recv_text }{text} //= $ws;
    $worker{ $js->{pid} = $js->recv_json->{msg} }{json} //= $js;
    last if @text >= 12 && keys %worker == 4
        && 8 == map { keys %$_ } values %worker;
}

is(scalar keys %worker, 4, 'all four workers have clients');
my @one_each = map { $worker{$_}{text} } sort keys %worker;

# -- byte for byte -------------------------------------------------------

my $binary = join '', map { chr rand 256 } 1 .. 1000;
my $large  = join '', map { chr 33 + rand 90 } 1 .. 400 * 1024;
my $json   = '{"id":9007199254740993,"ids":[18446744073709551615,'
    . '-9223372036854775809, 0.10, 1E5],"s":"\u00e9\/"}';

for my $from (@one_each) {
    for my $case ([text => "hello from $from->{pid}"], [binary => $binary],
        [text => $large], [text => $json])
    {
        my ($how, $what) = @$case;
        $from->$how($what);
        my $op = $how eq 'text' ? 1 : 2;
        my $bad = grep { $_->{op} != $op || $_->{data} ne $what }
            map { $_->recv } @text;
        is($bad, 0, length($what) . " bytes of $how reach all text clients "
            . 'as they are');

        my @got = map { $_->recv_text } @json;
        next if $how ne 'text' || $what eq $large;
        my $data = $what eq $json ? $json : qq("$what");
        is((grep { index($_, qq("data":$data,)) < 0 } @got), 0,
            '... and all json clients as JSON');
    }
}

# -- one order -----------------------------------------------------------

{
    my $n = 300;
    my %seen;

    for my $from (@one_each) {
        $from->queue(join '', map {
            Wscast::WebSocket::frame_bytes(1, "$from->{pid} $_")
        } 1 .. $n);
    }

    my $all = 4 * $n;
    my $met = gather([@text, @json], timeout => 30,
        message => sub {
            my ($ws, $m) = @_;
            my $data = $m->{data};
            $data = $data =~ /"data":"([^"]*)"/ ? $1 : 'odd'
                if $data =~ /^\{/;
            push @{ $seen{$ws} }, $data;
        },
        until => sub {
            !grep { @{ $seen{$_} // [] } < $all } @text, @json;
        });

    ok($met, 'all get all of four publishers on four workers');
    my %orders = map { (join(',', @$_) => 1) } values %seen;
    is(scalar keys %orders, 1, '... all in the same order');

    my ($order) = values %seen;

    for my $from (@one_each) {
        my @own = map { /^$from->{pid} (\d+)/ ? $1 : () } @$order;
        is("@own", join(' ', 1 .. $n), '... each publisher\'s in his own');
    }
}

$_->drop for @text, @json;

# -- a hundred thousand --------------------------------------------------

{
    my $r = load('blast', $nginx->port, '/text?room=2', 4, 25_000, 8, 64, 15);
    note(sprintf '100,000 messages to 12 clients in %.1f s', $r->{seconds});

    is($r->{welcomed}, 12, 'four publishers and eight more');
    is($r->{expected}, 100_000, '100,000 messages at full speed');
    is($r->{lost}, 0, 'none is lost');
    is($r->{disorder}, 0, 'each publisher\'s in order');
    my %orders = map { $_ => 1 } @{ $r->{orders} };
    is(scalar keys %orders, 1, 'one order for all');
    is($r->{ended}, 0, 'no connection is lost') || diag(explain($r));
    ok(wait_until(sub { $nginx->hub->{publishes_total} >= 100_000 }),
        'they are counted');
}

done_testing();
