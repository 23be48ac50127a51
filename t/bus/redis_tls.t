# rediss://: who Redis is, is verified, unless the configuration says not to;
# what is wrong is told once, with the reason.

use lib 't/lib';
use Wscast;
use IO::Socket::INET;
use Time::HiRes qw(time sleep);

my $dir = scratch();

# -- certificates --------------------------------------------------------

sub openssl {
    my @words = @_;
    my $said = `openssl @words 2>&1`;
    $? == 0 or die "openssl @words: $said\n";
    return $said;
}

sub write_to {
    my ($file, $text) = @_;
    open my $out, '>', "$dir/$file" or die "$file: $!\n";
    print {$out} $text;
    close $out or die "$file: $!\n";
    return "$dir/$file";
}

sub authority {
    my ($name) = @_;
    openssl(qw(req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes),
        '-days 2', "-subj /CN=$name", "-keyout $dir/$name.key",
        "-out $dir/$name.pem");
    return "$dir/$name.pem";
}

# Signed by the CA, for these names; 0 days: it ends when it begins.

sub certificate {
    my ($name, $ca, $names, $days) = @_;
    $days //= 2;

    openssl(qw(req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes),
        "-subj /CN=$name", "-keyout $dir/$name.key", "-out $dir/$name.csr");
    my $ext = write_to("$name.ext", "subjectAltName=$names\n");
    openssl("x509 -req -in $dir/$name.csr -CA $dir/$ca.pem",
        "-CAkey $dir/$ca.key -CAcreateserial -days $days -extfile $ext",
        "-out $dir/$name.pem");
    return $name;
}

authority($_) for 'ca', 'other';
certificate('server', 'ca', 'DNS:redis.example,IP:127.0.0.1');
certificate('stranger', 'ca', 'DNS:elsewhere.example,IP:127.0.0.2');
certificate('expired', 'ca', 'DNS:redis.example,IP:127.0.0.1', 0);
certificate('client', 'ca', 'DNS:client.example');

