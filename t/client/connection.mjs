import assert from 'node:assert/strict';
import {
    PaperSocket, client, delayUntilNext, opened, pass, run, settle, test,
    timersLeft, watch,
} from './paper.mjs';
import { Wscast } from '../../src/client/wscast.js';


test('An address of http becomes one of ws, without its fragment', () => {
    new Wscast('https://host/ws?a=b#room', { WebSocket: PaperSocket })
        .connect().close();
    assert.equal(PaperSocket.last.url, 'wss://host/ws?a=b');
});

test('A relative address is taken from the page', () => {
    globalThis.location = { href: 'http://host:81/chat/#lobby' };

    try {
        new Wscast('/ws', { WebSocket: PaperSocket }).connect().close();
    } finally {
        delete globalThis.location;
    }

    assert.equal(PaperSocket.last.url, 'ws://host:81/ws');
});

test('Without a WebSocket anywhere the constructor says so', () => {
    assert.throws(() => new Wscast('ws://host/', { WebSocket: undefined }),
                  /no WebSocket here/);
});

test('The subprotocols are offered', () => {
    client({ protocols: ['a', 'b'] }).connect();
    assert.deepEqual(PaperSocket.last.protocols, ['a', 'b']);
});

test('It is open when the server has welcomed it, not earlier', async () => {
    const c = client();
    const states = [];
    const welcomes = [];

    c.on('state', (s) => states.push(s));
    c.on('open', (w) => welcomes.push(w.msg));

    assert.equal(c.state, 'closed');
    c.connect();
    assert.equal(c.state, 'connecting');
    assert.equal(c.welcome, null);
    await PaperSocket.last.welcomes({ msg: 'hi' });
    assert.equal(c.state, 'open');
    assert.equal(c.welcome.client, 'c1');
    assert.deepEqual(states, ['connecting', 'open']);
    assert.deepEqual(welcomes, ['hi']);
});

test('connect() twice opens one socket', () => {
    client().connect().connect();
    assert.equal(PaperSocket.all.length, 1);
});

test('The delays double from 1 s to 30 s', async () => {
    const delays = [];

    Math.random = () => 0.999999;
    client().connect();

    for (let i = 0; i < 7; i++) {
        await PaperSocket.last.drops(1006);
        delays.push(await delayUntilNext());
    }

    assert.deepEqual(delays, [1000, 2000, 4000, 8000, 16000, 30000, 30000]);
});

test('Jitter takes off as much as a half', async () => {
    Math.random = () => 0;
    client().connect();
    await PaperSocket.last.drops(1006);
    assert.equal(await delayUntilNext(), 500);
    await PaperSocket.last.drops(1006);
    assert.equal(await delayUntilNext(), 1000);
});

test('A welcome takes the delay back to 1 s, a mere open does not',
     async () => {
    Math.random = () => 0.999999;
    client().connect();
    await PaperSocket.last.drops(1006);
    assert.equal(await delayUntilNext(), 1000);
    PaperSocket.last.onopen?.({});
    await PaperSocket.last.drops(1011);
    assert.equal(await delayUntilNext(), 2000);
    await PaperSocket.last.welcomes();
    await PaperSocket.last.drops(1011);
    assert.equal(await delayUntilNext(), 1000);
});

test('1001 moves it within 100 ms', async () => {
    Math.random = () => 0.999999;
    await opened();
    await pass(5000);
    await PaperSocket.last.drops(1001);
    assert.equal(await delayUntilNext(), 100);
    Math.random = () => 0;
    await PaperSocket.last.welcomes();
    await pass(5000);
    await PaperSocket.last.drops(1001);
    assert.equal(await delayUntilNext(), 1);
});

test('A server that says only 1001 is backed off', async () => {
    Math.random = () => 0.999999;
    await opened();
    await PaperSocket.last.drops(1001);
    assert.equal(await delayUntilNext(), 100);
    await PaperSocket.last.drops(1001);
    assert.equal(await delayUntilNext(), 1000);
    await PaperSocket.last.drops(1001);
    assert.equal(await delayUntilNext(), 100);
    await PaperSocket.last.drops(1001);
    assert.equal(await delayUntilNext(), 2000);
});

for (const code of [4401, 4403]) {
    test(`${code} is the end, and connect() begins again`, async () => {
        const c = await opened();
        const closes = [];

        c.on('close', (e) => closes.push(e));

        const waiting = watch(c.subscribe('room:1'));

        await PaperSocket.last.drops(code, 'why');
        assert.equal(c.state, 'closed');
        assert.deepEqual(closes, [{ code, reason: 'why' }]);
        assert.equal(waiting.error.code, code);
        await pass(120000);
        assert.equal(PaperSocket.all.length, 1);
        assert.equal(timersLeft(), 0);

        c.connect();
        await PaperSocket.last.welcomes();
        assert.equal(c.state, 'open');
        assert.equal(PaperSocket.last.types(), '');
    });
}

for (const code of [1000, 1006, 1011, 1013, 4408, 4429]) {
    test(`${code} is backed off`, async () => {
        Math.random = () => 0.999999;
        await opened();
        await PaperSocket.last.drops(code);
        assert.equal(await delayUntilNext(), 1000);
    });
}

