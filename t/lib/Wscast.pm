package Wscast;

# The harness of the Perl tests: starts real nginx "hosts" and real Redis
# servers, speaks WebSocket and HTTP to them byte by byte, and examines what
# they leave behind.
#
#   use lib "t/lib";
#   use Wscast;
#
#   my $nginx = host(<<'EOF');
#   wscast_hub chat { zone 4m; }
#   server { listen 127.0.0.1:%%PORT%%; location /ws { wscast chat; } }
#   EOF
#
#   my $ws = $nginx->ws('/ws');
#   is($ws->recv_json->{type}, 'welcome', 'a client is welcomed');
#
#   done_testing();
#
# "use Wscast" brings strict, warnings and Test::More along.  done_testing() is
# our own: it closes all clients, waits for the gauges of wscast_status to be
# zero, stops every host with SIGQUIT and asserts that each ended in time, by
# itself and with status 0, and that no error log has an [alert], [emerg] or
# [crit] line and nobody wrote a sanitizer report.
#
# Environment:
#   WSCAST_MODULE    the module to load, else build/ngx_http_wscast_module.so
#   WSCAST_NGINX     the nginx to run, else the one of the PATH
#   WSCAST_REDIS_SERVER  the redis-server or valkey-server to run, else the one
#                    of the PATH; see Wscast::Redis
#   WSCAST_ASAN      1: sanitizers are at work, deadlines are stretched
#   WSCAST_PRELOAD   LD_PRELOAD of nginx (the sanitizer's runtime)
#   WSCAST_KEEP      1: keep the directories of the hosts

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp ();
use JSON::PP ();
use POSIX ();
use Test::More ();
use Time::HiRes qw(time sleep);
use Wscast::Port qw(free_port);

our $ROOT = abs_path(dirname(__FILE__) . '/../..');

my @EXPORT = qw(
    host redis bad_config good_config nginx_test done_testing
    wait_until gather free_port scale scratch connect_ws load load_begin
    asan hold_for
);

my ($scratch, @hosts, @redises, $owner, $finished);
my $loads = 0;

sub import {
    my $class  = shift;
    my $caller = caller;

    strict->import;
    warnings->import;

    {
        no strict 'refs';

        for my $name (@Test::More::EXPORT) {
            next if $name =~ /^[\$\@%]/ || $name eq 'done_testing';
            *{"${caller}::$name"} = \&{"Test::More::$name"};
        }

        *{"${caller}::$_"} = \&{$_} for @EXPORT;
    }

    Test::More->builder->failure_output->autoflush(1);
    $SIG{PIPE} = 'IGNORE';
    $SIG{INT} = $SIG{TERM} = $SIG{HUP} = sub { exit 1 };
    $owner //= $$;

    return;
}

require Wscast::Host;
require Wscast::Redis;
require Wscast::WebSocket;

# -- time ----------------------------------------------------------------

sub asan { return $ENV{WSCAST_ASAN} ? 1 : 0 }

# Stretches a deadline (never an interval under test) where all is slow.

sub scale {
    my ($seconds) = @_;
    return asan() ? $seconds * 4 : $seconds;
}

# Calls the condition until it yields something true, which is returned, or
# the deadline has passed: then something false.

sub wait_until {
    my ($condition, $seconds) = @_;
    my $end = time + scale($seconds // 10);

    while (1) {
        my $value = $condition->();
        return $value if $value;
        return $value if time > $end;
        sleep 0.01;
    }
}

# Asserts through the condition that something does *not* happen meanwhile.

sub hold_for {
    my ($seconds, $condition) = @_;
    my $end = time + $seconds;

    while (time < $end) {
        return 0 if !$condition->();
        sleep 0.01;
    }

    return 1;
}

# -- places --------------------------------------------------------------

sub scratch {
    $scratch //= File::Temp->newdir(
        'wscast-XXXXXX', TMPDIR => 1, CLEANUP => !$ENV{WSCAST_KEEP},
    );
    return "$scratch";
}

# compiled('load', [sources], options...): its path, built first if it is older
# than its sources.

sub compiled {
    my ($name, $sources, @options) = @_;
    my $file = "$ROOT/build/$name";

    if (!-e $file || grep { (stat $_)[9] > (stat $file)[9] } @$sources) {
        my $new = "$file.$$";
        mkdir "$ROOT/build";
        system('cc', '-O2', '-std=gnu11', '-Wall', '-Wextra', @options,
            '-o', $new, grep { /c$/ } @$sources) == 0
            or die "cannot compile $file\n";
        rename $new, $file or die "cannot rename $new: $!\n";
    }

    return $file;
}

