#include "worker.h"
#include "../base/envelope.h"


#define NGX_WSCAST_LIVE_TICKS     3             /* s to wait for Redis */
#define NGX_WSCAST_SCRATCH_KEEP   (256 * 1024)  /* bytes */


typedef struct {
    ngx_wscast_hub_t   **hubs;
    ngx_uint_t           n;
} ngx_wscast_worker_t;


static ngx_wscast_hub_t *ngx_wscast_hub_create(ngx_cycle_t *cycle,
    ngx_wscast_hub_conf_t *conf);
static void ngx_wscast_hub_destroy(ngx_wscast_hub_t *hub);
static wscast_status_t ngx_wscast_hub_first(void *ctx, wscast_channel_t *ch);
static void ngx_wscast_hub_last(void *ctx, wscast_channel_t *ch);
static wscast_status_t ngx_wscast_engine_publish(void *ctx,
    const wscast_pub_fields_t *f, wscast_receipt_t *receipt,
    wscast_waiter_t *waiter);
static uint64_t ngx_wscast_engine_now(void *ctx);
static size_t ngx_wscast_hub_deliver(void *ctx, wscast_str_t channel,
    wscast_str_t bytes);
static void ngx_wscast_hub_deliver_one(void *arg, void *subscriber);
static void ngx_wscast_hub_live(void *ctx, wscast_str_t channel);
static void ngx_wscast_hub_joined(wscast_channel_t *ch);
static void ngx_wscast_hub_writable(void *ctx);
static void ngx_wscast_hub_lapped(void *ctx);
static size_t ngx_wscast_hub_count(void *ctx, wscast_str_t channel);
static void ngx_wscast_hub_recall(void *ctx);
static void ngx_wscast_hub_tick(void *ctx);
static void ngx_wscast_hub_exiting(void *ctx);
static void ngx_wscast_hub_settle(void *ctx);


/* The one mutable global: the root of everything in this process. */

static ngx_wscast_worker_t  ngx_wscast_worker;


static const wscast_fanout_handler_t  ngx_wscast_hub_fanout_handler = {
    ngx_wscast_hub_first,
    ngx_wscast_hub_last
};


static const ngx_wscast_bus_handler_t  ngx_wscast_hub_bus_handler = {
    ngx_wscast_hub_deliver,
    ngx_wscast_hub_live,
    ngx_wscast_hub_writable,
    ngx_wscast_hub_lapped,
    ngx_wscast_hub_count,
    ngx_wscast_hub_recall,
    ngx_wscast_hub_tick,
    ngx_wscast_hub_exiting
};


void
ngx_wscast_worker_init(ngx_cycle_t *cycle, ngx_wscast_hub_conf_t **confs,
    ngx_uint_t n)
{
    ngx_uint_t          i;
    ngx_wscast_hub_t  **hubs;

    hubs = ngx_calloc((n ? n : 1) * sizeof(ngx_wscast_hub_t *), cycle->log);
    if (hubs == NULL) {
        return;
    }

    for (i = 0; i < n; i++) {
        hubs[i] = ngx_wscast_hub_create(cycle, confs[i]);
        confs[i]->hub = hubs[i];

        if (hubs[i] == NULL) {
            ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                          "wscast: hub \"%V\" could not be started",
                          &confs[i]->name);
        }
    }

    ngx_wscast_worker.hubs = hubs;
    ngx_wscast_worker.n = n;
}


void
ngx_wscast_worker_exit(void)
{
    ngx_uint_t  i;

    for (i = 0; i < ngx_wscast_worker.n; i++) {
        if (ngx_wscast_worker.hubs[i]) {
            ngx_wscast_hub_destroy(ngx_wscast_worker.hubs[i]);
        }
    }

    ngx_free(ngx_wscast_worker.hubs);

    ngx_wscast_worker.hubs = NULL;
    ngx_wscast_worker.n = 0;
}


ngx_uint_t
ngx_wscast_worker_running(void)
{
    return ngx_wscast_worker.hubs != NULL;
}


static ngx_wscast_hub_t *
ngx_wscast_hub_create(ngx_cycle_t *cycle, ngx_wscast_hub_conf_t *conf)
{
    ngx_uint_t         i;
    ngx_wscast_hub_t  *hub;

    hub = ngx_calloc(sizeof(ngx_wscast_hub_t), cycle->log);
    if (hub == NULL) {
        return NULL;
    }

    hub->conf = conf;
    hub->log = cycle->log;

    wscast_list_init(&hub->waiters);

    for (i = 0; i < sizeof(hub->client_tag); i++) {
        hub->client_tag[i] = (u_char) (ngx_random() >> (i & 15));
    }

    wscast_fanout_init(&hub->fanout, ((uint64_t) ngx_random() << 32)
                                     ^ (uint64_t) ngx_random(),
                       &ngx_wscast_hub_fanout_handler, hub);

    hub->bus = ngx_wscast_bus_create(cycle, &conf->bus,
                                     &ngx_wscast_hub_bus_handler, hub);
    if (hub->bus == NULL) {
        ngx_free(hub);
        return NULL;
    }

    if (ngx_wscast_conns_init(&hub->conns, ngx_wscast_bus_counters(hub->bus),
                              ngx_wscast_hub_settle, hub, cycle->log)
        != NGX_OK)
    {
        ngx_wscast_bus_destroy(hub->bus);
        ngx_free(hub);
        return NULL;
    }

    hub->engine.fanout = &hub->fanout;
    hub->engine.rules = conf->rules ? conf->rules->elts : NULL;
    hub->engine.nrules = conf->rules ? conf->rules->nelts : 0;
    hub->engine.receipts = (unsigned) ngx_wscast_bus_remote(hub->bus);
    hub->engine.publish = ngx_wscast_engine_publish;
    hub->engine.now = ngx_wscast_engine_now;
    hub->engine.ctx = hub;

    return hub;
}


