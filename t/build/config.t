#!/usr/bin/perl

# `config` serves people who build with nginx's own configure and make.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use Test::More;

chdir dirname(__FILE__) . '/../..' or die $!;
delete @ENV{qw(MAKEFLAGS MAKELEVEL MFLAGS MAKEOVERRIDES VARIANT TESTS)};

my $dir = tempdir(CLEANUP => 1);
my $module = "$dir/nginx/objs/ngx_http_wscast_module.so";

my $said = `t/lib/nginx /usr/share/nginx/src nginx $dir/nginx 2>&1`;
is($?, 0, 'configure takes the module') or diag $said;

$said = `make -C $dir/nginx -f objs/Makefile -j2 modules 2>&1`;
is($?, 0, 'nginx\'s own make builds it, with nginx\'s warnings') or diag $said;

$said = `t/lib/exports $module 2>&1`;
is("$?$said", '0', 'it hides what the Makefile\'s module hides');

open my $conf, '>', "$dir/nginx.conf" or die $!;
print $conf "load_module $module;\npid $dir/nginx.pid;\nerror_log stderr;\n",
    "events { }\nhttp { access_log off; }\n";
close $conf or die $!;

$said = `nginx -t -p $dir -c $dir/nginx.conf 2>&1`;
is($?, 0, 'nginx loads it') or diag $said;

$said = `WSCAST_HIREDIS=/nowhere/libhiredis.a \\
         t/lib/nginx /usr/share/nginx/src nginx $dir/without 2>&1`;
isnt($?, 0, 'configure refuses to go on without hiredis');
like($said, qr/libhiredis\.a/, 'and names what is missing');

done_testing;
