#include "conf.h"


/* Where Redis is, and with which password. */


static ngx_int_t ngx_http_wscast_redis_scheme(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_str_t *value, ngx_str_t *shown);
static ngx_int_t ngx_http_wscast_redis_credentials(ngx_conf_t *cf,
    ngx_wscast_bus_conf_t *bus, u_char *p, u_char *last);
static ngx_int_t ngx_http_wscast_redis_master(ngx_conf_t *cf,
    ngx_wscast_bus_conf_t *bus, ngx_str_t *path, ngx_str_t *shown);
static ngx_int_t ngx_http_wscast_redis_db(ngx_conf_t *cf,
    ngx_wscast_bus_conf_t *bus, ngx_str_t *path, ngx_str_t *shown);
static ngx_int_t ngx_http_wscast_redis_hosts(ngx_conf_t *cf,
    ngx_wscast_bus_conf_t *bus, u_char *p, u_char *last, ngx_str_t *shown);
static ngx_url_t *ngx_http_wscast_redis_host(ngx_conf_t *cf, u_char *p,
    u_char *last, in_port_t port, ngx_str_t *shown);


/* What a URL can begin with: the lengths tell them apart. */

#define NGX_HTTP_WSCAST_REDIS_PLAIN     (sizeof("redis://") - 1)
#define NGX_HTTP_WSCAST_REDIS_TLS       (sizeof("rediss://") - 1)
#define NGX_HTTP_WSCAST_REDIS_UNIX      (sizeof("redis+") - 1)
#define NGX_HTTP_WSCAST_REDIS_SENTINEL  (sizeof("redis+sentinel://") - 1)


/*
 * redis://[[user]:password@]host[:port][/db], the same with rediss:,
 * redis+sentinel://[[user]:password@]host[:port],.../master[/db], or
 * redis+unix:/path.  The hosts are resolved here, once: a worker never waits
 * for a name server.
 */

