#include "worker_inner.h"
#include "../base/envelope.h"


#define NGX_WSCAST_SCRATCH_KEEP   (256 * 1024)  /* bytes */


static wscast_status_t ngx_wscast_hub_send(ngx_wscast_hub_t *hub,
    const wscast_pub_fields_t *f, wscast_str_t envelope,
    wscast_receipt_t *receipt);
static wscast_status_t ngx_wscast_hub_fall_back(ngx_wscast_hub_t *hub,
    wscast_str_t channel, wscast_str_t envelope, wscast_receipt_t *receipt);
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
static void ngx_wscast_engine_packed(void *ctx, size_t before, size_t after);
static uint64_t ngx_wscast_engine_now(void *ctx);


/* What the sessions of this hub can ask for. */

void
ngx_wscast_hub_engine(ngx_wscast_hub_t *hub)
{
    hub->engine.fanout = &hub->fanout;
    hub->engine.rules = hub->conf->rules ? hub->conf->rules->elts : NULL;
    hub->engine.nrules = hub->conf->rules ? hub->conf->rules->nelts : 0;
    hub->engine.keys = hub->conf->keys;
    hub->engine.leeway = (unsigned) hub->conf->leeway;
    hub->engine.deflate = hub->conns.deflate;
    hub->engine.receipts = (unsigned) ngx_wscast_bus_remote(hub->bus);
    hub->engine.publish = ngx_wscast_engine_publish;
    hub->engine.position = ngx_wscast_engine_position;
    hub->engine.query = ngx_wscast_engine_query;
    hub->engine.cancel = ngx_wscast_engine_cancel;
    hub->engine.leave = ngx_wscast_engine_leave;
    hub->engine.recovered = ngx_wscast_engine_recovered;
    hub->engine.packed = ngx_wscast_engine_packed;
    hub->engine.now = ngx_wscast_engine_now;
    hub->engine.ctx = hub;
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
    size_t            size;
    uint64_t         *counters;
    wscast_status_t   rc;

    counters = ngx_wscast_bus_counters(hub->bus);
    size = wscast_envelope_size(f);

    if (size == 0) {
        counters[WSCAST_COUNT_PUBLISH_FAILED]++;
        return WSCAST_CLOSE_TOO_BIG;
    }

    if (!ngx_wscast_bus_remote(hub->bus)
        && ngx_wscast_hub_fan_admit(hub, f->channel, waiter) != NGX_OK)
    {
        counters[WSCAST_COUNT_PUBLISH_WAITS]++;
        return WSCAST_AGAIN;
    }

    if (ngx_wscast_hub_scratch(hub, size) != NGX_OK) {
        counters[WSCAST_COUNT_PUBLISH_FAILED]++;
        return WSCAST_CLOSE_NO_MEMORY;
    }

    (void) wscast_envelope_encode(hub->scratch, f);

    rc = ngx_wscast_hub_send(hub, f, wscast_str(hub->scratch, size), receipt);

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


static wscast_status_t
ngx_wscast_hub_send(ngx_wscast_hub_t *hub, const wscast_pub_fields_t *f,
    wscast_str_t envelope, wscast_receipt_t *receipt)
{
    wscast_status_t       rc;
    const wscast_rule_t  *rule;

    if (hub->conf->bus.redis_fallback) {

        if (ngx_wscast_bus_away(hub->bus, f->channel)) {
            return ngx_wscast_hub_fall_back(hub, f->channel, envelope,
                                            receipt);
        }

        hub->alone &= !ngx_wscast_bus_whole(hub->bus);
    }

    rule = ngx_wscast_hub_rule(hub, f->channel);

    if (f->key.len || (rule && rule->history)) {
        return ngx_wscast_store_publish(hub->store, rule, f, envelope,
                                        receipt);
    }

    rc = ngx_wscast_bus_publish(hub->bus, f->channel, envelope, receipt);

    if (rc == WSCAST_OK) {
        ngx_wscast_bus_counters(hub->bus)[WSCAST_COUNT_PUBLISHED]++;
    }

    return rc;
}


/*
 * Without Redis nobody knows keys and positions: a message of a channel with
 * history has none, as if a backend had published it in Redis.
 */

static wscast_status_t
ngx_wscast_hub_fall_back(ngx_wscast_hub_t *hub, wscast_str_t channel,
    wscast_str_t envelope, wscast_receipt_t *receipt)
{
    uint64_t         *counters;
    wscast_status_t   rc;

    rc = ngx_wscast_bus_append(hub->bus, channel, envelope, NULL,
                               receipt ? &receipt->receivers : NULL);
    if (rc != WSCAST_OK) {
        return rc;
    }

    counters = ngx_wscast_bus_counters(hub->bus);
    counters[WSCAST_COUNT_PUBLISHED]++;
    counters[WSCAST_COUNT_FALLBACK]++;

    if (!hub->alone) {
        hub->alone = 1;

        ngx_log_error(NGX_LOG_WARN, hub->log, 0,
                      "wscast: redis of hub \"%V\" is away: what is published "
                      "is delivered on this host alone", &hub->conf->name);
    }

    return WSCAST_OK;
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


static void
ngx_wscast_engine_packed(void *ctx, size_t before, size_t after)
{
    uint64_t          *counters;
    ngx_wscast_hub_t  *hub;

    hub = ctx;
    counters = ngx_wscast_bus_counters(hub->bus);

    counters[WSCAST_COUNT_DEFLATED]++;
    counters[WSCAST_COUNT_DEFLATE_IN] += before;
    counters[WSCAST_COUNT_DEFLATE_OUT] += after;
}


static uint64_t
ngx_wscast_engine_now(void *ctx)
{
    return ngx_wscast_now();
}
