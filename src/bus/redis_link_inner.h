/*
 * redis_link_inner.h: what the files of a link share.
 *
 * Audience: redis_link.c (its life: connecting, the dialogue, probing,
 * failing), redis_link_io.c (its bytes: replies in, commands out),
 * redis_tls.c (TLS), redis_sentinel.c (who is the master).
 */

#ifndef NGX_WSCAST_REDIS_LINK_INNER_H
#define NGX_WSCAST_REDIS_LINK_INNER_H


#include "redis_link.h"


/* redis_link.c */
void ngx_wscast_link_connected(ngx_wscast_redis_link_t *link);
void ngx_wscast_link_secured(ngx_wscast_redis_link_t *link);
void ngx_wscast_link_server(ngx_wscast_redis_link_t *link,
    ngx_wscast_found_e found, const ngx_sockaddr_t *sockaddr,
    socklen_t socklen);
void ngx_wscast_link_answer(ngx_wscast_redis_link_t *link, redisReply *reply);
void ngx_wscast_link_fail(ngx_wscast_redis_link_t *link, ngx_err_t err,
    const char *what);

/* redis_link_io.c */
void ngx_wscast_link_read_handler(ngx_event_t *rev);
void ngx_wscast_link_write_handler(ngx_event_t *wev);

/*
 * redis_tls.c: begins the handshake, at whose end the link is secured or has
 * failed; frees what TLS has made.
 */
void ngx_wscast_link_tls(ngx_wscast_redis_link_t *link);
void ngx_wscast_link_tls_end(ngx_connection_t *c);

/*
 * redis_sentinel.c: asks the sentinel that is connected, and takes its answer.
 * NULL: link->master is set; else what was wrong.
 */
void ngx_wscast_link_ask(ngx_wscast_redis_link_t *link);
const char *ngx_wscast_link_told(ngx_wscast_redis_link_t *link,
    redisReply *reply);

/* 1 if the link has to ask, or is asking, a sentinel. */
#define ngx_wscast_link_asking(link)                                          \
    ((link)->conf->redis_master.len                                           \
     && (link)->found == NGX_WSCAST_FOUND_LISTED)


#endif /* NGX_WSCAST_REDIS_LINK_INNER_H */