char *
ngx_http_wscast_redis_url(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value)
{
    u_char                 *p, *last, *at, *slash;
    ngx_int_t               scheme, rc;
    ngx_str_t               shown, path;
    ngx_wscast_bus_conf_t  *bus;

    bus = &b->hub->conf.bus;

    p = value->data;
    last = value->data + value->len;

    /* what is before the "@" is nobody's business in a log */

    for (at = last; at > p && at[-1] != '@'; at--) { /* void */ }

    shown.data = at;
    shown.len = last - at;

    scheme = ngx_http_wscast_redis_scheme(cf, b, value, &shown);

    if (scheme == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    p += scheme;

    if (scheme != NGX_HTTP_WSCAST_REDIS_UNIX) {

        if (at > p) {
            if (ngx_http_wscast_redis_credentials(cf, bus, p, at - 1)
                != NGX_OK)
            {
                return NGX_CONF_ERROR;
            }

            p = at;
        }

        slash = ngx_strlchr(p, last, '/');

        path.data = slash ? slash + 1 : last;
        path.len = last - path.data;
        last = slash ? slash : last;

        rc = scheme == NGX_HTTP_WSCAST_REDIS_SENTINEL
             ? ngx_http_wscast_redis_master(cf, bus, &path, &shown)
             : ngx_http_wscast_redis_db(cf, bus, &path, &shown);

        if (rc != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return ngx_http_wscast_redis_hosts(cf, bus, p, last, &shown) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* The length of what is before credentials and hosts. */

static ngx_int_t
ngx_http_wscast_redis_scheme(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value, ngx_str_t *shown)
{
    ngx_uint_t  i;

    static ngx_str_t  schemes[] = {
        ngx_string("redis://"),
        ngx_string("rediss://"),
        ngx_string("redis+sentinel://"),
        ngx_null_string
    };

    if (value->len > 12
        && ngx_strncmp(value->data, "redis+unix:/", 12) == 0)
    {
        return NGX_HTTP_WSCAST_REDIS_UNIX;          /* before unix:/path */
    }

    for (i = 0; schemes[i].len; i++) {
        if (value->len > schemes[i].len
            && ngx_strncmp(value->data, schemes[i].data, schemes[i].len) == 0)
        {
            break;
        }
    }

    if (schemes[i].len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"redis %V\": use "
                           "redis://[user:password@]host:port[/db], "
                           "rediss://..., "
                           "redis+sentinel://host:port,.../master[/db] or "
                           "redis+unix:/path", shown);
        return NGX_ERROR;
    }

    if (schemes[i].len == NGX_HTTP_WSCAST_REDIS_TLS) {

#if (NGX_SSL)
        b->ssl = 1;
#else
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no TLS for \"redis %V\": this nginx was built "
                           "without it; build it --with-http_ssl_module, or "
                           "use redis://", shown);
        return NGX_ERROR;
#endif
    }

    return schemes[i].len;
}


/* master[/db] */

static ngx_int_t
ngx_http_wscast_redis_master(ngx_conf_t *cf, ngx_wscast_bus_conf_t *bus,
    ngx_str_t *path, ngx_str_t *shown)
{
    u_char     *slash;
    ngx_str_t   db;

    slash = ngx_strlchr(path->data, path->data + path->len, '/');

    bus->redis_master.data = path->data;
    bus->redis_master.len = slash ? (size_t) (slash - path->data) : path->len;

    if (bus->redis_master.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no master in \"redis %V\": behind the sentinels "
                           "comes what they call it, such as /mymaster",
                           shown);
        return NGX_ERROR;
    }

    db.data = slash ? slash + 1 : path->data + path->len;
    db.len = path->data + path->len - db.data;

    return ngx_http_wscast_redis_db(cf, bus, &db, shown);
}


static ngx_int_t
ngx_http_wscast_redis_db(ngx_conf_t *cf, ngx_wscast_bus_conf_t *bus,
    ngx_str_t *path, ngx_str_t *shown)
{
    if (path->len == 0) {
        return NGX_OK;
    }

    bus->redis_db = ngx_atoi(path->data, path->len);

    if (bus->redis_db == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid database in \"redis %V\": after \"/\" "
                           "comes its number, such as /0", shown);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* One host; or the sentinels, with commas between them. */

static ngx_int_t
ngx_http_wscast_redis_hosts(ngx_conf_t *cf, ngx_wscast_bus_conf_t *bus,
    u_char *p, u_char *last, ngx_str_t *shown)
{
    u_char       *comma;
    ngx_url_t    *u, *all;
    ngx_uint_t    n;
    ngx_addr_t   *addrs;

    if (bus->redis_master.len == 0) {
        u = ngx_http_wscast_redis_host(cf, p, last, 6379, shown);

        if (u == NULL) {
            return NGX_ERROR;
        }

        bus->redis = u;
        bus->redis_ssl_name = u->host;

        return NGX_OK;
    }

    for (all = NULL; p <= last; p = comma + 1) {
        comma = ngx_strlchr(p, last, ',');
        comma = comma ? comma : last;

        u = ngx_http_wscast_redis_host(cf, p, comma, 26379, shown);

        if (u == NULL) {
            return NGX_ERROR;
        }

        if (all == NULL) {
            all = u;
            continue;
        }

        n = all->naddrs + u->naddrs;
        addrs = ngx_palloc(cf->pool, n * sizeof(ngx_addr_t));

        if (addrs == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(addrs, all->addrs, all->naddrs * sizeof(ngx_addr_t));
        ngx_memcpy(addrs + all->naddrs, u->addrs,
                   u->naddrs * sizeof(ngx_addr_t));

        all->addrs = addrs;
        all->naddrs = n;
    }

    bus->redis = all;

    return NGX_OK;
}


static ngx_url_t *
ngx_http_wscast_redis_host(ngx_conf_t *cf, u_char *p, u_char *last,
    in_port_t port, ngx_str_t *shown)
{
    ngx_url_t  *u;

    u = ngx_pcalloc(cf->pool, sizeof(ngx_url_t));
    if (u == NULL) {
        return NULL;
    }

    u->url.data = p;
    u->url.len = last - p;
    u->default_port = port;

    if (ngx_parse_url(cf->pool, u) != NGX_OK || u->naddrs == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s in \"redis %V\": name a host that this machine "
                           "can resolve, and its port",
                           u->err ? u->err : "no address", shown);
        return NULL;
    }

    return u;
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
