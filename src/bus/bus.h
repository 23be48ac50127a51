/*
 * bus.h: publications between the workers of a host (local.c) and between
 * hosts (redis.c).
 *
 * Audience: worker.  One bus per hub and process.
 *
 * Every delivery comes out of the ring, in its order, through deliver(): that
 * of the own worker too, and with Redis only after Redis has sent it back.
 * Records are read in an event of their own, never inside a call of this
 * header, so that no caller is re-entered.
 */

#ifndef NGX_WSCAST_BUS_H
#define NGX_WSCAST_BUS_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "../base/base.h"
#include "../base/counter.h"
#include "../base/receipt.h"
#include "ring.h"


struct redisReply;

typedef struct ngx_wscast_bus_s   ngx_wscast_bus_t;
typedef struct ngx_wscast_call_s  ngx_wscast_call_t;


/*
 * A command to Redis.  Whoever hands it over keeps it alive until done(), which
 * is called exactly once, never inside ngx_wscast_bus_call().  The reply is
 * the bus's, and dies when done() returns.
 */

struct ngx_wscast_call_s {
    /* reply: NULL: Redis is away, or did not answer in redis_timeout */
    void                (*done)(ngx_wscast_call_t *call,
                                struct redisReply *reply);
};


/* Of a hub; filled by http/conf, lives as long as the configuration. */

typedef struct {
    ngx_str_t             name;
    ngx_shm_zone_t       *zone;
    size_t                zone_size;

    ngx_url_t            *redis;            /* NULL: embedded */
    ngx_str_t             redis_master;     /* if not empty, redis are the
                                               sentinels that know it */
    ngx_str_t             redis_user;
    ngx_str_t             redis_password;
    ngx_str_t             redis_sentinel_user;
    ngx_str_t             redis_sentinel_password;
    ngx_uint_t            redis_cluster;    /* 1: redis are some of one */
    ngx_int_t             redis_db;
    ngx_ssl_t            *redis_ssl;        /* NULL: without TLS */
    ngx_str_t             redis_ssl_name;   /* with a zero behind it */
    ngx_uint_t            redis_ssl_verify;
    ngx_str_t             redis_prefix;
    ngx_msec_t            redis_connect_timeout;
    ngx_msec_t            redis_timeout;
    ngx_msec_t            redis_reconnect_min;
    ngx_msec_t            redis_reconnect_max;
    ngx_uint_t            redis_fallback;   /* 1: publish on this host alone */
} ngx_wscast_bus_conf_t;


typedef struct {
    /* 1: too much waits for delivery, the bus is to be read later */
    ngx_uint_t          (*full)(void *ctx);

    /* the bytes of a publication; returns how many subscribers got it */
    size_t              (*deliver)(void *ctx, wscast_str_t channel,
                                   wscast_str_t bytes);

    /*
     * Messages of this channel arrive from now on.  shaken: they did before,
     * and what was published meanwhile may have been missed.
     */
    void                (*live)(void *ctx, wscast_str_t channel,
                                ngx_uint_t shaken);

    /* a publish that was answered NGX_AGAIN may be tried again */
    void                (*writable)(void *ctx);

    /* messages have been lost to this worker: all its clients must go */
    void                (*lapped)(void *ctx);

    /* how many subscribers a channel has on this worker */
    size_t              (*count)(void *ctx, wscast_str_t channel);

    /* calls ngx_wscast_bus_want() for every channel with subscribers */
    void                (*recall)(void *ctx);

    /* once a second */
    void                (*tick)(void *ctx);

    /* this process shuts down gracefully */
    void                (*exiting)(void *ctx);

    /* with Redis: commands can be sent, for the first time or again */
    void                (*reachable)(void *ctx);

    /*
     * In the leader.  A message from Redis that has a position: it is appended
     * by ngx_wscast_bus_append(), or known already.  NGX_OK; NGX_AGAIN: there
     * is no room, it will be given once more.
     */
    ngx_int_t           (*arrived)(void *ctx, wscast_str_t channel,
                                   wscast_str_t bytes);

    /*
     * In the leader.  Redis has confirmed a subscription.  missed: clients of
     * this host were on the channel before, messages may be missing.  NGX_OK:
     * nobody can tell (without history), it is live now, and a gap if missed;
     * NGX_AGAIN: ngx_wscast_bus_announce() will be called.  It may be called
     * again for the same channel before that, then the former is void; never
     * for channels whose name begins with a control character.
     */
    ngx_int_t           (*confirmed)(void *ctx, wscast_str_t channel,
                                     ngx_uint_t missed);

    /*
     * This worker leads no more, or has lost the host's subscription: to this
     * channel, or with NULL to all.
     */
    void                (*unsubscribed)(void *ctx,
                                        const wscast_str_t *channel);
} ngx_wscast_bus_handler_t;


/* A question for the subscribers of a channel on this host. */

