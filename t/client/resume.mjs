import assert from 'node:assert/strict';
import {
    PaperSocket, client, delayUntilNext, moved, opened, pass, run, settle,
    test, timersLeft, watch,
} from './paper.mjs';

const E = '00000000000000e1';
const F = '00000000000000f2';

const message = (offset, epoch = E, channel = 'a') =>
    ({ type: 'message', channel, data: offset, epoch, offset });


/* A client in channel a at offset 5, what it heard and how it came back. */

async function joined(answer = { epoch: E, offset: 5 }, options = {}) {
    const c = await opened(options);
    const heard = [];
    const resumes = [];

    c.subscribe('a', (m) => heard.push(m.data));
    c.on('resume', (r) => resumes.push(r));
    await PaperSocket.last.answers('subscribe', answer);

    return { c, heard, resumes };
}

const subscribes = () =>
    PaperSocket.last.sent.filter((m) => m.type === 'subscribe');


test('The first subscribe has no position, the next has the answer\'s',
     async () => {
    const { resumes } = await joined();

    assert.equal('since' in subscribes()[0], false);
    assert.deepEqual(resumes, []);
    await moved({ client: 'c2' });
    assert.deepEqual(subscribes()[0].since,
                     { epoch: E, offset: 5, client: 'c1' });
});

test('The position moves with the messages', async () => {
    await joined();
    await PaperSocket.last.says(message(6));
    await PaperSocket.last.says(message(8));
    await moved({ client: 'c2' });
    assert.deepEqual(subscribes()[0].since,
                     { epoch: E, offset: 8, client: 'c1' });
});

test('What was missed is heard once, and told to be whole', async () => {
    const { heard, resumes } = await joined();

    await PaperSocket.last.says(message(6));
    await moved({ client: 'c2' });
    await PaperSocket.last.answers('subscribe',
        { epoch: E, offset: 8, recovered: true });
    assert.deepEqual(resumes, [{ channel: 'a', recovered: true, missed: 2 }]);

    for (const offset of [5, 6, 7, 8, 8, 9]) {
        await PaperSocket.last.says(message(offset));
    }

    assert.deepEqual(heard, [6, 7, 8, 9]);
});

test('A loss in the midst of recovery resumes from what was heard',
     async () => {
    const { heard } = await joined();

    await moved({ client: 'c2' });
    await PaperSocket.last.answers('subscribe',
        { epoch: E, offset: 9, recovered: true });
    await PaperSocket.last.says(message(6));
    await pass(2000);
    await moved({ client: 'c3' });
    assert.deepEqual(subscribes()[0].since,
                     { epoch: E, offset: 6, client: 'c2' });
    assert.deepEqual(heard, [6]);
});

test('A loss before the answer keeps position and former name', async () => {
    await joined();
    await moved({ client: 'c2' });
    await pass(2000);
    await moved({ client: 'c3' });
    assert.deepEqual(subscribes()[0].since,
                     { epoch: E, offset: 5, client: 'c1' });
});

test('A break is told, and the position is the new one', async () => {
    const { heard, resumes } = await joined();

    await moved({ client: 'c2' });
    await PaperSocket.last.answers('subscribe',
        { epoch: F, offset: 2, recovered: false });
    assert.deepEqual(resumes, [{ channel: 'a', recovered: false,
                                 missed: undefined }]);
    await PaperSocket.last.says(message(3, F));
    assert.deepEqual(heard, [3]);
    await pass(2000);
    await moved({ client: 'c3' });
    assert.deepEqual(subscribes()[0].since,
                     { epoch: F, offset: 3, client: 'c2' });
});

test('A break on the server\'s side is told on the open connection',
     async () => {
    const { heard, resumes } = await joined();

    await PaperSocket.last.says({ type: 'subscribed', channel: 'a', epoch: F,
                                  offset: 7, recovered: false });
    assert.deepEqual(resumes, [{ channel: 'a', recovered: false,
                                 missed: undefined }]);
    await PaperSocket.last.says(message(7, F));
    await PaperSocket.last.says(message(8, F));
    assert.deepEqual(heard, [8]);
    await moved({ client: 'c2' });
    assert.deepEqual(subscribes()[0].since,
                     { epoch: F, offset: 8, client: 'c1' });
});

