// ws.mjs PORT: a broadcast server in the manner of the README of ws: what
// comes on /pub goes to every client of /sub, what comes elsewhere comes back.

import { WebSocketServer, WebSocket } from 'ws';

const server = new WebSocketServer({
    host: '127.0.0.1',
    port: Number(process.argv[2]),
    backlog: 4096,
    perMessageDeflate: false,
});

server.on('connection', (client, request) => {
    client.subscribed = request.url === '/sub';
    client.on('error', console.error);

    client.on('message', (data, isBinary) => {
        if (request.url !== '/pub') {
            client.send(data, { binary: isBinary });
            return;
        }

        server.clients.forEach((other) => {
            if (other.subscribed && other.readyState === WebSocket.OPEN) {
                other.send(data, { binary: isBinary });
            }
        });
    });
});
