/*
 * catchup_inner.h: channels whose messages from Redis are being caught up with.
 *
 * Audience: catchup.c (what arrives, and what is held), catchup_advance.c (what
 * is fetched, and the end of it).
 *
 * What arrives in the leader from Redis goes on the ring in the order of its
 * offsets, each once.  A channel that may have missed something is "behind":
 * until it has caught up, from its stream, what arrives for it is held.
 */

#ifndef NGX_WSCAST_CATCHUP_INNER_H
#define NGX_WSCAST_CATCHUP_INNER_H


#include "redis_remote.h"
#include "../base/map.h"


#define NGX_WSCAST_HELD_CHANNEL  (1024 * 1024)          /* bytes */
#define NGX_WSCAST_HELD_ALL      (16 * 1024 * 1024)     /* bytes */

#define NGX_WSCAST_CATCHUP_ROOM  20         /* ms, while the ring is full */
#define NGX_WSCAST_CATCHUP_AWAY  500        /* ms, while Redis is away */
#define NGX_WSCAST_CATCHUP_TRIES 3          /* fetches of nothing new */


/* A message that is held; its bytes are behind. */

typedef struct {
    wscast_list_t            link;
    wscast_position_t        position;
    size_t                   len;
    unsigned                 asked:1;       /* since it came Redis was asked
                                               where it is */
} ngx_wscast_held_t;


typedef struct {
    wscast_map_node_t        node;          /* key: behind */
    ngx_wscast_store_t      *store;
    const wscast_rule_t     *rule;
    ngx_wscast_fetch_t       fetch;
    wscast_list_t            held;          /* ngx_wscast_held_t */
    size_t                   held_len;
    wscast_position_t        mark;          /* so far it is on the ring */
    uint64_t                 asked;         /* offset, of the last fetch */
    ngx_uint_t               tries;

    unsigned                 locate:1;      /* where Redis is, is not known */
    unsigned                 behind:1;      /* the stream has more */
    unsigned                 missed:1;      /* somebody was on the channel */
    unsigned                 confirm:1;     /* to be announced in the end */
    unsigned                 dropped:1;     /* too much was to be held */
    unsigned                 again:1;       /* when the timer fires */
    unsigned                 full:1;        /* the ring is */
} ngx_wscast_behind_t;


struct ngx_wscast_catchup_s {
    ngx_wscast_store_t      *store;
    wscast_map_t             channels;      /* ngx_wscast_behind_t */
    size_t                   held_len;      /* of all of them */
    ngx_event_t              timer;
    unsigned                 told:1;        /* a gap, since the last outage */
};


/* catchup.c */
void ngx_wscast_catchup_remove(ngx_wscast_behind_t *b);
void ngx_wscast_catchup_unhold(ngx_wscast_behind_t *b, ngx_wscast_held_t *h);

/* catchup.c: puts a message on the ring.  NGX_AGAIN: the ring is full. */
ngx_int_t ngx_wscast_catchup_append(ngx_wscast_store_t *store,
    wscast_str_t channel, wscast_str_t bytes,
    const wscast_position_t *position);

/*
 * catchup.c: tells the subscribers that what was up to this position has been
 * missed.  NGX_AGAIN: the ring is full.
 */
ngx_int_t ngx_wscast_catchup_broken(ngx_wscast_store_t *store,
    wscast_str_t channel, const wscast_position_t *position);

/*
 * catchup_advance.c: does what can be done now; in the end the channel is not
 * behind any more, and b is gone.
 */
void ngx_wscast_catchup_advance(ngx_wscast_behind_t *b);

/* catchup_advance.c: goes on with those that had to wait. */
void ngx_wscast_catchup_timer(ngx_event_t *ev);


#endif /* NGX_WSCAST_CATCHUP_INNER_H */
