# A cluster that answers nonsense: tables of slots that are none, redirections
# to nowhere and in circles.  A worker tells what is wrong, serves on, and is
# back when the answers are.

use lib 't/lib';
use Wscast;
use Wscast::Cluster;
use IO::Select;
use IO::Socket::INET;

my $cluster = Wscast::Cluster->new(masters => 1, replicas => 0);
my $real    = ($cluster->nodes)[0];
my $orders  = Wscast::scratch() . '/orders';
my $port    = Wscast::free_port();
my $liar    = liar();

END {
    if ($liar) {
        local $?;
        kill 'TERM', $liar;
        waitpid $liar, 0;
    }
}

# -- who stands between: to some commands it has an answer of its own --------

sub order {
    my ($word) = @_;

    open my $fh, '<', $orders or return;
    my %order = map { split /\t/, $_, 2 } map { s/\n\z//r } <$fh>;

    return exists $order{$word}
        ? $order{$word} =~ s/\\r\\n/\r\n/gr : undef;
}

sub command {
    my ($in) = @_;
    my @words;

    $$in =~ /\G\*(\d+)\r\n/gc or return;
    for (1 .. $1) {
        $$in =~ /\G\$(\d+)\r\n/gc or return;
        my $at = pos $$in;
        length $$in >= $at + $1 + 2 or return;
        push @words, substr $$in, $at, $1;
        pos($$in) = $at + $1 + 2;
    }
    my $raw = substr $$in, 0, pos $$in, '';

    return ($raw, @words);
}

# The answer stands in for that to a PING, so that the order is kept.

sub relay {
    my ($client) = @_;
    my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $real->port) or return;
    my $select = IO::Select->new($client, $server);
    my ($in, $out, $n, @lies) = ('', '', 0);

    while (my @ready = $select->can_read) {
        for my $s (@ready) {
            sysread $s, my $data, 65536 or return;

            if ($s == $server) {
                $out .= $data;
                while (@lies && $out =~ s/\A(.*?)(?:\*2\r\n\$4\r\npong\r\n)?
                    \$9\r\nlie\d{6}\r\n//sx)
                {
                    print {$client} $1, shift @lies;
                }
                print {$client} $out unless @lies;
                $out = '' unless @lies;
                next;
            }

            $in .= $data;
            pos($in) = 0;
            while (my ($raw, @words) = command(\$in)) {
                my $answer = order(uc $words[0]);

                if (defined $answer) {
                    push @lies, $answer;
                    $raw = sprintf "*2\r\n\$4\r\nPING\r\n\$9\r\nlie%06d\r\n",
                        ++$n;
                }

                print {$server} $raw;
                pos($in) = 0;
            }
        }
    }

    return;
}

sub liar {
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $port, Listen => 64, ReuseAddr => 1) or die "listen: $!";
    my $pid = fork // die "fork: $!";
    return $pid if $pid;

    $SIG{CHLD} = 'IGNORE';
    $SIG{TERM} = sub { kill 'KILL', -$$; POSIX::_exit(0) };
    POSIX::setpgid(0, 0);

    while (my $client = $listen->accept) {
        next if fork;
        $client->autoflush(1);
        eval { relay($client) };
        POSIX::_exit(0);
    }

    POSIX::_exit(0);
}

sub instruct {
    my (%order) = @_;

    open my $fh, '>', "$orders.new" or die $!;
    print {$fh} "$_\t$order{$_}\n" for keys %order;
    close $fh;
    rename "$orders.new", $orders or die $!;

    return;
}

sub slots {
    my (@ranges) = @_;

    return '*' . @ranges . '\r\n' . join '', map {
        my ($from, $to, $host, $at) = @$_;
        "*3\\r\\n:$from\\r\\n:$to\\r\\n*3\\r\\n\$" . length($host)
            . "\\r\\n$host\\r\\n:$at\\r\\n\$2\\r\\nid\\r\\n"
    } @ranges;
}

my @true = (CLUSTER => slots([0, 16383, '127.0.0.1', $port]));

instruct(@true);

my $nginx = host(<<"CONF", workers => 1);
wscast_hub chat {
    redis            redis+cluster://127.0.0.1:$port;
    redis_timeout    500ms 300ms;
    redis_reconnect  20ms 100ms;
    channel "kept:*" { history 100 10m; presence on; }
}

server {
    listen 127.0.0.1:%%PORT%%;

    location /ws {
        wscast        chat;
        wscast_allow  all "*";
    }

    location /api/    { wscast_api chat; }
    location /other   { return 200 "still served"; }
}
CONF

my $worker = ($nginx->workers)[0];

sub publish {
    my ($channel) = @_;

    return $nginx->http('POST', "/api/channels/$channel", body => 'x')
        ->{status};
}

