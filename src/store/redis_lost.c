#include "redis_remote.h"

#include <hiredis/hiredis.h>


static void ngx_wscast_lost_polled(ngx_wscast_ask_t *ask, redisReply *reply);
static void ngx_wscast_lost_expire(ngx_wscast_remote_t *remote,
    wscast_str_t channel, wscast_str_t version);
static void ngx_wscast_lost_expired(ngx_wscast_ask_t *ask,
    redisReply *reply);


void
ngx_wscast_lost_miss(ngx_wscast_remote_t *remote, wscast_str_t channel,
    uint32_t grace)
{
    ngx_msec_t         until;
    wscast_str_t       none;
    ngx_wscast_ask_t  *ask;

    none = wscast_str(NULL, 0);

    ask = ngx_wscast_ask(remote, NGX_WSCAST_SCRIPT_MISS,
                         ngx_wscast_ask_ignore, NULL);
    if (ask == NULL) {
        return;
    }

    ngx_wscast_ask_key(ask, none, ":lost", none);
    ngx_wscast_ask_key(ask, none, ":lost:version", none);
    ngx_wscast_ask_word(ask, channel);
    ngx_wscast_ask_number(ask, grace);

    if (ngx_wscast_ask_send(ask, 1) != NGX_OK) {
        return;
    }

    until = ngx_current_msec + grace + 2 * NGX_WSCAST_LOST_POLL;

    if (!remote->timer.timer_set) {
        remote->losing = until;
        ngx_add_timer(&remote->timer, NGX_WSCAST_LOST_POLL);

    } else if ((ngx_msec_int_t) (until - remote->losing) > 0) {
        remote->losing = until;
    }
}


void
ngx_wscast_lost_poll(ngx_wscast_remote_t *remote)
{
    wscast_str_t       none;
    ngx_wscast_ask_t  *ask;

    none = wscast_str(NULL, 0);

    if (remote->polling) {
        return;
    }

    ask = ngx_wscast_ask(remote, NGX_WSCAST_SCRIPT_POLL,
                         ngx_wscast_lost_polled, remote);
    if (ask == NULL) {
        return;
    }

    ngx_wscast_ask_key(ask, none, ":leases", none);
    ngx_wscast_ask_key(ask, none, ":owned", none);
    ngx_wscast_ask_key(ask, none, ":dead", none);
    ngx_wscast_ask_key(ask, none, ":lost", none);
    ngx_wscast_ask_key(ask, none, ":lost:version", none);
    ngx_wscast_ask_number(ask, NGX_WSCAST_LEASE_HOLD);
    ngx_wscast_ask_number(ask, NGX_WSCAST_LEASE_BATCH);
    ngx_wscast_ask_number(ask, remote->purge.len == 0 && !remote->burying);

    remote->polling = (ngx_wscast_ask_send(ask, 1) == NGX_OK);
}


static void
ngx_wscast_lost_polled(ngx_wscast_ask_t *ask, redisReply *reply)
{
    size_t                i;
    ngx_uint_t            own;
    wscast_str_t          lease, channel, version;
    ngx_wscast_remote_t  *remote;

    remote = ask->remote;
    remote->polling = 0;

    if (reply == NULL) {
        return;
    }

    if (ngx_wscast_reply_string(reply, 0, &lease) != NGX_OK) {
        ngx_wscast_reply_malformed(ask);
        return;
    }

    for (i = 1; i + 1 < reply->elements; i += 2) {
        if (ngx_wscast_reply_string(reply, i, &channel) == NGX_OK
            && ngx_wscast_reply_string(reply, i + 1, &version) == NGX_OK)
        {
            ngx_wscast_lost_expire(remote, channel, version);
        }
    }

    if (i > 2 * NGX_WSCAST_LEASE_BATCH) {
        ngx_wscast_lost_poll(remote);
    }

    if (lease.len == 0 || remote->purge.len) {
        return;
    }

    /* this worker was late: its own members move to a new lease */

    own = wscast_str_eq(lease, wscast_str(remote->lease, remote->lease_len));

    ngx_wscast_purge_begin(remote, lease, own);

    if (own) {
        (void) ngx_wscast_lease_begin(remote);
    }
}


static void
ngx_wscast_lost_expire(ngx_wscast_remote_t *remote, wscast_str_t channel,
    wscast_str_t version)
{
    ngx_wscast_ask_t  *ask;

    ask = ngx_wscast_ask(remote, NGX_WSCAST_SCRIPT_EXPIRE,
                         ngx_wscast_lost_expired, remote);
    if (ask == NULL) {
        return;
    }

    ngx_wscast_lease_members(ask, channel);
    ngx_wscast_ask_name(ask, channel);
    ngx_wscast_ask_number(ask, NGX_WSCAST_LEASE_MEMBERS);
    ngx_wscast_ask_word(ask, version);      /* for _expired() alone */

    (void) ngx_wscast_ask_send(ask, 1);
}


static void
ngx_wscast_lost_expired(ngx_wscast_ask_t *ask, redisReply *reply)
{
    uint64_t              n, next;
    wscast_str_t          none, channel, version;
    ngx_wscast_ask_t     *settle;
    ngx_wscast_remote_t  *remote;

    remote = ask->remote;

    if (reply == NULL) {
        return;
    }

    if (ngx_wscast_reply_number(reply, 0, &n) != NGX_OK
        || ngx_wscast_reply_number(reply, 1, &next) != NGX_OK)
    {
        ngx_wscast_reply_malformed(ask);
        return;
    }

    ngx_wscast_bus_counters(remote->store->bus)[WSCAST_COUNT_LEAVES] += n;

    channel = ngx_wscast_lease_where(ask);
    version = ngx_wscast_ask_at(ask, NGX_WSCAST_LEASE_KEYS + 2);
    none = wscast_str(NULL, 0);

    if (channel.len == 0) {
        return;
    }

    if (n == NGX_WSCAST_LEASE_MEMBERS) {
        ngx_wscast_lost_expire(remote, channel, version);
        return;
    }

    settle = ngx_wscast_ask(remote, NGX_WSCAST_SCRIPT_SETTLE,
                            ngx_wscast_ask_ignore, NULL);
    if (settle == NULL) {
        return;
    }

    ngx_wscast_ask_key(settle, none, ":lost", none);
    ngx_wscast_ask_key(settle, none, ":lost:version", none);
    ngx_wscast_ask_word(settle, channel);
    ngx_wscast_ask_word(settle, version);
    ngx_wscast_ask_number(settle, next);

    (void) ngx_wscast_ask_send(settle, 1);
}
