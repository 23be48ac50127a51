#!/usr/bin/perl

# `make deps` installs what is missing and nothing else, and starts nothing.
# dpkg-query, apt-get, id and sudo are replaced by scripts that take notes.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use Test::More;

chdir dirname(__FILE__) . '/../..' or die $!;

my $dir = tempdir(CLEANUP => 1);
my $policy = "$dir/policy-rc.d";

$ENV{PATH} = "$dir/bin:$ENV{PATH}";
$ENV{POLICY_RC_D} = $policy;
mkdir "$dir/bin" or die $!;


sub program {
    my ($name, $script) = @_;

    open my $out, '>', "$dir/bin/$name" or die $!;
    print $out "#!/bin/sh\n$script\n";
    close $out or die $!;
    chmod 0755, "$dir/bin/$name" or die $!;
}


sub slurp {
    my ($path) = @_;

    open my $in, '<', $path or return '';
    local $/;
    return scalar <$in>;
}


# Runs deps, and returns its output, exit code and the notes.

sub deps {
    my (@sets) = @_;

    unlink "$dir/notes";
    my $said = `t/lib/deps @sets 2>&1`;

    return ($said, $? >> 8, slurp("$dir/notes"));
}


mkdir "$dir/first" or die $!;
program("../first/$_", "echo $_ >>$dir/notes; exit 1")
    for 'apt-get', 'apt-cache', 'sudo';

my $said = `PATH=$dir/first:\${PATH#*:} t/lib/deps build test 2>&1`;

is($said, '', 'with all present, it says nothing');
is($?, 0, 'and succeeds');
is(slurp("$dir/notes"), '', 'and asks nobody for packages');

# From here on nothing of this machine counts but the tools that deps needs.

for my $tool (qw(cat chmod dirname grep rm sed sh tr)) {
    my ($path) = grep { -x } map { "$_/$tool" } split /:/, $ENV{PATH};

    symlink $path, "$dir/bin/$tool" or die "$tool: $!";
}

$ENV{PATH} = "$dir/bin";

# All packages are there but those named in the file `lacking`.

program('dpkg-query', 'shift 3; for p; do
    grep -qx "$p" ' . $dir . '/lacking || echo "installed $p"; done');
program('apt-get', 'echo "apt-get $*: `' . "$policy 2>/dev/null; echo policy \$?"
    . '`" >>' . "$dir/notes; test ! -e $dir/broken");
program('apt-cache', "echo \"\$*:\"; cat $dir/candidate 2>/dev/null");
program('id', 'echo 0');
program('sudo', 'echo "sudo" >>' . "$dir/notes; exec \"\$@\"");

sub put {
    my ($file, @lines) = @_;

    open my $out, '>', "$dir/$file" or die $!;
    print $out map { "$_\n" } @lines;
    close $out or die $!;
}

sub lacking { put('lacking', @_) }

lacking('nginx-dev', 'clang');

my ($text, $code, $notes) = deps('build');

is($text, "missing: nginx-dev\n", 'it says what is missing of the set');
is($code, 0, 'it succeeds when apt-get does');
is($notes, "apt-get -q update: policy 101\n"
    . "apt-get -q -y --no-install-recommends install nginx-dev: policy 101\n",
    'it updates, then installs that, while services are forbidden to start');
ok(!-e $policy, 'the policy is gone afterwards');

(undef, undef, $notes) = deps('build', 'test');
like($notes, qr/install nginx-dev clang:/, 'both sets are installed at once');

lacking('libio-socket-ssl-perl');
($text) = deps('test', 'bench');
is($text, "missing: libio-socket-ssl-perl\n", 'what both want is named once');

lacking('curl');
($text) = deps('run');
is($text, "missing: curl\n", 'who runs the chat gets curl for the line it prints');
lacking('nginx-dev', 'clang');

open my $theirs, '>', $policy or die $!;
print $theirs "#!/bin/sh\nexit 7\n";
close $theirs or die $!;
chmod 0755, $policy or die $!;

(undef, undef, $notes) = deps('build');
like($notes, qr/install nginx-dev: policy 7\n/,
    'a policy of the administrator is obeyed');
ok(-e $policy, 'and stays');
unlink $policy;

open my $broken, '>', "$dir/broken" or die $!;
close $broken or die $!;

(undef, $code, $notes) = deps('build');
isnt($code, 0, 'it fails when apt-get fails');
unlike($notes, qr/install/, 'and does not install after a failed update');
ok(!-e $policy, 'the policy is gone after a failure, too');
unlink "$dir/broken";

# Redis or Valkey.

delete $ENV{WSCAST_REDIS_SERVER};
lacking('redis-server', 'redis-tools', 'clang');
put('candidate', '  Installed: (none)', '  Candidate: 5:7.0.15-1');
(undef, $code, $notes) = deps('build', 'test');
like($notes, qr/install redis-server clang redis-tools:/,
    'Redis is installed where it can be had');

put('candidate', '  Installed: (none)', '  Candidate: (none)');
(undef, $code, $notes) = deps('build', 'test');
like($notes, qr/install valkey-server clang valkey-tools:/,
    'Valkey is, where Redis is known but cannot be had');
is($code, 0, 'and all is well');

unlink "$dir/candidate";
(undef, undef, $notes) = deps('build', 'test');
like($notes, qr/install valkey-server clang valkey-tools:/,
    'and where nobody knows Redis');

program($_, '') for 'valkey-server', 'valkey-cli';
(undef, undef, $notes) = deps('build', 'test');
like($notes, qr/install clang:/, 'who has Valkey needs no Redis');
unlink map { "$dir/bin/$_" } 'valkey-server', 'valkey-cli';

program('my-server', '');
$ENV{WSCAST_REDIS_SERVER} = "$dir/bin/my-server";
($text) = deps('build');
is($text, '', 'nor who names a server');
$ENV{WSCAST_REDIS_SERVER} = "$dir/bin/nowhere";
($text) = deps('build');
is($text, "missing: redis-server\n", 'that is there');
delete $ENV{WSCAST_REDIS_SERVER};
lacking('nginx-dev');

program('id', 'echo 1000');
(undef, $code, $notes) = deps('build');
like($notes, qr/^sudo\napt-get -q update/, 'an ordinary user goes through sudo');
is($code, 0, 'and succeeds');

(undef, $code) = deps('tset');
is($code, 2, 'a set that is not known is refused');

done_testing;
