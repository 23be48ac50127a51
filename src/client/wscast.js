/*
 * wscast.js: the client of wscast's json dialect, for browsers and for Node.
 *
 * Over one connection that stays (connection.js) it subscribes again to every
 * channel that is still wanted, from where it was, and repeats under the same
 * key what it published without an answer, so that nothing is missed, doubled
 * or lost without being told.
 * The manual is docs/client.md, the types are in wscast.d.ts.
 */

import { Connection, WscastError, passes } from './connection.js';
import { Roster } from './roster.js';

export { WscastError };

const PAGE = 1000;                      /* members in one answer */


const positionOf = ({ epoch, offset }) => epoch ? { epoch, offset } : null;


function randomName() {
    const words = crypto.getRandomValues(new Uint32Array(4));

    return Array.from(words, (word) => word.toString(36)).join('');
}


export class Wscast {
    #options; #connection; #lastId = 0; #lastKey = 0; #name = randomName();
    #requests = new Map();      /* id => what waits for its answer */
    #channels = new Map();      /* name => a channel that is wanted */
    #rosters = new Map();       /* channel's name => Roster, if wanted */
    #listeners = new Map();     /* event => Set of functions */

    constructor(url, options = {}) {
        this.#options = { timeout: 10000, retryMin: 1000, retryMax: 30000,
                          publishTimeout: 30000, queue: 100,
                          tokenParameter: 'token',
                          WebSocket: globalThis.WebSocket, ...options };

