#include "redis_remote.h"

#include <hiredis/hiredis.h>


static ngx_int_t ngx_wscast_query_send(ngx_wscast_remote_t *remote,
    wscast_query_t *q);
static ngx_wscast_ask_t *ngx_wscast_query_range(ngx_wscast_remote_t *remote,
    wscast_query_t *q);
static ngx_wscast_ask_t *ngx_wscast_query_forget(ngx_wscast_remote_t *remote,
    wscast_query_t *q);
static ngx_wscast_ask_t *ngx_wscast_query_page(ngx_wscast_remote_t *remote,
    wscast_query_t *q);
static ngx_wscast_ask_t *ngx_wscast_query_join(ngx_wscast_remote_t *remote,
    wscast_query_t *q);
static void ngx_wscast_query_end(ngx_wscast_remote_t *remote,
    wscast_query_t *q, wscast_status_t status);
static void ngx_wscast_query_ranged(ngx_wscast_ask_t *ask, redisReply *reply);
static void ngx_wscast_query_forgot(ngx_wscast_ask_t *ask, redisReply *reply);
static void ngx_wscast_query_paged(ngx_wscast_ask_t *ask, redisReply *reply);
static void ngx_wscast_query_joined(ngx_wscast_ask_t *ask, redisReply *reply);


void
ngx_wscast_remote_query(ngx_wscast_store_t *store, wscast_query_t *q)
{
    ngx_wscast_remote_t  *remote;

    remote = store->remote;

    wscast_list_append(&remote->queries, &q->link);

    switch (ngx_wscast_query_send(remote, q)) {

    case NGX_OK:
        return;

    case NGX_ERROR:
        ngx_wscast_query_end(remote, q, WSCAST_CLOSE_NO_MEMORY);
        return;

    default:
        if (remote->reached) {
            ngx_wscast_query_end(remote, q, WSCAST_CLOSE_AWAY);
        }
    }
}


/*
 * Who goes away while he joins may be a member by now, or become one: he is
 * lost, unless a leave says more.
 */

void
ngx_wscast_remote_cancel(ngx_wscast_store_t *store, wscast_query_t *q)
{
    wscast_list_t        *lists[3], *l, *tmp;
    ngx_uint_t            i;
    ngx_wscast_ask_t     *ask;
    ngx_wscast_remote_t  *remote;

    remote = store->remote;

    if (remote == NULL || wscast_list_empty(&q->link)) {
        return;
    }

    wscast_list_remove(&q->link);

    lists[0] = &remote->asks;
    lists[1] = &remote->held;
    lists[2] = &remote->waiting;

    for (i = 0; i < 3; i++) {
        wscast_list_each(l, tmp, lists[i]) {
            ask = wscast_container(l, ngx_wscast_ask_t, link);

            if (ask->data == q) {
                ask->data = NULL;
            }
        }
    }

    if (q->type == WSCAST_QUERY_JOIN) {
        ngx_wscast_remote_leave(store, q->rule, q->channel, q->member.client,
                                1);
    }
}


static ngx_int_t
ngx_wscast_query_send(ngx_wscast_remote_t *remote, wscast_query_t *q)
{
    uint64_t           nonce;
    ngx_int_t          rc;
    ngx_wscast_ask_t  *ask;

    switch (q->type) {

    case WSCAST_QUERY_HISTORY:
        ask = ngx_wscast_query_range(remote, q);
        break;

    case WSCAST_QUERY_FORGET:
        ask = ngx_wscast_query_forget(remote, q);
        break;

    case WSCAST_QUERY_PRESENCE:
        ask = ngx_wscast_query_page(remote, q);
        break;

    default: /* WSCAST_QUERY_JOIN */

        if (q->member.user.len > 0xffff
            || q->member.client.len != WSCAST_CLIENT_ID)
        {
            return NGX_DECLINED;
        }

        for (nonce = ngx_wscast_lease_orphan(remote, 0);
             nonce;
             nonce = ngx_wscast_lease_orphan(remote, nonce))
        {
            ngx_wscast_purge_sooner(remote, nonce, q->channel);
        }

        rc = ngx_wscast_lease_note(remote, q->channel);
        if (rc != NGX_OK) {
            return rc;
        }

        ask = ngx_wscast_query_join(remote, q);
    }

    return ask ? ngx_wscast_ask_send(ask, 1) : NGX_ERROR;
}


