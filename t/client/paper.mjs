/*
 * A clock and a socket of paper: the tests move the one and write on the
 * other, so that backoff and heartbeats are examined to the millisecond.
 */

import assert from 'node:assert/strict';
import { Wscast } from '../../src/client/wscast.js';

let now = 0;
let lastTimer = 0;
const timers = new Map();       /* id => { at, fn } */


globalThis.setTimeout = (fn, ms = 0) => {
    timers.set(++lastTimer, { at: now + ms, fn });
    return lastTimer;
};

globalThis.clearTimeout = (id) => { timers.delete(id); };

Date.now = () => now;


/* Lets promises settle, as between two turns of the event loop. */

export async function settle() {
    for (let i = 0; i < 20; i++) {
        await null;
    }
}


/* Moves the clock, firing in order what falls due. */

export async function pass(ms) {
    const end = now + ms;

    for (;;) {
        const due = [...timers].filter(([, t]) => t.at <= end)
            .sort(([a, s], [b, t]) => s.at - t.at || a - b)[0];

        if (!due) {
            break;
        }

        timers.delete(due[0]);
        now = Math.max(now, due[1].at);
        due[1].fn();
        await settle();
    }

    now = end;
    await settle();
}


/* Milliseconds since 1970, as far as the client knows. */

export const clock = () => now;

export const timersLeft = () => timers.size;


export class PaperSocket {
    static all = [];
    static get last() { return PaperSocket.all.at(-1); }

    sent = [];
    closedWith = undefined;

    constructor(url, protocols) {
        Object.assign(this, { url, protocols, at: now });
        PaperSocket.all.push(this);
    }

    /* the client's side */

    send(text) { this.sent.push(JSON.parse(text)); }
    close(code) { this.closedWith = code ?? 1005; }

    /* the server's side */

    async says(message) {
        this.onmessage?.({ data: typeof message === 'string'
            ? message : JSON.stringify(message) });
        await settle();
    }

    async welcomes(more = {}) {
        await this.says({ type: 'welcome', client: 'c1', ping: 25, ...more });
    }

    async drops(code, reason = '') {
        this.onclose?.({ code, reason });
        await settle();
    }

    /* the last message of this type, answered */

    async answers(type, more = {}) {
        const { id, channel } = this.sent.findLast((m) => m.type === type);

        await this.says({ type: { subscribe: 'subscribed',
                                  unsubscribe: 'unsubscribed',
                                  publish: 'published' }[type] ?? type,
                          id, channel, ...more });
    }

    types() { return this.sent.map((m) => m.type).join(' '); }
}


/* The outcome of a promise, without waiting for one that has none. */

export function watch(promise) {
    const seen = { state: 'pending' };

    promise.then((value) => Object.assign(seen, { state: 'resolved', value }),
                 (error) => Object.assign(seen, { state: 'rejected', error }));
    return seen;
}


export function client(options = {}) {
    PaperSocket.all = [];

    return new Wscast('ws://host/ws', { WebSocket: PaperSocket, ...options });
}


export async function opened(options, welcome) {
    const c = client(options).connect();

    await PaperSocket.last.welcomes(welcome);
    return c;
}


/* A new connection, by the server's wish, and its welcome. */

export async function moved(welcome) {
    await PaperSocket.last.drops(1001);
    await delayUntilNext();
    await PaperSocket.last.welcomes(welcome);
}


/* Milliseconds from now to the next socket. */

export async function delayUntilNext(limit = 60000) {
    const sockets = PaperSocket.all.length;
    const start = now;

    while (PaperSocket.all.length === sockets) {
        assert(now - start <= limit, 'no new socket in time');
        await pass(1);
    }

    return now - start;
}


const tests = [];
const random = Math.random;

export const test = (name, fn) => tests.push({ name, fn });


/* Each test begins without timers, whatever the one before left. */

export async function run() {
    console.log(`1..${tests.length}`);

    for (const [i, { name, fn }] of tests.entries()) {
        timers.clear();
        Math.random = random;

        try {
            await fn();
            console.log(`ok ${i + 1} - ${name}`);

        } catch (error) {
            process.exitCode = 1;
            console.log(`not ok ${i + 1} - ${name}`);
            console.log(error.stack.replace(/^/gm, '# '));
        }
    }
}
