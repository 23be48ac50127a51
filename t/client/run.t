#!/usr/bin/perl

# docs/examples/chat/run, which `make run` starts: what it says works, and
# when it ends nothing of it is left.

use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use HTTP::Tiny;
use JSON::PP ();
use IPC::Open3 qw(open3);
use Time::HiRes qw(sleep time);

use lib dirname(__FILE__) . '/../lib';
use Wscast;

chdir dirname(__FILE__) . '/../..' or die $!;

# This may run below a make with options of its own.
delete @ENV{qw(REDIS PORT WSCAST_RUN_DIR)};

my $scratch = tempdir(CLEANUP => 1);
my $starts = 0;
my %running;            # launchers, by pid: none outlives a test that died

END { my $status = $?; kill 'TERM', keys %running; $? = $status }

$ENV{MODULE} = $ENV{WSCAST_MODULE} if $ENV{WSCAST_MODULE};
$ENV{NGINX} = nginx() if nginx();


# Sanitizers need their runtime preloaded into nginx, but not into Perl.

sub nginx {
    my $path = "$scratch/nginx";
    my $nginx = $ENV{WSCAST_NGINX} || 'nginx';

    return $ENV{WSCAST_NGINX} if !$ENV{WSCAST_PRELOAD};

    open my $out, '>', $path or die $!;
    print $out "#!/bin/sh\nPATH=\$PATH:/usr/sbin\n",
               "LD_PRELOAD='$ENV{WSCAST_PRELOAD}' exec $nginx \"\$@\"\n";
    close $out or die $!;
    chmod 0755, $path;
    return $path;
}


# Reads what the launcher says until it waits, or has ended.

sub start {
    my (%env) = @_;
    my $tmp = "$scratch/" . ++$starts;

    make_path($tmp);

    local @ENV{'TMPDIR', keys %env} = ($tmp, values %env);

    my $pid = open3(my $in, my $out, undef, 'docs/examples/chat/run');
    my $said = '';

    $running{$pid} = 1;

    while (defined(my $line = <$out>)) {
        $said .= $line;
        last if $line =~ /^Ctrl-C/;
    }

    return { pid => $pid, out => $out, said => $said, tmp => $tmp,
             urls => [$said =~ /host [AB] +(\S+)/g],
             curl => $said =~ /(curl .*)/ ? $1 : '' };
}


# The programs that work or write in the launcher's directory: their titles.

