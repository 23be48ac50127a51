/*
 * Opens pages in Chromium, one behind the other, and prints a line of JSON
 * for each: examples.mjs URL...  A page sets globalThis.outcome when it is
 * done.
 */

import { startBrowser, SLOW } from '../browser/pages.mjs';

const browser = await startBrowser();

for (const url of process.argv.slice(2)) {
    const page = await browser.open(url);
    let outcome;

    try {
        const handle = await page.waitForFunction('globalThis.outcome', null,
            { timeout: 20000 * SLOW });

        outcome = await handle.jsonValue();
    } catch (error) {
        outcome = { wrong: [error.message] };
    }

    await page.close();
    console.log(JSON.stringify(outcome));
}

await browser.end();
