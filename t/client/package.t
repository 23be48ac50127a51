#!/usr/bin/perl

# The package as npm packs it: imported by name, its types, and its React hook.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Test::More;

my $here = abs_path(dirname(__FILE__));
my $top = abs_path("$here/../..");
my $modules = "$top/t/browser/node_modules";
my $dir = tempdir(CLEANUP => 1);

if (!-d "$modules/typescript") {
    system("cd $top/t/browser && npm ci --no-audit --no-fund"
           . ' --loglevel=error >&2') == 0 or die "npm ci failed\n";
}


sub spurt {
    my ($name, $text) = @_;

    open my $out, '>', "$dir/$name" or die "$name: $!\n";
    print $out $text;
    close $out or die "$name: $!\n";
}


# Exit status 0, else what it said.

sub runs {
    my ($name, $command) = @_;
    my $said = `cd $dir && $command 2>&1`;

    return is($?, 0, $name) || diag($said);
}


runs('npm packs it',
     "npm pack --silent --pack-destination $dir $top/src/client");
make_path("$dir/node_modules/wscast");
runs('and it unpacks', 'tar -xzf wscast-*.tgz --strip-components=1'
                       . ' -C node_modules/wscast');

is(join(' ', sort map { s{.*/}{}r } glob "$dir/node_modules/wscast/*"),
   'LICENSE connection.js package.json roster.js use-wscast.d.ts use-wscast.js'
   . ' wscast.d.ts wscast.js', 'all of it is in there, and nothing else');

symlink "$modules/$_", "$dir/node_modules/$_" or die "$_: $!\n"
    for qw(@types react react-test-renderer);

spurt('both.mjs', <<'END');
import { Wscast, WscastError } from 'wscast';
import { useChannel } from 'wscast/react';

const client = new Wscast('ws://host/ws', { WebSocket: class {} });

if (client.state !== 'closed' || typeof useChannel !== 'function'
    || !(new WscastError(1, 'x') instanceof Error))
{
    process.exit(1);
}
END

runs('both entries are imported by name', 'node both.mjs');

spurt('alone.mjs', "import { Wscast } from 'wscast'; new Wscast("
                   . "'ws://host/', { WebSocket: class {} });\n");
rename "$dir/node_modules/react", "$dir/react" or die $!;
runs('the client needs no React', 'node alone.mjs');
rename "$dir/react", "$dir/node_modules/react" or die $!;

spurt('inner.mjs', "import 'wscast/roster.js';\n");
isnt(system("cd $dir && node inner.mjs 2>inner.out"), 0,
     'what is inside is not for others');

spurt('types.mts', <<'END');
import { Wscast, WscastError, type Member, type Message } from 'wscast';
import { useChannel, type Channel } from 'wscast/react';

interface Said { text: string }

const client = new Wscast('/ws', {
    token: async () => (await fetch('/login')).text(),
    tokenParameter: 'jwt', queue: 10, publishTimeout: 5000,
});

const off: () => void = client.on('resume', ({ channel, recovered, missed }) =>
    console.log(channel.length, recovered === false, missed?.toFixed()));

client.on('join', (change) => console.log(change.type, change.info));
client.on('state', (state, { reason }) => state === 'closed' && reason);
client.on('error', (error) => error instanceof WscastError && error.code);

await client.subscribe<Said>('a', (m: Message<Said>) => m.data.text);
await client.publish('a', { text: 'x' }, { key: 'k', queue: true });

const page = await client.history<Said>('a', { limit: 5, before: 9 });
const texts: string[] = page.messages.map((m) => m.data.text);
const next: string | undefined = (await client.presence('a')).next;
const members: Member[] = await client.members('a');

client.onMembers('a', (all) => all.map((m) => m.user))();

export function Room() {
    const room: Channel<Said> = useChannel<Said>(client, 'a', { limit: 9 });
    const keys: string[] = room.messages.map((m) => m.id + m.data.text);

    room.publish({ text: 'hi' }).then((p) => p.offset);
    // @ts-expect-error: it has a text
    room.publish({ txt: 'hi' });
    // @ts-expect-error: no such option
    useChannel(client, 'a', { limits: 9 });
    return [keys, room.recovered, room.resume?.missed, off, texts, next,
            members];
}
END

runs('the types say what it is', "node $modules/typescript/bin/tsc --noEmit"
     . ' --strict --target es2022 --module nodenext --lib es2022,dom'
     . ' --types react types.mts');

# Its own tests, told as ours.

my @told = `node $here/hook.mjs $dir 2>$dir/hook.err`;
my $errors = do { open my $in, '<', "$dir/hook.err"; local $/; <$in> };

is($?, 0, 'the hook passes its tests');
is($errors // '', '', 'and React has nothing to complain of');
cmp_ok(scalar(grep { /^ok/ } @told), '>', 20, 'it has some');

for (@told) {
    if (/^(not )?ok \d+ - (.*)/) {
        ok(!$1, $2);
    } elsif (/^#/) {
        diag(substr $_, 2);
    }
}

done_testing();