sub tls_redis {
    my ($cert, %option) = @_;
    my $port = free_port();
    my $redis = redis(args => ['--tls-port', $port,
        '--tls-cert-file', "$dir/$cert.pem",
        '--tls-key-file', "$dir/$cert.key",
        '--tls-ca-cert-file', "$dir/ca.pem",
        '--tls-auth-clients', $option{clients} // 'no']);
    $redis->{tls} = $port;
    return $redis;
}

sub conf {
    my ($port, $ssl, $timeout) = @_;
    $timeout //= '2s 5s';
    return <<"CONF";
wscast_hub chat {
    zone             64m;
    redis            rediss://127.0.0.1:$port;
    redis_timeout    $timeout;
    redis_reconnect  20ms 100ms;
    $ssl
    channel  kept:*  { history 100 10m; }
}

server {
    listen 127.0.0.1:%%PORT%%;

    location /json {
        wscast               chat;
        wscast_allow         all "*";
        wscast_message_size  4m;
        wscast_send_buffer   64m;
    }

    location /api/ {
        wscast_api  chat;
        client_max_body_size 8m;
    }

    wscast_ping  off;
}
CONF
}

my $TRUST = "redis_ssl_trusted_certificate $dir/ca.pem;";

# Redis stays away, and the log says so: one line of each connection.

sub stays_away {
    my ($name, $conf, $reason, %option) = @_;
    my $host = host($conf, workers => 1, name => $name);
    my @told;

    # many attempts, one line each of publisher and subscriber
    ok(wait_until(sub { $host->hub->{redis_reconnects_total} > 8 }),
        "$name: it is tried again and again");
    is($host->hub->{redis_up}, 0, '... and Redis stays away');
    is($host->http('POST', '/api/channels/a', body => 'x')->{status}, 503,
        '... publishing is answered 503');

    @told = grep { /\[error\].*redis (?:publisher|subscriber) to/ }
        split /\n/, $host->log_text;
    is(scalar @told, 2, '... each connection tells it once')
        || diag(explain(\@told));
    like($_, $reason, '... with the reason') for @told;

    return $host;
}

# -- all is well ---------------------------------------------------------

my $redis = tls_redis('server');

{
    my $by_ip   = conf($redis->{tls}, $TRUST);
    my $by_name = conf($redis->{tls}, "$TRUST redis_ssl_name redis.example;");
    my ($one, $two) = (host($by_ip, name => 'by address'),
        host($by_name, name => 'by name'));

    ok(wait_until(sub { $_->has_redis }), "$_->{name}: Redis is found")
        for $one, $two;

    my %ws = map { $_->{name} => $_->ws('/json') } $one, $two;
    $_->recv for values %ws;
    my @all = values %ws;

    for my $channel ('room:1', 'kept:1') {
        $_->ask({ type => 'subscribe', channel => $channel }) for @all;
    }

    my $said = $ws{'by name'}->ask({ type => 'publish', id => 1,
        channel => 'kept:1', data => 'first' });
    is($said->{type}, 'published', 'a channel with history takes a message');
    is($said->{offset}, 1, '... at the first offset');
    is($ws{'by address'}->recv_json->{data}, 'first',
        '... which the other host gets');
    $ws{'by name'}->recv_json;

    # more than TLS and the socket take at once, while Redis takes nothing
    my @data = map { chr(96 + $_) x 3_000_000 } 1 .. 6;
    my %got;

    $redis->freeze;
    $ws{'by name'}->queue(Wscast::WebSocket::frame_bytes(1,
        qq({"type":"publish","channel":"room:1","data":"$_"}))) for @data;
    my $thaw = time + 0.4;

    ok(gather(\@all, timeout => 30, message => sub {
        my ($client, $m) = @_;
        push @{ $got{$client} }, $1 if $m->{data} =~ /"data":"([a-z]+)"/;
    }, until => sub {
        $redis->thaw if $thaw && time > $thaw;
        return !grep { @{ $got{$_} // [] } < @data } @all;
    }), 'messages of 3 MB pass in both directions');
    is_deeply([map { length($_) . substr $_, 0, 1 } @{ $got{$_} }],
        [map { length($_) . substr $_, 0, 1 } @data],
        '... all of them, in order') for @all;

    my $fds = sub {
        my ($host) = @_;
        return join ' ', map { scalar(() = glob "/proc/$_/fd/*") }
            $host->workers;
    };
    my $before = $fds->($one);

    unlike($one->log_text, qr/TLS:/, 'the log does not complain of TLS');

    for my $time (1 .. 5) {
        my $reconnects = $one->hub->{redis_reconnects_total};
        $redis->kill9;
        wait_until(sub {
            $one->hub->{redis_reconnects_total} > $reconnects + 4 });
        $redis->start;
        ok(wait_until(sub { $one->has_redis }),
            "killed and started again, time $time: Redis is found");
    }

    ok(wait_until(sub { $fds->($one) eq $before }),
        'no descriptor is left behind') || diag($fds->($one), " $before");
    # the clients stay with the old workers, which drain for 10 s
    $one->reload;
    my $new = $one->ws('/json');
    $new->recv;
    $new->ask({ type => 'subscribe', channel => 'room:1' });
    $two->http('POST', '/api/channels/room:1', body => 'after a reload');
    is($new->recv_json->{data}, 'after a reload', 'a reload is nothing to it');
    $new->drop;

    # a server that is killed may have been shaking hands
    is(join("\n", grep {
        /TLS:/ && !/peer closed connection in SSL handshake|\(104: /
    } split /\n/, $one->log_text), '',
        '... but, at most, of a server that ended meanwhile');
    $_->drop for @all;
}

# -- who it is -----------------------------------------------------------

stays_away('another CA', conf($redis->{tls},
    "redis_ssl_trusted_certificate $dir/other.pem;"),
    qr/TLS: certificate verify failed: .*(?:local issuer|self.signed)/);
stays_away('another name', conf($redis->{tls},
    "$TRUST redis_ssl_name other.example;"),
    qr/TLS: certificate verify failed: it is not for "other\.example"/);

{
    my $strange = tls_redis('stranger');
    stays_away('another address', conf($strange->{tls}, $TRUST),
        qr/TLS: certificate verify failed: it is not for "127\.0\.0\.1"/);

    my $expired = tls_redis('expired');
    my $conf = conf($expired->{tls}, $TRUST);
    stays_away('an expired certificate', $conf,
        qr/TLS: certificate verify failed: certificate has expired/);

    my $host = host(conf($expired->{tls}, 'redis_ssl_verify off;'),
        workers => 1, name => 'unverified');
    ok(wait_until(sub { $host->hub->{redis_up} }),
        'redis_ssl_verify off takes all of them');
}

# -- who we are ----------------------------------------------------------

{
    my $strict = tls_redis('server', clients => 'yes');
    my $mine = "redis_ssl_certificate $dir/client.pem; "
        . "redis_ssl_certificate_key $dir/client.key;";
    my $host = host(conf($strict->{tls}, "$TRUST $mine"), workers => 1,
        name => 'with a certificate');

    ok(wait_until(sub { $host->hub->{redis_up} }),
        'a Redis that demands a certificate gets one');

    # the server's word comes after the handshake, and its RST may overtake it
    $host = stays_away('without a certificate', conf($strict->{tls}, $TRUST),
        qr/TLS: .*(?:certificate required|reset)/);
    ok(wait_until(sub { $host->log_text =~ /TLS: .*certificate required/ }),
        '... which is what is missing');
}

# -- what is no TLS ------------------------------------------------------

stays_away('a Redis without TLS', conf($redis->port, $TRUST, '500ms 1s'),
    qr/TLS: the handshake timed out/);

{
    my @listeners;

    for my $name ('redis.example', '') {
        my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
            Listen => 16, ReuseAddr => 1) or die "listen: $!\n";
        push @listeners, $listener;

        my $host = host(conf($listener->sockport,
            $name ? "$TRUST redis_ssl_name $name;" : $TRUST, '500ms 1s'),
            workers => 1, name => 'a silent server');

        my $peer = $listener->accept;
        my $begun = time;
        sysread $peer, my $hello, 65536;
        is($hello =~ /redis\.example/ ? 1 : 0, $name ? 1 : 0,
            $name ? 'the name is told to the server (SNI)'
                  : 'an address is not');
        unlike($hello, qr/127\.0\.0\.1/, '... nor is it in the hello');

        ok(wait_until(sub { $host->log_text =~
            /\[error\].*publisher to 127\.0\.0\.1:\d+: TLS: .* timed out/ }),
            'a handshake that does not go on is given up');
        cmp_ok(time - $begun, '<', scale(4), '... within redis_timeout');
    }
}

# -- an nginx without SSL ------------------------------------------------

# What its headers say is said to the compiler here.

for my $file ('bus/redis_tls', 'http/redis_url', 'http/redis_ssl') {
    my $wrapper = write_to('plain.c', join "\n", '#include <ngx_config.h>',
        '#include <ngx_core.h>', '#include <ngx_http.h>', '#undef NGX_SSL',
        "#include \"$Wscast::ROOT/src/$file.c\"", '');
    my @command = (qw(cc -std=gnu11 -Wall -Wextra -Werror
        -Wno-unused-parameter @build/nginx/includes -S -o),
        "$dir/plain.s", $wrapper);
    my $said = `@command 2>&1`;

    is($said, '', "src/$file.c compiles without SSL");

    open my $in, '<', "$dir/plain.s" or die "plain.s: $!\n";
    my $code = join '', <$in>;
    unlike($code, qr/\b(?:SSL|X509|ngx_ssl)_/, '... and calls nothing of it');
    like($code, qr/this nginx was built without it/, '... and refuses rediss')
        if $file eq 'http/redis_url';
}

# -- the configuration ---------------------------------------------------

sub hub { return "wscast_hub chat { $_[0] }" }

my $URL = "redis rediss://127.0.0.1:6379;";
my $none = write_to('empty.pem', '');

good_config('TLS of all directives', hub("$URL $TRUST
    redis_ssl_certificate $dir/client.pem;
    redis_ssl_certificate_key $dir/client.key;
    redis_ssl_verify on; redis_ssl_name redis.example;"));
good_config('TLS with user, password and database',
    hub("redis rediss://u:p\@127.0.0.1:6380/3; redis_ssl_verify off;"));
bad_config('a CA is needed', hub($URL), qr/"redis rediss:/, qr/"chat"/,
    qr/redis_ssl_trusted_certificate/, qr/redis_ssl_verify off/);
bad_config('redis_ssl_* without TLS', hub("redis redis://127.0.0.1; $TRUST"),
    qr/redis_ssl_/, qr/"chat"/, qr{rediss://});
bad_config('redis_ssl_* without Redis', hub('redis_ssl_name a;'),
    qr/redis_ssl_/, qr{rediss://});
bad_config('a verify that is neither on nor off',
    hub("$URL redis_ssl_verify maybe;"), qr/redis_ssl_verify maybe/, qr/"on"/);
bad_config('a CA that is not there',
    hub("$URL redis_ssl_trusted_certificate $dir/nowhere.pem;"),
    qr/redis_ssl_trusted_certificate/, qr/nowhere\.pem/, qr/PEM/);
bad_config('a CA that is none',
    hub("$URL redis_ssl_trusted_certificate $none;"),
    qr/redis_ssl_trusted_certificate/, qr/empty\.pem/, qr/PEM/);
bad_config('a certificate without its key',
    hub("$URL $TRUST redis_ssl_certificate $dir/client.pem;"),
    qr/redis_ssl_certificate_key/, qr/client\.pem/);
bad_config('a key of another certificate',
    hub("$URL $TRUST redis_ssl_certificate $dir/client.pem;
        redis_ssl_certificate_key $dir/server.key;"),
    qr/redis_ssl_certificate_key/, qr/client\.pem/, qr/server\.key/);
bad_config('an empty name', hub("$URL $TRUST redis_ssl_name \"\";"),
    qr/redis_ssl_name/);
bad_config('two names', hub("$URL $TRUST redis_ssl_name a; redis_ssl_name b;"),
    qr/redis_ssl_name/, qr/duplicate/);

done_testing();