test('A loss is told: state waiting, the code and the delay', async () => {
    Math.random = () => 0.999999;

    const c = await opened();
    const told = [];

    c.on('state', (s, detail) => told.push([s, Math.round(detail.delay)]));
    c.on('close', (e) => told.push([e.code, e.reason, Math.round(e.delay)]));
    await PaperSocket.last.drops(4408, 'too slow');
    assert.deepEqual(told, [['waiting', 1000], [4408, 'too slow', 1000]]);
    assert.equal(c.welcome, null);
});

test('connect() while it waits tries at once', async () => {
    const c = await opened();

    await PaperSocket.last.drops(1006);
    c.connect();
    assert.equal(PaperSocket.all.length, 2);
    await PaperSocket.last.welcomes();
    await pass(20000);
    assert.equal(PaperSocket.all.length, 2);
});

test('A socket that never gets a welcome is given up after 10 s', async () => {
    const c = client().connect();

    await pass(9999);
    assert.equal(c.state, 'connecting');
    await pass(1);
    assert.equal(c.state, 'waiting');
    assert.equal(PaperSocket.last.closedWith, 1005);
});

test('A ping goes out after the silence that the welcome names', async () => {
    await opened({}, { ping: 7 });
    await pass(6999);
    assert.equal(PaperSocket.last.types(), '');
    await pass(1);
    assert.deepEqual(PaperSocket.last.sent, [{ type: 'ping' }]);
});

test('The interval is 25 s when the welcome names none', async () => {
    await opened({}, { ping: undefined });
    await pass(24999);
    assert.equal(PaperSocket.last.types(), '');
    await pass(1);
    assert.equal(PaperSocket.last.types(), 'ping');
});

test('The heartbeat option overrules the welcome', async () => {
    await opened({ heartbeat: 500 });
    await pass(500);
    assert.equal(PaperSocket.last.types(), 'ping');
});

test('Whatever comes puts the ping off', async () => {
    await opened({ heartbeat: 1000 });

    for (let i = 0; i < 10; i++) {
        await pass(900);
        await PaperSocket.last.says({ type: 'message', channel: 'c' });
    }

    assert.equal(PaperSocket.last.types(), '');
    await pass(1000);
    assert.equal(PaperSocket.last.types(), 'ping');
});

test('An answered ping keeps the socket, for hours', async () => {
    const c = await opened({ heartbeat: 1000 });

    for (let i = 0; i < 100; i++) {
        await pass(1000);
        await PaperSocket.last.says({ type: 'pong' });
    }

    assert.equal(c.state, 'open');
    assert.equal(PaperSocket.all.length, 1);
    assert(PaperSocket.last.sent.length >= 50);
});

test('An unanswered ping ends the socket after 10 s', async () => {
    const c = await opened({ heartbeat: 1000 });
    const closes = [];

    c.on('close', (e) => closes.push([e.code, e.reason]));
    await pass(10999);
    assert.equal(c.state, 'open');
    await pass(1);
    assert.equal(c.state, 'waiting');
    assert.deepEqual(closes, [[1006, 'no answer']]);
});

test('What a socket says after it was given up is not heard', async () => {
    const c = await opened({ heartbeat: 1000 });
    const first = PaperSocket.last;
    const heard = [];

    c.on('message', (m) => heard.push(m.data));
    await pass(11000);
    await delayUntilNext();
    await PaperSocket.last.welcomes();
    await first.says({ type: 'message', channel: 'c', data: 'late' });
    await first.drops(1006);
    assert.deepEqual(heard, []);
    assert.equal(c.state, 'open');
});

test('close() ends everything, also what was pending', async () => {
    const c = await opened();
    const waiting = watch(c.subscribe('a'));
    const publish = watch(c.publish('a', 1));
    const closes = [];

    c.on('close', (e) => closes.push(e.code));
    c.close();
    c.close();
    await settle();
    assert.equal(c.state, 'closed');
    assert.equal(PaperSocket.last.closedWith, 1000);
    assert.equal(waiting.error.code, 1000);
    assert.equal(publish.error.code, 1000);
    assert.deepEqual(closes, [1000]);
    await pass(120000);
    assert.equal(PaperSocket.all.length, 1);
    assert.equal(timersLeft(), 0);
});

test('close() while it waits stops the waiting', async () => {
    const c = await opened();

    await PaperSocket.last.drops(1006);
    c.close();
    await pass(120000);
    assert.equal(c.state, 'closed');
    assert.equal(PaperSocket.all.length, 1);
    assert.equal(timersLeft(), 0);
});

test('close() from within a listener is final too', async () => {
    const c = await opened();

    c.on('close', () => c.close());
    await PaperSocket.last.drops(1006);
    await pass(120000);
    assert.equal(c.state, 'closed');
    assert.equal(PaperSocket.all.length, 1);
    assert.equal(timersLeft(), 0);
});

test('When the network comes back it tries at once', async () => {
    const page = new EventTarget();

    globalThis.addEventListener = page.addEventListener.bind(page);
    globalThis.removeEventListener = page.removeEventListener.bind(page);

    const c = await opened();

    await PaperSocket.last.drops(1006);
    page.dispatchEvent(new Event('online'));
    assert.equal(PaperSocket.all.length, 2);

    /* an open socket may be dead by now: it is asked */

    await PaperSocket.last.welcomes();
    page.dispatchEvent(new Event('online'));
    page.dispatchEvent(new Event('online'));
    assert.equal(PaperSocket.last.types(), 'ping');
    await pass(10000);
    assert.equal(c.state, 'waiting');

    c.close();
    page.dispatchEvent(new Event('online'));
    assert.equal(PaperSocket.all.length, 2);

    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
});


await run();
