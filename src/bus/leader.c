#include "bus_inner.h"
#include "process.h"


#define NGX_WSCAST_HOLD_TIME    5000    /* ms that a handover may take */
#define NGX_WSCAST_HOLD_STEP    50      /* ms */
#define NGX_WSCAST_HANDED_TICKS 3       /* s to wait for a leader's last word */


static void ngx_wscast_bus_elect(ngx_wscast_bus_t *bus);
static ngx_wscast_bus_role_e ngx_wscast_bus_role(ngx_wscast_bus_t *bus);
static void ngx_wscast_bus_turn(ngx_wscast_bus_t *bus,
    ngx_wscast_bus_role_e role, uint64_t epoch);
static void ngx_wscast_bus_told_role(ngx_wscast_bus_t *bus,
    ngx_wscast_bus_role_e role, ngx_uint_t inherits);
static void ngx_wscast_bus_watch(ngx_wscast_bus_t *bus);
static ngx_uint_t ngx_wscast_bus_held(ngx_wscast_bus_t *bus);
static ngx_uint_t ngx_wscast_bus_pass(void *ctx, uint64_t epoch);
static void ngx_wscast_bus_resigned(void *ctx);
static void ngx_wscast_bus_publishable(void *ctx);
static void ngx_wscast_bus_reachable(void *ctx);
static ngx_int_t ngx_wscast_bus_arrived(void *ctx, wscast_str_t channel,
    wscast_str_t bytes);
static ngx_int_t ngx_wscast_bus_confirmed(void *ctx, wscast_str_t channel,
    ngx_uint_t missed);
static void ngx_wscast_bus_unsubscribed(void *ctx,
    const wscast_str_t *channel);
static void ngx_wscast_bus_say(ngx_wscast_bus_t *bus, ngx_uint_t kind,
    uint64_t arg, wscast_str_t channel);
static void ngx_wscast_bus_send(ngx_wscast_bus_t *bus, ngx_uint_t kind,
    uint64_t to, uint64_t arg, wscast_str_t channel);


static const ngx_wscast_redis_handler_t  ngx_wscast_bus_redis_handler = {
    ngx_wscast_bus_publishable,
    ngx_wscast_bus_pass,
    ngx_wscast_bus_resigned,
    ngx_wscast_bus_reachable,
    ngx_wscast_bus_arrived,
    ngx_wscast_bus_confirmed,
    ngx_wscast_bus_unsubscribed
};


/* Follows the leader, or becomes it where there is none. */

void
ngx_wscast_bus_leader(ngx_wscast_bus_t *bus)
{
    uint64_t                epoch;
    ngx_wscast_bus_role_e   role;

    if (bus->conf->redis == NULL || !ngx_wscast_local_ready(&bus->local)) {
        return;
    }

    if (!bus->redis_open) {

        if (ngx_wscast_redis_open(&bus->redis, bus->conf, &bus->local,
                                  bus->cycle->log,
                                  &ngx_wscast_bus_redis_handler, bus)
            != NGX_OK)
        {
            return;
        }

        bus->redis_open = 1;
    }

    ngx_wscast_bus_elect(bus);

    if (bus->epoch == bus->local.ring.sh->leader_epoch
        && bus->role == ngx_wscast_bus_role(bus))
    {
        return;
    }

    /*
     * Of one moment: who took himself for the heir, in the epoch in which he
     * leads already, would begin anew and not notice what is missed by that.
     */

    bus->local.ring.lock(bus->local.ring.ctx);

    role = ngx_wscast_bus_role(bus);
    epoch = bus->local.ring.sh->leader_epoch;

    bus->local.ring.unlock(bus->local.ring.ctx);

    if (bus->epoch == epoch && bus->role == role) {
        return;
    }

    ngx_wscast_bus_turn(bus, role, epoch);

    bus->epoch = epoch;
    bus->role = role;
    bus->passed = 0;

    bus->handler->recall(bus->ctx);
    ngx_wscast_bus_say(bus, WSCAST_REC_RECALLED, epoch,
                       wscast_str(NULL, 0));

    if (bus->exiting && role == NGX_WSCAST_BUS_LEADER
        && !bus->hold.timer_set)
    {
        ngx_add_timer(&bus->hold, NGX_WSCAST_HOLD_STEP);
    }
}


static void
ngx_wscast_bus_elect(ngx_wscast_bus_t *bus)
{
    wscast_ring_t     *ring;
    wscast_slotset_t   wake;

    ring = &bus->local.ring;
    ngx_memzero(&wake, sizeof(wscast_slotset_t));

    /* who exits leads only if nobody stays, and its clients need it */

    if (!bus->exiting
        || (ring->sh->leader == 0 && wscast_ring_last(ring)
            && bus->local.counters[WSCAST_COUNT_CONNECTIONS]))
    {
        (void) wscast_ring_lead(ring, &wake);

    } else if (!bus->redis.apprentice) {

        /* what is being inherited is bequeathed when it has been */

        (void) wscast_ring_bequeath(ring, &wake);
    }

    ngx_wscast_local_wake(&bus->local, &wake);
}


