/*
 * api_batch.h: POST publish, what is to be published.
 *
 * Audience: api_batch.c (publishes), api_items.c (reads).
 */

#ifndef NGX_HTTP_WSCAST_API_BATCH_H
#define NGX_HTTP_WSCAST_API_BATCH_H


#include "api.h"


/* One of "messages"; views into the body. */

typedef struct {
    wscast_str_t                 data;
    wscast_str_t                 key;
    wscast_str_t                 exclude;
    wscast_str_t                 channel;       /* JSON; or empty */
    wscast_str_t                 channels;      /* JSON; or empty */
} ngx_http_wscast_message_t;


/* One publish: a message to a channel. */

typedef struct {
    ngx_uint_t                   index;         /* of the message */
    ngx_http_wscast_message_t   *message;       /* NULL: it cannot be read */
    wscast_str_t                 channel;       /* decoded; or empty */
    ngx_http_wscast_bad_e        bad;
} ngx_http_wscast_item_t;


/*
 * Reads the body, whose strings are decoded in place, and fills items
 * (ngx_http_wscast_item_t).  What is wrong with the whole is returned, what is
 * wrong with one is noted in it.
 */
ngx_http_wscast_bad_e ngx_http_wscast_items_read(ngx_http_wscast_api_t *api,
    wscast_str_t body, ngx_array_t *items);


#endif /* NGX_HTTP_WSCAST_API_BATCH_H */
