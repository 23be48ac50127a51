#include "worker.h"
#include "control.h"
#include "../base/envelope.h"


#define NGX_WSCAST_LIVE_TICKS     3             /* s to wait for Redis */
#define NGX_WSCAST_SCRATCH_KEEP   (256 * 1024)  /* bytes */


typedef struct {
    ngx_wscast_hub_t   **hubs;
    ngx_uint_t           n;
} ngx_wscast_worker_t;


static ngx_wscast_hub_t *ngx_wscast_hub_create(ngx_cycle_t *cycle,
    ngx_wscast_hub_conf_t *conf);
static ngx_int_t ngx_wscast_hub_open(ngx_cycle_t *cycle,
    ngx_wscast_hub_t *hub);
static void ngx_wscast_hub_destroy(ngx_wscast_hub_t *hub);
static void ngx_wscast_hub_close(ngx_wscast_hub_t *hub);
static wscast_status_t ngx_wscast_hub_first(void *ctx, wscast_channel_t *ch);
static void ngx_wscast_hub_last(void *ctx, wscast_channel_t *ch);
static ngx_int_t ngx_wscast_hub_scratch(ngx_wscast_hub_t *hub, size_t size);
static wscast_status_t ngx_wscast_engine_publish(void *ctx,
    const wscast_pub_fields_t *f, wscast_receipt_t *receipt,
    wscast_waiter_t *waiter);
static wscast_status_t ngx_wscast_engine_position(void *ctx,
    wscast_str_t channel, wscast_position_t *position);
static void ngx_wscast_engine_query(void *ctx, wscast_query_t *q);
static void ngx_wscast_engine_cancel(void *ctx, wscast_query_t *q);
static void ngx_wscast_engine_leave(void *ctx, const wscast_rule_t *rule,
    wscast_str_t channel, wscast_str_t client, unsigned lost);
static void ngx_wscast_engine_recovered(void *ctx, unsigned done);
static uint64_t ngx_wscast_engine_now(void *ctx);
static size_t ngx_wscast_hub_deliver(void *ctx, wscast_str_t channel,
    wscast_str_t bytes);
static void ngx_wscast_hub_deliver_one(void *arg, wscast_subscription_t *sub);
static void ngx_wscast_hub_live(void *ctx, wscast_str_t channel);
static void ngx_wscast_hub_joined(wscast_channel_t *ch);
static void ngx_wscast_hub_writable(void *ctx);
static void ngx_wscast_hub_lapped(void *ctx);
static size_t ngx_wscast_hub_count(void *ctx, wscast_str_t channel);
static void ngx_wscast_hub_recall(void *ctx);
static void ngx_wscast_hub_tick(void *ctx);
static void ngx_wscast_hub_exiting(void *ctx);
static void ngx_wscast_hub_reachable(void *ctx);
static ngx_int_t ngx_wscast_hub_arrived(void *ctx, wscast_str_t channel,
    wscast_str_t bytes);
static ngx_int_t ngx_wscast_hub_confirmed(void *ctx, wscast_str_t channel,
    ngx_uint_t missed);
static void ngx_wscast_hub_unsubscribed(void *ctx);
static void ngx_wscast_hub_rejoin(void *ctx);
static void ngx_wscast_hub_replaced(void *ctx, wscast_str_t client);
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
    ngx_wscast_hub_exiting,
    ngx_wscast_hub_reachable,
    ngx_wscast_hub_arrived,
    ngx_wscast_hub_confirmed,
    ngx_wscast_hub_unsubscribed
};


static const ngx_wscast_store_handler_t  ngx_wscast_hub_store_handler = {
    ngx_wscast_hub_rejoin,
    ngx_wscast_hub_replaced
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

    if (ngx_wscast_hub_open(cycle, hub) != NGX_OK) {
        ngx_wscast_hub_close(hub);
        return NULL;
    }

    hub->engine.fanout = &hub->fanout;
    hub->engine.rules = conf->rules ? conf->rules->elts : NULL;
    hub->engine.nrules = conf->rules ? conf->rules->nelts : 0;
    hub->engine.keys = conf->keys;
    hub->engine.leeway = (unsigned) conf->leeway;
    hub->engine.receipts = (unsigned) ngx_wscast_bus_remote(hub->bus);
    hub->engine.publish = ngx_wscast_engine_publish;
    hub->engine.position = ngx_wscast_engine_position;
    hub->engine.query = ngx_wscast_engine_query;
    hub->engine.cancel = ngx_wscast_engine_cancel;
    hub->engine.leave = ngx_wscast_engine_leave;
    hub->engine.recovered = ngx_wscast_engine_recovered;
    hub->engine.now = ngx_wscast_engine_now;
    hub->engine.ctx = hub;

    return hub;
}


