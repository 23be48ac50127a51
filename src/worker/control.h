/*
 * control.h: questions to all workers of all hosts, and their answers: how many
 * are on a channel, which channels there are, end these clients.
 *
 * Audience: worker (delivers), http/api (asks).
 *
 * They travel as publications of channels that no client can name: every worker
 * listens to NGX_WSCAST_CONTROL, where questions are put, and to one of its
 * own, where it gets the answers.  So they take the same way as all messages,
 * in this host or through Redis, and survive reloads as those do.  They are
 * JSON, so that versions can differ: docs/api.md describes them.
 *
 * An answer says of which host it is and how many workers that has; the
 * engine says how many hosts a question was put before.  So the asker knows
 * when all have answered; who has not within NGX_WSCAST_CONTROL_TIME is done
 * without: a worker that hangs must not hang the API.  Only if not even the
 * asker's own worker has, the channel of its answers is deaf: that is AWAY.
 */

#ifndef NGX_WSCAST_CONTROL_H
#define NGX_WSCAST_CONTROL_H


#include "worker.h"


#define NGX_WSCAST_CONTROL       "\001control"
#define NGX_WSCAST_CONTROL_TIME  1000           /* ms */
#define NGX_WSCAST_LIST_MAX      1000           /* channels of an answer */
#define NGX_WSCAST_ANSWER_MAX    (64 * 1024)    /* bytes of one worker's */


typedef enum {
    NGX_WSCAST_ASK_CHANNELS = 0,    /* by name, from after name on */
    NGX_WSCAST_ASK_COUNT,           /* subscribers of one */
    NGX_WSCAST_ASK_CLIENT,          /* ends the connection of this id */
    NGX_WSCAST_ASK_USER             /* ends all connections of this user */
} ngx_wscast_ask_e;


typedef struct {
    ngx_str_t                name;
    uint64_t                 count;         /* subscribers, over all hosts */
} ngx_wscast_counted_t;


typedef struct ngx_wscast_ask_s  ngx_wscast_ask_t;

struct ngx_wscast_ask_s {
    ngx_wscast_ask_e         type;
    wscast_str_t             name;          /* channel, client, user, or prefix;
                                               lives until done() */
    wscast_str_t             after;         /* CHANNELS; may be empty */
    uint32_t                 limit;         /* CHANNELS */
    wscast_status_t          reason;        /* CLIENT, USER: of close.h */

    /* the answer */
    uint64_t                 count;         /* COUNT: subscribers; CLIENT, USER:
                                               connections that were ended */
    ngx_array_t             *channels;      /* CHANNELS: ngx_wscast_counted_t,
                                               by name; of pool */
    ngx_uint_t               more;          /* CHANNELS: there are others */

    /* WSCAST_OK or WSCAST_CLOSE_AWAY, once, never inside _ask() */
    void                   (*done)(ngx_wscast_ask_t *ask,
                                   wscast_status_t status);
    ngx_pool_t              *pool;          /* of the asker */

    void                    *gather;        /* control.c's, until done() */
};


typedef struct ngx_wscast_control_s  ngx_wscast_control_t;

/* NULL: no memory. */
ngx_wscast_control_t *ngx_wscast_control_create(ngx_wscast_hub_t *hub);

/* Outstanding questions end with AWAY.  Before the bus. */
void ngx_wscast_control_destroy(ngx_wscast_control_t *control);

/* 1 if this is a channel of ours: a publication on it is for _deliver(). */
ngx_uint_t ngx_wscast_control_is(wscast_str_t channel);
void ngx_wscast_control_deliver(ngx_wscast_control_t *control,
    wscast_str_t channel, wscast_str_t bytes);

/* The bus asks what this worker listens to. */
void ngx_wscast_control_recall(ngx_wscast_control_t *control);

/* done() will be called; NGX_ERROR: no memory, it will not. */
ngx_int_t ngx_wscast_control_ask(ngx_wscast_control_t *control,
    ngx_wscast_ask_t *ask);

/* The asker has gone; done() will not be called. */
void ngx_wscast_control_cancel(ngx_wscast_control_t *control,
    ngx_wscast_ask_t *ask);

/* Ends a client wherever it is; nobody waits for the answer. */
void ngx_wscast_control_end(ngx_wscast_control_t *control,
    wscast_str_t client, wscast_status_t reason);


#endif /* NGX_WSCAST_CONTROL_H */