/* From what this worker was to what it is now. */

static void
ngx_wscast_bus_turn(ngx_wscast_bus_t *bus, ngx_wscast_bus_role_e role,
    uint64_t epoch)
{
    ngx_uint_t  inherits;

    if (role == NGX_WSCAST_BUS_LEADER && bus->role == NGX_WSCAST_BUS_LEADER) {

        if (bus->local.ring.sh->heir) {
            ngx_wscast_redis_bequeath(&bus->redis, epoch);
        }

        return;
    }

    inherits = (role == NGX_WSCAST_BUS_LEADER && bus->redis.apprentice
                && bus->local.ring.sh->handed == bus->redis.epoch);

    ngx_wscast_bus_told_role(bus, role, inherits);

    if (inherits) {
        /* the old leader's last word is in the ring, and is waited for */
        return;
    }

    ngx_wscast_redis_follow(&bus->redis);

    if (role == NGX_WSCAST_BUS_HEIR) {
        ngx_wscast_redis_inherit(&bus->redis, epoch);

    } else if (role == NGX_WSCAST_BUS_LEADER) {
        ngx_wscast_redis_lead(&bus->redis, epoch);
    }
}


static void
ngx_wscast_bus_told_role(ngx_wscast_bus_t *bus, ngx_wscast_bus_role_e role,
    ngx_uint_t inherits)
{
    uint64_t  *counters;

    counters = bus->local.counters;

    if (role == NGX_WSCAST_BUS_LEADER) {
        counters[WSCAST_COUNT_LEADERS]++;
        counters[WSCAST_COUNT_HANDOVERS] += inherits;

        if (inherits) {
            ngx_log_error(NGX_LOG_NOTICE, bus->cycle->log, 0,
                          "wscast: this worker takes over the subscription in "
                          "redis of hub \"%V\"", &bus->conf->name);
        } else {
            ngx_log_error(NGX_LOG_NOTICE, bus->cycle->log, 0,
                          "wscast: this worker subscribes in redis for hub "
                          "\"%V\"", &bus->conf->name);
        }

    } else if (bus->role == NGX_WSCAST_BUS_LEADER && !bus->passed) {
        ngx_log_error(NGX_LOG_WARN, bus->cycle->log, 0,
                      "wscast: this worker stood still, and another one "
                      "subscribes in redis for hub \"%V\" now",
                      &bus->conf->name);
    }
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

    bus->passed = passed;

    return passed;
}


static void
ngx_wscast_bus_resigned(void *ctx)
{
    ngx_wscast_bus_leader(ctx);
}


void
ngx_wscast_bus_hold_handler(ngx_event_t *ev)
{
    ngx_wscast_bus_t  *bus;

    bus = ev->data;

    ngx_wscast_bus_leader(bus);

    if (bus->role == NGX_WSCAST_BUS_LEADER && ngx_wscast_bus_held(bus)) {
        ngx_add_timer(ev, NGX_WSCAST_HOLD_STEP);
    }
}


/*
 * A handover is waited for; where nobody stays (nginx ends) the leader is the
 * last to go of those who have clients.
 */

static ngx_uint_t
ngx_wscast_bus_held(ngx_wscast_bus_t *bus)
{
    if (bus->local.ring.sh->heir || bus->redis.apprentice) {
        return (ngx_msec_int_t) (bus->hold_until - ngx_current_msec) > 0;
    }

    return (ngx_uint_t) wscast_ring_needed(&bus->local.ring);
}


static void
ngx_wscast_bus_publishable(void *ctx)
{
    ngx_wscast_bus_t  *bus;

    bus = ctx;
    bus->handler->writable(bus->ctx);
}


static void
ngx_wscast_bus_reachable(void *ctx)
{
    ngx_wscast_bus_t  *bus;

    bus = ctx;

    if (bus->handler->reachable) {
        bus->handler->reachable(bus->ctx);
    }
}


static ngx_int_t
ngx_wscast_bus_arrived(void *ctx, wscast_str_t channel, wscast_str_t bytes)
{
    ngx_wscast_bus_t  *bus;

    bus = ctx;

    return bus->handler->arrived
           ? bus->handler->arrived(bus->ctx, channel, bytes) : NGX_DECLINED;
}


