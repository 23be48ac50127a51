#include "conf.h"


/* TLS to Redis: the directives redis_ssl_*, and what is made of them. */


#define NGX_HTTP_WSCAST_SSL_DEPTH  9    /* of a chain: certificates */


static char *ngx_http_wscast_redis_ssl_missing(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b);

#if (NGX_SSL)
static char *ngx_http_wscast_redis_ssl_create(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b);
static char *ngx_http_wscast_redis_ssl_files(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_ssl_t *ssl);
static char *ngx_http_wscast_redis_ssl_name(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b);
#endif


char *
ngx_http_wscast_redis_set_ssl(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value, ngx_uint_t n)
{
    ngx_str_t  *name;

    name = &value[0];

    if (ngx_strcmp(name->data, "redis_ssl_verify") == 0) {

        if (ngx_strcasecmp(value[1].data, (u_char *) "off") == 0) {
            b->ssl_unverified = 1;

        } else if (ngx_strcasecmp(value[1].data, (u_char *) "on") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid \"redis_ssl_verify %V\": it is \"on\" "
                               "or \"off\"", &value[1]);
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    if (value[1].len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "empty \"%V\": give it a value, or leave it out",
                           name);
        return NGX_CONF_ERROR;
    }

    if (ngx_strcmp(name->data, "redis_ssl_name") == 0) {
        b->ssl_name = value[1];
        return NGX_CONF_OK;
    }

    if (ngx_conf_full_name(cf->cycle, &value[1], 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_strcmp(name->data, "redis_ssl_trusted_certificate") == 0) {
        b->ssl_trusted = value[1];

    } else if (ngx_strcmp(name->data, "redis_ssl_certificate") == 0) {
        b->ssl_certificate = value[1];

    } else {
        b->ssl_key = value[1];
    }

    return NGX_CONF_OK;
}


/* The hub has been read. */

char *
ngx_http_wscast_redis_ssl(ngx_conf_t *cf, ngx_http_wscast_block_t *b)
{
    ngx_uint_t  i;

    if (!b->ssl) {

        for (i = NGX_HTTP_WSCAST_HUB_SSL_TRUSTED;
             i <= NGX_HTTP_WSCAST_HUB_SSL_NAME;
             i++)
        {
            if ((b->seen & ((ngx_uint_t) 1 << i))
                && i != NGX_HTTP_WSCAST_HUB_SSL_VERIFY)
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "\"redis_ssl_...\" without TLS in hub "
                                   "\"%V\": the URL of \"redis\" has to begin "
                                   "with rediss://, rediss+sentinel:// or "
                                   "rediss+cluster://", &b->hub->conf.name);
                return NGX_CONF_ERROR;
            }
        }

        return NGX_CONF_OK;
    }

    if (ngx_http_wscast_redis_ssl_missing(cf, b) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

#if (NGX_SSL)
    return ngx_http_wscast_redis_ssl_create(cf, b);
#else
    return NGX_CONF_ERROR;              /* the URL has been refused */
#endif
}


static char *
ngx_http_wscast_redis_ssl_missing(ngx_conf_t *cf, ngx_http_wscast_block_t *b)
{
    ngx_wscast_bus_conf_t  *bus;

    bus = &b->hub->conf.bus;

    if (b->ssl_trusted.len == 0 && !b->ssl_unverified) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"redis rediss%s://...\" in hub \"%V\" cannot be "
                           "verified: name the certificate of its CA in "
                           "\"redis_ssl_trusted_certificate\", or say "
                           "\"redis_ssl_verify off\"",
                           bus->redis_master.len ? "+sentinel"
                           : bus->redis_cluster ? "+cluster" : "",
                           &b->hub->conf.name);
        return NGX_CONF_ERROR;
    }

    if ((b->ssl_certificate.len == 0) != (b->ssl_key.len == 0)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"redis_ssl_certificate\" and "
                           "\"redis_ssl_certificate_key\" need each other: "
                           "hub \"%V\" has only \"%V\"", &b->hub->conf.name,
                           b->ssl_key.len ? &b->ssl_key
                                          : &b->ssl_certificate);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


#if (NGX_SSL)

static char *
ngx_http_wscast_redis_ssl_create(ngx_conf_t *cf, ngx_http_wscast_block_t *b)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    cln = ngx_pool_cleanup_add(cf->pool, 0);

    if (ssl == NULL || cln == NULL) {
        return NGX_CONF_ERROR;
    }

    ssl->log = cf->log;

    if (ngx_ssl_create(ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    if (ngx_http_wscast_redis_ssl_files(cf, b, ssl) != NGX_CONF_OK
        || ngx_http_wscast_redis_ssl_name(cf, b) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    b->hub->conf.bus.redis_ssl = ssl;
    b->hub->conf.bus.redis_ssl_verify = !b->ssl_unverified;

    return NGX_CONF_OK;
}


/* nginx's own line would not name the directive: it is kept quiet. */

static char *
ngx_http_wscast_redis_ssl_files(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_ssl_t *ssl)
{
    ngx_int_t  rc;
    ngx_log_t  quiet;

    quiet = *cf->log;
    quiet.log_level = NGX_LOG_STDERR;
    quiet.next = NULL;

    ssl->log = &quiet;

    rc = b->ssl_trusted.len
         ? ngx_ssl_trusted_certificate(cf, ssl, &b->ssl_trusted,
                                       NGX_HTTP_WSCAST_SSL_DEPTH)
         : NGX_OK;

    if (rc != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "cannot use \"redis_ssl_trusted_certificate %V\": "
                           "it has to be a readable file with certificates "
                           "as PEM", &b->ssl_trusted);

    } else if (b->ssl_certificate.len) {
        rc = ngx_ssl_certificate(cf, ssl, &b->ssl_certificate, &b->ssl_key,
                                 NULL);

        if (rc != NGX_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "cannot use \"redis_ssl_certificate %V\" with "
                               "\"redis_ssl_certificate_key %V\": they have "
                               "to be readable files with a certificate and "
                               "its key as PEM", &b->ssl_certificate,
                               &b->ssl_key);
        }
    }

    ssl->log = cf->log;

    return rc == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* OpenSSL wants a zero behind the name, and no brackets around an address. */

static char *
ngx_http_wscast_redis_ssl_name(ngx_conf_t *cf, ngx_http_wscast_block_t *b)
{
    u_char     *p;
    ngx_str_t   name;

    name = b->ssl_name.len ? b->ssl_name : b->hub->conf.bus.redis_ssl_name;

    if (name.len > 2 && name.data[0] == '[') {
        name.data++;
        name.len -= 2;
    }

    p = ngx_pnalloc(cf->pool, name.len + 1);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    (void) ngx_cpystrn(p, name.data, name.len + 1);

    b->hub->conf.bus.redis_ssl_name.data = p;
    b->hub->conf.bus.redis_ssl_name.len = name.len;

    return NGX_CONF_OK;
}

#endif
