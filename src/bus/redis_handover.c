#include "redis.h"


/*
 * The leader hands its subscription to its heir without a gap, a repeat or a
 * change of order.  For a while both are subscribed to everything, and Redis
 * sends both the same messages in the same order.  A message of their own, the
 * marker, cuts that order in two: what is before it the leader delivers, what
 * is behind it the heir.
 *
 *   leader                              heir
 *   chooses the heir                    connects
 *   subscribes to the marker            is told by all workers what they want,
 *                                       subscribes, throws away what comes
 *                                       is subscribed to everything: publishes
 *                                       the marker
 *   receives the marker: makes the      receives the marker: reads no further
 *   heir the leader and says so in      until the ring says that the leader
 *   the ring, behind its last message   has ended, then delivers
 *
 * A channel that is wanted meanwhile is the heir's alone, and its clients are
 * told that it is live when the heir delivers.  If the leader loses its
 * connection meanwhile it lets them in all the same, and with its last word says
 * so: then the heir takes every channel for one that has missed something.  If
 * one of the two dies, the change of the leader's epoch in the ring begins
 * everything anew.
 */


static void ngx_wscast_redis_marked(wscast_receipt_t *receipt,
    wscast_status_t status);
static void ngx_wscast_redis_resign_handler(ngx_event_t *ev);
static wscast_str_t ngx_wscast_redis_marker(ngx_wscast_redis_t *redis);


void
ngx_wscast_redis_handover_init(ngx_wscast_redis_t *redis)
{
    redis->marker.done = ngx_wscast_redis_marked;
    wscast_list_init(&redis->marker.link);

    redis->resign.handler = ngx_wscast_redis_resign_handler;
    redis->resign.data = redis;
    redis->resign.log = redis->log;
}


void
ngx_wscast_redis_handover_end(ngx_wscast_redis_t *redis)
{
    if (redis->resign.posted) {
        ngx_delete_posted_event(&redis->resign);
    }

    redis->apprentice = 0;
    redis->proving = 0;
    redis->handed = 0;
    redis->bequeathing = 0;
    redis->doubtful = 0;
    redis->resigning = 0;

    ngx_memzero(&redis->recalled, sizeof(wscast_slotset_t));
}


/* The name of the marker's channel: no client can name a control character. */

static wscast_str_t
ngx_wscast_redis_marker(ngx_wscast_redis_t *redis)
{
    u_char  name[32], *last;

    last = ngx_sprintf(name, "\1host:%016xL", redis->local->ring.sh->id);

    return ngx_wscast_redis_name(redis, wscast_str(name, last - name));
}


ngx_uint_t
ngx_wscast_redis_handover_is_marker(ngx_wscast_redis_t *redis,
    redisReply *channel)
{
    size_t  prefix;

    prefix = redis->conf->redis_prefix.len;

    return (size_t) channel->len > prefix && channel->str[prefix] == '\1'
           && wscast_str_eq(wscast_str(channel->str, channel->len),
                            ngx_wscast_redis_marker(redis));
}


/* The heir */


void
ngx_wscast_redis_inherit(ngx_wscast_redis_t *redis, uint64_t epoch)
{
    redis->epoch = epoch;
    redis->apprentice = 1;

    ngx_wscast_redis_lead(redis);
}


void
ngx_wscast_redis_recalled(ngx_wscast_redis_t *redis,
    const wscast_record_t *rec)
{
    if (redis->apprentice && rec->arg == redis->epoch
        && rec->from < WSCAST_SLOTS)
    {
        wscast_slotset_add(&redis->recalled, rec->from);
        ngx_wscast_redis_handover_check(redis);
    }
}


/* The subscribing connection of the leader or the heir stands. */

void
ngx_wscast_redis_handover_ready(ngx_wscast_redis_t *redis)
{
    size_t        lens[2];
    const char   *argv[2];
    wscast_str_t  name;

    redis->proving = 0;

    if (!redis->apprentice && !redis->bequeathing) {
        return;
    }

    name = ngx_wscast_redis_marker(redis);

    argv[0] = "SUBSCRIBE";
    lens[0] = 9;
    argv[1] = (const char *) name.data;
    lens[1] = name.len;

    (void) ngx_wscast_redis_link_command(&redis->subscriber, 2, argv, lens, 1);

    ngx_wscast_redis_handover_check(redis);
}


/*
 * Has the heir been told everything?  Then it asks behind its subscriptions.  Who
 * hangs tells it when it wakes, and has missed what came meanwhile.
 */

void
ngx_wscast_redis_handover_check(ngx_wscast_redis_t *redis)
{
    size_t             lens[2];
    ngx_uint_t         i;
    const char        *argv[2];
    wscast_ring_sh_t  *sh;

    sh = redis->local->ring.sh;

    if (!redis->apprentice || redis->proving
        || sh->marker != redis->epoch
        || !ngx_wscast_redis_link_ready(&redis->subscriber)
        || !ngx_wscast_redis_link_ready(&redis->publisher))
    {
        return;
    }

    for (i = 0; i < WSCAST_SLOTS; i++) {
        if (sh->slots[i].state != WSCAST_SLOT_FREE
            && !wscast_slotset_has(&redis->recalled, i)
            && !wscast_ring_hangs(&redis->local->ring, i))
        {
            return;
        }
    }

    /* with a word of its own, to be told from a probe of the connection */

    argv[0] = "PING";
    lens[0] = 4;
    argv[1] = "all";
    lens[1] = 3;

    if (ngx_wscast_redis_link_command(&redis->subscriber, 2, argv, lens, 1)
        == NGX_OK)
    {
        redis->proving = 1;
    }
}


