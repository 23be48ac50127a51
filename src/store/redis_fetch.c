#include "redis_remote.h"
#include "../base/envelope.h"

#include <hiredis/hiredis.h>


static ngx_int_t ngx_wscast_fetch_send(ngx_wscast_ask_t *ask,
    ngx_wscast_fetch_t *fetch);
static void ngx_wscast_fetch_located(ngx_wscast_ask_t *ask,
    redisReply *reply);
static void ngx_wscast_fetch_fetched(ngx_wscast_ask_t *ask,
    redisReply *reply);


#define NGX_WSCAST_FETCH_LIMIT  1000
#define NGX_WSCAST_FETCH_BYTES  (1024 * 1024)


ngx_int_t
ngx_wscast_remote_locate(ngx_wscast_store_t *store, const wscast_rule_t *rule,
    wscast_str_t channel, ngx_wscast_fetch_t *fetch)
{
    wscast_end_t       end;
    ngx_wscast_ask_t  *ask;

    ask = ngx_wscast_ask(store->remote, NGX_WSCAST_SCRIPT_POSITION,
                         ngx_wscast_fetch_located, fetch);
    if (ask == NULL) {
        return NGX_ERROR;
    }

    ngx_wscast_end_known(store->remote, channel, &end);

    ngx_wscast_ask_key(ask, channel, ":meta", wscast_str(NULL, 0));

    if (end.time) {
        ngx_wscast_ask_key(ask, channel, ":stream", wscast_str(NULL, 0));
    }

    ngx_wscast_ask_epoch(ask, ngx_wscast_store_epoch());
    ngx_wscast_ask_number(ask, rule->ttl);
    ngx_wscast_end_words(ask, &end);

    return ngx_wscast_fetch_send(ask, fetch);
}


ngx_int_t
ngx_wscast_remote_fetch(ngx_wscast_store_t *store, const wscast_rule_t *rule,
    wscast_str_t channel, uint64_t after, ngx_wscast_fetch_t *fetch)
{
    ngx_wscast_ask_t  *ask;

    ask = ngx_wscast_fetch_range(store->remote, rule, channel, after, 0, 0,
                                 NGX_WSCAST_FETCH_LIMIT,
                                 NGX_WSCAST_FETCH_BYTES);
    if (ask == NULL) {
        return NGX_ERROR;
    }

    ask->answer = ngx_wscast_fetch_fetched;
    ask->data = fetch;

    return ngx_wscast_fetch_send(ask, fetch);
}


static ngx_int_t
ngx_wscast_fetch_send(ngx_wscast_ask_t *ask, ngx_wscast_fetch_t *fetch)
{
    ngx_int_t  rc;

    fetch->ask = ask;

    rc = ngx_wscast_ask_send(ask, 1);

    if (rc != NGX_OK) {
        fetch->ask = NULL;
    }

    return rc;
}


void
ngx_wscast_remote_unfetch(ngx_wscast_fetch_t *fetch)
{
    if (fetch->ask) {
        fetch->ask->data = NULL;
        fetch->ask = NULL;
    }
}


static void
ngx_wscast_fetch_located(ngx_wscast_ask_t *ask, redisReply *reply)
{
    wscast_position_t    top;
    ngx_wscast_fetch_t  *fetch;

    fetch = ask->data;

    if (fetch == NULL) {
        return;
    }

    fetch->ask = NULL;

    if (reply && ngx_wscast_reply_position(reply, &top) != NGX_OK) {
        ngx_wscast_reply_malformed(ask);
        reply = NULL;
    }

    fetch->done(fetch, reply ? &top : NULL, 0);
}


static void
ngx_wscast_fetch_fetched(ngx_wscast_ask_t *ask, redisReply *reply)
{
    size_t                i;
    uint64_t              more;
    wscast_str_t          bytes;
    wscast_position_t     top;
    ngx_wscast_fetch_t   *fetch;
    wscast_pub_fields_t   f;

    fetch = ask->data;

    if (fetch == NULL) {
        return;
    }

    if (reply
        && (ngx_wscast_reply_position(reply, &top) != NGX_OK
            || ngx_wscast_reply_number(reply, 2, &more) != NGX_OK))
    {
        ngx_wscast_reply_malformed(ask);
        reply = NULL;
    }

    if (reply == NULL) {
        fetch->ask = NULL;
        fetch->done(fetch, NULL, 0);
        return;
    }

    for (i = 3; i < reply->elements; i++) {

        if (ngx_wscast_fetch_entry(ask, reply, i, wscast_str(NULL, 0), &bytes,
                                   &f)
            == NGX_OK)
        {
            fetch->entry(fetch, bytes, &f);
        }
    }

    fetch->ask = NULL;
    fetch->done(fetch, &top, more != 0);
}


ngx_wscast_ask_t *
ngx_wscast_fetch_range(ngx_wscast_remote_t *remote, const wscast_rule_t *rule,
    wscast_str_t channel, uint64_t after, uint64_t upto, unsigned newest,
    uint64_t limit, uint64_t bytes)
{
    wscast_str_t       none;
    ngx_wscast_ask_t  *ask;

    none = wscast_str(NULL, 0);

    ask = ngx_wscast_ask(remote, NGX_WSCAST_SCRIPT_RANGE, NULL, NULL);

    if (ask) {
        ngx_wscast_ask_key(ask, channel, ":stream", none);
        ngx_wscast_ask_key(ask, channel, ":meta", none);
        ngx_wscast_ask_number(ask, ngx_min(after, NGX_WSCAST_OFFSET_MAX));
        ngx_wscast_ask_number(ask, ngx_min(upto, NGX_WSCAST_OFFSET_MAX));
        ngx_wscast_ask_number(ask, newest);
        ngx_wscast_ask_number(ask, limit ? limit : 1);
        ngx_wscast_ask_number(ask, bytes);
        ngx_wscast_ask_number(ask, rule ? rule->ttl : 0);
    }

    return ask;
}


ngx_int_t
ngx_wscast_fetch_entry(ngx_wscast_ask_t *ask, redisReply *reply, size_t i,
    wscast_str_t channel, wscast_str_t *bytes, wscast_pub_fields_t *f)
{
    wscast_status_t  rc;

    if (ngx_wscast_reply_string(reply, i, bytes) != NGX_OK) {
        ngx_wscast_reply_malformed(ask);
        return NGX_DECLINED;
    }

    rc = wscast_envelope_decode(channel, *bytes, ngx_wscast_now(), f);

    if (rc != WSCAST_OK || !(f->flags & WSCAST_PUB_POSITION)) {

        if (rc != WSCAST_MORE) {
            ngx_wscast_reply_malformed(ask);
        }

        return NGX_DECLINED;
    }

    /* anybody may write to Redis: dialects shall look for themselves */

    f->flags &= ~WSCAST_PUB_JSON;

    return NGX_OK;
}
