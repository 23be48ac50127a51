/*
 * load.h: the load generator: many WebSocket clients in one thread, which
 * check every message that they are given and count what it cost the server.
 *
 * Audience: the files of this directory.  One process is one load: its state
 * is global, and what cannot be had (memory, a socket's option) ends it.
 *
 * The law of the figures: a message names its stream, its phase (the command
 * that published it), its number in the stream, when it was due and how long
 * it is.  A receiver knows from that what it has lost, got twice, got late in
 * the order of its stream, or got changed.
 */

#ifndef LOAD_H
#define LOAD_H


#define _GNU_SOURCE

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>


#define LOAD_BUFFER    262144       /* read at once; bounds a frame */
#define LOAD_URLS      64
#define LOAD_PIDS      64
#define LOAD_MARK      41           /* bytes of a payload's head */
#define LOAD_SIZE_MIN  48           /* of a payload */
#define LOAD_SIZE_MAX  100000
#define LOAD_STREAMS   65536        /* four hexadecimal digits */


typedef struct {
    struct sockaddr_in     addr;
    char                   host[80];        /* with its port */
    char                   path[512];       /* %d: the index of the client */
} load_url_t;


typedef struct {
    uint8_t               *data;
    size_t                 len;
    size_t                 size;
} load_buf_t;


typedef enum {
    LOAD_SUBSCRIBER = 0,
    LOAD_PUBLISHER,
    LOAD_CYCLER                             /* connects, closes, again */
} load_role_e;


typedef enum {
    LOAD_DEAD = 0,
    LOAD_CONNECTING,
    LOAD_HANDSHAKE,
    LOAD_JOINING,                           /* awaits answers, see --ack */
    LOAD_READY,
    LOAD_CLOSING                            /* has sent a close frame */
} load_state_e;


typedef struct {
    int                    fd;
    uint32_t               index;
    uint8_t                role;
    uint8_t                state;
    uint8_t                opcode;          /* of the message begun; 0: none */
    uint8_t                deflated;        /* the message begun is */
    uint8_t                close_seen;
    uint32_t               acks;
    uint32_t               seq;             /* echo: what is awaited */
    uint64_t               began;           /* connecting */
    load_buf_t             rest;            /* received, not a frame yet */
    load_buf_t             message;         /* fragments */
    load_buf_t             out;             /* not sent yet */
} load_conn_t;


/* What one subscriber has got of one stream. */

typedef struct {
    uint32_t               next;
    uint32_t               got;
    uint64_t               seen;            /* bit 0: next - 1, and so on */
} load_track_t;


typedef struct {
    uint64_t               delivered;
    uint64_t               own;             /* to publishers */
    uint64_t               duplicates;
    uint64_t               disordered;
    uint64_t               corrupt;
    uint64_t               stale;           /* of an earlier phase */
    uint64_t               foreign;         /* no message of ours */
    uint64_t               compressed;      /* messages */
    uint64_t               bytes;           /* received */
    uint64_t               reads;
    uint64_t               last;            /* when the last was delivered */
} load_count_t;


typedef struct {
    double                 cpu;             /* seconds */
    double                 user;            /* of it, sampled by the kernel */
    double                 redis;
    double                 self;
    uint64_t               at;              /* ns */
} load_snap_t;


typedef struct {
    int                    clients;
    int                    publishers;
    int                    opening;         /* connects in flight */
    int                    source;          /* address to begin with */
    int                    streams;         /* of a group */
    int                    fan;             /* clients of a group; 0: all */
    int                    deflate;
    int                    spin;            /* does not sleep in a run */
    const char            *join;            /* sent once per stream */
    const char            *ack;             /* in an answer to it */
    const char            *say;             /* wraps a payload */
    load_url_t             urls[LOAD_URLS];
    int                    nurls;
    load_url_t             publish;
    int                    pids[LOAD_PIDS];
    int                    npids;
    int                    redis[LOAD_PIDS];
    int                    nredis;
} load_options_t;


typedef struct {
    load_options_t         options;
    int                    epoll;
    load_conn_t           *clients;
    load_conn_t           *publishers;
    load_track_t          *tracks;          /* clients x options.streams */
    uint32_t              *published;       /* per stream */
    int                    nstreams;        /* of all groups */
    load_count_t           count;
    uint64_t               ready;
    uint64_t               failed;
    uint64_t               dropped;         /* ready ones that have ended */
    uint32_t               phase;
    uint32_t               size;            /* of the phase's payloads */
    int                    echoing;
    int                    agreed;          /* on deflate */
    int                    ended;           /* of the input */
    char                   error[200];      /* the first */
} load_t;


extern load_t  load;


/* time.c */

uint64_t load_now(void);
load_snap_t load_snap(void);
void load_latency_reset(void);
void load_latency_add(uint64_t ns);
double load_latency(double quantile);       /* microseconds */

/* output.c: one JSON object a line; error() keeps the first. */

void load_begin(const char *command);
void load_number(const char *key, double value);
void load_text(const char *key, const char *value);
void load_checked(uint64_t lost);
void load_latencies(void);
void load_cost(const load_snap_t *from, const load_snap_t *to, double per);
void load_end(void);
void load_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void load_fail(const char *fmt, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

/* conn.c */

load_conn_t *load_conns(int n, load_role_e role);
void load_open(load_conn_t *conns, int n, const load_url_t *url);
void load_connect(load_conn_t *c, const load_url_t *url);
void load_close(load_conn_t *c, const char *why);
void load_send(load_conn_t *c, const uint8_t *data, size_t len);
void load_turn(int64_t ns);                 /* one epoll_wait, at most ns */
void load_pump(double seconds);
int load_alive(void);                       /* clients that are ready */

/* frame.c */

void load_buf_add(load_buf_t *b, const void *data, size_t len);
size_t load_frames(load_conn_t *c, uint8_t *data, size_t len, uint64_t now);
void load_frame(load_conn_t *c, unsigned opcode, const uint8_t *data,
    size_t len);
void load_inflate_init(void);

/* message.c */

void load_message(load_conn_t *c, const uint8_t *data, size_t len,
    uint64_t now);
void load_phase(uint32_t size);             /* a new one, all counts zero */
void load_say(load_conn_t *c, uint32_t stream, uint32_t seq, uint64_t due);
void load_join(load_conn_t *c);
uint64_t load_lost(void);
uint32_t load_first(const load_conn_t *c);  /* stream of a client */

/* cycle.c */

void load_cycle(int conns, double seconds, uint64_t most);
void load_cycle_step(load_conn_t *c);

/* fan.c, and echo.c */

#define LOAD_FLOW      -1           /* a window, see load_run() */

void load_run(uint32_t size, int window, double rate, double seconds);
void load_burst(uint32_t size, int messages, int times);
void load_watch(uint32_t phase, uint32_t size, uint32_t messages,
    double seconds);
void load_echo(uint32_t size, double seconds);
void load_echo_next(load_conn_t *c);


#endif /* LOAD_H */