static void
ngx_wscast_hub_destroy(ngx_wscast_hub_t *hub)
{
    hub->conf->hub = NULL;

    ngx_wscast_conns_done(&hub->conns);
    ngx_wscast_bus_destroy(hub->bus);
    wscast_fanout_done(&hub->fanout);

    ngx_free(hub->scratch);
    ngx_free(hub);
}


ngx_uint_t
ngx_wscast_hub_ready(ngx_wscast_hub_t *hub)
{
    if (!ngx_wscast_bus_ready(hub->bus)) {
        return 0;
    }

    /* the slot may have been had later than the hub */
    hub->conns.counters = ngx_wscast_bus_counters(hub->bus);

    return 1;
}


void
ngx_wscast_hub_client_id(ngx_wscast_hub_t *hub, char id[WSCAST_CLIENT_ID])
{
    u_char     bytes[sizeof(hub->client_tag) + sizeof(uint32_t)];
    ngx_str_t  src, dst;

    ngx_memcpy(bytes, hub->client_tag, sizeof(hub->client_tag));
    ngx_memcpy(bytes + sizeof(hub->client_tag), &hub->client_count,
               sizeof(uint32_t));

    hub->client_count++;

    src.data = bytes;
    src.len = sizeof(bytes);
    dst.data = (u_char *) id;

    ngx_encode_base64url(&dst, &src);
}


wscast_status_t
ngx_wscast_hub_publish(ngx_wscast_hub_t *hub, const wscast_pub_fields_t *f,
    wscast_receipt_t *receipt, wscast_waiter_t *waiter)
{
    size_t            size;
    uint64_t         *counters;
    wscast_status_t   rc;

    counters = ngx_wscast_bus_counters(hub->bus);
    size = wscast_envelope_size(f);

    if (size == 0) {
        counters[WSCAST_COUNT_PUBLISH_FAILED]++;
        return WSCAST_CLOSE_TOO_BIG;
    }

    if (size > hub->scratch_size) {
        ngx_free(hub->scratch);
        hub->scratch_size = 0;

        hub->scratch = ngx_alloc(size, hub->log);
        if (hub->scratch == NULL) {
            counters[WSCAST_COUNT_PUBLISH_FAILED]++;
            return WSCAST_CLOSE_NO_MEMORY;
        }

        hub->scratch_size = size;
    }

    (void) wscast_envelope_encode(hub->scratch, f);

    rc = ngx_wscast_bus_publish(hub->bus, f->channel,
                                wscast_str(hub->scratch, size), receipt);

    if (hub->scratch_size > NGX_WSCAST_SCRATCH_KEEP) {
        ngx_free(hub->scratch);
        hub->scratch = NULL;
        hub->scratch_size = 0;
    }

    if (rc == WSCAST_OK) {
        counters[WSCAST_COUNT_PUBLISHED]++;

    } else if (rc == WSCAST_AGAIN) {
        wscast_list_append(&hub->waiters, &waiter->link);

    } else if (rc != WSCAST_MORE) {
        counters[WSCAST_COUNT_PUBLISH_FAILED]++;
    }

    return rc;
}


static wscast_status_t
ngx_wscast_engine_publish(void *ctx, const wscast_pub_fields_t *f,
    wscast_receipt_t *receipt, wscast_waiter_t *waiter)
{
    return ngx_wscast_hub_publish(ctx, f, receipt, waiter);
}


static uint64_t
ngx_wscast_engine_now(void *ctx)
{
    return ngx_wscast_now();
}


uint64_t
ngx_wscast_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (uint64_t) tp->sec * 1000 + tp->msec;
}


/* fanout => bus */


static wscast_status_t
ngx_wscast_hub_first(void *ctx, wscast_channel_t *ch)
{
    ngx_wscast_hub_t  *hub;

    hub = ctx;

    ch->live = (ngx_wscast_bus_join(hub->bus, ch->node.key) == NGX_OK);
    ngx_wscast_bus_counters(hub->bus)[WSCAST_COUNT_CHANNELS]++;

    return WSCAST_OK;
}


static void
ngx_wscast_hub_last(void *ctx, wscast_channel_t *ch)
{
    ngx_wscast_hub_t  *hub;

    hub = ctx;

    ngx_wscast_bus_leave(hub->bus, ch->node.key);
    ngx_wscast_bus_counters(hub->bus)[WSCAST_COUNT_CHANNELS]--;
}


