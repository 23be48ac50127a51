# Every example of the documentation is executed: here, or by the test that is
# named here.  A block of which nobody is in charge fails.

use lib 't/lib';
use Wscast;
use Wscast::Docs;
use Encode ();
use utf8;

chdir $Wscast::ROOT or die $!;
delete @ENV{qw(MAKEFLAGS MAKELEVEL MFLAGS MAKEOVERRIDES VARIANT TESTS)};
binmode Test::More->builder->$_, ':encoding(UTF-8)'
    for 'output', 'failure_output';

my @blocks = map { Wscast::Docs::blocks($_) } Wscast::Docs::files();
my $pages  = scratch() . '/pages';

mkdir $pages or die "$pages: $!\n";

sub find_block {
    my ($lang, $like) = @_;
    my @found = grep { $_->{lang} eq $lang && $_->{text} =~ $like } @blocks;
    is(scalar @found, 1, "one block of $lang is like $like");
    return $found[0];
}

sub spurt {
    my ($file, $text) = @_;
    open my $out, '>:encoding(UTF-8)', $file or die "$file: $!\n";
    print {$out} $text;
    close $out or die "$file: $!\n";
}

# -- who executes what ---------------------------------------------------

# language and file => the test that executes all such blocks

my @elsewhere = (
    [qr/^nginx$/,   qr/./,                     't/docs/nginx.t'],
    [qr/^console$/, qr/\b(?:api|operations)\./, 't/docs/api.t'],
    [qr/^json$/,    qr/\bprotocol\./,          't/docs/protocol.t'],
    [qr/^$/,        qr/\bredis\./,             't/docs/redis.t'],
);

# a command of a shell => where it is executed, and by what