/*
 * The heir is subscribed to all that it has been told of: it publishes the
 * marker, on the other connection.
 */

void
ngx_wscast_redis_handover_pong(ngx_wscast_redis_t *redis)
{
    u_char        epoch[NGX_INT64_LEN];
    size_t        lens[3];
    const char   *argv[3];
    wscast_str_t  name;

    if (!redis->apprentice || !redis->proving || redis->marked) {
        return;
    }

    name = ngx_wscast_redis_marker(redis);

    argv[0] = "PUBLISH";
    lens[0] = 7;
    argv[1] = (const char *) name.data;
    lens[1] = name.len;
    argv[2] = (const char *) epoch;
    lens[2] = ngx_sprintf(epoch, "%uL", redis->epoch) - epoch;

    if (ngx_wscast_redis_send(redis, &redis->marker, 3, argv, lens, 1)
        == NGX_OK)
    {
        redis->marked = 1;

    } else {
        redis->proving = 0;         /* the tick tries again */
    }
}


static void
ngx_wscast_redis_marked(wscast_receipt_t *receipt, wscast_status_t status)
{
    ngx_wscast_redis_t  *redis;

    redis = wscast_container(receipt, ngx_wscast_redis_t, marker);

    redis->marked = 0;

    if (status != WSCAST_OK) {
        redis->proving = 0;
    }
}


/* In the ring, behind the leader's last message. */

void
ngx_wscast_redis_handed(ngx_wscast_redis_t *redis, const wscast_record_t *rec)
{
    if (redis->apprentice && rec->arg == redis->epoch) {
        redis->handed = 1;
        redis->doubtful = (rec->body.len != 0);
        ngx_wscast_redis_link_resume(&redis->subscriber);
    }
}


/* The leader */


void
ngx_wscast_redis_bequeath(ngx_wscast_redis_t *redis, uint64_t epoch)
{
    redis->epoch = epoch;
    redis->bequeathing = 1;

    if (ngx_wscast_redis_link_ready(&redis->subscriber)) {
        ngx_wscast_redis_handover_ready(redis);
    }
}


void
ngx_wscast_redis_handover_confirmed(ngx_wscast_redis_t *redis)
{
    wscast_record_t  rec;

    if (redis->bequeathing) {
        wscast_ring_mark(&redis->local->ring, redis->epoch);

        /* the heir may have been waiting for just that: it is told once more */

        ngx_memzero(&rec, sizeof(wscast_record_t));

        rec.kind = WSCAST_REC_RECALLED;
        rec.to = (unsigned) redis->local->ring.sh->heir - 1;
        rec.arg = redis->epoch;

        if (redis->local->ring.sh->heir) {
            ngx_wscast_local_send(redis->local, &rec);
        }
    }
}


/* Both: the marker.  NGX_AGAIN: read no further. */

ngx_int_t
ngx_wscast_redis_handover_marker(ngx_wscast_redis_t *redis,
    redisReply *payload)
{
    u_char           epoch[NGX_INT64_LEN];
    size_t           len;
    uint64_t         heir;
    ngx_uint_t       doubtful;
    wscast_record_t  rec;

    len = ngx_sprintf(epoch, "%uL", redis->epoch) - epoch;

    if ((size_t) payload->len != len
        || ngx_memcmp(payload->str, epoch, len) != 0)
    {
        return NGX_OK;                          /* of an earlier handover */
    }

    if (redis->apprentice) {

        if (!redis->handed) {
            return NGX_AGAIN;
        }

        doubtful = redis->doubtful;

        ngx_wscast_redis_handover_end(redis);
        wscast_ring_redis_up(&redis->local->ring, 1);
        ngx_wscast_redis_take_over(redis, doubtful);

        return NGX_OK;
    }

    if (!redis->bequeathing || redis->resigning) {
        return NGX_OK;
    }

    /* an heir that leaves, too, ceases to be one, but only until here */

    heir = redis->local->ring.sh->heir;

    if (!redis->handler->pass(redis->ctx, redis->epoch)) {
        return NGX_OK;
    }

    redis->resigning = 1;

    ngx_memzero(&rec, sizeof(wscast_record_t));

    rec.kind = WSCAST_REC_HANDED;
    rec.to = (unsigned) heir - 1;
    rec.arg = redis->epoch;

    if (redis->doubtful || ngx_wscast_redis_unsettled(redis)) {
        rec.body = wscast_str("?", 1);
    }

    ngx_wscast_local_send(redis->local, &rec);

    /* its connection cannot be closed in here, while it is being read */

    ngx_post_event(&redis->resign, &ngx_posted_events);

    return NGX_OK;
}


static void
ngx_wscast_redis_resign_handler(ngx_event_t *ev)
{
    ngx_wscast_redis_t  *redis;

    redis = ev->data;
    redis->handler->resigned(redis->ctx);
}
