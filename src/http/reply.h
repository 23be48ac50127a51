/*
 * reply.h: small answers of our own.
 *
 * Audience: the http room.
 */

#ifndef NGX_HTTP_WSCAST_REPLY_H
#define NGX_HTTP_WSCAST_REPLY_H


#include "conf.h"
#include "../base/prepared.h"


/* Adds a response header; value must live as long as the request. */
ngx_int_t ngx_http_wscast_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);

/*
 * Sends a whole response.  body is copied.  Returns what a content handler
 * returns, or what ngx_http_finalize_request() takes; never NGX_AGAIN.
 */
ngx_int_t ngx_http_wscast_reply(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, const u_char *body, size_t len);

/* The same with what has been built, which is dropped; 500 if that failed. */
ngx_int_t ngx_http_wscast_reply_json(ngx_http_request_t *r, ngx_uint_t status,
    wscast_builder_t *b);

/*
 * Writes {"code":STATUS,"reason":"REASON"}; what it is about, if that is not
 * empty, follows the reason: "history is not enabled on room:7".
 */
void ngx_http_wscast_error(wscast_builder_t *b, ngx_uint_t status,
    const char *reason, wscast_str_t about);

/* The next header of this name after *from; NULL: none.  Start with NULL. */
ngx_table_elt_t *ngx_http_wscast_find_header(ngx_http_request_t *r,
    const char *name, ngx_table_elt_t *after);


#endif /* NGX_HTTP_WSCAST_REPLY_H */
