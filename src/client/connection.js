/*
 * connection.js: one connection to wscast that stays: it reconnects with
 * backoff, notices a dead peer, and keeps its token fresh.  What is said on it
 * is its owner's: see wscast.js.
 */

const MOVE = 1001;                      /* the server asks: reconnect now */
const EXPIRED = 4401;                   /* the token, that is */
const FINAL = new Set([4403, 4409]);    /* disconnected, replaced */
const MOVE_SPREAD = 100;
const LONGEST_TIMER = 2 ** 31 - 1;


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


/* Errors that pass: later the same may succeed. */

export const passes = (error) => error.code === 429
                                 || (error.code >= 500 && error.code < 600);


/* When a token ends, in seconds since 1970; undefined: it does not say. */

function expiry(token) {
    try {
        const [, payload] = token.split('.');

        return JSON.parse(atob(payload.replace(/-/g, '+')
                                      .replace(/_/g, '/'))).exp;
    } catch {
        return undefined;
    }
}


/*
 * The owner is told: opened(welcome), message(object), lost(error),
 * ended(error), state(state, detail), error(error); and is asked renew(token),
 * which resolves with the server's answer.  While welcome is null nothing can
 * be sent.
 */
export class Connection {
    state = 'closed';
    welcome = null;

    #url; #options; #owner; #attempt = null; #ws = null; #token;
    #socketTimer; #retryTimer; #renewTimer; #heardAt = 0; #asked = false;
    #interval = 25000; #delay; #movedAt = -Infinity;
    #online = () => this.#nudge();

    constructor(url, options, owner) {
        this.#url = new URL(url, globalThis.location?.href);
        this.#url.protocol = this.#url.protocol.replace(/^http/, 'ws');
        this.#url.hash = '';
        this.#options = options;
        this.#owner = owner;
        this.#delay = options.retryMin;

        if (!options.WebSocket) {
            throw new TypeError('no WebSocket here: pass one in the options');
        }
    }

    /* Changes with every connection. */

