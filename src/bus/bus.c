#include "bus_inner.h"


static ngx_uint_t ngx_wscast_bus_full(void *ctx);
static size_t ngx_wscast_bus_record(void *ctx, wscast_record_t *rec);
static void ngx_wscast_bus_lost(void *ctx);
static void ngx_wscast_bus_writable(void *ctx);
static void ngx_wscast_bus_woken(void *ctx);
static void ngx_wscast_bus_deposed(void *ctx);
static void ngx_wscast_bus_tick(void *ctx);
static void ngx_wscast_bus_exiting(void *ctx);
static void ngx_wscast_bus_start_handler(ngx_event_t *ev);
static wscast_status_t ngx_wscast_bus_put(ngx_wscast_bus_t *bus,
    ngx_uint_t led, wscast_str_t channel, wscast_str_t bytes,
    wscast_stamp_t *stamp, wscast_slotset_t *targets);


/*
 * While too much waits for delivery a record is read this often all the same,
 * so that nobody takes this worker for one that stands still.
 */
#define NGX_WSCAST_BUS_PAUSE   500      /* ms */

/* More than one client can have put there since the ring was read. */
#define NGX_WSCAST_BUS_SETTLE  8        /* slices */


static const ngx_wscast_local_handler_t  ngx_wscast_bus_local_handler = {
    ngx_wscast_bus_full,
    ngx_wscast_bus_record,
    ngx_wscast_bus_lost,
    ngx_wscast_bus_writable,
    ngx_wscast_bus_woken,
    ngx_wscast_bus_deposed,
    ngx_wscast_bus_tick,
    ngx_wscast_bus_exiting
};


ngx_wscast_bus_t *
ngx_wscast_bus_create(ngx_cycle_t *cycle, ngx_wscast_bus_conf_t *conf,
    const ngx_wscast_bus_handler_t *handler, void *ctx)
{
    ngx_wscast_bus_t  *bus;

    bus = ngx_calloc(sizeof(ngx_wscast_bus_t), cycle->log);
    if (bus == NULL) {
        return NULL;
    }

    bus->conf = conf;
    bus->handler = handler;
    bus->ctx = ctx;
    bus->cycle = cycle;

    ngx_queue_init(&bus->censuses);

    bus->census_timer.handler = ngx_wscast_bus_census_timer;
    bus->census_timer.data = bus;
    bus->census_timer.log = cycle->log;
    bus->census_timer.cancelable = 1;

    /*
     * An append makes what a dead process hung on its own one count: none may
     * happen before there is a guard, which needs the bus.
     */

    bus->start.handler = ngx_wscast_bus_start_handler;
    bus->start.data = bus;
    bus->start.log = cycle->log;

    /* not cancelable: the process must not exit before */

    bus->hold.handler = ngx_wscast_bus_hold_handler;
    bus->hold.data = bus;
    bus->hold.log = cycle->log;

    if (ngx_wscast_local_open(&bus->local, cycle, conf->zone,
                              &ngx_wscast_bus_local_handler, bus)
        != NGX_OK)
    {
        ngx_free(bus);
        return NULL;
    }

    ngx_post_event(&bus->start, &ngx_posted_next_events);

    return bus;
}


static void
ngx_wscast_bus_start_handler(ngx_event_t *ev)
{
    ngx_wscast_bus_leader(ev->data);
}


void
ngx_wscast_bus_destroy(ngx_wscast_bus_t *bus)
{
    wscast_slotset_t  wake;

    bus->going = 1;

    if (bus->census_timer.timer_set) {
        ngx_del_timer(&bus->census_timer);
    }

    if (bus->hold.timer_set) {
        ngx_del_timer(&bus->hold);
    }

    if (bus->start.posted) {
        ngx_delete_posted_event(&bus->start);
    }

    if (bus->redis_open) {
        ngx_wscast_redis_close(&bus->redis);
    }

    if (ngx_wscast_local_ready(&bus->local)) {
        wscast_ring_resign(&bus->local.ring, &wake);
        ngx_wscast_local_wake(&bus->local, &wake);
    }

    ngx_wscast_local_close(&bus->local);
    ngx_free(bus);
}


ngx_uint_t
ngx_wscast_bus_ready(ngx_wscast_bus_t *bus)
{
    return ngx_wscast_local_ready(&bus->local);
}


ngx_uint_t
ngx_wscast_bus_remote(ngx_wscast_bus_t *bus)
{
    return bus->conf->redis != NULL;
}


ngx_uint_t
ngx_wscast_bus_sharded(ngx_wscast_bus_t *bus)
{
    return bus->redis_open && ngx_wscast_redis_sharded(&bus->redis);
}


uint64_t
ngx_wscast_bus_since(ngx_wscast_bus_t *bus)
{
    return bus->redis_open ? ngx_wscast_redis_since(&bus->redis) : 0;
}


ngx_uint_t
ngx_wscast_bus_receiving(ngx_wscast_bus_t *bus, wscast_str_t channel)
{
    return bus->redis_open && ngx_wscast_redis_receives(&bus->redis, channel);
}


