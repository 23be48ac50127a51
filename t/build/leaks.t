#!/usr/bin/perl

# `make asan` would see a leak: nginx's own are passed over, those of a module
# are not, however it allocated.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep);

chdir dirname(__FILE__) . '/../..' or die $!;

my $dir = tempdir(CLEANUP => 1);
my $user = $> ? '' : 'user root root;';  # a worker must write its report
my @flags = split ' ', `make -s sanitized-flags`;


sub spew {
    my ($path, $text) = @_;

    open my $out, '>', $path or die "$path: $!";
    print $out $text;
    close $out or die $!;
}


# Builds a module that runs $body in each worker, has a worker come and go, and
# returns what the sanitizer wrote.

sub report {
    my ($body) = @_;

    spew("$dir/leaky.c", <<END);
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

void *volatile  kept;

static ngx_int_t
leaky(ngx_cycle_t *cycle)
{
    $body

    kept = NULL;

    return NGX_OK;
}

static ngx_http_module_t  ctx;

ngx_module_t  ngx_http_wscast_module = {
    NGX_MODULE_V1, &ctx, NULL, NGX_HTTP_MODULE, NULL, NULL, leaky,
    NULL, NULL, NULL, NULL, NGX_MODULE_V1_PADDING
};
END

    unlink glob "$dir/sanitizer*";

    my $said = `gcc -fPIC -shared -g @flags \@build/nginx/includes \\
        -o $dir/leaky.so $dir/leaky.c \\
        build/nginx/objs/ngx_http_wscast_module_modules.c 2>&1`;
    die $said if $?;

    spew("$dir/nginx.conf", <<END);
load_module $dir/leaky.so;
$user daemon off; worker_processes 1; pid $dir/nginx.pid;
error_log $dir/error.log notice;
events { worker_connections 16; }
http {
    access_log off;
    client_body_temp_path $dir/a; proxy_temp_path $dir/b;
    fastcgi_temp_path $dir/c; uwsgi_temp_path $dir/d; scgi_temp_path $dir/e;
}
END

    my $pid = fork // die "fork: $!";

    if (!$pid) {
        chomp(my $runtime = `gcc -print-file-name=libasan.so`);

        $ENV{LD_PRELOAD} = $runtime;
        $ENV{ASAN_OPTIONS} = "detect_leaks=1:log_path=$dir/sanitizer";
        $ENV{LSAN_OPTIONS} = 'suppressions=t/lib/lsan.supp'
            . ':print_suppressions=0';

        open STDERR, '>', "$dir/stderr";
        { exec 'nginx', '-p', $dir, '-e', "$dir/error.log",
               '-c', "$dir/nginx.conf" }
        POSIX::_exit(127);
    }

    for (1 .. 300) {
        last if `cat $dir/error.log 2>/dev/null` =~ /start worker process \d/;
        sleep 0.05;
    }

    sleep 0.3;
    kill 'QUIT', $pid;
    waitpid $pid, 0;

    is($?, 0, 'nginx ran and ended') or diag `cat $dir/stderr $dir/error.log`;
    unlink "$dir/error.log";

    return `cat $dir/sanitizer* 2>/dev/null`;
}


is(report(''), '', 'what nginx leaves behind is passed over');

like(report('kept = malloc(77);'), qr/leak of 77 byte.*in leaky \S*leaky\.c/s,
    'a leak of malloc() is reported with its function');

like(report('kept = ngx_alloc(78, cycle->log);'),
    qr/leak of 78 byte.*in leaky \S*leaky\.c/s,
    'a leak of ngx_alloc() is reported with its function');

like(report('kept = ngx_calloc(79, cycle->log);'),
    qr/leak of 79 byte.*in leaky \S*leaky\.c/s,
    'a leak of ngx_calloc() is reported with its function');

like(report('kept = ngx_create_pool(512, cycle->log);'),
    qr/leak of 512 byte/, 'a leak of a pool is reported');

done_testing;
