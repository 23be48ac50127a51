package Bench::Hosts;

# What others feel of a hot channel, and what a message costs that goes
# through Redis.

use strict;
use warnings;

use IO::Socket::INET;
use Time::HiRes qw(sleep time);

use Bench qw(rounds digits wrong);
use Bench::Fanout;
use Bench::Load;
use Bench::Server;

# -- a hot channel -------------------------------------------------------

# While 10,000 get a channel as fast as it goes: an HTTP request every 10 ms
# on a connection that is there, and a quiet channel of 10 subscribers.

sub hot {
    my @rows;

    for my $case (['ours', 0], ['ours, one at a time', 1],
        ['ours, 16 in flight', 16])
    {
        my ($name, $window) = @$case;
        my $server = Bench::Server::ours('text', locations => <<'CONF');
        location = /quiet {
            wscast         bench text;
            wscast_channel quiet;
            wscast_allow   publish quiet;
        }
CONF
        my %quiet = (%$server, processes => [],
            map { $_ => $server->{sub} =~ s{/sub$}{/quiet}r } qw(sub pub));
        my $quiet = Bench::Load->new(\%quiet, clients => 10,
            publishers => 1);
        my $hot = Bench::Load->new($server, clients => 10_000,
            publishers => 1);

        $hot->ask("run 512 $window 0.5") if $window;
        $hot->tell("run 512 $window 4") if $window;
        $quiet->tell('rate 512 50 3');
        my @http = requests($server, 3);
        my $calm = $quiet->hear;
        my $load = $window ? $hot->hear : { delivered => 0, seconds => 1 };

        push @rows, {
            server => $window ? $name : 'ours, nothing hot',
            'hot deliveries/s' => sprintf('%.0f',
                $load->{delivered} / $load->{seconds}),
            'HTTP p50' => ms(quantile(0.5, @http)),
            'HTTP p99' => ms(quantile(0.99, @http)),
            'quiet p50' => ms($calm->{p50} / 1e6),
            'quiet p99' => ms($calm->{p99} / 1e6),
        };
    }

    return {
        title => 'A hot channel of 10,000: what others feel of it',
        columns => ['server', 'hot deliveries/s', 'HTTP p50', 'HTTP p99',
            'quiet p50', 'quiet p99'],
        rows => \@rows,
    };
}

sub ms { return sprintf '%.1f ms', $_[0] * 1000 }

sub quantile {
    my ($q, @v) = @_;
    @v = sort { $a <=> $b } @v;
    return $v[$q * $#v];
}

sub requests {
    my ($server, $seconds) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$server->{port}")
        or die $!;
    my $end = time + $seconds;
    my @took;

    while (time < $end) {
        my $began = time;
        print {$s} "GET /ok HTTP/1.1\r\nHost: localhost\r\n\r\n";
        my $answer = '';

        while ($answer !~ /\r\n\r\nok\n/) {
            sysread $s, $answer, 4096, length $answer
                or die "an HTTP request was not answered\n";
        }

        push @took, time - $began;
        sleep 0.01;
    }

    return @took;
}

# -- Redis ---------------------------------------------------------------

# Publishers on one host, a reader on another.

sub redis {
    my $redis = Bench::Server::redis();
    my @rows;

    for my $case (
        ['ours', sub { Bench::Server::ours(@_, dialect => 'json') },
            '{"type":"publish","channel":"bench","data":"%s"}'],
        ['nchan', sub { Bench::Server::nchan(@_) }, ''])
    {
        my ($name, $make, $say) = @$case;
        my @hosts = map { $make->("$name $_", redis => $redis) } 1, 2;
        my %pair = (%{ $hosts[0] }, sub => $hosts[1]{sub},
            processes => [], pids => [map { @{ $_->{pids} } } @hosts]);
        $pair{pub} =~ s{/pub$}{/post} if $say;

        for my $publishers (1, 8) {
            my $load = Bench::Load->new(\%pair, clients => 1,
                publishers => $publishers, say => $say);
            my @answers = map { $load->ask('run 64 1024 1') } 0 .. 3;
            shift @answers;

            my $figure = sub { Bench::Fanout::figure(\@answers, $_[0]) };
            my $rate = Bench::median(map {
                $_->{messages} / $_->{seconds} } @answers);

            push @rows, {
                server => $name, publishers => $publishers,
                'messages/s' => sprintf('%.0f', $rate),
                'Redis, a message' => digits($figure->('redis')) . ' µs',
                'nginx, a message' => digits($figure->('cpu')) . ' µs',
                'nginx busy' => sprintf('%.0f %%', 100 * $figure->('busy')),
                'Redis busy' => sprintf('%.0f %%',
                    $figure->('redis') * $rate / 1e4),
            };
        }
    }

    return {
        title => '64 bytes from one host to another through Redis, as many '
            . 'as go',
        columns => ['server', 'publishers', 'messages/s',
            'Redis, a message', 'nginx, a message', 'nginx busy',
            'Redis busy'],
        rows => \@rows,
    };
}

1;
