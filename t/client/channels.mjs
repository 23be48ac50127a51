import assert from 'node:assert/strict';
import {
    PaperSocket, client, delayUntilNext, opened, pass, run, settle, test, watch,
} from './paper.mjs';
import { WscastError } from '../../src/client/wscast.js';


test('subscribe() resolves with the answer', async () => {
    const c = await opened();
    const done = watch(c.subscribe('room:1'));

    await settle();
    assert.equal(done.state, 'pending');
    assert.deepEqual(PaperSocket.last.sent,
                     [{ type: 'subscribe', channel: 'room:1', id: 1 }]);
    await PaperSocket.last.answers('subscribe', { epoch: 'e', offset: 5 });
    assert.equal(done.value.offset, 5);
});

test('A second subscribe() to a channel sends nothing', async () => {
    const c = await opened();
    const one = watch(c.subscribe('room:1'));
    const two = watch(c.subscribe('room:1'));

    await PaperSocket.last.answers('subscribe');
    assert.equal(one.state, 'resolved');
    assert.equal(two.state, 'resolved');
    assert.equal(watch(c.subscribe('room:1')) && PaperSocket.last.types(),
                 'subscribe');
});

test('A refused subscribe() rejects and is forgotten', async () => {
    const c = await opened();
    const done = watch(c.subscribe('room:1'));
    const errors = [];

    c.on('error', (e) => errors.push(e));
    await PaperSocket.last.says({ type: 'error', id: 1, code: 403,
                                  reason: 'not allowed' });
    assert(done.error instanceof WscastError);
    assert.equal(done.error.code, 403);
    assert.equal(done.error.reason, 'not allowed');
    assert.equal(done.error.channel, 'room:1');
    assert.equal(errors.length, 0);
    await PaperSocket.last.drops(1001);
    await delayUntilNext();
    await PaperSocket.last.welcomes();
    assert.equal(PaperSocket.last.types(), '');
});

test('409 means that the location has joined us: that resolves', async () => {
    const c = await opened();
    const done = watch(c.subscribe('room:1'));

    await PaperSocket.last.says({ type: 'error', id: 1, code: 409,
                                  reason: 'already subscribed' });
    assert.equal(done.state, 'resolved');
});

test('Subscribing before connect() resolves once it is subscribed',
     async () => {
    const c = client();
    const done = watch(c.subscribe('room:1'));

    c.connect();
    await settle();
    assert.equal(done.state, 'pending');
    await PaperSocket.last.welcomes();
    assert.equal(PaperSocket.last.types(), 'subscribe');
    await PaperSocket.last.answers('subscribe');
    assert.equal(done.state, 'resolved');
});

test('A subscribe() cut off by a loss resolves on the next socket',
     async () => {
    const c = await opened();
    const done = watch(c.subscribe('room:1'));

    await PaperSocket.last.drops(1006);
    assert.equal(done.state, 'pending');
    await delayUntilNext();
    await PaperSocket.last.welcomes();
    await PaperSocket.last.answers('subscribe');
    assert.equal(done.state, 'resolved');
});

test('Every wanted channel is subscribed again after a loss', async () => {
    const c = await opened();
    const heard = [];

    c.subscribe('room:1', (m) => heard.push(m.data));
    await PaperSocket.last.answers('subscribe');
    c.subscribe('room:2');
    await PaperSocket.last.answers('subscribe');
    c.subscribe('room:3');
    await PaperSocket.last.answers('subscribe');
    c.unsubscribe('room:3');
    await PaperSocket.last.answers('unsubscribe');

    await PaperSocket.last.drops(1001);
    await delayUntilNext();
    await PaperSocket.last.welcomes();
    assert.deepEqual(PaperSocket.last.sent.map((m) => m.channel),
                     ['room:1', 'room:2']);
    await PaperSocket.last.says({ type: 'message', channel: 'room:1',
                                  data: 1 });
    assert.deepEqual(heard, [1]);
});

