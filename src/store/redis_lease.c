#include "redis_remote.h"

#include <hiredis/hiredis.h>


static void ngx_wscast_lease_renew(ngx_wscast_remote_t *remote,
    ngx_uint_t create);
static void ngx_wscast_lease_renewed(ngx_wscast_ask_t *ask,
    redisReply *reply);
static void ngx_wscast_lease_timer(ngx_event_t *ev);


void
ngx_wscast_lease_init(ngx_wscast_remote_t *remote)
{
    remote->timer.handler = ngx_wscast_lease_timer;
    remote->timer.data = remote;
    remote->timer.log = remote->log;
    remote->timer.cancelable = 1;
}


void
ngx_wscast_lease_close(ngx_wscast_remote_t *remote)
{
    if (remote->timer.timer_set) {
        ngx_del_timer(&remote->timer);
    }

    wscast_free(remote->purge.names);
}


ngx_int_t
ngx_wscast_lease_begin(ngx_wscast_remote_t *remote)
{
    size_t               len;
    u_char               old[NGX_WSCAST_LEASE_NAME];
    uint64_t             nonce;
    ngx_wscast_store_t  *store;

    store = remote->store;
    nonce = ngx_wscast_bus_nonce(store->bus);

    if (nonce == 0) {
        return NGX_DECLINED;
    }

    len = remote->lease_len;
    ngx_memcpy(old, remote->lease, len);

    /* ends in a dot: none is the beginning of another */

    remote->nonce = nonce;
    remote->lease_len = ngx_snprintf(remote->lease, NGX_WSCAST_LEASE_NAME,
                                     "%016xL:%016xL:%uL.",
                                     ngx_wscast_bus_host(store->bus), nonce,
                                     ++remote->generation)
                        - remote->lease;
    remote->ticks = 0;
    remote->refused = 0;

    ngx_wscast_store_own(store);
    ngx_wscast_lease_renew(remote, 1);

    store->handler->rejoin(store->ctx);

    if (len) {
        ngx_wscast_purge_replace(remote, wscast_str(old, len));
    }

    return NGX_OK;
}


static void
ngx_wscast_lease_renew(ngx_wscast_remote_t *remote, ngx_uint_t create)
{
    wscast_str_t       none;
    ngx_wscast_ask_t  *ask;

    none = wscast_str(NULL, 0);

    ask = ngx_wscast_ask(remote, NGX_WSCAST_SCRIPT_RENEW,
                         ngx_wscast_lease_renewed, create ? NULL : remote);
    if (ask == NULL) {
        return;
    }

    ngx_wscast_ask_key(ask, none, ":leases", none);
    ngx_wscast_ask_key(ask, none, ":owned", none);
    ngx_wscast_ask_word(ask, wscast_str(remote->lease, remote->lease_len));
    ngx_wscast_ask_number(ask, NGX_WSCAST_LEASE_LIFE);
    ngx_wscast_ask_number(ask, create);

    (void) ngx_wscast_ask_send(ask, 1);
}


static void
ngx_wscast_lease_renewed(ngx_wscast_ask_t *ask, redisReply *reply)
{
    wscast_str_t          lease;
    ngx_wscast_remote_t  *remote;

    remote = ask->remote;

    /* it may be of a lease before this one */

    lease = ngx_wscast_ask_at(ask, 2);

    if (!wscast_str_eq(lease, wscast_str(remote->lease, remote->lease_len))) {
        return;
    }

    if (reply == NULL) {
        remote->refused = (ask->data == NULL || remote->refused);
        return;
    }

    if (reply->type != REDIS_REPLY_INTEGER) {
        ngx_wscast_reply_malformed(ask);
        return;
    }

    if (remote->refused && reply->integer) {
        remote->refused = 0;
        remote->store->handler->rejoin(remote->store->ctx);
    }

    if (reply->integer == 0) {
        ngx_log_error(NGX_LOG_WARN, remote->log, 0,
                      "wscast: redis has lost the lease of this worker: its "
                      "members join again");

        (void) ngx_wscast_lease_begin(remote);
    }
}


void
ngx_wscast_lease_members(ngx_wscast_ask_t *ask, wscast_str_t channel)
{
    wscast_str_t  none;

    none = wscast_str(NULL, 0);

    ngx_wscast_ask_key(ask, channel, ":presence", none);
    ngx_wscast_ask_key(ask, channel, ":presence:connections", none);
    ngx_wscast_ask_key(ask, channel, ":presence:order", none);
    ngx_wscast_ask_key(ask, channel, ":presence:lost", none);
    ngx_wscast_ask_key(ask, channel, ":presence:users", none);
    ngx_wscast_ask_key(ask, channel, ":presence:leases", none);
}


