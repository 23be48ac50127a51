/*
 * conn.h: one client's socket after the handshake.
 *
 * Audience: worker (owns the set), http/upgrade (creates), http/api (ends).
 *
 * A connection ends by three verbs: _shutdown() asks it to move, _finalize()
 * records the first reason and posts, and only the closing inside this room,
 * at the top of an event handler, frees.  So nobody is freed inside a call of
 * his own, and during a delivery nobody is freed at all.
 *
 * One function, ngx_wscast_conn_proceed(), sets event interest and timers.
 */

#ifndef NGX_WSCAST_CONN_H
#define NGX_WSCAST_CONN_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "../base/counter.h"
#include "../session/limits.h"
#include "../session/session.h"
#include "../wire/message.h"
#include "outq.h"


#define NGX_WSCAST_READ_BUFFER   65536      /* one per worker */
#define NGX_WSCAST_READ_TURNS    2          /* buffers of one client per turn */
#define NGX_WSCAST_READ_MESSAGES 128        /* messages of one per turn */
#define NGX_WSCAST_READ_UNPACKED 1024       /* bytes of a packed message that
                                               take as long as a message */
#define NGX_WSCAST_FLUSH_SLICE   1000       /* us of a turn, for writing */
#define NGX_WSCAST_CLOSE_TIME    5000       /* ms for the peer's close frame */
#define NGX_WSCAST_LINGER_TIME   2000       /* ms for the end of its stream */

#define NGX_WSCAST_CONN_MAGIC    0x77736363 /* "wscc" */

/* Debug builds stop whoever comes in with a connection that is none. */

#ifdef WSCAST_DEBUG
#define ngx_wscast_conn_check(conn)                                           \
    if ((conn)->magic != NGX_WSCAST_CONN_MAGIC) {                             \
        ngx_abort();                                                          \
    }
#else
#define ngx_wscast_conn_check(conn)
#endif


typedef struct ngx_wscast_conn_s   ngx_wscast_conn_t;
typedef struct ngx_wscast_conns_s  ngx_wscast_conns_t;


/* Of a location; lives as long as the configuration. */

typedef struct {
    wscast_session_conf_t      session;
    size_t                     message_size;
    size_t                     send_buffer;
    ngx_flag_t                 send_drop;
    ngx_msec_t                 ping_interval;   /* 0: no pings */
    ngx_msec_t                 ping_timeout;
    ngx_msec_t                 drain;
    wscast_rate_t              rate;            /* of a client's messages */
} ngx_wscast_conn_conf_t;


/* All clients of a hub in this worker; the worker's. */

struct ngx_wscast_conns_s {
    ngx_queue_t                queue;
    ngx_queue_t                dirty;       /* have something to proceed with */
    ngx_event_t                flush;       /* posted: proceeds with them */
    ngx_event_t                drain;       /* timer: asks clients to move */
    ngx_uint_t                 count;
    u_char                    *buffer;      /* NGX_WSCAST_READ_BUFFER bytes */
    uint64_t                  *counters;
    wscast_deflate_t          *deflate;     /* the process's */

    /* delivers what has been published and is on its way within this host */
    void                     (*settle)(void *ctx);
    void                      *settle_ctx;
    unsigned                   draining:1;
};


/* Named by what is awaited. */

typedef enum {
    NGX_WSCAST_CONN_OPEN = 0,       /* messages */
    NGX_WSCAST_CONN_FLUSH,          /* the close frame to leave */
    NGX_WSCAST_CONN_CLOSE,          /* the peer's close frame */
    NGX_WSCAST_CONN_LINGER          /* the end of the peer's stream */
} ngx_wscast_conn_e;


/* Gives the socket back to whoever handed it over, who closes it. */
typedef void (*ngx_wscast_conn_end_pt)(void *data, ngx_connection_t *c);


struct ngx_wscast_conn_s {
    /* what every delivery looks at, with the session's head: 176 bytes */

    uint32_t                        magic;
    wscast_status_t                 reason;     /* WSCAST_OK: none yet */
    ngx_socket_t                    fd;         /* the connection's */
    unsigned                        state:3;    /* ngx_wscast_conn_e */
    unsigned                        pinged:1;
    unsigned                        peer_closed:1;  /* its close frame came */
    unsigned                        failed:1;   /* the socket is broken */
    unsigned                        deaf:1;     /* input is not understood */
    unsigned                        secure:1;   /* TLS */
    unsigned                        full:1;     /* the socket takes no more */
    unsigned                        settled:1;  /* interest in events is set */
    unsigned                        peer_code:16;   /* of its close frame */
    ngx_wscast_conns_t             *conns;
    const ngx_wscast_conn_conf_t   *conf;
    ngx_queue_t                     dirty;      /* of conns; self: not in it */
    off_t                           sent;       /* bytes, for the connection */
    ngx_wscast_outq_t               out;

    wscast_session_t                session;

    ngx_connection_t               *connection;
    ngx_queue_t                     queue;      /* of conns */

