/*
 * redis.h: publications between hosts.
 *
 * Audience: bus.c.  Each worker has one connection that publishes; the leader,
 * one worker of the host, has one more that is subscribed to whatever any
 * worker of the host listens to, and puts what arrives into the ring.  So a
 * message crosses from Redis to a host once, and all hosts see Redis' order.
 */

#ifndef NGX_WSCAST_REDIS_H
#define NGX_WSCAST_REDIS_H


#include "redis_link.h"
#include "local.h"
#include "../base/list.h"
#include "../base/map.h"


typedef struct {
    /* there is room for publishes again */
    void                    (*writable)(void *ctx);

    /* the leader: the heir of this epoch shall lead; 1: it does */
    ngx_uint_t              (*pass)(void *ctx, uint64_t epoch);

    /* the leader has ended; in an event of its own */
    void                    (*resigned)(void *ctx);

    /* as those of ngx_wscast_bus_handler_t; arrived: NGX_DECLINED: append it */
    void                    (*reachable)(void *ctx);
    ngx_int_t               (*arrived)(void *ctx, wscast_str_t channel,
                                       wscast_str_t bytes);
    ngx_int_t               (*confirmed)(void *ctx, wscast_str_t channel,
                                         ngx_uint_t missed);
    void                    (*unsubscribed)(void *ctx);
} ngx_wscast_redis_handler_t;


/*
 * Redis answers the commands of a connection in their order: the n-th reply is
 * that of the n-th command.  A call knows its number; all others are publishes,
 * whose receipts are in order.
 */

typedef struct {
    ngx_wscast_bus_conf_t    *conf;
    ngx_wscast_local_t       *local;
    ngx_log_t                *log;
    const ngx_wscast_redis_handler_t   *handler;
    void                     *ctx;

    ngx_wscast_redis_link_t   publisher;
    uint64_t                  sent;         /* commands */
    uint64_t                  answered;     /* of them */
    wscast_list_t             receipts;     /* in the order of their commands */
    wscast_list_t             calls;        /* the same */
    ngx_wscast_call_t         probe;        /* PING; linked: under way */
    u_char                   *name;         /* scratch: prefix and channel */

    ngx_wscast_redis_link_t   subscriber;   /* of the leader */
    wscast_map_t              channels;     /* ngx_wscast_redis_channel_t */
    uint64_t                  nonces[WSCAST_SLOTS];     /* last heard of */
    uint64_t                  tenancies;    /* at the last check */
    ngx_uint_t                gaps;         /* channels, since the last loss */

    uint64_t                  epoch;        /* of a handover */
    wscast_slotset_t          recalled;     /* heir: who has told it all */
    wscast_receipt_t          marker;       /* heir: of its PUBLISH */
    ngx_event_t               resign;       /* leader: posted, its last act */

    unsigned                  leading:1;    /* subscribed for the host */
    unsigned                  apprentice:1; /* heir: delivers nothing */
    unsigned                  proving:1;    /* heir: asked whether all its
                                               subscriptions stand */
    unsigned                  marked:1;     /* heir: its marker is under way */
    unsigned                  handed:1;     /* heir: the leader has ended */
    unsigned                  bequeathing:1;    /* leader: it has an heir */
    unsigned                  doubtful:1;   /* clients were let in, and have
                                               perhaps missed something that
                                               the leader did not make up for */
    unsigned                  resigning:1;  /* leader: delivers no more */
} ngx_wscast_redis_t;


/* NGX_ERROR: no memory. */
ngx_int_t ngx_wscast_redis_open(ngx_wscast_redis_t *redis,
    ngx_wscast_bus_conf_t *conf, ngx_wscast_local_t *local, ngx_log_t *log,
    const ngx_wscast_redis_handler_t *handler, void *ctx);

/* Calls outstanding receipts with WSCAST_CLOSE_AWAY, calls without a reply. */
void ngx_wscast_redis_close(ngx_wscast_redis_t *redis);

/* As ngx_wscast_bus_publish(): MORE, AGAIN, or a reason. */
wscast_status_t ngx_wscast_redis_publish(ngx_wscast_redis_t *redis,
    wscast_str_t channel, wscast_str_t bytes, wscast_receipt_t *receipt);

/* As ngx_wscast_bus_call(). */
ngx_int_t ngx_wscast_redis_call(ngx_wscast_redis_t *redis,
    ngx_wscast_call_t *call, int argc, const char **argv, const size_t *lens,
    ngx_uint_t force);

/* As ngx_wscast_bus_announce(). */
void ngx_wscast_redis_announce(ngx_wscast_redis_t *redis,
    wscast_str_t channel);

/* This worker becomes the leader, or is it no more. */
void ngx_wscast_redis_lead(ngx_wscast_redis_t *redis);
void ngx_wscast_redis_follow(ngx_wscast_redis_t *redis);

/* A WANT, RECALL or UNWANT for the leader. */
void ngx_wscast_redis_want(ngx_wscast_redis_t *redis,
    const wscast_record_t *rec);

/*
 * The handover, see redis_handover.c.  This worker becomes the heir; the leader
 * has got one; a slot has told the heir all that it wants; the leader has
 * ended.
 */
void ngx_wscast_redis_inherit(ngx_wscast_redis_t *redis, uint64_t epoch);
void ngx_wscast_redis_bequeath(ngx_wscast_redis_t *redis, uint64_t epoch);
void ngx_wscast_redis_recalled(ngx_wscast_redis_t *redis,
    const wscast_record_t *rec);
void ngx_wscast_redis_handed(ngx_wscast_redis_t *redis,
    const wscast_record_t *rec);

/* There may be room in the ring. */
void ngx_wscast_redis_resume(ngx_wscast_redis_t *redis);

/* Once a second. */
void ngx_wscast_redis_tick(ngx_wscast_redis_t *redis);


/* For the files of this room: what hears of the subscribing connection. */
extern const ngx_wscast_redis_link_handler_t  ngx_wscast_redis_subscriber;

/* For the files of this room: a command whose answer the receipt gets. */
ngx_int_t ngx_wscast_redis_send(ngx_wscast_redis_t *redis,
    wscast_receipt_t *receipt, int argc, const char **argv, const size_t *lens,
    ngx_uint_t force);

/* For the files of this room: the name in Redis; valid until the next call. */
wscast_str_t ngx_wscast_redis_name(ngx_wscast_redis_t *redis,
    wscast_str_t channel);


/* For the files of this room, all of redis_handover.c. */
void ngx_wscast_redis_handover_init(ngx_wscast_redis_t *redis);
void ngx_wscast_redis_handover_end(ngx_wscast_redis_t *redis);
void ngx_wscast_redis_handover_ready(ngx_wscast_redis_t *redis);
void ngx_wscast_redis_handover_check(ngx_wscast_redis_t *redis);
void ngx_wscast_redis_handover_pong(ngx_wscast_redis_t *redis);
void ngx_wscast_redis_handover_confirmed(ngx_wscast_redis_t *redis);
ngx_int_t ngx_wscast_redis_handover_marker(ngx_wscast_redis_t *redis,
    redisReply *payload);
ngx_uint_t ngx_wscast_redis_handover_is_marker(ngx_wscast_redis_t *redis,
    redisReply *channel);

/* For the files of this room: the heir leads, its channels are live. */
void ngx_wscast_redis_take_over(ngx_wscast_redis_t *redis,
    ngx_uint_t doubtful);

/* redis_gate.c: whether there are channels that have not caught up yet. */
ngx_uint_t ngx_wscast_redis_unsettled(ngx_wscast_redis_t *redis);


#endif /* NGX_WSCAST_REDIS_H */
