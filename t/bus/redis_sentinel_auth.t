# Sentinels that want a password, or speak TLS: what they want they get, what
# is the servers' they do not get, and what is wrong is told.

use lib 't/lib';
use Wscast;
use Wscast::Sentinel;
use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(time sleep);

my $TLS   = Wscast::Host::_certificate();
my $TRUST = "redis_ssl_trusted_certificate $TLS->{CERT}; "
    . 'redis_ssl_name localhost;';

sub write_to {
    my ($name, $text) = @_;
    my $file = scratch() . "/$name";
    open my $out, '>', $file or die "$file: $!\n";
    print {$out} $text;
    close $out or die "$file: $!\n";
    return $file;
}

sub conf {
    my ($url, $more) = @_;
    return <<"CONF";
wscast_hub chat {
    zone             4m;
    redis            $url;
    redis_timeout    2s 3s;
    redis_reconnect  50ms 300ms;
    $more
    channel  kept:*  { history 1000 10m; }
}

server {
    listen 127.0.0.1:%%PORT%% reuseport;

    location /json {
        wscast        chat;
        wscast_allow  all "*";
    }

    location /api/ {
        wscast_api  chat;
    }
}
CONF
}

sub post {
    my ($host, $body) = @_;
    return $host->http('POST', '/api/channels/kept:1', body => $body)->{status};
}

# A master and its replica, whose password is not that of the sentinels.