typedef struct ngx_wscast_census_s  ngx_wscast_census_t;

struct ngx_wscast_census_s {
    ngx_queue_t           queue;            /* the bus's */
    uint64_t              number;
    uint64_t              count;
    ngx_uint_t            awaited;          /* workers that have not told */
    ngx_msec_t            deadline;

    /* exactly once, never inside ngx_wscast_bus_count() */
    void                (*done)(ngx_wscast_census_t *census);
};


/*
 * Formats the hub's memory in its zone, or takes over what the previous
 * configuration left there (old: of ngx_shm_zone_t.init).  For http/conf.
 */
ngx_int_t ngx_wscast_bus_init_zone(ngx_wscast_bus_conf_t *conf, void *old);

/* The least size of a zone, bytes. */
size_t ngx_wscast_bus_min(void);

/* The longest channel and envelope together that a zone of this size takes. */
size_t ngx_wscast_bus_max(size_t zone);


/*
 * In a worker.  NULL: no memory.  A bus that finds no free slot in the shared
 * memory exists all the same, is not ready, and tries again every second.
 */
ngx_wscast_bus_t *ngx_wscast_bus_create(ngx_cycle_t *cycle,
    ngx_wscast_bus_conf_t *conf, const ngx_wscast_bus_handler_t *handler,
    void *ctx);

/* Leaves the shared memory and closes what is open; receipts are called. */
void ngx_wscast_bus_destroy(ngx_wscast_bus_t *bus);

/* 1 if it has a slot: clients may be taken. */
ngx_uint_t ngx_wscast_bus_ready(ngx_wscast_bus_t *bus);

/* 1 if a channel is published by SPUBLISH, not by PUBLISH. */
ngx_uint_t ngx_wscast_bus_sharded(ngx_wscast_bus_t *bus);

/*
 * ms since 1970: when this worker found its servers, as far as it knows of
 * changes; what Redis has said before may have been another server's word.
 */
uint64_t ngx_wscast_bus_since(ngx_wscast_bus_t *bus);

/* 1 if publishing needs a receipt. */
ngx_uint_t ngx_wscast_bus_remote(ngx_wscast_bus_t *bus);

/*
 * 1 if what is published in Redis now reaches this host: its subscription
 * stands.  0: publishing must be refused.
 */
ngx_uint_t ngx_wscast_bus_receiving(ngx_wscast_bus_t *bus,
    wscast_str_t channel);

/*
 * 1 if Redis is away, as far as this worker knows: what is published now is
 * answered WSCAST_CLOSE_AWAY.  Never without Redis.
 */
ngx_uint_t ngx_wscast_bus_away(ngx_wscast_bus_t *bus, wscast_str_t channel);

/* 1 if all of it is there: no channel is away. */
ngx_uint_t ngx_wscast_bus_whole(ngx_wscast_bus_t *bus);

/*
 * Publishes an envelope.
 *
 * WSCAST_OK      taken; receipt->receivers is set, if there is a receipt
 * WSCAST_MORE    under way; receipt, which is then required, will be called
 * WSCAST_AGAIN   no room; writable() will be called
 * WSCAST_CLOSE_AWAY, WSCAST_CLOSE_TOO_BIG, WSCAST_CLOSE_NO_MEMORY
 */
wscast_status_t ngx_wscast_bus_publish(ngx_wscast_bus_t *bus,
    wscast_str_t channel, wscast_str_t bytes, wscast_receipt_t *receipt);

/*
 * Appends an envelope to this host's ring, in one with a change of the memory
 * below.  stamp may be NULL.  receivers, if not NULL: workers that it is for.
 * WSCAST_OK, AGAIN, CLOSE_AWAY, CLOSE_TOO_BIG, or what the stamp answered.
 */
wscast_status_t ngx_wscast_bus_append(ngx_wscast_bus_t *bus,
    wscast_str_t channel, wscast_str_t bytes, wscast_stamp_t *stamp,
    uint64_t *receivers);

/*
 * The same for what came from Redis.  WSCAST_ERROR: this worker leads no more;
 * unsubscribed() will be called.
 */
wscast_status_t ngx_wscast_bus_relay(ngx_wscast_bus_t *bus,
    wscast_str_t channel, wscast_str_t bytes, wscast_stamp_t *stamp);

/* 1 if this worker leads; under the lock. */
ngx_uint_t ngx_wscast_bus_leads(ngx_wscast_bus_t *bus);

/*
 * Sends a command on this worker's connection to Redis, behind all that were
 * sent before; in a cluster to the server that has the key, behind all of its
 * slot; without a key to all servers, and what the last of them says is the
 * reply.  What is not forced is a publish, which is sent only where this host
 * would hear it.  NGX_OK; NGX_DECLINED: Redis is away; NGX_AGAIN: too much
 * waits, writable() will be called (never with force); NGX_ERROR: no memory.
 */
