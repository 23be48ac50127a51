#include "conf.h"


/* Where Redis is, and with which password. */


#define NGX_HTTP_WSCAST_SECRET_MAX  4096    /* bytes of a password's file */


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
static char *ngx_http_wscast_redis_secret(ngx_conf_t *cf,
    const char *directive, ngx_str_t *file, ngx_str_t *password);


/* What a URL can begin with. */

typedef enum {
    NGX_HTTP_WSCAST_REDIS_ONE = 0,
    NGX_HTTP_WSCAST_REDIS_UNIX,
    NGX_HTTP_WSCAST_REDIS_SENTINEL,
    NGX_HTTP_WSCAST_REDIS_CLUSTER
} ngx_http_wscast_redis_kind_e;


typedef struct {
    ngx_str_t                       begins;
    ngx_http_wscast_redis_kind_e    kind;
    ngx_uint_t                      tls;
} ngx_http_wscast_redis_scheme_t;


static const ngx_http_wscast_redis_scheme_t  ngx_http_wscast_redis_schemes[] =
{
    { ngx_string("redis://"), NGX_HTTP_WSCAST_REDIS_ONE, 0 },
    { ngx_string("rediss://"), NGX_HTTP_WSCAST_REDIS_ONE, 1 },
    { ngx_string("redis+unix:/"), NGX_HTTP_WSCAST_REDIS_UNIX, 0 },
    { ngx_string("redis+sentinel://"), NGX_HTTP_WSCAST_REDIS_SENTINEL, 0 },
    { ngx_string("rediss+sentinel://"), NGX_HTTP_WSCAST_REDIS_SENTINEL, 1 },
    { ngx_string("redis+cluster://"), NGX_HTTP_WSCAST_REDIS_CLUSTER, 0 },
    { ngx_string("rediss+cluster://"), NGX_HTTP_WSCAST_REDIS_CLUSTER, 1 },
    { ngx_null_string, 0, 0 }
};


static const ngx_http_wscast_redis_scheme_t *ngx_http_wscast_redis_scheme(
    ngx_conf_t *cf, ngx_http_wscast_block_t *b, ngx_str_t *value,
    ngx_str_t *shown);


/*
 * redis://[[user]:password@]host[:port][/db], the same with rediss:,
 * redis+sentinel://[[user]:password@]host[:port],.../master[/db],
 * redis+cluster://[[user]:password@]host[:port],..., the same with
 * rediss+sentinel: and rediss+cluster:, or redis+unix:/path.  The hosts are
 * resolved here, once: a worker never waits for a name server.
 */

