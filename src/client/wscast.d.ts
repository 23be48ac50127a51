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
    /** these two only on channels with history */
    epoch?: string;
    offset?: number;
    /** after a reconnect: what was missed follows */
    recovered?: boolean;
    /** after a reconnect: the member that this client still is */
    member?: string;
}

export interface Published {
    channel: string;
    epoch?: string;
    offset?: number;
}

export interface PublishOptions {
    /** a repeat under the same key publishes nothing; default: a fresh one */
    key?: string;
    /** false: now or never, without a key; default true */
    queue?: boolean;
}

/** A page of what was published, oldest first. */
export interface History<Data = unknown> {
    channel: string;
    /** these two not before somebody has published or subscribed */
    epoch?: string;
    /** of the newest message of the channel */
    offset?: number;
    messages: Message<Data>[];
    /** there are older ones */
    more?: boolean;
}

export interface Member<Info = unknown> {
    client: string;
    user?: string;
    info?: Info;
}

export interface Presence<Info = unknown> {
    channel: string;
    members: Member<Info>[];
    total: number;
    /** the `after` of the page to come; absent: this was the last */
    next?: string;
}

/** A member has come or gone. */
export interface Change<Info = unknown> extends Member<Info> {
    type: 'join' | 'leave';
    channel: string;
}

/** A channel goes on after a loss. */
export interface Resume {
    channel: string;
    /** false: messages may be missing here */
    recovered: boolean;
    /** recovered: how many messages follow, at most */
    missed?: number;
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
    reason?: string;
    /** waiting: milliseconds until the next attempt */
    delay?: number;
}

export interface Events {
    open: (welcome: Welcome) => void;
    close: (closed: Closed) => void;
    state: (state: State, detail: StateDetail) => void;
    message: (message: Message) => void;
    resume: (resume: Resume) => void;
    join: (change: Change) => void;
    leave: (change: Change) => void;
    /** a WscastError, or what the token callback threw */
    error: (error: Error) => void;
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

/** nothing: anonymous */
export type Token = string | null | undefined;

export interface Options {
    /** milliseconds of silence before a ping; default: the server's interval */
    heartbeat?: number;
    /** milliseconds to wait for a welcome or an answer to a ping; 10000 */
    timeout?: number;
    /** milliseconds before the first retry; 1000 */
    retryMin?: number;
    /** milliseconds between retries at most; 30000 */
    retryMax?: number;
    /** fetches a token, before each connection and before one ends */
    token?: () => Token | Promise<Token>;
    /** the query parameter that carries it; 'token' */
    tokenParameter?: string;
    /** milliseconds that a publish may wait for its answer; 30000 */
    publishTimeout?: number;
    /** publishes that may wait for a connection; 100 */
    queue?: number;
    /** subprotocols to offer */
    protocols?: string | string[];
    /** where there is no global one */
    WebSocket?: WebSocketConstructor;
}

export class WscastError extends Error {
    constructor(code: number, reason: string, channel?: string);
    /**
     * below 600: the server's answer, as HTTP's; from 1000: the close code
     * of a connection that was lost before the answer; 0: nothing was sent;
     * 408: sent, and not answered in time
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
    /** the names of those that are wanted */
    readonly channels: string[];

    /** Returns the function that takes the listener away again. */
    on<E extends keyof Events>(event: E, fn: Events[E]): () => void;

    connect(): this;
    close(): void;

    subscribe<Data = unknown>(channel: string,
        fn?: (message: Message<Data>) => void): Promise<Subscribed>;
    unsubscribe<Data = unknown>(channel: string,
        fn?: (message: Message<Data>) => void): Promise<void>;
    publish(channel: string, data: unknown,
        options?: PublishOptions): Promise<Published>;

    history<Data = unknown>(channel: string,
        options?: { limit?: number; before?: number }): Promise<History<Data>>;

    /** One page of the members. */
    presence<Info = unknown>(channel: string,
        options?: { limit?: number; after?: string }): Promise<Presence<Info>>;
    /** All of them, as they are now. */
    members<Info = unknown>(channel: string): Promise<Member<Info>[]>;
    /** All of them, now and at each change; returns what ends it. */
    onMembers<Info = unknown>(channel: string,
        fn: (members: Member<Info>[]) => void): () => void;
}
