/*
 * pictures.mjs: makes the pictures of the README, docs/chat.png and
 * docs/chat-phone.png, of the chat as it is.  `make pictures` starts it.
 */

import { join } from 'node:path';
import { launch, top } from './launcher.mjs';
import {
    say, sees, startBrowser, waitForPeople, within, write,
} from './pages.mjs';

const SAID = [
    ['maya', 'Hello! I am on host B today.'],
    ['ada', 'Host A here: another nginx, the same room.'],
    ['jonas', 'Same here on B, from the train 🚆'],
    ['jonas', 'Is there one Redis below all this?'],
    ['ada', 'One, and each message crosses to a host once ✨'],
];

const MISSED = ['He is in a tunnel, I think.',
                'I did not miss a word.'];

const chat = await launch();
const browser = await startBrowser();
const [a, b] = chat.urls;
const english = { locale: 'en-GB' };

try {
    const ada = await browser.open(a, { ...english, name: 'Ada' });
    const maya = await browser.open(b, { ...english, name: 'Maya' });
    const again = await browser.open(a, { ...english, name: 'Maya' });
    const guest = await browser.open(b, { ...english, guest: true });
    const jonas = await browser.open(b + '?debug', { ...english,
        name: 'Jonas', viewport: { width: 390, height: 844 },
        deviceScaleFactor: 2, isMobile: true, hasTouch: true,
        colorScheme: 'dark' });
    const pages = { ada, maya, jonas };

    await waitForPeople(ada, 'Ada, Jonas, Maya×2, 1 guest');

    for (const [who, text] of SAID) {
        await say(pages[who], text);
        await sees(ada, text);
    }

    await jonas.click('text=Drop connection');
    await waitForPeople(ada, 'Ada, Maya×2, 1 guest');
    await say(maya, MISSED[0]);
    await sees(ada, MISSED[0]);
    await within(jonas, '.note', { hasText: 'caught up' }).waitFor();
    await sees(jonas, MISSED[0]);
    await say(jonas, MISSED[1]);
    await sees(ada, MISSED[1]);
    await waitForPeople(ada, 'Ada, Jonas, Maya×2, 1 guest');

    await ada.goto(`${a}#random`);
    await within(ada, '.online').waitFor();
    await ada.goto(`${a}#release 1.0`);
    await within(ada, '.online').waitFor();
    await again.goto(`${a}#random`);
    await say(again, 'A picture of the tunnel.');
    await say(again, 'It is dark.');
    await ada.locator('#rooms b', { hasText: '2' }).waitFor();
    await ada.goto(`${a}#lobby`);
    await ada.mouse.move(0, 0);

    /* what is for debugging is not for the picture */

    await jonas.evaluate(() => document.querySelector('.drop').remove());
    await write(maya, 'Tea');
    await within(jonas, '.typing', { hasText: 'Maya is typing' }).waitFor();
    await jonas.screenshot({ path: join(top, 'docs/chat-phone.png') });
    await write(maya, 'Tea?');
    await within(ada, '.typing', { hasText: 'Maya is typing' }).waitFor();
    await ada.screenshot({ path: join(top, 'docs/chat.png') });
    await guest.close();

} finally {
    await browser.end();
    await chat.end();
    chat.forget();
}
