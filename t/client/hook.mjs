/*
 * The React hook of the packed package: hook.mjs DIRECTORY, in whose
 * node_modules wscast, react and react-test-renderer are.
 */

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import {
    PaperSocket, client, delayUntilNext, moved, opened, pass, run, settle,
    test,
} from './paper.mjs';

const { resolve } = createRequire(process.argv[2] + '/');
const load = (name) => import(pathToFileURL(resolve(name)));

const { useChannel } = await load('wscast/react');
const { default: React } = await load('react');
const { default: renderer } = await load('react-test-renderer');

const { createElement: e, StrictMode } = React;
const { act } = renderer;
const E = '00000000000000e1';

globalThis.IS_REACT_ACT_ENVIRONMENT = true;


const message = (offset, more = {}) =>
    ({ type: 'message', channel: 'a', data: offset, epoch: E, offset,
       ...more });

/* Shows a channel, and notes what it showed. */

function View({ c, channel = 'a', options, seen }) {
    seen.last = useChannel(c, channel, options);
    seen.renders = (seen.renders ?? 0) + 1;
    return null;
}

const mount = async (element) => {
    let root;

    await act(async () => { root = renderer.create(element); });
    return root;
};

const says = (m) => act(() => PaperSocket.last.says(m));
const answers = (...args) => act(() => PaperSocket.last.answers(...args));
const passes = (ms) => act(() => pass(ms));
const data = (seen) => seen.last.messages.map((m) => m.data).join(' ');

const sent = (type) => PaperSocket.last.sent.filter((m) => m.type === type);

const page = (offsets) => answers('history', {
    epoch: E, offset: offsets.at(-1) ?? 0, messages: offsets.map((o) =>
        message(o)) });


/* A mounted view of channel a, with history 1 to 3. */

async function viewed(options, wrap = (view) => view) {
    const c = await opened();
    const seen = {};
    const root = await mount(wrap(e(View, { c, options, seen })));

    await answers('subscribe', { epoch: E, offset: 3 });
    await page([1, 2, 3]);
    return { c, seen, root };
}


test('It begins with the history, and goes on with what comes', async () => {
    const { seen } = await viewed({ presence: false });

    assert.equal(data(seen), '1 2 3');
    await says(message(4));
    assert.equal(data(seen), '1 2 3 4');
    assert.equal(seen.last.state, 'open');
    assert.equal(seen.last.recovered, null);
    assert.equal(new Set(seen.last.messages.map((m) => m.id)).size, 4);
    assert.deepEqual(sent('history').map((m) => m.limit), [50]);
});

test('What comes while the history is read is in its place, once',
     async () => {
    const c = await opened();
    const seen = {};

    await mount(e(View, { c, seen }));
    await answers('subscribe', { epoch: E, offset: 3 });
    await says(message(4));

    const { id } = seen.last.messages[0];

    await page([2, 3, 4]);
    assert.equal(data(seen), '2 3 4');
    assert.equal(seen.last.messages[2].id, id);
});

test('Without history nothing is asked, and it begins empty', async () => {
    const c = await opened();
    const seen = {};

    await mount(e(View, { c, seen, options: { presence: false } }));
    await answers('subscribe');
    await says({ type: 'message', channel: 'a', data: 'x' });
    await says({ type: 'message', channel: 'a', data: 'x' });
    assert.equal(data(seen), 'x x');
    assert.equal(new Set(seen.last.messages.map((m) => m.id)).size, 2);
    assert.equal(PaperSocket.last.types(), 'subscribe');
});

test('It keeps so many messages and no more', async () => {
    const { seen } = await viewed({ limit: 4 });

    for (let offset = 4; offset < 10; offset++) {
        await says(message(offset));
    }

    assert.equal(data(seen), '6 7 8 9');
    assert.equal(sent('history')[0].limit, 4);
});

test('StrictMode mounts twice and subscribes once', async () => {
    const { c, seen, root } = await viewed({}, (view) =>
        e(StrictMode, null, view));

    await says(message(4));
    assert.equal(data(seen), '1 2 3 4');
    assert.equal(sent('subscribe').length, 1);
    assert.equal(sent('unsubscribe').length, 0);
    assert.deepEqual(c.channels, ['a']);
    await act(async () => root.unmount());
    await passes(1000);
    assert.equal(sent('unsubscribe').length, 1);
    assert.deepEqual(c.channels, []);
});

