#include "redis_remote.h"

#include <hiredis/hiredis.h>


static void ngx_wscast_purge_declare(ngx_wscast_remote_t *remote,
    wscast_str_t whose);
static void ngx_wscast_purge_buried(ngx_wscast_ask_t *ask, redisReply *reply);
static void ngx_wscast_purge_forget(ngx_wscast_remote_t *remote);
static void ngx_wscast_purge_batch(ngx_wscast_remote_t *remote);
static void ngx_wscast_purge_channels(ngx_wscast_ask_t *ask,
    redisReply *reply);
static ngx_int_t ngx_wscast_purge_names(ngx_wscast_purge_t *purge,
    redisReply *reply);
static wscast_str_t ngx_wscast_purge_name(ngx_wscast_purge_t *purge,
    ngx_uint_t i);
static ngx_int_t ngx_wscast_purge_channel(ngx_wscast_remote_t *remote,
    wscast_str_t channel);
static ngx_int_t ngx_wscast_purge_send(ngx_wscast_remote_t *remote,
    wscast_str_t lease, wscast_str_t channel, ngx_uint_t lose,
    ngx_wscast_answer_pt answer);
static void ngx_wscast_purge_purged(ngx_wscast_ask_t *ask, redisReply *reply);
static uint32_t ngx_wscast_purge_grace(ngx_wscast_remote_t *remote,
    wscast_str_t channel);


/* A worker of this host is gone: its clients are about to come back. */

void
ngx_wscast_purge_bury(ngx_wscast_remote_t *remote, uint64_t nonce)
{
    u_char  *p, whose[NGX_WSCAST_LEASE_NAME];

    p = ngx_snprintf(whose, NGX_WSCAST_LEASE_NAME, "%016xL:%016xL:",
                     ngx_wscast_bus_host(remote->store->bus), nonce);

    remote->burying = nonce;
    ngx_wscast_purge_declare(remote, wscast_str(whose, p - whose));
}


/* This worker has a new lease: who has not moved to it is gone. */

void
ngx_wscast_purge_replace(ngx_wscast_remote_t *remote, wscast_str_t lease)
{
    if (remote->burying == 0 && remote->purge.len == 0) {
        ngx_wscast_purge_declare(remote, lease);
    }
}


static void
ngx_wscast_purge_declare(ngx_wscast_remote_t *remote, wscast_str_t whose)
{
    wscast_str_t       none;
    ngx_wscast_ask_t  *ask;

    none = wscast_str(NULL, 0);

    ask = ngx_wscast_ask(remote, NGX_WSCAST_SCRIPT_BURY,
                         ngx_wscast_purge_buried, remote);

    if (ask) {
        ngx_wscast_ask_key(ask, none, ":leases", none);
        ngx_wscast_ask_key(ask, none, ":owned", none);
        ngx_wscast_ask_key(ask, none, ":dead", none);
        ngx_wscast_ask_word(ask, whose);
        ngx_wscast_ask_number(ask, NGX_WSCAST_LEASE_HOLD);

        if (ngx_wscast_ask_send(ask, 1) == NGX_OK) {
            return;
        }
    }

    remote->burying = 0;
}


static void
ngx_wscast_purge_buried(ngx_wscast_ask_t *ask, redisReply *reply)
{
    ngx_wscast_remote_t  *remote;

    remote = ask->remote;

    if (reply && reply->type != REDIS_REPLY_STRING) {
        ngx_wscast_reply_malformed(ask);
        reply = NULL;
    }

    if (reply && reply->len) {

        if (remote->purge.len == 0) {
            ngx_wscast_purge_begin(remote,
                                   wscast_str(reply->str, reply->len), 1);
        }

    } else if (reply && remote->burying) {
        ngx_wscast_purge_forget(remote);
    }

    remote->burying = 0;
}


/* All leases of a dead worker are in hand: nobody needs to find it again. */

