#include "redis_channel.h"
#include "redis_cluster.h"


static void ngx_wscast_redis_subscriber_ready(void *ctx);
static ngx_int_t ngx_wscast_redis_subscriber_reply(void *ctx,
    redisReply *reply);
static void ngx_wscast_redis_subscriber_lost(void *ctx);
static void ngx_wscast_redis_subscriber_writable(void *ctx);
static ngx_int_t ngx_wscast_redis_subscriber_probe(void *ctx);
static ngx_uint_t ngx_wscast_redis_is(redisReply *reply, const char *word);
static void ngx_wscast_redis_refused(ngx_wscast_redis_node_t *node,
    redisReply *reply);
static void ngx_wscast_redis_standing(ngx_wscast_redis_node_t *node,
    redisReply *word);
static void ngx_wscast_redis_changed(ngx_wscast_redis_node_t *node,
    redisReply *channel, ngx_uint_t subscribed);


/* It has been heard of, or has failed. */

#define ngx_wscast_redis_known(node)                                          \
    ((node)->heard || (node)->failed)


const ngx_wscast_redis_link_handler_t  ngx_wscast_redis_subscriber = {
    ngx_wscast_redis_subscriber_ready,
    ngx_wscast_redis_subscriber_reply,
    ngx_wscast_redis_subscriber_lost,
    ngx_wscast_redis_subscriber_writable,
    ngx_wscast_redis_subscriber_probe
};


static void
ngx_wscast_redis_subscriber_ready(void *ctx)
{
    wscast_map_node_t           *n;
    ngx_wscast_redis_t          *redis;
    ngx_wscast_redis_node_t     *node;
    ngx_wscast_redis_channel_t  *ch;

    node = ctx;
    redis = node->redis;
    redis->gaps = 0;

    for (n = wscast_map_next(&redis->channels, NULL);
         n;
         n = wscast_map_next(&redis->channels, n))
    {
        ch = wscast_container(n, ngx_wscast_redis_channel_t, node);

        if (ch->at == node) {
            ngx_wscast_redis_subscribe(redis, ch);
        }
    }

    ngx_wscast_redis_handover_ready(node);

    /* answered after all of them: from then on nothing is missed here */

    (void) ngx_wscast_redis_subscriber_probe(node);
}


static void
ngx_wscast_redis_subscriber_lost(void *ctx)
{
    wscast_map_node_t           *n, *next;
    ngx_wscast_redis_t          *redis;
    ngx_wscast_redis_node_t     *node;
    ngx_wscast_redis_channel_t  *ch;

    node = ctx;
    redis = node->redis;

    node->heard = 0;
    node->failed = 1;

    ngx_wscast_redis_heard(redis);
    ngx_wscast_redis_handover_lost(node);

    for (n = wscast_map_next(&redis->channels, NULL); n; n = next) {
        next = wscast_map_next(&redis->channels, n);
        ch = wscast_container(n, ngx_wscast_redis_channel_t, node);

        if (ch->at != node) {
            continue;
        }

        if (wscast_slotset_empty(&ch->wanted)) {
            wscast_map_remove(&redis->channels, n);
            wscast_free(ch);
            continue;
        }

        ngx_wscast_redis_cut(redis, ch);
    }

    if (redis->cluster) {
        ngx_wscast_cluster_doubt(redis->cluster);

    } else if (!redis->apprentice) {
        redis->handler->unsubscribed(redis->ctx, NULL);
    }
}


/*
 * A server that is new, and just being connected, decides nothing: what was
 * heard of its slots before is still being heard of them.
 */

void
ngx_wscast_redis_heard(ngx_wscast_redis_t *redis)
{
    uint64_t                  deaf[WSCAST_RING_PARTS / 64];
    ngx_uint_t                i, some, pending;
    ngx_wscast_redis_node_t  *node;

    if (redis->apprentice || !redis->leading) {
        return;
    }

    some = 0;
    pending = 0;

    ngx_wscast_redis_each(redis, i, node) {

        if (node->slots) {
            some |= node->heard;
            pending |= !ngx_wscast_redis_known(node);
        }
    }

    if (pending && !redis->local->ring.sh->redis_up) {
        return;
    }

    ngx_memzero(deaf, sizeof(deaf));

    for (i = 0; redis->cluster && i < WSCAST_RING_PARTS; i++) {
        node = ngx_wscast_redis_owner(redis, i);

        if (node && !node->heard && ngx_wscast_redis_known(node)) {
            deaf[i / 64] |= (uint64_t) 1 << i % 64;
        }
    }

    wscast_ring_redis_up(&redis->local->ring, some != 0, deaf);
}


static void
ngx_wscast_redis_subscriber_writable(void *ctx)
{
    /* its commands are forced: they are bounded by the channels */
}


static ngx_int_t
ngx_wscast_redis_subscriber_probe(void *ctx)
{
    size_t                    len;
    const char               *ping;
    ngx_wscast_redis_node_t  *node;

    node = ctx;

    ping = "PING";
    len = 4;

    return ngx_wscast_redis_link_command(&node->subscriber, 1, &ping, &len, 1);
}