static ngx_wscast_ask_t *
ngx_wscast_query_range(ngx_wscast_remote_t *remote, wscast_query_t *q)
{
    ngx_wscast_ask_t  *ask;

    ask = ngx_wscast_fetch_range(remote, q->rule, q->channel, q->after,
                                 q->upto, q->newest, q->limit, q->bytes);
    if (ask) {
        ask->answer = ngx_wscast_query_ranged;
        ask->data = q;
    }

    return ask;
}


static ngx_wscast_ask_t *
ngx_wscast_query_forget(ngx_wscast_remote_t *remote, wscast_query_t *q)
{
    ngx_wscast_ask_t  *ask;

    ask = ngx_wscast_ask(remote, NGX_WSCAST_SCRIPT_FORGET,
                         ngx_wscast_query_forgot, q);
    if (ask) {
        ngx_wscast_ask_key(ask, q->channel, ":stream", wscast_str(NULL, 0));
        ngx_wscast_ask_key(ask, q->channel, ":meta", wscast_str(NULL, 0));
    }

    return ask;
}


static ngx_wscast_ask_t *
ngx_wscast_query_page(ngx_wscast_remote_t *remote, wscast_query_t *q)
{
    wscast_str_t       none;
    ngx_wscast_ask_t  *ask;

    none = wscast_str(NULL, 0);

    ask = ngx_wscast_ask(remote, NGX_WSCAST_SCRIPT_PAGE,
                         ngx_wscast_query_paged, q);
    if (ask) {
        ngx_wscast_ask_key(ask, q->channel, ":presence", none);
        ngx_wscast_ask_key(ask, q->channel, ":presence:order", none);
        ngx_wscast_ask_number(ask, ngx_min(q->cursor,
                                           NGX_WSCAST_OFFSET_MAX));
        ngx_wscast_ask_number(ask, q->limit ? q->limit : 1);
        ngx_wscast_ask_number(ask, q->bytes);
    }

    return ask;
}


static ngx_wscast_ask_t *
ngx_wscast_query_join(ngx_wscast_remote_t *remote, wscast_query_t *q)
{
    ngx_wscast_ask_t  *ask;

    ask = ngx_wscast_ask(remote, NGX_WSCAST_SCRIPT_JOIN,
                         ngx_wscast_query_joined, q);
    if (ask) {
        ngx_wscast_lease_members(ask, q->channel);
        ngx_wscast_ask_name(ask, q->channel);
        ngx_wscast_ask_word(ask, q->member.client);
        ngx_wscast_ask_word(ask, q->former);
        ngx_wscast_ask_word(ask, q->member.user);
        ngx_wscast_ask_word(ask, q->member.info);
        ngx_wscast_ask_word(ask, wscast_str(remote->lease,
                                            remote->lease_len));
    }

    return ask;
}


static void
ngx_wscast_query_end(ngx_wscast_remote_t *remote, wscast_query_t *q,
    wscast_status_t status)
{
    wscast_list_remove(&q->link);
    q->done(q, status);
}