static void
ngx_wscast_purge_forget(ngx_wscast_remote_t *remote)
{
    wscast_status_t      rc;
    ngx_wscast_store_t  *store;

    store = remote->store;

    if (!store->ready) {
        return;
    }

    ngx_wscast_store_lock(store);

    do {
        rc = ngx_wscast_store_bury(store, remote->burying);
    } while (rc == WSCAST_MORE);

    ngx_wscast_store_unlock(store);
}


void
ngx_wscast_purge_begin(ngx_wscast_remote_t *remote, wscast_str_t lease,
    ngx_uint_t lose)
{
    ngx_wscast_purge_t  *purge;

    purge = &remote->purge;

    if (lease.len > NGX_WSCAST_LEASE_NAME) {
        return;
    }

    ngx_memcpy(purge->lease, lease.data, lease.len);
    purge->len = lease.len;
    purge->lose = lose;
    purge->failed = 0;
    purge->n = 0;

    ngx_log_error(NGX_LOG_NOTICE, remote->log, 0,
                  "wscast: the members of lease \"%*s\" %s", lease.len,
                  lease.data, lose ? "may come back" : "leave");

    ngx_wscast_purge_batch(remote);
}


static void
ngx_wscast_purge_batch(ngx_wscast_remote_t *remote)
{
    ngx_uint_t           i;
    wscast_str_t         none, lease;
    ngx_wscast_ask_t    *ask;
    ngx_wscast_purge_t  *purge;

    purge = &remote->purge;
    none = wscast_str(NULL, 0);
    lease = wscast_str(purge->lease, purge->len);

    ask = ngx_wscast_ask(remote, NGX_WSCAST_SCRIPT_CHANNELS,
                         ngx_wscast_purge_channels, remote);

    if (ask) {
        ngx_wscast_ask_key(ask, none, ":dead", none);
        ngx_wscast_ask_key(ask, none, ":lease:", lease);
        ngx_wscast_ask_word(ask, lease);
        ngx_wscast_ask_number(ask, NGX_WSCAST_LEASE_HOLD);
        ngx_wscast_ask_number(ask, NGX_WSCAST_LEASE_BATCH);

        for (i = 0; i < purge->n; i++) {
            ngx_wscast_ask_word(ask, ngx_wscast_purge_name(purge, i));
        }

        if (ngx_wscast_ask_send(ask, 1) == NGX_OK) {
            return;
        }
    }

    purge->len = 0;                     /* another worker goes on */
}


static void
ngx_wscast_purge_channels(ngx_wscast_ask_t *ask, redisReply *reply)
{
    ngx_uint_t            i;
    wscast_str_t          channel;
    ngx_wscast_purge_t   *purge;
    ngx_wscast_remote_t  *remote;

    remote = ask->remote;
    purge = &remote->purge;

    if (reply == NULL) {
        purge->len = 0;
        return;
    }

    if (ngx_wscast_purge_names(purge, reply) != NGX_OK) {
        ngx_wscast_reply_malformed(ask);
        purge->len = 0;
        return;
    }

    purge->pending = 0;

    for (i = 0; i < purge->n; i++) {
        channel = ngx_wscast_purge_name(purge, i);

        if (ngx_wscast_purge_channel(remote, channel) != NGX_OK) {
            purge->failed = 1;
            break;
        }

        purge->pending++;
    }

    if (purge->pending == 0) {
        purge->len = 0;
    }
}


