#include "local.h"
#include "process.h"


/* A control record that waits for room; its strings lie behind it. */

typedef struct {
    ngx_queue_t          queue;
    wscast_record_t      rec;
    size_t               size;
} ngx_wscast_local_pending_t;


static ngx_int_t ngx_wscast_local_claim(ngx_wscast_local_t *l);
static void ngx_wscast_local_tell(ngx_wscast_local_t *l);
static void ngx_wscast_local_read_handler(ngx_event_t *ev);
static void ngx_wscast_local_retry_handler(ngx_event_t *ev);
static void ngx_wscast_local_tick_handler(ngx_event_t *ev);
static void ngx_wscast_local_flush(ngx_wscast_local_t *l);
static void ngx_wscast_local_lock(void *ctx);
static void ngx_wscast_local_unlock(void *ctx);
static int ngx_wscast_local_alive(void *ctx, uint64_t process);
static uint64_t ngx_wscast_local_now(void *ctx);
static uint64_t ngx_wscast_local_random(void);


ngx_int_t
ngx_wscast_local_open(ngx_wscast_local_t *l, ngx_cycle_t *cycle,
    ngx_shm_zone_t *zone, const ngx_wscast_local_handler_t *handler,
    void *ctx)
{
    wscast_status_t  rc;

    ngx_memzero(l, sizeof(ngx_wscast_local_t));

    l->shpool = (ngx_slab_pool_t *) zone->shm.addr;
    l->handler = handler;
    l->ctx = ctx;
    l->log = cycle->log;
    l->counters = l->spare;

    ngx_queue_init(&l->queue);

    l->ring.lock = ngx_wscast_local_lock;
    l->ring.unlock = ngx_wscast_local_unlock;
    l->ring.alive = ngx_wscast_local_alive;
    l->ring.now = ngx_wscast_local_now;
    l->ring.ctx = l;

    l->read.handler = ngx_wscast_local_read_handler;
    l->read.data = l;
    l->read.log = cycle->log;

    l->retry.handler = ngx_wscast_local_retry_handler;
    l->retry.data = l;
    l->retry.log = cycle->log;
    l->retry.cancelable = 1;

    l->tick.handler = ngx_wscast_local_tick_handler;
    l->tick.data = l;
    l->tick.log = cycle->log;
    l->tick.cancelable = 1;

    rc = wscast_ring_open(&l->ring, l->shpool->data, zone->shm.size);

    if (rc != WSCAST_OK) {
        ngx_log_error(NGX_LOG_ERR, l->log, 0,
                      "wscast: the shared memory \"%V\" cannot be used",
                      &zone->shm.name);
        return NGX_ERROR;
    }

    if (ngx_wscast_local_claim(l) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, l->log, 0,
                      "wscast: no free slot in the shared memory \"%V\", "
                      "waiting for one", &zone->shm.name);
    }

    ngx_add_timer(&l->tick, NGX_WSCAST_LOCAL_TICK);

    return NGX_OK;
}


static ngx_int_t
ngx_wscast_local_claim(ngx_wscast_local_t *l)
{
    ngx_uint_t       i;
    wscast_status_t  rc;

    rc = wscast_ring_claim(&l->ring, ngx_wscast_process_name(ngx_pid),
                           ngx_wscast_local_random());

    if (rc != WSCAST_OK) {
        return NGX_DECLINED;
    }

    if (ngx_wscast_local_listen(l) != NGX_OK) {
        wscast_ring_leave(&l->ring);
        return NGX_ERROR;
    }

    l->counters = wscast_ring_own_counters(&l->ring);

    for (i = 0; i < WSCAST_COUNTERS; i++) {
        l->counters[i] += l->spare[i];
    }

    ngx_wscast_local_tell(l);

    return NGX_OK;
}


/* What the ring has had to do with other workers. */

static void
ngx_wscast_local_tell(ngx_wscast_local_t *l)
{
    if (l->ring.reaped) {
        l->counters[WSCAST_COUNT_WORKERS_LOST] += l->ring.reaped;
        l->ring.reaped = 0;

        ngx_log_error(NGX_LOG_NOTICE, l->log, 0,
                      "wscast: released the slot of a dead worker");
    }

    if (l->ring.cut) {
        ngx_log_error(NGX_LOG_ERR, l->log, 0,
                      "wscast: worker %ui has read nothing for 5 seconds: "
                      "nobody waits for it any more",
                      ngx_wscast_process_pid(l->ring.cut));
        l->ring.cut = 0;
    }
}


