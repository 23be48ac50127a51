/*
 * The chat page: rooms are channels named room:NAME, a message is an object
 * {"name": …, "text": …}.  Whatever else arrives in a room, from a tutorial
 * client or from curl, is shown as the plain text that it is.
 */

import { Wscast } from './wscast.js';

const ROOMS = ['lobby', 'random', 'music'];     /* those that one starts with */
const KEEP = 300;                               /* messages, in each room */
const TOGETHER = 3 * 60 * 1000;                 /* under one name */

const $ = (id) => document.getElementById(id);
const client = new Wscast('/ws');
const rooms = new Map();        /* name => { messages, unread, link } */
const mine = new Set();         /* our names on the server, as they came */
let current;


/* Rooms. */

function room(name) {
    let r = rooms.get(name);

    if (!r) {
        const li = element('li');
        const link = element('a', '', name);

        r = { name, messages: [], unread: 0, link, badge: element('b') };
        link.href = '#' + encodeURIComponent(name);
        link.append(r.badge);
        li.append(link);
        $('rooms').append(li);
        rooms.set(name, r);
        enter(r);
    }

    return r;
}


/* While Redis is away a room cannot be entered: then again, a bit later. */

async function enter(r) {
    try {
        await client.subscribe('room:' + r.name, (m) => arrive(r, m));

    } catch (error) {
        add(r, { note: `cannot enter ${r.name}: ${error.message}` });

        if (error.code === 429 || error.code === 503) {
            setTimeout(() => enter(r), 3000);
        }
    }
}


function show(name) {
    current?.link.removeAttribute('aria-current');
    current = room(name);
    current.unread = 0;
    current.badge.textContent = '';
    current.link.setAttribute('aria-current', 'page');
    current.link.scrollIntoView({ block: 'nearest', inline: 'nearest' });

    $('text').placeholder = `Message to ${name}`;
    $('messages').replaceChildren();
    current.messages.forEach((m, i) => draw(m, current.messages[i - 1]));
    toEnd();
}


function showHash() {
    let name = ROOMS[0];

    try {
        name = decodeURIComponent(location.hash.slice(1)).trim() || name;
    } catch {
        /* no room is called like that */
    }

    show(name.slice(0, 32));
}


/* Messages. */

function arrive(r, message) {
    const data = message.data;
    const ours = mine.has(message.client);
    const time = message.time ?? Date.now();

    if (typeof data?.name === 'string' && typeof data?.text === 'string') {
        add(r, { name: data.name || '?', text: data.text, ours, time });

    } else {
        add(r, { plain: true, ours, time, name: message.user ?? 'plain text',
                 text: typeof data === 'string' ? data
                                                : JSON.stringify(data) });
    }
}


function add(r, message) {
    const before = r.messages.at(-1);
    const list = $('messages');
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;

    message.time ??= Date.now();
    r.messages.push(message);

    if (r.messages.length > KEEP) {
        r.messages.shift();
    }

    if (r !== current) {
        r.unread += message.note ? 0 : 1;
        r.badge.textContent = r.unread || '';
        return;
    }

    draw(message, before);

    if (list.children.length > KEEP) {
        list.firstChild.remove();
    }

    if (atEnd || message.ours) {
        toEnd();
    }
}


function draw(message, before) {
    const li = element('li');

    if (message.note) {
        li.className = 'note';
        li.append(element('span', '', message.note), clock(message.time));
        $('messages').append(li);
        return;
    }

    const goesOn = before && !before.note && before.name === message.name
                   && before.ours === message.ours
                   && before.plain === message.plain
                   && message.time - before.time < TOGETHER;

    li.className = ['message', goesOn && 'goes-on', message.ours && 'ours',
                    message.plain && 'plain', message.failed && 'failed']
        .filter(Boolean).join(' ');

    if (!message.ours) {
        li.append(goesOn ? element('span', 'avatar') : avatar(message));
    }

    const body = element('div');

    if (!goesOn) {
        const head = element('div', 'head');

        head.append(element('strong', '', message.name), clock(message.time));
        body.append(head);
    }

    body.append(element('p', '', message.text));
    li.append(body);

    if (message.failed) {
        const again = element('button', '', 'Try again');

        again.onclick = () => {
            current.messages.splice(current.messages.indexOf(message), 1);
            li.remove();
            send(current, message.text);
        };
        body.append(element('em', '', `not sent: ${message.failed} `), again);
    }

    $('messages').append(li);
}


