/*
 * room.js: one room.  Room NAME is the channel room:NAME, a message is an
 * object {"text": …}; who wrote it is the server's word, not the writer's.
 * Whatever else arrives, from a tutorial client or from curl, is shown as the
 * plain text that it is.
 */

import {
    Fragment, useEffect, useLayoutEffect, useRef, useState,
} from 'react';
import { useChannel } from 'wscast/react';
import { Avatar, Clock, html, plural, useMedia } from './parts.js';
import { useTyping } from './typing.js';

const KEEP = { limit: 300, history: 100 };
const TOGETHER = 3 * 60 * 1000;         /* under one name */


/* All rooms that were entered stay, hidden, so that they count and scroll. */

export function Room({ session, name, current, onUnread, onSignIn }) {
    const { client } = session;
    const channel = useChannel(client, `room:${name}`, KEEP);
    const [typists, tellTyping] = useTyping(client, name, current
                                            && channel.state !== 'closed');
    const [sent, send] = useOutbox(channel);
    const notes = useNotes(channel);
    const unread = useUnread(channel.messages, current);
    const people = peopleOf(channel.members);

    useEffect(() => onUnread(name, unread), [name, unread]);

    return html`
        <section className="room" hidden=${!current} aria-label=${name}>
            <${Head} name=${name} people=${people} me=${session.name} />
            ${channel.error && html`
                <p className="trouble" role="alert">
                    You are not in this room: ${channel.error.message}
                </p>`}
            <${Messages} channel=${channel} sent=${sent} notes=${notes}
                me=${session.name} current=${current} onAgain=${send} />
            <p className="typing" aria-live="polite">
                ${typists.length > 0 && html`
                    <i aria-hidden="true"></i> ${typistsAre(typists)}`}
            </p>
            ${session.name === null
                ? html`<${Guest} onSignIn=${onSignIn} />`
                : html`<${Composer} room=${name} current=${current}
                    onTyping=${tellTyping} onSend=${(text) => send({ text })}
                />`}
        </section>`;
}


function typistsAre(names) {
    const [one, two] = names;

    return names.length > 2 ? `${names.length} people are typing…`
        : two ? `${one} and ${two} are typing…` : `${one} is typing…`;
}


/* Several connections of one user are one person. */

function peopleOf(members) {
    const people = new Map();

    for (const { user } of members) {
        user && people.set(user, (people.get(user) ?? 0) + 1);
    }

    return { guests: members.filter((m) => !m.user).length,
             users: [...people].sort(([a], [b]) => a.localeCompare(b)) };
}


function Head({ name, people, me }) {
    const { users, guests } = people;
    const wide = useMedia('(min-width: 900px)');

    return html`
        <details className="head" open=${wide}>
            <summary tabIndex=${wide ? -1 : 0}>
                <h2>${name}</h2>
                <span className="online">
                    ${users.length} online${guests > 0
                        && `, ${plural(guests, 'guest', 'guests')}`}
                </span>
            </summary>
            <ul className="people" aria-label="Online">
                ${users.map(([user, times]) => html`
                    <li key=${user} data-user=${user}>
                        <${Avatar} name=${user} />
                        <span>${user}</span>
                        ${user === me && html`<small>you</small>`}
                        ${times > 1 && html`
                            <b title=${`${times} connections`}>×${times}</b>`}
                    </li>`)}
                ${guests > 0 && html`
                    <li className="guests">
                        ${plural(guests, 'guest', 'guests')}
                    </li>`}
            </ul>
        </details>`;
}


/*
 * What we sent is shown at once, until it comes back.  It goes out under a key
 * of its own, so that trying again cannot send it twice.
 */

function useOutbox({ messages, publish }) {
    const [sent, setSent] = useState([]);

    async function send({ text, nonce = newNonce() }) {
        const put = (how) => setSent((all) => {
            const at = all.findIndex((m) => m.nonce === nonce);
            const now = { text, nonce, time: Date.now(), ...how };

            return at < 0 ? [...all, now] : all.with(at, now);
        });

        put({});

        try {
            await publish({ text, nonce }, { key: nonce });
            put({ taken: true });

        } catch (error) {
            put({ failed: error.message });
        }
    }

    const back = new Set(messages.map((m) => m.data?.nonce));

    useEffect(() => {
        setSent((all) => all.some((m) => back.has(m.nonce))
            ? all.filter((m) => !back.has(m.nonce)) : all);
    }, [messages]);

    return [sent.filter((m) => !back.has(m.nonce)), send];
}


const newNonce = () => Array.from(crypto.getRandomValues(new Uint32Array(3)),
                                  (n) => n.toString(36)).join('');


/* What a loss did to this room, said where it did it. */

function useNotes({ messages, resume }) {
    const [notes, setNotes] = useState([]);

    useEffect(() => {
        if (resume) {
            const { recovered, missed } = resume;
            const text = !recovered ? 'some messages were lost'
                : missed ? `caught up: ${plural(missed, 'missed message',
                                                'missed messages')}`
                    : 'connected again, nothing was missed';

            setNotes((all) => [...all.slice(-20), {
                text, time: Date.now(), after: messages.at(-1)?.id,
                kind: recovered ? 'good' : 'bad' }]);
        }
    }, [resume]);

    return notes;
}


