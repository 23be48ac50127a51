#include "redis_remote.h"

#include <hiredis/hiredis.h>


static void ngx_wscast_remote_published(ngx_wscast_ask_t *ask,
    redisReply *reply);
static void ngx_wscast_remote_reached(ngx_wscast_remote_t *remote);
static void ngx_wscast_remote_left(ngx_wscast_ask_t *ask, redisReply *reply);


ngx_int_t
ngx_wscast_remote_open(ngx_wscast_store_t *store)
{
    ngx_wscast_remote_t  *remote;

    remote = ngx_calloc(sizeof(ngx_wscast_remote_t), store->log);
    if (remote == NULL) {
        return NGX_ERROR;
    }

    remote->store = store;
    remote->log = store->log;

    wscast_list_init(&remote->asks);
    wscast_list_init(&remote->held);
    wscast_list_init(&remote->waiting);
    wscast_list_init(&remote->queries);

    ngx_wscast_lease_init(remote);

    store->remote = remote;

    return NGX_OK;
}


/*
 * Members that are still here have no connection any more.  Another worker of
 * this host will find their owner gone, else the lease ends by itself.
 */

void
ngx_wscast_remote_close(ngx_wscast_store_t *store)
{
    ngx_wscast_remote_t  *remote;

    remote = store->remote;

    if (remote == NULL) {
        return;
    }

    ngx_wscast_ask_close(remote);
    ngx_wscast_remote_reached(remote);
    ngx_wscast_lease_close(remote);

    store->remote = NULL;
    ngx_free(remote);
}


void
ngx_wscast_remote_reachable(ngx_wscast_store_t *store)
{
    ngx_wscast_ask_load(store->remote);
    ngx_wscast_remote_reached(store->remote);
}


void
ngx_wscast_remote_tick(ngx_wscast_store_t *store)
{
    ngx_wscast_lease_tick(store->remote);

    if (!store->remote->reached
        && ++store->remote->young == NGX_WSCAST_REMOTE_YOUNG)
    {
        ngx_wscast_remote_reached(store->remote);
    }
}


/*
 * A worker may have clients before it has its connection: what they have asked
 * meanwhile is asked now.  That they have missed something would not be true.
 */

static void
ngx_wscast_remote_reached(ngx_wscast_remote_t *remote)
{
    wscast_list_t    early;
    wscast_query_t  *q;

    wscast_list_init(&early);

    while (!remote->reached && !wscast_list_empty(&remote->queries)) {
        q = wscast_list_first(&remote->queries, wscast_query_t, link);
        wscast_list_remove(&q->link);
        wscast_list_append(&early, &q->link);
    }

    remote->reached = 1;

    /*
     * Who has left while Redis was away is still a member there: a new lease
     * has only those who are here, and the old one is ended.
     */

    if (!remote->closing) {
        (void) ngx_wscast_lease_begin(remote);
    }

    while (!wscast_list_empty(&early)) {
        q = wscast_list_first(&early, wscast_query_t, link);
        wscast_list_remove(&q->link);
        ngx_wscast_remote_query(remote->store, q);
    }
}


