/*
 * wscast.js: the client of wscast's json dialect, for browsers and for Node.
 *
 * It keeps one connection alive: reconnects with backoff, notices a dead peer,
 * and subscribes again to every channel that is still wanted.  What it cannot
 * do is know whether a publish whose answer was lost went out: it rejects.
 * The manual is docs/client.md, the types are in wscast.d.ts.
 */

const MOVE = 1001;                      /* the server asks: reconnect now */
const FINAL = new Set([4401, 4403]);    /* token expired, disconnected */
const MOVE_SPREAD = 100;


/*
 * code < 600: the server's answer, as HTTP's; code >= 1000: the connection
 * closed with that code before the answer; 0: nothing was sent.
 */
export class WscastError extends Error {
    constructor(code, reason, channel) {
        super(code ? `${reason} (${code})` : reason);
        this.name = 'WscastError';
        this.code = code;
        this.reason = reason;
        this.channel = channel;
    }
}


export class Wscast {
    #url; #options; #state = 'closed'; #welcome = null;
    #ws = null; #socketTimer; #retryTimer; #heardAt = 0; #asked = false;
    #interval = 25000; #delay; #movedAt = -Infinity; #lastId = 0;
    #pending = new Map();       /* id => { resolve, reject, channel } */
    #channels = new Map();      /* name => a channel that is wanted */
    #listeners = new Map();     /* event => Set of functions */
    #online = () => this.#nudge();

    constructor(url, options = {}) {
        const absolute = new URL(url, globalThis.location?.href);

        absolute.protocol = absolute.protocol.replace(/^http/, 'ws');
        absolute.hash = '';

        this.#url = absolute.href;
        this.#options = { timeout: 10000, retryMin: 1000, retryMax: 30000,
                          WebSocket: globalThis.WebSocket, ...options };
        this.#delay = this.#options.retryMin;

