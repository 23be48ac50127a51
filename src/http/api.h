/*
 * api.h: the HTTP API of a hub, what its files share.
 *
 * Audience: api.c (routes), api_path.c (what is in a URI), api_body.c,
 * api_publish.c, api_batch.c and api_items.c (POST), api_question.c,
 * api_store.c and api_control.c (the rest).
 *
 * Law: a request that waits can end at any time.  What waits for it lies in its
 * pool if it can be taken back (queries, questions), and is freed by its last
 * receipt if it cannot (publishes).
 */

#ifndef NGX_HTTP_WSCAST_API_H
#define NGX_HTTP_WSCAST_API_H


#include "conf.h"
#include "reply.h"
#include "../base/scan.h"
#include "../worker/control.h"


/*
 * A guard for every wait: the engine has ends of its own, which come before.
 * Waiting for room on the bus has none.
 */
#define NGX_HTTP_WSCAST_API_TIME      10000         /* ms */

#define NGX_HTTP_WSCAST_KEY_MAX       128           /* bytes */
#define NGX_HTTP_WSCAST_CLIENT_MAX    255           /* bytes */
#define NGX_HTTP_WSCAST_LIMIT_MAX     1000          /* items of an answer */
#define NGX_HTTP_WSCAST_MESSAGES_MAX  1000          /* of a batch */
#define NGX_HTTP_WSCAST_ITEMS_MAX     10000         /* publishes of a batch */


/*
 * Every error, one row each: X(NAME, status, reason).  docs/api.md is checked
 * against it.
 */

#define NGX_HTTP_WSCAST_ERRORS(X)                                             \
    X(CHANNEL,    400, "channel is not valid")                                \
    X(UTF8,       400,                                                        \
      "body is not UTF-8: send it as application/octet-stream")               \
    X(JSON,       400, "body is not valid JSON")                              \
    X(KEY_HEADER, 400, "Idempotency-Key is not 1 to 128 bytes of UTF-8")      \
    X(EXCLUDE_HEADER, 400, "Wscast-Exclude is not the id of a client")        \
    X(BATCH,      400, "body is not a JSON object with an array of messages") \
    X(MESSAGE,    400, "message is not an object")                            \
    X(NOWHERE,    400, "channel is missing")                                  \
    X(CHANNELS,   400, "channels is not an array of names")                   \
    X(BOTH,       400, "channel and channels are both there")                 \
    X(DATA,       400, "data is missing")                                     \
    X(KEY,        400, "key is not a string of 1 to 128 bytes")               \
    X(EXCLUDE,    400, "exclude is not the id of a client")                   \
    X(LIMIT,      400, "limit is not a number from 1 to 1000")                \
    X(BEFORE,     400, "before is not an offset")                             \
    X(CURSOR,     400, "after is not the next of an answer")                  \
    X(NAMES,      400, "prefix or after is not UTF-8")                        \
    X(HISTORY,    400, "history is not enabled on")                           \
    X(PRESENCE,   400, "presence is not enabled on")                          \
    X(CLIENT,     400, "client is not valid")                                 \
    X(USER,       400, "user is not valid")                                   \
    X(ROUTE,      404, "no such route")                                       \
    X(METHOD,     405, "method is not allowed here")                          \
    X(TOO_BIG,    413, "message is too large for the hub")                    \
    X(MESSAGES,   413, "more than 1000 messages in one request")              \
    X(ITEMS,      413, "more than 10000 publishes in one request")            \
    X(MEMORY,     500, "no memory")                                           \
    X(AWAY,       503, "engine is away")                                      \
    X(READY,      503, "hub is not ready")


typedef enum {
    NGX_HTTP_WSCAST_FINE = 0,
#define X(name, status, reason)  NGX_HTTP_WSCAST_BAD_##name,
    NGX_HTTP_WSCAST_ERRORS(X)
#undef X
} ngx_http_wscast_bad_e;


typedef enum {
    NGX_HTTP_WSCAST_AT_CHANNELS = 0,
    NGX_HTTP_WSCAST_AT_CHANNEL,
    NGX_HTTP_WSCAST_AT_HISTORY,
    NGX_HTTP_WSCAST_AT_PRESENCE,
    NGX_HTTP_WSCAST_AT_PUBLISH,
    NGX_HTTP_WSCAST_AT_CLIENT,
    NGX_HTTP_WSCAST_AT_USER
} ngx_http_wscast_at_e;


/* One request; in its pool. */

typedef struct ngx_http_wscast_api_s  ngx_http_wscast_api_t;

/* NGX_AGAIN: _api_end() will follow; else what to finalize with. */
typedef ngx_int_t (*ngx_http_wscast_serve_pt)(ngx_http_wscast_api_t *api);

struct ngx_http_wscast_api_s {
    ngx_http_request_t          *request;
    ngx_wscast_hub_t            *hub;
    size_t                       channel_length;
    ngx_http_wscast_at_e         at;
    wscast_str_t                 name;      /* channel, client or user */
    ngx_http_wscast_serve_pt     serve;
};


/* api.c: answers with an error; about may be empty. */
ngx_int_t ngx_http_wscast_api_refuse(ngx_http_request_t *r,
    ngx_http_wscast_bad_e bad, wscast_str_t about);

/* api.c: writes the object of an error. */
void ngx_http_wscast_api_error(wscast_builder_t *b, ngx_http_wscast_bad_e bad,
    wscast_str_t about);

/* api.c: what to say to a status of the engine. */
ngx_http_wscast_bad_e ngx_http_wscast_api_status(wscast_status_t status);

/* api.c: writes ,"epoch":"…","offset":N if there is a position. */
void ngx_http_wscast_api_position(wscast_builder_t *b,
    const wscast_position_t *position);

/* api.c: finalizes from outside the request's own events; may free it. */
void ngx_http_wscast_api_end(ngx_http_request_t *r, ngx_int_t rc);


/*
 * api_path.c: where the URI leads below the location's prefix.  NGX_OK;
 * NGX_DECLINED: nowhere; NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_wscast_api_path(ngx_http_request_t *r,
    ngx_http_wscast_at_e *at, wscast_str_t *name);

/*
 * api_path.c: an argument, decoded.  NGX_OK; NGX_DECLINED: it is not there;
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_wscast_api_arg(ngx_http_request_t *r, const char *name,
    wscast_str_t *value);

/*
 * api_path.c: the same of a decimal number; if it is not there *n is left.
 * NGX_DECLINED: it is none, or is not in least to most.
 */
ngx_int_t ngx_http_wscast_api_number(ngx_http_request_t *r, const char *name,
    uint64_t least, uint64_t most, uint64_t *n);


/* api_body.c: all of it, in one writable piece.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_wscast_api_body(ngx_http_request_t *r, ngx_str_t *body);


/* What the routes lead to. */
ngx_int_t ngx_http_wscast_api_publish(ngx_http_wscast_api_t *api);
ngx_int_t ngx_http_wscast_api_batch(ngx_http_wscast_api_t *api);
ngx_int_t ngx_http_wscast_api_history(ngx_http_wscast_api_t *api);
ngx_int_t ngx_http_wscast_api_forget(ngx_http_wscast_api_t *api);
ngx_int_t ngx_http_wscast_api_presence(ngx_http_wscast_api_t *api);
ngx_int_t ngx_http_wscast_api_channels(ngx_http_wscast_api_t *api);
ngx_int_t ngx_http_wscast_api_channel(ngx_http_wscast_api_t *api);
ngx_int_t ngx_http_wscast_api_disconnect(ngx_http_wscast_api_t *api);


#endif /* NGX_HTTP_WSCAST_API_H */
