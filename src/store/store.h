/*
 * store.h: what outlives a message: history, keys of publishes, presence; in
 * the host's shared memory (shared.c), or in Redis (redis*.c), where the host
 * only remembers how far it has got.
 *
 * Audience: worker.  One store per hub and process, beside its bus.
 *
 * Nothing here blocks: without Redis every answer is there when the call
 * returns; with it, done() and receipts are called later.
 */

#ifndef NGX_WSCAST_STORE_H
#define NGX_WSCAST_STORE_H


#include "../bus/bus.h"
#include "../base/query.h"


typedef struct ngx_wscast_store_s  ngx_wscast_store_t;


typedef struct {
    /* calls ngx_wscast_store_query() with a JOIN for every member here */
    void                (*rejoin)(void *ctx);

    /* how many subscribers a channel has on this worker */
    size_t              (*count)(void *ctx, wscast_str_t channel);

    /* this connection's membership was taken over: it must end, wherever */
    void                (*replaced)(void *ctx, wscast_str_t client);
} ngx_wscast_store_handler_t;


/*
 * Takes over what is in the zone, or formats it.  NULL: no memory.  A store
 * without usable memory, or without Redis, answers AWAY.
 */
ngx_wscast_store_t *ngx_wscast_store_create(ngx_cycle_t *cycle,
    ngx_wscast_bus_t *bus, ngx_wscast_bus_conf_t *conf,
    const wscast_rule_t *rules, size_t nrules,
    const ngx_wscast_store_handler_t *handler, void *ctx);

/* Before the bus: its questions end with AWAY; members become lost. */
void ngx_wscast_store_destroy(ngx_wscast_store_t *store);


/*
 * Publishes on a channel with history, or with a key.  envelope is writable, it
 * is stamped with the position.  As ngx_wscast_bus_publish(); receipt is
 * required, and with WSCAST_OK its position is set.  A repeated key answers
 * like the first publish and publishes nothing.
 */
wscast_status_t ngx_wscast_store_publish(ngx_wscast_store_t *store,
    const wscast_rule_t *rule, const wscast_pub_fields_t *f,
    wscast_str_t envelope, wscast_receipt_t *receipt);

/*
 * Where a channel with history is on this host: all up to here has been put on
 * the ring, and what comes later will be delivered.  At once.  WSCAST_OK, or
 * WSCAST_MORE: not known.
 */
wscast_status_t ngx_wscast_store_position(ngx_wscast_store_t *store,
    wscast_str_t channel, wscast_position_t *position);

/* Answers a question: q->done() is called once, perhaps before this returns. */
void ngx_wscast_store_query(ngx_wscast_store_t *store, wscast_query_t *q);

/* The asker goes away: neither done() nor items will be called any more. */
void ngx_wscast_store_cancel(ngx_wscast_store_t *store, wscast_query_t *q);

/*
 * A connection is on this channel no more.  lost 1: perhaps it comes back, the
 * others are told after the rule's grace; 0: at once.
 */
void ngx_wscast_store_leave(ngx_wscast_store_t *store,
    const wscast_rule_t *rule, wscast_str_t channel, wscast_str_t client,
    ngx_uint_t lost);

/*
 * One more connection of this key on this host, unless there are limit already:
 * NGX_OK, then _dismiss() follows; NGX_DECLINED; NGX_ERROR: it cannot be
 * counted (no room, or a key of more than NGX_WSCAST_KEY_LEN bytes).
 */
#define NGX_WSCAST_KEY_LEN  255

ngx_int_t ngx_wscast_store_admit(ngx_wscast_store_t *store, wscast_str_t key,
    wscast_str_t client, ngx_uint_t limit);
void ngx_wscast_store_dismiss(ngx_wscast_store_t *store, wscast_str_t key,
    wscast_str_t client);

/* What the zone keeps for history and presence, and how much it can. */

typedef struct {
    uint64_t              size;         /* bytes */
    uint64_t              used;
    uint64_t              presence;     /* of used */
    uint64_t              messages;
    uint64_t              keys;
} ngx_wscast_usage_t;

void ngx_wscast_store_usage(ngx_wscast_store_t *store,
    ngx_wscast_usage_t *usage);

/* Once a second. */
void ngx_wscast_store_tick(ngx_wscast_store_t *store);

/* The bus's handlers of these names. */
void ngx_wscast_store_reachable(ngx_wscast_store_t *store);
ngx_int_t ngx_wscast_store_arrived(ngx_wscast_store_t *store,
    wscast_str_t channel, wscast_str_t bytes);
ngx_int_t ngx_wscast_store_confirmed(ngx_wscast_store_t *store,
    wscast_str_t channel, ngx_uint_t missed);
void ngx_wscast_store_unsubscribed(ngx_wscast_store_t *store,
    const wscast_str_t *channel);


#endif /* NGX_WSCAST_STORE_H */
