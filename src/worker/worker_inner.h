/*
 * worker_inner.h: what the files of the hub in one process share.
 *
 * Audience: worker.c (hubs come and go), engine.c (what sessions and the API
 * ask for), hub.c (what the rooms below tell).
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


#endif /* NGX_WSCAST_WORKER_INNER_H */
