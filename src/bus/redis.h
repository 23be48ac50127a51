/*
 * redis.h: publications between hosts.
 *
 * Audience: bus.c.  Each worker has one connection that publishes; the leader,
 * one worker of the host, has one more that is subscribed to whatever any
 * worker of the host listens to, and puts what arrives into the ring.  So a
 * message crosses from Redis to a host once, and all hosts see Redis' order.
 * In a cluster that is so with each of its masters: a channel is with the one
 * that owns its slot.
 */

#ifndef NGX_WSCAST_REDIS_H
#define NGX_WSCAST_REDIS_H


#include "redis_link.h"
#include "local.h"
#include "../base/list.h"
#include "../base/map.h"


#define NGX_WSCAST_REDIS_SLOTS   16384      /* of a cluster */
#define NGX_WSCAST_REDIS_NODES   128        /* masters of a cluster; of more it
                                               makes no use */


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
    void                    (*unsubscribed)(void *ctx,
                                            const wscast_str_t *channel);
} ngx_wscast_redis_handler_t;


typedef struct ngx_wscast_redis_s    ngx_wscast_redis_t;
typedef struct ngx_wscast_cluster_s  ngx_wscast_cluster_t;


/* A command that has not been answered yet: redis_node.c, redis_redirect.c. */

typedef struct {
    wscast_list_t             link;
    wscast_receipt_t         *receipt;      /* of a publish; or */
    ngx_wscast_call_t        *call;         /* of anything else; or */
    struct ngx_wscast_round_s    *round;    /* of one that all servers get;
                                               or nothing: of ASKING */

    char                     *bytes;        /* in a cluster: as it was sent */
    size_t                    len;
    ngx_uint_t                slot;         /* of the cluster */
    uint64_t                  number;       /* the same */
    ngx_msec_t                deadline;     /* held: it fails then */
    ngx_uint_t                asked;        /* held: node + 1 to be ASKed */
    ngx_uint_t                tries;        /* how often it has been held */
    unsigned                  guarded:1;    /* a publish: redis_guard.c */
} ngx_wscast_redis_command_t;


/*
 * A server: of a cluster one of its masters, else the only one.  Redis answers
 * the commands of a connection in their order.
 */

typedef struct {
    ngx_wscast_redis_t       *redis;
    ngx_uint_t                number;       /* its place in redis->nodes */

    ngx_wscast_redis_link_t   publisher;
    wscast_list_t             commands;     /* in order */
    ngx_wscast_call_t         probe;        /* PING or ROLE */

    ngx_wscast_redis_link_t   subscriber;   /* of the leader */
    wscast_receipt_t          marker;       /* heir: of its PUBLISH */

    ngx_uint_t                slots;        /* that it owns; without a cluster
                                               1 */
    ngx_uint_t                spare;        /* s, since it owns none */

    unsigned                  probing:1;    /* the probe is under way */
    unsigned                  heard:1;      /* its subscriptions stand */
    unsigned                  failed:1;     /* they have not once, at least */
    unsigned                  ready:1;      /* leader: subscribed to the
                                               marker */
    unsigned                  proving:1;    /* heir: asked whether all its
                                               subscriptions stand */
    unsigned                  marking:1;    /* heir: the marker is under way */
    unsigned                  sent:1;       /* heir: it has been before */
    unsigned                  marked:1;     /* the marker has come, and waits */
} ngx_wscast_redis_node_t;


struct ngx_wscast_redis_s {
    ngx_wscast_bus_conf_t    *conf;
    ngx_wscast_local_t       *local;
    ngx_log_t                *log;
    const ngx_wscast_redis_handler_t   *handler;
    void                     *ctx;

    ngx_wscast_redis_node_t  *nodes[NGX_WSCAST_REDIS_NODES];
    ngx_uint_t                nnodes;       /* ever used; some may be NULL */
    ngx_wscast_cluster_t     *cluster;      /* NULL: there is one server */
    u_char                   *name;         /* scratch: a name in Redis */

    wscast_map_t              channels;     /* ngx_wscast_redis_channel_t */
    uint64_t                  nonces[WSCAST_SLOTS];     /* last heard of */
    uint64_t                  tenancies;    /* at the last check */
    ngx_uint_t                gaps;         /* channels, since the last loss */

    uint64_t                  epoch;        /* of a handover */
    uint64_t                  begun;        /* leader, heir: its epoch when it
                                               became that */
    wscast_slotset_t          recalled;     /* who has told it all since */
    ngx_uint_t                waiting;      /* s, at markers */
    uint64_t                  since;        /* ms since 1970: servers have
                                               changed, perhaps */
    ngx_event_t               resign;       /* leader: posted, its last act */

    unsigned                  complete:1;   /* all servers can be told things */
    unsigned                  leading:1;    /* subscribed for the host */
    unsigned                  apprentice:1; /* heir: delivers nothing */
    unsigned                  handed:1;     /* heir: the leader has ended */
    unsigned                  bequeathing:1;    /* leader: it has an heir */
    unsigned                  doubtful:1;   /* leader: clients were let in, and
                                               have perhaps missed something
                                               that it did not make up for;
                                               heir: so the leader says, or it
                                               has lost what is behind a
                                               marker */
    unsigned                  resigning:1;  /* leader: delivers no more */
};


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
    ngx_wscast_call_t *call, wscast_str_t key, int argc, const char **argv,
    const size_t *lens, ngx_uint_t force);

/* As ngx_wscast_bus_receiving(); and 1 if a publish there is sent now. */
ngx_uint_t ngx_wscast_redis_receives(ngx_wscast_redis_t *redis,
    wscast_str_t channel);
ngx_uint_t ngx_wscast_redis_reaches(ngx_wscast_redis_t *redis,
    wscast_str_t channel);

/* As ngx_wscast_bus_sharded(). */
ngx_uint_t ngx_wscast_redis_sharded(ngx_wscast_redis_t *redis);

/* As ngx_wscast_bus_since(). */
uint64_t ngx_wscast_redis_since(ngx_wscast_redis_t *redis);

/* As ngx_wscast_bus_announce(). */
void ngx_wscast_redis_announce(ngx_wscast_redis_t *redis,
    wscast_str_t channel);

/* This worker becomes the leader, in this epoch, or is it no more. */
void ngx_wscast_redis_lead(ngx_wscast_redis_t *redis, uint64_t epoch);
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


#endif /* NGX_WSCAST_REDIS_H */
