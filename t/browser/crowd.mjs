/*
 * Runs within a page of the chat: clients that publish to one room, and lose
 * their connections at random, some of them with what they had just published.
 * Returns what each of them heard, and what went wrong.
 */

export async function crowd({ clients, seconds }) {
    const { Wscast } = await import('/wscast/wscast.js');
    const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });
    const any = (all) => all[Math.floor(Math.random() * all.length)];
    const outcome = { published: 0, resumes: 0, broken: 0, errors: [] };

    async function member(i) {
        const heard = [];
        let socket;

        class Droppable extends WebSocket {
            constructor(...args) {
                super(...args);
                socket = this;
            }
        }

        const client = new Wscast('/ws', {
            WebSocket: Droppable, retryMin: 200, retryMax: 500,
            token: async () => (await (await fetch('/login', {
                method: 'POST', body: `{"name":"crowd ${i}"}`,
            })).json()).token,
        });

        client.on('error', (error) => outcome.errors.push(error.message));
        client.on('resume', ({ recovered }) => {
            outcome.resumes++;
            outcome.broken += !recovered;
        });
        await client.connect().subscribe('room:crowd', ({ data }) =>
            heard.push(data));

        return { client, heard, drop: () => socket.close(4000) };
    }

    const all = await Promise.all(Array.from({ length: clients },
                                             (_, i) => member(i)));
    const answers = [];
    const end = Date.now() + seconds * 1000;

    while (Date.now() < end) {
        const one = any(all);

        answers.push(one.client.publish('room:crowd', outcome.published++));
        Math.random() < 0.3 && one.drop();
        Math.random() < 0.1 && any(all).drop();
        await pause(40);
    }

    for (const { reason } of await Promise.allSettled(answers)) {
        reason && outcome.errors.push(reason.message);
    }

    for (const until = Date.now() + 10000; Date.now() < until;) {
        if (all.every(({ heard }) => heard.length >= outcome.published)) {
            break;
        }

        await pause(50);
    }

    await pause(500);           /* for what must not come */
    all.forEach(({ client }) => client.close());

    return { ...outcome, heard: all.map(({ heard }) => heard) };
}
