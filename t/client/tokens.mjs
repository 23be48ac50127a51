import assert from 'node:assert/strict';
import {
    PaperSocket, client, clock, delayUntilNext, pass, run, settle, test,
    timersLeft, watch,
} from './paper.mjs';

const base64url = (value) => Buffer.from(JSON.stringify(value))
    .toString('base64url');

/* Nobody here looks at the signature. */

const jwt = (claims) => ['{"alg":"HS256"}', claims]
    .map((part) => typeof part === 'string'
        ? Buffer.from(part).toString('base64url') : base64url(part))
    .join('.') + '.c2ln';

const endsIn = (seconds) => jwt({ sub: 'Zoë', exp: clock() / 1000 + seconds });


/* A client whose tokens are these, one after the other; the last stays. */

function holding(tokens, options = {}) {
    const asked = { times: 0 };
    const c = client({ ...options, token: async () => {
        const token = tokens[Math.min(asked.times++, tokens.length - 1)];

        if (token instanceof Error) {
            throw token;
        }

        return typeof token === 'function' ? token() : token;
    } });

    return { c, asked };
}

async function opened(tokens, options) {
    const held = holding(tokens, options);

    held.c.connect();
    await settle();
    await PaperSocket.last.welcomes();
    return held;
}

const tokenIn = (socket, name = 'token') =>
    new URL(socket.url).searchParams.get(name);


test('The token is asked for before each connection, and is in its address',
     async () => {
    await opened(['t.1&=', 't2']);
    assert.equal(tokenIn(PaperSocket.last), 't.1&=');
    await PaperSocket.last.drops(1006);
    await delayUntilNext();
    assert.equal(tokenIn(PaperSocket.last), 't2');
});

test('The parameter may have another name', async () => {
    await opened(['t1'], { tokenParameter: 'jwt' });
    assert.equal(tokenIn(PaperSocket.last, 'jwt'), 't1');
    assert.equal(tokenIn(PaperSocket.last), null);
});

test('Without a token it connects without one', async () => {
    for (const none of [null, undefined, '']) {
        await opened([none]);
        assert.equal(PaperSocket.last.url, 'ws://host/ws');
    }
});

test('connect() twice while the token is fetched opens one socket',
     async () => {
    const { c, asked } = holding(['t1']);

    c.connect().connect();
    await settle();
    assert.equal(asked.times, 1);
    assert.equal(PaperSocket.all.length, 1);
});

test('close() while the token is fetched opens none', async () => {
    const { c } = holding(['t1']);

    c.connect();
    c.close();
    await settle();
    assert.equal(PaperSocket.all.length, 0);
    assert.equal(c.state, 'closed');
    assert.equal(timersLeft(), 0);
});

test('A callback that fails is told, and tried again with backoff',
     async () => {
    const { c, asked } = holding([new Error('login is away'), 't2']);
    const errors = [];

    Math.random = () => 0.999999;
    c.on('error', (e) => errors.push(e.message));
    c.connect();
    await settle();
    assert.equal(c.state, 'waiting');
    assert.deepEqual(errors, ['login is away']);
    assert.equal(await delayUntilNext(), 1000);
    assert.equal(asked.times, 2);
    assert.equal(tokenIn(PaperSocket.last), 't2');
});

test('A callback that never answers is given up after 10 s', async () => {
    const { c } = holding([() => new Promise(() => {})]);

    c.connect();
    await pass(9999);
    assert.equal(c.state, 'connecting');
    await pass(1);
    assert.equal(c.state, 'waiting');
    assert.equal(PaperSocket.all.length, 0);
});

test('A token is renewed on the open connection before it ends',
     async () => {
    const { c } = await opened([() => endsIn(3600), 't2']);

    await pass(1000);
    await PaperSocket.last.says({ type: 'message', channel: 'x' });
    await settle();

    while (!PaperSocket.last.types().includes('token')) {
        await pass(20000);
        await PaperSocket.last.says({ type: 'pong' });
        assert(clock() < 4e6);
    }

    const { token, id } = PaperSocket.last.sent.at(-1);

    assert.equal(token, 't2');
    await PaperSocket.last.says({ type: 'token', id, expires: 1e10 });
    assert.equal(c.state, 'open');
    assert.equal(PaperSocket.all.length, 1);
});

