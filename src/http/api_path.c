#include "api.h"


static ngx_int_t ngx_http_wscast_api_resource(wscast_str_t head,
    ngx_uint_t named, ngx_http_wscast_at_e *at);
static ngx_int_t ngx_http_wscast_api_below(ngx_http_request_t *r,
    ngx_str_t *path);
static u_char *ngx_http_wscast_api_slashes(ngx_http_request_t *r,
    const ngx_str_t *path);
static size_t ngx_http_wscast_api_decode(const u_char *p, size_t len,
    ngx_uint_t plus, u_char *to, u_char *encoded);


static const struct {
    wscast_str_t                 name;
    ngx_http_wscast_at_e         at;
    ngx_uint_t                   named;     /* a name follows */
} ngx_http_wscast_resources[] = {
    { wscast_string("channels"), NGX_HTTP_WSCAST_AT_CHANNELS, 0 },
    { wscast_string("channels"), NGX_HTTP_WSCAST_AT_CHANNEL,  1 },
    { wscast_string("publish"),  NGX_HTTP_WSCAST_AT_PUBLISH,  0 },
    { wscast_string("clients"),  NGX_HTTP_WSCAST_AT_CLIENT,   1 },
    { wscast_string("users"),    NGX_HTTP_WSCAST_AT_USER,     1 }
};

#define NGX_HTTP_WSCAST_RESOURCES                                             \
    (sizeof(ngx_http_wscast_resources) / sizeof(ngx_http_wscast_resources[0]))


/* What may stand behind the name of a channel. */

static const struct {
    wscast_str_t                 name;
    ngx_http_wscast_at_e         at;
} ngx_http_wscast_parts[] = {
    { wscast_string("history"),  NGX_HTTP_WSCAST_AT_HISTORY },
    { wscast_string("presence"), NGX_HTTP_WSCAST_AT_PRESENCE }
};

#define NGX_HTTP_WSCAST_PARTS                                                 \
    (sizeof(ngx_http_wscast_parts) / sizeof(ngx_http_wscast_parts[0]))