    u_char                         *tls;        /* what OpenSSL was given */
    uint32_t                        tls_pos;
    uint32_t                        tls_len;

    u_char                         *input;      /* received, not parsed yet */
    uint32_t                        input_pos;
    uint32_t                        input_len;

    ngx_msec_t                      heard;      /* when something last came */
    ngx_msec_t                      move_at;    /* draining: when to be asked */
    uint64_t                        due;        /* of rate */
    ngx_event_t                    *expiry;     /* timer: of its token; NULL:
                                                   it has none */
    ngx_wscast_conn_end_pt          end;
    void                           *end_data;

    wscast_assembler_t              assembler;
};


/* 1: when the close frame has left nothing more is awaited of the peer. */
#define ngx_wscast_conn_ends(conn)                                            \
    ((conn)->state != NGX_WSCAST_CONN_OPEN                                    \
     && ((conn)->peer_closed || (conn)->deaf))

/* Bytes that a delivery looks at before the session. */
#define NGX_WSCAST_CONN_HEAD  offsetof(ngx_wscast_conn_t, session)


/* NGX_ERROR: no memory. */
ngx_int_t ngx_wscast_conns_init(ngx_wscast_conns_t *conns,
    uint64_t *counters, void (*settle)(void *ctx), void *ctx,
    ngx_log_t *log);

/* Closes what is left at once, without a word. */
void ngx_wscast_conns_done(ngx_wscast_conns_t *conns);

/* Ends them all for this reason. */
void ngx_wscast_conns_finalize(ngx_wscast_conns_t *conns,
    wscast_status_t reason);

/*
 * Proceeds with those who have something to proceed with, until it is end (of
 * ngx_wscast_conn_clock()).  NGX_OK, or NGX_AGAIN: the rest is posted.  Not to
 * be called during a delivery.
 */
ngx_int_t ngx_wscast_conns_flush(ngx_wscast_conns_t *conns, uint64_t end);

/* Microseconds of a clock that goes on during an event. */
uint64_t ngx_wscast_conn_clock(void);

/*
 * Asks each client to move, at its own random moment within the drain time of
 * its location, and keeps the process until all have gone.
 */
void ngx_wscast_conns_drain(ngx_wscast_conns_t *conns);


/*
 * Takes over a socket on which the handshake is done; input: bytes that came
 * glued to it.  Reading begins in a posted event.  NULL: no memory, the socket
 * is still the caller's (so are the grants of params).
 */
ngx_wscast_conn_t *ngx_wscast_conn_create(ngx_wscast_conns_t *conns,
    ngx_connection_t *c, const ngx_wscast_conn_conf_t *conf,
    const wscast_engine_t *engine, const wscast_session_params_t *params,
    const u_char *input, size_t len, ngx_wscast_conn_end_pt end, void *data);

/* Asks the client to move: tells its session, then 1001. */
void ngx_wscast_conn_shutdown(ngx_wscast_conn_t *conn);

/* Records the reason, if it is the first, and posts. */
void ngx_wscast_conn_finalize(ngx_wscast_conn_t *conn,
    wscast_status_t reason);

/*
 * Queues a frame, taking a reference; it leaves in a posted event.  NGX_OK;
 * NGX_DECLINED: not queued, because the connection ends or its limit says drop.
 */
ngx_int_t ngx_wscast_conn_send(ngx_wscast_conn_t *conn, wscast_prepared_t *p);

/* For the files of this room, in asked.c: what its session asks of it. */
extern const wscast_session_handler_t  ngx_wscast_conn_session_handler;

/* For the files of this room: lets proceed() look at it, posted. */
void ngx_wscast_conn_post(ngx_wscast_conn_t *conn);

/* For the files of this room: the worker drains, and this one is new. */
void ngx_wscast_conns_drain_one(ngx_wscast_conn_t *conn);

/* For the files of this room: the silence timer has fired. */
void ngx_wscast_conn_heartbeat(ngx_wscast_conn_t *conn);

/* For the files of this room: sets the timer by session.expires. */
void ngx_wscast_conn_expires(ngx_wscast_conn_t *conn);

/*
 * For the files of this room: runs until nothing more can progress, then sets
 * interest and timers from the state.  May free the connection.
 */
void ngx_wscast_conn_proceed(ngx_wscast_conn_t *conn);

/*
 * For the files of this room: frees.  Only at the top of an event handler, as
 * its last act.
 */
void ngx_wscast_conn_close(ngx_wscast_conn_t *conn);

/* For the files of this room: reads and handles what there is, for a turn. */
void ngx_wscast_conn_read(ngx_wscast_conn_t *conn);

/*
 * For the files of this room: writes what is queued if nothing else is to be
 * done; or else that stays posted.
 */
void ngx_wscast_conn_flush(ngx_wscast_conn_t *conn);

/* For the files of this room: writes what it can.  NGX_OK, AGAIN, ERROR. */
ngx_int_t ngx_wscast_conn_write(ngx_wscast_conn_t *conn);


#endif /* NGX_WSCAST_CONN_H */
