/* The types of use-wscast.js; the manual is docs/client.md. */

import type {
    Member, Message, Published, PublishOptions, Resume, State, Wscast,
} from './wscast.js';

export interface ChannelOptions {
    /** messages to keep; 200 */
    limit?: number;
    /** messages to begin with, where the channel has history; 50 */
    history?: number;
    /** whether to follow who is there; true */
    presence?: boolean;
}

/** `id` tells messages apart: React's key. */
export type ChannelMessage<Data = unknown> = Message<Data> & { id: string };

export interface Channel<Data = unknown, Info = unknown> {
    /** the last ones, oldest first */
    readonly messages: readonly ChannelMessage<Data>[];
    readonly members: readonly Member<Info>[];
    /** the client's */
    readonly state: State;
    /** whether the last loss was made good; null: there was none */
    readonly recovered: boolean | null;
    /** the last resume: another object each time */
    readonly resume: Resume | null;
    /** why the channel is not subscribed */
    readonly error: Error | null;
    /** always the same function */
    readonly publish: (data: Data,
        options?: PublishOptions) => Promise<Published>;
}

/** Without a client or a channel it is empty and at rest. */
export function useChannel<Data = unknown, Info = unknown>(
    client: Wscast | null | undefined, channel: string | null | undefined,
    options?: ChannelOptions): Channel<Data, Info>;
