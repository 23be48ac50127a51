# A channel with more subscribers than are served where a message comes in:
# those that read get all of it, while others do not read, or are gone in the
# middle of it.

use lib 't/lib';
use Wscast;

my $nginx = host(<<'CONF', workers => 1);
wscast_hub chat {
    zone 32m;
}

server {
    listen 127.0.0.1:%%PORT%%;
    listen 127.0.0.1:%%PORT_ssl%% ssl;

    ssl_certificate      %%CERT%%;
    ssl_certificate_key  %%KEY%%;

    wscast_heartbeat     off;
    wscast_channel       "room:1";
    wscast_welcome       "welcome";

    location /talk {
        wscast              chat text;
        wscast_allow        publish "room:1";
        wscast_send_buffer  64m;
    }

    location /close {
        wscast              chat text;
        wscast_send_buffer  64k;
    }

    location /drop {
        wscast              chat text;
        wscast_send_buffer  64k drop;
    }
}
CONF

my ($N, $SIZE) = (200, 40_000);

sub number { return sprintf '%05d %s', $_[0], 'x' x $SIZE }

# The number of a message, -1 if it is not whole.

sub number_of {
    my ($m) = @_;
    return $m->{data} =~ /^(\d{5}) x*\z/ && length $m->{data} == $SIZE + 6
        ? $1 + 0 : -1;
}

my @tls = map {
    $nginx->ws('/talk', port => $nginx->port('PORT_ssl'), tls => 1)
} 1 .. 5;
my @readers = (@tls, map { $nginx->ws('/talk') } 1 .. 75);
my @close   = map { $nginx->ws('/close', rcvbuf => 4096) } 1 .. 10;
my @drop    = map { $nginx->ws('/drop', rcvbuf => 4096) } 1 .. 10;
my @leave   = map { $nginx->ws('/talk') } 1 .. 20;
my @all     = (@readers, @close, @drop, @leave);

is(scalar(grep { $_->recv_text eq 'welcome' } @all), @all,
    @all . ' clients are on a channel');

my $talk = $readers[-1];
my %got;

$talk->queue(Wscast::WebSocket::frame_bytes(1, number($_))) for 1 .. $N;

# Some go without a word, some by a reset, one after the other.

sub somebody_goes {
    my $who = @{ $got{$talk} // [] } > 4 ? shift @leave : undef;
    $who->drop(reset => @leave % 2) if $who;
    return;
}

ok(gather(\@readers, timeout => 60,
    until => sub {
        somebody_goes();
        !grep { @{ $got{$_} // [] } < $N } @readers;
    },
    message => sub { push @{ $got{ $_[0] } }, number_of($_[1]) }),
    'all that read have got as many messages as there are');

my $all = join ' ', 1 .. $N;
is(scalar(grep { "@{ $got{$_} }" eq $all } @readers), @readers,
    '... whole, in order, each once');
is(scalar @leave, 0, 'meanwhile some have gone');

{
    my (%some, $odd);

    gather(\@close, timeout => 30, until => sub {
        !grep { !$_->{eof} } @close;
    }, message => sub { push @{ $some{ $_[0] } }, number_of($_[1]) });

    for my $ws (@close) {
        my @some = @{ $some{$ws} // [] };
        $odd++ if "@some" ne join(' ', 1 .. @some) || @some == $N
            || ($ws->ending->{code} // 0) != 4408;
    }

    is($odd, undef, 'those that did not read were closed with 4408, after '
        . 'some whole messages, in order');
}

{
    my $dropped = $nginx->hub->{messages_dropped_total};
    my %some;
    my $sum = 0;

    gather(\@drop, timeout => 30,
        until => sub { $sum == @drop * $N - $dropped },
        message => sub { push @{ $some{ $_[0] } }, number_of($_[1]); $sum++ });

    is($sum, @drop * $N - $dropped,
        'those for whom the newest are dropped get the others');
    is(scalar(grep {
        my @some = @{ $some{$_} // [] };
        "@some" eq join(' ', 1 .. @some)
    } @drop), @drop, '... the oldest ones, whole and in order');

    $talk->text('the last');
    is(scalar(grep { $_->recv_text eq 'the last' } @drop, @readers),
        @drop + @readers, '... and live on');
}

ok(wait_until(sub {
    my $hub = $nginx->hub;
    $hub->{connections} == @readers + @drop && $hub->{queued_bytes} == 0;
}), 'then nothing waits, and nobody is left who has gone');
is($nginx->hub->{closes}{slow}, @close, 'the slow ones are counted');

done_testing();
