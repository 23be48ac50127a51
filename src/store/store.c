#include "store_inner.h"
#include "../base/envelope.h"


#define NGX_WSCAST_BURY  64         /* members in one transaction */


/* Moves this host's mark in one with an append. */

typedef struct {
    wscast_stamp_t             stamp;
    ngx_wscast_store_t        *store;
    wscast_str_t               channel;
    wscast_end_t               end;
} ngx_wscast_store_mark_t;


static void ngx_wscast_store_open(ngx_wscast_store_t *store);
static void ngx_wscast_store_recover(void *ctx, uint64_t tail);
static wscast_status_t ngx_wscast_store_apply(wscast_stamp_t *stamp,
    u_char *body, size_t len, uint64_t commit);
static void ngx_wscast_store_finish(wscast_stamp_t *stamp);


ngx_wscast_store_t *
ngx_wscast_store_create(ngx_cycle_t *cycle, ngx_wscast_bus_t *bus,
    ngx_wscast_bus_conf_t *conf, const wscast_rule_t *rules, size_t nrules,
    const ngx_wscast_store_handler_t *handler, void *ctx)
{
    ngx_wscast_store_t  *store;

    store = ngx_calloc(sizeof(ngx_wscast_store_t), cycle->log);
    if (store == NULL) {
        return NULL;
    }

    store->bus = bus;
    store->conf = conf;
    store->rules = rules;
    store->nrules = nrules;
    store->handler = handler;
    store->ctx = ctx;
    store->log = cycle->log;

    ngx_wscast_store_open(store);
    ngx_wscast_store_examine(store, 1);

    if (conf->redis
        && (ngx_wscast_remote_open(store) != NGX_OK
            || ngx_wscast_catchup_open(store) != NGX_OK))
    {
        ngx_wscast_store_destroy(store);
        return NULL;
    }

    return store;
}


/* The first worker of a new zone formats it. */

static void
ngx_wscast_store_open(ngx_wscast_store_t *store)
{
    void    *memory;
    size_t   size;

    memory = ngx_wscast_bus_memory(store->bus, &size);

    if (memory == NULL || size < WSCAST_HEAP_MIN) {
        ngx_log_error(NGX_LOG_ERR, store->log, 0,
                      "wscast: the zone of hub \"%V\" has no room for history "
                      "and presence", &store->conf->name);
        return;
    }

    ngx_wscast_store_lock(store);

    if (wscast_heap_open(&store->heap, memory, size) != WSCAST_OK) {
        wscast_heap_format(memory, size);

        if (wscast_heap_open(&store->heap, memory, size) != WSCAST_OK) {
            ngx_wscast_store_unlock(store);
            return;
        }
    }

    ngx_wscast_store_unlock(store);

    wscast_history_init(&store->history, &store->heap,
                        ngx_wscast_bus_seed(store->bus));
    wscast_presence_init(&store->presence, &store->heap,
                         ngx_wscast_bus_seed(store->bus));

    store->ready = 1;
    ngx_wscast_bus_guard(store->bus, ngx_wscast_store_recover, store);
}


static void
ngx_wscast_store_recover(void *ctx, uint64_t tail)
{
    ngx_wscast_store_t  *store;

    store = ctx;
    wscast_heap_recover(&store->heap, tail);
}


void
ngx_wscast_store_destroy(ngx_wscast_store_t *store)
{
    if (store->catchup) {
        ngx_wscast_catchup_close(store);
    }

    if (store->remote) {
        ngx_wscast_remote_close(store);
    }

    ngx_wscast_bus_guard(store->bus, NULL, NULL);
    ngx_free(store);
}


wscast_status_t
ngx_wscast_store_publish(ngx_wscast_store_t *store, const wscast_rule_t *rule,
    const wscast_pub_fields_t *f, wscast_str_t envelope,
    wscast_receipt_t *receipt)
{
    if (store->remote) {
        return ngx_wscast_remote_publish(store, rule, f, envelope, receipt);
    }

    if (!store->ready) {
        return WSCAST_CLOSE_AWAY;
    }

    return ngx_wscast_shared_publish(store, rule, f, envelope, receipt);
}


