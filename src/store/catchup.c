#include "catchup_inner.h"
#include "../base/envelope.h"


static const wscast_rule_t *ngx_wscast_catchup_rule(ngx_wscast_store_t *store,
    wscast_str_t channel);
static ngx_wscast_behind_t *ngx_wscast_catchup_find(
    ngx_wscast_catchup_t *catchup, wscast_str_t channel);
static ngx_wscast_behind_t *ngx_wscast_catchup_add(
    ngx_wscast_catchup_t *catchup, wscast_str_t channel,
    const wscast_rule_t *rule);
static void ngx_wscast_catchup_hold(ngx_wscast_behind_t *b,
    wscast_str_t bytes, const wscast_position_t *position);
static void ngx_wscast_catchup_drop(ngx_wscast_behind_t *b);


ngx_int_t
ngx_wscast_catchup_open(ngx_wscast_store_t *store)
{
    ngx_wscast_catchup_t  *catchup;

    catchup = ngx_calloc(sizeof(ngx_wscast_catchup_t), store->log);
    if (catchup == NULL) {
        return NGX_ERROR;
    }

    catchup->store = store;
    wscast_map_init(&catchup->channels, ngx_wscast_bus_seed(store->bus));

    catchup->timer.handler = ngx_wscast_catchup_timer;
    catchup->timer.data = catchup;
    catchup->timer.log = store->log;
    catchup->timer.cancelable = 1;

    store->catchup = catchup;

    return NGX_OK;
}


void
ngx_wscast_catchup_close(ngx_wscast_store_t *store)
{
    ngx_wscast_catchup_unsubscribed(store, NULL);

    wscast_map_done(&store->catchup->channels);
    ngx_free(store->catchup);
    store->catchup = NULL;
}


/* What is held is in the stream; the next subscription begins anew. */

void
ngx_wscast_catchup_unsubscribed(ngx_wscast_store_t *store,
    const wscast_str_t *channel)
{
    wscast_map_node_t     *node, *next;
    ngx_wscast_behind_t   *b;
    ngx_wscast_catchup_t  *catchup;

    catchup = store->catchup;

    if (channel) {
        b = ngx_wscast_catchup_find(catchup, *channel);

        if (b) {
            ngx_wscast_catchup_remove(b);
        }

        return;
    }

    for (node = wscast_map_next(&catchup->channels, NULL); node; node = next) {
        next = wscast_map_next(&catchup->channels, node);
        ngx_wscast_catchup_remove(wscast_container(node, ngx_wscast_behind_t,
                                                   node));
    }

    if (catchup->timer.timer_set) {
        ngx_del_timer(&catchup->timer);
    }

    catchup->told = 0;
}


ngx_int_t
ngx_wscast_catchup_arrived(ngx_wscast_store_t *store, wscast_str_t channel,
    wscast_str_t bytes)
{
    wscast_position_t     mark, position;
    ngx_wscast_behind_t  *b;
    const wscast_rule_t  *rule;
    wscast_pub_fields_t   f;

    if (wscast_envelope_decode(channel, bytes, 0, &f) != WSCAST_OK
        || f.epoch == 0 || f.offset == 0)
    {
        return NGX_DECLINED;
    }

    position.epoch = f.epoch;
    position.offset = f.offset;

    b = ngx_wscast_catchup_find(store->catchup, channel);

    if (b) {
        ngx_wscast_catchup_hold(b, bytes, &position);
        return NGX_OK;
    }

    rule = ngx_wscast_catchup_rule(store, channel);

    if (rule == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_wscast_store_position(store, channel, &mark) != WSCAST_OK) {
        return ngx_wscast_catchup_append(store, channel, bytes, &position);
    }

    if (position.epoch == mark.epoch) {

        if (position.offset <= mark.offset) {
            return NGX_OK;              /* known already */
        }

        if (position.offset == mark.offset + 1) {
            return ngx_wscast_catchup_append(store, channel, bytes, &position);
        }
    }

    b = ngx_wscast_catchup_add(store->catchup, channel, rule);

    if (b == NULL) {
        return NGX_OK;                  /* the next one finds the gap again */
    }

    b->missed = 1;
    b->behind = (position.epoch == mark.epoch);

    ngx_wscast_catchup_hold(b, bytes, &position);
    ngx_wscast_catchup_advance(b);

    return NGX_OK;
}


ngx_int_t
ngx_wscast_catchup_confirmed(ngx_wscast_store_t *store, wscast_str_t channel,
    ngx_uint_t missed)
{
    ngx_wscast_behind_t  *b;
    const wscast_rule_t  *rule;

    rule = ngx_wscast_catchup_rule(store, channel);

    if (rule == NULL) {
        return NGX_OK;
    }

    b = ngx_wscast_catchup_find(store->catchup, channel);

    if (b) {
        ngx_wscast_remote_unfetch(&b->fetch);

    } else {
        b = ngx_wscast_catchup_add(store->catchup, channel, rule);

        if (b == NULL) {
            return NGX_OK;              /* a gap, and counted as one */
        }
    }

    b->locate = 1;
    b->confirm = 1;
    b->missed |= (missed != 0);

    ngx_wscast_catchup_advance(b);

    return NGX_AGAIN;
}


/* The rule of a channel with history; or NULL. */

