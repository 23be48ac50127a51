#!/usr/bin/perl

# `make layers` finds every kind of breach, and none in src/.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Test::More;

chdir dirname(__FILE__) . '/../..' or die $!;


# What layers says about one file in a tree of its own, and its exit code.

sub layers {
    my ($name, $text) = @_;

    my $dir = tempdir(CLEANUP => 1);
    make_path(dirname("$dir/$name"));

    open my $out, '>', "$dir/$name" or die "$dir/$name: $!";
    print $out $text;
    close $out or die $!;

    my $said = `t/lib/layers $dir 2>&1`;
    my $code = $? >> 8;

    return ($said =~ s/^\Q$dir\E\///mgr, $code);
}


sub clean {
    my ($name, $text, $sentence) = @_;
    my ($said, $code) = layers($name, $text);

    is("$code $said", '0 ', $sentence);
}


sub breach {
    my ($name, $text, $line, $rule, $sentence) = @_;
    my ($said, $code) = layers($name, $text);

    is("$code $said", "1 $name:$line: $rule\n", $sentence);
}


is(`t/lib/layers 2>&1`, '', 'src/ breaches no rule');
is($?, 0, 'and the exit code says so');

clean('base/map.c', "#include \"map.h\"\n#include <string.h>\n",
    'a room includes its own headers and the C library');

clean('session/a.c', join('', map { "#include \"../$_/$_.h\"\n" }
    qw(base wire dialect auth fanout)), 'session includes what lies below it');

clean('bus/redis_link.c', "#include <ngx_core.h>\n#include <hiredis/read.h>\n",
    'a redis file of the bus includes hiredis');

clean('http/module.c', "#include <ngx_http.h>\n#include \"../worker/w.h\"\n",
    'http includes ngx_http.h and worker');

clean('base/a.c', "/*\n * as ngx_http_request_t\n */\n\nint x = sizeof(\"ngx\");\n",
    'comments and strings may name anything');

clean('conn/a.c', "static void\nreading(int n)\n{\n}\n",
    'a static function needs no prefix');

clean('bus/ring.c', "int\nwscast_ring_size(void)\n{\n}\n",
    'a file of an nginx room that is pure by itself has the pure prefix');

breach('base/a.c', "\n#include \"../wire/frame.h\"\n", 2,
    'base may not include wire', 'base includes no other room');

breach('fanout/a.h', "#include \"../bus/bus.h\"\n", 1,
    'fanout may not include bus', 'headers are examined as well');

breach('conn/a.c', "#include \"../worker/worker.h\"\n", 1,
    'conn may not include worker', 'nobody includes upwards');

breach('worker/a.c', "#include \"../http/conf.h\"\n", 1,
    'worker may not include http', 'worker does not include http');

breach('wire/a.c', "#include <ngx_config.h>\n", 1,
    'wire/a.c may not include <ngx_config.h>',
    'a pure room does not include nginx');

breach('session/a.c', "#include <sys/socket.h>\n", 1,
    'session/a.c may not include <sys/socket.h>',
    'a pure room does not include sockets');

breach('worker/a.c', "#include <ngx_http.h>\n", 1,
    'worker/a.c may not include <ngx_http.h>',
    'only http includes ngx_http.h');

breach('bus/local.c', "#include <hiredis/hiredis.h>\n", 1,
    'bus/local.c may not include <hiredis/hiredis.h>',
    'only redis files of the bus include hiredis');

breach('wire/accept.c', "#include <openssl/sha.h>\n", 1,
    'wire/accept.c may not include <openssl/sha.h>',
    'only auth includes libcrypto');

breach('session/a.c', "#include <cjson/cJSON.h>\n", 1,
    'session/a.c may not include <cjson/cJSON.h>',
    'session does not parse JSON');

breach('base/a.c', "#include HEADER\n", 1,
    'includes neither <header.h>, "file.h" nor "../room/file.h"',
    'an include that cannot be compared is a breach');

breach('base/a.c', "#include \"../../t/lib/tap.h\"\n", 1,
    'includes neither <header.h>, "file.h" nor "../room/file.h"',
    'a path out of src/ is a breach');

breach('store/a.c', "\n\nint n = ngx_http_x;\n", 3,
    'store may not speak of ngx_http_x',
    'only http speaks of ngx_http');

breach('auth/a.c', "/* */ ngx_int_t n;\n", 1,
    'auth may not speak of ngx_int_t', 'a pure room does not speak of nginx');

breach('auth/a.c', "void\nallowed(int n)\n{\n", 2,
    'auth defines allowed: its names begin with wscast_',
    'a pure function begins with wscast_');

breach('conn/a.c', "int n = NGX_OK;\nvoid\nwscast_open(int n)\n{\n", 3,
    'conn defines wscast_open: its names begin with ngx_wscast_',
    'a function that speaks of nginx begins with ngx_wscast_');

breach('http/a.c', "char *\nngx_wscast_conf(int n)\n{\n}\nint n = NGX_OK;\n", 2,
    'http defines ngx_wscast_conf: its names begin with ngx_http_wscast_',
    'a function of the face begins with ngx_http_wscast_');

breach('conn/a.c', "\n#include <string.h>\n#include <ngx_config.h>\n", 2,
    'includes <string.h> before nginx\'s headers',
    'nginx\'s headers come first');

clean('conn/a.c', "#include <ngx_config.h>\n#include <string.h>\n",
    'and then those of the C library');

breach('util/a.c', "\n", 1, 'is in no room of the table',
    'a room that the table does not know is a breach');

breach('stray.c', "\n", 1, 'is in no room of the table',
    'a file outside of all rooms is a breach');

my ($said, $code) = layers('base/README', '');
is($code, 1, 'a tree without C files is not taken for a clean one');

done_testing;
