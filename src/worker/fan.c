#include "worker_inner.h"

#include <time.h>


/*
 * A turn of the event loop gives this much to channels with many subscribers;
 * then clients are read, and HTTP is served.
 */
#define NGX_WSCAST_FAN_SLICE    1000            /* us */

/* So many subscribers are served where the message comes in. */
#define NGX_WSCAST_FAN_FEW      64

/* Deliveries that wait in this worker: a second's work, or less. */
#define NGX_WSCAST_FAN_MOST     (512 * 1024)    /* the bus is read no more */
#define NGX_WSCAST_FAN_MANY     (256 * 1024)    /* who publishes must wait */

/* The same of publications that are still on the bus, to a few each. */
#define NGX_WSCAST_FAN_FLYING   2048

/* The same, in bytes of data: as much again may be their frames. */
#define NGX_WSCAST_FAN_BYTES    (4 * 1024 * 1024)


#define ngx_wscast_hub_many(ch)                                               \
    ((ch)->backlog || (ch)->count > NGX_WSCAST_FAN_FEW)


static void ngx_wscast_hub_fan_handler(ngx_event_t *ev);
static void ngx_wscast_hub_landed(ngx_wscast_hub_t *hub,
    const wscast_channel_t *ch);
static ngx_uint_t ngx_wscast_hub_crowded(const ngx_wscast_hub_t *hub,
    ngx_uint_t many);


void
ngx_wscast_hub_fan_init(ngx_wscast_hub_t *hub)
{
    hub->fan.handler = ngx_wscast_hub_fan_handler;
    hub->fan.data = hub;
    hub->fan.log = hub->log;
}


void
ngx_wscast_hub_fan_done(ngx_wscast_hub_t *hub)
{
    if (hub->fan.posted) {
        ngx_delete_posted_event(&hub->fan);
    }
}


/*
 * All subscribers get it, now if they are few; frames that they have queued
 * live on by themselves.
 */

size_t
ngx_wscast_hub_fan(ngx_wscast_hub_t *hub, wscast_channel_t *ch,
    const wscast_pub_fields_t *f)
{
    size_t                 n;
    ngx_uint_t             i;
    wscast_status_t        rc;
    wscast_publication_t   one, *pub;

    ngx_wscast_hub_landed(hub, ch);

    if (ngx_wscast_hub_many(ch)) {
        pub = wscast_publication_create(f);

        if (pub) {
            rc = wscast_fanout_push(&hub->fanout, ch, pub);
            wscast_publication_release(pub);

            if (rc == WSCAST_OK) {
                ngx_post_event(&hub->fan, &ngx_posted_events);
                return 0;
            }
        }

        /* without memory to wait in: at once, but not before the others */

        wscast_fanout_finish(&hub->fanout, ch);
    }

    /* it lives for this call only */

    ngx_memzero(&one, sizeof(wscast_publication_t));
    one.refs = 1;
    one.f = *f;

    n = wscast_fanout_deliver(&hub->fanout, ch, ngx_wscast_hub_deliver_one,
                              &one);

    for (i = 0; i < WSCAST_VARIANTS; i++) {
        wscast_prepared_release(one.prepared[i]);
    }

    return n;
}


/* What was given to a few is written before the next have their turn. */

static void
ngx_wscast_hub_fan_handler(ngx_event_t *ev)
{
    uint64_t           end;
    ngx_wscast_hub_t  *hub;

    hub = ev->data;
    end = ngx_wscast_conn_clock() + NGX_WSCAST_FAN_SLICE;

    while (ngx_wscast_conns_flush(&hub->conns, end) == NGX_OK
           && ngx_wscast_conn_clock() < end
           && wscast_fanout_step(&hub->fanout))
    {
        /* void */
    }

    if (!ngx_wscast_bus_behind(hub->bus)) {
        hub->flying = 0;
        hub->coming = 0;
    }

    if (!ngx_wscast_hub_crowded(hub, 1)) {
        ngx_wscast_hub_retry(&hub->crowd);
    }

    if (!ngx_wscast_hub_crowded(hub, 0)) {
        ngx_wscast_hub_retry(&hub->waiters);
    }

    if (ngx_wscast_hub_crowded(hub, 0) || ngx_wscast_hub_crowded(hub, 1)
        || !wscast_list_empty(&hub->fanout.busy))
    {
        ngx_post_event(ev, &ngx_posted_next_events);
    }
}


/*
 * A publisher of this worker waits before the bus, where others' messages would
 * have to stand behind his.
 */

ngx_int_t
ngx_wscast_hub_fan_admit(ngx_wscast_hub_t *hub, wscast_str_t channel,
    wscast_waiter_t *waiter)
{
    ngx_uint_t         many;
    wscast_channel_t  *ch;

    ch = wscast_fanout_find(&hub->fanout, channel);

    if (ch == NULL) {
        return NGX_OK;
    }

    many = ngx_wscast_hub_many(ch);

    if (ngx_wscast_hub_crowded(hub, many)) {
        wscast_list_append(many ? &hub->crowd : &hub->waiters, &waiter->link);
        ngx_post_event(&hub->fan, &ngx_posted_events);
        return NGX_AGAIN;
    }

    if (many) {
        hub->coming += ch->count;

    } else {
        hub->flying += 1 + ch->count;
    }

    return NGX_OK;
}


/* It comes off the bus: one like those that were admitted, if not the same. */

static void
ngx_wscast_hub_landed(ngx_wscast_hub_t *hub, const wscast_channel_t *ch)
{
    if (ngx_wscast_hub_many(ch)) {
        hub->coming -= ngx_min(hub->coming, ch->count);

    } else {
        hub->flying -= ngx_min(hub->flying, 1 + ch->count);
    }
}


static ngx_uint_t
ngx_wscast_hub_crowded(const ngx_wscast_hub_t *hub, ngx_uint_t many)
{
    return many ? hub->fanout.owed + hub->coming >= NGX_WSCAST_FAN_MANY
                  || hub->fanout.bytes >= NGX_WSCAST_FAN_BYTES / 2
                : hub->flying >= NGX_WSCAST_FAN_FLYING;
}


ngx_uint_t
ngx_wscast_hub_full(void *ctx)
{
    ngx_wscast_hub_t  *hub;

    hub = ctx;

    return hub->fanout.owed >= NGX_WSCAST_FAN_MOST
           || hub->fanout.bytes >= NGX_WSCAST_FAN_BYTES;
}
