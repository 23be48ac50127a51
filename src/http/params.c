#include "params.h"
#include "reply.h"


static ngx_int_t ngx_http_wscast_same_host(ngx_http_request_t *r,
    ngx_str_t *origin);
static ngx_int_t ngx_http_wscast_channels(ngx_http_request_t *r,
    ngx_http_wscast_loc_conf_t *wlcf, wscast_session_params_t *params);
static ngx_int_t ngx_http_wscast_grants(ngx_http_request_t *r,
    ngx_http_wscast_loc_conf_t *wlcf, wscast_session_params_t *params);


ngx_int_t
ngx_http_wscast_origin(ngx_http_request_t *r,
    ngx_http_wscast_loc_conf_t *wlcf)
{
    u_char           *p;
    ngx_uint_t        i;
    wscast_str_t     *patterns, origin;
    ngx_table_elt_t  *h;

    h = ngx_http_wscast_find_header(r, "Origin", NULL);

    if (h == NULL || wlcf->any_origin) {
        return NGX_OK;
    }

    if (ngx_http_wscast_find_header(r, "Origin", h)) {
        return NGX_DECLINED;
    }

    if (wlcf->origins == NULL) {
        return ngx_http_wscast_same_host(r, &h->value);
    }

    p = ngx_pnalloc(r->pool, h->value.len);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    ngx_strlow(p, h->value.data, h->value.len);
    origin = wscast_str(p, h->value.len);

    patterns = wlcf->origins->elts;

    for (i = 0; i < wlcf->origins->nelts; i++) {
        if (wscast_pattern_match(patterns[i], origin)) {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* Origin's host and port are those of Host; a scheme's own port may miss. */

static ngx_int_t
ngx_http_wscast_same_host(ngx_http_request_t *r, ngx_str_t *origin)
{
    size_t      n;
    ngx_str_t   host, port, authority;

    if (r->headers_in.host == NULL) {
        return NGX_DECLINED;
    }

    if (origin->len > 7
        && ngx_strncasecmp(origin->data, (u_char *) "http://", 7) == 0)
    {
        n = 7;
        ngx_str_set(&port, ":80");

    } else if (origin->len > 8
               && ngx_strncasecmp(origin->data, (u_char *) "https://", 8) == 0)
    {
        n = 8;
        ngx_str_set(&port, ":443");

    } else {
        return NGX_DECLINED;
    }

    authority.data = origin->data + n;
    authority.len = origin->len - n;
    host = r->headers_in.host->value;

    if (host.len > port.len
        && ngx_strncmp(host.data + host.len - port.len, port.data, port.len)
           == 0)
    {
        host.len -= port.len;
    }

    if (host.len == authority.len
        && ngx_strncasecmp(host.data, authority.data, host.len) == 0)
    {
        return NGX_OK;
    }

    return NGX_DECLINED;
}


ngx_uint_t
ngx_http_wscast_params(ngx_http_request_t *r,
    ngx_http_wscast_loc_conf_t *wlcf, wscast_session_params_t *params,
    const char **reason)
{
    ngx_str_t   value;
    ngx_uint_t  status;

    status = ngx_http_wscast_identity(r, wlcf, params, reason);

    if (status != NGX_OK) {
        return status;
    }

    *reason = "no memory";

    if (wlcf->welcome) {
        if (ngx_http_complex_value(r, wlcf->welcome, &value) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        params->welcome = wscast_str(value.data, value.len);
    }

    switch (ngx_http_wscast_channels(r, wlcf, params)) {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        *reason = "no valid channel";
        return NGX_HTTP_BAD_REQUEST;

    default:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_wscast_grants(r, wlcf, params) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_wscast_channels(ngx_http_request_t *r,
    ngx_http_wscast_loc_conf_t *wlcf, wscast_session_params_t *params)
{
    size_t                     j, n;
    ngx_str_t                  value;
    ngx_uint_t                 i;
    wscast_str_t              *names, name;
    ngx_http_complex_value_t  *cv;

    if (wlcf->channels == NULL) {
        return NGX_OK;
    }

    cv = wlcf->channels->elts;
    n = 0;

    names = ngx_palloc(r->pool, wlcf->channels->nelts
                                * sizeof(wscast_str_t));
    if (names == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < wlcf->channels->nelts; i++) {

        if (ngx_http_complex_value(r, &cv[i], &value) != NGX_OK) {
            return NGX_ERROR;
        }

        name = wscast_str(value.data, value.len);

        if (!wscast_channel_valid(name, wlcf->hub->conf.channel_length)) {
            return NGX_DECLINED;
        }

        for (j = 0; j < n && !wscast_str_eq(names[j], name); j++) {
            /* void */
        }

        if (j == n) {
            names[n++] = name;
        }
    }

    params->channels = names;
    params->nchannels = n;

    return NGX_OK;
}


static ngx_int_t
ngx_http_wscast_grants(ngx_http_request_t *r,
    ngx_http_wscast_loc_conf_t *wlcf, wscast_session_params_t *params)
{
    size_t                     k, n;
    ngx_str_t                  value;
    ngx_uint_t                 i, wild;
    wscast_grant_t            *g;
    ngx_http_wscast_allow_t   *a;

    params->grants = wlcf->grants;

    if (wlcf->grants || wlcf->allow == NULL) {
        return NGX_OK;
    }

    a = wlcf->allow->elts;
    n = 0;

    g = ngx_palloc(r->pool, wlcf->allow->nelts * sizeof(wscast_grant_t));
    if (g == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < wlcf->allow->nelts; i++) {

        if (ngx_http_complex_value(r, &a[i].pattern, &value) != NGX_OK) {
            return NGX_ERROR;
        }

        wild = 0;

        for (k = 0; k < value.len; k++) {
            wild += (value.data[k] == WSCAST_WILD);
        }

        if (wild != a[i].wild) {
            ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                          "wscast: a variable in \"wscast_allow\" had a "
                          "control character: this grant is void");
            continue;
        }

        g[n].ops = a[i].ops;
        g[n].pattern = wscast_str(value.data, value.len);
        n++;
    }

    params->grants = wscast_grants_create(g, n);
    params->own_grants = 1;

    return params->grants ? NGX_OK : NGX_ERROR;
}
