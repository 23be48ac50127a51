/*
 * session.js: who we are, and the one connection that belongs to it.  A guest
 * has no token; a member's comes from /login, and is fetched again by the
 * client whenever it is about to end.
 */

import { Wscast } from 'wscast';

export const debug = new URLSearchParams(location.search).has('debug');

let socket;                     /* the last one */
let heldUntil = 0;


/* For ?debug: a WebSocket that can be dropped from outside. */

class Droppable extends WebSocket {
    constructor(...args) {
        super(...args);
        socket = this;
    }
}


/* Drops the connection, and holds up the next one for some seconds. */

export function drop(seconds = 5) {
    heldUntil = Date.now() + seconds * 1000;
    socket?.close(4000, 'dropped by hand');
}


const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });


async function signIn(name) {
    const response = await fetch('login', {
        method: 'POST', headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ name }) });
    const answer = await response.json().catch(() => ({}));

    if (!response.ok) {
        throw new Error(answer.error ?? `login: ${response.status}`);
    }

    return answer.token;
}


/* A name of null is a guest. */

export function startSession(name) {
    const client = new Wscast('ws', {
        WebSocket: debug ? Droppable : WebSocket,

        token: async () => {
            if (heldUntil > Date.now()) {
                await pause(heldUntil - Date.now());
            }

            return name && signIn(name);
        },
    });

    client.on('error', (error) => console.warn(error.message));

    return { name, client };
}


/* A tab's own, so that two of them may be two people. */

export function restoreSession() {
    const saved = sessionStorage.getItem('session');

    return saved === null ? null : startSession(JSON.parse(saved));
}


export function saveSession(session) {
    if (session) {
        sessionStorage.setItem('session', JSON.stringify(session.name));
    } else {
        sessionStorage.removeItem('session');
    }
}