function useUnread(messages, current) {
    const [seen, setSeen] = useState();
    const last = messages.at(-1)?.id;

    useEffect(() => { current && setSeen(last); }, [current, last]);

    return current ? 0
        : messages.length - 1 - messages.findIndex((m) => m.id === seen);
}


function Messages({ channel, sent, notes, me, current, onAgain }) {
    const list = useRef();
    const atEnd = useRef(true);
    const shown = channel.messages.map((m) => written(m, me));
    const mine = sent.map((m) => ({
        ...m, id: m.nonce, name: me, ours: true, waiting: !m.failed && !m.taken,
    }));
    const all = [...shown, ...mine];
    const last = all.at(-1);

    useLayoutEffect(() => {
        if (current && (atEnd.current || last?.ours)) {
            list.current.scrollTop = list.current.scrollHeight;
        }
    }, [current, last?.id, notes]);

    const scrolled = ({ target }) => {
        atEnd.current = target.scrollHeight - target.scrollTop
                        - target.clientHeight < 80;
    };

    return html`
        <ol className="messages" ref=${list} onScroll=${scrolled} tabIndex="0"
            role="log" aria-live="polite" aria-label="Messages">
            <${Notes} notes=${notes.filter((n) => n.after === undefined)} />
            ${all.map((m, i) => html`
                <${Fragment} key=${m.id}>
                    <${Message} ...${m} before=${all[i - 1]}
                        onAgain=${() => onAgain(m)} />
                    <${Notes} notes=${notes.filter((n) => n.after === m.id)} />
                <//>`)}
        </ol>`;
}


/* A message as it is shown. */

function written({ id, data, user, time = Date.now() }, me) {
    const text = typeof data?.text === 'string' ? data.text
        : typeof data === 'string' ? data : JSON.stringify(data);

    return user
        ? { id, time, text, name: user, ours: user === me }
        : { id, time, text, plain: true, name: typeof data?.name === 'string'
            && data.name || 'plain text' };
}


function Message(message) {
    const { name, text, time, ours, plain, failed, waiting, before } = message;
    const goesOn = before && before.name === name
                   && before.plain === plain && time - before.time < TOGETHER;
    const kinds = ['message', goesOn && 'goes-on', ours && 'ours',
                   plain && 'plain', failed && 'failed',
                   waiting && 'waiting'];

    return html`
        <li className=${kinds.filter(Boolean).join(' ')}>
            ${!ours && html`<${Avatar} name=${name} sign=${plain && '›'} />`}
            <div>
                ${!goesOn && html`
                    <div className="by">
                        <strong>${name}</strong> <${Clock} time=${time} />
                    </div>`}
                <p>${text}</p>
                ${waiting && html`<small>sending…</small>`}
                ${failed && html`
                    <em>not sent: ${failed} </em>
                    <button type="button" onClick=${message.onAgain}>
                        Try again
                    </button>`}
            </div>
        </li>`;
}


const Notes = ({ notes }) => notes.map(({ text, time, kind }) => html`
    <li className="note ${kind}" key=${time}>
        <span>${text}</span> <${Clock} time=${time} />
    </li>`);


function Composer({ room, current, onTyping, onSend }) {
    const [text, setText] = useState('');
    const field = useRef();

    useEffect(() => {
        if (current && matchMedia('(hover: hover)').matches) {
            field.current.focus();
        }
    }, [current]);

    const write = ({ target }) => {
        setText(target.value);
        onTyping(target.value.trim() !== '');
    };

    const submit = (event) => {
        event.preventDefault();

        if (text.trim()) {
            onTyping(false);
            onSend(text.trim());
            setText('');
        }

        field.current.focus();
    };

    const press = (event) => {
        if (event.key === 'Enter' && !event.shiftKey
            && !event.nativeEvent.isComposing)
        {
            submit(event);
        }
    };

    return html`
        <form className="composer" onSubmit=${submit} autoComplete="off">
            <textarea ref=${field} rows="1" maxLength="4000"
                aria-label=${`Message to ${room}`} enterKeyHint="send"
                placeholder=${`Message to ${room}`} value=${text}
                onChange=${write} onKeyDown=${press}></textarea>
            <button aria-label="Send">
                <svg viewBox="0 0 24 24" width="20" height="20"
                     aria-hidden="true">
                    <path d="M3 11.5 20.5 4 14 21l-3-7-8-2.5Zm8 2.5 4-4"
                        fill="none" stroke="currentColor" strokeWidth="1.8"
                        strokeLinejoin="round" strokeLinecap="round" />
                </svg>
            </button>
        </form>`;
}


function Guest({ onSignIn }) {
    return html`
        <form className="composer guest" onSubmit=${(event) => {
            event.preventDefault();
            onSignIn();
        }}>
            <textarea rows="1" disabled aria-label="Your message"
                placeholder="You are a guest and may read along"></textarea>
            <button>Sign in</button>
        </form>`;
}