# What nginx is to load before all else to hold no memory that it needs no more.

sub trim {
    return compiled('trim.so', ["$ROOT/t/lib/trim.c"], '-shared', '-fPIC');
}

# Runs the load generator of t/lib/load and returns what it printed.

sub load {
    my $tool = compiled('load', [glob "$ROOT/t/lib/load/*.[ch]"]);

    open my $out, '-|', $tool, @_ or die "$tool: $!\n";
    local $/;
    my $text = <$out>;
    close $out or die "$tool @_ ended with status $?\n";

    return JSON::PP::decode_json($text);
}

# The same in the background: call the function that is returned for the
# outcome.

sub load_begin {
    my $file = scratch() . '/load' . ++$loads;
    my $pid  = fork // die "fork: $!\n";

    if (!$pid) {
        open STDOUT, '>', $file;
        my $done = eval { print JSON::PP::encode_json(load(@_)); 1 };
        print STDERR $@ if !$done;
        close STDOUT;
        POSIX::_exit($done ? 0 : 1);
    }

    return sub {
        waitpid $pid, 0;
        die "load @_ failed\n" if $?;
        open my $in, '<', $file or die "$file: $!\n";
        local $/;
        return JSON::PP::decode_json(<$in>);
    };
}

# -- things to start -----------------------------------------------------

sub host {
    my ($config, %option) = @_;

    my $host = Wscast::Host->new($config, %option);
    push @hosts, $host;
    $host->start unless $option{stopped};

    return $host;
}

sub redis {
    my $redis = Wscast::Redis->new(@_);
    push @redises, $redis;
    return $redis;
}

# nginx -t: (1 or 0, what it printed).

sub nginx_test {
    my ($config, %option) = @_;
    return Wscast::Host->new($config, %option, plain => 1)->test;
}

sub good_config {
    my ($name, $config, %option) = @_;
    my ($ok, $out) = nginx_test($config, %option);

    return Test::More::ok($ok, $name) || Test::More::diag($out);
}

# All the patterns must be found in one [emerg] line.

sub bad_config {
    my ($name, $config, @patterns) = @_;
    my ($ok, $out) = nginx_test($config);
    my @emerg = grep { /\[emerg\]/ } split /\n/, $out;
    my $told  = 0;

    for my $line (@emerg) {
        $told = 1 if !grep { $line !~ $_ } @patterns;
    }

    my $pass = Test::More::ok(!$ok && $told && @emerg == 1, $name);
    Test::More::diag($ok ? 'nginx -t was content' : $out) if !$pass;

    return $pass;
}

sub connect_ws {
    return Wscast::WebSocket->new(@_);
}

# -- many clients at once ------------------------------------------------

# gather(\@clients, until => sub { }, message => sub { my ($ws, $m) = @_ },
#     timeout => 10, close => sub { my ($ws) = @_ })
#
# Reads from all of them, writes what they have queued, calls message for each
# data message, until the condition holds.  Returns what the condition did;
# something false if the deadline has passed before.

sub gather {
    my ($clients, %option) = @_;
    my $end = time + scale($option{timeout} // 10);

    while (1) {
        my $met = $option{until}->();
        return $met if $met || time > $end;

        my @live = grep { $_->{sock} && !$_->{eof} } @$clients;
        return $met if !@live;

        my ($rin, $win) = ('', '');

        for my $ws (@live) {
            vec($rin, fileno $ws->{sock}, 1) = 1;
            vec($win, fileno $ws->{sock}, 1) = 1 if length $ws->{out};
        }

        select $rin, $win, undef, 0.1;

        for my $ws (@live) {
            my $fd = fileno $ws->{sock};
            $ws->_write if length $ws->{out} && vec $win, $fd, 1;
            next if $ws->{eof} || !vec $rin, $fd, 1;
            $ws->_read;

            while (my $frame = $ws->take_frame) {
                my $m = $ws->_message($frame) or next;
                $option{message}->($ws, $m) if $option{message};
            }

            $option{close}->($ws) if $ws->{eof} && $option{close};
        }
    }
}

# -- the end -------------------------------------------------------------

sub done_testing {
    Wscast::WebSocket->drop_all;

    for my $host (@hosts) {
        $host->closing_checks;
    }

    $_->stop for @redises;
    $finished = 1;

    return Test::More::done_testing();
}

END {
    my $status = $?;

    if (defined $owner && $$ == $owner) {
        if (!$finished) {
            $_->explain for @hosts;
        }

        $_->abandon for @hosts, @redises;
        $? = $status;
    }
}

1;