test('Components of one channel share its subscription and messages',
     async () => {
    const c = await opened();
    const one = {};
    const two = {};
    const root = await mount([e(View, { c, seen: one, key: 1 }),
                              e(View, { c, seen: two, key: 2 })]);

    await answers('subscribe', { epoch: E, offset: 0 });
    await page([]);
    await says(message(1));
    assert.equal(one.last, two.last);
    assert.deepEqual([sent('subscribe').length, sent('history').length,
                      sent('presence').length], [1, 1, 1]);

    await act(async () => root.update([e(View, { c, seen: two, key: 2 })]));
    await passes(5000);
    await says(message(2));
    assert.equal(data(two), '1 2');
    assert.equal(sent('unsubscribe').length, 0);
});

test('Those with other options have other messages, over one subscription',
     async () => {
    const c = await opened();
    const one = {};
    const two = {};
    const root = await mount([
        e(View, { c, seen: one, key: 1, options: { limit: 1 } }),
        e(View, { c, seen: two, key: 2 })]);

    await answers('subscribe');
    await says({ type: 'message', channel: 'a', data: 1 });
    await says({ type: 'message', channel: 'a', data: 2 });
    assert.equal(data(one), '2');
    assert.equal(data(two), '1 2');
    assert.equal(sent('subscribe').length, 1);
    await act(async () => root.unmount());
    await passes(1000);
    assert.equal(sent('unsubscribe').length, 1);
});

test('One that mounts again at once has missed nothing', async () => {
    const { c, seen, root } = await viewed();

    await act(async () => root.update(null));
    await passes(900);
    await says(message(4));
    await act(async () => root.update(e(View, { c, seen })));
    assert.equal(data(seen), '1 2 3 4');
    await passes(5000);
    assert.equal(sent('subscribe').length, 1);
    assert.equal(sent('unsubscribe').length, 0);
});

test('One that mounts later begins anew', async () => {
    const { c, seen, root } = await viewed();

    await act(async () => root.update(null));
    await passes(1000);
    await act(async () => root.update(e(View, { c, seen })));
    assert.equal(data(seen), '');
    assert.equal(PaperSocket.last.types(),
                 'subscribe presence history unsubscribe subscribe');
    await answers('subscribe', { epoch: E, offset: 9 });
    await page([9]);
    assert.equal(data(seen), '9');
});

test('Another channel is another store', async () => {
    const { c, seen, root } = await viewed();

    await act(async () => root.update(e(View, { c, seen, channel: 'b' })));
    assert.equal(data(seen), '');
    await answers('subscribe');
    await says({ type: 'message', channel: 'b', data: 'in b' });
    await says(message(4));
    assert.equal(data(seen), 'in b');
});

test('Without a channel or a client it is at rest', async () => {
    const c = await opened();
    const seen = {};
    const root = await mount(e(View, { c, seen, channel: null }));

    assert.deepEqual(seen.last.messages, []);
    await assert.rejects(seen.last.publish(1), /no channel/);
    await act(async () => root.update(e(View, { c: null, seen })));
    assert.equal(seen.last.state, 'closed');
    assert.equal(PaperSocket.last.types(), '');
});

test('A loss that was made good shows', async () => {
    const { seen } = await viewed();

    await act(() => PaperSocket.last.drops(1001));
    assert.equal(seen.last.state, 'waiting');
    await act(() => delayUntilNext());
    await act(() => PaperSocket.last.welcomes({ client: 'c2' }));
    await answers('subscribe', { epoch: E, offset: 5, recovered: true });
    assert.equal(seen.last.recovered, true);
    assert.equal(seen.last.resume.missed, 2);
    await says(message(4));
    await says(message(5));
    assert.equal(data(seen), '1 2 3 4 5');
    assert.equal(sent('history').length, 0);
});