test('It is renewed when a fifth of a short life is left, again and again',
     async () => {
    const { asked } = await opened([() => endsIn(10), () => endsIn(10)],
                                   { heartbeat: 1e9 });

    await pass(7900);
    assert.equal(PaperSocket.last.types(), '');
    await pass(200);
    assert.equal(PaperSocket.last.types(), 'token');

    /* what the server says of the end counts more than what the token says */

    await PaperSocket.last.answers('token', { expires: clock() / 1000 + 20 });
    await pass(15900);
    assert.equal(PaperSocket.last.types(), 'token');
    await pass(200);
    assert.equal(PaperSocket.last.types(), 'token token');
    await PaperSocket.last.answers('token');
    await pass(7900);
    assert.equal(asked.times, 3);
    await pass(200);
    assert.equal(asked.times, 4);
});

test('A token that does not say when it ends is not renewed', async () => {
    const { asked } = await opened(['no jwt', 't2'], { heartbeat: 1e9 });

    await pass(1e8);
    assert.equal(asked.times, 1);
});

test('An end further away than timers reach is no end now', async () => {
    const { asked } = await opened([() => endsIn(1e9)], { heartbeat: 1e10 });

    await pass(2 ** 31 - 2);
    assert.equal(asked.times, 1);
});

test('A clock that is wrong does not make it renew for ever', async () => {
    const { asked } = await opened([() => endsIn(-100)], { heartbeat: 1e9 });

    await pass(600000);
    assert.equal(asked.times, 1);
});

test('A renewal whose callback fails is tried again', async () => {
    const { c } = await opened([() => endsIn(100), new Error('away'), 't3'],
                               { heartbeat: 1e9 });
    const errors = [];

    c.on('error', (e) => errors.push(e.message));
    await pass(80000);
    assert.deepEqual(errors, ['away']);
    await pass(5000);
    assert.equal(PaperSocket.last.sent.at(-1).token, 't3');
});

test('A renewal that is refused is told, and no more is tried', async () => {
    const { c, asked } = await opened([() => endsIn(100), 't2'],
                                      { heartbeat: 1e9 });
    const errors = [];

    c.on('error', (e) => errors.push(e.code));
    await pass(80000);
    await PaperSocket.last.says({ type: 'error', id: 1, code: 401,
                                  reason: 'expired' });
    await pass(60000);
    assert.deepEqual(errors, [401]);
    assert.equal(asked.times, 2);
});

test('A renewal that a loss cuts off is not told, and leaves no timer',
     async () => {
    const { c } = await opened([() => endsIn(100), 't2'], { heartbeat: 1e9 });
    const errors = [];

    c.on('error', (e) => errors.push(e));
    await pass(80000);
    await PaperSocket.last.drops(1006);
    await settle();
    assert.deepEqual(errors, []);
    c.close();
    assert.equal(timersLeft(), 0);
});

test('4401 fetches a fresh token and reconnects at once, with all channels',
     async () => {
    const { c } = await opened(['t1', 't2']);
    const waiting = watch(c.subscribe('a'));

    await PaperSocket.last.answers('subscribe');
    await pass(5000);
    await PaperSocket.last.drops(4401, 'token expired');
    assert.equal(c.state, 'waiting');
    assert(await delayUntilNext() <= 100);
    assert.equal(tokenIn(PaperSocket.last), 't2');
    await PaperSocket.last.welcomes();
    assert.equal(PaperSocket.last.types(), 'subscribe');
    assert.equal(waiting.state, 'resolved');
});

test('4401 over and over is backed off', async () => {
    await opened(['t1']);
    Math.random = () => 0.999999;
    await pass(5000);
    await PaperSocket.last.drops(4401);
    assert.equal(await delayUntilNext(), 100);
    await PaperSocket.last.drops(4401);
    assert.equal(await delayUntilNext(), 1000);
});

test('A handshake that is refused looks like a loss: it is backed off',
     async () => {
    const { c, asked } = holding(['bad']);

    Math.random = () => 0.999999;
    c.connect();
    await settle();

    for (const delay of [1000, 2000, 4000]) {
        await PaperSocket.last.drops(1006);
        assert.equal(await delayUntilNext(), delay);
    }

    assert.equal(asked.times, 4);
});


await run();
