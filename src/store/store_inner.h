/*
 * store_inner.h: what the files of the store share.
 *
 * Audience: store.c (the facade, and this host's marks), shared.c (the store
 * in shared memory), redis_*.c (the store in Redis), catchup.c (continuity of
 * what a leader receives).
 */

#ifndef NGX_WSCAST_STORE_INNER_H
#define NGX_WSCAST_STORE_INNER_H


#include "store.h"
#include "heap.h"
#include "history.h"
#include "presence.h"


typedef struct ngx_wscast_catchup_s  ngx_wscast_catchup_t;
typedef struct ngx_wscast_remote_s   ngx_wscast_remote_t;


struct ngx_wscast_store_s {
    ngx_wscast_bus_t                   *bus;
    ngx_wscast_bus_conf_t              *conf;
    const wscast_rule_t                *rules;
    size_t                              nrules;
    const ngx_wscast_store_handler_t   *handler;
    void                               *ctx;
    ngx_log_t                          *log;

    wscast_heap_t                       heap;
    wscast_history_t                    history;
    wscast_presence_t                   presence;
    uint64_t                            generation; /* of the heap, last seen */
    uint64_t                            owned;      /* the nonce that is an
                                                       owner in presence */
    uint64_t                            evicted;    /* messages counted */

    ngx_wscast_remote_t                *remote;     /* NULL: embedded */
    ngx_wscast_catchup_t               *catchup;    /* NULL: embedded */

    unsigned                            ready:1;    /* the heap is open */
    unsigned                            rejoin:1;   /* owed, at the next tick */
    unsigned                            complained:1;   /* of damage */
};


/* store.c: the memory is damaged: says so once, and forgets all. */
void ngx_wscast_store_damaged(ngx_wscast_store_t *store);

/* store.c: room for objects with len bytes of strings; under the lock. */
void ngx_wscast_store_vacate(ngx_wscast_store_t *store, size_t len);

/* store.c: counts what history has thrown away since the last call. */
void ngx_wscast_store_evicted(ngx_wscast_store_t *store);

/* store.c: a random epoch, never 0. */
uint64_t ngx_wscast_store_epoch(void);

/* store.c: lock, unlock. */
#define ngx_wscast_store_lock(s)    ngx_wscast_bus_lock((s)->bus)
#define ngx_wscast_store_unlock(s)  ngx_wscast_bus_unlock((s)->bus)

/*
 * store.c: _begin() takes the lock and begins a transaction; _end() ends it as
 * the answer rc of what was done in it says, and gives the lock back.  Damage
 * is taken care of.  Returns rc, or WSCAST_NOMEM if nothing could be changed.
 */
void ngx_wscast_store_begin(ngx_wscast_store_t *store);
wscast_status_t ngx_wscast_store_end(ngx_wscast_store_t *store,
    wscast_status_t rc);

/*
 * store.c: members of a dead owner become lost, as many as one transaction
 * takes.  Under the lock, outside of a transaction.  WSCAST_MORE: call again;
 * WSCAST_OK: there is no such owner any more; else nothing was changed, and
 * damage is taken care of.
 */
wscast_status_t ngx_wscast_store_bury(ngx_wscast_store_t *store,
    uint64_t owner);

/* store.c: this worker is an owner in presence; under no lock. */
void ngx_wscast_store_own(ngx_wscast_store_t *store);

/*
 * store.c: appends an envelope, which is whole, and says in one with it that
 * this host has got as far as position.  As ngx_wscast_bus_relay().
 */
wscast_status_t ngx_wscast_store_append(ngx_wscast_store_t *store,
    wscast_str_t channel, wscast_str_t bytes,
    const wscast_position_t *position);

/* store.c: says that alone.  NGX_ERROR: no room, or it leads no more. */
ngx_int_t ngx_wscast_store_mark(ngx_wscast_store_t *store,
    wscast_str_t channel, const wscast_position_t *position);


/* examine.c: is the zone consistent?  now: asked even if it is not time. */
#ifdef WSCAST_DEBUG
void ngx_wscast_store_examine(ngx_wscast_store_t *store, ngx_uint_t now);
#else
#define ngx_wscast_store_examine(store, now)
#endif


#define NGX_WSCAST_EXPIRE  2048     /* members in one tick */

/* connections.c: 1 if this is no channel, but what counts connections. */
ngx_uint_t ngx_wscast_store_is_counted(wscast_str_t channel);

/* connections.c: removes the lost, without a word. */
void ngx_wscast_store_sweep(ngx_wscast_store_t *store);


/* shared.c, shared_members.c: without Redis. */
wscast_status_t ngx_wscast_shared_publish(ngx_wscast_store_t *store,
    const wscast_rule_t *rule, const wscast_pub_fields_t *f,
    wscast_str_t envelope, wscast_receipt_t *receipt);
void ngx_wscast_shared_query(ngx_wscast_store_t *store, wscast_query_t *q);
void ngx_wscast_shared_leave(ngx_wscast_store_t *store,
    const wscast_rule_t *rule, wscast_str_t channel, wscast_str_t client,
    ngx_uint_t lost);
void ngx_wscast_shared_presence(ngx_wscast_store_t *store, wscast_query_t *q);
void ngx_wscast_shared_join(ngx_wscast_store_t *store, wscast_query_t *q);
void ngx_wscast_shared_tick(ngx_wscast_store_t *store);


/*
 * redis_*.c: with Redis.  _open() makes store->remote: NGX_ERROR: no memory.
 * _close() ends all questions with AWAY.
 */
ngx_int_t ngx_wscast_remote_open(ngx_wscast_store_t *store);
void ngx_wscast_remote_close(ngx_wscast_store_t *store);
wscast_status_t ngx_wscast_remote_publish(ngx_wscast_store_t *store,
    const wscast_rule_t *rule, const wscast_pub_fields_t *f,
    wscast_str_t envelope, wscast_receipt_t *receipt);
void ngx_wscast_remote_query(ngx_wscast_store_t *store, wscast_query_t *q);
void ngx_wscast_remote_cancel(ngx_wscast_store_t *store, wscast_query_t *q);
void ngx_wscast_remote_leave(ngx_wscast_store_t *store,
    const wscast_rule_t *rule, wscast_str_t channel, wscast_str_t client,
    ngx_uint_t lost);
void ngx_wscast_remote_tick(ngx_wscast_store_t *store);
void ngx_wscast_remote_reachable(ngx_wscast_store_t *store);


/* catchup.c: in the leader. */
ngx_int_t ngx_wscast_catchup_open(ngx_wscast_store_t *store);
void ngx_wscast_catchup_close(ngx_wscast_store_t *store);
ngx_int_t ngx_wscast_catchup_arrived(ngx_wscast_store_t *store,
    wscast_str_t channel, wscast_str_t bytes);
ngx_int_t ngx_wscast_catchup_confirmed(ngx_wscast_store_t *store,
    wscast_str_t channel, ngx_uint_t missed);
void ngx_wscast_catchup_unsubscribed(ngx_wscast_store_t *store,
    const wscast_str_t *channel);


#endif /* NGX_WSCAST_STORE_INNER_H */
