/*
 * client.h: as much of a WebSocket client as the load generator needs: text
 * frames, non-blocking, many in one process.
 *
 * Audience: blast.c, churn.c, fair.c.  A client is polled by its owner, who reads
 * epoll's events and calls client_read() and client_write().
 */

#ifndef LOAD_CLIENT_H
#define LOAD_CLIENT_H


#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>


typedef struct client_s  client_t;

struct client_s {
    int              fd;            /* -1: ended */
    int              upgraded;      /* 1: the 101 has come */
    int              closed;        /* the code of the server's close frame */
    int              id;
    int              fate;          /* the owner's */
    int              state;         /* the owner's */
    int              events;        /* epoll's, now */
    char            *in;
    size_t           in_len;
    size_t           in_size;
    char            *out;
    size_t           out_pos;
    size_t           out_len;
    size_t           out_size;
    void            *data;          /* the owner's */
};


/* Called for each text or binary message. */
typedef void (*client_message_pt)(client_t *c, char *data, size_t len);


/* Begins to connect to a port of 127.0.0.1; -1: errno tells why not. */
int client_open(client_t *c, int ep, int port, int source);

/* Queues the handshake; half: only a part of it. */
void client_handshake(client_t *c, const char *path, int half);

/* Queues a masked frame, or with half the first half of it. */
void client_frame(client_t *c, int opcode, const void *data, size_t len,
    int half);

/* Writes what is queued; -1: the connection is broken. */
int client_write(client_t *c, int ep);

/* Reads all there is; 1: goes on, 0: ended by the peer, -1: broken. */
int client_read(client_t *c, client_message_pt message);

/* Ends it: politely, or by a RST. */
void client_end(client_t *c, int reset);

double now(void);
void fatal(const char *what);


#endif /* LOAD_CLIENT_H */
