package Bench::Client;

# What a client costs: its echo, its coming and going, its idleness; and fifty
# thousand of them.

use strict;
use warnings;

use IO::Socket::SSL ();
use Time::HiRes qw(sleep time);

use Bench qw(median rounds seconds long_rounds long_seconds digits ratio
    private_memory wrong);
use Bench::Fanout;
use Bench::Load;
use Bench::Server;

sub servers {
    return (
        Bench::Server::floor('send'),
        Bench::Server::ours('text'),
        Bench::Server::nchan('nchan'),
        Bench::Server::ws('ws'),
    );
}

sub table {
    my ($title, $unit, $servers, $answers) = @_;
    my @rows;

    for my $i (0 .. $#$servers) {
        push @rows, {
            server => $servers->[$i]{name},
            $unit  => digits(Bench::Fanout::figure($answers->[$i], 'cpu'))
                . ' µs',
            '÷ floor' => ratio(Bench::Fanout::against($answers->[$i],
                $answers->[0], 'cpu')),
            '÷ nchan' => ratio(Bench::Fanout::against($answers->[$i],
                $answers->[2], 'cpu')),
            p50 => sprintf('%.2f ms',
                Bench::Fanout::figure($answers->[$i], 'p50') / 1000),
            p99 => sprintf('%.2f ms',
                Bench::Fanout::figure($answers->[$i], 'p99') / 1000),
        };
    }

    return {
        title => $title, rows => \@rows,
        columns => ['server', $unit, '÷ floor', '÷ nchan', 'p50', 'p99'],
    };
}

sub echo {
    my @servers = servers();
    my @loads = map { Bench::Load->new($_, to => 'echo', clients => 100,
        fan => 1, spin => 'yes') } @servers;

    Bench::Fanout::turns(\@loads, 'echo 64 0.2', 1);
    my @answers = Bench::Fanout::turns(\@loads, 'echo 64 ' . 3 * seconds(),
        2 * rounds() / 3);

    return table('Echo: 100 clients, 64 bytes', 'per round trip',
        \@servers, \@answers);
}

sub cycle {
    my @servers = servers();
    my @loads = map { Bench::Load->new($_, to => 'echo', clients => 0) }
        @servers;

    Bench::Fanout::turns(\@loads, 'cycle 64 0.2 0', 1);
    my @answers = Bench::Fanout::turns(\@loads,
        'cycle 64 ' . long_seconds() . ' 0', long_rounds());

    return table('Connect, handshake, close: 64 at a time', 'per cycle',
        \@servers, \@answers);
}

# -- memory --------------------------------------------------------------

my $hold = <<'CONF';
        location = /hold {
            wscast         bench text;
            wscast_channel bench;
            wscast_request hold;
        }
CONF

sub idle {
    my $n = 10_000;
    my @rows;

    # the first clients bring what is there once

    for my $case (
        [ 'ours', sub { Bench::Server::ours('text') }, 'sub' ],
        [ 'ours, `wscast_request hold`', sub {
            my $s = Bench::Server::ours('hold', locations => $hold);
            $s->{hold} = $s->{sub} =~ s{/sub$}{/hold}r;
            $s;
        }, 'hold' ],
        [ 'nchan', sub { Bench::Server::nchan('nchan') }, 'sub' ],
        [ 'ws', sub { Bench::Server::ws('ws') }, 'sub' ])
    {
        my ($name, $make, $to) = @$case;
        my $server = $make->();
        my $first  = Bench::Load->new($server, to => $to, clients => 100);
        sleep 0.3;
        my $before = private_memory(@{ $server->{pids} });
        my $load   = Bench::Load->new($server, to => $to, clients => $n);
        sleep 0.5;

        push @rows, {
            server  => $name, clients => $n,
            'bytes a client' => sprintf '%.0f',
                (private_memory(@{ $server->{pids} }) - $before) / $n,
        };
    }

    push @rows, tls();

    return {
        title => 'Idle clients: private memory of the worker',
        columns => ['server', 'clients', 'bytes a client'], rows => \@rows,
    };
}