test('Without history it comes back as who it was, and tells the break',
     async () => {
    const { heard, resumes } = await joined({});

    await moved({ client: 'c2' });
    assert.deepEqual(subscribes()[0].since, { client: 'c1' });
    await PaperSocket.last.answers('subscribe');
    assert.deepEqual(resumes, [{ channel: 'a', recovered: false,
                                 missed: undefined }]);

    for (const data of ['x', 'x']) {
        await PaperSocket.last.says({ type: 'message', channel: 'a', data });
    }

    assert.deepEqual(heard, ['x', 'x']);
});

test('A channel that the location joined again has a break', async () => {
    const { resumes } = await joined();

    await moved({ client: 'c2' });
    await PaperSocket.last.says({ type: 'error', id: subscribes()[0].id,
                                  code: 409, reason: 'already subscribed' });
    assert.deepEqual(resumes.map((r) => r.recovered), [false]);
});

test('The resume is told before the missed messages, in one turn or not',
     async () => {
    const { c } = await joined();
    const order = [];

    c.on('resume', () => order.push('resume'));
    c.on('message', (m) => order.push(m.data));
    await moved({ client: 'c2' });

    const { id } = subscribes()[0];

    for (const m of [{ type: 'subscribed', id, channel: 'a', epoch: E,
                       offset: 6, recovered: true }, message(6)])
    {
        PaperSocket.last.onmessage({ data: JSON.stringify(m) });
    }

    assert.deepEqual(order, ['resume', 6]);
});

test('A channel left and wanted again begins anew', async () => {
    const { c } = await joined();

    c.unsubscribe('a');
    c.subscribe('a');
    assert.equal('since' in subscribes()[1], false);
});

test('A subscription that the server ends is told and dropped', async () => {
    const { c } = await joined();
    const errors = [];

    c.on('error', (e) => errors.push([e.code, e.channel]));
    await PaperSocket.last.says({ type: 'unsubscribed', channel: 'a' });
    assert.deepEqual(errors, [[403, 'a']]);
    await moved({ client: 'c2' });
    assert.equal(PaperSocket.last.types(), '');
});


/* Publishing over a loss. */

test('A publish has a key of its own', async () => {
    const c = await opened();

    c.publish('a', 1);
    c.publish('a', 2);
    (await opened()).publish('a', 3);

    const keys = PaperSocket.all.flatMap((s) => s.sent.map((m) => m.key));

    assert.equal(new Set(keys).size, keys.length);
    assert(keys.every((key) => /^[\w-]{10,60}$/.test(key)), keys.join(' '));
});

test('What had no answer is published again, under the same key',
     async () => {
    const c = await opened();
    const one = watch(c.publish('a', 1));
    const two = watch(c.publish('a', 2));
    const first = PaperSocket.last;

    await first.says({ type: 'published', id: 1, channel: 'a' });
    await moved();
    assert.deepEqual(PaperSocket.last.sent, [first.sent[1]]);
    assert.equal(two.state, 'pending');
    await PaperSocket.last.answers('publish', { offset: 4 });
    assert.equal(one.state, 'resolved');
    assert.equal(two.value.offset, 4);
    await pass(2000);
    await moved();
    assert.equal(PaperSocket.last.types(), '');
    assert.equal(timersLeft(), 1);
});

test('What is published while it is away goes out in order, after the'
     + ' subscriptions', async () => {
    const { c } = await joined();

    await PaperSocket.last.drops(1006);

    const data = { n: 1 };

    c.publish('a', data);
    data.n = 7;
    c.publish('a', 2);
    await delayUntilNext();
    c.publish('a', 3);
    await PaperSocket.last.welcomes();
    assert.equal(PaperSocket.last.types(), 'subscribe publish publish publish');
    assert.deepEqual(PaperSocket.last.sent.slice(1).map((m) => m.data),
                     [{ n: 1 }, 2, 3]);
});