sub works {
    my ($name) = @_;

    ok(wait_until(sub {
        publish('kept:1') == 200 && publish('room:1') == 200;
    }, 20), "$name: it works again");

    return;
}

sub survives {
    my ($name) = @_;

    is($nginx->http('GET', '/other')->{body}, 'still served',
        "$name: others are served");
    is(($nginx->workers)[0], $worker, '... by the same worker');

    return;
}

works('with true answers');

my $ws = $nginx->ws('/ws');
$ws->recv_json;
$ws->ask({ type => 'subscribe', channel => $_ }) for 'kept:1', 'room:1';

# -- the table -----------------------------------------------------------

my %table = (
    'no slots'            => '*0\r\n',
    'a word'              => '+OK\r\n',
    'nothing'             => '*-1\r\n',
    'a number in it'      => '*1\r\n:1\r\n',
    'a range without end' => '*1\r\n*1\r\n:0\r\n',
    'a negative slot'     => slots([-1, 5, '127.0.0.1', $port]),
    'a slot too many'     => slots([0, 16384, '127.0.0.1', $port]),
    'a huge slot'         => slots([0, '9223372036854775807', '127.0.0.1', 1]),
    'an end before its start' => slots([100, 5, '127.0.0.1', $port]),
    'no port'             => slots([0, 16383, '127.0.0.1', 0]),
    'a port too many'     => slots([0, 16383, '127.0.0.1', 65536]),
    'a name'              => slots([0, 16383, 'redis.example', $port]),
    'a long name'         => slots([0, 16383, 'x' x 5000, $port]),
    'a master that is a word' => '*1\r\n*3\r\n:0\r\n:16383\r\n$1\r\nx\r\n',
    'a thousand servers'  => slots(map { [$_ * 16, $_ * 16 + 15,
        '127.1.' . ($_ >> 8) . '.' . ($_ & 255), 1] } 0 .. 999),
);

for my $name (sort keys %table) {
    instruct(CLUSTER => $table{$name});

    # whoever is told to move elsewhere asks for the table at once
    $real->command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    select undef, undef, undef, 0.2;
    publish('room:1');

    survives($name);
}

instruct(@true);
works('after all these tables');

# -- redirections --------------------------------------------------------

my $slot = $cluster->slot('wscast:chat:kept:1');

my %answer = (
    'MOVED and no more'   => '-MOVED\r\n',
    'MOVED without where' => '-MOVED 5\r\n',
    'MOVED to no slot'    => '-MOVED x 127.0.0.1:1\r\n',
    'MOVED with a slot too many' => "-MOVED 16384 127.0.0.1:$port\\r\\n",
    'MOVED without port'  => "-MOVED $slot 127.0.0.1\\r\\n",
    'MOVED to port 0'     => "-MOVED $slot 127.0.0.1:0\\r\\n",
    'MOVED to a name'     => "-MOVED $slot redis.example:$port\\r\\n",
    'MOVED to nobody'     => "-MOVED $slot 127.0.0.1:1\\r\\n",
    'MOVED in a circle'   => "-MOVED $slot 127.0.0.1:$port\\r\\n",
    'MOVED with no host'  => "-MOVED $slot :$port\\r\\n",
    'ASK in a circle'     => "-ASK $slot 127.0.0.1:$port\\r\\n",
    'ASK of nobody'       => "-ASK $slot 127.0.0.1:1\\r\\n",
    'ASK and no more'     => '-ASK \r\n',
    'TRYAGAIN for ever'   => '-TRYAGAIN later\r\n',
    'CLUSTERDOWN for ever' => '-CLUSTERDOWN Hash slot not served\r\n',
    'a word'              => '+OK\r\n',
    'nothing'             => '$-1\r\n',
);

for my $name (sort keys %answer) {
    instruct(@true, SPUBLISH => $answer{$name}, EVALSHA => $answer{$name},
        EVAL => $answer{$name});

    is(publish('kept:1'), 503, "$name: a publish with history is refused");
    is(publish('room:1'), 503, '... one without as well');
    survives($name);

    if ($name =~ /nobody/) {
        instruct(@true);
        works($name);
    }
}

instruct(@true);
works('after all these redirections');

# -- what subscribing is answered ----------------------------------------

for my $name ('MOVED in a circle', 'MOVED to a name', 'MOVED to no slot',
    'CLUSTERDOWN for ever')
{
    instruct(@true, SSUBSCRIBE => $answer{$name});

    my $late = $nginx->ws('/ws');
    $late->recv_json;
    $late->json({ type => 'subscribe', channel => 'late' });
    select undef, undef, undef, 0.5;

    survives("$name to a subscriber");
    instruct(@true);
    works("$name to a subscriber");

    ok(wait_until(sub {
        publish('late');
        eval { $late->recv_json(1)->{type} eq 'message' };
    }, 10), '... and who came meanwhile hears');
    $late->close;
}

$ws->close;

done_testing();