static ngx_int_t
ngx_wscast_hub_open(ngx_cycle_t *cycle, ngx_wscast_hub_t *hub)
{
    ngx_wscast_hub_conf_t  *conf;

    conf = hub->conf;

    hub->bus = ngx_wscast_bus_create(cycle, &conf->bus,
                                     &ngx_wscast_hub_bus_handler, hub);
    if (hub->bus == NULL) {
        return NGX_ERROR;
    }

    hub->store = ngx_wscast_store_create(cycle, hub->bus, &conf->bus,
                                         conf->rules ? conf->rules->elts
                                                     : NULL,
                                         conf->rules ? conf->rules->nelts : 0,
                                         &ngx_wscast_hub_store_handler, hub);
    if (hub->store == NULL) {
        return NGX_ERROR;
    }

    hub->control = ngx_wscast_control_create(hub);
    if (hub->control == NULL) {
        return NGX_ERROR;
    }

    return ngx_wscast_conns_init(&hub->conns,
                                 ngx_wscast_bus_counters(hub->bus),
                                 ngx_wscast_hub_settle, hub, cycle->log);
}


static void
ngx_wscast_hub_destroy(ngx_wscast_hub_t *hub)
{
    hub->conf->hub = NULL;

    ngx_wscast_conns_done(&hub->conns);
    ngx_wscast_hub_close(hub);
}


