/*
 * redis_cluster.h: the servers of a cluster and their slots.
 *
 * Audience: redis*.c.  One more connection, the scout, asks now and then who
 * owns which slot, and at once when there is reason to doubt what is known.  A
 * command that came to the wrong server is sent again to the right one, in its
 * order among those of its slot.  (Redis Cluster specification: keys
 * distribution model, MOVED redirection, ASK redirection, multiple keys.)
 */

#ifndef NGX_WSCAST_REDIS_CLUSTER_H
#define NGX_WSCAST_REDIS_CLUSTER_H


#include "redis_inner.h"


/* Held commands; over it a publish must wait. */
#define NGX_WSCAST_CLUSTER_HELD   NGX_WSCAST_REDIS_OUT      /* bytes */

#define NGX_WSCAST_CLUSTER_AGAIN  25        /* ms until one is tried again */
#define NGX_WSCAST_CLUSTER_TRIES  5         /* at once; then after that pause */
#define NGX_WSCAST_CLUSTER_HOPS   16        /* from server to server, within a
                                               second */
#define NGX_WSCAST_CLUSTER_ASK    5         /* s between questions, if all is
                                               well */
#define NGX_WSCAST_CLUSTER_GAP    1000      /* ms that a slot may be nobody's
                                               before that is believed; that a
                                               publish waits for its owner */
#define NGX_WSCAST_CLUSTER_PATIENCE  3      /* s with a scout that knows no way
                                               out */
#define NGX_WSCAST_CLUSTER_SPARE  3         /* s that a server without slots is
                                               still listened to */


typedef enum {
    NGX_WSCAST_CLUSTER_FINE = 0,    /* it is the answer */
    NGX_WSCAST_CLUSTER_ELSEWHERE,   /* ask there */
    NGX_WSCAST_CLUSTER_LATER        /* ask once more */
} ngx_wscast_cluster_verdict_e;


struct ngx_wscast_cluster_s {
    ngx_wscast_redis_t       *redis;

    ngx_wscast_redis_link_t   scout;
    ngx_uint_t                turn;         /* whom it connects to next */
    ngx_uint_t                asked;        /* answers due to it */
    ngx_uint_t                ticks;        /* s since the last question */
    ngx_uint_t                broken;       /* s without all servers */
    ngx_uint_t                covered;      /* slots that have an owner */

    uint64_t                  number;       /* of the last command */
    wscast_list_t             held;         /* commands to be sent again */
    size_t                    held_len;     /* bytes */
    ngx_event_t               timer;
    u_char                    guard[40];    /* the name of a script */

    unsigned                  known:1;      /* the scout has been answered */
    unsigned                  sharded:1;    /* it has SPUBLISH: Redis 7 */
    unsigned                  complained:1; /* since an answer helped */
    unsigned                  given_up:1;   /* a command, this second */
    unsigned                  scouted:1;    /* the scout knows of SPUBLISH */
    unsigned                  hopping:1;    /* some of hops are not 0 */
    unsigned                  lacking:1;    /* the scout was told of fewer slots
                                               than owners has */
    unsigned                  due:1;        /* there was a doubt, and the scout
                                               has not answered since */
    unsigned                  anew:1;       /* asked already when there was */
    unsigned                  deaf:1;       /* this host did not hear of a slot
                                               whose owner was there */
    unsigned                  waited:1;     /* writable() is owed */
    ngx_msec_t                lacks_since;
    ngx_msec_t                due_since;
    ngx_msec_t                deaf_since;

    uint8_t                   owners[NGX_WSCAST_REDIS_SLOTS];   /* node + 1;
                                                                   or 0 */
    uint8_t                   hops[NGX_WSCAST_REDIS_SLOTS];     /* in this
                                                                   second */
    uint16_t                  flying[NGX_WSCAST_REDIS_SLOTS];   /* sent, not
                                                                   answered */
    uint16_t                  waiting[NGX_WSCAST_REDIS_SLOTS];  /* held */
};


/* redis_cluster.c: NGX_ERROR: no memory. */
ngx_int_t ngx_wscast_cluster_open(ngx_wscast_redis_t *redis);
void ngx_wscast_cluster_close(ngx_wscast_redis_t *redis);

