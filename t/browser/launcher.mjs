/*
 * docs/examples/chat/run as a child, in a directory of its own, and the TAP
 * that the browser tests print.
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const top = fileURLToPath(new URL('../..', import.meta.url));


/* Sanitizers need their runtime preloaded into nginx, but not into Perl. */

function nginxFor(dir) {
    const preload = process.env.WSCAST_PRELOAD;
    const nginx = process.env.WSCAST_NGINX || 'nginx';
    const wrapper = join(dir, 'nginx');

    if (!preload) {
        return process.env.WSCAST_NGINX;
    }

    writeFileSync(wrapper, '#!/bin/sh\nPATH=$PATH:/usr/sbin\n'
                  + `LD_PRELOAD='${preload}' exec ${nginx} "$@"\n`,
                  { mode: 0o755 });
    return wrapper;
}


export async function launch(variables = {}) {
    const dir = mkdtempSync(join(tmpdir(), 'wscast-browser-'));
    const env = { ...process.env, WSCAST_RUN_DIR: join(dir, 'run') };
    const nginx = nginxFor(dir);
    let said = '';

    delete env.PORT;
    delete env.REDIS;
    Object.assign(env, variables);

    if (process.env.WSCAST_MODULE) {
        env.MODULE = process.env.WSCAST_MODULE;
    }

    if (nginx) {
        env.NGINX = nginx;
    }

    const child = spawn(join(top, 'docs/examples/chat/run'), { env });
    const ended = new Promise((resolve) => child.on('exit', resolve));

    child.stderr.on('data', (data) => process.stderr.write(data));

    await new Promise((resolve, reject) => {
        child.stdout.on('data', (data) => {
            said += data;
            said.includes('Ctrl-C') && resolve();
        });
        ended.then((code) => reject(new Error(`run ended with ${code}`)));
    });

    const log = (host) => ['error.log.out', 'error.log']
        .map((name) => readFileSync(join(dir, 'run', host, name), 'utf8'))
        .join('');

    return {
        urls: [...said.matchAll(/host [AB] +(\S+)/g)].map((m) => m[1]),
        curl: said.match(/curl .*/)[0],

        pid(name) {
            const pids = readFileSync(join(dir, 'run', 'pids'), 'utf8');

            return +pids.match(new RegExp(`^${name} (\\d+)$`, 'm'))[1];
        },

        log,

        /* the exit code */

        async end() {
            child.kill('SIGTERM');
            return await ended;
        },

        forget: () => rmSync(dir, { recursive: true, force: true }),
    };
}


const steps = [];

export const step = (name, fn) => steps.push({ name, fn });


/* The steps go on from one another, so a failure ends the rest. */

export async function run(failed) {
    console.log(`1..${steps.length}`);

    for (const [i, { name, fn }] of steps.entries()) {
        try {
            await fn();
            console.log(`ok ${i + 1} - ${name}`);

        } catch (error) {
            console.log(`not ok ${i + 1} - ${name}`);
            console.log(error.stack.replace(/^/gm, '# '));
            process.exitCode = 1;
            await failed(name);
            return;
        }
    }
}