wscast_status_t
ngx_wscast_remote_publish(ngx_wscast_store_t *store,
    const wscast_rule_t *rule, const wscast_pub_fields_t *f,
    wscast_str_t envelope, wscast_receipt_t *receipt)
{
    ngx_int_t             rc;
    wscast_end_t          end;
    wscast_str_t          none;
    ngx_wscast_ask_t     *ask;
    ngx_wscast_remote_t  *remote;

    remote = store->remote;
    none = wscast_str(NULL, 0);

    if (f->channel.len + envelope.len
        > ngx_wscast_bus_max(store->conf->zone_size))
    {
        return WSCAST_CLOSE_TOO_BIG;
    }

    /* what this host could not receive, its own clients would miss */

    if (!ngx_wscast_bus_receiving(store->bus, f->channel)) {
        return WSCAST_CLOSE_AWAY;
    }

    ask = ngx_wscast_ask(remote, NGX_WSCAST_SCRIPT_PUBLISH,
                         ngx_wscast_remote_published, receipt);
    if (ask == NULL) {
        return WSCAST_CLOSE_NO_MEMORY;
    }

    ngx_wscast_ask_key(ask, f->channel, ":stream", none);
    ngx_wscast_ask_key(ask, f->channel, ":meta", none);

    if (f->key.len) {
        ngx_wscast_ask_key(ask, f->channel, ":key:", f->key);
    }

    ngx_wscast_ask_name(ask, f->channel);
    ngx_wscast_ask_word(ask, envelope);
    ngx_wscast_ask_number(ask, rule ? rule->history : 0);
    ngx_wscast_ask_number(ask, rule ? rule->ttl : 0);
    ngx_wscast_ask_epoch(ask, ngx_wscast_store_epoch());

    ngx_wscast_end_known(remote, f->channel, &end);

    if (ngx_wscast_end_sure(remote, &end)) {
        end.time = 0;                   /* comparing costs Redis a tenth */
    }

    ngx_wscast_end_words(ask, &end);

    rc = ngx_wscast_ask_send(ask, 0);

    switch (rc) {

    case NGX_OK:
        return WSCAST_MORE;

    case NGX_AGAIN:
        return WSCAST_AGAIN;

    case NGX_DECLINED:
        return WSCAST_CLOSE_AWAY;

    default:
        return WSCAST_CLOSE_NO_MEMORY;
    }
}


static void
ngx_wscast_remote_published(ngx_wscast_ask_t *ask, redisReply *reply)
{
    uint64_t           duplicate, *counters;
    wscast_status_t    status;
    wscast_receipt_t  *receipt;

    receipt = ask->data;
    counters = ngx_wscast_bus_counters(ask->remote->store->bus);
    status = WSCAST_CLOSE_AWAY;

    if (reply == NULL) {
        counters[WSCAST_COUNT_PUBLISH_FAILED]++;

    } else if (ngx_wscast_reply_position(reply, &receipt->position) != NGX_OK
               || ngx_wscast_reply_number(reply, 2, &duplicate) != NGX_OK
               || ngx_wscast_reply_number(reply, 3, &receipt->receivers)
                  != NGX_OK)
    {
        ngx_wscast_reply_malformed(ask);
        counters[WSCAST_COUNT_PUBLISH_FAILED]++;

    } else {
        counters[duplicate ? WSCAST_COUNT_DUPLICATES
                           : WSCAST_COUNT_PUBLISHED]++;
        ngx_wscast_end_given(ask, &receipt->position, duplicate != 0);
        status = WSCAST_OK;
    }

    receipt->done(receipt, status);
}


void
ngx_wscast_remote_leave(ngx_wscast_store_t *store, const wscast_rule_t *rule,
    wscast_str_t channel, wscast_str_t client, ngx_uint_t lost)
{
    uint32_t              grace;
    ngx_wscast_ask_t     *ask;
    ngx_wscast_remote_t  *remote;

    remote = store->remote;
    grace = rule ? rule->grace : WSCAST_GRACE;

    if (lost && grace == 0) {
        lost = 0;
    }

    if (lost) {
        ngx_wscast_lost_miss(remote, channel, grace);
    }

    ask = ngx_wscast_ask(remote, NGX_WSCAST_SCRIPT_LEAVE,
                         ngx_wscast_remote_left, lost ? NULL : remote);
    if (ask == NULL) {
        return;
    }

    ngx_wscast_lease_members(ask, channel);
    ngx_wscast_ask_name(ask, channel);
    ngx_wscast_ask_word(ask, client);

    if (lost) {
        ngx_wscast_ask_number(ask, grace);

    } else {
        ngx_wscast_ask_word(ask, wscast_str(NULL, 0));
    }

    /* if this fails so has the link, and the next begins with a new lease */

    (void) ngx_wscast_ask_send(ask, 1);
}


static void
ngx_wscast_remote_left(ngx_wscast_ask_t *ask, redisReply *reply)
{
    if (reply == NULL) {
        return;
    }

    if (reply->type != REDIS_REPLY_INTEGER) {
        ngx_wscast_reply_malformed(ask);
        return;
    }

    if (ask->data && reply->integer == 1) {
        ngx_wscast_bus_counters(ask->remote->store->bus)
            [WSCAST_COUNT_LEAVES]++;
    }

    ngx_wscast_lease_unnote(ask->remote, ngx_wscast_lease_where(ask));
}
