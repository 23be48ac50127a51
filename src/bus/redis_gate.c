#include "redis_channel.h"
#include "../base/envelope.h"


static ngx_int_t ngx_wscast_redis_append(ngx_wscast_redis_t *redis,
    wscast_str_t channel, wscast_str_t bytes);
static ngx_uint_t ngx_wscast_redis_internal(ngx_wscast_redis_channel_t *ch);
static ngx_int_t ngx_wscast_redis_ask(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_channel_t *ch);
static ngx_wscast_redis_channel_t *ngx_wscast_redis_find(
    ngx_wscast_redis_t *redis, wscast_str_t name);


ngx_int_t
ngx_wscast_redis_message(ngx_wscast_redis_node_t *node, redisReply *channel,
    redisReply *payload)
{
    u_char                      *p;
    ngx_int_t                    rc;
    wscast_str_t                 name, bytes;
    ngx_wscast_redis_t          *redis;
    ngx_wscast_redis_channel_t  *ch;

    redis = node->redis;
    ch = ngx_wscast_redis_find(redis, wscast_str(channel->str, channel->len));

    /*
     * A master that has become a replica says again what its successor, who is
     * read now, says: who does not have the slot any more is not heard.  What
     * is missed by that counts as missed.
     */

    if (ch == NULL || ch->at != node) {
        return NGX_OK;
    }

    name = ch->channel;
    bytes = wscast_str(payload->str, payload->len);
    rc = NGX_DECLINED;

    /* what has a position must follow the one before it: the store knows */

    p = (u_char *) payload->str;

    if (bytes.len >= WSCAST_ENVELOPE_HEADER
        && p[0] == 0 && p[1] == WSCAST_ENVELOPE_VERSION
        && (p[3] & WSCAST_PUB_POSITION))
    {
        rc = redis->handler->arrived(redis->ctx, name, bytes);
    }

    if (rc == NGX_DECLINED) {
        rc = ngx_wscast_redis_append(redis, name, bytes);
    }

    if (rc != NGX_AGAIN) {
        redis->local->counters[WSCAST_COUNT_REDIS_IN]++;
    }

    return rc == NGX_AGAIN ? NGX_AGAIN : NGX_OK;
}


static ngx_int_t
ngx_wscast_redis_append(ngx_wscast_redis_t *redis, wscast_str_t channel,
    wscast_str_t bytes)
{
    wscast_status_t  rc;
    wscast_record_t  rec;

    ngx_memzero(&rec, sizeof(wscast_record_t));

    rec.kind = WSCAST_REC_PUBLICATION;
    rec.to = WSCAST_NO_SLOT;
    rec.led = 1;
    rec.channel = channel;
    rec.body = bytes;

    rc = ngx_wscast_local_append(redis->local, &rec, NULL, NULL);

    /* WSCAST_ERROR: another leads; what is not read goes with the connection */

    if (rc == WSCAST_AGAIN || rc == WSCAST_ERROR) {
        return NGX_AGAIN;
    }

    if (rc != WSCAST_OK) {
        redis->local->counters[WSCAST_COUNT_GAPS]++;

        ngx_log_error(NGX_LOG_ERR, redis->log, 0,
                      "wscast: a message of %uz bytes from redis is too long "
                      "for the zone of hub \"%V\" and was dropped",
                      bytes.len, &redis->conf->name);
    }

    return NGX_OK;
}


static ngx_wscast_redis_channel_t *
ngx_wscast_redis_find(ngx_wscast_redis_t *redis, wscast_str_t name)
{
    wscast_map_node_t  *node;

    node = wscast_map_find(&redis->channels, name);

    return node ? wscast_container(node, ngx_wscast_redis_channel_t, node)
                : NULL;
}


void
ngx_wscast_redis_confirmed(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_channel_t *ch)
{
    if (ch->unconfirmed == 0 || --ch->unconfirmed) {
        return;
    }

    if (wscast_slotset_empty(&ch->wanted)) {
        wscast_map_remove(&redis->channels, &ch->node);
        wscast_free(ch);
        return;
    }

    ch->excused = 0;

    if (redis->apprentice) {
        ch->live = 1;
        ch->missed = 0;                 /* the leader delivers */
        return;
    }

    ngx_wscast_redis_admit(redis, ch);
}