char *
ngx_http_wscast_redis_url(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value)
{
    u_char                                *p, *last, *at, *slash;
    ngx_int_t                              rc;
    ngx_str_t                              shown, path;
    ngx_wscast_bus_conf_t                 *bus;
    const ngx_http_wscast_redis_scheme_t  *scheme;

    bus = &b->hub->conf.bus;

    p = value->data;
    last = value->data + value->len;

    /* what is before the "@" is nobody's business in a log */

    for (at = last; at > p && at[-1] != '@'; at--) { /* void */ }

    shown.data = at;
    shown.len = last - at;

    scheme = ngx_http_wscast_redis_scheme(cf, b, value, &shown);

    if (scheme == NULL) {
        return NGX_CONF_ERROR;
    }

    if (scheme->kind == NGX_HTTP_WSCAST_REDIS_UNIX) {
        p += sizeof("redis+") - 1;                  /* before unix:/path */

        b->hub->redis_url.data = p;
        b->hub->redis_url.len = last - p;

    } else {
        p += scheme->begins.len;

        if (at > p) {
            if (ngx_http_wscast_redis_credentials(cf, bus, p, at - 1)
                != NGX_OK)
            {
                return NGX_CONF_ERROR;
            }

            p = at;
        }

        b->hub->redis_url.data = p;
        b->hub->redis_url.len = last - p;

        slash = ngx_strlchr(p, last, '/');

        path.data = slash ? slash + 1 : last;
        path.len = last - path.data;
        last = slash ? slash : last;

        bus->redis_cluster = (scheme->kind == NGX_HTTP_WSCAST_REDIS_CLUSTER);

        rc = scheme->kind == NGX_HTTP_WSCAST_REDIS_SENTINEL
             ? ngx_http_wscast_redis_master(cf, bus, &path, &shown)
             : ngx_http_wscast_redis_db(cf, bus, &path, &shown);

        if (rc != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return ngx_http_wscast_redis_hosts(cf, bus, p, last, &shown) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static const ngx_http_wscast_redis_scheme_t *
ngx_http_wscast_redis_scheme(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value, ngx_str_t *shown)
{
    const ngx_http_wscast_redis_scheme_t  *s;

    for (s = ngx_http_wscast_redis_schemes; s->begins.len; s++) {
        if (value->len > s->begins.len
            && ngx_strncmp(value->data, s->begins.data, s->begins.len) == 0)
        {
            break;
        }
    }

    if (s->begins.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"redis %V\": use "
                           "redis://[user:password@]host:port[/db], "
                           "rediss://..., "
                           "redis+sentinel://host:port,.../master[/db], "
                           "rediss+sentinel://..., "
                           "redis+cluster://host:port,..., "
                           "rediss+cluster://... or redis+unix:/path", shown);
        return NULL;
    }

    if (s->tls) {

#if (NGX_SSL)
        b->ssl = 1;
#else
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no TLS for \"redis %V\": this nginx was built "
                           "without it; build it --with-http_ssl_module, or "
                           "use redis://", shown);
        return NULL;
#endif
    }

    return s;
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

    if (bus->redis_cluster && bus->redis_db) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "database %i in \"redis %V\": a cluster has only "
                           "/0", bus->redis_db, shown);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* One host; or sentinels, or servers of a cluster, with commas between them. */

static ngx_int_t
ngx_http_wscast_redis_hosts(ngx_conf_t *cf, ngx_wscast_bus_conf_t *bus,
    u_char *p, u_char *last, ngx_str_t *shown)
{
    u_char       *comma;
    in_port_t     port;
    ngx_url_t    *u, *all;
    ngx_uint_t    n;
    ngx_addr_t   *addrs;

    port = bus->redis_master.len ? 26379 : 6379;

    if (bus->redis_master.len == 0 && !bus->redis_cluster) {
        u = ngx_http_wscast_redis_host(cf, p, last, port, shown);

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

        u = ngx_http_wscast_redis_host(cf, p, comma, port, shown);

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
    bus->redis_ssl_name = all->host;

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


/* In a cluster what is in braces decides where a key lies. */

char *
ngx_http_wscast_redis_prefix(ngx_conf_t *cf, ngx_http_wscast_block_t *b)
{
    size_t                  i;
    ngx_wscast_bus_conf_t  *bus;

    bus = &b->hub->conf.bus;

    for (i = 0; bus->redis_cluster && i < bus->redis_prefix.len; i++) {
        if (ngx_strchr("{}%", bus->redis_prefix.data[i])) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%c\" in \"redis_prefix %V\" of a cluster: "
                               "use one without \"{\", \"}\" and \"%%\", the "
                               "channels' slots depend on it",
                               bus->redis_prefix.data[i], &bus->redis_prefix);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_wscast_redis_password(ngx_conf_t *cf, ngx_http_wscast_block_t *b)
{
    if (b->password_file.len == 0) {
        return NGX_CONF_OK;
    }

    if (b->hub->conf.bus.redis == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"redis_password_file\" without \"redis\" in hub "
                           "\"%V\"", &b->hub->conf.name);
        return NGX_CONF_ERROR;
    }

    return ngx_http_wscast_redis_secret(cf, "redis_password_file",
                                        &b->password_file,
                                        &b->hub->conf.bus.redis_password);
}


/* The sentinels have users and passwords of their own. */

char *
ngx_http_wscast_redis_sentinel(ngx_conf_t *cf, ngx_http_wscast_block_t *b)
{
    ngx_wscast_bus_conf_t  *bus;

    bus = &b->hub->conf.bus;

    if (bus->redis_sentinel_user.len == 0
        && bus->redis_sentinel_password.len == 0
        && b->sentinel_password_file.len == 0)
    {
        return NGX_CONF_OK;
    }

    if (bus->redis_master.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"redis_sentinel_%s\" without sentinels in hub "
                           "\"%V\": the URL of \"redis\" has to begin with "
                           "redis+sentinel:// or rediss+sentinel://",
                           bus->redis_sentinel_user.len ? "user"
                           : b->sentinel_password_file.len ? "password_file"
                           : "password", &b->hub->conf.name);
        return NGX_CONF_ERROR;
    }

    if (b->sentinel_password_file.len == 0) {

        if (bus->redis_sentinel_password.len) {
            return NGX_CONF_OK;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"redis_sentinel_user %V\" without a password in "
                           "hub \"%V\": add \"redis_sentinel_password\" or "
                           "\"redis_sentinel_password_file\"",
                           &bus->redis_sentinel_user, &b->hub->conf.name);
        return NGX_CONF_ERROR;
    }

    if (bus->redis_sentinel_password.len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "both \"redis_sentinel_password\" and "
                           "\"redis_sentinel_password_file %V\" in hub "
                           "\"%V\": keep one of them",
                           &b->sentinel_password_file, &b->hub->conf.name);
        return NGX_CONF_ERROR;
    }

    return ngx_http_wscast_redis_secret(cf, "redis_sentinel_password_file",
                                        &b->sentinel_password_file,
                                        &bus->redis_sentinel_password);
}


static char *
ngx_http_wscast_redis_secret(ngx_conf_t *cf, const char *directive,
    ngx_str_t *file, ngx_str_t *password)
{
    u_char     *p;
    ssize_t     n;
    ngx_fd_t    fd;
    ngx_err_t   err;

    fd = ngx_open_file(file->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "cannot open \"%s %V\"", directive, file);
        return NGX_CONF_ERROR;
    }

    p = ngx_pnalloc(cf->pool, NGX_HTTP_WSCAST_SECRET_MAX + 1);
    n = p ? ngx_read_fd(fd, p, NGX_HTTP_WSCAST_SECRET_MAX + 1) : -1;
    err = ngx_errno;

    (void) ngx_close_file(fd);

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, err, "cannot read \"%s %V\"",
                           directive, file);
        return NGX_CONF_ERROR;
    }

    if (n > NGX_HTTP_WSCAST_SECRET_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"%s %V\": the file is larger than %d "
                           "bytes", directive, file,
                           NGX_HTTP_WSCAST_SECRET_MAX);
        return NGX_CONF_ERROR;
    }

    while (n > 0 && (p[n - 1] == '\n' || p[n - 1] == '\r')) {
        n--;
    }

    if (n == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no password in \"%s %V\": the file is empty: put "
                           "the password into it", directive, file);
        return NGX_CONF_ERROR;
    }

    password->data = p;
    password->len = n;

    return NGX_CONF_OK;
}
