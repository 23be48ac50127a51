package Bench::Server;

# The servers that are measured.  Each is a hash: name, pids (what its
# processor time is counted of), sub, pub, echo (urls for a load).
# One that goes out of scope is stopped.

use strict;
use warnings;

use Bench qw($ROOT);

my $nginx = $ENV{WSCAST_NGINX} // 'nginx';
my $nchan = '/usr/lib/nginx/modules/ngx_nchan_module.so';
my $count = 0;

sub DESTROY {
    my ($self) = @_;
    local ($?, $@);
    Bench::stop($_) for @{ $self->{processes} };
    return;
}

sub create {
    my ($name, $port, %o) = @_;
    my $url = "ws://127.0.0.1:$port";

    return bless {
        name => $name, port => $port, sub => "$url/sub", pub => "$url/pub",
        echo => "$url/echo/%d", processes => [], %o,
    }, __PACKAGE__;
}

# -- the yardstick -------------------------------------------------------

sub floor {
    my ($mode) = @_;
    my $port = Bench::free_port();
    my $log  = Bench::scratch() . "/floor-$mode.log";
    my $pid  = Bench::spawn(0, { log => $log },
        "$ROOT/build/bench/floor", $port, $mode);

    close Bench::wait_port($port, $log);
    return create("floor ($mode)", $port,
        processes => [$pid], pids => [$pid]);
}

# -- nginx ---------------------------------------------------------------

sub nginx_version {
    return `$nginx -v 2>&1` =~ m{nginx/(\S+)} ? "nginx $1" : 'nginx ?';
}

# Parts of a configuration: load (a module), http, server, workers.

sub nginx {
    my ($name, %o) = @_;
    my $port  = Bench::free_port();
    my $dir   = Bench::scratch() . '/nginx-' . $count++;
    my $files = `bash -c 'ulimit -Hn'` + 0;
    my $conns = $files - 200;
    my $listen = $o{ssl} ? ' ssl' : '';
    $o{$_} //= '' for qw(http server);
    $o{workers} //= 1;
    $conns = 19800 if $conns > 19800;

    mkdir $dir or die "$dir: $!";
    open my $out, '>', "$dir/nginx.conf" or die $!;
    print {$out} <<"CONF";
load_module $o{load};
worker_processes $o{workers};
worker_rlimit_nofile $files;
pid $dir/pid;
error_log $dir/error.log warn;
daemon off;
events { worker_connections $conns; }
http {
    access_log off;
    keepalive_timeout 600s;
    keepalive_requests 100000000;
    client_body_buffer_size 64k;
    client_body_temp_path $dir/body;
    proxy_temp_path $dir/proxy;
    fastcgi_temp_path $dir/fastcgi;
    uwsgi_temp_path $dir/uwsgi;
    scgi_temp_path $dir/scgi;
    $o{http}
    server {
        listen 127.0.0.1:$port backlog=4096 reuseport$listen;
        location = /ok { return 200 "ok\\n"; }
        $o{server}
    }
}
CONF
    close $out or die $!;

    my $pid = Bench::spawn(0, { log => "$dir/log" }, $nginx,
        '-p', $dir, '-c', "$dir/nginx.conf", '-e', "$dir/error.log");
    close Bench::wait_port($port, "$dir/error.log");

    my @workers = Bench::children($pid);
    return create($name, $port, processes => [$pid], pids => \@workers);
}

# ours(name, dialect =>, workers =>, redis => a server, http =>, locations =>,
# ssl =>): /sub and /pub are of one channel, to which /post publishes without
# hearing it; /echo/N are of one each.

sub ours {
    my ($name, %o) = @_;
    my $dialect = $o{dialect} // 'text';
    my $redis = $o{redis} ? "redis redis://127.0.0.1:$o{redis}{port};" : '';
    my $more  = $o{locations} // '';
    my $http  = $o{http} // '';

    my $server = nginx($name,
        load => $ENV{WSCAST_MODULE}
            // "$ROOT/build/ngx_http_wscast_module.so",
        workers => $o{workers}, ssl => $o{ssl},
        http => <<"CONF", server => <<"CONF2");
$http
    wscast_hub bench {
        $redis
    }
CONF
        wscast_message_size  256k;
        wscast_send_buffer   16m;
        wscast_heartbeat     off;
        wscast_subscriptions 256;
        location = /sub {
            wscast         bench $dialect;
            wscast_channel bench;
            wscast_allow   publish bench;
        }
        location = /pub {
            wscast         bench $dialect;
            wscast_channel bench;
            wscast_allow   publish bench;
        }
        location = /post {
            wscast         bench;
            wscast_allow   publish bench;
        }
        location /echo/ {
            wscast         bench text;
            wscast_channel \$uri;
            wscast_allow   publish "*";
        }
        $more
CONF2

    $server->{redis} = $o{redis}{pids}[0] if $o{redis};
    $server->{needs} = $o{redis};           # it lives as long as this does
    $server->{say} = '{"type":"publish","data":"%s"}' if $dialect eq 'json';
    return $server;
}

# nchan, as its manual sets up a channel that all subscribe to.

sub nchan {
    my ($name, %o) = @_;
    my $redis = $o{redis} ? 'nchan_redis_pass redis;' : '';
    my $http  = $o{redis}
        ? "upstream redis { nchan_redis_server redis://127.0.0.1:"
            . "$o{redis}{port}; }" : '';

    -e $nchan or die "$nchan is missing: make deps\n";

    my $server = nginx($name, load => $nchan, workers => $o{workers},
        http => <<"CONF", server => <<"CONF2");
nchan_shared_memory_size    512m;
    nchan_message_buffer_length 2048;
    nchan_message_timeout       20s;
    $http
CONF
        location = /sub {
            nchan_subscriber websocket;
            nchan_channel_id bench;
            nchan_subscriber_first_message newest;
            $redis
        }
        location = /pub {
            nchan_publisher websocket;
            nchan_channel_id bench;
            $redis
        }
        location ~ ^/echo/(\\d+)\$ {
            nchan_pubsub websocket;
            nchan_channel_id echo-\$1;
            nchan_subscriber_first_message newest;
            $redis
        }
CONF2

    $server->{redis} = $o{redis}{pids}[0] if $o{redis};
    $server->{needs} = $o{redis};
    $server->{peer} = 1;
    return $server;
}

# -- Node ----------------------------------------------------------------

sub ws {
    my ($name) = @_;
    my $port = Bench::free_port();
    my $log  = Bench::scratch() . '/ws.log';
    my $pid  = Bench::spawn(0, { log => $log },
        'node', "$ROOT/t/bench/ws.mjs", $port);

    close Bench::wait_port($port, $log);

    return create($name, $port, processes => [$pid], pids => [$pid],
        peer => 1);
}

# -- Redis ---------------------------------------------------------------

sub redis {
    my $port = Bench::free_port();
    my $log  = Bench::scratch() . "/redis-$port.log";
    my $pid  = Bench::spawn(1, { log => $log }, 'redis-server',
        '--port', $port, '--bind', '127.0.0.1', '--save', '',
        '--appendonly', 'no',
        '--client-output-buffer-limit', 'pubsub 0 0 0');

    close Bench::wait_port($port, $log);

    return create('redis', $port, processes => [$pid], pids => [$pid]);
}

1;
