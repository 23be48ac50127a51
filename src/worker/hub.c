#include "worker_inner.h"
#include "control.h"
#include "../base/envelope.h"


#define NGX_WSCAST_LIVE_TICKS     3             /* s to wait for Redis */


static wscast_status_t ngx_wscast_hub_first(void *ctx, wscast_channel_t *ch);
static void ngx_wscast_hub_last(void *ctx, wscast_channel_t *ch);
static size_t ngx_wscast_hub_deliver(void *ctx, wscast_str_t channel,
    wscast_str_t bytes);
static void ngx_wscast_hub_serve(void *ctx, wscast_subscription_t *sub,
    wscast_publication_t *pub);
static void ngx_wscast_hub_served(void *ctx, wscast_subscription_t *sub);
static void ngx_wscast_hub_live(void *ctx, wscast_str_t channel,
    ngx_uint_t shaken);
static void ngx_wscast_hub_stale(ngx_wscast_hub_t *hub, wscast_channel_t *ch);
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
static void ngx_wscast_hub_unsubscribed(void *ctx,
    const wscast_str_t *channel);
static void ngx_wscast_hub_rejoin(void *ctx);
static void ngx_wscast_hub_replaced(void *ctx, wscast_str_t client);


const wscast_fanout_handler_t  ngx_wscast_hub_fanout_handler = {
    ngx_wscast_hub_first,
    ngx_wscast_hub_last,
    ngx_wscast_hub_serve,
    ngx_wscast_hub_served,
    NGX_WSCAST_CONN_HEAD,
    WSCAST_SESSION_HEAD
};


const ngx_wscast_bus_handler_t  ngx_wscast_hub_bus_handler = {
    ngx_wscast_hub_full,
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


const ngx_wscast_store_handler_t  ngx_wscast_hub_store_handler = {
    ngx_wscast_hub_rejoin,
    ngx_wscast_hub_count,
    ngx_wscast_hub_replaced
};


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
    wscast_status_t       rc;
    ngx_wscast_hub_t     *hub;
    wscast_channel_t     *ch;
    wscast_pub_fields_t   f;

    hub = ctx;

    if (ngx_wscast_control_is(channel)) {
        ngx_wscast_control_deliver(hub->control, channel, bytes);
        return 0;
    }

    ch = wscast_fanout_find(&hub->fanout, channel);
    if (ch == NULL) {
        return 0;
    }

    ngx_memzero(&f, sizeof(wscast_pub_fields_t));
    rc = wscast_envelope_decode(channel, bytes, ngx_wscast_now(), &f);

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
        f.flags &= ~WSCAST_PUB_JSON;
    }

    return ngx_wscast_hub_fan(hub, ch, &f);
}


void
ngx_wscast_hub_deliver_one(void *arg, wscast_subscription_t *sub)
{
    wscast_session_deliver(sub, arg);
}


static void
ngx_wscast_hub_serve(void *ctx, wscast_subscription_t *sub,
    wscast_publication_t *pub)
{
    wscast_session_deliver(sub, pub);
}


static void
ngx_wscast_hub_served(void *ctx, wscast_subscription_t *sub)
{
    wscast_session_flush(sub->subscriber);
}


static void
ngx_wscast_hub_live(void *ctx, wscast_str_t channel, ngx_uint_t shaken)
{
    ngx_wscast_hub_t     *hub;
    wscast_channel_t     *ch;
    const wscast_rule_t  *rule;

    hub = ctx;
    ch = wscast_fanout_find(&hub->fanout, channel);

    if (ch == NULL) {
        return;
    }

    /* what came before comes before */

    if (ch->backlog) {
        wscast_fanout_finish(&hub->fanout, ch);
        ch = wscast_fanout_find(&hub->fanout, channel);

        if (ch == NULL) {
            return;
        }
    }

    if (!ch->live) {
        ngx_wscast_hub_joined(ch);
    }

    rule = ngx_wscast_hub_rule(hub, channel);

    if (shaken && rule && rule->presence) {
        ngx_wscast_hub_stale(hub, ch);
    }
}


/*
 * Joins and leaves are in no history.  Who follows them is told that some may
 * be missing, and can ask who is there.
 */

static void
ngx_wscast_hub_stale(ngx_wscast_hub_t *hub, wscast_channel_t *ch)
{
    wscast_pub_fields_t  f;

    ngx_memzero(&f, sizeof(wscast_pub_fields_t));

    f.kind = WSCAST_PUB_STALE;
    f.channel = ch->node.key;

    (void) ngx_wscast_hub_fan(hub, ch, &f);
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
    ngx_wscast_hub_t  *hub;

    hub = ctx;
    ngx_wscast_hub_retry(&hub->waiters);
}


void
ngx_wscast_hub_retry(wscast_list_t *waiters)
{
    wscast_waiter_t  *w;

    while (!wscast_list_empty(waiters)) {
        w = wscast_list_first(waiters, wscast_waiter_t, link);

        wscast_list_remove(&w->link);
        w->retry(w);

        if (waiters->prev == &w->link) {
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
ngx_wscast_hub_unsubscribed(void *ctx, const wscast_str_t *channel)
{
    ngx_wscast_hub_t  *hub;

    hub = ctx;

    if (hub->store) {
        ngx_wscast_store_unsubscribed(hub->store, channel);
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
