#include "bus.h"
#include "local.h"
#include "redis.h"


#define NGX_WSCAST_CENSUS_TIME  200     /* ms */
#define NGX_WSCAST_HOLD_TIME    5000    /* ms that a handover may take */
#define NGX_WSCAST_HOLD_STEP    50      /* ms */
#define NGX_WSCAST_HANDED_TICKS 3       /* s to wait for a leader's last word */


/* Of this worker towards Redis. */

typedef enum {
    NGX_WSCAST_BUS_FOLLOWER = 0,
    NGX_WSCAST_BUS_HEIR,
    NGX_WSCAST_BUS_LEADER
} ngx_wscast_bus_role_e;


struct ngx_wscast_bus_s {
    ngx_wscast_bus_conf_t             *conf;
    const ngx_wscast_bus_handler_t    *handler;
    void                              *ctx;
    ngx_cycle_t                       *cycle;

    ngx_wscast_local_t                 local;
    ngx_wscast_redis_t                 redis;
    uint64_t                           epoch;       /* of the leader we know */
    ngx_wscast_bus_role_e              role;
    ngx_event_t                        hold;        /* timer: not yet handed over */
    ngx_msec_t                         hold_until;
    ngx_uint_t                         late;        /* s without its last word */

    ngx_queue_t                        censuses;
    ngx_event_t                        census_timer;
    uint64_t                           census_number;

    unsigned                           redis_open:1;
    unsigned                           exiting:1;
};


static size_t ngx_wscast_bus_record(void *ctx, wscast_record_t *rec);
static void ngx_wscast_bus_lost(void *ctx);
static void ngx_wscast_bus_writable(void *ctx);
static void ngx_wscast_bus_leader(void *ctx);
static void ngx_wscast_bus_tick(void *ctx);
static void ngx_wscast_bus_exiting(void *ctx);
static ngx_wscast_bus_role_e ngx_wscast_bus_role(ngx_wscast_bus_t *bus);
static ngx_uint_t ngx_wscast_bus_pass(void *ctx, uint64_t epoch);
static void ngx_wscast_bus_resigned(void *ctx);
static void ngx_wscast_bus_hold_handler(ngx_event_t *ev);
static void ngx_wscast_bus_send(ngx_wscast_bus_t *bus, ngx_uint_t kind,
    uint64_t to, uint64_t arg, wscast_str_t channel);
static void ngx_wscast_bus_publishable(void *ctx);
static void ngx_wscast_bus_tell(ngx_wscast_bus_t *bus, ngx_uint_t kind,
    wscast_str_t channel);
static void ngx_wscast_bus_asked(ngx_wscast_bus_t *bus,
    const wscast_record_t *rec);
static void ngx_wscast_bus_told(ngx_wscast_bus_t *bus,
    const wscast_record_t *rec);
static void ngx_wscast_bus_census_timer(ngx_event_t *ev);


static const ngx_wscast_local_handler_t  ngx_wscast_bus_local_handler = {
    ngx_wscast_bus_record,
    ngx_wscast_bus_lost,
    ngx_wscast_bus_writable,
    ngx_wscast_bus_leader,
    ngx_wscast_bus_tick,
    ngx_wscast_bus_exiting
};


ngx_int_t
ngx_wscast_bus_init_zone(ngx_wscast_bus_conf_t *conf, void *old)
{
    uint64_t           id, seed;
    ngx_slab_pool_t   *shpool;
    ngx_shm_zone_t    *zone;
    wscast_ring_sh_t  *sh;

    zone = conf->zone;
    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (old || zone->shm.exists) {
        /* the previous workers are at work in it: nothing to be done */
        return NGX_OK;
    }

    sh = ngx_slab_alloc(shpool, wscast_ring_size(zone->shm.size));

    if (sh == NULL) {
        return NGX_ERROR;
    }

    id = ((uint64_t) ngx_random() << 33) ^ ((uint64_t) ngx_random() << 2)
         ^ ((uint64_t) ngx_pid << 16) ^ (uint64_t) ngx_time();
    seed = ((uint64_t) ngx_random() << 32) ^ (uint64_t) ngx_random();

    wscast_ring_format(sh, zone->shm.size, id, seed);

    shpool->data = sh;

    return NGX_OK;
}