/* redis_cluster.c: once a second. */
void ngx_wscast_cluster_tick(ngx_wscast_cluster_t *cluster);

/* redis_cluster.c: what is known may be wrong. */
void ngx_wscast_cluster_doubt(ngx_wscast_cluster_t *cluster);

/* 1 if every slot has an owner. */
#define ngx_wscast_cluster_covered(cluster)                                   \
    ((cluster)->covered == NGX_WSCAST_REDIS_SLOTS)

/* 1 if it was not longer ago than that. */
#define ngx_wscast_cluster_lately(since)                                      \
    (ngx_current_msec - (since) < NGX_WSCAST_CLUSTER_GAP)

/*
 * redis_cluster.c: may a publish to this slot be sent?  NGX_OK; NGX_AGAIN: it
 * waits until it is known who has the slot now, or the leader listens there;
 * NGX_DECLINED: it is refused.
 */
ngx_int_t ngx_wscast_cluster_admits(ngx_wscast_cluster_t *cluster,
    ngx_uint_t slot);

/* redis_cluster.c: writable() will be called. */
void ngx_wscast_cluster_wait(ngx_wscast_cluster_t *cluster);

/*
 * redis_cluster.c: from is told that the slot is with the server of this
 * address, "host:port" or "host:port@...".  Returns it; NULL: no address, or no
 * room for another server.
 */
ngx_wscast_redis_node_t *ngx_wscast_cluster_at(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_link_t *from, const char *address, size_t len);
void ngx_wscast_cluster_own(ngx_wscast_cluster_t *cluster, ngx_uint_t slot,
    ngx_wscast_redis_node_t *node);


/* redis_slots.c: the answer to CLUSTER SLOTS becomes what is known. */
ngx_int_t ngx_wscast_cluster_learn(ngx_wscast_cluster_t *cluster,
    redisReply *reply);

/* redis_name.c: of a key; what is in braces alone, as Redis does. */
ngx_uint_t ngx_wscast_cluster_slot(const u_char *key, size_t len);


/* redis_redirect.c: sends, or holds behind those that are held. */
ngx_int_t ngx_wscast_cluster_send(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_node_t *node, ngx_wscast_redis_command_t *cmd,
    ngx_uint_t force);

/* redis_redirect.c: NGX_DECLINED: it was the wrong server, it is held. */
ngx_int_t ngx_wscast_cluster_answered(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_node_t *node, ngx_wscast_redis_command_t *cmd,
    redisReply *reply);

/* redis_redirect.c: it will not be. */
void ngx_wscast_cluster_unanswered(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_command_t *cmd);

/* redis_redirect.c: what is held may go. */
void ngx_wscast_cluster_ready(ngx_wscast_cluster_t *cluster);

/* redis_redirect.c: there is no server of this number any more. */
void ngx_wscast_cluster_forget(ngx_wscast_cluster_t *cluster, ngx_uint_t i);

/* redis_redirect.c: is it an error that begins with that? */
ngx_uint_t ngx_wscast_cluster_is(redisReply *reply, const char *word);

/* redis_guard.c: once. */
void ngx_wscast_guard_init(ngx_wscast_cluster_t *cluster);

/*
 * redis_guard.c: what an error says of a guarded publish, unless it is one that
 * any command may get.
 */
ngx_wscast_cluster_verdict_e ngx_wscast_guard_verdict(
    ngx_wscast_cluster_t *cluster, ngx_wscast_redis_node_t *node,
    ngx_wscast_redis_command_t *cmd, redisReply *reply);

/* redis_redirect.c */
void ngx_wscast_cluster_timer(ngx_event_t *ev);

/*
 * redis_redirect.c: "MOVED 3999 host:port", of any server.  1: it is one, and
 * its slot has another owner now.
 */
ngx_uint_t ngx_wscast_cluster_moved(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_link_t *from, redisReply *reply, ngx_uint_t *slot);


#endif /* NGX_WSCAST_REDIS_CLUSTER_H */
