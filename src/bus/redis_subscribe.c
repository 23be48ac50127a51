#include "redis.h"
#include "redis_channel.h"


static void ngx_wscast_redis_subscriber_ready(void *ctx);
static ngx_int_t ngx_wscast_redis_subscriber_reply(void *ctx,
    redisReply *reply);
static void ngx_wscast_redis_subscriber_lost(void *ctx);
static void ngx_wscast_redis_subscriber_writable(void *ctx);
static ngx_int_t ngx_wscast_redis_subscriber_probe(void *ctx);
static void ngx_wscast_redis_subscribe(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_channel_t *ch);
static void ngx_wscast_redis_release(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_channel_t *ch);
static void ngx_wscast_redis_forget(ngx_wscast_redis_t *redis,
    ngx_uint_t slot);


const ngx_wscast_redis_link_handler_t  ngx_wscast_redis_subscriber = {
    ngx_wscast_redis_subscriber_ready,
    ngx_wscast_redis_subscriber_reply,
    ngx_wscast_redis_subscriber_lost,
    ngx_wscast_redis_subscriber_writable,
    ngx_wscast_redis_subscriber_probe
};


void
ngx_wscast_redis_lead(ngx_wscast_redis_t *redis)
{
    if (!redis->leading) {
        redis->leading = 1;
        ngx_wscast_redis_link_open(&redis->subscriber,
                                   redis->local->counters);
    }
}


void
ngx_wscast_redis_follow(ngx_wscast_redis_t *redis)
{
    ngx_uint_t          led;
    wscast_map_node_t  *node, *next;

    led = redis->leading && !redis->apprentice;
    redis->leading = 0;

    ngx_wscast_redis_handover_end(redis);
    ngx_wscast_redis_link_close(&redis->subscriber);

    for (node = wscast_map_next(&redis->channels, NULL); node; node = next) {
        next = wscast_map_next(&redis->channels, node);
        wscast_map_remove(&redis->channels, node);
        wscast_free(wscast_container(node, ngx_wscast_redis_channel_t, node));
    }

    if (led) {
        redis->handler->unsubscribed(redis->ctx);
    }
}


void
ngx_wscast_redis_want(ngx_wscast_redis_t *redis, const wscast_record_t *rec)
{
    u_char                      *p;
    wscast_str_t                 name;
    wscast_map_node_t           *node;
    ngx_wscast_redis_channel_t  *ch;

    if (!redis->leading || rec->from >= WSCAST_SLOTS) {
        return;
    }

    if (redis->nonces[rec->from] != rec->arg) {
        ngx_wscast_redis_forget(redis, rec->from);
        redis->nonces[rec->from] = rec->arg;
    }

    name = ngx_wscast_redis_name(redis, rec->channel);
    node = wscast_map_find(&redis->channels, name);
    ch = node ? wscast_container(node, ngx_wscast_redis_channel_t, node)
              : NULL;

    if (rec->kind == WSCAST_REC_UNWANT) {
        if (ch) {
            wscast_slotset_remove(&ch->wanted, rec->from);
            ngx_wscast_redis_release(redis, ch);
        }

        return;
    }

    if (ch == NULL) {
        ch = wscast_zalloc(sizeof(ngx_wscast_redis_channel_t) + name.len);

        if (ch == NULL) {
            goto failed;
        }

        p = (u_char *) (ch + 1);
        ngx_memcpy(p, name.data, name.len);
        ch->node.key = wscast_str(p, name.len);
        ch->missed = (rec->kind == WSCAST_REC_RECALL && !redis->apprentice);
        ch->fresh = (rec->kind == WSCAST_REC_WANT);

        if (wscast_map_insert(&redis->channels, &ch->node) != WSCAST_OK) {
            wscast_free(ch);
            goto failed;
        }
    }

    if (rec->kind == WSCAST_REC_RECALL
        && !wscast_slotset_has(&redis->recalled, rec->from)
        && !wscast_slotset_has(&ch->wanted, rec->from))
    {
        ch->fresh = 0;          /* it was wanted before there was an heir */
    }

    if (wscast_slotset_empty(&ch->wanted)) {
        wscast_slotset_add(&ch->wanted, rec->from);

        /* what is new during a handover is the heir's alone */

        if (!redis->bequeathing) {
            ngx_wscast_redis_subscribe(redis, ch);
        }

    } else {
        wscast_slotset_add(&ch->wanted, rec->from);

        if ((ch->live || ch->excused) && !redis->apprentice) {
            ngx_wscast_redis_live(redis, ch, rec->from);
        }
    }

    return;

failed:

    /* the client would wait in vain, and the next reconnect mends nothing */

    ngx_log_error(NGX_LOG_ERR, redis->log, 0,
                  "wscast: no memory to subscribe to a channel in redis");
}


