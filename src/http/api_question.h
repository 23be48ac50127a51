/*
 * api_question.h: a request that asks the store, all workers, or both at once,
 * and is answered when all have.
 *
 * Audience: api_question.c, api_store.c, api_control.c.
 */

#ifndef NGX_HTTP_WSCAST_API_QUESTION_H
#define NGX_HTTP_WSCAST_API_QUESTION_H


#include "api.h"


#define NGX_HTTP_WSCAST_AWAIT_STORE    0x01
#define NGX_HTTP_WSCAST_AWAIT_MEMBERS  0x02
#define NGX_HTTP_WSCAST_AWAIT_WORKERS  0x04


typedef struct ngx_http_wscast_question_s  ngx_http_wscast_question_t;

/* In the request's pool: all that waits can be taken back. */

struct ngx_http_wscast_question_s {
    ngx_http_wscast_api_t       *api;
    const wscast_rule_t         *rule;          /* of the channel; or NULL */

    wscast_query_t               store;         /* history */
    wscast_query_t               members;       /* presence */
    ngx_wscast_ask_t             workers;

    wscast_builder_t             items;         /* JSON, with commas */
    ngx_event_t                  timer;
    unsigned                     awaited;       /* bits of the above */
    ngx_http_wscast_bad_e        bad;
    unsigned                     begun:1;       /* NGX_AGAIN was returned */
    unsigned                     silent:1;      /* items are not wanted */

    /* writes the answer */
    void                       (*write)(ngx_http_wscast_question_t *q,
                                        wscast_builder_t *b);
};


/* NULL: no memory.  Of a channel its rule is found. */
ngx_http_wscast_question_t *ngx_http_wscast_question(
    ngx_http_wscast_api_t *api,
    void (*write)(ngx_http_wscast_question_t *q, wscast_builder_t *b));

/* Asks; each at most once. */
void ngx_http_wscast_question_store(ngx_http_wscast_question_t *q,
    wscast_query_e type);
void ngx_http_wscast_question_members(ngx_http_wscast_question_t *q);
void ngx_http_wscast_question_workers(ngx_http_wscast_question_t *q,
    ngx_wscast_ask_e type);

/* What the route returns when it has asked. */
ngx_int_t ngx_http_wscast_question_end(ngx_http_wscast_question_t *q);


#endif /* NGX_HTTP_WSCAST_API_QUESTION_H */
