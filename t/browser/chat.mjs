import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { crowd } from './crowd.mjs';
import { launch, run, step, top } from './launcher.mjs';
import {
    SLOW, count, note, say, sees, startBrowser, texts, waitForPeople, within,
    write,
} from './pages.mjs';

const SHOTS = join(top, 'build/browser');
const TOKEN_LIFE = 20;          /* seconds */

/* The client of every tutorial, as it stands there. */

const TUTORIAL = `
    let ws, hb, retry = 1000;
    const heard = [];

    function connect() {
        ws = new WebSocket(url);
        ws.onopen = () => { retry = 1000; hb = setInterval(() => ws.send(JSON.stringify({type:'ping'})), 20000) };
        ws.onclose = () => { setTimeout(connect, retry); retry = Math.min(30000, retry * 2) };
        ws.onmessage = (event) => heard.push(event.data);
    }

    connect();
`;

let chat, browser, ada, maya, tutorial;

const open = (...args) => browser.open(...args);

const served = (page) => page.textContent('#served');

const worker = async (page) => +(await served(page)).match(/worker (\d+)/)[1];

const logins = (page) => page.evaluate(() => performance
    .getEntriesByType('resource').filter((r) => r.name.endsWith('/login'))
    .length);

const heard = (page) => page.evaluate('heard');

const hears = (page, text) => page.waitForFunction(
    (t) => window.eval('heard').some((h) => h.includes(t)), text);

const hidden = (locator) => locator.waitFor({ state: 'hidden' });

/*
 * After an outage each worker reconnects in its own time: what is refused is
 * tried again by its button, what was taken before the other host listened
 * (nothing is promised without history) is said again.
 */

async function insist(page, other, text) {
    const until = Date.now() + 20000 * SLOW;
    const again = within(page, '.failed button').first();
    let quiet = await count(page, text) ? 0 : 9;

    while (!await count(other, text)) {
        assert(Date.now() < until, `${text}: not delivered in time`);

        if (await again.count()) {
            await again.click();
            quiet = 0;

        } else if (++quiet > 5) {
            await say(page, text);
            quiet = 0;
        }

        await page.waitForTimeout(300);
    }
}


step('the launcher names two hosts', async () => {
    chat = await launch({ TOKEN_LIFE });
    assert.equal(chat.urls.length, 2);
    browser = await startBrowser();
});

step('two people sign in, each on a host of his own', async () => {
    ada = await open(chat.urls[0] + '?debug', { name: 'Ada' });
    maya = await open(chat.urls[1], { name: ' Maya ' });
    assert.equal(await ada.textContent('#state span'), 'connected');
    assert.match(await served(ada), /^host A · worker \d+$/);
    assert.match(await served(maya), /^host B · worker \d+$/);
});

step('what one says the other sees, on both sides once', async () => {
    await say(ada, 'hello from host A');
    await sees(maya, 'hello from host A');
    await sees(ada, 'hello from host A', '.ours:not(.waiting)');
    await say(maya, 'and from host B');
    await sees(ada, 'and from host B');
    await sees(maya, 'and from host B', '.ours:not(.waiting)');

    for (const page of [ada, maya]) {
        assert.deepEqual(await texts(page),
                         ['hello from host A', 'and from host B']);
    }

    assert.equal(await within(ada, '.message:not(.ours) strong').textContent(),
                 'Maya');
});

step('each sees who is online, as people come and go', async () => {
    await waitForPeople(ada, 'Ada, Maya');
    await waitForPeople(maya, 'Ada, Maya');

    const jonas = await open(chat.urls[1], { name: 'Jonas' });

    await waitForPeople(ada, 'Ada, Jonas, Maya');
    await waitForPeople(jonas, 'Ada, Jonas, Maya');
    assert.equal(await within(ada, '.online').textContent(), '3 online');
    await jonas.context().close();
    await waitForPeople(ada, 'Ada, Maya');
});