my @commands = (
    [qr/^make(?: deps && make)? test$/ => '.ci/run', qr/\bmake test\b/],
    [qr/^make run$/    => 't/client/run.t', qr{'docs/examples/chat/run'}],
    [qr/^make deps$/   => 't/build/deps.t', qr{t/lib/deps}],
    [qr/^make$/        => 't/build/build.t', qr/run\('make'\)/],
    [qr/^make NGINX=\S+ NGINX_SRC=\S+$/ => 't/build/build.t', qr/NGINX_SRC=/],
    [qr/^cd nginx-\S+$/ => 't/lib/nginx', qr/\bcd\b/],
    [qr{^\./configure .*--add-dynamic-module=} => 't/lib/nginx',
        qr{\./configure.*--add-dynamic-module=}s],
    [qr/^make modules$/ => 't/build/config.t', qr/make.*\bmodules\b/s],
    [qr/^redis-cli /   => 't/docs/redis.t', qr/redis-cli/],
    [qr/^sudo make install$/ => 't/docs/examples.t', qr/make install DEST/],
    [qr/^sudo sh -c 'umask/  => 't/docs/examples.t', qr/umask 0/],
    [qr/^curl /        => 't/docs/examples.t', qr/like\(.*curl/],
);

for my $block (grep { $_->{lang} eq 'sh' } @blocks) {
    my $text = $block->{text} =~ s/\\\n\s*/ /gr;

    for my $line (split /\n/, $text) {
        $line =~ s/\s+# .*//;
        next if $line =~ /^\s*$/;

        my ($row) = grep { $line =~ $_->[0] } @commands;
        ok($row && Wscast::Docs::text($row->[1]) =~ $row->[2],
            "$block->{at}: \"$line\" is executed by "
            . ($row ? $row->[1] : 'somebody'));
    }
}

for my $block (@blocks) {
    my ($lang, $at) = @$block{qw(lang at)};
    next if $lang =~ /^(?:sh|js|html|ini|yaml)$/;     # below

    my ($row) = grep { $lang =~ $_->[0] && $at =~ $_->[1] } @elsewhere;
    ok($row && -e $row->[2], "$at, "
        . ($lang || 'of no language') . ', is executed by '
        . ($row ? $row->[2] : 'somebody'));
}

# -- a token, made as README.md makes it ---------------------------------

my $command = find_block('sh', qr/openssl rand/)->{text};
$command =~ s{/etc/nginx/}{$pages/};
$command =~ s/^sudo //;
is(system($command), 0, 'the secret is made');
is((stat "$pages/chat.key")[2] & 0777, 0600, '... for its owner alone');

my $maker = find_block('js', qr/createHmac/)->{text} =~
    s{/etc/nginx/}{$pages/}r;
spurt("$pages/token.mjs", "$maker\nconsole.log(token('ann'));\n");
my $token = `node $pages/token.mjs`;
chomp $token;
like($token, qr/^[\w-]+\.[\w-]+\.[\w-]+$/, 'a token is made in Node');

open my $key, '<', "$pages/chat.key" or die $!;
my $secret = readline $key;
close $key;

# -- hosts: that of README.md, and one for the other pages ---------------

my $redis = redis();
my $files = <<"CONF";
        types { text/html html; text/javascript js; }
        root $pages;

        location = /login { default_type text/plain; return 200 '%%LOGIN%%'; }
        location /x/      { try_files \$uri \@client; }
        location /wscast/ { alias $Wscast::ROOT/src/client/; }
        location /vendor/ { alias $Wscast::ROOT/docs/examples/chat/vendor/; }
        location \@client {
            rewrite ^/x/(.*) /wscast/\$1 last;
        }
CONF

my (undef, $readme) = Wscast::Docs::wrap('', find_block('nginx',
    qr/^load_module.*^http /ms)->{text});
is($readme =~ s/10\.0\.0\.5:6379/127.0.0.1:%%REDIS_PORT%%/, 1,
    'README.md names a Redis');
my $login = $files =~ s/%%LOGIN%%/$token/r;
$readme =~ s/^ +listen [^;]*;\n\K/$login/m;

my $other = <<'CONF' . $files =~ s/%%LOGIN%%/{"token":"$token"}/r . "}\n";
wscast_hub chat {
    token_key  HS256 %%PREFIX%%/conf/chat.key;

    channel  room:*  { history 1000 10m; presence on; }
}

server {
    listen 127.0.0.1:%%PORT%%;

    location /ws {
        wscast        chat;
        wscast_token  $arg_token;
        wscast_allow  all "*";
    }

    location /tutorial {
        wscast          chat text;
        wscast_channel  "room:$arg_room";
        wscast_allow    publish "room:$arg_room";
        wscast_drain    500ms;
    }

    location /api/ { wscast_api chat; }
CONF

my %host = map {
    $_->[0] => host($_->[1], redis => $redis, files => {
        'conf/chat.key' => $secret })
} ['README.md', $readme], ['docs', $other];

ok(wait_until(sub { $host{'README.md'}->has_redis }),
    'README.md is connected to Redis');

{
    my $port = $host{'README.md'}->port;
    my ($curl) = find_block('sh', qr/^curl/m)->{text} =~ /^(curl .*)$/m;

    $curl =~ s{http://127\.0\.0\.1/}{http://127.0.0.1:$port/};
    like(`$curl 2>/dev/null`, qr/^\{"channel":"room:7","epoch":"[0-9a-f]{16}",
        "offset":1,"subscribers":0\}$/x, 'README.md publishes by curl');
}

# -- JavaScript ----------------------------------------------------------

# file, a mark of the block, what goes before it, and what must hold after it

my $LOST = <<'JS';
    sockets.at(-1).close();
    await until(() => client.state === 'waiting');
    await fetch('/api/channels/room:7', { method: 'POST', body: '"late"' });
    client.connect();
JS

my @js = (
    ['README.md', qr/const say =/, '', <<'JS'],
        await until(() => logs.some((l) => /"published","id":2/.test(l)));
        await until(() => logs.some((l) =>
            /"type":"message".*"data":\{"text":"hello"\}/.test(l)));
JS
    ['README.md', qr/\/tutorial\?/, '', <<'JS'],
        await logged('{"type":"welcome","msg":"Welcome!"}');
        await until(() => logs.includes('hello'));
JS
    ['README.md', qr/onMembers/, '', <<'JS'],
        await logged('ann {"text":"hello"}');
        await logged('online: ["ann"]');
        await logged('messages so far');
        sockets.at(-1).close();
        await logged('0 missed messages follow');
JS
    ['docs/protocol.md', qr/\/tutorial\?/, '', <<'JS'],
        await until(() => ws.readyState === 1);
        ws.send('hello');
        await until(() => logs.includes('hello'));
        const first = ws;
        first.close();
        await until(() => ws !== first && ws.readyState === 1);
        ws.send('again');
        await until(() => logs.includes('again'));
JS
    ['docs/api.md', qr/await fetch/, "await client.subscribe('room:7', show);",
        'await until(() => shown.some((m) => m.data.text === "hello"));'],
    ['docs/client.md', qr/room:lobby/, '', <<'JS'],
        await logged('open');
        await client.publish('room:lobby', 'hello');
        await logged('hello');
JS
    ['docs/client.md', qr/from 'ws'/, '',
        'must(client.state === "closed");'],
    ['docs/client.md', qr/retryButton/, '', <<'JS'],
        client.close();
        must(client.state === 'closed');
        retryButton.onclick();
        await until(() => client.state === 'open');
JS
    ['docs/client.md', qr/This room is closed/, '', <<'JS'],
        await client.publish('room:7', 1);
        await until(() => shown.length);
JS
    ['docs/client.md', qr/await client\.unsubscribe/,
        "await client.subscribe('room:7', show);",
        "must(![...client.channels].includes('room:7'));"],
    ['docs/client.md', qr/nothing was sent: closed/, '', <<'JS'],
        const { messages } = await client.history('room:7');
        must(messages.at(-1).data.text === 'hello');
JS
    ['docs/client.md', qr/typing:7/,
        "await client.subscribe('typing:7', show);",
        'await until(() => shown.some((m) => m.data.typing));'],
    ['docs/client.md', qr/let \{ messages, more \}/,
        "for (let i = 0; i < 130; i++) await client.publish('room:7', i);",
        <<'JS'],
        must(messages.length >= 130);
        messages.forEach((m, i) => must(m.offset === i + 1));
JS
    ['docs/client.md', qr/'online'/, '', <<'JS'],
        await until(() => logs.some((l) => /^[1-9] online$/.test(l)));
        off();
JS
    ['docs/client.md', qr/client\.on\('message', log\)/,
        "await client.subscribe('room:7');", <<'JS'],
        let heard = 0;
        client.on('message', () => heard++);
        await client.publish('room:7', 'x');
        await until(() => heard);
        must(shown.length === 0);
JS
    ['docs/client.md', qr/client\.on\('resume'/, <<'JS',
        await client.subscribe('room:7', show);
        await client.publish('room:7', 'early');
        await until(() => shown.length);
JS
        $LOST . <<'JS'],
        await logged('room:7: 1 missed messages follow');
        await until(() => shown.at(-1).data === 'late');
JS
    ['docs/client.md', qr/fetch\('\/login', /, '', <<'JS'],
        client.connect();
        await until(() => client.state === 'open');
        must(client.welcome.user === 'ann');
JS
    ['docs/client.md', qr/wscast\/react/, '', <<'JS'],
        const { createElement } = await import('react');
        const { createRoot } = await import('react-dom');
        const at = document.body.appendChild(document.createElement('div'));

        createRoot(at).render(createElement(Room, { name: '7' }));
        await until(() => [...client.channels].includes('room:7'));
JS
);

my %imports = (react => '/vendor/react.js', 'react-dom' =>
    '/vendor/react-dom.js', ws => '/x/ws.js');

{
    my ($map) = find_block('html', qr/importmap/)->{text}
        =~ /<script type="importmap">(.*?)<\/script>/s;
    %imports = (%{ JSON::PP::decode_json($map)->{imports} }, %imports);
}

my $PAGE = <<'HTML';
<!DOCTYPE html>
<meta charset="utf-8">
<link rel="icon" href="data:,">
<script type="importmap">{ "imports": %%IMPORTS%% }</script>
<script>
const logs = [], shown = [], sockets = [], wrong = [], retryButton = {};
const plain = (x) => typeof x === 'string' ? x : JSON.stringify(x);
const show = (m) => shown.push(m), log = show, reload = show;
const must = (held) => { if (!held) throw new Error('this does not hold'); };
const logged = (text) => until(() => logs.some((l) => l.includes(text)), text);

async function until(fn, text = fn) {
    const end = Date.now() + %%DEADLINE%%;

    while (!fn()) {
        if (Date.now() > end) throw new Error(`never: ${text}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
}

console.log = (...all) => logs.push(all.map(plain).join(' '));
console.error = (...all) => wrong.push(all.map(String).join(' '));
window.alert = (text) => wrong.push(`alert: ${text}`);
window.onerror = (text) => wrong.push(text);
window.onunhandledrejection = (event) => wrong.push(String(event.reason));

window.WebSocket = class extends WebSocket {
    constructor(...all) { super(...all); sockets.push(this); }
};
</script>
<script type="module">
import { Wscast } from 'wscast';

Object.assign(globalThis, { Wscast, client: new Wscast('/ws').connect() });

try {
    await (async () => { %%BEFORE%% })();
    await import('./%%N%%.js');
} catch (error) {
    wrong.push(String(error));
}

globalThis.outcome = { wrong, logs };
</script>
HTML

mkdir "$pages/x" or die $!;
spurt("$pages/x/ws.js", "export default globalThis.WebSocket;\n");

if (!-e 'docs/examples/chat/vendor/react.js') {
    system('make -s docs/examples/chat/vendor/react.js >&2') == 0
        or die "make failed\n";
}

if (!-d 't/browser/node_modules/playwright-core') {
    system('cd t/browser && npm ci --ignore-scripts --no-audit --no-fund'
        . ' --loglevel=error >&2') == 0 or die "npm ci failed\n";
}

my (@urls, @names, %used);

for my $block (grep { $_->{lang} eq 'js' } @blocks) {
    my ($file) = $block->{at} =~ /^(.*):/;
    my @rows = grep { $js[$_][0] eq $file && $block->{text} =~ $js[$_][1] }
        0 .. $#js;

    next if $block->{text} =~ /createHmac/;             # above
    is(scalar @rows, 1, "$block->{at}: it is known what it should do")
        or next;
    is($used{ $rows[0] }++, 0, '... and no other does it');

    my (undef, undef, $before, $after) = @{ $js[$rows[0]] };
    my $n    = @urls;
    my %part = (N => $n, BEFORE => $before, DEADLINE => 8000 * (asan() ? 4 : 1),
        IMPORTS => JSON::PP->new->canonical->encode(\%imports));

    spurt("$pages/x/$n.js", ($block->{text}
        =~ s{http://127\.0\.0\.1/}{/}gr) . "\n" . $after);
    spurt("$pages/x/$n.html", $PAGE =~ s/%%(\w+)%%/$part{$1}/gr);
    push @names, $block->{at};
    push @urls, 'http://127.0.0.1:'
        . ($host{$file} // $host{docs})->port . "/x/$n.html";
}

open my $browser, '-|', 'node', 't/docs/examples.mjs', @urls
    or die "node: $!\n";

for my $name (@names) {
    my $outcome = JSON::PP::decode_json(readline($browser) // '{}');
    is(join("\n", @{ $outcome->{wrong} // ['no outcome'] }), '',
        "$name does it in a browser")
        || diag(join "\n", @{ $outcome->{logs} // [] });
}

ok(close $browser, 'the browser ends');

# -- what is left --------------------------------------------------------

{
    my $text = find_block('yaml', qr/metrics_path/)->{text};
    my ($path) = $text =~ /metrics_path: (\S+)$/m;

    like($host{'README.md'}->http('GET', $path)->{body},
        qr/^wscast_connections\{hub="chat"\} \d+$/m,
        'Prometheus finds what it is sent for');
    like($text, qr/^\s+- targets: \["[\d.]+:80"(?:, "[\d.]+:80")*\]$/m,
        '... on such hosts');
}

{
    my ($dir, $conf) = (scratch() . '/installed');
    my $variant = asan() ? 'VARIANT=asan' : '';
    my $said    = `make install DESTDIR=$dir $variant 2>&1`;

    ($conf) = $said =~ /^in nginx\.conf: load_module (\S+);$/m;
    ok($conf && -e "$dir$conf", 'make install says where the module is');
    is(find_block('nginx', qr/^load_module \S+\s*\z/)->{text},
        "load_module $conf;\n", '... which is as documented');
}

{
    my $nginx = $host{docs};
    my $text  = find_block('ini', qr/ExecStop/)->{text};
    my ($stop)  = $text =~ /^ExecStop=(\S.*)$/m;
    my ($limit) = $text =~ /^TimeoutStopSec=(\d+)$/m;
    my ($quit)  = $stop =~ m{--retry QUIT/(\d+)};
    my ($drain) = Wscast::Docs::sections('docs/directives.md')->{wscast_drain}
        =~ /^\*\*Default:\*\* `wscast_drain (\d+)s;`/m;
    my ($max) = $text =~ /^LimitNOFILE=(\d+)$/m;

    cmp_ok($limit, '>', $quit, 'systemd waits longer than start-stop-daemon');
    cmp_ok($quit, '>', $drain, '... and that longer than wscast_drain');
    is($max, find_block('nginx', qr/worker_rlimit_nofile/)->{text}
        =~ s/.*worker_rlimit_nofile\s+(\d+);.*/$1/sr,
        'the limits of descriptors agree');

    my $ws = $nginx->ws('/tutorial?room=1');
    $stop =~ s{/run/nginx\.pid}{$nginx->{dir}/nginx.pid};

    my $pid = fork // die "fork: $!\n";
    exec $stop if !$pid;
    is($ws->wait_close->{code}, 1001, 'ExecStop asks clients to move');
    waitpid $pid, 0;
    is($nginx->wait_end(5), 1, '... and nginx ends');
}

done_testing();
