#include "params.h"
#include "../base/scan.h"


/* Who a client is: what its token says, or variables that can be trusted. */


static ngx_uint_t ngx_http_wscast_token(ngx_http_request_t *r,
    ngx_http_wscast_loc_conf_t *wlcf, wscast_session_params_t *params,
    const char **reason);
static ngx_int_t ngx_http_wscast_claims(ngx_http_request_t *r,
    ngx_wscast_hub_conf_t *hub, wscast_claims_t *claims,
    wscast_session_params_t *params);
static ngx_int_t ngx_http_wscast_copy(ngx_pool_t *pool, wscast_str_t *copy,
    wscast_str_t s);
static ngx_uint_t ngx_http_wscast_info(ngx_http_request_t *r,
    ngx_http_wscast_loc_conf_t *wlcf, wscast_session_params_t *params,
    const char **reason);


ngx_uint_t
ngx_http_wscast_identity(ngx_http_request_t *r,
    ngx_http_wscast_loc_conf_t *wlcf, wscast_session_params_t *params,
    const char **reason)
{
    ngx_str_t   value;
    ngx_uint_t  status;

    status = ngx_http_wscast_token(r, wlcf, params, reason);

    if (status != NGX_OK) {
        return status;
    }

    if (wlcf->user) {
        if (ngx_http_complex_value(r, wlcf->user, &value) != NGX_OK) {
            *reason = "no memory";
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (value.len > NGX_HTTP_WSCAST_USER_MAX
            || !wscast_utf8_valid(wscast_str(value.data, value.len)))
        {
            *reason = "user is too long or not UTF-8";
            return NGX_HTTP_BAD_REQUEST;
        }

        if (value.len) {
            params->user = wscast_str(value.data, value.len);
        }
    }

    return ngx_http_wscast_info(r, wlcf, params, reason);
}


static ngx_uint_t
ngx_http_wscast_token(ngx_http_request_t *r,
    ngx_http_wscast_loc_conf_t *wlcf, wscast_session_params_t *params,
    const char **reason)
{
    ngx_int_t               rc;
    ngx_str_t               value;
    wscast_claims_t        *claims;
    ngx_wscast_hub_conf_t  *hub;

    if (wlcf->token == NULL) {
        return NGX_OK;
    }

    params->token = 1;
    hub = &wlcf->hub->conf;

    if (ngx_http_complex_value(r, wlcf->token, &value) != NGX_OK) {
        *reason = "no memory";
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (value.len == 0) {
        return NGX_OK;
    }

    switch (wscast_token_verify(hub->keys, wscast_str(value.data, value.len),
                                (uint64_t) ngx_time(), (unsigned) hub->leeway,
                                &claims, reason))
    {
    case WSCAST_OK:
        break;

    case WSCAST_ERROR:
        return NGX_HTTP_UNAUTHORIZED;

    default:
        *reason = "no memory";
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_wscast_claims(r, hub, claims, params);

    wscast_claims_free(claims);

    if (rc != NGX_OK) {
        *reason = "no memory";
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_wscast_claims(ngx_http_request_t *r, ngx_wscast_hub_conf_t *hub,
    wscast_claims_t *claims, wscast_session_params_t *params)
{
    if (ngx_http_wscast_copy(r->pool, &params->sub, claims->sub) != NGX_OK
        || ngx_http_wscast_copy(r->pool, &params->info, claims->info)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    params->user = params->sub;
    params->token_grants = claims->grants;
    claims->grants = NULL;

    /* it ends when a handshake with this token would begin to fail */

    if (claims->has_exp) {
        params->expires = (claims->exp + (uint64_t) hub->leeway) * 1000;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_wscast_copy(ngx_pool_t *pool, wscast_str_t *copy, wscast_str_t s)
{
    u_char  *p;

    if (s.len == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, s.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, s.data, s.len);
    *copy = wscast_str(p, s.len);

    return NGX_OK;
}


/* What is no JSON is told as a string. */

static ngx_uint_t
ngx_http_wscast_info(ngx_http_request_t *r, ngx_http_wscast_loc_conf_t *wlcf,
    wscast_session_params_t *params, const char **reason)
{
    ngx_int_t         rc;
    ngx_str_t         value;
    wscast_builder_t  b;

    if (wlcf->info == NULL) {
        return NGX_OK;
    }

    if (ngx_http_complex_value(r, wlcf->info, &value) != NGX_OK) {
        *reason = "no memory";
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (value.len == 0) {
        return NGX_OK;
    }

    params->info = wscast_str(value.data, value.len);

    if (!wscast_json_valid(params->info)) {
        wscast_builder_init(&b, value.len + 2);
        wscast_json_quote(&b, params->info);

        rc = wscast_builder_payload(&b).len
             ? ngx_http_wscast_copy(r->pool, &params->info,
                                    wscast_builder_payload(&b))
             : NGX_ERROR;

        wscast_builder_drop(&b);

        if (rc != NGX_OK) {
            *reason = "no memory";
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (params->info.len > WSCAST_INFO_MAX) {
        *reason = "info is too long";
        return NGX_HTTP_BAD_REQUEST;
    }

    return NGX_OK;
}
