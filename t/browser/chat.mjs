import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { chromium } from 'playwright-core';
import { launch, run, step, top } from './launcher.mjs';

const SHOTS = join(top, 'build/browser');
const SLOW = process.env.WSCAST_ASAN ? 4 : 1;
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic',
               '--no-first-run', '--disable-background-networking',
               '--disable-component-update', '--disable-sync'];

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

const profile = mkdtempSync(join(tmpdir(), 'wscast-chromium-'));
const thrown = [];      /* what the pages threw */
let chat, browser, ada, maya, tutorial;


async function open(url, { name, ...options } = {}) {
    const context = await browser.newContext({
        viewport: { width: 1100, height: 700 }, ...options });
    const page = await context.newPage();

    page.setDefaultTimeout(10000 * SLOW);
    page.on('pageerror', (error) => thrown.push(error.message));
    page.on('dialog', (dialog) => {
        thrown.push('dialog: ' + dialog.message());
        dialog.dismiss();
    });
    await page.goto(url);

    if (name) {
        await page.waitForSelector('#state[data-state=open]');
        await page.fill('#name', name);
    }

    return page;
}


async function say(page, text) {
    await page.fill('#text', text);
    await page.press('#text', 'Enter');
}


const sees = (page, text, kind = '') =>
    page.locator(`#messages .message${kind} p`, { hasText: text }).first()
        .waitFor();

/*
 * After an outage each worker reconnects in its own time: what is refused is
 * tried again by its button, what was taken before the other host listened
 * (nothing is promised without history) is said again.
 */