wscast_str_t
ngx_wscast_lease_where(ngx_wscast_ask_t *ask)
{
    size_t                  prefix;
    wscast_str_t            name;
    ngx_wscast_bus_conf_t  *conf;

    conf = ask->remote->store->conf;
    prefix = conf->redis_prefix.len;
    name = ngx_wscast_ask_at(ask, NGX_WSCAST_LEASE_KEYS);
    name = wscast_str(name.data + prefix, name.len - prefix);

    if (conf->redis_cluster && ask->where == NULL) {
        ask->where = wscast_alloc(name.len + 1);

        if (ask->where == NULL) {
            return wscast_str(NULL, 0);
        }
    }

    return ngx_wscast_bus_unname(conf, ask->where, name);
}


ngx_int_t
ngx_wscast_lease_note(ngx_wscast_remote_t *remote, wscast_str_t channel)
{
    wscast_str_t       none, lease;
    ngx_wscast_ask_t  *ask;

    none = wscast_str(NULL, 0);
    lease = wscast_str(remote->lease, remote->lease_len);

    if (lease.len == 0) {
        return NGX_DECLINED;
    }

    ask = ngx_wscast_ask(remote, NGX_WSCAST_SCRIPT_NOTE,
                         ngx_wscast_ask_ignore, NULL);
    if (ask == NULL) {
        return NGX_ERROR;
    }

    ngx_wscast_ask_key(ask, none, ":leases", none);
    ngx_wscast_ask_key(ask, none, ":lease:", lease);
    ngx_wscast_ask_word(ask, lease);
    ngx_wscast_ask_number(ask, NGX_WSCAST_LEASE_LIFE);
    ngx_wscast_ask_word(ask, channel);

    return ngx_wscast_ask_send(ask, 1);
}


/*
 * Who is about to join is a subscriber already, and what notes the channel for
 * him is sent after this.
 */

void
ngx_wscast_lease_unnote(ngx_wscast_remote_t *remote, wscast_str_t channel)
{
    wscast_str_t         none, lease;
    ngx_wscast_ask_t    *ask;
    ngx_wscast_store_t  *store;

    store = remote->store;
    none = wscast_str(NULL, 0);
    lease = wscast_str(remote->lease, remote->lease_len);

    if (lease.len == 0 || channel.len == 0 || remote->closing
        || store->handler->count(store->ctx, channel) != 0)
    {
        return;
    }

    ask = ngx_wscast_ask(remote, NGX_WSCAST_SCRIPT_UNNOTE,
                         ngx_wscast_ask_ignore, NULL);
    if (ask == NULL) {
        return;
    }

    ngx_wscast_ask_key(ask, none, ":lease:", lease);
    ngx_wscast_ask_word(ask, channel);

    (void) ngx_wscast_ask_send(ask, 1);
}


void
ngx_wscast_lease_tick(ngx_wscast_remote_t *remote)
{
    uint64_t  nonce;

    nonce = ngx_wscast_bus_nonce(remote->store->bus);

    if (nonce && nonce != remote->nonce) {
        (void) ngx_wscast_lease_begin(remote);
    }

    if (remote->lease_len == 0) {
        return;
    }

    remote->ticks++;

    if (remote->refused || remote->ticks % NGX_WSCAST_LEASE_RENEW == 0) {
        ngx_wscast_lease_renew(remote, remote->refused);
    }

    if (remote->ticks % NGX_WSCAST_LEASE_POLL == 0) {
        ngx_wscast_lost_poll(remote);
    }

    if (remote->purge.len || remote->burying) {
        return;
    }

    nonce = ngx_wscast_lease_orphan(remote, 0);

    if (nonce) {
        ngx_wscast_purge_bury(remote, nonce);
    }
}


uint64_t
ngx_wscast_lease_orphan(ngx_wscast_remote_t *remote, uint64_t nonce)
{
    ngx_wscast_store_t  *store;

    store = remote->store;

    if (!store->ready) {
        return 0;
    }

    ngx_wscast_store_lock(store);

    do {
        nonce = wscast_presence_owner(&store->presence, nonce);

    } while (nonce && ngx_wscast_bus_alive(store->bus, nonce));

    ngx_wscast_store_unlock(store);

    return nonce;
}


/* Members whose time is up are told of within a quarter of a second. */

static void
ngx_wscast_lease_timer(ngx_event_t *ev)
{
    ngx_wscast_remote_t  *remote;

    remote = ev->data;

    ngx_wscast_lost_poll(remote);

    if ((ngx_msec_int_t) (remote->losing - ngx_current_msec) > 0) {
        ngx_add_timer(ev, NGX_WSCAST_LOST_POLL);
    }
}