static const wscast_rule_t *
ngx_wscast_catchup_rule(ngx_wscast_store_t *store, wscast_str_t channel)
{
    const wscast_rule_t  *rule;

    rule = wscast_rule_find(store->rules, store->nrules, channel);

    return rule && rule->history ? rule : NULL;
}


static ngx_wscast_behind_t *
ngx_wscast_catchup_find(ngx_wscast_catchup_t *catchup, wscast_str_t channel)
{
    wscast_map_node_t  *node;

    node = wscast_map_find(&catchup->channels, channel);

    return node ? wscast_container(node, ngx_wscast_behind_t, node) : NULL;
}


static ngx_wscast_behind_t *
ngx_wscast_catchup_add(ngx_wscast_catchup_t *catchup, wscast_str_t channel,
    const wscast_rule_t *rule)
{
    u_char               *p;
    ngx_wscast_behind_t  *b;

    b = wscast_zalloc(sizeof(ngx_wscast_behind_t) + channel.len);
    if (b == NULL) {
        return NULL;
    }

    p = (u_char *) (b + 1);
    ngx_memcpy(p, channel.data, channel.len);

    b->node.key = wscast_str(p, channel.len);
    b->store = catchup->store;
    b->rule = rule;
    wscast_list_init(&b->held);

    if (wscast_map_insert(&catchup->channels, &b->node) != WSCAST_OK) {
        wscast_free(b);
        return NULL;
    }

    return b;
}


void
ngx_wscast_catchup_remove(ngx_wscast_behind_t *b)
{
    ngx_wscast_remote_unfetch(&b->fetch);
    ngx_wscast_catchup_drop(b);
    wscast_map_remove(&b->store->catchup->channels, &b->node);
    wscast_free(b);
}


static void
ngx_wscast_catchup_hold(ngx_wscast_behind_t *b, wscast_str_t bytes,
    const wscast_position_t *position)
{
    ngx_wscast_held_t     *h;
    ngx_wscast_catchup_t  *catchup;

    catchup = b->store->catchup;
    h = NULL;

    if (b->held_len + bytes.len <= NGX_WSCAST_HELD_CHANNEL
        && catchup->held_len + bytes.len <= NGX_WSCAST_HELD_ALL)
    {
        h = wscast_alloc(sizeof(ngx_wscast_held_t) + bytes.len);
    }

    if (h == NULL) {
        ngx_wscast_catchup_drop(b);     /* the stream has it */
        b->dropped = 1;
        return;
    }

    h->position = *position;
    h->len = bytes.len;
    h->asked = 0;
    ngx_memcpy(h + 1, bytes.data, bytes.len);

    wscast_list_append(&b->held, &h->link);
    b->held_len += bytes.len;
    catchup->held_len += bytes.len;
}


static void
ngx_wscast_catchup_drop(ngx_wscast_behind_t *b)
{
    while (!wscast_list_empty(&b->held)) {
        ngx_wscast_catchup_unhold(b, wscast_list_first(&b->held,
                                                       ngx_wscast_held_t,
                                                       link));
    }
}


void
ngx_wscast_catchup_unhold(ngx_wscast_behind_t *b, ngx_wscast_held_t *h)
{
    wscast_list_remove(&h->link);
    b->held_len -= h->len;
    b->store->catchup->held_len -= h->len;
    wscast_free(h);
}


ngx_int_t
ngx_wscast_catchup_append(ngx_wscast_store_t *store, wscast_str_t channel,
    wscast_str_t bytes, const wscast_position_t *position)
{
    switch (ngx_wscast_store_append(store, channel, bytes, position)) {

    case WSCAST_AGAIN:
    case WSCAST_ERROR:                  /* another leads, and catches up */
        return NGX_AGAIN;

    case WSCAST_CLOSE_TOO_BIG:
        ngx_log_error(NGX_LOG_ERR, store->log, 0,
                      "wscast: a message of %uz bytes from redis is too long "
                      "for the zone of hub \"%V\" and was dropped",
                      bytes.len, &store->conf->name);

        return ngx_wscast_catchup_broken(store, channel, position);

    default:
        return NGX_OK;
    }
}


ngx_int_t
ngx_wscast_catchup_broken(ngx_wscast_store_t *store, wscast_str_t channel,
    const wscast_position_t *position)
{
    u_char               bytes[WSCAST_ENVELOPE_HEADER];
    wscast_pub_fields_t  f;

    ngx_memzero(&f, sizeof(wscast_pub_fields_t));

    f.kind = WSCAST_PUB_BROKEN;
    f.flags = WSCAST_PUB_POSITION;
    f.time = ngx_wscast_now();
    f.epoch = position->epoch;
    f.offset = position->offset;
    f.channel = channel;

    (void) wscast_envelope_encode(bytes, &f);

    if (ngx_wscast_catchup_append(store, channel,
                                  wscast_str(bytes, sizeof(bytes)), position)
        != NGX_OK)
    {
        return NGX_AGAIN;
    }

    ngx_wscast_bus_counters(store->bus)[WSCAST_COUNT_GAPS]++;

    if (!store->catchup->told) {
        store->catchup->told = 1;
        ngx_log_error(NGX_LOG_WARN, store->log, 0,
                      "wscast: messages of channel \"%*s\", and perhaps of "
                      "others, have been missed for good", channel.len,
                      channel.data);
    }

    return NGX_OK;
}