static void
ngx_wscast_redis_subscribe(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_channel_t *ch)
{
    size_t       lens[2];
    const char  *argv[2];

    argv[0] = "SUBSCRIBE";
    lens[0] = 9;
    argv[1] = (const char *) ch->node.key.data;
    lens[1] = ch->node.key.len;

    if (ngx_wscast_redis_link_ready(&redis->subscriber)
        && ngx_wscast_redis_link_command(&redis->subscriber, 2, argv, lens, 1)
           == NGX_OK)
    {
        ch->unconfirmed++;
        return;
    }

    /*
     * While Redis is away nothing is published either, so that the client is
     * let in now and subscribed later; but a first connection that is just
     * being made is waited for.
     */

    if (redis->subscriber.failures && !redis->apprentice) {
        ch->excused = 1;
        ch->missed = 1;
        ngx_wscast_redis_live(redis, ch, WSCAST_NO_SLOT);
    }
}


/* Unsubscribes from a channel that nobody wants, and frees it in the end. */

static void
ngx_wscast_redis_release(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_channel_t *ch)
{
    size_t       lens[2];
    const char  *argv[2];

    if (!wscast_slotset_empty(&ch->wanted)) {
        return;
    }

    if (ch->live || ch->asked || ch->unconfirmed) {
        argv[0] = "UNSUBSCRIBE";
        lens[0] = 11;
        argv[1] = (const char *) ch->node.key.data;
        lens[1] = ch->node.key.len;

        ch->live = 0;
        ch->asked = 0;

        if (ngx_wscast_redis_link_command(&redis->subscriber, 2, argv, lens, 1)
            == NGX_OK)
        {
            ch->unconfirmed++;
            return;
        }
    }

    wscast_map_remove(&redis->channels, &ch->node);
    wscast_free(ch);
}


static void
ngx_wscast_redis_forget(ngx_wscast_redis_t *redis, ngx_uint_t slot)
{
    wscast_map_node_t           *node, *next;
    ngx_wscast_redis_channel_t  *ch;

    for (node = wscast_map_next(&redis->channels, NULL); node; node = next) {
        next = wscast_map_next(&redis->channels, node);
        ch = wscast_container(node, ngx_wscast_redis_channel_t, node);

        if (wscast_slotset_has(&ch->wanted, slot)) {
            wscast_slotset_remove(&ch->wanted, slot);
            ngx_wscast_redis_release(redis, ch);
        }
    }
}


static void
ngx_wscast_redis_subscriber_ready(void *ctx)
{
    wscast_map_node_t           *node;
    ngx_wscast_redis_t          *redis;
    ngx_wscast_redis_channel_t  *ch;

    redis = ctx;
    redis->gaps = 0;

    for (node = wscast_map_next(&redis->channels, NULL);
         node;
         node = wscast_map_next(&redis->channels, node))
    {
        ch = wscast_container(node, ngx_wscast_redis_channel_t, node);
        ngx_wscast_redis_subscribe(redis, ch);
    }

    ngx_wscast_redis_handover_ready(redis);

    /* answered after all of them: from then on nothing is missed here */

    (void) ngx_wscast_redis_subscriber_probe(redis);
}


static void
ngx_wscast_redis_subscriber_lost(void *ctx)
{
    wscast_map_node_t           *node, *next;
    ngx_wscast_redis_t          *redis;
    ngx_wscast_redis_channel_t  *ch;

    redis = ctx;

    if (!redis->apprentice) {
        wscast_ring_redis_up(&redis->local->ring, 0);
    }

    redis->proving = 0;
    redis->doubtful |= redis->bequeathing;

    for (node = wscast_map_next(&redis->channels, NULL); node; node = next) {
        next = wscast_map_next(&redis->channels, node);
        ch = wscast_container(node, ngx_wscast_redis_channel_t, node);

        ch->unconfirmed = 0;

        if (wscast_slotset_empty(&ch->wanted)) {
            wscast_map_remove(&redis->channels, node);
            wscast_free(ch);
            continue;
        }

        if (redis->apprentice) {
            ch->live = 0;               /* the leader delivers */
            continue;
        }

        if (!ch->live && !ch->excused) {
            ngx_wscast_redis_live(redis, ch, WSCAST_NO_SLOT);
        }

        ch->live = 0;
        ch->asked = 0;
        ch->excused = 1;
        ch->missed = 1;
    }

    if (!redis->apprentice) {
        redis->handler->unsubscribed(redis->ctx);
    }
}


