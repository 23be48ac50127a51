#include "redis_channel.h"
#include "redis_cluster.h"


static ngx_wscast_redis_channel_t *ngx_wscast_redis_channel(
    ngx_wscast_redis_t *redis, const wscast_record_t *rec, wscast_str_t name);
static ngx_int_t ngx_wscast_redis_tell(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_channel_t *ch, const char *verb);
static void ngx_wscast_redis_release(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_channel_t *ch);
static void ngx_wscast_redis_forget(ngx_wscast_redis_t *redis,
    ngx_uint_t slot);


void
ngx_wscast_redis_lead(ngx_wscast_redis_t *redis, uint64_t epoch)
{
    ngx_uint_t                i;
    ngx_wscast_redis_node_t  *node;

    if (redis->leading) {
        return;
    }

    redis->leading = 1;
    redis->begun = epoch;
    ngx_memzero(&redis->recalled, sizeof(wscast_slotset_t));

    ngx_wscast_redis_each(redis, i, node) {
        ngx_wscast_redis_link_open(&node->subscriber, redis->local->counters);
    }
}


void
ngx_wscast_redis_follow(ngx_wscast_redis_t *redis)
{
    ngx_uint_t                i, led;
    wscast_map_node_t        *n, *next;
    ngx_wscast_redis_node_t  *node;

    led = redis->leading && !redis->apprentice;
    redis->leading = 0;

    ngx_wscast_redis_handover_end(redis);

    ngx_wscast_redis_each(redis, i, node) {
        ngx_wscast_redis_link_close(&node->subscriber);
        node->heard = 0;
        node->failed = 0;
    }

    for (n = wscast_map_next(&redis->channels, NULL); n; n = next) {
        next = wscast_map_next(&redis->channels, n);
        wscast_map_remove(&redis->channels, n);
        wscast_free(wscast_container(n, ngx_wscast_redis_channel_t, node));
    }

    if (led) {
        redis->handler->unsubscribed(redis->ctx, NULL);
    }
}


