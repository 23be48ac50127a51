#!/usr/bin/perl

# What make makes: a module that nginx loads, that hides what is its own, and
# that is remade when, and only when, something has changed.

use strict;
use warnings;

use Cwd qw(getcwd);
use File::Basename qw(basename dirname);
use File::Temp qw(tempdir);
use Test::More;
use Time::HiRes qw(stat);

chdir dirname(__FILE__) . '/../..' or die $!;

# This may run below a make with options of its own.
delete @ENV{qw(MAKEFLAGS MAKELEVEL MFLAGS MAKEOVERRIDES VARIANT TESTS)};

my $module = 'build/ngx_http_wscast_module.so';
my $dir = tempdir(CLEANUP => 1);
my @sources = sort glob 'src/*/*.c';


sub run {
    my ($command) = @_;

    my $said = `$command 2>&1`;

    return wantarray ? ($said, $? >> 8) : $said;
}


sub spew {
    my ($path, $text) = @_;

    open my $out, '>', $path or die "$path: $!";
    print $out $text;
    close $out or die $!;
}


# The sources that `make` compiles now in the copy.

sub stale {
    my $said = run("make -C $dir/copy V=1 @_");

    return sort { $a cmp $b } $said =~ / -c -o \S+ (src\S+\.c)$/mg;
}


# -- the second make

my ($said, $code) = run('make');
is($code, 0, 'make succeeds') or diag $said;

my @files = ($module, glob 'build/obj/*/*.o');
my @made = map { (stat)[9] } @files;

is(scalar(run('make --no-print-directory V=1')), '',
    'a second make runs neither compiler nor linker');
($said, $code) = run('make --no-print-directory');
is("$code$said", '0', 'and says nothing');
is_deeply([map { (stat)[9] } @files], \@made,
    'and leaves objects and module alone');


# -- what is in the module

my ($symbols) = run("nm -D --defined-only $module");
my @visible = sort map { (split)[-1] } split /\n/, $symbols;

is_deeply(\@visible, [qw(ngx_http_wscast_module ngx_module_names
    ngx_module_order ngx_modules)], 'only nginx\'s records are visible');

my $table = run("readelf -Ws $module");
my %linked = map { $_ => 1 } $table =~ /FILE\s+LOCAL\s+DEFAULT\s+ABS (\S+\.c)/g;

is_deeply([grep { !$linked{basename($_)} } @sources], [],
    'every source is linked into it');

ok($table =~ /FUNC\s+LOCAL\s.*\bredisReaderFeed\b/,
    'hiredis is inside, and hidden');