test('After a break it shows so, and what is left of the history',
     async () => {
    const { seen } = await viewed();

    await act(() => moved({ client: 'c2' }));
    await answers('subscribe', { epoch: E, offset: 9, recovered: false });
    await says(message(10));
    await page([7, 8, 9, 10]);
    assert.equal(seen.last.recovered, false);
    assert.equal(data(seen), '1 2 3 7 8 9 10');
});

test('After a break into another epoch the old messages stay before',
     async () => {
    const { seen } = await viewed();
    const F = '00000000000000f2';

    await says({ type: 'subscribed', channel: 'a', epoch: F, offset: 1,
                 recovered: false });
    await answers('history', { epoch: F, offset: 1,
                               messages: [message(1, { epoch: F })] });
    assert.equal(data(seen), '1 2 3 1');
    assert.equal(new Set(seen.last.messages.map((m) => m.id)).size, 4);
});

test('History that a loss cut off is read after the reconnect', async () => {
    const c = await opened();
    const seen = {};

    await mount(e(View, { c, seen, options: { presence: false } }));
    await answers('subscribe', { epoch: E, offset: 3 });
    await act(() => moved({ client: 'c2' }));
    await answers('subscribe', { epoch: E, offset: 3, recovered: true });
    await page([1, 2, 3]);
    assert.equal(data(seen), '1 2 3');
});

test('Members come and go', async () => {
    const { seen } = await viewed();
    const names = () => seen.last.members.map((m) => m.client).join(' ');

    assert.equal(names(), '');
    await answers('presence', { members: [{ client: 'm1' }], total: 1 });
    assert.equal(names(), 'm1');
    await says({ type: 'join', channel: 'a', client: 'm2' });
    await says({ type: 'leave', channel: 'a', client: 'm1' });
    assert.equal(names(), 'm2');
});

test('A refusal is the error, and is gone when it is', async () => {
    const c = await opened();
    const seen = {};

    await mount(e(View, { c, seen }));
    await says({ type: 'error', id: 1, code: 403, reason: 'not allowed' });
    assert.equal(seen.last.error.code, 403);
    c.close();
    c.connect();
    await act(async () => PaperSocket.last.welcomes());
    await answers('subscribe');
    assert.equal(seen.last.error, null);
    assert.equal(seen.last.state, 'open');
});

test('A client that is closed and connected again is followed', async () => {
    const { c, seen } = await viewed();

    await act(() => PaperSocket.last.drops(4403, 'disconnected'));
    assert.equal(seen.last.state, 'closed');
    assert.equal(seen.last.error.code, 4403);
    await act(async () => c.connect());
    await act(() => PaperSocket.last.welcomes());
    await answers('subscribe', { epoch: E, offset: 4 });
    await page([2, 3, 4]);
    assert.equal(data(seen), '1 2 3 4');
    assert.equal(seen.last.error, null);
});

test('A subscription that the server ends shows as the error', async () => {
    const { seen } = await viewed();

    await says({ type: 'unsubscribed', channel: 'a' });
    assert.equal(seen.last.error.code, 403);
});

test('publish() is always the same, and the channel\'s', async () => {
    const { seen } = await viewed();
    const { publish } = seen.last;

    await says(message(4));
    assert.equal(seen.last.publish, publish);
    publish({ text: 'hi' }, { key: 'k' });
    assert.deepEqual(sent('publish').map(({ channel, data, key }) =>
        [channel, data, key]), [['a', { text: 'hi' }, 'k']]);
    await settle();
});

test('Nothing that is not new renders', async () => {
    const { seen } = await viewed();
    const { renders } = seen;

    await says(message(3));
    await says({ type: 'message', channel: 'z', data: 1 });
    await says({ type: 'pong' });
    assert.equal(seen.renders, renders);
});

test('It works with a client that is not connected yet', async () => {
    const c = client();
    const seen = {};

    await mount(e(View, { c, seen }));
    assert.equal(seen.last.state, 'closed');
    await act(async () => c.connect());
    assert.equal(seen.last.state, 'connecting');
    await act(() => PaperSocket.last.welcomes());
    await answers('subscribe');
    await says({ type: 'message', channel: 'a', data: 1 });
    assert.equal(data(seen), '1');
    assert.equal(sent('subscribe').length, 1);
});


await run();