ngx_int_t
ngx_http_wscast_api_path(ngx_http_request_t *r, ngx_http_wscast_at_e *at,
    wscast_str_t *name)
{
    u_char        *slash;
    size_t         i, first, last;
    ngx_str_t      path;
    wscast_str_t   head, tail;

    *at = NGX_HTTP_WSCAST_AT_CHANNELS;

    if (ngx_http_wscast_api_below(r, &path) != NGX_OK) {
        return NGX_DECLINED;
    }

    slash = ngx_http_wscast_api_slashes(r, &path);
    if (slash == NULL) {
        return NGX_ERROR;
    }

    for (first = 0; first < path.len && !slash[first]; first++) { /* void */ }

    for (last = path.len; last > first && !slash[last - 1]; last--) {
        /* void */
    }

    head = wscast_str(path.data, first);
    tail = wscast_str(path.data + last, path.len - last);
    *name = wscast_str(NULL, 0);

    if (first < path.len) {
        *name = wscast_str(path.data + first + 1, path.len - first - 1);
    }

    if (ngx_http_wscast_api_resource(head, first < path.len, at) != NGX_OK
        || (first < path.len && name->len == 0))
    {
        return NGX_DECLINED;
    }

    /* between the two slashes there is a name */

    if (*at != NGX_HTTP_WSCAST_AT_CHANNEL || last <= first + 2) {
        return NGX_OK;
    }

    for (i = 0; i < NGX_HTTP_WSCAST_PARTS; i++) {
        if (wscast_str_eq(tail, ngx_http_wscast_parts[i].name)) {
            *at = ngx_http_wscast_parts[i].at;
            name->len -= tail.len + 1;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_wscast_api_resource(wscast_str_t head, ngx_uint_t named,
    ngx_http_wscast_at_e *at)
{
    size_t  i;

    for (i = 0; i < NGX_HTTP_WSCAST_RESOURCES; i++) {

        if (wscast_str_eq(head, ngx_http_wscast_resources[i].name)
            && ngx_http_wscast_resources[i].named == named)
        {
            *at = ngx_http_wscast_resources[i].at;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_wscast_api_below(ngx_http_request_t *r, ngx_str_t *path)
{
    u_char                    *p, *last;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (r->uri.len < clcf->name.len) {
        return NGX_DECLINED;
    }

    p = r->uri.data + clcf->name.len;
    last = r->uri.data + r->uri.len;

    if (clcf->name.len == 0 || clcf->name.data[clcf->name.len - 1] != '/') {

        if (p == last || *p != '/') {
            return NGX_DECLINED;
        }

        p++;
    }

    path->data = p;
    path->len = last - p;

    return NGX_OK;
}


/*
 * Marks the slashes that separate.  nginx has decoded the path, and for access
 * what it has made of it must count; but if the URI as it came ends in the very
 * same bytes, a slash that was written %2F belongs to a name.
 */

static u_char *
ngx_http_wscast_api_slashes(ngx_http_request_t *r, const ngx_str_t *path)
{
    size_t      i, len, n;
    u_char     *raw, *decoded, *encoded, *slash;
    ngx_uint_t  same;

    raw = r->unparsed_uri.data;

    for (len = 0;
         len < r->unparsed_uri.len && raw[len] != '?' && raw[len] != '#';
         len++)
    {
        /* void */
    }

    slash = ngx_pnalloc(r->pool, path->len + 2 * len + 1);
    if (slash == NULL) {
        return NULL;
    }

    decoded = slash + path->len;
    encoded = decoded + len;

    n = ngx_http_wscast_api_decode(raw, len, 0, decoded, encoded);

    same = n >= path->len
           && ngx_memcmp(decoded + n - path->len, path->data, path->len) == 0;

    for (i = 0; i < path->len; i++) {
        slash[i] = path->data[i] == '/'
                   && !(same && encoded[n - path->len + i]);
    }

    return slash;
}


ngx_int_t
ngx_http_wscast_api_arg(ngx_http_request_t *r, const char *name,
    wscast_str_t *value)
{
    u_char     *p;
    ngx_str_t   raw;

    *value = wscast_str(NULL, 0);

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &raw) != NGX_OK) {
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(r->pool, raw.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    *value = wscast_str(p, ngx_http_wscast_api_decode(raw.data, raw.len, 1, p,
                                                      NULL));

    return NGX_OK;
}


ngx_int_t
ngx_http_wscast_api_number(ngx_http_request_t *r, const char *name,
    uint64_t least, uint64_t most, uint64_t *n)
{
    size_t        i;
    uint64_t      value;
    ngx_int_t     rc;
    wscast_str_t  text;

    rc = ngx_http_wscast_api_arg(r, name, &text);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_OK : NGX_ERROR;
    }

    if (text.len == 0 || text.len > 20) {
        return NGX_DECLINED;
    }

    value = 0;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9'
            || __builtin_mul_overflow(value, 10, &value)
            || __builtin_add_overflow(value, text.data[i] - '0', &value))
        {
            return NGX_DECLINED;
        }
    }

    if (value < least || value > most) {
        return NGX_DECLINED;
    }

    *n = value;

    return NGX_OK;
}


/*
 * RFC 3986, 2.1; plus: a "+" is a space, as in the queries of forms.  encoded
 * may be NULL; else it says of each byte whether it was.
 */

static size_t
ngx_http_wscast_api_decode(const u_char *p, size_t len, ngx_uint_t plus,
    u_char *to, u_char *encoded)
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < len; i++) {

        if (encoded) {
            encoded[n] = 0;
        }

        if (p[i] == '%' && len - i > 2 && wscast_json_hex(p[i + 1]) < 16
            && wscast_json_hex(p[i + 2]) < 16)
        {
            if (encoded) {
                encoded[n] = 1;
            }

            to[n++] = wscast_json_hex(p[i + 1]) << 4
                      | wscast_json_hex(p[i + 2]);
            i += 2;
            continue;
        }

        to[n++] = (p[i] == '+' && plus) ? ' ' : p[i];
    }

    return n;
}