static ngx_int_t
ngx_wscast_purge_names(ngx_wscast_purge_t *purge, redisReply *reply)
{
    size_t         i, len;
    u_char        *p;
    wscast_str_t   name;

    purge->n = 0;

    if (reply->type != REDIS_REPLY_ARRAY
        || reply->elements > NGX_WSCAST_LEASE_BATCH)
    {
        return NGX_ERROR;
    }

    len = 1;

    for (i = 0; i < reply->elements; i++) {
        if (ngx_wscast_reply_string(reply, i, &name) != NGX_OK) {
            return NGX_ERROR;
        }

        len += name.len;
    }

    p = wscast_realloc(purge->names, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    purge->names = p;

    for (i = 0; i < reply->elements; i++) {
        p = ngx_cpymem(p, reply->element[i]->str, reply->element[i]->len);
        purge->ends[i] = p - purge->names;
    }

    purge->n = reply->elements;

    return NGX_OK;
}


static wscast_str_t
ngx_wscast_purge_name(ngx_wscast_purge_t *purge, ngx_uint_t i)
{
    size_t  at;

    at = i ? purge->ends[i - 1] : 0;

    return wscast_str(purge->names + at, purge->ends[i] - at);
}


static ngx_int_t
ngx_wscast_purge_channel(ngx_wscast_remote_t *remote, wscast_str_t channel)
{
    ngx_wscast_purge_t  *purge;

    purge = &remote->purge;

    return ngx_wscast_purge_send(remote,
                                 wscast_str(purge->lease, purge->len),
                                 channel, purge->lose,
                                 ngx_wscast_purge_purged);
}


/* The client of a worker that has just died may be joining here. */

void
ngx_wscast_purge_sooner(ngx_wscast_remote_t *remote, uint64_t nonce,
    wscast_str_t channel)
{
    u_char  *p, whose[NGX_WSCAST_LEASE_NAME];

    p = ngx_snprintf(whose, NGX_WSCAST_LEASE_NAME, "%016xL:%016xL:",
                     ngx_wscast_bus_host(remote->store->bus), nonce);

    (void) ngx_wscast_purge_send(remote, wscast_str(whose, p - whose), channel,
                                 1, ngx_wscast_ask_ignore);
}


static ngx_int_t
ngx_wscast_purge_send(ngx_wscast_remote_t *remote, wscast_str_t lease,
    wscast_str_t channel, ngx_uint_t lose, ngx_wscast_answer_pt answer)
{
    uint32_t           grace;
    ngx_wscast_ask_t  *ask;

    grace = ngx_wscast_purge_grace(remote, channel);

    if (lose) {
        ngx_wscast_lost_miss(remote, channel, grace);
    }

    ask = ngx_wscast_ask(remote, NGX_WSCAST_SCRIPT_PURGE, answer, remote);
    if (ask == NULL) {
        return NGX_ERROR;
    }

    ngx_wscast_lease_members(ask, channel);
    ngx_wscast_ask_name(ask, channel);
    ngx_wscast_ask_word(ask, lease);

    if (lose) {
        ngx_wscast_ask_number(ask, grace);

    } else {
        ngx_wscast_ask_word(ask, wscast_str(NULL, 0));
    }

    ngx_wscast_ask_number(ask, NGX_WSCAST_LEASE_MEMBERS);

    return ngx_wscast_ask_send(ask, 1);
}


static void
ngx_wscast_purge_purged(ngx_wscast_ask_t *ask, redisReply *reply)
{
    uint64_t              n, more;
    wscast_str_t          channel;
    ngx_wscast_purge_t   *purge;
    ngx_wscast_remote_t  *remote;

    remote = ask->remote;
    purge = &remote->purge;
    n = 0;
    more = 0;

    if (reply == NULL) {
        purge->failed = 1;

    } else if (ngx_wscast_reply_number(reply, 0, &n) != NGX_OK
               || ngx_wscast_reply_number(reply, 1, &more) != NGX_OK)
    {
        ngx_wscast_reply_malformed(ask);
        purge->failed = 1;
        more = 0;
    }

    ngx_wscast_bus_counters(remote->store->bus)[WSCAST_COUNT_LEAVES] += n;

    if (more) {
        channel = ngx_wscast_lease_where(ask);

        if (channel.len
            && ngx_wscast_purge_channel(remote, channel) == NGX_OK)
        {
            return;
        }

        purge->failed = 1;
    }

    if (--purge->pending) {
        return;
    }

    if (purge->failed) {
        purge->len = 0;
        return;
    }

    ngx_wscast_purge_batch(remote);
}


static uint32_t
ngx_wscast_purge_grace(ngx_wscast_remote_t *remote, wscast_str_t channel)
{
    const wscast_rule_t  *rule;

    rule = wscast_rule_find(remote->store->rules, remote->store->nrules,
                            channel);

    return rule ? rule->grace : WSCAST_GRACE;
}