        this.#connection = new Connection(url, this.#options, {
            opened: () => this.#opened(),
            message: (message) => this.#read(message),
            renew: (token) => this.#request({ type: 'token', token }),
            lost: (error) => this.#settle(error, (request) => !request.kept),
            ended: (error) => this.#ended(error),
            error: (error) => this.#emit('error', error),
            state: (state, detail) => this.#became(state, detail),
        });
    }

    get state() { return this.#connection.state; }
    get welcome() { return this.#connection.welcome; }
    get channels() { return [...this.#channels.keys()]; }

    on(event, fn) {
        const fns = this.#listeners.get(event) ?? new Set();

        this.#listeners.set(event, fns.add(fn));

        return () => { fns.delete(fn); };
    }

    connect() {
        this.#connection.connect();
        return this;
    }

    close() {
        this.#connection.close();
    }

    subscribe(name, fn) {
        let channel = this.#channels.get(name);

        if (!channel) {
            channel = { name, fns: new Set(), joined: null, waiting: [],
                        position: null, former: undefined };
            this.#channels.set(name, channel);

            if (this.welcome) {
                this.#join(channel);
            }
        }

        if (fn) {
            channel.fns.add(fn);
        }

        return channel.joined ? Promise.resolve(channel.joined)
            : new Promise((resolve, reject) => {
                channel.waiting.push({ resolve, reject });
            });
    }

    /* With fn: takes fn away, and leaves the channel when it was the last. */

    async unsubscribe(name, fn) {
        const channel = this.#channels.get(name);

        if (!channel || (fn && (!channel.fns.delete(fn) || channel.fns.size))) {
            return;
        }

        this.#forget(channel, new WscastError(0, 'unsubscribed', name));

        try {
            await this.#request({ type: 'unsubscribe', channel: name });

        } catch (error) {
            /* 404 or no connection: we are off the channel either way */

            if (error.code !== 404 && error.code > 0 && error.code < 600) {
                throw error;
            }
        }
    }

    /*
     * The key makes a repeat harmless, so that what had no answer when the
     * connection was lost is sent again.  With queue: false: now or never.
     */

    publish(channel, data, { key, queue = true } = {}) {
        const message = { type: 'publish', channel, data, key };

        if (!queue) {
            return this.#request(message);
        }

        message.key ??= `${this.#name}-${++this.#lastKey}`;

        return new Promise((resolve, reject) => {
            if (this.state === 'closed') {
                throw new WscastError(0, 'not connected', channel);
            }

            if (!this.welcome && this.#kept() >= this.#options.queue) {
                throw new WscastError(0, 'too many wait already', channel);
            }

            this.#ask(message, (error, answer) => {
                error ? reject(error) : resolve(answer);
            }, true);
        });
    }

    async history(channel, { limit, before } = {}) {
        return this.#request({ type: 'history', channel, limit, before });
    }

    /* One page; its next, if there is one, is the after of the page to come. */

    async presence(channel, { limit, after } = {}) {
        return this.#request({ type: 'presence', channel, limit, after });
    }

    async members(channel) {
        const members = [];
        let page, after;

        do {
            page = await this.presence(channel, { limit: PAGE, after });
            members.push(...page.members);
            after = page.next;
        } while (after !== undefined);

        return members;
    }

    /* From now on: fn is called with all members whenever they change. */

    onMembers(name, fn) {
        const roster = this.#rosters.get(name) ?? new Roster();
        const listener = (members) => this.#call(fn, members);
        const known = roster.known;
        const off = roster.add(listener);

        this.#rosters.set(name, roster);

        if (known) {
            roster.tell([listener]);
        } else if (!roster.loading) {
            this.#callRoll(name);
        }

        return () => {
            off();

            if (!roster.wanted && this.#rosters.get(name) === roster) {
                this.#rosters.delete(name);
            }
        };
    }

    /* The conversation. */

    /*
     * done(error, answer) is called in the turn in which the answer comes.
     * What is kept outlives the connection, but not publishTimeout.
     */

    #ask(message, done, kept = false) {
        const id = ++this.#lastId;
        const request = { text: JSON.stringify({ ...message, id }), done, kept,
                          channel: message.channel, sentOn: null };

        this.#requests.set(id, request);
        this.#transmit(request);

        if (kept) {
            request.timer = setTimeout(() => this.#finish(id,
                new WscastError(request.sentOn ? 408 : 0, 'no answer in time',
                                message.channel)),
                this.#options.publishTimeout);
        }
    }

    #transmit(request) {
        const { welcome, socket } = this.#connection;

        if (welcome && request.sentOn !== socket) {
            request.sentOn = socket;
            this.#connection.send(request.text);
        }
    }

    #finish(id, error, answer) {
        const request = this.#requests.get(id);

        clearTimeout(request?.timer);
        this.#requests.delete(id);
        request?.done(error, answer);
    }

    #request(message) {
        return new Promise((resolve, reject) => {
            if (!this.welcome) {
                throw new WscastError(0, 'not connected', message.channel);
            }

            this.#ask(message, (error, answer) => {
                error ? reject(error) : resolve(answer);
            });
        });
    }

    #kept() {
        return [...this.#requests.values()].filter((r) => r.kept).length;
    }

    #opened() {
        this.#channels.forEach((channel) => this.#join(channel));
        this.#requests.forEach((request) => this.#transmit(request));
    }

    #settle({ code, reason }, which = () => true) {
        for (const channel of this.#channels.values()) {
            channel.joined = null;
        }

        for (const [id, request] of [...this.#requests]) {
            if (which(request)) {
                this.#finish(id, new WscastError(code, reason,
                                                 request.channel));
            }
        }
    }

    #ended(error) {
        this.#channels.forEach((channel) => this.#forget(channel, error));
        this.#settle(error);
    }

    #read(message) {
        if (message.type === 'message') {
            this.#heard(message);

        } else if (message.type === 'join' || message.type === 'leave') {
            this.#rosters.get(message.channel)?.change(message);
            this.#emit(message.type, message);

        } else if (message.id !== undefined || message.type === 'error') {
            this.#answered(message);

        } else {
            this.#told(message);
        }
    }

    /* A message at or before our position is one that we had. */

    #heard(message) {
        const channel = this.#channels.get(message.channel);
        const at = channel?.position;

        if (at?.epoch === message.epoch && at?.offset >= message.offset) {
            return;
        }

        if (channel && message.epoch) {
            channel.position = positionOf(message);
        }

        channel?.fns.forEach((fn) => this.#call(fn, message));
        this.#emit('message', message);
    }

    #answered(message) {
        const request = this.#requests.get(message.id);

        if (message.type !== 'error') {
            this.#finish(message.id, undefined, message);
            return;
        }

        const error = new WscastError(message.code, message.reason,
                                      request?.channel);

        request ? this.#finish(message.id, error) : this.#emit('error', error);
    }

    /*
     * What nobody asked for: a break, a token that no longer allows, or joins
     * and leaves that may be missing.
     */

    #told(message) {
        const channel = this.#channels.get(message.channel);

        if (channel?.joined && message.type === 'subscribed') {
            this.#joined(channel, message);

        } else if (channel?.joined && message.type === 'unsubscribed') {
            const error = new WscastError(403, 'no longer allowed',
                                          channel.name);
            this.#forget(channel, error);
            this.#emit('error', error);

        } else if (message.type === 'presence' && message.stale) {
            this.#callRoll(message.channel);
        }
    }

    /* Channels. */

    /* From where it was, if it was; as who it was, for the others' sake. */

    #join(channel) {
        const { socket } = this.#connection;
        const { name, position, former } = channel;
        const since = former && { ...position, client: former };

        this.#ask({ type: 'subscribe', channel: name, since },
                  (error, answer) => {
            if (!this.#isWanted(channel, socket)) {
                return;
            }

            /* 409: the location has joined us, and that is what we want */

            if (!error || error.code === 409) {
                this.#joined(channel, answer ?? { channel: name });
            } else {
                this.#refused(channel, error);
            }
        });
    }

    #isWanted(channel, socket) {
        return this.#channels.get(channel.name) === channel
               && this.#connection.socket === socket;
    }

    #joined(channel, answer) {
        const { name, position, former } = channel;
        const recovered = answer.recovered === true && position !== null;

        channel.former = this.welcome.client;
        channel.joined = answer;

        if (!recovered) {
            channel.position = positionOf(answer);
        }

        channel.waiting.splice(0).forEach((w) => w.resolve(answer));

        if (former) {
            const missed = recovered ? answer.offset - position.offset
                                     : undefined;

            this.#emit('resume', { channel: name, recovered, missed });
        }

        this.#callRoll(name);
    }

    /* Nobody waits: it was ours before, so what passes is waited out. */

    #refused(channel, error) {
        const { socket } = this.#connection;
        const asked = channel.waiting.length > 0;

        if (asked || !passes(error)) {
            this.#forget(channel, error);

        } else {
            setTimeout(() => this.#isWanted(channel, socket)
                             && this.#join(channel), this.#options.retryMin);
        }

        asked || this.#emit('error', error);
    }

    #forget(channel, error) {
        this.#channels.delete(channel.name);
        channel.waiting.splice(0).forEach((w) => w.reject(error));
    }

    async #callRoll(name) {
        const roster = this.#rosters.get(name);
        const channel = this.#channels.get(name);
        const { socket } = this.#connection;

        if (!roster || !channel?.joined) {
            return;
        }

        try {
            await roster.load(() => this.members(name));

        } catch (error) {
            if (!this.#isWanted(channel, socket)) {
                return;
            }

            passes(error) && setTimeout(() => this.#callRoll(name),
                                        this.#options.retryMin);
            this.#emit('error', error);
        }
    }

    /* The application. */

    #became(state, detail) {
        this.#emit('state', state, detail);

        if (state === 'open') {
            this.welcome && this.#emit('open', this.welcome);

        } else if (detail.code !== undefined) {
            this.#emit('close', detail);
        }
    }

    #emit(event, ...args) {
        this.#listeners.get(event)?.forEach((fn) => this.#call(fn, ...args));
    }

    #call(fn, ...args) {
        try {
            fn(...args);
        } catch (error) {
            (globalThis.reportError ?? console.error)(error);
        }
    }
}