test('A channel refused after a loss is told as an error and dropped',
     async () => {
    const c = await opened();
    const errors = [];

    c.on('error', (e) => errors.push([e.code, e.channel]));
    c.subscribe('room:1');
    await PaperSocket.last.answers('subscribe');
    await PaperSocket.last.drops(1001);
    await delayUntilNext();
    await PaperSocket.last.welcomes();

    const { id } = PaperSocket.last.sent[0];

    await PaperSocket.last.says({ type: 'error', id, code: 403, reason: '' });
    assert.deepEqual(errors, [[403, 'room:1']]);
    await pass(20000);
    assert.equal(PaperSocket.last.types(), 'subscribe');
});

test('A channel that 503 holds up after a loss is tried again', async () => {
    const c = await opened();

    c.subscribe('room:1');
    await PaperSocket.last.answers('subscribe');
    await PaperSocket.last.drops(1001);
    await delayUntilNext();
    await PaperSocket.last.welcomes();

    const { id } = PaperSocket.last.sent[0];

    await PaperSocket.last.says({ type: 'error', id, code: 503, reason: '' });
    await pass(999);
    assert.equal(PaperSocket.last.types(), 'subscribe');
    await pass(1);
    assert.equal(PaperSocket.last.types(), 'subscribe subscribe');
    await PaperSocket.last.answers('subscribe');
    assert.equal((await c.subscribe('room:1')).channel, 'room:1');
});

test('Messages go to the callbacks of their channel and to all listeners',
     async () => {
    const c = await opened();
    const heard = [];

    c.subscribe('a', (m) => heard.push(['a', m.data]));
    c.subscribe('a', (m) => heard.push(['a2', m.data]));
    c.subscribe('b', (m) => heard.push(['b', m.data]));
    c.on('message', (m) => heard.push(['*', m.data]));
    await PaperSocket.last.says({ type: 'message', channel: 'a', data: 1 });
    await PaperSocket.last.says({ type: 'message', channel: 'z', data: 2 });
    assert.deepEqual(heard, [['a', 1], ['a2', 1], ['*', 1], ['*', 2]]);
});

test('A callback that throws is reported and harms nobody', async () => {
    const c = await opened();
    const heard = [];
    const reported = [];

    globalThis.reportError = (e) => reported.push(e.message);
    c.subscribe('a', () => { throw new Error('mine'); });
    c.subscribe('a', (m) => heard.push(m.data));
    c.on('message', () => { throw new Error('too'); });
    c.on('message', (m) => heard.push(m.data));
    await PaperSocket.last.says({ type: 'message', channel: 'a', data: 1 });
    delete globalThis.reportError;
    assert.deepEqual(heard, [1, 1]);
    assert.deepEqual(reported, ['mine', 'too']);
    assert.equal(c.state, 'open');
});

test('on() returns what takes the listener away', async () => {
    const c = await opened();
    const heard = [];
    const off = c.on('message', (m) => heard.push(m.data));

    await PaperSocket.last.says({ type: 'message', channel: 'a', data: 1 });
    off();
    await PaperSocket.last.says({ type: 'message', channel: 'a', data: 2 });
    assert.deepEqual(heard, [1]);
});

test('unsubscribe() leaves the channel, its callbacks end at once',
     async () => {
    const c = await opened();
    const heard = [];

    c.subscribe('a', (m) => heard.push(m.data));
    await PaperSocket.last.answers('subscribe');

    const done = watch(c.unsubscribe('a'));

    await PaperSocket.last.says({ type: 'message', channel: 'a', data: 1 });
    assert.equal(done.state, 'pending');
    await PaperSocket.last.answers('unsubscribe');
    assert.equal(done.state, 'resolved');
    assert.deepEqual(heard, []);
});

test('unsubscribe() of one callback keeps the channel for the others',
     async () => {
    const c = await opened();
    const heard = [];
    const one = () => heard.push(1);
    const two = () => heard.push(2);

    c.subscribe('a', one);
    c.subscribe('a', two);
    await PaperSocket.last.answers('subscribe');
    await c.unsubscribe('a', one);
    await PaperSocket.last.says({ type: 'message', channel: 'a' });
    assert.deepEqual(heard, [2]);
    c.unsubscribe('a', two);
    assert.equal(PaperSocket.last.types(), 'subscribe unsubscribe');
});