void
ngx_wscast_local_close(ngx_wscast_local_t *l)
{
    ngx_queue_t                 *q;
    ngx_wscast_local_pending_t  *p;

    if (l->tick.timer_set) {
        ngx_del_timer(&l->tick);
    }

    if (l->retry.timer_set) {
        ngx_del_timer(&l->retry);
    }

    if (l->read.posted) {
        ngx_delete_posted_event(&l->read);
    }

    while (!ngx_queue_empty(&l->queue)) {
        q = ngx_queue_head(&l->queue);
        ngx_queue_remove(q);
        p = ngx_queue_data(q, ngx_wscast_local_pending_t, queue);
        ngx_free(p);
    }

    if (l->wake) {
        ngx_close_connection(l->wake);
        l->wake = NULL;
    }

    l->counters = l->spare;

    wscast_ring_close(&l->ring);
}


ngx_uint_t
ngx_wscast_local_ready(ngx_wscast_local_t *l)
{
    return l->ring.slot != WSCAST_NO_SLOT;
}


wscast_status_t
ngx_wscast_local_append(ngx_wscast_local_t *l, const wscast_record_t *rec,
    wscast_stamp_t *stamp, wscast_slotset_t *targets)
{
    wscast_status_t   rc;
    wscast_slotset_t  wake, own;

    if (l->ring.slot == WSCAST_NO_SLOT) {
        return WSCAST_CLOSE_AWAY;
    }

    if (targets == NULL) {
        targets = &own;
    }

    rc = wscast_ring_append_stamped(&l->ring, rec, stamp, targets, &wake);

    ngx_wscast_local_wake(l, &wake);

    ngx_wscast_local_tell(l);

    if (rc == WSCAST_OK && wscast_slotset_has(targets, l->ring.slot)) {
        ngx_post_event(&l->read, &ngx_posted_events);

    } else if (rc == WSCAST_ERROR && rec->led) {
        l->handler->deposed(l->ctx);

    } else if (rc == WSCAST_AGAIN) {
        l->waiting = 1;
        l->counters[WSCAST_COUNT_PUBLISH_WAITS]++;

        /* the own cursor may be the one in the way */

        if (wscast_ring_behind(&l->ring)) {
            ngx_post_event(&l->read, &ngx_posted_events);
        }

        if (!l->retry.timer_set) {
            ngx_add_timer(&l->retry, NGX_WSCAST_LOCAL_RETRY);
        }
    }

    return rc;
}


void
ngx_wscast_local_send(ngx_wscast_local_t *l, const wscast_record_t *rec)
{
    size_t                       size;
    u_char                      *p;
    wscast_status_t              rc;
    ngx_wscast_local_pending_t  *pending;

    if (ngx_queue_empty(&l->queue)) {
        rc = ngx_wscast_local_append(l, rec, NULL, NULL);

        if (rc != WSCAST_AGAIN) {
            return;
        }
    }

    size = sizeof(ngx_wscast_local_pending_t) + rec->channel.len
           + rec->body.len;

    if (l->queued + size > NGX_WSCAST_LOCAL_QUEUE) {
        l->handler->lost(l->ctx);
        return;
    }

    pending = ngx_alloc(size, l->log);
    if (pending == NULL) {
        l->handler->lost(l->ctx);
        return;
    }

    p = (u_char *) (pending + 1);

    pending->rec = *rec;
    pending->size = size;

    pending->rec.channel.data = p;

    if (rec->channel.len) {
        p = ngx_cpymem(p, rec->channel.data, rec->channel.len);
    }

    pending->rec.body.data = p;

    if (rec->body.len) {
        ngx_memcpy(p, rec->body.data, rec->body.len);
    }

    l->queued += size;
    ngx_queue_insert_tail(&l->queue, &pending->queue);
}


