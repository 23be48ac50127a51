/* The types of wscast.js; the manual is docs/client.md. */

export type State = 'connecting' | 'open' | 'waiting' | 'closed';

/** What the server says first on every connection. */
export interface Welcome {
    type: 'welcome';
    /** this connection's name; another one after each reconnect */
    client: string;
    user?: string;
    /** seconds */
    ping?: number;
    /** what `wscast_welcome` says in nginx.conf */
    msg?: unknown;
}

export interface Message<Data = unknown> {
    type: 'message';
    channel: string;
    data: Data;
    /** absent unless a client published it */
    client?: string;
    user?: string;
    /** milliseconds since 1970 */
    time?: number;
    /** these two only on channels with history */
    epoch?: string;
    offset?: number;
}

export interface Subscribed {
    channel: string;
    epoch?: string;
    offset?: number;
}

export interface Published {
    channel: string;
    epoch?: string;
    offset?: number;
}

export interface Closed {
    code: number;
    reason: string;
    /** milliseconds until the next attempt; absent: there is none */
    delay?: number;
}

export interface StateDetail {
    /** waiting and closed: why */
    code?: number;
    /** waiting: milliseconds until the next attempt */
    delay?: number;
}

export interface Events {
    open: (welcome: Welcome) => void;
    close: (closed: Closed) => void;
    state: (state: State, detail: StateDetail) => void;
    message: (message: Message) => void;
    error: (error: WscastError) => void;
}

export interface WebSocketConstructor {
    new (url: string, protocols?: string | string[]): {
        onmessage: unknown;
        onclose: unknown;
        onerror: unknown;
        send(text: string): void;
        close(code?: number): void;
    };
}

export interface Options {
    /** milliseconds of silence before a ping; default: the server's interval */
    heartbeat?: number;
    /** milliseconds to wait for a welcome or an answer to a ping; 10000 */
    timeout?: number;
    /** milliseconds before the first retry; 1000 */
    retryMin?: number;
    /** milliseconds between retries at most; 30000 */
    retryMax?: number;
    /** subprotocols to offer */
    protocols?: string | string[];
    /** where there is no global one */
    WebSocket?: WebSocketConstructor;
}

export class WscastError extends Error {
    constructor(code: number, reason: string, channel?: string);
    /**
     * below 600: the server's answer, as HTTP's; from 1000: the close code
     * of a connection that was lost before the answer; 0: nothing was sent
     */
    readonly code: number;
    readonly reason: string;
    readonly channel?: string;
}

export class Wscast {
    constructor(url: string | URL, options?: Options);

    readonly state: State;
    /** the welcome of the connection that is open, or null */
    readonly welcome: Welcome | null;

    /** Returns the function that takes the listener away again. */
    on<E extends keyof Events>(event: E, fn: Events[E]): () => void;

    connect(): this;
    close(): void;

    subscribe<Data = unknown>(channel: string,
        fn?: (message: Message<Data>) => void): Promise<Subscribed>;
    unsubscribe<Data = unknown>(channel: string,
        fn?: (message: Message<Data>) => void): Promise<void>;
    publish(channel: string, data: unknown): Promise<Published>;
}