wscast_status_t
ngx_wscast_store_position(ngx_wscast_store_t *store, wscast_str_t channel,
    wscast_position_t *position)
{
    uint64_t         fresh;
    wscast_status_t  rc;

    if (!store->ready) {
        return WSCAST_MORE;
    }

    /* with Redis it is Redis that gives epochs */

    fresh = store->remote ? 0 : ngx_wscast_store_epoch();

    ngx_wscast_store_lock(store);

    rc = wscast_history_position(&store->history, channel, fresh,
                                 ngx_wscast_now(), position);
    ngx_wscast_store_evicted(store);

    if (rc == WSCAST_ERROR) {
        ngx_wscast_store_damaged(store);
    }

    ngx_wscast_store_unlock(store);

    return rc == WSCAST_OK ? WSCAST_OK : WSCAST_MORE;
}


void
ngx_wscast_store_query(ngx_wscast_store_t *store, wscast_query_t *q)
{
    if (store->remote) {
        ngx_wscast_remote_query(store, q);

    } else if (store->ready) {
        ngx_wscast_shared_query(store, q);

    } else {
        q->done(q, WSCAST_CLOSE_AWAY);
    }
}


void
ngx_wscast_store_cancel(ngx_wscast_store_t *store, wscast_query_t *q)
{
    if (store->remote) {
        ngx_wscast_remote_cancel(store, q);
    }
}


void
ngx_wscast_store_leave(ngx_wscast_store_t *store, const wscast_rule_t *rule,
    wscast_str_t channel, wscast_str_t client, ngx_uint_t lost)
{
    if (store->remote) {
        ngx_wscast_remote_leave(store, rule, channel, client, lost);

    } else if (store->ready) {
        ngx_wscast_shared_leave(store, rule, channel, client, lost);
    }
}


void
ngx_wscast_store_tick(ngx_wscast_store_t *store)
{
    if (store->ready) {
        ngx_wscast_store_own(store);
        ngx_wscast_store_lock(store);

        if (wscast_history_sweep(&store->history, ngx_wscast_now(), 256)
            == WSCAST_ERROR)
        {
            ngx_wscast_store_damaged(store);
        }

        ngx_wscast_store_unlock(store);
    }

    ngx_wscast_store_examine(store, 0);

    if (store->remote) {
        ngx_wscast_remote_tick(store);

        if (store->ready) {
            ngx_wscast_store_sweep(store);
        }

    } else if (store->ready) {
        ngx_wscast_shared_tick(store);
    }
}


void
ngx_wscast_store_usage(ngx_wscast_store_t *store, ngx_wscast_usage_t *usage)
{
    uint32_t  total;

    ngx_memzero(usage, sizeof(ngx_wscast_usage_t));

    if (!store->ready) {
        return;
    }

    ngx_wscast_store_lock(store);

    total = wscast_heap_total(&store->heap);

    usage->size = (uint64_t) total * WSCAST_BLOCK;
    usage->used = (uint64_t) (total - wscast_heap_free_blocks(&store->heap))
                  * WSCAST_BLOCK;
    usage->presence = wscast_presence_blocks(&store->presence) * WSCAST_BLOCK;
    usage->messages = wscast_history_messages(&store->history);
    usage->keys = wscast_history_keys(&store->history);

    ngx_wscast_store_unlock(store);
}


void
ngx_wscast_store_reachable(ngx_wscast_store_t *store)
{
    if (store->remote) {
        ngx_wscast_remote_reachable(store);
    }
}


ngx_int_t
ngx_wscast_store_arrived(ngx_wscast_store_t *store, wscast_str_t channel,
    wscast_str_t bytes)
{
    return ngx_wscast_catchup_arrived(store, channel, bytes);
}


