#include "redis_inner.h"
#include "redis_cluster.h"


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
 * In a cluster there is a marker for each server, on a channel whose slot it
 * has.  Both wait at each, and the leader ends when it is at the last.
 *
 * A channel that is wanted meanwhile is the heir's alone, and its clients are
 * told that it is live when the heir delivers.  If the leader loses its
 * connection meanwhile it lets them in all the same, and says so with its last
 * word: then the heir takes every channel for one that has missed something.
 * So it does if it has lost a connection itself that it had sent a marker on.
 * If one of the two dies, the change of the leader's epoch in the ring begins
 * everything anew.
 */


#define NGX_WSCAST_HANDOVER_MARKERS  2      /* s between the first marker and
                                               the last */


static void ngx_wscast_redis_prove(ngx_wscast_redis_node_t *node);
static ngx_int_t ngx_wscast_redis_inherited(ngx_wscast_redis_t *redis);
static ngx_int_t ngx_wscast_redis_bequeathed(ngx_wscast_redis_t *redis);
static ngx_uint_t ngx_wscast_redis_all_marked(ngx_wscast_redis_t *redis);
static void ngx_wscast_redis_unmark(ngx_wscast_redis_t *redis);
static void ngx_wscast_redis_resign_handler(ngx_event_t *ev);
static wscast_str_t ngx_wscast_redis_marker(ngx_wscast_redis_node_t *node);
static wscast_str_t ngx_wscast_redis_marker_name(ngx_wscast_redis_t *redis,
    ngx_uint_t n);


void
ngx_wscast_redis_handover_init(ngx_wscast_redis_t *redis)
{
    redis->resign.handler = ngx_wscast_redis_resign_handler;
    redis->resign.data = redis;
    redis->resign.log = redis->log;
}


void
ngx_wscast_redis_handover_end(ngx_wscast_redis_t *redis)
{
    ngx_uint_t                i;
    ngx_wscast_redis_node_t  *node;

    if (redis->resign.posted) {
        ngx_delete_posted_event(&redis->resign);
    }

    redis->apprentice = 0;
    redis->handed = 0;
    redis->bequeathing = 0;
    redis->doubtful = 0;
    redis->resigning = 0;
    redis->waiting = 0;

    ngx_wscast_redis_each(redis, i, node) {
        node->ready = 0;
        node->proving = 0;
        node->sent = 0;
        node->marked = 0;
    }
}


/*
 * The name of a server's marker: no client can name a control character.  In a
 * cluster both look for the first number that brings it to this server; where
 * they do not agree on who has which slot the handover fails, and what is
 * missed is made up for.
 */

static wscast_str_t
ngx_wscast_redis_marker(ngx_wscast_redis_node_t *node)
{
    ngx_uint_t           n;
    wscast_str_t         name;
    ngx_wscast_redis_t  *redis;

    redis = node->redis;

    for (n = 0; n < NGX_WSCAST_REDIS_SLOTS * 16; n++) {
        name = ngx_wscast_redis_marker_name(redis, n);

        if (ngx_wscast_redis_owner(redis, ngx_wscast_redis_slot(redis, name))
            == node)
        {
            break;
        }
    }

    return name;
}


static wscast_str_t
ngx_wscast_redis_marker_name(ngx_wscast_redis_t *redis, ngx_uint_t n)
{
    u_char  name[32 + NGX_INT_T_LEN], *last;

    last = ngx_sprintf(name, "\1host:%016xL", redis->local->ring.sh->id);

    if (redis->cluster) {
        last = ngx_sprintf(last, ":%ui", n);
    }

    return ngx_wscast_redis_name(redis, wscast_str(name, last - name));
}


ngx_uint_t
ngx_wscast_redis_handover_is_marker(ngx_wscast_redis_t *redis,
    redisReply *channel)
{
    size_t        prefix;
    wscast_str_t  name;

    prefix = redis->conf->redis_prefix.len;

    if ((size_t) channel->len <= prefix || channel->str[prefix] != '\1') {
        return 0;
    }

    name = ngx_wscast_redis_marker_name(redis, 0);

    if (redis->cluster) {
        name.len--;                         /* up to the number */
    }

    return (size_t) channel->len >= name.len
           && (redis->cluster || (size_t) channel->len == name.len)
           && ngx_memcmp(channel->str, name.data, name.len) == 0;
}


/* The subscribing connection of the leader or the heir stands, or is lost. */

void
ngx_wscast_redis_handover_ready(ngx_wscast_redis_node_t *node)
{
    size_t               lens[2];
    const char          *argv[2];
    wscast_str_t         name;
    ngx_wscast_redis_t  *redis;

    redis = node->redis;

    node->ready = 0;
    node->proving = 0;

    if ((!redis->apprentice && !redis->bequeathing) || node->slots == 0) {
        return;
    }

    name = ngx_wscast_redis_marker(node);

    argv[0] = ngx_wscast_redis_sharded(redis) ? "SSUBSCRIBE" : "SUBSCRIBE";
    lens[0] = ngx_strlen(argv[0]);
    argv[1] = (const char *) name.data;
    lens[1] = name.len;

    (void) ngx_wscast_redis_link_command(&node->subscriber, 2, argv, lens, 1);

    ngx_wscast_redis_handover_check(redis);
}