sub servers {
    my ($tls) = @_;
    my @args = qw(--requirepass server --masterauth server);
    my @servers;

    push @args, '--tls-replication', 'yes', '--tls-auth-clients', 'no',
        '--tls-cert-file', $TLS->{CERT}, '--tls-key-file', $TLS->{KEY},
        '--tls-ca-cert-file', $TLS->{CERT} if $tls;

    for my $n (0 .. 1) {
        my $port = $tls ? free_port() : undef;
        my @own = $tls ? ('--tls-port', $port) : ();
        push @own, '--replicaof', '127.0.0.1 '
            . ($servers[0]{tls_port} // $servers[0]->port) if $n;
        my $server = redis(args => [@args, @own], auth => ['server']);
        $server->{tls_port} = $port if $tls;
        push @servers, $server;
    }

    return @servers;
}

sub port_of { return $_[0]{tls_port} // $_[0]->port }

# The server that the sentinels name; it has cut whom it knew as a replica.

sub master_of {
    my ($sentinels, @servers) = @_;
    my $port = $sentinels->master_port;
    my ($master) = grep { port_of($_) == $port } @servers;
    delete $master->{link};
    return $master;
}

# The master dies; who is connected hears what is published to the next one.

sub failover {
    my ($name, $sentinels, $servers, @hosts) = @_;
    my @ws = map { $_->ws('/json') } @hosts;

    for my $ws (@ws) {
        $ws->recv;
        $ws->ask({ type => 'subscribe', channel => 'kept:1' });
    }

    is(post($hosts[0], 'before'), 200, "$name: a message is taken");
    is($_->recv_json->{data}, 'before', '... and arrives') for @ws;

    my $old  = master_of($sentinels, @$servers);
    my $port = port_of($old);
    # WAIT is for what was written on this connection
    $old->command('SET', 'all', 1);
    ok(eval { $old->command('WAIT', 1, 5000) }, '... the replica has it');
    $old->kill9;

    ok(wait_until(sub {
        my $now = $sentinels->master_port;
        $now && $now != $port && !grep { !$_->has_redis } @hosts;
    }, 20), '... the new master is found');
    is(post($_, "after, by $_->{name}"), 200, '... takes messages')
        for @hosts;

    for my $ws (@ws) {
        is_deeply([map { $ws->recv_json->{data} } @hosts],
            [map { "after, by $_->{name}" } @hosts], '... which arrive');
        $ws->drop;
    }

    $old->start;
    ok(wait_until(sub { $sentinels->calm }, 20), '... the old one is back');

    return;
}

# Lines of a level, by what they say of a sentinel.

sub lines {
    my ($host, $level, $what) = @_;
    return grep { /\[$level\].*$what/ } split /\n/, $host->log_text;
}

# -- a password ----------------------------------------------------------

my @servers = servers();
my $sentinels = Wscast::Sentinel->new($servers[0], auth => ['watch'],
    conf => ['requirepass watch', 'sentinel auth-pass main server']);
my $list = $sentinels->list;
my $URL = "redis+sentinel://:server\@$list/main/3";

{
    my $secret = write_to('secret', "least\n");
    my $host = host(conf($URL, 'redis_sentinel_password watch;'),
        name => 'with the password');
    ok(wait_until(sub { $host->has_redis }), 'a password opens the sentinels');

    # the least that a user of theirs may be allowed, see docs/redis.md
    my ($rule) = Wscast::Host::slurp("$Wscast::ROOT/docs/redis.md")
        =~ /^(ACL SETUSER \w+ .*sentinel\|.*)$/m;
    $rule =~ s/>secret/>least/;
    for my $one ($sentinels->all) {
        is($one->command(split / /, $rule), 'OK', 'a sentinel takes the ACL');
    }

    my $other = host(conf($URL, "redis_sentinel_user watcher; "
        . "redis_sentinel_password_file $secret;"),
        name => 'with a user', workers => 2);
    ok(wait_until(sub { $other->has_redis }), '... a user and a file, too');

    failover('with passwords', $sentinels, \@servers, $host, $other);

    for my $one ($sentinels->all) {
        my @denied = map { { @$_ } } @{ $one->command('ACL', 'LOG') };
        is_deeply([map { "$_->{reason} $_->{username}" } @denied], [],
            '... nothing was refused to anybody');
    }

    unlike($_->log_text, qr/answered/, '... as the logs know')
        for $host, $other;

    # what is said once is not the last word

    for my $case (
        ['no password', '', qr/SENTINEL answered "NOAUTH/],
        ['a wrong password', 'redis_sentinel_password wrong;',
            qr/the sentinel's AUTH answered "WRONGPASS/],
        ['a wrong user', 'redis_sentinel_user nobody;
            redis_sentinel_password watch;',
            qr/the sentinel's AUTH answered "WRONGPASS/],
    ) {
        my ($name, $more, $what) = @$case;
        my $wrong = host(conf($URL, $more), workers => 1, name => $name);
        my $tried = sub { $wrong->hub->{redis_reconnects_total} };

        ok(wait_until(sub { $tried->() > 12 }), "$name: it is tried again");
        my @told = lines($wrong, 'error', qr/answered/);
        is(scalar @told, 2, '... each connection tells it once')
            || diag(explain(\@told));
        like($_, qr/$what.*": see redis_sentinel_password$/,
            '... with the reason and the cure') for @told;
        cmp_ok(scalar lines($wrong, 'info', qr/answered/), '>', 2,
            '... the rest is at info');
        unlike($wrong->log_text, qr/:wrong|\bwatch\b/, '... without secrets');
        is(post($wrong, 'x'), 503, '... publishing is answered 503');

        # two links, three sentinels in each of their rounds, 150 ms at least
        my ($begun, $before) = (time, $tried->());
        sleep 1.5;
        my $rounds = ($tried->() - $before) / 6;
        cmp_ok($rounds, '<=', (time - $begun) / 0.15 + 1,
            '... with the pauses of redis_reconnect');
    }

    # the password is changed, and changed back: nobody reloads

    $_->command(qw(ACL SETUSER default resetpass >new)) for $sentinels->all;
    my $master = master_of($sentinels, @servers);
    $master->command('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes')
        for 'normal', 'pubsub';
    ok(wait_until(sub { $host->log_text =~ /\[error\].*WRONGPASS/ }),
        'a password that is not right any more is told');
    ok(!$host->has_redis, '... the host is away');
    ok(wait_until(sub { $other->has_redis }),
        '... who has a user of its own is not');

    my ($one) = $sentinels->all;
    $one->command(qw(ACL SETUSER default resetpass >watch));
    ok(wait_until(sub { $host->has_redis }),
        '... if one of the sentinels takes it all is well');
    $_->command(qw(ACL SETUSER default resetpass >watch))
        for $sentinels->all;
}

# -- who wants none, and who is none -------------------------------------

{
    my $plain = redis();
    my $host = host(conf('redis+sentinel://127.0.0.1:' . $plain->port
        . '/main', 'redis_sentinel_password watch;'), workers => 1,
        name => 'a password too many');
    my $what = qr/the sentinel's AUTH answered "ERR AUTH .*any password/;
    ok(wait_until(sub { lines($host, 'error', $what) }),
        'who gives a password that nobody wants is told');
}

# -- TLS -----------------------------------------------------------------

# The sentinels, not the servers, want a certificate of who asks.

my @secure = servers(1);
my $watch = Wscast::Sentinel->new($secure[0], auth => ['watch'], tls => $TLS,
    conf => ['requirepass watch', 'sentinel auth-pass main server',
        'tls-auth-clients yes']);
my $SURE = 'rediss+sentinel://:server@' . $watch->list . '/main';
my $MINE = 'redis_sentinel_password watch; '
    . "redis_ssl_certificate $TLS->{CERT}; "
    . "redis_ssl_certificate_key $TLS->{KEY};";

{
    my @hosts = map { host(conf($SURE, "$MINE $TRUST"), name => $_) }
        'one', 'two';
    ok(wait_until(sub { $_->has_redis }),
        "$_->{name}: over TLS, with both passwords")
        for @hosts;
    failover('over TLS', $watch, \@secure, @hosts);

    my $master = master_of($watch, @secure);
    my @open = grep { /db=0/ && /name= / && /flags=[NP] /
        && !/:$master->{port} / } split /\n/, $master->command(qw(CLIENT LIST));
    cmp_ok(scalar @open, '>=', 6, '... all connections are to the port of TLS');
    unlike($_->log_text, qr/TLS:|answered/, '... and the log is quiet')
        for @hosts;
}

for my $case (
    ['another name', "redis_ssl_trusted_certificate $TLS->{CERT};
        redis_ssl_name other.example;",
        qr/certificate verify failed: it is not for "other\.example"/],
    ['the name of the URL', "redis_ssl_trusted_certificate $TLS->{CERT};",
        qr/certificate verify failed: it is not for "127\.0\.0\.1"/],
) {
    my ($name, $ssl, $what) = @$case;
    my $host = host(conf($SURE, "$MINE $ssl"), workers => 1, name => $name);
    ok(wait_until(sub { $host->hub->{redis_reconnects_total} > 8 }),
        "$name: is tried again and again");
    my @told = lines($host, 'error', qr/redis (?:publisher|subscriber) to/);
    is(scalar @told, 2, '... and told once by each connection')
        || diag(explain(\@told));
    like($_, qr/TLS: $what/, '... with the reason') for @told;
}

{
    my $host = host(conf($SURE, "$MINE redis_ssl_verify off;"),
        workers => 1, name => 'unverified');
    ok(wait_until(sub { $host->has_redis }),
        'redis_ssl_verify off takes all of them');

    my $nobody = host(conf($SURE, "redis_sentinel_password watch; $TRUST"),
        workers => 1, name => 'without a certificate');
    ok(wait_until(sub { $nobody->log_text =~ /TLS: .*certificate required/ }),
        'a sentinel that demands a certificate, and gets none, is told of');
    is($nobody->hub->{redis_up}, 0, '... and not passed by');
}

# Nobody is told a password before who he is has been verified.

{
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        Listen => 16, ReuseAddr => 1) or die "listen: $!\n";
    my $host = host(conf('rediss+sentinel://:server@127.0.0.1:'
        . $listener->sockport . '/main',
        "redis_sentinel_password watch; $TRUST"), workers => 1,
        name => 'a silent one');
    my $peer = $listener->accept;
    my $heard = '';
    while (IO::Select->new($peer)->can_read(2)) {
        sysread $peer, $heard, 65536, length $heard or last;
    }
    like($heard, qr/\A\x16\x03/, 'what comes first is a hello of TLS');
    unlike($heard, qr/AUTH|watch|server/, '... and no password');
    ok(wait_until(sub { lines($host, 'error', qr/TLS: the handshake timed out/)
        }), '... a handshake that does not go on is given up');
}

# -- the configuration ---------------------------------------------------

sub hub { return "wscast_hub chat { redis $_[0]; $_[1] }" }

my $PLAIN = 'redis+sentinel://127.0.0.1/main';
my $file = write_to('password', "secret\n");
my $empty = write_to('empty', "\n");

good_config('a password', hub($PLAIN, 'redis_sentinel_password x;'));
good_config('a user and a file', hub($PLAIN,
    "redis_sentinel_user u; redis_sentinel_password_file $file;"));
good_config('files for both', hub($PLAIN,
    "redis_password_file $file; redis_sentinel_password_file $file;"));
good_config('TLS', hub('rediss+sentinel://127.0.0.1:1,127.0.0.1:2/main/7',
    $TRUST));
bad_config('TLS that cannot be verified',
    hub('rediss+sentinel://127.0.0.1/main', ''),
    qr{"redis rediss\+sentinel://}, qr/redis_ssl_trusted_certificate/,
    qr/redis_ssl_verify off/);
bad_config('no master, over TLS', hub('rediss+sentinel://127.0.0.1', $TRUST),
    qr/no master/, qr/rediss\+sentinel/);
bad_config("certificates without TLS", hub($PLAIN, $TRUST),
    qr/redis_ssl_/, qr{rediss\+sentinel://});

for my $more ('redis_sentinel_password x;', 'redis_sentinel_user ann;',
    "redis_sentinel_password_file $file;")
{
    my ($name) = $more =~ /^(\w+)/;
    bad_config("$name without sentinels", hub('redis://127.0.0.1', $more),
        qr/"$name/, qr/"chat"/, qr{redis\+sentinel://});
    bad_config("$name without Redis", "wscast_hub chat { $more }",
        qr/"$name/, qr/"chat"/, qr{redis\+sentinel://});
    bad_config("two of $name", hub($PLAIN, "$more $more"), qr/"$name"/,
        qr/duplicate/);
    bad_config("an empty $name", hub($PLAIN, "$name \"\";"), qr/"$name/)
        if $name !~ /file/;
}

bad_config('a user without a password',
    hub($PLAIN, 'redis_sentinel_user ann;'), qr/redis_sentinel_user ann/,
    qr/redis_sentinel_password_file/);
bad_config('two passwords', hub($PLAIN, "redis_sentinel_password x;
    redis_sentinel_password_file $file;"), qr/redis_sentinel_password_file/,
    qr/\Q$file\E/, qr/one of them/);
bad_config('no such file', hub($PLAIN,
    'redis_sentinel_password_file /nowhere;'),
    qr{redis_sentinel_password_file /nowhere}, qr/No such file/);
bad_config('an empty file', hub($PLAIN,
    "redis_sentinel_password_file $empty;"),
    qr/redis_sentinel_password_file \Q$empty\E/, qr/no password/);

done_testing();