ngx_int_t
ngx_wscast_store_confirmed(ngx_wscast_store_t *store, wscast_str_t channel,
    ngx_uint_t missed)
{
    return ngx_wscast_catchup_confirmed(store, channel, missed);
}


void
ngx_wscast_store_unsubscribed(ngx_wscast_store_t *store,
    const wscast_str_t *channel)
{
    if (store->catchup) {
        ngx_wscast_catchup_unsubscribed(store, channel);
    }
}


/* This host's marks */


wscast_status_t
ngx_wscast_store_append(ngx_wscast_store_t *store, wscast_str_t channel,
    wscast_str_t bytes, const wscast_position_t *position)
{
    ngx_wscast_store_mark_t  mark;

    if (!store->ready) {
        return ngx_wscast_bus_relay(store->bus, channel, bytes, NULL);
    }

    mark.stamp.apply = ngx_wscast_store_apply;
    mark.stamp.finish = ngx_wscast_store_finish;
    mark.store = store;
    mark.channel = channel;
    mark.end.position = *position;
    mark.end.time = bytes.data[2] == WSCAST_PUB_BROKEN
                    ? 0 : wscast_envelope_time(bytes.data);

    return ngx_wscast_bus_relay(store->bus, channel, bytes, &mark.stamp);
}


static wscast_status_t
ngx_wscast_store_apply(wscast_stamp_t *stamp, u_char *body, size_t len,
    uint64_t commit)
{
    wscast_status_t           rc;
    ngx_wscast_store_t       *store;
    ngx_wscast_store_mark_t  *mark;

    mark = wscast_container(stamp, ngx_wscast_store_mark_t, stamp);
    store = mark->store;

    ngx_wscast_store_vacate(store, mark->channel.len);
    wscast_heap_begin(&store->heap);

    rc = wscast_history_mark(&store->history, mark->channel, &mark->end,
                             ngx_wscast_now());

    if (rc == WSCAST_OK && !wscast_heap_failed(&store->heap)) {
        wscast_heap_hang(&store->heap, commit);
        return WSCAST_OK;
    }

    wscast_heap_abort(&store->heap);

    if (rc == WSCAST_ERROR) {
        ngx_wscast_store_damaged(store);
    }

    /* without a mark it is delivered all the same */

    mark->store = NULL;

    return WSCAST_OK;
}


static void
ngx_wscast_store_finish(wscast_stamp_t *stamp)
{
    ngx_wscast_store_mark_t  *mark;

    mark = wscast_container(stamp, ngx_wscast_store_mark_t, stamp);

    if (mark->store) {
        wscast_heap_commit(&mark->store->heap);
    }
}


ngx_int_t
ngx_wscast_store_mark(ngx_wscast_store_t *store, wscast_str_t channel,
    const wscast_position_t *position)
{
    wscast_end_t     end;
    wscast_status_t  rc;

    if (!store->ready) {
        return NGX_ERROR;
    }

    end.position = *position;
    end.time = 0;

    ngx_wscast_store_lock(store);

    if (!ngx_wscast_bus_leads(store->bus)) {
        ngx_wscast_store_unlock(store);
        return NGX_ERROR;
    }

    ngx_wscast_store_vacate(store, channel.len);
    wscast_heap_begin(&store->heap);

    rc = wscast_history_mark(&store->history, channel, &end,
                             ngx_wscast_now());

    rc = ngx_wscast_store_end(store, rc);

    return rc == WSCAST_OK ? NGX_OK : NGX_ERROR;
}


/*
 * This worker owns members, or a lease: whoever finds it dead looks after them.
 * Its slot, and so its name, may be had late.
 */