async function send(r, text) {
    const name = $('name').value.trim() || 'nobody';

    try {
        await client.publish('room:' + r.name, { name, text });

    } catch (error) {
        add(r, { name, text, ours: true, failed: error.message });
    }
}


/* Small things. */

/* Text goes in as text and never as HTML: anybody may have written it. */

function element(tag, className = '', text = '') {
    const e = document.createElement(tag);

    e.className = className;
    e.textContent = text;
    return e;
}


function clock(time) {
    const date = new Date(time);
    const e = element('time', '', date.toLocaleTimeString([], {
        hour: '2-digit', minute: '2-digit' }));

    e.dateTime = date.toISOString();
    return e;
}


function avatar({ name, plain }) {
    const e = element('span', 'avatar');

    paint(e, plain ? '›' : name);
    e.setAttribute('aria-hidden', 'true');
    return e;
}


function paint(e, name) {
    let hue = 7;

    for (const c of name) {
        hue = (hue * 137 + c.codePointAt(0) * 47) % 360;
    }

    e.textContent = [...name.trim()][0]?.toUpperCase() ?? '?';
    e.style.setProperty('--hue', hue);
}


function toEnd() {
    $('messages').scrollTop = $('messages').scrollHeight;
}


/* The connection. */

function served(msg) {
    const { host, worker } = msg ?? {};

    return host ? `host ${host} · worker ${worker}` : '';
}


client.on('open', (welcome) => {
    let msg = welcome.msg;

    try {
        msg = typeof msg === 'string' ? JSON.parse(msg) : msg;
    } catch {
        msg = null;
    }

    mine.add(welcome.client);
    $('served').textContent = served(msg);

    if (mine.size > 1) {
        add(current, { note: `connected again: ${served(msg)}` });
    }
});


client.on('close', ({ code }) => {
    $('served').textContent = '';

    if (code !== 1001) {
        add(current, { note: `connection lost (${code})` });
    }
});


let ticking;

client.on('state', (state, { delay = 0 }) => {
    const until = Date.now() + delay;
    const text = { open: 'connected', closed: 'closed' }[state]
                 ?? 'connecting';

    clearInterval(ticking);
    $('state').dataset.state = state;
    $('state-text').textContent = text;
    $('banner').hidden = state === 'open';
    $('retry').hidden = state === 'connecting';

    if (state !== 'waiting') {
        $('banner-text').textContent = state === 'closed'
            ? 'Disconnected by the server.' : 'Connecting…';
        return;
    }

    const tick = () => {
        const left = Math.ceil((until - Date.now()) / 1000);

        $('banner-text').textContent =
            `Connection lost. Next try in ${Math.max(left, 1)} s.`;
    };

    tick();
    ticking = setInterval(tick, 250);
});


client.on('error', (error) => add(current, { note: error.message }));


/* The page. */

$('name').value = localStorage.getItem('name')
                  || 'guest ' + (100 + Math.floor(Math.random() * 900));
paint($('my-avatar'), $('name').value);

$('name').oninput = () => {
    localStorage.setItem('name', $('name').value);
    paint($('my-avatar'), $('name').value);
};

$('name').onkeydown = (event) => {
    if (event.key === 'Enter') {
        $('text').focus();
    }
};

$('retry').onclick = () => client.connect();

$('join').onsubmit = (event) => {
    const name = $('join-name').value.trim();

    event.preventDefault();

    if (name) {
        $('join-name').value = '';
        location.hash = encodeURIComponent(name);
        $('text').focus();
    }
};

$('composer').onsubmit = (event) => {
    const text = $('text').value.trim();

    event.preventDefault();

    if (text) {
        $('text').value = '';
        send(current, text);
    }

    $('text').focus();
};

$('text').onkeydown = (event) => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        $('composer').requestSubmit();
    }
};

window.onhashchange = showHash;
ROOMS.forEach(room);
showHash();
client.connect();
