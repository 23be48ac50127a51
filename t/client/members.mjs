import assert from 'node:assert/strict';
import {
    PaperSocket, moved, opened, pass, run, settle, test, watch,
} from './paper.mjs';

const member = (client, user = client.toUpperCase()) => ({ client, user });
const event = (type, client) => ({ type, channel: 'a', ...member(client) });
const names = (members) => members.map((m) => m.client).sort().join(' ');


async function joined() {
    const c = await opened();
    const told = [];

    c.subscribe('a');
    await PaperSocket.last.answers('subscribe');

    const off = c.onMembers('a', (members) => told.push(names(members)));

    return { c, told, off };
}

const page = async (members, more = {}) => {
    await PaperSocket.last.answers('presence',
        { members: members.map((m) => member(m)), ...more });
};

const asked = () =>
    PaperSocket.last.sent.filter((m) => m.type === 'presence');


test('presence() asks for one page', async () => {
    const c = await opened();
    const done = watch(c.presence('a', { limit: 2, after: 'x' }));

    assert.deepEqual(PaperSocket.last.sent, [
        { type: 'presence', channel: 'a', limit: 2, after: 'x', id: 1 }]);
    await page(['m1', 'm2'], { total: 5, next: 'y' });
    assert.equal(done.value.total, 5);
    assert.equal(done.value.next, 'y');
});

test('members() reads all pages', async () => {
    const c = await opened();
    const done = watch(c.members('a'));

    assert.equal('after' in asked()[0], false);
    await page(['m1', 'm2'], { total: 3, next: 'y' });
    assert.equal(asked()[1].after, 'y');
    await page(['m3'], { total: 3 });
    assert.equal(names(done.value), 'm1 m2 m3');
    assert.equal(asked().length, 2);
});

test('onMembers() tells all, then each join and leave', async () => {
    const { told } = await joined();

    assert.deepEqual(told, []);
    await page(['m1', 'm2']);
    await PaperSocket.last.says(event('join', 'm3'));
    await PaperSocket.last.says(event('leave', 'm1'));
    await PaperSocket.last.says({ ...event('join', 'm9'), channel: 'z' });
    assert.deepEqual(told, ['m1 m2', 'm1 m2 m3', 'm2 m3']);
});

test('What changes while the pages come is later than they are',
     async () => {
    const { told } = await joined();

    await PaperSocket.last.says(event('leave', 'm2'));
    await PaperSocket.last.says(event('join', 'm4'));
    await page(['m1', 'm2'], { next: 'y' });
    await PaperSocket.last.says(event('leave', 'm3'));
    await page(['m3', 'm5']);
    assert.deepEqual(told, ['m1 m4 m5']);
});

test('After a reconnect the members are read again', async () => {
    const { told } = await joined();

    await page(['m1', 'm2']);
    await moved({ client: 'c2' });
    assert.deepEqual(asked(), []);
    await PaperSocket.last.answers('subscribe');
    await PaperSocket.last.says(event('join', 'm3'));
    await page(['m2', 'm3', 'm4']);
    assert.deepEqual(told, ['m1 m2', 'm1 m2 m3', 'm2 m3 m4']);
});

test('When joins and leaves may be missing the members are read again',
     async () => {
    const { told } = await joined();

    await page(['m1', 'm2']);
    PaperSocket.last.sent.length = 0;
    await PaperSocket.last.says(
        { type: 'presence', channel: 'z', stale: true });
    assert.deepEqual(asked(), []);
    await PaperSocket.last.says(
        { type: 'presence', channel: 'a', stale: true });
    assert.equal(asked().length, 1);
    await page(['m2', 'm3']);
    assert.deepEqual(told, ['m1 m2', 'm2 m3']);
});

test('Before the subscription stands nothing is asked', async () => {
    const c = await opened();
    const told = [];

    c.onMembers('a', (members) => told.push(names(members)));
    assert.equal(PaperSocket.last.types(), '');
    c.subscribe('a');
    await PaperSocket.last.answers('subscribe');
    await page(['m1']);
    assert.deepEqual(told, ['m1']);
});

test('A second listener is told at once and asks nothing', async () => {
    const { c, off } = await joined();
    const second = [];

    await page(['m1']);

    const stop = c.onMembers('a', (members) => second.push(names(members)));

    assert.deepEqual(second, ['m1']);
    assert.equal(asked().length, 1);
    stop();
    await PaperSocket.last.says(event('join', 'm2'));
    assert.deepEqual(second, ['m1']);
    off();
    c.onMembers('a', () => {});
    assert.equal(asked().length, 2);
});

test('Joins and leaves are events too', async () => {
    const { c } = await joined();
    const seen = [];

    c.on('join', (m) => seen.push(`+${m.client}`));
    c.on('leave', (m) => seen.push(`-${m.client}`));
    await PaperSocket.last.says(event('join', 'm2'));
    await PaperSocket.last.says(event('leave', 'm2'));
    assert.deepEqual(seen, ['+m2', '-m2']);
});

test('A refusal is told as an error; one that passes is tried again',
     async () => {
    const { c, told } = await joined();
    const errors = [];
    const refuse = async (code) => {
        await PaperSocket.last.says({ type: 'error', id: asked().at(-1).id,
                                      code, reason: 'no' });
    };

    c.on('error', (e) => errors.push(e.code));
    await refuse(503);
    await pass(1000);
    assert.equal(asked().length, 2);
    await refuse(403);
    await pass(20000);
    await settle();
    assert.equal(asked().length, 2);
    assert.deepEqual(errors, [503, 403]);
    assert.deepEqual(told, []);
});

test('A listener that throws harms nobody', async () => {
    const { c, told } = await joined();
    const reported = [];

    globalThis.reportError = (e) => reported.push(e.message);
    c.onMembers('a', () => { throw new Error('mine'); });
    c.onMembers('a', (members) => told.push('last ' + names(members)));
    await page(['m1']);
    delete globalThis.reportError;
    assert.deepEqual(told, ['m1', 'last m1']);
    assert.deepEqual(reported, ['mine']);
});


await run();