static void
ngx_wscast_query_ranged(ngx_wscast_ask_t *ask, redisReply *reply)
{
    size_t                i;
    uint64_t              more;
    wscast_str_t          bytes;
    wscast_query_t       *q;
    wscast_position_t     position;
    wscast_pub_fields_t   f;

    q = ask->data;

    if (q == NULL) {
        return;
    }

    if (reply
        && (ngx_wscast_reply_position(reply, &position) != NGX_OK
            || ngx_wscast_reply_number(reply, 2, &more) != NGX_OK))
    {
        ngx_wscast_reply_malformed(ask);
        reply = NULL;
    }

    if (reply == NULL) {
        ngx_wscast_query_end(ask->remote, q, WSCAST_CLOSE_AWAY);
        return;
    }

    q->position = position;
    q->more = (more != 0);

    for (i = 3; i < reply->elements; i++) {

        if (ngx_wscast_fetch_entry(ask, reply, i, q->channel, &bytes, &f)
            != NGX_OK)
        {
            continue;
        }

        q->message(q, &f);

        if (ask->data == NULL) {
            return;                     /* cancelled by that */
        }
    }

    ngx_wscast_query_end(ask->remote, q, WSCAST_OK);
}


static void
ngx_wscast_query_forgot(ngx_wscast_ask_t *ask, redisReply *reply)
{
    wscast_query_t  *q;

    q = ask->data;

    if (q == NULL) {
        return;
    }

    if (reply && ngx_wscast_reply_position(reply, &q->position) != NGX_OK) {
        ngx_wscast_reply_malformed(ask);
        reply = NULL;
    }

    ngx_wscast_query_end(ask->remote, q,
                         reply ? WSCAST_OK : WSCAST_CLOSE_AWAY);
}


static void
ngx_wscast_query_paged(ngx_wscast_ask_t *ask, redisReply *reply)
{
    size_t            i;
    wscast_query_t   *q;
    wscast_member_t   m;

    q = ask->data;

    if (q == NULL) {
        return;
    }

    if (reply
        && (ngx_wscast_reply_number(reply, 0, &q->total) != NGX_OK
            || ngx_wscast_reply_number(reply, 1, &q->next) != NGX_OK))
    {
        ngx_wscast_reply_malformed(ask);
        reply = NULL;
    }

    if (reply == NULL) {
        ngx_wscast_query_end(ask->remote, q, WSCAST_CLOSE_AWAY);
        return;
    }

    q->more = (q->next != 0);

    for (i = 2; i + 2 < reply->elements; i += 3) {

        if (ngx_wscast_reply_string(reply, i, &m.client) != NGX_OK
            || ngx_wscast_reply_string(reply, i + 1, &m.user) != NGX_OK
            || ngx_wscast_reply_string(reply, i + 2, &m.info) != NGX_OK)
        {
            ngx_wscast_reply_malformed(ask);
            continue;
        }

        q->found(q, &m);

        if (ask->data == NULL) {
            return;
        }
    }

    ngx_wscast_query_end(ask->remote, q, WSCAST_OK);
}


static void
ngx_wscast_query_joined(ngx_wscast_ask_t *ask, redisReply *reply)
{
    uint64_t             joined;
    wscast_str_t         known, replaced;
    wscast_query_t      *q;
    ngx_wscast_store_t  *store;

    q = ask->data;
    store = ask->remote->store;

    if (reply
        && (ngx_wscast_reply_string(reply, 0, &known) != NGX_OK
            || ngx_wscast_reply_string(reply, 1, &replaced) != NGX_OK
            || ngx_wscast_reply_number(reply, 2, &joined) != NGX_OK
            || known.len != WSCAST_CLIENT_ID))
    {
        ngx_wscast_reply_malformed(ask);
        reply = NULL;
    }

    if (reply == NULL) {
        if (q) {
            ngx_wscast_query_end(ask->remote, q, WSCAST_CLOSE_AWAY);
        }

        return;
    }

    if (joined) {
        ngx_wscast_bus_counters(store->bus)[WSCAST_COUNT_JOINS]++;
    }

    if (replaced.len == WSCAST_CLIENT_ID) {
        store->handler->replaced(store->ctx, replaced);
    }

    q = ask->data;

    if (q) {
        ngx_memcpy(q->known, known.data, WSCAST_CLIENT_ID);
        ngx_wscast_query_end(ask->remote, q, WSCAST_OK);
    }
}