step('one with two connections is there once, with their number',
     async () => {
    const second = await open(chat.urls[0], { name: 'Maya' });

    await waitForPeople(ada, 'Ada, Maya×2');
    await second.context().close();
    await waitForPeople(ada, 'Ada, Maya');
});

step('who comes later reads what was said', async () => {
    const late = await open(chat.urls[0], { name: 'Late' });

    await sees(late, 'and from host B');
    assert.deepEqual(await texts(late),
                     ['hello from host A', 'and from host B']);
    await say(late, 'so I have missed nothing');
    await sees(maya, 'so I have missed nothing');
    await late.context().close();
    await waitForPeople(ada, 'Ada, Maya');
});

step('a reload of the page stays signed in, and shows the same', async () => {
    await maya.reload();
    await sees(maya, 'so I have missed nothing');
    assert.equal((await texts(maya)).length, 3);
    assert.equal(await maya.textContent('#me b'), 'Maya');
});

step('one sees the other typing, until he stops or has said it', async () => {
    await write(maya, 'I am thinking of');
    await within(ada, '.typing', { hasText: 'Maya is typing…' }).waitFor();
    assert.equal((await within(maya, '.typing').textContent()).trim(), '');
    await say(maya, 'I am thinking of tea');
    await sees(ada, 'I am thinking of tea');
    await hidden(within(ada, '.typing i'));
    await write(ada, 'hm');
    await within(maya, '.typing', { hasText: 'Ada is typing…' }).waitFor();
    await hidden(within(maya, '.typing i'));
    await write(ada, '');
});

step('a guest reads along, and cannot write', async () => {
    const guest = await open(chat.urls[1], { guest: true });

    await sees(guest, 'I am thinking of tea');
    await say(ada, 'for guests, too');
    await sees(guest, 'for guests, too');
    assert(await within(guest, 'textarea').isDisabled());
    assert.match(await within(guest, 'textarea').getAttribute('placeholder'),
                 /You are a guest/);
    await waitForPeople(ada, 'Ada, Maya, 1 guest');

    /* nor by going around the page */

    const refused = await guest.evaluate(() => new Promise((resolve) => {
        const ws = new WebSocket('ws');

        ws.onmessage = ({ data }) => {
            const message = JSON.parse(data);

            if (message.type === 'welcome') {
                ws.send(JSON.stringify({ type: 'publish', id: 1, data: 'x',
                                         channel: 'room:lobby' }));
            } else {
                resolve(message);
            }
        };
    }));

    assert.equal(refused.code, 403, JSON.stringify(refused));

    await within(guest, 'button', { hasText: 'Sign in' }).click();
    await guest.fill('#name', 'Zoë');
    await guest.press('#name', 'Enter');
    await sees(guest, 'for guests, too');
    await say(guest, 'now I may');
    await sees(ada, 'now I may');
    await waitForPeople(ada, 'Ada, Maya, Zoë');
    await guest.context().close();
});

step('the curl line broadcasts', async () => {
    execFileSync('sh', ['-c', chat.curl], { stdio: 'ignore' });
    await within(ada, '.message strong', { hasText: 'curl' }).waitFor();
    await within(maya, '.message strong', { hasText: 'curl' }).waitFor();
});

step('emoji and other scripts arrive as they were typed', async () => {
    await say(ada, 'grüße, привет, 你好, 👩‍👩‍👧 🎉');
    await sees(maya, 'grüße, привет, 你好, 👩‍👩‍👧 🎉');
});

step('markup is text, in messages, names and rooms', async () => {
    const markup = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
    const bold = await open(chat.urls[0], { name: '<b>Bold</b>' });

    await say(bold, markup);
    await sees(maya, markup);
    await within(maya, 'strong', { hasText: '<b>Bold</b>' }).waitFor();
    await bold.goto(`${chat.urls[0]}#<i>room</i>`);
    await within(bold, 'h2', { hasText: '<i>room</i>' }).waitFor();
    assert.equal(await maya.locator('.messages img, .messages script, strong b')
                     .count(), 0);
    await bold.context().close();
});