sub processes {
    my ($run) = @_;
    my @found;

    for my $proc (glob '/proc/[0-9]*') {
        next if $proc eq "/proc/$run->{pid}";
        next if !grep { index(readlink($_) // '', $run->{tmp}) >= 0 }
                      "$proc/cwd", glob "$proc/fd/*";

        open my $in, '<', "$proc/cmdline" or next;
        push @found, do { local $/; <$in> } // $proc;
    }

    return @found;
}


sub reap {
    my ($run) = @_;

    waitpid $run->{pid}, 0;
    delete $running{$run->{pid}};
}


sub ended {
    my ($run, $signal, $name) = @_;
    my $began = time();

    kill $signal, $run->{pid};
    reap($run);
    is($?, 0, "$name: the launcher ends by itself");
    cmp_ok(time() - $began, '<', 15, "$name: and soon");
    is(join("\n", processes($run)), '', "$name: no process is left");
    is(join("\n", glob "$run->{tmp}/*"), '', "$name: no file is left");
}


# All workers of a host have their connection to Redis, one of them two.

sub connected {
    my ($url) = @_;
    my $metrics = body("${url}metrics");

    return $metrics =~ /^wscast_redis_up\{.*\} 1$/m
        && $metrics =~ /^wscast_redis_links\{.*\} 3$/m;
}


sub body { HTTP::Tiny->new(timeout => 5)->get($_[0])->{content} }

sub port { $_[0] =~ /:(\d+)/ ? $1 : die $_[0] }


my $run = start();

is(scalar @{ $run->{urls} }, 2, 'two hosts are named');
ok(wait_until(sub { processes($run) == 8 }),
    'Redis, the login and two nginx of three run')
    || diag(join "\n", processes($run));

for my $url (@{ $run->{urls} }) {
    ok(wait_until(sub { connected($url) }), 'a host has Redis');
    like(body($url), qr/<title>wscast chat/, 'a host serves the page');
    like(body("${url}wscast/wscast.js"), qr/export class Wscast\b/,
         'a host serves the client');
    like(body("${url}vendor/react.js"), qr/export const \{.*\buseState\b/,
         'a host serves React');
    like(body("${url}metrics"), qr/^wscast_connections/m,
         'a host tells its metrics');
}

my $ws = connect_ws(port($run->{urls}[1]), '/tutorial');

is($ws->recv->{data}, '{"type":"welcome","msg":"Welcome!"}',
   'a client of the other host is welcomed');
like(`$run->{curl} 2>/dev/null`, qr/"channel":"room:lobby"/,
     'the curl line is answered');
is($ws->recv->{data}, '{"name":"curl","text":"hello"}',
   'and broadcasts to the other host');

# The login: what it signs, nginx takes.

sub sign_in {
    my ($body) = @_;

    return HTTP::Tiny->new(timeout => 5)->post("$run->{urls}[0]login",
        { content => $body });
}

my $signed = sign_in('{"name":" Zo\u00eb "}');

is($signed->{status}, 200, 'one signs in with a name');

my $answer = JSON::PP::decode_json($signed->{content});

cmp_ok($answer->{expires}, '>', time() + 290, 'for five minutes');
$ws = connect_ws(port($run->{urls}[1]), "/ws?token=$answer->{token}");
is($ws->recv_json->{user}, "Zo\x{eb}", 'and is then known by it');

for my $none ('{"name":""}', '{"name":"  "}', '{}', '[]', 'no json', '',
              '{"name":"' . 'x' x 33 . '"}', '{"name":"a\nb"}',
              '{"name":["a"]}', '{"name":{}}', '{"name":"\u0000"}')
{
    like(sign_in($none)->{status}, qr/^4\d\d$/, "not with $none");
}

is(sign_in('x' x 2000)->{status}, 413, 'nor with a novel');
is(HTTP::Tiny->new(timeout => 5)->get("$run->{urls}[0]login")->{status}, 404,
   'and nobody by a link');

ended($run, 'INT', 'Ctrl-C');

$run = start(REDIS => 'off');
is(scalar @{ $run->{urls} }, 1, 'without Redis there is one host');
$ws = connect_ws(port($run->{urls}[0]), '/tutorial?room=lobby');
$ws->recv;
`$run->{curl} 2>/dev/null`;
is($ws->recv->{data}, '{"name":"curl","text":"hello"}',
   'and the curl line broadcasts there');
unlike(join("\n", processes($run)), qr/redis|valkey/, 'no Redis runs');
ended($run, 'TERM', 'SIGTERM');

$run = start();
ended($run, 'HUP', 'the terminal closes');

$run = start();
kill 'KILL', $run->{pid};
reap($run);

for (1 .. 200) {
    last if !processes($run);
    sleep 0.05;
}

is(join("\n", processes($run)), '', 'a launcher that is killed leaves nobody');

# What cannot start is named.

$run = start(MODULE => "$scratch/none.so");
reap($run);
isnt($?, 0, 'without the module it fails');
like($run->{said}, qr/MODULE is not there: run `make`/, 'and says what to do');

open my $out, '>', "$scratch/empty.so" or die $!;
close $out;
$run = start(MODULE => "$scratch/empty.so");
reap($run);
isnt($?, 0, 'with a module that does not load it fails');
like($run->{said}, qr/host A ended at its start:.*empty\.so/s,
     'and shows why, from the log');
is(join("\n", processes($run)), '', 'no process is left of that');
is(join("\n", glob "$run->{tmp}/*"), '', 'nor a file');

done_testing();