        if (!this.#options.WebSocket) {
            throw new TypeError('no WebSocket here: pass one in the options');
        }
    }

    get state() { return this.#state; }
    get welcome() { return this.#welcome; }

    on(event, fn) {
        const fns = this.#listeners.get(event) ?? new Set();

        this.#listeners.set(event, fns.add(fn));

        return () => { fns.delete(fn); };
    }

    connect() {
        if (this.#state === 'closed') {
            globalThis.addEventListener?.('online', this.#online);
            this.#delay = this.#options.retryMin;
        }

        if (!this.#ws) {
            this.#open();
        }

        return this;
    }

    close() {
        this.#detach()?.close(1000);
        this.#end(new WscastError(1000, 'closed by the application'));
    }

    subscribe(name, fn) {
        let channel = this.#channels.get(name);

        if (!channel) {
            channel = { name, fns: new Set(), joined: null, waiting: [] };
            this.#channels.set(name, channel);

            if (this.#state === 'open') {
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

    publish(name, data) {
        return this.#request({ type: 'publish', channel: name, data });
    }

    /* The connection. */

    #open() {
        const { WebSocket, protocols, timeout } = this.#options;
        const ws = new WebSocket(this.#url, protocols ?? []);

        clearTimeout(this.#retryTimer);
        this.#ws = ws;
        this.#socketTimer = setTimeout(() => this.#dead(), timeout);

        ws.onmessage = (event) => this.#read(event.data);
        ws.onclose = (event) => this.#lost(event.code, event.reason);
        ws.onerror = () => {};      /* a close event follows */

        this.#become('connecting');
    }

    #detach() {
        const ws = this.#ws;

        clearTimeout(this.#retryTimer);
        clearTimeout(this.#socketTimer);
        this.#ws = null;
        this.#welcome = null;

        if (ws) {
            ws.onmessage = ws.onclose = null;
        }

        return ws;
    }

    /* A dead peer never answers our close frame, so nobody waits for it. */

    #dead() {
        const ws = this.#ws;

        this.#lost(1006, 'no answer');
        ws.close();
    }

    #lost(code, reason) {
        const error = new WscastError(code, reason || 'connection lost');
        let delay;

        this.#detach();

        if (FINAL.has(code)) {
            this.#end(error);
            return;
        }

        /* a server that only ever says "move" is backed off like any other */

        if (code === MOVE && Date.now() - this.#movedAt >= 1000) {
            this.#movedAt = Date.now();
            delay = Math.random() * MOVE_SPREAD;

        } else {
            delay = this.#delay * (0.5 + Math.random() / 2);
            this.#delay = Math.min(this.#delay * 2, this.#options.retryMax);
        }

        this.#retryTimer = setTimeout(() => this.#open(), delay);
        this.#settle(error);
        this.#become('waiting', { delay, code });
        this.#emit('close', { code, reason: error.reason, delay });
    }

    /* Everything stops; only connect() begins again. */

    #end(error) {
        globalThis.removeEventListener?.('online', this.#online);
        this.#channels.forEach((channel) => this.#forget(channel, error));
        this.#settle(error);

        if (this.#state !== 'closed') {
            this.#become('closed', { code: error.code });
            this.#emit('close', { code: error.code, reason: error.reason });
        }
    }

    /* The network came back: try now, or see whether the peer is there. */

    #nudge() {
        if (this.#state === 'waiting') {
            this.#open();

        } else if (this.#state === 'open' && !this.#asked) {
            this.#ask();
        }
    }

    #beat() {
        const left = this.#heardAt + this.#interval - Date.now();

        if (this.#asked) {
            this.#dead();

        } else if (left > 0) {
            this.#beatIn(left);

        } else {
            this.#ask();
        }
    }

    #ask() {
        this.#asked = true;
        this.#ws.send('{"type":"ping"}');
        this.#beatIn(this.#options.timeout);
    }

    #beatIn(ms) {
        clearTimeout(this.#socketTimer);
        this.#socketTimer = setTimeout(() => this.#beat(), ms);
    }

    /* The conversation. */

    #request(message) {
        return new Promise((resolve, reject) => {
            const channel = message.channel;

            if (this.#state !== 'open') {
                throw new WscastError(0, 'not connected', channel);
            }

            const id = ++this.#lastId;
            const text = JSON.stringify({ ...message, id });

            this.#pending.set(id, { resolve, reject, channel });
            this.#ws.send(text);
        });
    }

    #settle(error) {
        const pending = [...this.#pending.values()];

        this.#pending.clear();

        for (const channel of this.#channels.values()) {
            channel.joined = null;
        }

        for (const { reject, channel } of pending) {
            reject(new WscastError(error.code, error.reason, channel));
        }
    }

    async #join(channel) {
        const ws = this.#ws;
        const ours = () => this.#channels.get(channel.name) === channel;
        let answer, error;

        try {
            answer = await this.#request({ type: 'subscribe',
                                           channel: channel.name });
        } catch (e) {
            error = e;
        }

        if (!ours() || this.#ws !== ws) {
            return;
        }

        /* 409: the location has joined us already, and that is what we want */

        if (!error || error.code === 409) {
            channel.joined = answer ?? { channel: channel.name };
            channel.waiting.splice(0).forEach((w) => w.resolve(channel.joined));
            return;
        }

        /* nobody waits: it was ours before, so what passes is waited out */

        if (channel.waiting.length) {
            this.#forget(channel, error);
            return;
        }

        if (error.code === 429 || error.code >= 500) {
            setTimeout(() => ours() && this.#ws === ws && this.#join(channel),
                       this.#options.retryMin);
        } else {
            this.#forget(channel, error);
        }

        this.#emit('error', error);
    }

    #forget(channel, error) {
        this.#channels.delete(channel.name);
        channel.waiting.splice(0).forEach((w) => w.reject(error));
    }

    #read(text) {
        let message;

        this.#heardAt = Date.now();

        if (this.#asked) {
            this.#asked = false;
            this.#beatIn(this.#interval);
        }

        try {
            message = JSON.parse(text) ?? {};
        } catch {
            this.#emit('error', new WscastError(0, 'not understood: ' + text));
            return;
        }

        if (message.type === 'welcome') {
            this.#welcomed(message);

        } else if (message.type === 'message') {
            this.#channels.get(message.channel)?.fns
                .forEach((fn) => this.#call(fn, message));
            this.#emit('message', message);

        } else {
            this.#answered(message);
        }
    }

    #welcomed(welcome) {
        const seconds = welcome.ping > 0 ? welcome.ping : 25;

        this.#welcome = welcome;
        this.#delay = this.#options.retryMin;
        this.#interval = this.#options.heartbeat || seconds * 1000;
        this.#beatIn(this.#interval);

        this.#become('open');
        this.#channels.forEach((channel) => this.#join(channel));
        this.#emit('open', welcome);
    }

    #answered(message) {
        const request = this.#pending.get(message.id);
        const failed = message.type === 'error';
        const error = failed && new WscastError(message.code, message.reason,
                                                request?.channel);
        this.#pending.delete(message.id);

        if (failed) {
            request ? request.reject(error) : this.#emit('error', error);
        } else {
            request?.resolve(message);
        }
    }

    /* The application. */

    #become(state, detail = {}) {
        if (this.#state !== state) {
            this.#state = state;
            this.#emit('state', state, detail);
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