static void
ngx_wscast_local_flush(ngx_wscast_local_t *l)
{
    ngx_queue_t                 *q;
    ngx_wscast_local_pending_t  *p;

    while (!ngx_queue_empty(&l->queue)) {
        q = ngx_queue_head(&l->queue);
        p = ngx_queue_data(q, ngx_wscast_local_pending_t, queue);

        if (ngx_wscast_local_append(l, &p->rec, NULL, NULL) == WSCAST_AGAIN) {
            return;
        }

        ngx_queue_remove(q);
        l->queued -= p->size;
        ngx_free(p);
    }
}


static void
ngx_wscast_local_read_handler(ngx_event_t *ev)
{
    ngx_wscast_local_read(ev->data);
}


void
ngx_wscast_local_read(ngx_wscast_local_t *l)
{
    size_t            n;
    ngx_uint_t        full;
    wscast_record_t   rec;
    wscast_status_t   rc;
    wscast_slotset_t  wake;

    if (l->ring.slot == WSCAST_NO_SLOT) {
        return;
    }

    n = 0;

    full = l->handler->full(l->ctx);

    /* who comes back by himself need not be woken */

    if (!full) {
        wscast_ring_awake(&l->ring);
    }

    for ( ;; ) {

        if (full || n >= NGX_WSCAST_LOCAL_SLICE) {
            ngx_post_event(&l->read, &ngx_posted_next_events);
            break;
        }

        rc = wscast_ring_read(&l->ring, &rec, &wake);

        if (rc == WSCAST_MORE) {
            ngx_wscast_local_wake(l, &wake);
            break;
        }

        if (rc != WSCAST_OK) {
            l->counters[WSCAST_COUNT_LAPPED]++;
            l->handler->lost(l->ctx);
            continue;
        }

        n += 1 + rec.body.len / NGX_WSCAST_LOCAL_PIECE
             + l->handler->record(l->ctx, &rec);

        full = l->handler->full(l->ctx);
    }

    if (l->waiting) {
        ngx_wscast_local_retry_handler(&l->retry);
    }
}


/* Somebody has read on, or time has passed: try what waited for room. */

static void
ngx_wscast_local_retry_handler(ngx_event_t *ev)
{
    ngx_wscast_local_t  *l;

    l = ev->data;

    if (l->retry.timer_set) {
        ngx_del_timer(&l->retry);
    }

    l->waiting = 0;

    ngx_wscast_local_flush(l);

    if (!l->waiting) {
        l->handler->writable(l->ctx);
    }
}


static void
ngx_wscast_local_tick_handler(ngx_event_t *ev)
{
    ngx_wscast_local_t  *l;

    l = ev->data;

    if (l->ring.slot == WSCAST_NO_SLOT) {

        if (ngx_wscast_local_claim(l) == NGX_OK) {
            ngx_log_error(NGX_LOG_NOTICE, l->log, 0,
                          "wscast: got a slot in the shared memory");
        }

    } else {
        wscast_ring_beat(&l->ring);

        (void) wscast_ring_reap(&l->ring);
        ngx_wscast_local_tell(l);

        if (wscast_ring_behind(&l->ring)) {
            ngx_post_event(&l->read, &ngx_posted_events);
        }
    }

    l->handler->tick(l->ctx);

    ngx_add_timer(&l->tick, NGX_WSCAST_LOCAL_TICK);
}


static void
ngx_wscast_local_lock(void *ctx)
{
    ngx_wscast_local_t  *l;

    l = ctx;
    ngx_shmtx_lock(&l->shpool->mutex);

    if (l->recover) {
        l->recover(l->recover_ctx, wscast_ring_tail(&l->ring));
    }
}


static void
ngx_wscast_local_unlock(void *ctx)
{
    ngx_wscast_local_t  *l;

    l = ctx;
    ngx_shmtx_unlock(&l->shpool->mutex);
}


static int
ngx_wscast_local_alive(void *ctx, uint64_t process)
{
    (void) ctx;

    return (int) ngx_wscast_process_alive(process);
}


static uint64_t
ngx_wscast_local_now(void *ctx)
{
    struct timespec  ts;

    (void) ctx;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


static uint64_t
ngx_wscast_local_random(void)
{
    uint64_t  n;

    n = ((uint64_t) ngx_random() << 32) ^ ((uint64_t) ngx_random() << 11)
        ^ (uint64_t) ngx_random() ^ ((uint64_t) ngx_pid << 40);

    return n ? n : 1;
}