static ngx_int_t
ngx_wscast_bus_confirmed(void *ctx, wscast_str_t channel, ngx_uint_t missed)
{
    ngx_wscast_bus_t  *bus;

    bus = ctx;

    return bus->handler->confirmed
           ? bus->handler->confirmed(bus->ctx, channel, missed) : NGX_OK;
}


/* Not while the bus goes: what hears of it may be gone already. */

static void
ngx_wscast_bus_unsubscribed(void *ctx, const wscast_str_t *channel)
{
    ngx_wscast_bus_t  *bus;

    bus = ctx;

    if (bus->handler->unsubscribed && !bus->going) {
        bus->handler->unsubscribed(bus->ctx, channel);
    }
}


void
ngx_wscast_bus_leader_tick(ngx_wscast_bus_t *bus)
{
    if (bus->redis_open && ngx_wscast_local_ready(&bus->local)) {
        ngx_wscast_bus_watch(bus);
    }

    ngx_wscast_bus_leader(bus);

    if (bus->redis_open) {
        ngx_wscast_redis_tick(&bus->redis);
    }

    /* the old leader died between its last two steps */

    if (bus->role != NGX_WSCAST_BUS_LEADER || !bus->redis.apprentice) {
        bus->late = 0;

    } else if (++bus->late == NGX_WSCAST_HANDED_TICKS) {
        ngx_wscast_bus_anew(bus);
    }
}


void
ngx_wscast_bus_anew(ngx_wscast_bus_t *bus)
{
    wscast_slotset_t  wake;

    wscast_ring_resign(&bus->local.ring, &wake);
    ngx_wscast_local_wake(&bus->local, &wake);

    if (bus->redis_open) {
        ngx_wscast_redis_follow(&bus->redis);
    }

    bus->epoch = 0;
    bus->role = NGX_WSCAST_BUS_FOLLOWER;
    ngx_wscast_bus_leader(bus);
}


/*
 * Who holds the host's subscription, or is about to, and hangs without dying,
 * leaves all others deaf.
 */

static void
ngx_wscast_bus_watch(ngx_wscast_bus_t *bus)
{
    uint64_t           process;
    wscast_ring_t     *ring;
    wscast_slotset_t   wake;

    ring = &bus->local.ring;

    if (!bus->exiting || wscast_ring_last(ring)) {
        process = wscast_ring_depose(ring, &wake);
        ngx_wscast_local_wake(&bus->local, &wake);

        if (process) {
            bus->local.counters[WSCAST_COUNT_DEPOSED]++;
            ngx_log_error(NGX_LOG_ERR, bus->cycle->log, 0,
                          "wscast: worker %ui, which subscribes in redis for "
                          "hub \"%V\", has stood still for 5 seconds: this "
                          "one takes its place",
                          ngx_wscast_process_pid(process), &bus->conf->name);
        }
    }

    process = wscast_ring_disinherit(ring, &wake);
    ngx_wscast_local_wake(&bus->local, &wake);

    if (process) {
        ngx_log_error(NGX_LOG_ERR, bus->cycle->log, 0,
                      "wscast: worker %ui, which should take over hub \"%V\", "
                      "has stood still for 5 seconds: another one shall",
                      ngx_wscast_process_pid(process), &bus->conf->name);
    }
}


void
ngx_wscast_bus_leader_exiting(ngx_wscast_bus_t *bus)
{
    wscast_slotset_t  wake;

    if (bus->conf->redis == NULL || !ngx_wscast_local_ready(&bus->local)) {
        return;
    }

    wscast_ring_leaving(&bus->local.ring);

    if (ngx_wscast_bus_role(bus) == NGX_WSCAST_BUS_HEIR) {
        wscast_ring_resign(&bus->local.ring, &wake);
        ngx_wscast_local_wake(&bus->local, &wake);
    }

    bus->hold_until = ngx_current_msec + NGX_WSCAST_HOLD_TIME;
    ngx_wscast_bus_hold_handler(&bus->hold);
}


/* Without a leader nothing is said: the next one asks for everything. */

void
ngx_wscast_bus_tell(ngx_wscast_bus_t *bus, ngx_uint_t kind,
    wscast_str_t channel)
{
    ngx_wscast_bus_say(bus, kind, bus->local.ring.nonce, channel);
}


static void
ngx_wscast_bus_say(ngx_wscast_bus_t *bus, ngx_uint_t kind, uint64_t arg,
    wscast_str_t channel)
{
    uint64_t  leader, heir;

    leader = bus->local.ring.sh->leader;
    heir = bus->local.ring.sh->heir;

    ngx_wscast_bus_send(bus, kind, leader, arg, channel);

    if (heir != leader) {
        ngx_wscast_bus_send(bus, kind, heir, arg, channel);
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
