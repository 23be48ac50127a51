#include "release.h"


/* Holds a log, its context and an address of IPv4, beside its own head. */

#define NGX_HTTP_WSCAST_POOL  224


static void ngx_http_wscast_free_buffers(ngx_connection_t *c,
    ngx_http_connection_t *hc);
static void ngx_http_wscast_shrink(ngx_connection_t *c);
static ngx_int_t ngx_http_wscast_move(ngx_connection_t *c, ngx_pool_t *pool);


void
ngx_http_wscast_release(ngx_http_request_t *r)
{
    ngx_connection_t       *c;
    ngx_http_connection_t  *hc;

    c = r->connection;
    hc = r->http_connection;

    ngx_http_free_request(r, 0);

    c->destroyed = 0;
    c->log->action = "serving a websocket";

    ngx_http_wscast_free_buffers(c, hc);
    ngx_http_wscast_shrink(c);
}


/* The buffers of the request's header, the small and the large ones. */

static void
ngx_http_wscast_free_buffers(ngx_connection_t *c, ngx_http_connection_t *hc)
{
    ngx_buf_t    *b;
    ngx_chain_t  *ln;

    b = c->buffer;

    if (b && ngx_pfree(c->pool, b->start) == NGX_OK) {
        b->start = NULL;
        b->pos = NULL;
        b->last = NULL;
        b->end = NULL;
    }

    for (ln = hc->free; ln; ln = ln->next) {
        (void) ngx_pfree(c->pool, ln->buf->start);
        ln->buf->start = NULL;
    }

    for (ln = hc->busy; ln; ln = ln->next) {
        (void) ngx_pfree(c->pool, ln->buf->start);
        ln->buf->start = NULL;
    }

    hc->free = NULL;
    hc->busy = NULL;
    hc->nbusy = 0;

#if (NGX_HTTP_SSL)
    if (c->ssl) {
        ngx_ssl_free_buffer(c);
    }
#endif
}


/*
 * The pool of a connection has 512 bytes, most of them for HTTP, of which
 * nothing is left.  What stays is moved to a smaller one, unless others have
 * something in it that cannot be known: TLS, a cleanup, the PROXY protocol.
 */

static void
ngx_http_wscast_shrink(ngx_connection_t *c)
{
    ngx_pool_t        *pool, *old;
    ngx_pool_large_t  *large;

    old = c->pool;

#if (NGX_HTTP_SSL)
    if (c->ssl) {
        return;
    }
#endif

    if (c->udp || c->proxy_protocol || old->cleanup
        || (size_t) (old->d.end - (u_char *) old) <= NGX_HTTP_WSCAST_POOL)
    {
        return;
    }

    for (large = old->large; large; large = large->next) {
        if (large->alloc) {
            return;
        }
    }

    pool = ngx_create_pool(NGX_HTTP_WSCAST_POOL, c->log);
    if (pool == NULL) {
        return;
    }

    if (ngx_http_wscast_move(c, pool) != NGX_OK) {
        ngx_destroy_pool(pool);
        return;
    }

    c->pool = pool;
    old->log = pool->log;

    ngx_destroy_pool(old);
}


/* Nothing has changed if it fails. */

static ngx_int_t
ngx_http_wscast_move(ngx_connection_t *c, ngx_pool_t *pool)
{
    u_char              *text;
    socklen_t            locallen;
    ngx_log_t           *log;
    struct sockaddr     *sockaddr, *local;
    ngx_http_log_ctx_t  *ctx;

    /* the listening socket's own address stays where it is */

    locallen = c->local_sockaddr == c->listening->sockaddr ? 0
                                                          : c->local_socklen;

    log = ngx_palloc(pool, sizeof(ngx_log_t));
    ctx = ngx_palloc(pool, sizeof(ngx_http_log_ctx_t));
    sockaddr = ngx_palloc(pool, c->socklen);
    local = locallen ? ngx_palloc(pool, locallen) : c->local_sockaddr;
    text = ngx_pnalloc(pool, c->addr_text.len ? c->addr_text.len : 1);

    if (log == NULL || ctx == NULL || sockaddr == NULL || text == NULL
        || (locallen && local == NULL))
    {
        return NGX_ERROR;
    }

    *log = *c->log;
    *ctx = *(ngx_http_log_ctx_t *) c->log->data;
    log->data = ctx;

    ngx_memcpy(sockaddr, c->sockaddr, c->socklen);
    ngx_memcpy(text, c->addr_text.data, c->addr_text.len);

    c->sockaddr = sockaddr;
    c->addr_text.data = text;

    if (locallen) {
        ngx_memcpy(local, c->local_sockaddr, locallen);
        c->local_sockaddr = local;
    }

    c->log = log;
    c->read->log = log;
    c->write->log = log;
    pool->log = log;

    return NGX_OK;
}