test('unsubscribe() of a strange callback changes nothing', async () => {
    const c = await opened();

    c.subscribe('a', () => {});
    await PaperSocket.last.answers('subscribe');
    await c.unsubscribe('a', () => {});
    assert.equal(PaperSocket.last.types(), 'subscribe');
});

test('unsubscribe() needs no connection', async () => {
    const c = client();
    const waiting = watch(c.subscribe('a'));

    assert.equal(await c.unsubscribe('a'), undefined);
    await settle();
    assert.equal(waiting.state, 'rejected');
    c.connect();
    await PaperSocket.last.welcomes();
    assert.equal(PaperSocket.last.types(), '');
});

test('unsubscribe() resolves on 404 and on a loss', async () => {
    const c = await opened();

    c.subscribe('a');
    await PaperSocket.last.answers('subscribe');

    const first = watch(c.unsubscribe('a'));

    await PaperSocket.last.says({ type: 'error', id: 2, code: 404,
                                  reason: 'not subscribed' });
    assert.equal(first.state, 'resolved');
    c.subscribe('a');
    await PaperSocket.last.answers('subscribe');

    const second = watch(c.unsubscribe('a'));

    await PaperSocket.last.drops(1006);
    assert.equal(second.state, 'resolved');
});

test('A channel left and wanted again is subscribed again', async () => {
    const c = await opened();

    c.subscribe('a');
    await PaperSocket.last.answers('subscribe');
    c.unsubscribe('a');

    const again = watch(c.subscribe('a'));

    assert.equal(PaperSocket.last.types(), 'subscribe unsubscribe subscribe');
    await PaperSocket.last.answers('unsubscribe');
    assert.equal(again.state, 'pending');
    await PaperSocket.last.answers('subscribe');
    assert.equal(again.state, 'resolved');
});

test('publish() resolves with the answer that has its id', async () => {
    const c = await opened();
    const one = watch(c.publish('a', { n: 1 }, { key: 'k1' }));
    const two = watch(c.publish('a', null, { key: 'k2' }));

    assert.deepEqual(PaperSocket.last.sent, [
        { type: 'publish', channel: 'a', data: { n: 1 }, key: 'k1', id: 1 },
        { type: 'publish', channel: 'a', data: null, key: 'k2', id: 2 },
    ]);
    await PaperSocket.last.says({ type: 'published', id: 2, channel: 'a' });
    assert.equal(one.state, 'pending');
    assert.equal(two.state, 'resolved');
    await PaperSocket.last.says({ type: 'published', id: 1, offset: 9 });
    assert.equal(one.value.offset, 9);
});

test('A refused publish() rejects with code and reason', async () => {
    const c = await opened();
    const done = watch(c.publish('a', 1));

    await PaperSocket.last.says({ type: 'error', id: 1, code: 503,
                                  reason: 'engine away' });
    assert.equal(done.error.code, 503);
    assert.equal(done.error.reason, 'engine away');
    assert.equal(done.error.message, 'engine away (503)');
    assert.equal(done.error.channel, 'a');
});

test('publish() of what is no JSON rejects and sends nothing', async () => {
    const c = await opened();
    const loop = {};

    loop.loop = loop;

    const done = watch(c.publish('a', loop));

    await settle();
    assert(done.error instanceof TypeError);
    assert.equal(PaperSocket.last.types(), '');
});

test('An error that answers nothing is told to the listeners', async () => {
    const c = await opened();
    const errors = [];

    c.on('error', (e) => errors.push([e.code, e.reason]));
    await PaperSocket.last.says({ type: 'error', code: 400, reason: 'what' });
    await PaperSocket.last.says('no json');
    assert.deepEqual(errors, [[400, 'what'], [0, 'not understood: no json']]);
    assert.equal(c.state, 'open');
});

test('Messages of a type that it does not know are passed over', async () => {
    const c = await opened();
    const errors = [];

    c.on('error', (e) => errors.push(e));
    await PaperSocket.last.says({ type: 'tomorrow', channel: 'a' });
    await PaperSocket.last.says('null');
    assert.deepEqual(errors, []);
    assert.equal(c.state, 'open');
});


await run();
