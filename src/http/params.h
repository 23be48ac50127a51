/*
 * params.h: what the variables of a handshake say about its client.
 *
 * Audience: http/upgrade.
 */

#ifndef NGX_HTTP_WSCAST_PARAMS_H
#define NGX_HTTP_WSCAST_PARAMS_H


#include "conf.h"


/*
 * NGX_OK if the request may come from where it does.  Only browsers send an
 * Origin, and they cannot be made to lie about it.
 */
ngx_int_t ngx_http_wscast_origin(ngx_http_request_t *r,
    ngx_http_wscast_loc_conf_t *wlcf);

/*
 * Evaluates identity, welcome, channels and grants into params, whose views
 * point into the request's pool.  With own_grants set, grants are the caller's
 * to free; token_grants always are.  NGX_OK, or the status to refuse with, and
 * *reason: why the values cannot be used.
 */
ngx_uint_t ngx_http_wscast_params(ngx_http_request_t *r,
    ngx_http_wscast_loc_conf_t *wlcf, wscast_session_params_t *params,
    const char **reason);

/* identity.c: the part of it that token, user and info make. */
ngx_uint_t ngx_http_wscast_identity(ngx_http_request_t *r,
    ngx_http_wscast_loc_conf_t *wlcf, wscast_session_params_t *params,
    const char **reason);

/*
 * Counts a connection by the key of wscast_connections, until it is closed; id:
 * of its client.  NGX_OK; NGX_DECLINED: there are too many; NGX_ERROR: no
 * memory.
 */
ngx_int_t ngx_http_wscast_admit(ngx_http_request_t *r,
    ngx_http_wscast_loc_conf_t *wlcf, const char *id);


#endif /* NGX_HTTP_WSCAST_PARAMS_H */
