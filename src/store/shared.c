#include "store_inner.h"
#include "../base/envelope.h"


/* A publish: history and ring change in one. */

typedef struct {
    wscast_stamp_t              stamp;
    ngx_wscast_store_t         *store;
    wscast_keep_t               keep;
    wscast_position_t           position;
    unsigned                    open:1;         /* a transaction */
    unsigned                    duplicate:1;
} ngx_wscast_shared_pub_t;


static wscast_status_t ngx_wscast_shared_apply(wscast_stamp_t *stamp,
    u_char *body, size_t len, uint64_t commit);
static wscast_status_t ngx_wscast_shared_keep(ngx_wscast_shared_pub_t *p,
    u_char *body, size_t len);
static void ngx_wscast_shared_finish(wscast_stamp_t *stamp);
static void ngx_wscast_shared_history(ngx_wscast_store_t *store,
    wscast_query_t *q);
static void ngx_wscast_shared_messages(wscast_query_t *q,
    const wscast_packed_t *packed);
static void ngx_wscast_shared_forget(ngx_wscast_store_t *store,
    wscast_query_t *q);


wscast_status_t
ngx_wscast_shared_publish(ngx_wscast_store_t *store,
    const wscast_rule_t *rule, const wscast_pub_fields_t *f,
    wscast_str_t envelope, wscast_receipt_t *receipt)
{
    uint64_t                  *counters;
    wscast_status_t            rc;
    ngx_wscast_shared_pub_t    p;

    ngx_memzero(&p, sizeof(ngx_wscast_shared_pub_t));

    p.stamp.apply = ngx_wscast_shared_apply;
    p.stamp.finish = ngx_wscast_shared_finish;
    p.store = store;
    p.keep.channel = f->channel;
    p.keep.key = f->key;
    p.keep.fresh = ngx_wscast_store_epoch();
    p.keep.count = rule ? rule->history : 0;
    p.keep.ttl = rule ? rule->ttl : 0;
    p.keep.now = ngx_wscast_now();

    counters = ngx_wscast_bus_counters(store->bus);

    rc = ngx_wscast_bus_append(store->bus, f->channel, envelope, &p.stamp,
                               &receipt->receivers);

    ngx_wscast_store_evicted(store);

    if (p.duplicate) {
        counters[WSCAST_COUNT_DUPLICATES]++;
        receipt->position = p.position;

        return WSCAST_OK;
    }

    if (rc == WSCAST_OK) {
        counters[WSCAST_COUNT_PUBLISHED]++;
        receipt->position = p.position;
    }

    return rc;
}


static wscast_status_t
ngx_wscast_shared_apply(wscast_stamp_t *stamp, u_char *body, size_t len,
    uint64_t commit)
{
    wscast_status_t           rc;
    ngx_wscast_store_t       *store;
    ngx_wscast_shared_pub_t  *p;

    p = wscast_container(stamp, ngx_wscast_shared_pub_t, stamp);
    store = p->store;

    rc = wscast_history_room(&store->history, &p->keep, len);

    if (rc != WSCAST_ERROR) {
        wscast_heap_begin(&store->heap);
        rc = ngx_wscast_shared_keep(p, body, len);

        if (rc == WSCAST_OK && !wscast_heap_failed(&store->heap)) {
            wscast_heap_hang(&store->heap, commit);
            p->open = 1;
            return WSCAST_OK;
        }

        wscast_heap_abort(&store->heap);

        if (rc == WSCAST_AGAIN) {
            p->duplicate = 1;
            return WSCAST_ERROR;            /* nothing is published */
        }
    }

    if (rc == WSCAST_ERROR) {
        ngx_wscast_store_damaged(store);
    }

    /* it cannot be kept, but it can be delivered */

    ngx_memzero(&p->position, sizeof(wscast_position_t));
    wscast_envelope_stamp(body, 0, 0);

    return WSCAST_OK;
}


