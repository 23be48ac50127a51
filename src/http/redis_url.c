#include "conf.h"


/* Where Redis is, and with which password. */


static ngx_int_t ngx_http_wscast_redis_scheme(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_str_t *value, ngx_str_t *shown);

static ngx_int_t ngx_http_wscast_redis_credentials(ngx_conf_t *cf,
    ngx_wscast_bus_conf_t *bus, u_char *p, u_char *last);


/*
 * redis://[[user]:password@]host[:port][/db], the same with rediss:, or
 * redis+unix:/path.  The host is resolved here, once: a worker never waits for
 * a name server.
 */

char *
ngx_http_wscast_redis_url(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value)
{
    u_char                 *p, *last, *at, *slash;
    ngx_int_t               db, scheme;
    ngx_str_t               shown;
    ngx_url_t              *u;
    ngx_wscast_bus_conf_t  *bus;

    bus = &b->hub->conf.bus;

    u = ngx_pcalloc(cf->pool, sizeof(ngx_url_t));
    if (u == NULL) {
        return NGX_CONF_ERROR;
    }

    p = value->data;
    last = value->data + value->len;

    /* what is before the "@" is nobody's business in a log */

    for (at = last; at > p && at[-1] != '@'; at--) { /* void */ }

    shown.data = at;
    shown.len = last - at;

    if (value->len > 12 && ngx_strncmp(p, "redis+unix:/", 12) == 0) {
        u->url.data = p + 6;            /* unix:/path */
        u->url.len = last - u->url.data;
        goto parse;
    }

    scheme = ngx_http_wscast_redis_scheme(cf, b, value, &shown);

    if (scheme == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    p += scheme;

    if (at > p) {
        if (ngx_http_wscast_redis_credentials(cf, bus, p, at - 1) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        p = at;
    }

    slash = ngx_strlchr(p, last, '/');

    if (slash) {
        db = (slash + 1 == last) ? 0 : ngx_atoi(slash + 1, last - slash - 1);

        if (db == NGX_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid database in \"redis %V\": after \"/\" "
                               "comes its number, such as /0", &shown);
            return NGX_CONF_ERROR;
        }

        bus->redis_db = db;
        last = slash;
    }

    u->url.data = p;
    u->url.len = last - p;
    u->default_port = 6379;

parse:

    if (ngx_parse_url(cf->pool, u) != NGX_OK || u->naddrs == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s in \"redis %V\": name a host that this machine "
                           "can resolve, and its port",
                           u->err ? u->err : "no address", &shown);
        return NGX_CONF_ERROR;
    }

    bus->redis = u;
    bus->redis_ssl_name = u->host;

    return NGX_CONF_OK;
}


/* The length of the scheme. */

static ngx_int_t
ngx_http_wscast_redis_scheme(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value, ngx_str_t *shown)
{
    if (value->len > 8 && ngx_strncmp(value->data, "redis://", 8) == 0) {
        return 8;
    }

    if (value->len > 9 && ngx_strncmp(value->data, "rediss://", 9) == 0) {

#if (NGX_SSL)
        b->ssl = 1;
        return 9;
#else
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no TLS for \"redis %V\": this nginx was built "
                           "without it; build it --with-http_ssl_module, or "
                           "use redis://", shown);
        return NGX_ERROR;
#endif
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid \"redis %V\": use "
                       "redis://[user:password@]host:port[/db], "
                       "rediss://... or redis+unix:/path", shown);
    return NGX_ERROR;
}


static ngx_int_t
ngx_http_wscast_redis_credentials(ngx_conf_t *cf, ngx_wscast_bus_conf_t *bus,
    u_char *p, u_char *last)
{
    u_char     *colon, *src, *dst;
    ngx_str_t  *part;

    colon = ngx_strlchr(p, last, ':');

    if (colon == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no password in the \"redis\" URL: before \"@\" "
                           "comes user:password, or :password");
        return NGX_ERROR;
    }

    bus->redis_user.data = p;
    bus->redis_user.len = colon - p;
    bus->redis_password.data = colon + 1;
    bus->redis_password.len = last - colon - 1;

    /* a ":" or "@" in them is written with its percent sign */

    for (part = &bus->redis_user; /* void */ ; part = &bus->redis_password) {
        src = part->data;
        dst = ngx_pnalloc(cf->pool, part->len + 1);

        if (dst == NULL) {
            return NGX_ERROR;
        }

        part->data = dst;
        ngx_unescape_uri(&dst, &src, part->len, 0);
        part->len = dst - part->data;

        if (part == &bus->redis_password) {
            return NGX_OK;
        }
    }
}


char *
ngx_http_wscast_redis_password(ngx_conf_t *cf, ngx_http_wscast_block_t *b)
{
    u_char      *p;
    ssize_t      n;
    ngx_fd_t     fd;
    ngx_str_t   *password;

    if (b->password_file.len == 0) {
        return NGX_CONF_OK;
    }

    if (b->hub->conf.bus.redis == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"redis_password_file\" without \"redis\" in hub "
                           "\"%V\"", &b->hub->conf.name);
        return NGX_CONF_ERROR;
    }

    fd = ngx_open_file(b->password_file.data, NGX_FILE_RDONLY, NGX_FILE_OPEN,
                       0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "cannot open \"redis_password_file %V\"",
                           &b->password_file);
        return NGX_CONF_ERROR;
    }

    p = ngx_pnalloc(cf->pool, 4096);
    n = p ? ngx_read_fd(fd, p, 4096) : -1;

    (void) ngx_close_file(fd);

    while (n > 0 && (p[n - 1] == '\n' || p[n - 1] == '\r')) {
        n--;
    }

    if (n <= 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no password in \"redis_password_file %V\": its "
                           "first line is the password", &b->password_file);
        return NGX_CONF_ERROR;
    }

    password = &b->hub->conf.bus.redis_password;
    password->data = p;
    password->len = n;

    return NGX_CONF_OK;
}