ngx_uint_t
ngx_wscast_bus_away(ngx_wscast_bus_t *bus, wscast_str_t channel)
{
    return bus->conf->redis
           && !(ngx_wscast_bus_receiving(bus, channel)
                && ngx_wscast_redis_reaches(&bus->redis, channel));
}


ngx_uint_t
ngx_wscast_bus_whole(ngx_wscast_bus_t *bus)
{
    wscast_ring_sh_t  *sh;

    sh = bus->local.ring.sh;

    return bus->redis_open && sh->redis_up && sh->redis_deaf == 0
           && bus->redis.complete;
}


wscast_status_t
ngx_wscast_bus_publish(ngx_wscast_bus_t *bus, wscast_str_t channel,
    wscast_str_t bytes, wscast_receipt_t *receipt)
{
    if (bus->conf->redis == NULL) {
        return ngx_wscast_bus_append(bus, channel, bytes, NULL,
                                     receipt ? &receipt->receivers : NULL);
    }

    if (channel.len + bytes.len > wscast_ring_max(bus->conf->zone_size)) {
        return WSCAST_CLOSE_TOO_BIG;
    }

    return bus->redis_open
           ? ngx_wscast_redis_publish(&bus->redis, channel, bytes, receipt)
           : WSCAST_CLOSE_AWAY;
}


wscast_status_t
ngx_wscast_bus_append(ngx_wscast_bus_t *bus, wscast_str_t channel,
    wscast_str_t bytes, wscast_stamp_t *stamp, uint64_t *receivers)
{
    wscast_status_t   rc;
    wscast_slotset_t  targets;

    rc = ngx_wscast_bus_put(bus, 0, channel, bytes, stamp, &targets);

    if (rc == WSCAST_OK && receivers) {
        *receivers = wscast_slotset_count(&targets);
    }

    return rc;
}


wscast_status_t
ngx_wscast_bus_relay(ngx_wscast_bus_t *bus, wscast_str_t channel,
    wscast_str_t bytes, wscast_stamp_t *stamp)
{
    return ngx_wscast_bus_put(bus, 1, channel, bytes, stamp, NULL);
}


static wscast_status_t
ngx_wscast_bus_put(ngx_wscast_bus_t *bus, ngx_uint_t led,
    wscast_str_t channel, wscast_str_t bytes, wscast_stamp_t *stamp,
    wscast_slotset_t *targets)
{
    wscast_record_t  rec;

    if (channel.len + bytes.len > wscast_ring_max(bus->conf->zone_size)) {
        return WSCAST_CLOSE_TOO_BIG;
    }

    ngx_memzero(&rec, sizeof(wscast_record_t));

    rec.kind = WSCAST_REC_PUBLICATION;
    rec.to = WSCAST_NO_SLOT;
    rec.led = led;
    rec.channel = channel;
    rec.body = bytes;

    return ngx_wscast_local_append(&bus->local, &rec, stamp, targets);
}


ngx_uint_t
ngx_wscast_bus_leads(ngx_wscast_bus_t *bus)
{
    return (ngx_uint_t) wscast_ring_leads(&bus->local.ring);
}


ngx_int_t
ngx_wscast_bus_call(ngx_wscast_bus_t *bus, ngx_wscast_call_t *call,
    wscast_str_t key, int argc, const char **argv, const size_t *lens,
    ngx_uint_t force)
{
    return bus->redis_open
           ? ngx_wscast_redis_call(&bus->redis, call, key, argc, argv, lens,
                                   force)
           : NGX_DECLINED;
}


void
ngx_wscast_bus_announce(ngx_wscast_bus_t *bus, wscast_str_t channel)
{
    if (bus->redis_open) {
        ngx_wscast_redis_announce(&bus->redis, channel);
    }
}


ngx_int_t
ngx_wscast_bus_join(ngx_wscast_bus_t *bus, wscast_str_t channel)
{
    wscast_ring_listen(&bus->local.ring, channel);

    if (bus->conf->redis == NULL) {
        return NGX_OK;
    }

    ngx_wscast_bus_tell(bus, WSCAST_REC_WANT, channel);

    return NGX_AGAIN;
}


void
ngx_wscast_bus_leave(ngx_wscast_bus_t *bus, wscast_str_t channel)
{
    wscast_ring_unlisten(&bus->local.ring, channel);

    if (bus->conf->redis) {
        ngx_wscast_bus_tell(bus, WSCAST_REC_UNWANT, channel);
    }
}


void
ngx_wscast_bus_want(ngx_wscast_bus_t *bus, wscast_str_t channel)
{
    ngx_wscast_bus_tell(bus, WSCAST_REC_RECALL, channel);
}


void
ngx_wscast_bus_settle(ngx_wscast_bus_t *bus)
{
    ngx_uint_t  slices;

    slices = NGX_WSCAST_BUS_SETTLE;

    do {
        ngx_wscast_local_read(&bus->local);

    } while (--slices && ngx_wscast_bus_behind(bus));
}