step('the tutorial client is welcomed first, in its own words', async () => {
    const url = chat.urls[0].replace('http', 'ws') + 'tutorial';

    /* a document of the same origin that runs nothing of its own */

    tutorial = await open(chat.urls[0] + 'chat.css');
    await tutorial.addScriptTag({
        content: `const url = ${JSON.stringify(url)};` + TUTORIAL });
    await hears(tutorial, 'Welcome!');
    assert.deepEqual(await heard(tutorial),
                     ['{"type":"welcome","msg":"Welcome!"}']);
});

step('its ping is answered and not broadcast', async () => {
    await tutorial.evaluate("ws.send(JSON.stringify({type:'ping'}))");
    await hears(tutorial, 'pong');
    await tutorial.evaluate("ws.send('after the ping')");
    await hears(tutorial, 'after the ping');
    await sees(ada, 'after the ping');
    await sees(maya, 'after the ping');
    assert.deepEqual((await heard(tutorial)).slice(1),
                     ['{"type":"pong"}', 'after the ping']);
    assert.equal(await count(ada, 'ping"'), 0);
    assert.equal(await count(maya, 'ping"'), 0);
});

step('it talks with the pages of both hosts', async () => {
    await sees(maya, 'after the ping', '.plain');
    await say(maya, 'welcome, tutorial');
    await hears(tutorial, 'welcome, tutorial');
    assert.equal(JSON.parse((await heard(tutorial)).at(-1)).text,
                 'welcome, tutorial');
    await tutorial.evaluate(
        "ws.send(JSON.stringify({ name: 'Tim', text: 'as you do' }))");
    await sees(ada, 'as you do');
    await within(ada, 'strong', { hasText: 'Tim' }).waitFor();
});

step('a room of its own is apart, and unread messages are counted',
     async () => {
    await maya.fill('#join input', 'tea & biscuits');
    await maya.press('#join input', 'Enter');
    await maya.waitForFunction(() => location.hash === '#tea%20%26%20biscuits');
    await say(maya, 'nobody here');
    await sees(maya, 'nobody here', '.ours:not(.waiting)');
    await waitForPeople(maya, 'Maya');
    await say(ada, 'where is Maya?');
    await maya.locator('#rooms a', { hasText: 'lobby' })
        .locator('b', { hasText: '1' }).waitFor();
    assert.equal(await count(ada, 'nobody here'), 0);
    await maya.click('#rooms a:has-text("lobby")');
    await sees(maya, 'where is Maya?');
    await hidden(maya.locator('#rooms b'));
});

step('on a phone nothing sticks out, however long a word is', async () => {
    const phone = await open(chat.urls[1] + '?debug', {
        name: 'Bartholomew Featherstonehaugh', hasTouch: true, isMobile: true,
        viewport: { width: 390, height: 844 }, colorScheme: 'dark' });
    const widest = () => phone.evaluate(() => Math.max(
        document.documentElement.scrollWidth,
        ...[...document.querySelectorAll('header, main, .messages, .head')]
            .filter((e) => e.clientWidth > 0)
            .map((e) => e.scrollWidth)));

    await say(phone, 'w' + 'o'.repeat(300) + 'rd');
    await sees(ada, 'ooooo');
    assert.equal(await phone.evaluate('innerWidth'), 390);
    assert(await widest() <= 390, `${await widest()} > 390`);

    /* who is there is folded away */

    assert(await within(phone, '.people').isHidden());
    await within(phone, '.online').click();
    await within(phone, '.people').waitFor();
    assert(await widest() <= 390, `${await widest()} > 390`);

    const field = await within(phone, 'textarea').boundingBox();

    assert(field.y + field.height <= 844);
    await phone.screenshot({ path: join(SHOTS, 'phone.png') });
    await phone.context().close();
});

