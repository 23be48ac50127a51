#include "redis_link.h"
#include "redis_link_inner.h"


#if (NGX_SSL)

static ngx_int_t ngx_wscast_link_tls_create(ngx_wscast_redis_link_t *link);
static void ngx_wscast_link_tls_handler(ngx_connection_t *c);
static ngx_int_t ngx_wscast_link_tls_verify(ngx_wscast_redis_link_t *link);
static ngx_uint_t ngx_wscast_link_tls_named(ngx_wscast_redis_link_t *link);
static ngx_uint_t ngx_wscast_link_tls_numeric(ngx_str_t *name);
static void ngx_wscast_link_tls_writer(ngx_log_t *log, ngx_uint_t level,
    u_char *buf, size_t len);


void
ngx_wscast_link_tls(ngx_wscast_redis_link_t *link)
{
    ngx_connection_t  *c;

    c = link->peer.connection;

    if (ngx_wscast_link_tls_create(link) != NGX_OK) {
        ngx_wscast_link_fail(link, 0, "no memory");
        return;
    }

    c->ssl->handler = ngx_wscast_link_tls_handler;

    if (ngx_ssl_handshake(c) != NGX_AGAIN) {
        ngx_wscast_link_tls_handler(c);
    }
}


static ngx_int_t
ngx_wscast_link_tls_create(ngx_wscast_redis_link_t *link)
{
    ngx_str_t         *name;
    ngx_log_t         *log;
    ngx_connection_t  *c;

    c = link->peer.connection;

    /* what nginx has to say of a failure is ours to tell, once an outage */

    log = &link->tls_log;
    ngx_memzero(log, sizeof(ngx_log_t));

    log->log_level = NGX_LOG_INFO;
    log->writer = ngx_wscast_link_tls_writer;
    log->wdata = link;

    c->log = log;
    c->pool = ngx_create_pool(512, link->log);

    if (c->pool == NULL
        || ngx_ssl_create_connection(link->conf->redis_ssl, c, NGX_SSL_CLIENT)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* what waits to be sent may move, and grow, before it is tried again */

    (void) SSL_set_mode(c->ssl->connection,
                        SSL_MODE_ENABLE_PARTIAL_WRITE
                        |SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);

    /* RFC 6066, 3: literal addresses are not permitted in "HostName" */

    name = &link->conf->redis_ssl_name;

    if (!ngx_wscast_link_tls_numeric(name)
        && SSL_set_tlsext_host_name(c->ssl->connection, (char *) name->data)
           == 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* The handshake has ended, one way or the other. */

static void
ngx_wscast_link_tls_handler(ngx_connection_t *c)
{
    ngx_wscast_redis_link_t  *link;

    link = c->data;

    if (!c->ssl->handshaked) {
        ngx_wscast_link_fail(link, 0, "TLS: the handshake failed");
        return;
    }

    if (link->conf->redis_ssl_verify
        && ngx_wscast_link_tls_verify(link) != NGX_OK)
    {
        ngx_wscast_link_fail(link, 0, "TLS: certificate verify failed");
        return;
    }

    c->read->handler = ngx_wscast_link_read_handler;
    c->write->handler = ngx_wscast_link_write_handler;

    ngx_wscast_link_secured(link);
}


static ngx_int_t
ngx_wscast_link_tls_verify(ngx_wscast_redis_link_t *link)
{
    long               rc;
    u_char            *last;
    ngx_connection_t  *c;

    c = link->peer.connection;
    last = link->reason + NGX_WSCAST_LINK_REASON - 1;

    rc = SSL_get_verify_result(c->ssl->connection);

    if (rc != X509_V_OK) {
        *ngx_slprintf(link->reason, last,
                      "TLS: certificate verify failed: %s",
                      X509_verify_cert_error_string(rc)) = '\0';
        return NGX_ERROR;
    }

    if (!ngx_wscast_link_tls_named(link)) {
        *ngx_slprintf(link->reason, last,
                      "TLS: certificate verify failed: it is not for \"%V\"",
                      &link->conf->redis_ssl_name) = '\0';
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* nginx compares names; an address may be among the subject's, too. */

static ngx_uint_t
ngx_wscast_link_tls_named(ngx_wscast_redis_link_t *link)
{
    X509              *cert;
    ngx_str_t         *name;
    ngx_uint_t         named;
    ngx_connection_t  *c;

    c = link->peer.connection;
    name = &link->conf->redis_ssl_name;

    if (!ngx_wscast_link_tls_numeric(name)) {
        return ngx_ssl_check_host(c, name) == NGX_OK;
    }

    cert = SSL_get_peer_certificate(c->ssl->connection);
    if (cert == NULL) {
        return 0;
    }

    named = (X509_check_ip_asc(cert, (char *) name->data, 0) == 1);

    X509_free(cert);

    return named;
}


static ngx_uint_t
ngx_wscast_link_tls_numeric(ngx_str_t *name)
{
#if (NGX_HAVE_INET6)
    u_char  in6[16];

    if (ngx_inet6_addr(name->data, name->len, in6) == NGX_OK) {
        return 1;
    }
#endif

    return ngx_inet_addr(name->data, name->len) != INADDR_NONE;
}


/* Keeps the first thing that is said, without the time and the process. */

static void
ngx_wscast_link_tls_writer(ngx_log_t *log, ngx_uint_t level, u_char *buf,
    size_t len)
{
    u_char                   *p, *last;
    ngx_wscast_redis_link_t  *link;

    link = log->wdata;
    last = buf + len;

    if (link->reason[0]) {
        return;
    }

    while (last > buf && last[-1] == LF) {
        last--;
    }

    p = ngx_strlchr(buf, last, '#');
    p = p ? ngx_strlchr(p, last, ' ') : NULL;

    if (p) {
        *ngx_slprintf(link->reason, link->reason + NGX_WSCAST_LINK_REASON - 1,
                      "TLS:%*s", (size_t) (last - p), p) = '\0';
    }
}


void
ngx_wscast_link_tls_end(ngx_connection_t *c)
{
    ngx_pool_t  *pool;

    if (c->ssl) {

        /* RESP knows where a reply ends: nobody waits for a last word */

        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;
        (void) ngx_ssl_shutdown(c);
    }

    pool = c->pool;

    if (pool) {
        c->pool = NULL;
        ngx_destroy_pool(pool);
    }
}

#else

/* There is no redis_ssl in such an nginx: http/redis_url.c refuses rediss. */

void
ngx_wscast_link_tls(ngx_wscast_redis_link_t *link)
{
    ngx_wscast_link_fail(link, 0, "nginx was built without SSL");
}


void
ngx_wscast_link_tls_end(ngx_connection_t *c)
{
    /* void */
}

#endif
