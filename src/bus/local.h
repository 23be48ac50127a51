/*
 * local.h: the ring in an nginx worker: wake-ups, reading in slices, waiting.
 *
 * Audience: bus.c, redis.c.
 *
 * Workers wake each other through abstract unix datagram sockets: those have
 * an address, so that workers of different generations reach each other, and
 * they vanish with their process.  A lost wake-up (a writer killed between its
 * store and its send) costs at most a second: the tick looks too.
 */

#ifndef NGX_WSCAST_LOCAL_H
#define NGX_WSCAST_LOCAL_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ring.h"


/* Read in one go; then other events have their turn. */
#define NGX_WSCAST_LOCAL_SLICE   1024           /* deliveries and records */
#define NGX_WSCAST_LOCAL_PIECE   512            /* bytes that count as one */

/* Control records that wait for room. */
#define NGX_WSCAST_LOCAL_QUEUE   (16 * 1024 * 1024)     /* bytes */

#define NGX_WSCAST_LOCAL_RETRY   20             /* ms, while the log is full */
#define NGX_WSCAST_LOCAL_TICK    WSCAST_RING_BEAT       /* ms */


typedef struct {
    /* 1: too much waits for delivery, no record for now; asked before each */
    ngx_uint_t          (*full)(void *ctx);

    /* a record for this worker; returns how many deliveries it took */
    size_t              (*record)(void *ctx, wscast_record_t *rec);

    /* records have been lost */
    void                (*lost)(void *ctx);

    /* there may be room in the log */
    void                (*writable)(void *ctx);

    /* woken up: the leader may have changed */
    void                (*woken)(void *ctx);

    /* a record that only the leader may append was refused: inside append() */
    void                (*deposed)(void *ctx);

    void                (*tick)(void *ctx);
    void                (*exiting)(void *ctx);
} ngx_wscast_local_handler_t;


typedef struct {
    wscast_ring_t                       ring;
    ngx_slab_pool_t                    *shpool;
    const ngx_wscast_local_handler_t   *handler;
    void                               *ctx;
    ngx_log_t                          *log;

    ngx_connection_t                   *wake;       /* own socket, or NULL */
    ngx_event_t                         read;       /* posted: read the ring */
    ngx_event_t                         retry;      /* timer: the log is full */
    ngx_event_t                         tick;       /* timer */

    ngx_queue_t                         queue;      /* control records */
    size_t                              queued;     /* bytes in it */

    /* NULL, or called with the ring's tail whenever the lock was just taken */
    void                              (*recover)(void *ctx, uint64_t tail);
    void                               *recover_ctx;

    uint64_t                            spare[WSCAST_COUNTERS];
    uint64_t                           *counters;
    ngx_uint_t                          waiting;    /* unsigned waiting:1; */
} ngx_wscast_local_t;


/* Takes a slot, or tries every second.  NGX_ERROR: no memory. */
ngx_int_t ngx_wscast_local_open(ngx_wscast_local_t *l, ngx_cycle_t *cycle,
    ngx_shm_zone_t *zone, const ngx_wscast_local_handler_t *handler,
    void *ctx);

void ngx_wscast_local_close(ngx_wscast_local_t *l);

ngx_uint_t ngx_wscast_local_ready(ngx_wscast_local_t *l);

/*
 * Appends a record and wakes whom it is for.  As wscast_ring_append_stamped();
 * after WSCAST_AGAIN handler->writable() follows.  stamp and targets may be
 * NULL.
 */
wscast_status_t ngx_wscast_local_append(ngx_wscast_local_t *l,
    const wscast_record_t *rec, wscast_stamp_t *stamp,
    wscast_slotset_t *targets);

/*
 * Appends a control record now or, in order, when there is room.  If too much
 * waits already, handler->lost() is called and the record is dropped.
 */
void ngx_wscast_local_send(ngx_wscast_local_t *l, const wscast_record_t *rec);

/* Reads what is there, a slice at the most. */
void ngx_wscast_local_read(ngx_wscast_local_t *l);

/* Sends a wake-up to each of the set; the own slot reads in a posted event. */
void ngx_wscast_local_wake(ngx_wscast_local_t *l,
    const wscast_slotset_t *wake);


/* For the files of this room, wake.c: the socket by which others wake it. */
ngx_int_t ngx_wscast_local_listen(ngx_wscast_local_t *l);


#endif /* NGX_WSCAST_LOCAL_H */