void
ngx_wscast_store_own(ngx_wscast_store_t *store)
{
    uint64_t         nonce, generation;
    wscast_status_t  rc;

    if (!store->ready) {
        return;
    }

    nonce = ngx_wscast_bus_nonce(store->bus);
    generation = wscast_heap_generation(&store->heap);

    if (generation != store->generation) {

        /* all has been forgotten: the members here must be known again */

        store->rejoin = (store->generation != 0);
        store->generation = generation;
        store->owned = 0;
    }

    if (nonce == 0 || nonce == store->owned) {
        return;
    }

    ngx_wscast_store_lock(store);
    ngx_wscast_store_vacate(store, 0);
    wscast_heap_begin(&store->heap);

    rc = wscast_presence_own(&store->presence, nonce);

    if (ngx_wscast_store_end(store, rc) == WSCAST_OK) {
        store->owned = nonce;
    }
}


void
ngx_wscast_store_begin(ngx_wscast_store_t *store)
{
    ngx_wscast_store_lock(store);
    wscast_heap_begin(&store->heap);
}


wscast_status_t
ngx_wscast_store_end(ngx_wscast_store_t *store, wscast_status_t rc)
{
    if (rc == WSCAST_OK && wscast_heap_failed(&store->heap)) {
        rc = WSCAST_NOMEM;
    }

    if (rc == WSCAST_OK) {
        wscast_heap_commit(&store->heap);

    } else {
        wscast_heap_abort(&store->heap);
    }

    if (rc == WSCAST_ERROR) {
        ngx_wscast_store_damaged(store);
    }

    ngx_wscast_store_unlock(store);

    return rc;
}


wscast_status_t
ngx_wscast_store_bury(ngx_wscast_store_t *store, uint64_t owner)
{
    wscast_status_t  rc;

    wscast_heap_begin(&store->heap);

    rc = wscast_presence_bury(&store->presence, owner,
                              ngx_wscast_bus_clock(store->bus),
                              NGX_WSCAST_BURY);

    if (wscast_heap_failed(&store->heap)) {
        rc = WSCAST_ERROR;
    }

    if (rc == WSCAST_OK || rc == WSCAST_MORE) {
        wscast_heap_commit(&store->heap);

    } else {
        wscast_heap_abort(&store->heap);
    }

    if (rc == WSCAST_ERROR) {
        ngx_wscast_store_damaged(store);
    }

    return rc;
}


/*
 * Under the lock, outside of a transaction: history gives way to what is about
 * to be taken, a few objects with len bytes of strings.
 */

void
ngx_wscast_store_vacate(ngx_wscast_store_t *store, size_t len)
{
    if (wscast_history_vacate(&store->history,
                              3 * wscast_heap_blocks(len + 256),
                              ngx_wscast_now())
        == WSCAST_ERROR)
    {
        ngx_wscast_store_damaged(store);
    }

    ngx_wscast_store_evicted(store);
}


void
ngx_wscast_store_evicted(ngx_wscast_store_t *store)
{
    ngx_wscast_bus_counters(store->bus)[WSCAST_COUNT_EVICTED] +=
        store->history.evicted - store->evicted;

    store->evicted = store->history.evicted;
}


/* Under the lock. */

void
ngx_wscast_store_damaged(ngx_wscast_store_t *store)
{
    wscast_heap_reset(&store->heap);
    store->owned = 0;
    ngx_wscast_bus_counters(store->bus)[WSCAST_COUNT_ZONE_RESETS]++;

    if (!store->complained) {
        store->complained = 1;

        ngx_log_error(NGX_LOG_CRIT, store->log, 0,
                      "wscast: history and presence in the zone of hub \"%V\" "
                      "were damaged: all of them are forgotten",
                      &store->conf->name);
    }
}


uint64_t
ngx_wscast_store_epoch(void)
{
    uint64_t  epoch;

    do {
        epoch = ((uint64_t) ngx_random() << 40)
                ^ ((uint64_t) ngx_random() << 20) ^ (uint64_t) ngx_random();
    } while (epoch == 0);

    return epoch;
}