static void
ngx_wscast_redis_subscriber_writable(void *ctx)
{
    /* its commands are forced: they are bounded by the channels */
}


static ngx_int_t
ngx_wscast_redis_subscriber_probe(void *ctx)
{
    size_t               len;
    const char          *ping;
    ngx_wscast_redis_t  *redis;

    redis = ctx;

    ping = "PING";
    len = 4;

    return ngx_wscast_redis_link_command(&redis->subscriber, 1, &ping, &len,
                                         1);
}


static ngx_int_t
ngx_wscast_redis_subscriber_reply(void *ctx, redisReply *reply)
{
    redisReply          *kind, *channel;
    ngx_wscast_redis_t  *redis;

    redis = ctx;

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, redis->log, 0,
                      "wscast: redis refused to subscribe: \"%*s\"",
                      (size_t) reply->len, reply->str);
        return NGX_OK;
    }

    if (reply->type == REDIS_REPLY_STATUS) {        /* subscribed to nothing */

        if (!redis->apprentice) {
            wscast_ring_redis_up(&redis->local->ring, 1);
        }

        return NGX_OK;
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2
        || reply->element[0]->type != REDIS_REPLY_STRING)
    {
        return NGX_OK;
    }

    kind = reply->element[0];
    channel = reply->element[1];

    if (kind->len == 4 && ngx_memcmp(kind->str, "pong", 4) == 0) {

        if (!redis->apprentice) {
            wscast_ring_redis_up(&redis->local->ring, 1);

        } else if (channel->type == REDIS_REPLY_STRING && channel->len) {
            ngx_wscast_redis_handover_pong(redis);
        }

        return NGX_OK;
    }

    if (reply->elements != 3 || channel->type != REDIS_REPLY_STRING) {
        return NGX_OK;
    }

    if (kind->len == 7 && ngx_memcmp(kind->str, "message", 7) == 0) {

        if (reply->element[2]->type != REDIS_REPLY_STRING) {
            return NGX_OK;
        }

        if (ngx_wscast_redis_handover_is_marker(redis, channel)) {
            return ngx_wscast_redis_handover_marker(redis, reply->element[2]);
        }

        /* during a handover, of two that receive it one delivers it */

        if (redis->apprentice || redis->resigning) {
            return NGX_OK;
        }

        return ngx_wscast_redis_message(redis, channel, reply->element[2]);
    }

    if ((kind->len == 9 && ngx_memcmp(kind->str, "subscribe", 9) == 0)
        || (kind->len == 11 && ngx_memcmp(kind->str, "unsubscribe", 11) == 0))
    {
        if (ngx_wscast_redis_handover_is_marker(redis, channel)) {
            ngx_wscast_redis_handover_confirmed(redis);

        } else {
            ngx_wscast_redis_confirmed(redis, channel);
        }
    }

    return NGX_OK;
}


void
ngx_wscast_redis_resume(ngx_wscast_redis_t *redis)
{
    ngx_wscast_redis_link_resume(&redis->subscriber);
}


/* Slots whose tenant is gone want nothing any more. */

void
ngx_wscast_redis_tick(ngx_wscast_redis_t *redis)
{
    ngx_uint_t         i;
    wscast_ring_sh_t  *sh;

    sh = redis->local->ring.sh;

    ngx_wscast_redis_handover_check(redis);

    /* one was made before a failover, the other one behind it */

    if (ngx_wscast_redis_link_differ(&redis->publisher, &redis->subscriber)) {
        ngx_wscast_redis_link_break(&redis->publisher, "is another master");
        ngx_wscast_redis_link_break(&redis->subscriber, "is another master");
    }

    if (!redis->leading || redis->tenancies == sh->tenancies) {
        return;
    }

    redis->tenancies = sh->tenancies;

    for (i = 0; i < WSCAST_SLOTS; i++) {
        if (redis->nonces[i]
            && (sh->slots[i].state == WSCAST_SLOT_FREE
                || sh->slots[i].nonce != redis->nonces[i]))
        {
            redis->nonces[i] = 0;
            ngx_wscast_redis_forget(redis, i);
        }
    }
}
