/*
 * roster.js: who is in a channel, kept up to date.  The pages of the server's
 * answer come one after another while members come and go: whatever changes
 * meanwhile is later than the pages are, and is applied on top of them.
 */

export class Roster {
    known = false;              /* the members were read once */

    #members = new Map();       /* client's id => member */
    #changes = null;            /* while pages come: what changed meanwhile */
    #listeners = new Set();

    get wanted() { return this.#listeners.size > 0; }
    get loading() { return this.#changes !== null; }

    /* Returns what takes the listener away. */

    add(fn) {
        this.#listeners.add(fn);

        return () => { this.#listeners.delete(fn); };
    }

    /* read() resolves with all members; a later load() overtakes this one. */

    async load(read) {
        const changes = new Map();
        const overtaken = () => this.#changes !== changes;
        let members;

        this.#changes = changes;

        try {
            members = await read();
        } catch (error) {
            if (!overtaken()) {
                this.#changes = null;
                throw error;
            }
        }

        if (overtaken()) {
            return;
        }

        this.#changes = null;
        this.known = true;
        this.#members = new Map(members.map((m) => [m.client, m]));
        changes.forEach((change) => this.#apply(change));
        this.tell();
    }

    /* A join or a leave, as the server tells it. */

    change(change) {
        this.#changes?.set(change.client, change);
        this.#apply(change);
        this.known && this.tell();
    }

    tell(fns = this.#listeners) {
        const members = [...this.#members.values()];

        fns.forEach((fn) => fn(members));
    }

    #apply({ type, client, user, info }) {
        if (type === 'join') {
            this.#members.set(client, { client, user, info });
        } else {
            this.#members.delete(client);
        }
    }
}
