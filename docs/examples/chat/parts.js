/* parts.js: small things that everything is made of. */

import {
    createElement, useEffect, useState, useSyncExternalStore,
} from 'react';
import htm from 'htm';

export const html = htm.bind(createElement);


export function Avatar({ name, sign }) {
    let hue = 7;

    for (const c of name) {
        hue = (hue * 137 + c.codePointAt(0) * 47) % 360;
    }

    return html`
        <span className="avatar" style=${{ '--hue': hue }} aria-hidden="true">
            ${sign ?? [...name.trim()][0]?.toUpperCase() ?? '?'}
        </span>`;
}


export function Clock({ time }) {
    const date = new Date(time);

    return html`
        <time dateTime=${date.toISOString()}>
            ${date.toLocaleTimeString([], { hour: '2-digit',
                                            minute: '2-digit' })}
        </time>`;
}


export const plural = (n, one, many) => `${n} ${n === 1 ? one : many}`;


export function useMedia(query) {
    const [media] = useState(() => matchMedia(query));

    return useSyncExternalStore((changed) => {
        media.addEventListener('change', changed);
        return () => media.removeEventListener('change', changed);
    }, () => media.matches);
}


/* The state of the client, and whether it has been open before. */

export function useConnection(client) {
    const [connection, set] = useState(
        { state: client.state, welcome: client.welcome, before: false });

    useEffect(() => {
        const look = () => set(({ before }) => ({
            state: client.state, welcome: client.welcome,
            before: before || client.state === 'open' }));

        look();
        return client.on('state', look);
    }, [client]);

    return connection;
}
