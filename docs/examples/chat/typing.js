/*
 * typing.js: who is typing in a room.  It has a channel of its own, without
 * history, on which nobody hears himself: typing:ROOM.  Each word of it is good
 * for some seconds and not worth repeating.
 */

import { useCallback, useEffect, useRef, useState } from 'react';

const LASTS = 4000;             /* milliseconds */
const AGAIN = 2000;


/* Returns the names, and what to call with true or false. */

export function useTyping(client, room, open) {
    const [until, setUntil] = useState({});     /* name => time */
    const said = useRef(0);
    const channel = `typing:${room}`;

    useEffect(() => {
        const hear = ({ user, data }) => user && setUntil((before) => ({
            ...before, [user]: data?.typing ? Date.now() + LASTS : 0 }));

        if (open) {
            client.subscribe(channel, hear).catch(() => {});
        }

        return () => { client.unsubscribe(channel, hear).catch(() => {}); };
    }, [client, channel, open]);

    useEffect(() => {
        const next = Math.min(...Object.values(until).filter((t) => t > 0));

        if (next !== Infinity) {
            const timer = setTimeout(() => setUntil((now) => ({ ...now,
                ...Object.fromEntries(Object.entries(now)
                    .map(([name, t]) => [name, t > Date.now() ? t : 0])) })),
                Math.max(next - Date.now(), 0) + 10);

            return () => clearTimeout(timer);
        }
    }, [until]);

    const tell = useCallback((typing) => {
        if (typing ? Date.now() - said.current > AGAIN : said.current) {
            said.current = typing ? Date.now() : 0;
            client.publish(channel, { typing }, { queue: false })
                .catch(() => {});
        }
    }, [client, channel]);

    return [Object.keys(until).filter((name) => until[name]), tell];
}