    get socket() { return this.#ws; }

    connect() {
        if (this.state === 'closed') {
            globalThis.addEventListener?.('online', this.#online);
            this.#delay = this.#options.retryMin;
        }

        if (!this.#attempt) {
            this.#open();
        }
    }

    close() {
        this.#detach()?.close(1000);
        this.#end(new WscastError(1000, 'closed by the application'));
    }

    send(text) {
        this.#ws.send(text);
    }

    #open() {
        const { token, timeout } = this.#options;
        const attempt = {};
        const ours = (fn) => (it) => { this.#attempt === attempt && fn(it); };

        clearTimeout(this.#retryTimer);
        this.#attempt = attempt;
        this.#socketTimer = setTimeout(() => this.#dead(), timeout);
        this.#become('connecting');

        if (!token) {
            this.#dial();
            return;
        }

        Promise.resolve().then(token).then(ours((it) => this.#dial(it)))
            .catch(ours((error) => {
                this.#lost(0, 'no token');
                this.#owner.error(error);
            }));
    }

    #dial(token) {
        const { WebSocket, protocols, tokenParameter } = this.#options;
        const url = new URL(this.#url);

        if (token) {
            url.searchParams.set(tokenParameter, token);
        }

        const ws = new WebSocket(url.href, protocols ?? []);

        this.#ws = ws;
        this.#token = token;
        ws.onmessage = (event) => this.#read(event.data);
        ws.onclose = (event) => this.#lost(event.code, event.reason);
        ws.onerror = () => {};      /* a close event follows */
    }

    #detach() {
        const ws = this.#ws;

        clearTimeout(this.#retryTimer);
        clearTimeout(this.#socketTimer);
        clearTimeout(this.#renewTimer);
        this.#attempt = null;
        this.#ws = null;
        this.#asked = false;
        this.welcome = null;

        if (ws) {
            ws.onmessage = ws.onclose = null;
        }

        return ws;
    }

    /* A dead peer never answers our close frame, so nobody waits for it. */

    #dead() {
        const ws = this.#ws;

        this.#lost(1006, 'no answer');
        ws?.close();
    }

    #lost(code, reason) {
        const error = new WscastError(code, reason || 'connection lost');
        const renewable = code === EXPIRED && this.#options.token;
        let delay;

        this.#detach();

        if (FINAL.has(code) || (code === EXPIRED && !renewable)) {
            this.#end(error);
            return;
        }

        /* a server that only ever says "move" is backed off like any other */

        if ((code === MOVE || renewable)
            && Date.now() - this.#movedAt >= 1000)
        {
            this.#movedAt = Date.now();
            delay = Math.random() * MOVE_SPREAD;

        } else {
            delay = this.#delay * (0.5 + Math.random() / 2);
            this.#delay = Math.min(this.#delay * 2, this.#options.retryMax);
        }

        this.#retryTimer = setTimeout(() => this.#open(), delay);
        this.#become('waiting', { delay, code, reason: error.reason },
                     () => this.#owner.lost(error));
    }

    /* Everything stops; only connect() begins again. */

    #end(error) {
        globalThis.removeEventListener?.('online', this.#online);
        this.#become('closed', { code: error.code, reason: error.reason },
                     () => this.#owner.ended(error));
    }

    /* The owner has settled its affairs before it tells of a new state. */

    #become(state, detail = {}, settle) {
        const changed = this.state !== state;

        this.state = state;
        settle?.();
        changed && this.#owner.state(state, detail);
    }

    /* The network came back: try now, or see whether the peer is there. */

    #nudge() {
        if (this.state === 'waiting') {
            this.#open();

        } else if (this.welcome && !this.#asked) {
            this.#ping();
        }
    }

    #beat() {
        const left = this.#heardAt + this.#interval - Date.now();

        if (this.#asked) {
            this.#dead();

        } else if (left > 0) {
            this.#beatIn(left);

        } else {
            this.#ping();
        }
    }

    #ping() {
        this.#asked = true;
        this.send('{"type":"ping"}');
        this.#beatIn(this.#options.timeout);
    }

    #beatIn(ms) {
        clearTimeout(this.#socketTimer);
        this.#socketTimer = setTimeout(() => this.#beat(), ms);
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
            this.#owner.error(new WscastError(0, 'not understood: ' + text));
            return;
        }

        if (message.type === 'welcome') {
            this.#welcomed(message);
        } else {
            this.#owner.message(message);
        }
    }

    #welcomed(welcome) {
        const seconds = welcome.ping > 0 ? welcome.ping : 25;

        this.welcome = welcome;
        this.#delay = this.#options.retryMin;
        this.#interval = this.#options.heartbeat || seconds * 1000;
        this.#beatIn(this.#interval);
        this.#options.token && this.#renewBefore(expiry(this.#token));
        this.#become('open', {}, () => this.#owner.opened(welcome));
    }

    /* A minute before its end, or when a fifth of a short life is left. */

    #renewBefore(expires) {
        const left = expires * 1000 - Date.now();

        if (left > 0) {
            this.#renewIn(Math.max(left - Math.min(left / 5, 60000), 1000));
        }
    }

    #renewIn(ms) {
        clearTimeout(this.#renewTimer);
        this.#renewTimer = setTimeout(() => this.#renew(),
                                      Math.min(ms, LONGEST_TIMER));
    }

    /* Where that fails the server closes with 4401 in the end. */

    async #renew() {
        const ws = this.#ws;

        try {
            const token = await this.#options.token();

            if (token && this.#ws === ws) {
                const { expires } = await this.#owner.renew(token);

                this.#renewBefore(expires ?? expiry(token));
            }
        } catch (error) {
            if (this.#ws !== ws) {
                return;
            }

            if (!(error instanceof WscastError) || passes(error)) {
                this.#renewIn(this.#options.retryMin * 5);
            }

            this.#owner.error(error);
        }
    }
}
