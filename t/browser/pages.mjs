/*
 * A Chromium, and the chat in its pages as people use it: what the tests and
 * the pictures of the README have in common.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

export const SLOW = process.env.WSCAST_ASAN ? 4 : 1;

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic',
               '--no-first-run', '--disable-background-networking',
               '--disable-component-update', '--disable-sync'];
const ROOM = '.room:not([hidden])';


export async function startBrowser() {
    const profile = mkdtempSync(join(tmpdir(), 'wscast-chromium-'));
    const browser = await chromium.launch({
        executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
        args: [...FLAGS, `--disk-cache-dir=${profile}`] });
    const thrown = [];      /* what the pages threw */

    /* Each page is a browser of its own, as far as the page can tell. */

    async function open(url, { name, guest, ...options } = {}) {
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
            await page.fill('#name', name);
            await page.click('button.main');
        } else if (guest) {
            await page.click('text=Look around as a guest');
        }

        if (name || guest) {
            await page.waitForSelector('#state[data-state=open]');
            await page.locator(`${ROOM} .online`).waitFor();
        }

        return page;
    }

    return {
        open,
        thrown,

        async end() {
            await browser.close();
            rmSync(profile, { recursive: true, force: true });
        },
    };
}


/* In the room that a page shows. */

export const within = (page, selector, options) =>
    page.locator(`${ROOM} ${selector}`, options);

export async function write(page, text) {
    await within(page, 'textarea').fill(text);
}

export async function say(page, text) {
    await write(page, text);
    await within(page, 'textarea').press('Enter');
}

export const sees = (page, text, kind = '') =>
    within(page, `.message${kind} p`, { hasText: text }).first().waitFor();

export const count = (page, text) =>
    within(page, '.message p', { hasText: text }).count();

export const note = (page, text) =>
    within(page, '.note', { hasText: text });

/* What the room shows of its messages, in order. */

export const texts = (page) => within(page, '.message p').allTextContents();

/* Who is there: "Ada, Maya×2". */

export const people = (page) => within(page, '.people li').evaluateAll(
    (items) => items.map((li) => [li.dataset.user ?? li.textContent.trim(),
        li.querySelector('b')?.textContent ?? ''].join('')).join(', '));

export async function waitForPeople(page, want) {
    const until = Date.now() + 10000 * SLOW;
    let there;

    while ((there = await people(page)) !== want) {
        if (Date.now() > until) {
            throw new Error(`there are "${there}", not "${want}"`);
        }

        await page.waitForTimeout(50);
    }
}