static void
ngx_wscast_hub_close(ngx_wscast_hub_t *hub)
{
    if (hub->control) {
        ngx_wscast_control_destroy(hub->control);
    }

    if (hub->store) {
        ngx_wscast_store_destroy(hub->store);
    }

    if (hub->bus) {
        ngx_wscast_bus_destroy(hub->bus);
    }

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


const wscast_rule_t *
ngx_wscast_hub_rule(ngx_wscast_hub_t *hub, wscast_str_t channel)
{
    return wscast_rule_find(hub->engine.rules, hub->engine.nrules, channel);
}


wscast_status_t
ngx_wscast_hub_publish(ngx_wscast_hub_t *hub, const wscast_pub_fields_t *f,
    wscast_receipt_t *receipt, wscast_waiter_t *waiter)
{
    size_t                size;
    uint64_t             *counters;
    wscast_str_t          envelope;
    wscast_status_t       rc;
    const wscast_rule_t  *rule;

    counters = ngx_wscast_bus_counters(hub->bus);
    size = wscast_envelope_size(f);

    if (size == 0) {
        counters[WSCAST_COUNT_PUBLISH_FAILED]++;
        return WSCAST_CLOSE_TOO_BIG;
    }

    if (ngx_wscast_hub_scratch(hub, size) != NGX_OK) {
        counters[WSCAST_COUNT_PUBLISH_FAILED]++;
        return WSCAST_CLOSE_NO_MEMORY;
    }

    (void) wscast_envelope_encode(hub->scratch, f);

    envelope = wscast_str(hub->scratch, size);
    rule = ngx_wscast_hub_rule(hub, f->channel);

    if (f->key.len || (rule && rule->history)) {
        rc = ngx_wscast_store_publish(hub->store, rule, f, envelope, receipt);

    } else {
        rc = ngx_wscast_bus_publish(hub->bus, f->channel, envelope, receipt);

        if (rc == WSCAST_OK) {
            counters[WSCAST_COUNT_PUBLISHED]++;
        }
    }

    if (hub->scratch_size > NGX_WSCAST_SCRATCH_KEEP) {
        ngx_free(hub->scratch);
        hub->scratch = NULL;
        hub->scratch_size = 0;
    }

    if (rc == WSCAST_AGAIN) {
        wscast_list_append(&hub->waiters, &waiter->link);

    } else if (rc != WSCAST_MORE && rc != WSCAST_OK) {
        counters[WSCAST_COUNT_PUBLISH_FAILED]++;
    }

    return rc;
}


static ngx_int_t
ngx_wscast_hub_scratch(ngx_wscast_hub_t *hub, size_t size)
{
    if (size <= hub->scratch_size) {
        return NGX_OK;
    }

    ngx_free(hub->scratch);
    hub->scratch_size = 0;

    hub->scratch = ngx_alloc(size, hub->log);
    if (hub->scratch == NULL) {
        return NGX_ERROR;
    }

    hub->scratch_size = size;

    return NGX_OK;
}


static wscast_status_t
ngx_wscast_engine_publish(void *ctx, const wscast_pub_fields_t *f,
    wscast_receipt_t *receipt, wscast_waiter_t *waiter)
{
    return ngx_wscast_hub_publish(ctx, f, receipt, waiter);
}


static wscast_status_t
ngx_wscast_engine_position(void *ctx, wscast_str_t channel,
    wscast_position_t *position)
{
    ngx_wscast_hub_t  *hub;

    hub = ctx;

    return ngx_wscast_store_position(hub->store, channel, position);
}


static void
ngx_wscast_engine_query(void *ctx, wscast_query_t *q)
{
    ngx_wscast_hub_t  *hub;

    hub = ctx;
    ngx_wscast_store_query(hub->store, q);
}


static void
ngx_wscast_engine_cancel(void *ctx, wscast_query_t *q)
{
    ngx_wscast_hub_t  *hub;

    hub = ctx;
    ngx_wscast_store_cancel(hub->store, q);
}


static void
ngx_wscast_engine_leave(void *ctx, const wscast_rule_t *rule,
    wscast_str_t channel, wscast_str_t client, unsigned lost)
{
    ngx_wscast_hub_t  *hub;

    hub = ctx;
    ngx_wscast_store_leave(hub->store, rule, channel, client, lost);
}


static void
ngx_wscast_engine_recovered(void *ctx, unsigned done)
{
    ngx_wscast_hub_t  *hub;

    hub = ctx;
    ngx_wscast_bus_counters(hub->bus)[done ? WSCAST_COUNT_RECOVERED
                                           : WSCAST_COUNT_UNRECOVERED]++;
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

    if (ngx_wscast_control_is(channel)) {
        ngx_wscast_control_deliver(hub->control, channel, bytes);
        return 0;
    }

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
ngx_wscast_hub_deliver_one(void *arg, wscast_subscription_t *sub)
{
    wscast_session_deliver(sub, arg);
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

    if (hub->control) {
        ngx_wscast_control_recall(hub->control);
    }
}


static void
ngx_wscast_hub_reachable(void *ctx)
{
    ngx_wscast_hub_t  *hub;

    hub = ctx;

    if (hub->store) {
        ngx_wscast_store_reachable(hub->store);
    }
}


static ngx_int_t
ngx_wscast_hub_arrived(void *ctx, wscast_str_t channel, wscast_str_t bytes)
{
    ngx_wscast_hub_t  *hub;

    hub = ctx;

    return ngx_wscast_store_arrived(hub->store, channel, bytes);
}


static ngx_int_t
ngx_wscast_hub_confirmed(void *ctx, wscast_str_t channel, ngx_uint_t missed)
{
    ngx_wscast_hub_t  *hub;

    hub = ctx;

    return ngx_wscast_store_confirmed(hub->store, channel, missed);
}


static void
ngx_wscast_hub_unsubscribed(void *ctx)
{
    ngx_wscast_hub_t  *hub;

    hub = ctx;

    if (hub->store) {
        ngx_wscast_store_unsubscribed(hub->store);
    }
}


/* The store has lost its members, or may have: all are told to it anew. */

static void
ngx_wscast_hub_rejoin(void *ctx)
{
    uint32_t            i;
    ngx_wscast_hub_t   *hub;
    wscast_channel_t   *ch;
    wscast_map_node_t  *node;

    hub = ctx;

    for (node = wscast_map_next(&hub->fanout.channels, NULL);
         node;
         node = wscast_map_next(&hub->fanout.channels, node))
    {
        ch = wscast_container(node, wscast_channel_t, node);

        for (i = 0; i < ch->count; i++) {
            wscast_session_rejoin(ch->subscribers[i]);
        }
    }
}


static void
ngx_wscast_hub_replaced(void *ctx, wscast_str_t client)
{
    ngx_wscast_hub_t  *hub;

    hub = ctx;
    ngx_wscast_control_end(hub->control, client, WSCAST_CLOSE_REPLACED);
}


/* Nobody waits for Redis longer than this: it may be away, or its leader. */

static void
ngx_wscast_hub_tick(void *ctx)
{
    ngx_wscast_hub_t   *hub;
    wscast_channel_t   *ch;
    wscast_map_node_t  *node;

    hub = ctx;

    if (hub->store) {
        ngx_wscast_store_tick(hub->store);
    }

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