void
ngx_wscast_redis_handover_lost(ngx_wscast_redis_node_t *node)
{
    ngx_wscast_redis_t  *redis;

    redis = node->redis;

    redis->doubtful |= redis->bequeathing | (redis->apprentice & node->sent);

    node->ready = 0;
    node->proving = 0;
    node->marked = 0;
}


/* The heir */


void
ngx_wscast_redis_inherit(ngx_wscast_redis_t *redis, uint64_t epoch)
{
    redis->epoch = epoch;
    redis->apprentice = 1;

    ngx_wscast_redis_lead(redis, epoch);
}


void
ngx_wscast_redis_recalled(ngx_wscast_redis_t *redis,
    const wscast_record_t *rec)
{
    if (!redis->leading || rec->from >= WSCAST_SLOTS
        || (redis->apprentice ? rec->arg != redis->epoch
                              : rec->arg < redis->begun))
    {
        return;
    }

    wscast_slotset_add(&redis->recalled, rec->from);
    ngx_wscast_redis_handover_check(redis);
}


/*
 * Has the heir been told everything?  Then it asks behind its subscriptions.
 * Who hangs tells it when it wakes, and has missed what came meanwhile.
 */

void
ngx_wscast_redis_handover_check(ngx_wscast_redis_t *redis)
{
    ngx_uint_t                i;
    wscast_ring_sh_t         *sh;
    ngx_wscast_redis_node_t  *node;

    sh = redis->local->ring.sh;

    if (!redis->apprentice || sh->marker != redis->epoch) {
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

    ngx_wscast_redis_each(redis, i, node) {
        if (node->slots && !node->proving
            && ngx_wscast_redis_link_ready(&node->subscriber)
            && ngx_wscast_redis_link_ready(&node->publisher))
        {
            ngx_wscast_redis_prove(node);
        }
    }
}


static void
ngx_wscast_redis_prove(ngx_wscast_redis_node_t *node)
{
    size_t       lens[2];
    const char  *argv[2];

    /* with a word of its own, to be told from a probe of the connection */

    argv[0] = "PING";
    lens[0] = 4;
    argv[1] = "all";
    lens[1] = 3;

    if (ngx_wscast_redis_link_command(&node->subscriber, 2, argv, lens, 1)
        == NGX_OK)
    {
        node->proving = 1;
    }
}


/*
 * The heir is subscribed to all that it has been told of: it publishes the
 * marker, on the other connection.
 */

void
ngx_wscast_redis_handover_pong(ngx_wscast_redis_node_t *node)
{
    u_char                       epoch[NGX_INT64_LEN];
    size_t                       lens[3];
    const char                  *argv[3];
    wscast_str_t                 name;
    ngx_wscast_redis_t          *redis;
    ngx_wscast_redis_command_t   as;

    redis = node->redis;

    if (!redis->apprentice || !node->proving || node->marking) {
        return;
    }

    name = ngx_wscast_redis_marker(node);

    argv[0] = ngx_wscast_redis_sharded(redis) ? "SPUBLISH" : "PUBLISH";
    lens[0] = ngx_strlen(argv[0]);
    argv[1] = (const char *) name.data;
    lens[1] = name.len;
    argv[2] = (const char *) epoch;
    lens[2] = ngx_sprintf(epoch, "%uL", redis->epoch) - epoch;

    ngx_memzero(&as, sizeof(ngx_wscast_redis_command_t));

    as.receipt = &node->marker;
    as.slot = NGX_WSCAST_ANY_SLOT;          /* to this server or to none */

    if (ngx_wscast_redis_send(node, &as, 3, argv, lens, 1) == NGX_OK) {
        node->marking = 1;
        node->sent = 1;

    } else {
        node->proving = 0;                  /* the tick tries again */
    }
}


void
ngx_wscast_redis_handover_marked(wscast_receipt_t *receipt,
    wscast_status_t status)
{
    ngx_wscast_redis_node_t  *node;

    node = wscast_container(receipt, ngx_wscast_redis_node_t, marker);

    node->marking = 0;

    if (status != WSCAST_OK) {
        node->proving = 0;
    }
}


/* In the ring, behind the leader's last message. */

void
ngx_wscast_redis_handed(ngx_wscast_redis_t *redis, const wscast_record_t *rec)
{
    if (redis->apprentice && rec->arg == redis->epoch) {
        redis->handed = 1;
        redis->doubtful |= (rec->body.len != 0);

        (void) ngx_wscast_redis_inherited(redis);
    }
}


/* Both words are there, the leader's and Redis': from here on it delivers. */

static ngx_int_t
ngx_wscast_redis_inherited(ngx_wscast_redis_t *redis)
{
    ngx_uint_t                i, doubtful;
    ngx_wscast_redis_node_t  *node;

    if (!redis->handed || !ngx_wscast_redis_all_marked(redis)) {
        return NGX_AGAIN;
    }

    doubtful = redis->doubtful;

    ngx_wscast_redis_handover_end(redis);
    ngx_wscast_redis_heard(redis);
    ngx_wscast_redis_take_over(redis, doubtful);

    ngx_wscast_redis_each(redis, i, node) {
        ngx_wscast_redis_link_resume(&node->subscriber);
    }

    return NGX_OK;
}


/* The leader */


void
ngx_wscast_redis_bequeath(ngx_wscast_redis_t *redis, uint64_t epoch)
{
    ngx_uint_t                i;
    ngx_wscast_redis_node_t  *node;

    ngx_wscast_redis_unmark(redis);

    redis->epoch = epoch;
    redis->bequeathing = 1;

    ngx_wscast_redis_each(redis, i, node) {
        if (ngx_wscast_redis_link_ready(&node->subscriber)) {
            ngx_wscast_redis_handover_ready(node);
        }
    }
}


void
ngx_wscast_redis_handover_confirmed(ngx_wscast_redis_node_t *node)
{
    ngx_uint_t           i;
    wscast_record_t      rec;
    ngx_wscast_redis_t  *redis;

    redis = node->redis;
    node->ready = 1;

    if (!redis->bequeathing) {
        return;
    }

    ngx_wscast_redis_each(redis, i, node) {
        if (node->slots && !node->ready) {
            return;
        }
    }

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


/* Both: the marker.  NGX_AGAIN: read no further. */

ngx_int_t
ngx_wscast_redis_handover_marker(ngx_wscast_redis_node_t *node,
    redisReply *payload)
{
    u_char               epoch[NGX_INT64_LEN];
    size_t               len;
    ngx_wscast_redis_t  *redis;

    redis = node->redis;
    len = ngx_sprintf(epoch, "%uL", redis->epoch) - epoch;

    if ((size_t) payload->len != len
        || ngx_memcmp(payload->str, epoch, len) != 0)
    {
        return NGX_OK;                          /* of an earlier handover */
    }

    if (redis->resigning || (!redis->apprentice && !redis->bequeathing)) {
        return NGX_OK;
    }

    node->marked = 1;

    return redis->apprentice ? ngx_wscast_redis_inherited(redis)
                             : ngx_wscast_redis_bequeathed(redis);
}


static ngx_int_t
ngx_wscast_redis_bequeathed(ngx_wscast_redis_t *redis)
{
    uint64_t         heir;
    wscast_record_t  rec;

    if (!ngx_wscast_redis_all_marked(redis)) {
        return NGX_AGAIN;
    }

    /* an heir that leaves, too, ceases to be one, but only until here */

    heir = redis->local->ring.sh->heir;

    if (!redis->handler->pass(redis->ctx, redis->epoch)) {
        ngx_wscast_redis_unmark(redis);
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

    /* its connections cannot be closed in here, while they are being read */

    ngx_post_event(&redis->resign, &ngx_posted_events);

    return NGX_OK;
}


static ngx_uint_t
ngx_wscast_redis_all_marked(ngx_wscast_redis_t *redis)
{
    ngx_uint_t                i;
    ngx_wscast_redis_node_t  *node;

    ngx_wscast_redis_each(redis, i, node) {
        if (node->slots && !node->marked) {
            return 0;
        }
    }

    return 1;
}


/* The leader goes on where it has waited, and takes these markers for old. */

static void
ngx_wscast_redis_unmark(ngx_wscast_redis_t *redis)
{
    ngx_uint_t                i;
    ngx_wscast_redis_node_t  *node;

    redis->epoch = 0;
    redis->waiting = 0;

    ngx_wscast_redis_each(redis, i, node) {
        if (node->marked) {
            node->marked = 0;
            ngx_wscast_redis_link_resume(&node->subscriber);
        }
    }
}


/*
 * A leader that is at some markers, but not at all, delivers nothing from those
 * servers: not for long.
 */

void
ngx_wscast_redis_handover_tick(ngx_wscast_redis_t *redis)
{
    ngx_uint_t                i, waiting;
    ngx_wscast_redis_node_t  *node;

    ngx_wscast_redis_handover_check(redis);

    if (!redis->bequeathing || redis->resigning) {
        return;
    }

    waiting = 0;

    ngx_wscast_redis_each(redis, i, node) {
        waiting |= node->marked;
    }

    if (!waiting) {
        redis->waiting = 0;

    } else if (++redis->waiting > NGX_WSCAST_HANDOVER_MARKERS) {
        ngx_wscast_redis_unmark(redis);
    }
}


static void
ngx_wscast_redis_resign_handler(ngx_event_t *ev)
{
    ngx_wscast_redis_t  *redis;

    redis = ev->data;
    redis->handler->resigned(redis->ctx);
}