ngx_uint_t
ngx_wscast_bus_behind(ngx_wscast_bus_t *bus)
{
    return ngx_wscast_local_ready(&bus->local)
           && wscast_ring_behind(&bus->local.ring);
}


static ngx_uint_t
ngx_wscast_bus_full(void *ctx)
{
    ngx_uint_t         full;
    ngx_wscast_bus_t  *bus;

    bus = ctx;
    full = bus->handler->full(bus->ctx);

    if (full && bus->pausing
        && ngx_current_msec - bus->paused < NGX_WSCAST_BUS_PAUSE)
    {
        return 1;
    }

    /* a pause begins, or is interrupted by one record, or ends */

    bus->paused = ngx_current_msec;
    bus->pausing = full && !bus->pausing;

    return bus->pausing;
}


static size_t
ngx_wscast_bus_record(void *ctx, wscast_record_t *rec)
{
    ngx_wscast_bus_t  *bus;

    bus = ctx;

    switch (rec->kind) {

    case WSCAST_REC_PUBLICATION:
        return bus->handler->deliver(bus->ctx, rec->channel, rec->body);

    case WSCAST_REC_LIVE:
        bus->handler->live(bus->ctx, rec->channel, rec->arg == 1);
        break;

    case WSCAST_REC_WANT:
    case WSCAST_REC_RECALL:
    case WSCAST_REC_UNWANT:
        if (bus->redis_open) {
            ngx_wscast_redis_want(&bus->redis, rec);
        }

        break;

    case WSCAST_REC_RECALLED:
        if (bus->redis_open) {
            ngx_wscast_redis_recalled(&bus->redis, rec);
        }

        break;

    case WSCAST_REC_HANDED:
        if (bus->redis_open) {
            ngx_wscast_redis_handed(&bus->redis, rec);
        }

        break;

    case WSCAST_REC_ASK:
        ngx_wscast_bus_asked(bus, rec);
        break;

    case WSCAST_REC_TELL:
        ngx_wscast_bus_told(bus, rec);
        break;

    default:
        ngx_log_error(NGX_LOG_ERR, bus->cycle->log, 0,
                      "wscast: unknown record %ui on the bus",
                      (ngx_uint_t) rec->kind);
    }

    return 0;
}


/*
 * Records are missing.  The clients have lost messages; a leader may have lost
 * wishes, and a follower the answers to its own: so all is told anew.
 */

static void
ngx_wscast_bus_lost(void *ctx)
{
    ngx_wscast_bus_t  *bus;

    bus = ctx;

    ngx_log_error(NGX_LOG_ERR, bus->cycle->log, 0,
                  "wscast: this worker fell behind on the bus of hub \"%V\": "
                  "its clients have to reconnect", &bus->conf->name);

    bus->handler->lapped(bus->ctx);
    ngx_wscast_bus_anew(bus);
}


static void
ngx_wscast_bus_writable(void *ctx)
{
    ngx_wscast_bus_t  *bus;

    bus = ctx;

    if (bus->redis_open) {
        ngx_wscast_redis_resume(&bus->redis);
    }

    bus->handler->writable(bus->ctx);
}


static void
ngx_wscast_bus_woken(void *ctx)
{
    ngx_wscast_bus_leader(ctx);
}


/* In an event of its own: what was about to append still looks at its link. */

static void
ngx_wscast_bus_deposed(void *ctx)
{
    ngx_wscast_bus_t  *bus;

    bus = ctx;

    if (bus->redis_open && !bus->redis.resigning) {
        bus->redis.resigning = 1;
        ngx_post_event(&bus->redis.resign, &ngx_posted_events);
    }
}


static void
ngx_wscast_bus_tick(void *ctx)
{
    ngx_wscast_bus_t  *bus;

    bus = ctx;

    ngx_wscast_bus_leader_tick(bus);
    bus->handler->tick(bus->ctx);
}


static void
ngx_wscast_bus_exiting(void *ctx)
{
    ngx_wscast_bus_t  *bus;

    bus = ctx;
    bus->exiting = 1;

    ngx_wscast_bus_leader_exiting(bus);
    bus->handler->exiting(bus->ctx);
}


uint64_t *
ngx_wscast_bus_counters(ngx_wscast_bus_t *bus)
{
    return bus->local.counters;
}


void
ngx_wscast_bus_sums(ngx_wscast_bus_t *bus, uint64_t sum[WSCAST_COUNTERS],
    ngx_uint_t *workers, ngx_uint_t *redis_up)
{
    wscast_ring_counters(&bus->local.ring, sum);

    *workers = wscast_ring_workers(&bus->local.ring);
    *redis_up = bus->conf->redis && bus->local.ring.sh->redis_up
                && bus->local.ring.sh->redis_deaf == 0;
}


void
ngx_wscast_bus_backlog(ngx_wscast_bus_t *bus, uint64_t *size,
    uint64_t *backlog)
{
    *size = bus->local.ring.log_size;
    *backlog = wscast_ring_backlog(&bus->local.ring);
}
