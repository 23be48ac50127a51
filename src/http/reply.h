/*
 * reply.h: small answers of our own.
 *
 * Audience: the http room.
 */

#ifndef NGX_HTTP_WSCAST_REPLY_H
#define NGX_HTTP_WSCAST_REPLY_H


#include "conf.h"


/* Adds a response header; value must live as long as the request. */
ngx_int_t ngx_http_wscast_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);

/*
 * Sends a whole response.  body is copied.  Returns what a content handler
 * returns, or what ngx_http_finalize_request() takes.
 */
ngx_int_t ngx_http_wscast_reply(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, const u_char *body, size_t len);

/* The same with {"error":{"code":STATUS,"reason":"REASON"}}. */
ngx_int_t ngx_http_wscast_reply_error(ngx_http_request_t *r,
    ngx_uint_t status, const char *reason);

/* The next header of this name after *from; NULL: none.  Start with NULL. */
ngx_table_elt_t *ngx_http_wscast_find_header(ngx_http_request_t *r,
    const char *name, ngx_table_elt_t *after);


#endif /* NGX_HTTP_WSCAST_REPLY_H */