static wscast_status_t
ngx_wscast_shared_keep(ngx_wscast_shared_pub_t *p, u_char *body, size_t len)
{
    wscast_status_t  rc;

    rc = wscast_history_next(&p->store->history, &p->keep, &p->position);

    if (rc != WSCAST_OK) {
        return rc;
    }

    wscast_envelope_stamp(body, p->position.epoch, p->position.offset);

    return wscast_history_append(&p->store->history, &p->keep, &p->position,
                                 wscast_str(body, len));
}


static void
ngx_wscast_shared_finish(wscast_stamp_t *stamp)
{
    ngx_wscast_shared_pub_t  *p;

    p = wscast_container(stamp, ngx_wscast_shared_pub_t, stamp);

    if (p->open) {
        wscast_heap_commit(&p->store->heap);
    }
}


void
ngx_wscast_shared_query(ngx_wscast_store_t *store, wscast_query_t *q)
{
    switch (q->type) {

    case WSCAST_QUERY_HISTORY:
        ngx_wscast_shared_history(store, q);
        return;

    case WSCAST_QUERY_FORGET:
        ngx_wscast_shared_forget(store, q);
        return;

    case WSCAST_QUERY_PRESENCE:
        ngx_wscast_shared_presence(store, q);
        return;

    case WSCAST_QUERY_JOIN:
        ngx_wscast_shared_join(store, q);
        return;
    }
}


static void
ngx_wscast_shared_history(ngx_wscast_store_t *store, wscast_query_t *q)
{
    uint64_t         now;
    wscast_range_t   range;
    wscast_status_t  rc;
    wscast_packed_t  packed;

    now = ngx_wscast_now();

    ngx_memzero(&packed, sizeof(wscast_packed_t));

    range.channel = q->channel;
    range.after = q->after;
    range.upto = q->upto;
    range.newest = q->newest;
    range.limit = q->limit;
    range.bytes = q->bytes;
    range.since = q->rule && q->rule->ttl < now ? now - q->rule->ttl : 0;

    ngx_wscast_store_lock(store);

    rc = wscast_history_read(&store->history, &range, &packed, &q->position,
                             &q->more);

    if (rc == WSCAST_ERROR) {
        ngx_wscast_store_damaged(store);
    }

    ngx_wscast_store_unlock(store);

    if (rc == WSCAST_OK) {
        ngx_wscast_shared_messages(q, &packed);
    }

    wscast_free(packed.data);

    q->done(q, rc == WSCAST_OK ? WSCAST_OK
               : rc == WSCAST_NOMEM ? WSCAST_CLOSE_NO_MEMORY
                                    : WSCAST_CLOSE_AWAY);
}


static void
ngx_wscast_shared_messages(wscast_query_t *q, const wscast_packed_t *packed)
{
    size_t                pos;
    uint32_t              len;
    wscast_str_t          body;
    wscast_pub_fields_t   f;

    for (pos = 0; pos + sizeof(uint32_t) <= packed->len; pos += len) {
        ngx_memcpy(&len, packed->data + pos, sizeof(uint32_t));
        pos += sizeof(uint32_t);

        if (len > packed->len - pos) {
            return;
        }

        body = wscast_str(packed->data + pos, len);

        if (wscast_envelope_decode(q->channel, body, ngx_wscast_now(), &f)
            == WSCAST_OK)
        {
            q->message(q, &f);
        }
    }
}


static void
ngx_wscast_shared_forget(ngx_wscast_store_t *store, wscast_query_t *q)
{
    wscast_status_t  rc;

    ngx_wscast_store_lock(store);

    rc = wscast_history_forget(&store->history, q->channel);

    if (rc != WSCAST_ERROR) {
        rc = wscast_history_position(&store->history, q->channel, 0,
                                     ngx_wscast_now(), &q->position);
    }

    if (rc == WSCAST_ERROR) {
        ngx_wscast_store_damaged(store);
    }

    ngx_wscast_store_unlock(store);

    if (rc == WSCAST_MORE) {
        ngx_memzero(&q->position, sizeof(wscast_position_t));
    }

    q->done(q, rc == WSCAST_ERROR ? WSCAST_CLOSE_AWAY : WSCAST_OK);
}