step('who is dropped catches up: nothing is lost, nothing comes twice',
     async () => {
    await say(ada, 'before the drop');
    await sees(maya, 'before the drop');
    await ada.click('text=Drop connection');
    await ada.locator('#banner', { hasText: 'reconnecting…' }).waitFor();
    assert.match(await ada.textContent('#state'), /reconnecting…/);

    const missed = ['missed 1', 'missed 2', 'missed 3'];

    /* there are five seconds for this */

    await say(ada, 'said while away');

    for (const text of missed) {
        await say(maya, text);
    }

    await sees(maya, missed[2], '.ours:not(.waiting)');
    await sees(ada, 'said while away', '.waiting');
    assert.equal(await count(ada, missed[0]), 0);

    await note(ada, 'caught up: 3 missed messages').waitFor();
    await sees(ada, 'said while away', ':not(.waiting)');
    await sees(maya, 'said while away');
    await hidden(ada.locator('#banner'));

    for (const page of [ada, maya]) {
        assert.deepEqual((await texts(page)).slice(-5),
                         ['before the drop', ...missed, 'said while away']);
    }

    await waitForPeople(maya, 'Ada, Maya, 1 guest');
    await waitForPeople(ada, 'Ada, Maya, 1 guest');
});

step('tokens are renewed and nobody notices', async () => {
    const before = await logins(maya);
    const notes = await note(maya, '').count();

    await maya.waitForFunction((n) => performance.getEntriesByType('resource')
        .filter((r) => r.name.endsWith('/login')).length >= n, before + 2,
        { timeout: TOKEN_LIFE * 2500 });
    await maya.waitForTimeout(TOKEN_LIFE * 250);
    assert.equal(await note(maya, '').count(), notes);
    assert.equal(await maya.getAttribute('#state', 'data-state'), 'open');
    await say(maya, 'with a later token');
    await sees(ada, 'with a later token');
});

step('clients that are dropped at random publish and hear everything once',
     async () => {
    const page = await open(chat.urls[0] + 'chat.css');
    const { published, resumes, broken, errors, heard } = await page.evaluate(
        crowd, { clients: 12, seconds: 8 });

    assert.deepEqual(errors, []);
    assert.equal(broken, 0);
    assert(published > 50 && resumes > 20, `${published}, ${resumes}`);
    assert.equal(heard.length, 12);

    for (const one of heard) {
        assert.deepEqual(one, heard[0]);
    }

    assert.deepEqual(heard[0].toSorted((a, b) => a - b),
                     Array.from({ length: published }, (_, i) => i));
    await page.context().close();
});

step('who is disconnected by the API is told, and comes back if he likes',
     async () => {
    const api = `${chat.urls[0]}api/users/Jonas`;
    const jonas = await open(chat.urls[1], { name: 'Jonas' });

    await sees(jonas, 'with a later token');
    execFileSync('curl', ['-sf', '-X', 'DELETE', api], { stdio: 'ignore' });
    await jonas.locator('#banner', { hasText: 'Disconnected by the server' })
        .waitFor();
    await jonas.waitForTimeout(3000);
    assert.equal(await jonas.getAttribute('#state', 'data-state'), 'closed');
    await jonas.click('#banner button');
    await hidden(jonas.locator('#banner'));
    await say(jonas, 'here again');
    await sees(ada, 'here again');
    assert.equal(await within(jonas, '.trouble').count(), 0);
    assert.equal(await count(jonas, 'with a later token'), 1);
    await jonas.context().close();
    await waitForPeople(ada, 'Ada, Maya, 1 guest');
});