size_t
ngx_wscast_bus_max(size_t zone)
{
    return wscast_ring_max(zone);
}


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

    ngx_wscast_bus_leader(bus);

    return bus;
}


void
ngx_wscast_bus_destroy(ngx_wscast_bus_t *bus)
{
    wscast_slotset_t  wake;

    if (bus->census_timer.timer_set) {
        ngx_del_timer(&bus->census_timer);
    }

    if (bus->hold.timer_set) {
        ngx_del_timer(&bus->hold);
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


wscast_status_t
ngx_wscast_bus_publish(ngx_wscast_bus_t *bus, wscast_str_t channel,
    wscast_str_t bytes, wscast_receipt_t *receipt)
{
    wscast_record_t  rec;

    if (channel.len + bytes.len > wscast_ring_max(bus->conf->zone_size)) {
        return WSCAST_CLOSE_TOO_BIG;
    }

    if (bus->conf->redis) {
        return bus->redis_open
               ? ngx_wscast_redis_publish(&bus->redis, channel, bytes, receipt)
               : WSCAST_CLOSE_AWAY;
    }

    ngx_memzero(&rec, sizeof(wscast_record_t));

    rec.kind = WSCAST_REC_PUBLICATION;
    rec.to = WSCAST_NO_SLOT;
    rec.channel = channel;
    rec.body = bytes;

    return ngx_wscast_local_append(&bus->local, &rec, NULL);
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
    ngx_wscast_local_read(&bus->local);
}


/* Without a leader nothing is said: the next one asks for everything. */

static void
ngx_wscast_bus_tell(ngx_wscast_bus_t *bus, ngx_uint_t kind,
    wscast_str_t channel)
{
    wscast_ring_sh_t  *sh;

    sh = bus->local.ring.sh;

    ngx_wscast_bus_send(bus, kind, sh->leader, bus->local.ring.nonce, channel);

    if (sh->heir != sh->leader) {
        ngx_wscast_bus_send(bus, kind, sh->heir, bus->local.ring.nonce,
                            channel);
    }
}


static void
ngx_wscast_bus_send(ngx_wscast_bus_t *bus, ngx_uint_t kind, uint64_t to,
    uint64_t arg, wscast_str_t channel)
{
    wscast_record_t  rec;

    if (to == 0 || to > WSCAST_SLOTS) {
        return;
    }

    ngx_memzero(&rec, sizeof(wscast_record_t));

    rec.kind = kind;
    rec.to = (unsigned) to - 1;
    rec.arg = arg;
    rec.channel = channel;

    ngx_wscast_local_send(&bus->local, &rec);
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
        bus->handler->live(bus->ctx, rec->channel);
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
    wscast_slotset_t   wake;
    ngx_wscast_bus_t  *bus;

    bus = ctx;

    ngx_log_error(NGX_LOG_ERR, bus->cycle->log, 0,
                  "wscast: this worker fell behind on the bus of hub \"%V\": "
                  "its clients have to reconnect", &bus->conf->name);

    wscast_ring_resign(&bus->local.ring, &wake);
    ngx_wscast_local_wake(&bus->local, &wake);

    bus->handler->lapped(bus->ctx);

    if (bus->redis_open) {
        ngx_wscast_redis_follow(&bus->redis);
    }

    bus->epoch = 0;
    bus->role = NGX_WSCAST_BUS_FOLLOWER;
    ngx_wscast_bus_leader(bus);
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
ngx_wscast_bus_publishable(void *ctx)
{
    ngx_wscast_bus_t  *bus;

    bus = ctx;
    bus->handler->writable(bus->ctx);
}


/* Follows the leader, or becomes it where there is none. */

static void
ngx_wscast_bus_leader(void *ctx)
{
    uint64_t                epoch;
    wscast_str_t            none;
    wscast_slotset_t        wake;
    ngx_wscast_bus_t       *bus;
    ngx_wscast_bus_role_e   role;

    bus = ctx;

    if (bus->conf->redis == NULL || !ngx_wscast_local_ready(&bus->local)) {
        return;
    }

    if (!bus->redis_open) {

        if (ngx_wscast_redis_open(&bus->redis, bus->conf, &bus->local,
                                  bus->cycle->log,
                                  ngx_wscast_bus_publishable,
                                  ngx_wscast_bus_pass,
                                  ngx_wscast_bus_resigned, bus)
            != NGX_OK)
        {
            return;
        }

        bus->redis_open = 1;
    }

    ngx_memzero(&wake, sizeof(wscast_slotset_t));

    if (bus->exiting) {

        /* what is being inherited is bequeathed when it has been */

        if (!bus->redis.apprentice) {
            (void) wscast_ring_bequeath(&bus->local.ring, &wake);
        }

    } else {
        (void) wscast_ring_lead(&bus->local.ring, &wake);
    }

    ngx_wscast_local_wake(&bus->local, &wake);

    role = ngx_wscast_bus_role(bus);
    epoch = bus->local.ring.sh->leader_epoch;

    if (bus->epoch == epoch && bus->role == role) {
        return;
    }

    if (role == NGX_WSCAST_BUS_LEADER && bus->role == NGX_WSCAST_BUS_LEADER) {

        if (bus->local.ring.sh->heir) {
            ngx_wscast_redis_bequeath(&bus->redis, epoch);
        }

    } else if (role == NGX_WSCAST_BUS_LEADER && bus->redis.apprentice
               && bus->local.ring.sh->handed == bus->redis.epoch)
    {
        /* the old leader's last word is in the ring, and is waited for */

    } else {
        ngx_wscast_redis_follow(&bus->redis);

        if (role == NGX_WSCAST_BUS_HEIR) {
            ngx_wscast_redis_inherit(&bus->redis, epoch);

        } else if (role == NGX_WSCAST_BUS_LEADER) {
            ngx_wscast_redis_lead(&bus->redis);
        }
    }

    bus->epoch = epoch;
    bus->role = role;

    bus->handler->recall(bus->ctx);

    none = wscast_str(NULL, 0);
    ngx_wscast_bus_send(bus, WSCAST_REC_RECALLED, bus->local.ring.sh->heir,
                        epoch, none);
}


static ngx_wscast_bus_role_e
ngx_wscast_bus_role(ngx_wscast_bus_t *bus)
{
    uint64_t           me;
    wscast_ring_sh_t  *sh;

    sh = bus->local.ring.sh;
    me = bus->local.ring.slot + 1;

    if (sh->leader == me) {
        return NGX_WSCAST_BUS_LEADER;
    }

    return sh->heir == me ? NGX_WSCAST_BUS_HEIR : NGX_WSCAST_BUS_FOLLOWER;
}


static ngx_uint_t
ngx_wscast_bus_pass(void *ctx, uint64_t epoch)
{
    ngx_uint_t         passed;
    wscast_slotset_t   wake;
    ngx_wscast_bus_t  *bus;

    bus = ctx;

    passed = (ngx_uint_t) wscast_ring_pass(&bus->local.ring, epoch, &wake);
    ngx_wscast_local_wake(&bus->local, &wake);

    return passed;
}


static void
ngx_wscast_bus_resigned(void *ctx)
{
    ngx_wscast_bus_leader(ctx);
}


static void
ngx_wscast_bus_hold_handler(ngx_event_t *ev)
{
    ngx_wscast_bus_t  *bus;

    bus = ev->data;

    ngx_wscast_bus_leader(bus);

    if (bus->role == NGX_WSCAST_BUS_LEADER
        && (bus->local.ring.sh->heir || bus->redis.apprentice)
        && (ngx_msec_int_t) (bus->hold_until - ngx_current_msec) > 0)
    {
        ngx_add_timer(ev, NGX_WSCAST_HOLD_STEP);
    }
}


static void
ngx_wscast_bus_tick(void *ctx)
{
    ngx_wscast_bus_t  *bus;

    bus = ctx;

    ngx_wscast_bus_leader(bus);

    if (bus->redis_open) {
        ngx_wscast_redis_tick(&bus->redis);
    }

    /* the old leader died between its last two steps */

    if (bus->role != NGX_WSCAST_BUS_LEADER || !bus->redis.apprentice) {
        bus->late = 0;

    } else if (++bus->late == NGX_WSCAST_HANDED_TICKS) {
        ngx_wscast_redis_follow(&bus->redis);
        ngx_wscast_redis_lead(&bus->redis);
        bus->handler->recall(bus->ctx);
    }

    bus->handler->tick(bus->ctx);
}


static void
ngx_wscast_bus_exiting(void *ctx)
{
    wscast_slotset_t   wake;
    ngx_wscast_bus_t  *bus;

    bus = ctx;
    bus->exiting = 1;

    if (bus->conf->redis && ngx_wscast_local_ready(&bus->local)) {
        wscast_ring_leaving(&bus->local.ring);

        if (ngx_wscast_bus_role(bus) == NGX_WSCAST_BUS_HEIR) {
            wscast_ring_resign(&bus->local.ring, &wake);
            ngx_wscast_local_wake(&bus->local, &wake);
        }

        bus->hold_until = ngx_current_msec + NGX_WSCAST_HOLD_TIME;
        ngx_wscast_bus_hold_handler(&bus->hold);
    }

    bus->handler->exiting(bus->ctx);
}


/* Counting */


ngx_int_t
ngx_wscast_bus_count(ngx_wscast_bus_t *bus, wscast_str_t channel,
    ngx_wscast_census_t *census)
{
    ngx_uint_t        i;
    wscast_record_t   rec;
    wscast_slotset_t  targets;

    ngx_memzero(&rec, sizeof(wscast_record_t));

    rec.kind = WSCAST_REC_ASK;
    rec.to = WSCAST_NO_SLOT;
    rec.arg = ++bus->census_number;
    rec.channel = channel;

    if (ngx_wscast_local_append(&bus->local, &rec, &targets) != WSCAST_OK) {
        return NGX_ERROR;
    }

    census->number = rec.arg;
    census->count = 0;
    census->awaited = 0;
    census->deadline = ngx_current_msec + NGX_WSCAST_CENSUS_TIME;

    for (i = 0; i < WSCAST_SLOTS; i++) {
        census->awaited += wscast_slotset_has(&targets, i);
    }

    if (census->awaited == 0) {
        return NGX_DONE;
    }

    ngx_queue_insert_tail(&bus->censuses, &census->queue);

    if (!bus->census_timer.timer_set) {
        ngx_add_timer(&bus->census_timer, NGX_WSCAST_CENSUS_TIME);
    }

    return NGX_OK;
}


void
ngx_wscast_bus_uncount(ngx_wscast_census_t *census)
{
    ngx_queue_remove(&census->queue);
}


static void
ngx_wscast_bus_asked(ngx_wscast_bus_t *bus, const wscast_record_t *rec)
{
    uint64_t         count;
    wscast_record_t  answer;

    count = bus->handler->count(bus->ctx, rec->channel);

    ngx_memzero(&answer, sizeof(wscast_record_t));

    answer.kind = WSCAST_REC_TELL;
    answer.to = rec->from;
    answer.arg = rec->arg;
    answer.body = wscast_str(&count, sizeof(uint64_t));

    ngx_wscast_local_send(&bus->local, &answer);
}


static void
ngx_wscast_bus_told(ngx_wscast_bus_t *bus, const wscast_record_t *rec)
{
    uint64_t              count;
    ngx_queue_t          *q;
    ngx_wscast_census_t  *census;

    if (rec->body.len != sizeof(uint64_t)) {
        return;
    }

    ngx_memcpy(&count, rec->body.data, sizeof(uint64_t));

    for (q = ngx_queue_head(&bus->censuses);
         q != ngx_queue_sentinel(&bus->censuses);
         q = ngx_queue_next(q))
    {
        census = ngx_queue_data(q, ngx_wscast_census_t, queue);

        if (census->number != rec->arg) {
            continue;
        }

        census->count += count;

        if (--census->awaited == 0) {
            ngx_queue_remove(q);
            census->done(census);
        }

        return;
    }
}


/* Who has not told by now will not: its worker is busy or dead. */

static void
ngx_wscast_bus_census_timer(ngx_event_t *ev)
{
    ngx_queue_t          *q;
    ngx_wscast_bus_t     *bus;
    ngx_wscast_census_t  *census;

    bus = ev->data;

    while (!ngx_queue_empty(&bus->censuses)) {
        q = ngx_queue_head(&bus->censuses);
        census = ngx_queue_data(q, ngx_wscast_census_t, queue);

        if ((ngx_msec_int_t) (census->deadline - ngx_current_msec) > 0) {
            ngx_add_timer(&bus->census_timer,
                          census->deadline - ngx_current_msec);
            return;
        }

        ngx_queue_remove(q);
        census->done(census);
    }
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
    *redis_up = bus->conf->redis && bus->local.ring.sh->redis_up;
}
