/*
 * use-wscast.js: a channel as a React hook.
 *
 *     const { messages, members, publish } = useChannel(client, 'room:7');
 *
 * All components that use one channel of one client with the same options
 * share a store, which outlives the last of them for a moment: what mounts
 * again at once (StrictMode, a move in the tree) finds it as it was, and the
 * server does not hear of it.  The manual is docs/client.md.
 */

import { useSyncExternalStore } from 'react';
import { WscastError } from './wscast.js';

const DEFAULTS = { limit: 200, history: 50, presence: true };
const LINGER = 1000;                    /* milliseconds */
const RETRY = 2000;

const stores = new WeakMap();           /* client => Map of its stores */
let lastId = 0;


const refuse = async () => {
    throw new WscastError(0, 'no channel to publish to');
};

const IDLE = Object.freeze({
    messages: Object.freeze([]), members: Object.freeze([]), state: 'closed',
    recovered: null, resume: null, error: null, publish: refuse,
});

const idle = { subscribe: () => () => {}, read: () => IDLE, first: () => IDLE };


export function useChannel(client, channel, options) {
    const store = client && channel ? storeOf(client, channel, options) : idle;

    return useSyncExternalStore(store.subscribe, store.read, store.first);
}


function storeOf(client, channel, options) {
    const all = { ...DEFAULTS, ...options };
    const key = JSON.stringify([channel, all.limit, all.history,
                                all.presence]);
    let ofClient = stores.get(client);

    if (!ofClient) {
        ofClient = new Map();
        stores.set(client, ofClient);
    }

    if (!ofClient.has(key)) {
        ofClient.set(key, new Store(client, channel, all, (store) =>
            ofClient.get(key) === store && ofClient.delete(key)));
    }

    return ofClient.get(key);
}


/* React's keys: the same message has the same id, however it came. */

const named = (message) => ({
    ...message,
    id: message.epoch ? `${message.epoch}-${message.offset}` : `${++lastId}`,
});


/* Those of a page of history among those that are there, in order. */

function merged(messages, page) {
    const ofEpoch = (m) => m.epoch === page.epoch;
    const byOffset = new Map();

    page.messages.forEach((m) => byOffset.set(m.offset, named(m)));
    messages.filter(ofEpoch).forEach((m) => byOffset.set(m.offset, m));

    return [...messages.filter((m) => !ofEpoch(m)),
            ...[...byOffset.values()].sort((a, b) => a.offset - b.offset)];
}


class Store {
    #client; #channel; #options; #discard; #first; #snapshot;
    #components = new Set();
    #offs = null;               /* what ends our listening; null: at rest */
    #filled = false; #stopTimer; #fillTimer;

    constructor(client, channel, options, discard) {
        this.#client = client;
        this.#channel = channel;
        this.#options = options;
        this.#discard = discard;
        this.#first = { ...IDLE, state: client.state,
                        publish: (data, how) =>
                            client.publish(channel, data, how) };
        this.#snapshot = this.#first;
    }

    read = () => this.#snapshot;
    first = () => this.#first;

    subscribe = (changed) => {
        this.#components.add(changed);
        clearTimeout(this.#stopTimer);
        this.#offs ?? this.#start();

        return () => {
            this.#components.delete(changed);

            if (!this.#components.size) {
                this.#stopTimer = setTimeout(() => this.#stop(), LINGER);
            }
        };
    };

    #start() {
        const client = this.#client;
        const ours = (fn) => (it) => {
            it.channel === this.#channel && fn(it);
        };

        this.#offs = [
            client.on('state', (...to) => this.#became(...to)),
            client.on('resume', ours((resume) => this.#resumed(resume))),
            client.on('error', ours((error) => this.#failed(error))),
        ];

        if (this.#options.presence) {
            this.#offs.push(client.onMembers(this.#channel, (members) =>
                this.#change({ members })));
        }

        this.#change({ state: client.state });
        this.#join();
    }

    #stop() {
        this.#offs.forEach((off) => off());
        this.#offs = null;
        this.#filled = false;
        this.#snapshot = this.#first;
        clearTimeout(this.#fillTimer);
        this.#client.unsubscribe(this.#channel, this.#hear).catch(() => {});
        this.#discard(this);
    }

    #join() {
        this.#client.subscribe(this.#channel, this.#hear).then(
            () => { this.#change({ error: null }); this.#fill(); },
            (error) => this.#change({ error }));
    }

    #hear = (message) => {
        this.#keep([...this.#snapshot.messages, named(message)]);
    };

    #keep(messages) {
        this.#change({ messages: messages.slice(-this.#options.limit) });
    }

    /* A client that was closed has forgotten its channels. */

    #became(state, { code, reason }) {
        const anew = this.#snapshot.state === 'closed';

        if (state === 'closed') {
            const error = new WscastError(code, reason, this.#channel);

            this.#change({ state, error });

        } else {
            this.#change({ state });
            anew && this.#join();
        }
    }

    #resumed(resume) {
        this.#change({ resume, recovered: resume.recovered });

        if (!resume.recovered || !this.#filled) {
            this.#fill();
        }
    }

    #failed(error) {
        if (!this.#client.channels.includes(this.#channel)) {
            this.#change({ error });
        }
    }

    /*
     * History comes after the subscription, so that nothing is between the
     * two; where there is none, or it is not ours to see, we begin empty.
     */

    async #fill() {
        const limit = Math.min(this.#options.history, this.#options.limit);

        clearTimeout(this.#fillTimer);

        if (!this.#offs) {
            return;
        }

        try {
            const { epoch } = await this.#client.subscribe(this.#channel);

            if (epoch && limit > 0 && this.#offs) {
                const page = await this.#client.history(this.#channel,
                                                        { limit });
                this.#keep(merged(this.#snapshot.messages, page));
            }

            this.#filled = true;

        } catch (error) {
            if (this.#offs && (error.code === 429 || error.code === 503)) {
                this.#fillTimer = setTimeout(() => this.#fill(), RETRY);
            }
        }
    }

    #change(changes) {
        if (this.#offs) {
            this.#snapshot = { ...this.#snapshot, ...changes };
            this.#components.forEach((changed) => changed());
        }
    }
}