/* bus => fanout */


static size_t
ngx_wscast_hub_deliver(void *ctx, wscast_str_t channel, wscast_str_t bytes)
{
    size_t                 n;
    ngx_uint_t             i;
    wscast_status_t        rc;
    ngx_wscast_hub_t      *hub;
    wscast_channel_t      *ch;
    wscast_publication_t   pub;

    hub = ctx;

    ch = wscast_fanout_find(&hub->fanout, channel);
    if (ch == NULL) {
        return 0;
    }

    /* it lives for this call only: its frames are what others keep */

    ngx_memzero(&pub, sizeof(wscast_publication_t));
    pub.refs = 1;

    rc = wscast_envelope_decode(channel, bytes, ngx_wscast_now(), &pub.f);

    if (rc != WSCAST_OK) {
        ngx_log_error(NGX_LOG_WARN, hub->log, 0,
                      "wscast: a message to hub \"%V\" was skipped: %s",
                      &hub->conf->name,
                      rc == WSCAST_MORE ? "its version is not known"
                                        : "its envelope is broken");
        return 0;
    }

    if (ngx_wscast_bus_remote(hub->bus)) {
        /* anybody may write to Redis: dialects shall look for themselves */
        pub.f.flags &= ~WSCAST_PUB_JSON;
    }

    n = wscast_fanout_deliver(&hub->fanout, ch, ngx_wscast_hub_deliver_one,
                              &pub);

    for (i = 0; i < WSCAST_VARIANTS; i++) {
        wscast_prepared_release(pub.prepared[i]);
    }

    return n;
}


static void
ngx_wscast_hub_deliver_one(void *arg, void *subscriber)
{
    wscast_session_deliver(subscriber, arg);
}


static void
ngx_wscast_hub_live(void *ctx, wscast_str_t channel)
{
    ngx_wscast_hub_t  *hub;
    wscast_channel_t  *ch;

    hub = ctx;
    ch = wscast_fanout_find(&hub->fanout, channel);

    if (ch && !ch->live) {
        ngx_wscast_hub_joined(ch);
    }
}


static void
ngx_wscast_hub_joined(wscast_channel_t *ch)
{
    uint32_t                i;
    wscast_subscription_t  *sub;

    ch->live = 1;

    for (i = 0; i < ch->count; i++) {
        sub = ch->subscribers[i];

        if (sub->pending) {
            wscast_session_joined(sub->subscriber, sub);
        }
    }
}


static void
ngx_wscast_hub_writable(void *ctx)
{
    wscast_waiter_t   *w;
    ngx_wscast_hub_t  *hub;

    hub = ctx;

    while (!wscast_list_empty(&hub->waiters)) {
        w = wscast_list_first(&hub->waiters, wscast_waiter_t, link);

        wscast_list_remove(&w->link);
        w->retry(w);

        if (hub->waiters.prev == &w->link) {
            /* full again: it waits once more, and so do the others */
            return;
        }
    }
}


static void
ngx_wscast_hub_lapped(void *ctx)
{
    ngx_wscast_hub_t  *hub;

    hub = ctx;
    ngx_wscast_conns_finalize(&hub->conns, WSCAST_CLOSE_LAPPED);
}


static size_t
ngx_wscast_hub_count(void *ctx, wscast_str_t channel)
{
    ngx_wscast_hub_t  *hub;
    wscast_channel_t  *ch;

    hub = ctx;
    ch = wscast_fanout_find(&hub->fanout, channel);

    return ch ? ch->count : 0;
}


static void
ngx_wscast_hub_recall(void *ctx)
{
    ngx_wscast_hub_t   *hub;
    wscast_map_node_t  *node;

    hub = ctx;

    for (node = wscast_map_next(&hub->fanout.channels, NULL);
         node;
         node = wscast_map_next(&hub->fanout.channels, node))
    {
        ngx_wscast_bus_want(hub->bus, node->key);
    }
}


/* Nobody waits for Redis longer than this: it may be away, or its leader. */

static void
ngx_wscast_hub_tick(void *ctx)
{
    ngx_wscast_hub_t   *hub;
    wscast_channel_t   *ch;
    wscast_map_node_t  *node;

    hub = ctx;

    if (!ngx_wscast_bus_remote(hub->bus)) {
        return;
    }

    for (node = wscast_map_next(&hub->fanout.channels, NULL);
         node;
         node = wscast_map_next(&hub->fanout.channels, node))
    {
        ch = wscast_container(node, wscast_channel_t, node);

        if (!ch->live && ++ch->ticks >= NGX_WSCAST_LIVE_TICKS) {
            ngx_wscast_hub_joined(ch);
        }
    }
}


static void
ngx_wscast_hub_exiting(void *ctx)
{
    ngx_wscast_hub_t  *hub;

    hub = ctx;
    ngx_wscast_conns_drain(&hub->conns);
}


static void
ngx_wscast_hub_settle(void *ctx)
{
    ngx_wscast_hub_t  *hub;

    hub = ctx;
    ngx_wscast_bus_settle(hub->bus);
}