sub tls {
    my $n   = 500;
    my $dir = Bench::scratch();

    system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
        . "-nodes -days 2 -subj /CN=localhost -keyout $dir/key "
        . "-out $dir/cert 2>/dev/null") == 0 or die "openssl: $?\n";

    my $server = Bench::Server::ours('tls', ssl => 1,
        http => "ssl_certificate $dir/cert; ssl_certificate_key $dir/key;");
    my @clients = map { tls_client($server) } 1 .. 50;
    my $before  = private_memory(@{ $server->{pids} });
    push @clients, tls_client($server) for 1 .. $n;
    sleep 0.5;

    return {
        server => 'ours, TLS', clients => $n,
        'bytes a client' => sprintf '%.0f',
            (private_memory(@{ $server->{pids} }) - $before) / $n,
    };
}

sub tls_client {
    my ($server) = @_;
    my $s = IO::Socket::SSL->new(
        PeerAddr => "127.0.0.1:$server->{port}",
        SSL_verify_mode => IO::Socket::SSL::SSL_VERIFY_NONE(),
    ) or die "TLS: $IO::Socket::SSL::SSL_ERROR\n";

    print {$s} join "\r\n", 'GET /sub HTTP/1.1', 'Host: localhost',
        'Upgrade: websocket', 'Connection: Upgrade',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Version: 13', '', '';

    my $line = readline $s;
    $line =~ /^HTTP\/1.1 101/ or wrong("TLS: $line");
    while (($line = readline $s) =~ /\S/) { }
    return $s;
}

# -- fifty thousand ------------------------------------------------------

# No process here may have more than 20,000 files open: so it takes three
# workers and three loads.  An address has ports for 28,000.

sub crowd {
    my ($n, $parts) = (50_000, 3);
    my $server = Bench::Server::ours('text', workers => $parts);
    my $before = private_memory(@{ $server->{pids} });
    my $began  = time;
    my @loads;

    for my $i (1 .. $parts) {
        push @loads, Bench::Load->start($server,
            publishers => $i == 1 ? 1 : 0, source => 4 * $i,
            clients => int($n * $i / $parts) - int($n * ($i - 1) / $parts));
    }

    $_->opened for @loads;
    my $opened = time - $began;
    sleep 1;
    my $memory = private_memory(@{ $server->{pids} }) - $before;

    $_->tell('watch 1 512 1 20') for @loads[1 .. $#loads];
    sleep 0.2;
    my $first = $loads[0]->ask('burst 512 1 1');
    my @all = ($first, map { $_->hear } @loads[1 .. $#loads]);
    my ($got, $last) = (0, 0);

    for my $answer (@all) {
        $got += $answer->{delivered};
        $last = $answer->{max} if $answer->{max} > $last;
    }

    wrong("crowd: $got of $n got the broadcast") if $got != $n;

    return {
        title => '50,000 idle clients, then one message to all',
        columns => ['clients', 'connected in', 'bytes a client', 'reached',
            'last one after'],
        rows => [{
            clients => $n, 'connected in' => sprintf('%.1f s', $opened),
            'bytes a client' => sprintf('%.0f', $memory / $n),
            reached => $got,
            'last one after' => sprintf('%.0f ms', $last / 1000),
        }],
    };
}

# -- a million times -----------------------------------------------------

sub soak {
    my $n = $ENV{CYCLES} || 1_000_000;
    my $server = Bench::Server::ours('text');
    my $load = Bench::Load->new($server, to => 'sub', clients => 0);

    $load->ask('cycle 64 60 ' . int($n / 20));
    sleep 1;
    my $before = private_memory(@{ $server->{pids} });
    my $answer = $load->ask("cycle 64 600 $n");
    sleep 1;
    my $after = private_memory(@{ $server->{pids} });

    wrong("soak: only $answer->{cycles} cycles") if $answer->{cycles} < $n;

    return {
        title => 'Memory of the worker after many connections',
        columns => ['cycles', 'seconds', 'before', 'after'],
        rows => [{
            cycles => $answer->{cycles},
            seconds => sprintf('%.0f', $answer->{seconds}),
            before => sprintf('%d KB', $before / 1024),
            after => sprintf('%d KB', $after / 1024),
        }],
    };
}

1;