void
ngx_wscast_redis_want(ngx_wscast_redis_t *redis, const wscast_record_t *rec)
{
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
        ch = ngx_wscast_redis_channel(redis, rec, name);

        if (ch == NULL) {

            /* its client would wait, and the next reconnect mends nothing */

            ngx_log_error(NGX_LOG_ERR, redis->log, 0,
                          "wscast: no memory to subscribe to a channel in "
                          "redis");
            return;
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
}


static ngx_wscast_redis_channel_t *
ngx_wscast_redis_channel(ngx_wscast_redis_t *redis,
    const wscast_record_t *rec, wscast_str_t name)
{
    u_char                      *p;
    ngx_wscast_redis_channel_t  *ch;

    ch = wscast_zalloc(sizeof(ngx_wscast_redis_channel_t) + name.len
                       + rec->channel.len);
    if (ch == NULL) {
        return NULL;
    }

    p = (u_char *) (ch + 1);

    ch->node.key = wscast_str(p, name.len);
    p = ngx_cpymem(p, name.data, name.len);

    ch->channel = wscast_str(p, rec->channel.len);

    if (rec->channel.len) {
        ngx_memcpy(p, rec->channel.data, rec->channel.len);
    }

    ch->slot = ngx_wscast_redis_slot(redis, name);
    ch->at = ngx_wscast_redis_owner(redis, ch->slot);
    ch->fresh = (rec->kind == WSCAST_REC_WANT);

    /* as an heir it will be judged when the leader has ended */

    ch->missed = !redis->apprentice
                 && (!ch->fresh || ngx_wscast_redis_untold(redis, ch));

    if (wscast_map_insert(&redis->channels, &ch->node) != WSCAST_OK) {
        wscast_free(ch);
        return NULL;
    }

    return ch;
}


/*
 * A worker that has not told this leader yet what it listens to, because it
 * stood still when the old one died, may have been on a channel that is new
 * only for who asks for it first.
 */

ngx_uint_t
ngx_wscast_redis_untold(ngx_wscast_redis_t *redis,
    const ngx_wscast_redis_channel_t *ch)
{
    ngx_uint_t        i, untold;
    wscast_slotset_t  slots;

    wscast_ring_listeners(&redis->local->ring, ch->channel, &slots);

    untold = 0;

    for (i = 0; i < WSCAST_SLOT_WORDS; i++) {
        untold |= (slots.w[i] & ~redis->recalled.w[i]) != 0;
    }

    return untold;
}


void
ngx_wscast_redis_subscribe(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_channel_t *ch)
{
    ngx_uint_t  failing;

    if (ngx_wscast_redis_tell(redis, ch, "SSUBSCRIBE") == NGX_OK) {
        return;
    }

    /*
     * While Redis is away nothing is published either, so that the client is
     * let in now and subscribed later; but a first connection that is just
     * being made is waited for.
     */

    failing = ch->at ? ch->at->subscriber.failures
                     : redis->cluster->known || redis->cluster->scout.failures;

    if (failing && !redis->apprentice) {
        ch->excused = 1;
        ch->missed = 1;
        ngx_wscast_redis_live(redis, ch, WSCAST_NO_SLOT);
    }
}


/* The verb is that of a cluster with sharded Pub/Sub: "S" and the usual one. */

static ngx_int_t
ngx_wscast_redis_tell(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_channel_t *ch, const char *verb)
{
    size_t       lens[2];
    ngx_int_t    rc;
    const char  *argv[2];

    if (ch->at == NULL || !ngx_wscast_redis_link_ready(&ch->at->subscriber)) {
        return NGX_DECLINED;
    }

    argv[0] = verb + !ngx_wscast_redis_sharded(redis);
    lens[0] = ngx_strlen(argv[0]);
    argv[1] = (const char *) ch->node.key.data;
    lens[1] = ch->node.key.len;

    rc = ngx_wscast_redis_link_command(&ch->at->subscriber, 2, argv, lens, 1);

    if (rc == NGX_OK) {
        ch->unconfirmed++;
    }

    return rc;
}


/* Unsubscribes from a channel that nobody wants, and frees it in the end. */

static void
ngx_wscast_redis_release(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_channel_t *ch)
{
    if (!wscast_slotset_empty(&ch->wanted)) {
        return;
    }

    if (ch->live || ch->asked || ch->unconfirmed) {
        ch->live = 0;
        ch->asked = 0;

        if (ngx_wscast_redis_tell(redis, ch, "SUNSUBSCRIBE") == NGX_OK) {
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


void
ngx_wscast_redis_cut(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_channel_t *ch)
{
    ch->unconfirmed = 0;

    if (redis->apprentice) {
        ch->live = 0;                   /* the leader delivers */
        return;
    }

    if (!ch->live && !ch->excused) {
        ngx_wscast_redis_live(redis, ch, WSCAST_NO_SLOT);
    }

    ch->live = 0;
    ch->asked = 0;
    ch->excused = 1;
    ch->missed = 1;

    if (redis->cluster) {
        redis->handler->unsubscribed(redis->ctx, &ch->channel);
    }
}


void
ngx_wscast_redis_move(ngx_wscast_redis_t *redis, ngx_uint_t slot)
{
    wscast_map_node_t           *n, *next;
    ngx_wscast_redis_node_t     *owner;
    ngx_wscast_redis_channel_t  *ch;

    for (n = wscast_map_next(&redis->channels, NULL); n; n = next) {
        next = wscast_map_next(&redis->channels, n);
        ch = wscast_container(n, ngx_wscast_redis_channel_t, node);

        if (slot != NGX_WSCAST_ANY_SLOT && ch->slot != slot) {
            continue;
        }

        owner = ngx_wscast_redis_owner(redis, ch->slot);

        if (ch->at == owner) {
            continue;
        }

        if (wscast_slotset_empty(&ch->wanted)) {
            wscast_map_remove(&redis->channels, n);
            wscast_free(ch);
            continue;
        }

        /* its answer, if any, will be that of another server */

        if (ch->live || ch->asked || ch->unconfirmed) {
            (void) ngx_wscast_redis_tell(redis, ch, "SUNSUBSCRIBE");
            ngx_wscast_redis_cut(redis, ch);
        }

        redis->doubtful |= redis->bequeathing | redis->apprentice;

        ch->at = owner;
        ngx_wscast_redis_subscribe(redis, ch);
    }
}


void
ngx_wscast_redis_resume(ngx_wscast_redis_t *redis)
{
    ngx_uint_t                i;
    ngx_wscast_redis_node_t  *node;

    ngx_wscast_redis_each(redis, i, node) {
        ngx_wscast_redis_link_resume(&node->subscriber);
    }
}


void
ngx_wscast_redis_sweep(ngx_wscast_redis_t *redis)
{
    ngx_uint_t         i;
    wscast_ring_sh_t  *sh;

    sh = redis->local->ring.sh;

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
