/*
 * chat.js: the page.  It is plain React without a build: html`…` (of htm) is
 * what JSX would be made into.  A channel is a hook: see room.js.
 */

import { StrictMode, useCallback, useEffect, useState } from 'react';
import { createRoot } from 'react-dom';
import { Avatar, html, useConnection } from './parts.js';
import { Room } from './room.js';
import {
    debug, drop, restoreSession, saveSession, startSession,
} from './session.js';

const ROOMS = ['lobby', 'random', 'music'];     /* those that one starts with */


function App() {
    const [session, setSession] = useState(restoreSession);

    useEffect(() => {
        saveSession(session);
        session?.client.connect();
        return () => session?.client.close();
    }, [session]);

    if (!session) {
        return html`<${SignIn}
            onName=${(name) => setSession(startSession(name))} />`;
    }

    return html`<${Chat} session=${session}
        onLeave=${() => setSession(null)} />`;
}


function SignIn({ onName }) {
    const [name, setName] = useState('');

    const submit = (event) => {
        event.preventDefault();
        name.trim() && onName(name.trim());
    };

    return html`
        <main className="sign-in">
            <form onSubmit=${submit}>
                <h1>wscast <span>chat</span></h1>
                <p>Broadcast by nginx. Who would you like to be?</p>
                <label htmlFor="name">Your name</label>
                <input id="name" maxLength="32" autoComplete="nickname"
                    autoFocus spellCheck="false" required enterKeyHint="go"
                    value=${name}
                    onChange=${({ target }) => setName(target.value)} />
                <button className="main">Sign in</button>
                <button type="button" onClick=${() => onName(null)}>
                    Look around as a guest
                </button>
            </form>
        </main>`;
}


function useHashRoom() {
    const read = () => {
        try {
            return decodeURIComponent(location.hash.slice(1)).trim()
                .slice(0, 32) || ROOMS[0];
        } catch {
            return ROOMS[0];            /* no room is called like that */
        }
    };
    const [room, setRoom] = useState(read);

    useEffect(() => {
        const change = () => setRoom(read());

        addEventListener('hashchange', change);
        return () => removeEventListener('hashchange', change);
    }, []);

    return room;
}


/* One is in a room from its first visit on, also while another is shown. */

function Chat({ session, onLeave }) {
    const current = useHashRoom();
    const [entered, setEntered] = useState([current]);
    const [unread, setUnread] = useState({});
    const rooms = [...ROOMS, ...entered.filter((r) => !ROOMS.includes(r))];

    useEffect(() => {
        setEntered((all) => all.includes(current) ? all : [...all, current]);
    }, [current]);

    const onUnread = useCallback((room, n) =>
        setUnread((all) => ({ ...all, [room]: n })), []);

    return html`
        <div className="chat">
            <${Header} client=${session.client} />
            <nav aria-label="Rooms">
                <${Rooms} rooms=${rooms} current=${current} unread=${unread} />
                <${Me} name=${session.name} onLeave=${onLeave} />
            </nav>
            <main>
                <${Banner} client=${session.client} />
                ${entered.map((name) => html`
                    <${Room} key=${name} name=${name} session=${session}
                        current=${name === current} onUnread=${onUnread}
                        onSignIn=${onLeave} />`)}
            </main>
        </div>`;
}


function Header({ client }) {
    const { state, welcome, before } = useConnection(client);
    const words = { open: 'connected', closed: 'disconnected' };

    return html`
        <header>
            <h1>wscast <span>chat</span></h1>
            ${debug && html`
                <button className="drop" type="button" onClick=${() => drop()}>
                    Drop connection
                </button>`}
            <p id="state" data-state=${state} role="status">
                <i aria-hidden="true"></i>
                <span>${words[state]
                    ?? (before ? 'reconnecting…' : 'connecting…')}</span>
                <span id="served">${servedBy(welcome)}</span>
            </p>
        </header>`;
}


/* What wscast_welcome says in nginx.conf. */

function servedBy(welcome) {
    let msg = welcome?.msg;

    try {
        msg = typeof msg === 'string' ? JSON.parse(msg) : msg;
    } catch {
        /* another nginx.conf than ours */
    }

    return msg?.host ? `host ${msg.host} · worker ${msg.worker}` : '';
}


function Banner({ client }) {
    const { state, before } = useConnection(client);

    if (state === 'open' || (state !== 'closed' && !before)) {
        return null;
    }

    return html`
        <p id="banner" role="status">
            <span>${state === 'closed' ? 'Disconnected by the server.'
                : 'Connection lost, reconnecting…'}</span>
            ${state !== 'connecting' && html`
                <button type="button" onClick=${() => client.connect()}>
                    ${state === 'closed' ? 'Connect' : 'Try now'}
                </button>`}
        </p>`;
}


function Rooms({ rooms, current, unread }) {
    const [name, setName] = useState('');

    const submit = (event) => {
        event.preventDefault();

        if (name.trim()) {
            location.hash = encodeURIComponent(name.trim());
            setName('');
        }
    };

    return html`
        <h2>Rooms</h2>
        <div id="list">
            <ul id="rooms">
                ${rooms.map((room) => html`
                    <li key=${room}>
                        <a href=${'#' + encodeURIComponent(room)}
                            aria-current=${room === current ? 'page' : null}>
                            ${room}
                            ${unread[room] > 0 && html`
                                <b aria-label=${`${unread[room]} unread`}>
                                    ${unread[room]}
                                </b>`}
                        </a>
                    </li>`)}
            </ul>
            <form id="join" onSubmit=${submit} autoComplete="off">
                <input maxLength="32" enterKeyHint="go" value=${name}
                    placeholder="Another room" aria-label="Another room"
                    onChange=${({ target }) => setName(target.value)} />
                <button aria-label="Open the room">+</button>
            </form>
        </div>`;
}


function Me({ name, onLeave }) {
    return html`
        <div id="me">
            <${Avatar} name=${name ?? '?'} />
            <span>
                <small>You are</small>
                <b>${name ?? 'a guest'}</b>
            </span>
            <button type="button" onClick=${onLeave}>
                ${name === null ? 'Sign in' : 'Sign out'}
            </button>
        </div>`;
}


createRoot(document.getElementById('chat'))
    .render(html`<${StrictMode}><${App} /><//>`);