step('a reload moves a page to a new worker, without a loss', async () => {
    const before = await worker(ada);
    const said = Array.from({ length: 20 }, (_, i) => `reload ${100 + i}`);

    process.kill(chat.pid('host A'), 'SIGHUP');

    for (const text of said) {
        await say(maya, text);
        await maya.waitForTimeout(500);
    }

    await ada.waitForFunction((pid) => !document.querySelector('#served')
        .textContent.includes(pid), `${before}`, { timeout: 20000 * SLOW });
    await sees(ada, 'reload 119');
    assert.notEqual(await worker(ada), before);
    assert.deepEqual((await texts(ada)).slice(-20), said);
    assert.equal(await note(ada, 'lost').count(), 0);
});

step('a page whose worker is killed shows it and comes back', async () => {
    const before = await worker(ada);
    const lost = ada.locator('#banner').waitFor();

    process.kill(before, 'SIGKILL');
    await lost;
    await ada.waitForSelector('#state[data-state=open]');
    await hidden(ada.locator('#banner'));
    assert.notEqual(await worker(ada), before);
    assert.equal(await note(ada, 'lost').count(), 0);
});

step('and it goes on: its rooms are subscribed again', async () => {
    await say(maya, 'still there?');
    await sees(ada, 'still there?');
    await say(ada, 'here I am');
    await sees(maya, 'here I am');
    assert.equal(await count(ada, 'still there?'), 1);
    await waitForPeople(maya, 'Ada, Maya, 1 guest');
});

step('while Redis is away sending shows the error', async () => {
    process.kill(chat.pid('redis'), 'SIGKILL');
    await say(ada, 'into the void');
    await sees(ada, 'into the void', '.failed');
    assert.match(await within(ada, '.failed em').textContent(),
                 /not sent: .*\(503\)/);
    assert.equal(await ada.getAttribute('#state', 'data-state'), 'open');
    assert.equal(await count(maya, 'into the void'), 0);
});

step('when it is back, trying again succeeds and the rooms are whole',
     async () => {
    await insist(ada, maya, 'into the void');
    await insist(maya, ada, 'welcome back');
    await insist(ada, maya, 'and all is well');
    await hidden(within(ada, '.failed').first());
    await hidden(within(maya, '.failed').first());
    assert.equal(await ada.getAttribute('#state', 'data-state'), 'open');
});

step('and they tell that the history is gone', async () => {
    await note(ada, 'some messages were lost').waitFor();
    await note(maya, 'some messages were lost').waitFor();
});

step('all the while browser and server compressed what they said',
     async () => {
    const { hubs } = await ada.evaluate(async () =>
        (await fetch('/metrics?format=json')).json());

    assert.ok(hubs.chat.inflated_total > 10);
    assert.ok(hubs.chat.deflated_total > 10);
    assert.ok(hubs.chat.deflate_bytes_out_total
              < 0.95 * hubs.chat.deflate_bytes_in_total);
});

step('no page threw, and the logs tell of nothing but the kill', async () => {
    await ada.screenshot({ path: join(SHOTS, 'desktop.png') });
    await browser.end();
    assert.equal(await chat.end(), 0);
    assert.deepEqual(browser.thrown, []);
    browser = undefined;

    const bad = (chat.log('A') + chat.log('B')).split('\n')
        .filter((line) => /\[(alert|emerg|crit)\]|Sanitizer|runtime error/
                .test(line));

    assert.equal(bad.length, 1, bad.join('\n'));
    assert.match(bad[0], /worker process \d+ exited on signal 9/);
});


mkdirSync(SHOTS, { recursive: true });

await run(async () => {
    await ada?.screenshot({ path: join(SHOTS, 'failed-ada.png') })
        .catch(() => {});
    await maya?.screenshot({ path: join(SHOTS, 'failed-maya.png') })
        .catch(() => {});

    for (const host of ['A', 'B']) {
        process.stderr.write(`host ${host}, the end of its log:\n`
            + (chat?.log(host) ?? '').split('\n').slice(-15).join('\n'));
    }
});

await browser?.end();
await chat?.end();
chat?.forget();