my $dynamic = run("readelf -d $module");
my @needed = $dynamic =~ /\(NEEDED\).*\[(\w+)/g;

like("@needed", qr/^(?:(?:libcjson|libcrypto|libz|libc|ld-linux\w*) ?)+$/,
    "it needs no library but those of docs/building.md: @needed");
unlike($dynamic, qr/RPATH|RUNPATH/, 'and no search path');

my $conf = "pid $dir/nginx.pid; error_log stderr; events { }\n"
    . "http { access_log off; }\n";
spew("$dir/nginx.conf", 'load_module ' . getcwd() . "/$module;\n$conf");


($said, $code) = run("nginx -t -p $dir -c $dir/nginx.conf");
is($code, 0, 'nginx loads it, with every symbol bound') or diag $said;


spew("$dir/leaky.c", "int ngx_modules, ngx_module_names, ngx_module_order;\n"
    . "int redisReaderFeed(void) { return 0; }\n");
run("gcc -shared -fPIC -o $dir/leaky.so $dir/leaky.c");
($said, $code) = run("t/lib/exports $dir/leaky.so");
is($code, 1, 'the check of a link fails over a visible function');
like($said, qr/should be hidden: redisReaderFeed$/, 'and names it');

spew("$dir/lacking.c", "int ngx_modules, ngx_module_names, ngx_module_order;\n"
    . "int ngx_wscast_f(void);\nstatic int g(void) { return ngx_wscast_f(); }\n"
    . "int (*ngx_http_wscast_module)(void) = g;\n");
run("gcc -shared -fPIC -o $dir/lacking.so $dir/lacking.c");
($said, $code) = run("t/lib/exports $dir/lacking.so");
is($code, 1, 'the check of a link fails over a function of ours that is missing');
like($said, qr/not defined anywhere: ngx_wscast_f$/, 'and names it');


# -- what is remade, in a copy

run("mkdir -p $dir/copy/build $dir/copy/t && cp -a Makefile config src $dir/copy"
    . " && cp -a t/lib $dir/copy/t && cd build && cp -a --parents nginx nginx.id"
    . " flags link obj ngx_http_wscast_module.so $dir/copy/build");

is_deeply([stale()], [], 'a copy is as fresh as what it is a copy of');

run("touch $dir/copy/src/wire/frame.c");
is_deeply([stale()], ['src/wire/frame.c'], 'a source changes: it is compiled');

# (a source that has been renamed leaves its list behind)
my @users = sort grep { -f } map { m{obj/(.*)\.d$} ? "src/$1.c" : () }
    split /\n/, run('grep -lr /base/base.h build/obj');
cmp_ok(scalar @users, '>', @sources / 2, 'most sources include base.h');

run("touch $dir/copy/src/base/base.h");
is_deeply([stale()], \@users, 'it changes: they are compiled');

my $other = "WARN='-Wall -Wno-unused-parameter'";
is_deeply([stale($other)], \@sources,
    'flags change: all is compiled');

spew("$dir/copy/src/base/more.c", "typedef int  wscast_more_t;\n");
is_deeply([stale($other)], ['src/base/more.c'],
    'a source comes: it is compiled');

unlink "$dir/copy/src/base/more.c" or die $!;
my $text = run("make -C $dir/copy V=1 $other");
like($text, qr/-shared/, 'a source goes: the module is linked again');
unlike($text, qr/more\.o/, 'without it');


# -- complaints

($said, $code) = run("make BUILD=$dir/b NGINX_SRC=$dir/nowhere");
isnt($code, 0, 'make fails without nginx\'s headers');
like($said, qr/"make deps" installs/, 'and tells what helps');

spew("$dir/nginx", "#!/bin/sh\necho nginx version: nginx/9.8.7 >&2\n");
chmod 0755, "$dir/nginx";
($said, $code) = run("make BUILD=$dir/b NGINX=$dir/nginx");
isnt($code, 0, 'make fails when the headers are of another version');
like($said, qr/is nginx \S+, but \S+ is 9\.8\.7:/, 'and names both');


# -- make test tells the truth

mkdir "$dir/copy/t/x";
spew("$dir/copy/t/x/good.t", "print qq(1..1\\nok 1\\n);\n");
spew("$dir/copy/t/x/bad.t", "print qq(1..1\\nnot ok 1\\n);\n");
spew("$dir/copy/t/x/good.c", "#include \"../lib/tap.h\"\nint main(void)\n"
    . "{ is_int(1, 1, \"a\"); is_mem(\"\", 0, \"\", 0, \"b\");"
    . " is_str(\"\", \"\", \"c\"); ok(1, \"d\"); note(\"e\");"
    . " return done(); }\n");
spew("$dir/copy/t/x/bad.c", "#include <stdlib.h>\n#include \"../lib/tap.h\"\n"
    . "int main(int argc, char **argv)\n"
    . "{ volatile char *volatile p = calloc(argc, 1);"
    . " ok(p[argc] || 1, \"reads past the end\"); is_int(1, 1, \"a\");"
    . " is_mem(\"\", 0, \"\", 0, \"b\"); is_str(\"\", \"\", \"c\"); note(\"e\");"
    . " free((void *) p); (void) argv; return done(); }\n");

my $test = "make -C $dir/copy DEPS=: $other test";

($said, $code) = run("$test TESTS='t/x/good.t t/x/good.c'");
is($code, 0, 'make test succeeds when all tests do') or diag $said;
like($said, qr/^All tests successful\.\nFiles=2, Tests=5,.*\nResult: PASS\n/m,
    'and ends with the words of prove');

($said, $code) = run("$test TESTS='t/x/good.t t/x/bad.t'");
isnt($code, 0, 'make test fails when a Perl test does');
like($said, qr/^Result: FAIL$/m, 'and says so');

($said, $code) = run("$test TESTS='t/x/good.t t/x/bad.c'");
isnt($code, 0, 'make test fails when a C test reads past an end');
like($said, qr/AddressSanitizer: heap-buffer-overflow/, 'and names the error');

($said, $code) = run("$test TESTS=t/x/none.t");
isnt($code, 0, 'make test fails when a test that is named does not exist');

done_testing;
