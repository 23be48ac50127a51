/*
 * redis_inner.h: what the files of the bus' talk with Redis share.
 *
 * Audience: redis.c (the facade), redis_node.c (commands and replies),
 * redis_subscribe.c (what the host is subscribed to), redis_subscriber.c (what
 * a subscribing connection says), redis_gate.c (what comes
 * of it, into the ring), redis_handover.c (from one leader to the next),
 * redis_cluster.c (who owns which slot), redis_redirect.c (who was asked in
 * vain), redis_guard.c (publishing at masters alone).
 */

#ifndef NGX_WSCAST_REDIS_INNER_H
#define NGX_WSCAST_REDIS_INNER_H


#include "redis.h"


/* Of a command that has no key, and of all channels. */
#define NGX_WSCAST_ANY_SLOT  NGX_WSCAST_REDIS_SLOTS


/* A command for all servers: one call, as many answers. */

typedef struct ngx_wscast_round_s  ngx_wscast_round_t;

struct ngx_wscast_round_s {
    ngx_wscast_call_t    *call;
    ngx_uint_t            pending;      /* servers */
    unsigned              failed:1;     /* one did not answer */
};


/* All servers there are, in any order. */

#define ngx_wscast_redis_each(redis, i, node)                                 \
    for ((i) = 0; (i) < (redis)->nnodes; (i)++)                               \
        if (((node) = (redis)->nodes[i]) != NULL)


/* redis_node.c: a new one, which begins to connect.  NULL: no room for it. */
ngx_wscast_redis_node_t *ngx_wscast_redis_node_add(ngx_wscast_redis_t *redis,
    ngx_sockaddr_t *sockaddr, socklen_t socklen);

/* redis_node.c: an end of it; what it was told is not answered any more. */
void ngx_wscast_redis_node_remove(ngx_wscast_redis_t *redis, ngx_uint_t i);

/*
 * redis_node.c: sends a command of which receipt, call or round hears; slot is
 * of its key.  As ngx_wscast_redis_link_command().
 */
ngx_int_t ngx_wscast_redis_send(ngx_wscast_redis_node_t *node,
    const ngx_wscast_redis_command_t *as, int argc, const char **argv,
    const size_t *lens, ngx_uint_t force);

/* redis_node.c: the same with a made one, which the node keeps if NGX_OK. */
ngx_int_t ngx_wscast_redis_node_send(ngx_wscast_redis_node_t *node,
    ngx_wscast_redis_command_t *cmd, ngx_uint_t force);

/* redis_node.c: the end of a command; reply NULL: it is not answered. */
void ngx_wscast_redis_answer(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_command_t *cmd, redisReply *reply);

/* redis_node.c: who answers from now on may be another server. */
void ngx_wscast_redis_changing(ngx_wscast_redis_t *redis);

/* redis_node.c: do all servers stand that there should be? */
void ngx_wscast_redis_completed(ngx_wscast_redis_t *redis);


/* redis.c: its name in Redis, prefix and all; valid until the next call. */
wscast_str_t ngx_wscast_redis_name(ngx_wscast_redis_t *redis,
    wscast_str_t channel);

/* The same name's slot, and who owns that; NULL: nobody is known to. */
ngx_uint_t ngx_wscast_redis_slot(ngx_wscast_redis_t *redis, wscast_str_t name);
ngx_wscast_redis_node_t *ngx_wscast_redis_owner(ngx_wscast_redis_t *redis,
    ngx_uint_t slot);


/*
 * redis_guard.c: SPUBLISH that no replica takes: its first 3 words,
 * before name and payload, and how many they are; and what they call is given
 * to a server, before they are sent there.
 */
int ngx_wscast_guard_words(ngx_wscast_redis_t *redis, const char **argv,
    size_t *lens);
void ngx_wscast_guard_load(ngx_wscast_redis_node_t *node);


/* redis_subscriber.c: what hears of a subscribing connection. */
extern const ngx_wscast_redis_link_handler_t  ngx_wscast_redis_subscriber;

/* redis_subscriber.c: does all that is published reach this host? */
void ngx_wscast_redis_heard(ngx_wscast_redis_t *redis);

/* redis_subscribe.c: channels of this slot, or all, go to who owns them now. */
void ngx_wscast_redis_move(ngx_wscast_redis_t *redis, ngx_uint_t slot);

/* redis_subscribe.c: slots whose tenant is gone want nothing any more. */
void ngx_wscast_redis_sweep(ngx_wscast_redis_t *redis);


/* redis_gate.c: whether there are channels that have not caught up yet. */
ngx_uint_t ngx_wscast_redis_unsettled(ngx_wscast_redis_t *redis);

/* redis_gate.c: the heir leads, its channels are live. */
void ngx_wscast_redis_take_over(ngx_wscast_redis_t *redis,
    ngx_uint_t doubtful);


/* redis_handover.c */
void ngx_wscast_redis_handover_init(ngx_wscast_redis_t *redis);
void ngx_wscast_redis_handover_end(ngx_wscast_redis_t *redis);
void ngx_wscast_redis_handover_check(ngx_wscast_redis_t *redis);
void ngx_wscast_redis_handover_tick(ngx_wscast_redis_t *redis);
void ngx_wscast_redis_handover_ready(ngx_wscast_redis_node_t *node);
void ngx_wscast_redis_handover_lost(ngx_wscast_redis_node_t *node);
void ngx_wscast_redis_handover_pong(ngx_wscast_redis_node_t *node);
void ngx_wscast_redis_handover_confirmed(ngx_wscast_redis_node_t *node);
void ngx_wscast_redis_handover_marked(wscast_receipt_t *receipt,
    wscast_status_t status);
ngx_int_t ngx_wscast_redis_handover_marker(ngx_wscast_redis_node_t *node,
    redisReply *payload);
ngx_uint_t ngx_wscast_redis_handover_is_marker(ngx_wscast_redis_t *redis,
    redisReply *channel);


#endif /* NGX_WSCAST_REDIS_INNER_H */