test('What a listener of the opening publishes goes out once', async () => {
    const c = client();

    c.on('state', (s) => s === 'open' && c.publish('a', 1));
    c.on('open', () => c.publish('a', 2));
    c.connect();
    await PaperSocket.last.welcomes();
    assert.deepEqual(PaperSocket.last.sent.map((m) => m.data), [1, 2]);
});

test('A publish that never went out rejects in time, with code 0',
     async () => {
    const c = client().connect();
    const done = watch(c.publish('a', 1));

    await pass(29999);
    assert.equal(done.state, 'pending');
    await pass(1);
    assert.equal(done.error.code, 0);
    assert.equal(done.error.reason, 'no answer in time');
    assert.equal(done.error.channel, 'a');
    await PaperSocket.last.welcomes();
    assert.equal(PaperSocket.last.types(), '');
});

test('One that may have gone out rejects in time, with code 408',
     async () => {
    const c = await opened({ publishTimeout: 100 });
    const done = watch(c.publish('a', 1));

    await PaperSocket.last.drops(1006);
    await pass(100);
    assert.equal(done.error.code, 408);
    await delayUntilNext();
    await PaperSocket.last.welcomes();
    assert.equal(PaperSocket.last.types(), '');
});

test('Only so many wait', async () => {
    const c = client({ queue: 2 }).connect();
    const all = [1, 2, 3].map((n) => watch(c.publish('a', n)));

    await settle();
    assert.deepEqual(all.map((p) => p.state),
                     ['pending', 'pending', 'rejected']);
    assert.equal(all[2].error.reason, 'too many wait already');
    await PaperSocket.last.welcomes();
    assert.equal(PaperSocket.last.sent.length, 2);
});

test('A closed client takes nothing', async () => {
    const done = watch(client().publish('a', 1));

    await settle();
    assert.equal(done.error.code, 0);
    assert.equal(done.error.reason, 'not connected');
});

test('What must not wait does not, and has no key', async () => {
    const c = client().connect();
    const early = watch(c.publish('a', 1, { queue: false }));

    await settle();
    assert.equal(early.error.code, 0);
    await PaperSocket.last.welcomes();

    const done = watch(c.publish('a', 2, { queue: false }));

    assert.deepEqual(PaperSocket.last.sent,
                     [{ type: 'publish', channel: 'a', data: 2, id: 1 }]);
    await PaperSocket.last.drops(1006);
    assert.equal(done.error.code, 1006);
    await delayUntilNext();
    await PaperSocket.last.welcomes();
    assert.equal(PaperSocket.last.types(), '');
});

for (const code of [4403, 4409]) {
    test(`${code} ends it, with what waits`, async () => {
        const { c } = await joined();
        const told = [];
        const done = watch(c.publish('a', 1));

        c.on('state', (state, detail) => told.push([state, detail]));
        await PaperSocket.last.drops(code, 'why');
        assert.deepEqual(told, [['closed', { code, reason: 'why' }]]);
        assert.equal(done.error.code, code);
        await pass(120000);
        assert.equal(PaperSocket.all.length, 1);
    });
}


/* History. */

test('history() asks for a page', async () => {
    const c = await opened();
    const done = watch(c.history('a', { limit: 20, before: 7 }));

    assert.deepEqual(PaperSocket.last.sent, [
        { type: 'history', channel: 'a', limit: 20, before: 7, id: 1 }]);
    await PaperSocket.last.answers('history',
        { epoch: E, offset: 9, messages: [message(5)], more: true });
    assert.equal(done.value.messages[0].data, 5);
    assert.equal(done.value.more, true);
});

test('What is read of history does not move the position', async () => {
    const { c, heard } = await joined();

    c.history('a');
    await PaperSocket.last.answers('history',
        { epoch: E, offset: 9, messages: [message(9)] });
    await PaperSocket.last.says(message(6));
    assert.deepEqual(heard, [6]);
});


await run();