async function insist(page, other, text) {
    const until = Date.now() + 20000 * SLOW;
    const again = page.locator('.failed button').first();
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


const count = (page, text) =>
    page.locator('#messages .message p', { hasText: text }).count();

const served = (page) => page.textContent('#served');

const worker = async (page) => +(await served(page)).match(/worker (\d+)/)[1];

const heard = (page) => page.evaluate('heard');

const hears = (page, text) => page.waitForFunction(
    (t) => window.eval('heard').some((h) => h.includes(t)), text);


step('the launcher names two hosts', async () => {
    chat = await launch();
    assert.equal(chat.urls.length, 2);
    browser = await chromium.launch({
        executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
        args: [...FLAGS, `--disk-cache-dir=${profile}`] });
});

step('two pages are connected, each to its own host', async () => {
    ada = await open(chat.urls[0], { name: 'Ada' });
    maya = await open(chat.urls[1], { name: 'Maya' });
    assert.equal(await ada.textContent('#state-text'), 'connected');
    assert.match(await served(ada), /^host A · worker \d+$/);
    assert.match(await served(maya), /^host B · worker \d+$/);
});

step('what one says the other sees, on both sides once', async () => {
    await say(ada, 'hello from host A');
    await sees(maya, 'hello from host A');
    await sees(ada, 'hello from host A', '.ours');
    await say(maya, 'and from host B');
    await sees(ada, 'and from host B');
    await sees(maya, 'and from host B', '.ours');

    for (const page of [ada, maya]) {
        assert.equal(await count(page, 'hello from host A'), 1);
        assert.equal(await count(page, 'and from host B'), 1);
    }

    const name = await ada.textContent('.message:not(.ours) strong');

    assert.equal(name, 'Maya');
});

step('the curl line broadcasts', async () => {
    execFileSync('sh', ['-c', chat.curl], { stdio: 'ignore' });
    await ada.locator('.message strong', { hasText: 'curl' }).waitFor();
    await maya.locator('.message strong', { hasText: 'curl' }).waitFor();
});

step('emoji and other scripts arrive as they were typed', async () => {
    await say(ada, 'grüße, привет, 你好, 👩‍👩‍👧 🎉');
    await sees(maya, 'grüße, привет, 你好, 👩‍👩‍👧 🎉');
});

step('markup is text, in messages and in names', async () => {
    const markup = '<img src=x onerror="alert(1)"><script>alert(2)</script>';

    await ada.fill('#name', '<b>Ada</b>');
    await say(ada, markup);
    await sees(maya, markup);
    await maya.locator('strong', { hasText: '<b>Ada</b>' }).waitFor();
    assert.equal(await maya.locator('#messages img, #messages script,'
                                    + ' #messages strong b').count(), 0);
    await ada.fill('#name', 'Ada');
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
    assert.deepEqual(JSON.parse((await heard(tutorial)).at(-1)),
                     { name: 'Maya', text: 'welcome, tutorial' });
    await tutorial.evaluate(
        "ws.send(JSON.stringify({ name: 'Tim', text: 'as you do' }))");
    await sees(ada, 'as you do');
    await ada.locator('strong', { hasText: 'Tim' }).waitFor();
});

step('a room of its own is apart, and unread messages are counted',
     async () => {
    await maya.fill('#join-name', 'tea & biscuits');
    await maya.press('#join-name', 'Enter');
    await maya.waitForFunction(() => location.hash === '#tea%20%26%20biscuits');
    await say(maya, 'nobody here');
    await sees(maya, 'nobody here');
    await say(ada, 'where is Maya?');
    await maya.locator('#rooms a', { hasText: 'lobby' })
        .locator('b', { hasText: '1' }).waitFor();
    assert.equal(await count(ada, 'nobody here'), 0);
    await maya.click('#rooms a:has-text("lobby")');
    await sees(maya, 'where is Maya?');
});

step('on a phone nothing sticks out, however long a word is', async () => {
    const phone = await open(chat.urls[1], {
        name: 'Jonas', viewport: { width: 360, height: 740 },
        hasTouch: true, isMobile: true, colorScheme: 'dark' });

    await say(phone, 'w' + 'o'.repeat(300) + 'rd');
    await sees(ada, 'ooooo');

    const { wide, screen } = await phone.evaluate(() => ({
        wide: Math.max(document.documentElement.scrollWidth,
                       document.querySelector('#messages').scrollWidth),
        screen: innerWidth }));

    assert(wide <= screen, `${wide} > ${screen}`);
    assert.equal(screen, 360);
    await phone.screenshot({ path: join(SHOTS, 'phone.png') });
    await phone.context().close();
});

step('a reload moves a page to a new worker, without a loss', async () => {
    const before = await worker(ada);

    process.kill(chat.pid('host A'), 'SIGHUP');
    await ada.locator('.note', { hasText: 'connected again: host A' })
        .waitFor({ timeout: 20000 * SLOW });
    assert.notEqual(await worker(ada), before);
    assert.equal(await ada.locator('.note', { hasText: 'lost' }).count(), 0);
    await say(maya, 'after the reload');
    await sees(ada, 'after the reload');
});

step('a page whose worker is killed shows it and comes back', async () => {
    const before = await worker(ada);
    const lost = ada.waitForSelector('#state[data-state=waiting]');

    process.kill(before, 'SIGKILL');
    await lost;
    await ada.locator('.note', { hasText: 'connection lost (1006)' })
        .waitFor();
    await ada.locator('.note', { hasText: 'connected again: host A' })
        .nth(1).waitFor();
    assert.equal(await ada.getAttribute('#state', 'data-state'), 'open');
    assert(await ada.isHidden('#banner'));
    assert.notEqual(await worker(ada), before);
});

step('and it goes on: its rooms are subscribed again', async () => {
    await say(maya, 'still there?');
    await sees(ada, 'still there?');
    await say(ada, 'here I am');
    await sees(maya, 'here I am');
    assert.equal(await count(ada, 'still there?'), 1);
});

step('while Redis is away sending shows the error', async () => {
    process.kill(chat.pid('redis'), 'SIGKILL');
    await say(ada, 'into the void');
    await sees(ada, 'into the void', '.failed');
    assert.match(await ada.textContent('.failed em'), /not sent: .*\(503\)/);
    assert.equal(await ada.getAttribute('#state', 'data-state'), 'open');
    assert.equal(await count(maya, 'into the void'), 0);
});

step('when it is back, trying again succeeds and the rooms are whole',
     async () => {
    await insist(ada, maya, 'into the void');
    await insist(maya, ada, 'welcome back');
    await insist(ada, maya, 'and all is well');
    assert.equal(await ada.locator('.failed').count(), 0);
    assert.equal(await maya.locator('.failed').count(), 0);
    assert.equal(await ada.getAttribute('#state', 'data-state'), 'open');
});

step('no page threw, and the logs tell of nothing but the kill', async () => {
    await ada.screenshot({ path: join(SHOTS, 'desktop.png') });
    await browser.close();
    browser = undefined;
    assert.equal(await chat.end(), 0);
    assert.deepEqual(thrown, []);

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

await browser?.close();
await chat?.end();
chat?.forget();
rmSync(profile, { recursive: true, force: true });
