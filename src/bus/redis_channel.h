/*
 * redis_channel.h: a channel that some worker of this host listens to.
 *
 * Audience: redis_subscribe.c (subscribes for it), redis_subscriber.c (hears of
 * it), redis_gate.c (lets its messages, and the news that it is live, into the
 * ring).  The leader's, and the heir's.
 */

#ifndef NGX_WSCAST_REDIS_CHANNEL_H
#define NGX_WSCAST_REDIS_CHANNEL_H


#include "redis_inner.h"


typedef struct {
    wscast_map_node_t    node;          /* key: its name in Redis, behind */
    wscast_str_t         channel;       /* its name, too */
    ngx_wscast_redis_node_t   *at;      /* who is subscribed to for it; NULL:
                                           nobody has its slot */
    ngx_uint_t           slot;          /* of the cluster */
    wscast_slotset_t     wanted;        /* by these slots */
    uint32_t             unconfirmed;   /* commands under way */
    unsigned             live:1;        /* confirmed, and nothing lost since */
    unsigned             asked:1;       /* confirmed, and what was missed is
                                           being fetched; not live yet */
    unsigned             missed:1;      /* was live, or is of another leader */
    unsigned             shaken:1;      /* it was missed, which those who listen
                                           have not been told yet */
    unsigned             excused:1;     /* its waiters were let go on */
    unsigned             fresh:1;       /* the heir's: wanted since it is one,
                                           the leader may not have it */
} ngx_wscast_redis_channel_t;


/* redis_subscribe.c: may somebody have been on it before this leader was? */
ngx_uint_t ngx_wscast_redis_untold(ngx_wscast_redis_t *redis,
    const ngx_wscast_redis_channel_t *ch);

/* redis_subscribe.c: at who has its slot; lets its clients in if that fails. */
void ngx_wscast_redis_subscribe(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_channel_t *ch);

/* redis_subscribe.c: it is subscribed to no more, against our will. */
void ngx_wscast_redis_cut(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_channel_t *ch);

/* redis_gate.c: a message of a channel.  NGX_AGAIN: no room. */
ngx_int_t ngx_wscast_redis_message(ngx_wscast_redis_node_t *node,
    redisReply *channel, redisReply *payload);

/* redis_gate.c: Redis has confirmed a SUBSCRIBE or an UNSUBSCRIBE. */
void ngx_wscast_redis_confirmed(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_channel_t *ch);

/* redis_gate.c: the subscription stands; what was before may be missed. */
void ngx_wscast_redis_admit(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_channel_t *ch);

/*
 * redis_gate.c: tells one worker, or with WSCAST_NO_SLOT all that are
 * interested, that messages will arrive.
 */
void ngx_wscast_redis_live(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_channel_t *ch, ngx_uint_t slot);


#endif /* NGX_WSCAST_REDIS_CHANNEL_H */