void
ngx_wscast_redis_admit(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_channel_t *ch)
{
    ngx_uint_t  internal;

    internal = ngx_wscast_redis_internal(ch);
    ch->fresh = 0;
    ch->shaken |= ch->missed;

    if (!internal && ngx_wscast_redis_ask(redis, ch) == NGX_AGAIN) {
        return;
    }

    /* a gap is what clients have missed */

    if (ch->missed && !internal) {
        redis->local->counters[WSCAST_COUNT_GAPS]++;

        if (redis->gaps++ == 0) {
            ngx_log_error(NGX_LOG_WARN, redis->log, 0,
                          "wscast: subscribed anew in redis; messages "
                          "published meanwhile may have been missed");
        }
    }

    ch->missed = 0;
    ch->live = 1;
    ngx_wscast_redis_live(redis, ch, WSCAST_NO_SLOT);
}


/* The channels of the workers among themselves; no client can name them. */

static ngx_uint_t
ngx_wscast_redis_internal(ngx_wscast_redis_channel_t *ch)
{
    return ch->channel.len && ch->channel.data[0] < 0x20;
}


/* NGX_AGAIN: it will be announced, or has just been. */

static ngx_int_t
ngx_wscast_redis_ask(ngx_wscast_redis_t *redis, ngx_wscast_redis_channel_t *ch)
{
    ch->live = 0;
    ch->asked = 1;

    if (redis->handler->confirmed(redis->ctx, ch->channel, ch->missed)
        == NGX_AGAIN)
    {
        ch->missed = 0;
        return NGX_AGAIN;
    }

    ch->asked = 0;

    return NGX_OK;
}


void
ngx_wscast_redis_announce(ngx_wscast_redis_t *redis, wscast_str_t channel)
{
    ngx_wscast_redis_channel_t  *ch;

    ch = ngx_wscast_redis_find(redis, ngx_wscast_redis_name(redis, channel));

    if (ch && ch->asked) {
        ch->asked = 0;
        ch->live = 1;
        ngx_wscast_redis_live(redis, ch, WSCAST_NO_SLOT);
    }
}


/*
 * What the old leader was subscribed to has been delivered without a gap up to
 * here; what was wanted since may be new to this host.  If the leader is in
 * doubt of that nothing is taken for delivered.
 */

void
ngx_wscast_redis_take_over(ngx_wscast_redis_t *redis, ngx_uint_t doubtful)
{
    wscast_map_node_t           *node;
    ngx_wscast_redis_channel_t  *ch;

    for (node = wscast_map_next(&redis->channels, NULL);
         node;
         node = wscast_map_next(&redis->channels, node))
    {
        ch = wscast_container(node, ngx_wscast_redis_channel_t, node);

        ch->missed = doubtful
                     || (ch->fresh && ngx_wscast_redis_untold(redis, ch));

        if (!ch->live) {
            continue;
        }

        if (ch->fresh || doubtful) {
            ngx_wscast_redis_admit(redis, ch);

        } else {
            ngx_wscast_redis_live(redis, ch, WSCAST_NO_SLOT);
        }
    }
}


ngx_uint_t
ngx_wscast_redis_unsettled(ngx_wscast_redis_t *redis)
{
    wscast_map_node_t           *node;
    ngx_wscast_redis_channel_t  *ch;

    for (node = wscast_map_next(&redis->channels, NULL);
         node;
         node = wscast_map_next(&redis->channels, node))
    {
        ch = wscast_container(node, ngx_wscast_redis_channel_t, node);

        if (ch->asked || ch->excused) {
            return 1;
        }
    }

    return 0;
}


void
ngx_wscast_redis_live(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_channel_t *ch, ngx_uint_t slot)
{
    wscast_record_t  rec;

    ngx_memzero(&rec, sizeof(wscast_record_t));

    rec.kind = WSCAST_REC_LIVE;
    rec.to = slot;
    rec.led = 1;

    if (ch->live && slot == WSCAST_NO_SLOT) {
        rec.arg = ch->shaken;
        ch->shaken = 0;
    }

    rec.channel = ch->channel;

    ngx_wscast_local_send(redis->local, &rec);
}