ngx_int_t ngx_wscast_bus_call(ngx_wscast_bus_t *bus, ngx_wscast_call_t *call,
    wscast_str_t key, int argc, const char **argv, const size_t *lens,
    ngx_uint_t force);

/*
 * A channel's name in Redis, behind the prefix: dst has room for _NAMED(its
 * length), and its end is returned.  And the channel of such a name, in dst
 * or as it is.
 */
#define NGX_WSCAST_BUS_NAMED(len)  (3 * (len))

u_char *ngx_wscast_bus_name(ngx_wscast_bus_conf_t *conf, u_char *dst,
    wscast_str_t channel);
wscast_str_t ngx_wscast_bus_unname(ngx_wscast_bus_conf_t *conf, u_char *dst,
    wscast_str_t name);

/* The answer to confirmed(): all workers are told that it is live. */
void ngx_wscast_bus_announce(ngx_wscast_bus_t *bus, wscast_str_t channel);


/*
 * The rest of the zone, for what outlives a message: zeros when it is new.  The
 * ring's lock guards it; recover() is called whenever the lock was just taken,
 * with the ring's tail, for what a dead process has left half done.  The guard
 * is to be set right after _create(): the bus appends nothing of its own until
 * the event that created it is over.
 */
void *ngx_wscast_bus_memory(ngx_wscast_bus_t *bus, size_t *size);
void ngx_wscast_bus_guard(ngx_wscast_bus_t *bus,
    void (*recover)(void *ctx, uint64_t tail), void *ctx);
void ngx_wscast_bus_lock(ngx_wscast_bus_t *bus);
void ngx_wscast_bus_unlock(ngx_wscast_bus_t *bus);

/*
 * Debug builds; under the lock.  NULL, or what is not consistent in the ring;
 * when this is to be asked next, on the host's clock.
 */
#ifdef WSCAST_DEBUG
const char *ngx_wscast_bus_wrong(ngx_wscast_bus_t *bus);
uint64_t *ngx_wscast_bus_examined(ngx_wscast_bus_t *bus);
#endif

/*
 * What this host (1 zone) and this worker (1 tenancy of a slot; 0: it has none)
 * are called, whether a worker lives (under the lock), the seed of the host's
 * hashes, and the host's clock, ms.
 */
uint64_t ngx_wscast_bus_host(ngx_wscast_bus_t *bus);
uint64_t ngx_wscast_bus_nonce(ngx_wscast_bus_t *bus);
ngx_uint_t ngx_wscast_bus_alive(ngx_wscast_bus_t *bus, uint64_t nonce);
uint64_t ngx_wscast_bus_seed(ngx_wscast_bus_t *bus);
uint64_t ngx_wscast_bus_clock(ngx_wscast_bus_t *bus);

/* The time of the event loop, ms since 1970. */
uint64_t ngx_wscast_now(void);

/*
 * A channel has got its first subscriber on this worker.  NGX_OK: it is live;
 * NGX_AGAIN: live() will be called.
 */
ngx_int_t ngx_wscast_bus_join(ngx_wscast_bus_t *bus, wscast_str_t channel);

/* It has lost its last one. */
void ngx_wscast_bus_leave(ngx_wscast_bus_t *bus, wscast_str_t channel);

/*
 * Delivers now what has been appended to the ring already.  The exception to
 * the rule above: only for the top of an event handler.
 */
void ngx_wscast_bus_settle(ngx_wscast_bus_t *bus);

/* 1 if something in the ring has not been read by this worker. */
ngx_uint_t ngx_wscast_bus_behind(ngx_wscast_bus_t *bus);

/* The answer to recall(): the new leader is told of this channel. */
void ngx_wscast_bus_want(ngx_wscast_bus_t *bus, wscast_str_t channel);

/*
 * Asks all workers of this host how many subscribers the channel has.  NGX_OK:
 * census->done() will be called, within 200 ms; NGX_DONE: nobody listens, it
 * will not be called; NGX_ERROR: the bus has no room.
 */
ngx_int_t ngx_wscast_bus_count(ngx_wscast_bus_t *bus, wscast_str_t channel,
    ngx_wscast_census_t *census);

/* Forgets a question; done() will not be called. */
void ngx_wscast_bus_uncount(ngx_wscast_census_t *census);

/* This worker's counters, to be counted up; never NULL. */
uint64_t *ngx_wscast_bus_counters(ngx_wscast_bus_t *bus);

/* Bytes of the log between the workers; those that the slowest has to read. */
void ngx_wscast_bus_backlog(ngx_wscast_bus_t *bus, uint64_t *size,
    uint64_t *backlog);

/* The host's sums; also workers and whether Redis is there. */
void ngx_wscast_bus_sums(ngx_wscast_bus_t *bus, uint64_t sum[WSCAST_COUNTERS],
    ngx_uint_t *workers, ngx_uint_t *redis_up);


#endif /* NGX_WSCAST_BUS_H */