static ngx_int_t
ngx_wscast_redis_subscriber_reply(void *ctx, redisReply *reply)
{
    redisReply               *kind, *channel;
    ngx_wscast_redis_t       *redis;
    ngx_wscast_redis_node_t  *node;

    node = ctx;
    redis = node->redis;

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_wscast_redis_refused(node, reply);
        return NGX_OK;
    }

    if (reply->type == REDIS_REPLY_STATUS       /* subscribed to nothing */
        || reply->type == REDIS_REPLY_STRING)
    {
        ngx_wscast_redis_standing(node, reply);
        return NGX_OK;
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2
        || reply->element[0]->type != REDIS_REPLY_STRING
        || reply->element[1]->type != REDIS_REPLY_STRING)
    {
        return NGX_OK;
    }

    kind = reply->element[0];
    channel = reply->element[1];

    if (ngx_wscast_redis_is(kind, "pong")) {
        ngx_wscast_redis_standing(node, channel);

    } else if (reply->elements != 3) {
        return NGX_OK;

    } else if (ngx_wscast_redis_is(kind, "message")) {

        if (reply->element[2]->type != REDIS_REPLY_STRING) {
            return NGX_OK;
        }

        if (ngx_wscast_redis_handover_is_marker(redis, channel)) {
            return ngx_wscast_redis_handover_marker(node, reply->element[2]);
        }

        /* during a handover, of two that receive it one delivers it */

        if (redis->apprentice || redis->resigning) {
            return NGX_OK;
        }

        return ngx_wscast_redis_message(node, channel, reply->element[2]);

    } else if (ngx_wscast_redis_is(kind, "subscribe")) {
        ngx_wscast_redis_changed(node, channel, 1);

    } else if (ngx_wscast_redis_is(kind, "unsubscribe")) {
        ngx_wscast_redis_changed(node, channel, 0);
    }

    return NGX_OK;
}


/* A word of Pub/Sub, or of sharded Pub/Sub: with an "s" before it. */

static ngx_uint_t
ngx_wscast_redis_is(redisReply *reply, const char *word)
{
    size_t       len;
    const char  *p;

    len = ngx_strlen(word);
    p = reply->str;

    if ((size_t) reply->len == len + 1 && p[0] == 's') {
        p++;

    } else if ((size_t) reply->len != len) {
        return 0;
    }

    return ngx_memcmp(p, word, len) == 0;
}


static void
ngx_wscast_redis_refused(ngx_wscast_redis_node_t *node, redisReply *reply)
{
    ngx_uint_t           slot, denied;
    ngx_wscast_redis_t  *redis;

    redis = node->redis;
    denied = reply->len >= 7 && ngx_memcmp(reply->str, "NOPERM ", 7) == 0;

    if (redis->cluster
        && ngx_wscast_cluster_moved(redis->cluster, &node->subscriber, reply,
                                    &slot)
        && ngx_wscast_redis_owner(redis, slot) != node)
    {
        return;                             /* and its channels with it */
    }

    ngx_log_error(NGX_LOG_ERR, redis->log, 0,
                  "wscast: redis refused to subscribe: \"%*s\"",
                  (size_t) reply->len, reply->str);

    /*
     * Which one it was is not said: all are subscribed to again.  It may be the
     * PING behind them, which Redis refuses while it loads its data; a channel
     * that the user may not have takes none of the others with it.
     */

    if (redis->cluster || (!node->heard && !denied)) {
        ngx_wscast_redis_link_break(&node->subscriber,
                                    "refused to subscribe");
    }
}


/* The answer to PING: with a word if it is that of the handover. */

static void
ngx_wscast_redis_standing(ngx_wscast_redis_node_t *node, redisReply *word)
{
    if (ngx_wscast_redis_is(word, "all")) {
        ngx_wscast_redis_handover_pong(node);
        return;
    }

    node->heard = 1;
    ngx_wscast_redis_heard(node->redis);
}


static void
ngx_wscast_redis_changed(ngx_wscast_redis_node_t *node, redisReply *channel,
    ngx_uint_t subscribed)
{
    wscast_map_node_t           *n;
    ngx_wscast_redis_t          *redis;
    ngx_wscast_redis_channel_t  *ch;

    redis = node->redis;

    if (ngx_wscast_redis_handover_is_marker(redis, channel)) {
        if (subscribed) {
            ngx_wscast_redis_handover_confirmed(node);
        }

        return;
    }

    n = wscast_map_find(&redis->channels,
                        wscast_str(channel->str, channel->len));
    ch = n ? wscast_container(n, ngx_wscast_redis_channel_t, node) : NULL;

    if (ch == NULL || ch->at != node) {
        return;
    }

    if (subscribed || ch->unconfirmed) {
        ngx_wscast_redis_confirmed(redis, ch);
        return;
    }

    /* nobody has asked for it: its slot has gone elsewhere */

    ngx_wscast_redis_cut(redis, ch);
    redis->doubtful |= redis->bequeathing | redis->apprentice;
    ngx_wscast_redis_subscribe(redis, ch);
}
