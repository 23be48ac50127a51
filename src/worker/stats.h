/*
 * stats.h: the counters of a host, told in words.
 *
 * Audience: http/status.
 */

#ifndef NGX_WSCAST_STATS_H
#define NGX_WSCAST_STATS_H


#include "worker.h"
#include "../base/prepared.h"


/* Writes all hubs as Prometheus' text format 0.0.4. */
void ngx_wscast_stats_prometheus(wscast_builder_t *b,
    ngx_wscast_hub_conf_t **hubs, ngx_uint_t n);

/*
 * The same as JSON: {"hubs":{NAME:{"connections":N,...,"closes":{R:N,...}}}},
 * the names without "wscast_".
 */
void ngx_wscast_stats_json(wscast_builder_t *b,
    ngx_wscast_hub_conf_t **hubs, ngx_uint_t n);


#endif /* NGX_WSCAST_STATS_H */
