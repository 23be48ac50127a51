/*
 * worker_inner.h: what the files of the hub in one process share.
 *
 * Audience: worker.c (hubs come and go), engine.c (what sessions and the API
 * ask for), hub.c (what the rooms below tell), fan.c (delivering in slices).
 */

#ifndef NGX_WSCAST_WORKER_INNER_H
#define NGX_WSCAST_WORKER_INNER_H


#include "worker.h"


/* engine.c: fills hub->engine. */
void ngx_wscast_hub_engine(ngx_wscast_hub_t *hub);


/* hub.c: fanout, bus and store are introduced to each other. */
extern const wscast_fanout_handler_t     ngx_wscast_hub_fanout_handler;
extern const ngx_wscast_bus_handler_t    ngx_wscast_hub_bus_handler;
extern const ngx_wscast_store_handler_t  ngx_wscast_hub_store_handler;


/* hub.c */

/* Publishers who wait try again, until one finds no room. */
void ngx_wscast_hub_retry(wscast_list_t *waiters);

/* One subscription gets arg, a publication. */
void ngx_wscast_hub_deliver_one(void *arg, wscast_subscription_t *sub);


/* fan.c */

void ngx_wscast_hub_fan_init(ngx_wscast_hub_t *hub);
void ngx_wscast_hub_fan_done(ngx_wscast_hub_t *hub);

/*
 * Gives a publication (whose fields are copied if need be) to all subscribers
 * of a channel, at once or, in its order, in slices.  Returns how many have
 * got it by now.
 */
size_t ngx_wscast_hub_fan(ngx_wscast_hub_t *hub, wscast_channel_t *ch,
    const wscast_pub_fields_t *f);

/*
 * May a client of this worker publish to a channel of it now?  NGX_AGAIN: too
 * much waits to be delivered, the waiter is listed and will be called.
 */
ngx_int_t ngx_wscast_hub_fan_admit(ngx_wscast_hub_t *hub,
    wscast_str_t channel, wscast_waiter_t *waiter);

/* 1: no more from the bus, for now; ctx: the hub. */
ngx_uint_t ngx_wscast_hub_full(void *ctx);


#endif /* NGX_WSCAST_WORKER_INNER_H */
