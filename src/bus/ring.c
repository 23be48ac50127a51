#include "ring.h"
#include "ring_inner.h"
#include "../base/map.h"


/* "wscast04"; a build whose struct differs must not take it for its own */

#define WSCAST_RING_MAGIC                                                     \
    (0x7773636173743034ull ^ ((uint64_t) sizeof(wscast_ring_sh_t) << 16))


#define wscast_align(n)                                                       \
    (((n) + WSCAST_RING_ALIGN - 1) & ~(size_t) (WSCAST_RING_ALIGN - 1))


static size_t wscast_ring_log_size(size_t zone);
static size_t wscast_ring_buckets(size_t zone);
static uint64_t *wscast_ring_bucket(const wscast_ring_t *r, uint64_t hash);
static wscast_status_t wscast_ring_put(wscast_ring_t *r,
    const wscast_record_t *rec, wscast_stamp_t *stamp, uint64_t hash,
    size_t size, wscast_slotset_t *targets, wscast_slotset_t *wake);
static void wscast_ring_targets(const wscast_ring_t *r,
    const wscast_record_t *rec, uint64_t hash, wscast_slotset_t *targets);
static void wscast_ring_interested(const wscast_ring_t *r, uint64_t hash,
    wscast_slotset_t *slots);
static int wscast_ring_room(wscast_ring_t *r, uint64_t end,
    wscast_slotset_t *wake);
static uint64_t wscast_ring_slowest(wscast_ring_t *r, uint64_t end,
    wscast_slotset_t *wake);
static unsigned char *wscast_ring_write(wscast_ring_t *r, uint64_t at,
    const wscast_record_t *rec, uint64_t hash, size_t size);
static void wscast_ring_notify(wscast_ring_t *r, uint64_t old, uint64_t tail,
    const wscast_slotset_t *targets, wscast_slotset_t *wake);


static size_t
wscast_ring_log_size(size_t zone)
{
    size_t  size;

    for (size = 4096; size * 2 <= zone / 4; size *= 2) { /* void */ }

    return size;
}


static size_t
wscast_ring_buckets(size_t zone)
{
    size_t  n;

    for (n = 64; n * 2 * 8 * WSCAST_SLOT_WORDS <= zone / 64; n *= 2) {
        /* void */
    }

    return n;
}


size_t
wscast_ring_size(size_t zone)
{
    return sizeof(wscast_ring_sh_t)
           + wscast_ring_buckets(zone) * sizeof(wscast_slotset_t)
           + wscast_ring_log_size(zone);
}


size_t
wscast_ring_max(size_t zone)
{
    /* a record is contiguous: it may need as much again for the pad */

    return wscast_ring_log_size(zone) / 2 - sizeof(wscast_record_sh_t);
}


void
wscast_ring_format(wscast_ring_sh_t *sh, size_t zone, uint64_t id,
    uint64_t seed)
{
    memset(sh, 0, wscast_ring_size(zone) - wscast_ring_log_size(zone));

    sh->id = id;
    sh->seed = seed;
    sh->log_size = wscast_ring_log_size(zone);
    sh->buckets = wscast_ring_buckets(zone);

    wscast_store(&sh->magic, WSCAST_RING_MAGIC);
}


int
wscast_ring_known(const wscast_ring_sh_t *sh, size_t zone)
{
    return wscast_load(&sh->magic) == WSCAST_RING_MAGIC
           && sh->log_size == wscast_ring_log_size(zone)
           && sh->buckets == wscast_ring_buckets(zone);
}


wscast_status_t
wscast_ring_open(wscast_ring_t *r, wscast_ring_sh_t *sh, size_t zone)
{
    if (!wscast_ring_known(sh, zone)) {
        return WSCAST_ERROR;
    }

    r->sh = sh;
    r->log_size = wscast_ring_log_size(zone);
    r->buckets = wscast_ring_buckets(zone);
    r->interest = (uint64_t *) (sh + 1);
    r->log = (unsigned char *) (r->interest
                                + r->buckets * WSCAST_SLOT_WORDS);
    r->slot = WSCAST_NO_SLOT;
    r->nonce = 0;
    r->beaten = 0;
    r->steady = 0;
    r->cut = 0;
    r->reaped = 0;
    r->copy = NULL;
    r->copy_size = 0;

    r->counts = wscast_zalloc(sh->buckets * sizeof(uint32_t));

    return r->counts ? WSCAST_OK : WSCAST_NOMEM;
}


void
wscast_ring_close(wscast_ring_t *r)
{
    if (r->slot != WSCAST_NO_SLOT) {
        wscast_ring_leave(r);
    }

    wscast_free(r->counts);
    wscast_free(r->copy);
    r->counts = NULL;
    r->copy = NULL;
}


wscast_status_t
wscast_ring_append(wscast_ring_t *r, const wscast_record_t *rec,
    wscast_slotset_t *targets, wscast_slotset_t *wake)
{
    return wscast_ring_append_stamped(r, rec, NULL, targets, wake);
}


wscast_status_t
wscast_ring_append_stamped(wscast_ring_t *r, const wscast_record_t *rec,
    wscast_stamp_t *stamp, wscast_slotset_t *targets, wscast_slotset_t *wake)
{
    size_t           size;
    uint64_t         hash;
    wscast_status_t  rc;

    memset(wake, 0, sizeof(wscast_slotset_t));
    memset(targets, 0, sizeof(wscast_slotset_t));

    size = wscast_align(sizeof(wscast_record_sh_t) + rec->channel.len
                        + rec->body.len);

    if (size > r->log_size / 2 || rec->channel.len > UINT16_MAX) {
        return WSCAST_CLOSE_TOO_BIG;
    }

    hash = wscast_hash(r->sh->seed, rec->channel);

    r->lock(r->ctx);
    wscast_step();

    rc = wscast_ring_put(r, rec, stamp, hash, size, targets, wake);

    r->unlock(r->ctx);

    return rc;
}


/* Under the lock.  size: of the record, aligned. */

static wscast_status_t
wscast_ring_put(wscast_ring_t *r, const wscast_record_t *rec,
    wscast_stamp_t *stamp, uint64_t hash, size_t size,
    wscast_slotset_t *targets, wscast_slotset_t *wake)
{
    uint64_t          tail, at, end;
    unsigned char    *body;
    wscast_status_t   rc;

    if (rec->led && !wscast_ring_leads(r)) {
        return WSCAST_ERROR;
    }

    tail = wscast_load(&r->sh->tail);
    at = tail;
    end = r->log_size - (at & (r->log_size - 1));

    if (end < size) {
        at += end;
    }

    end = at + size;

    if (!wscast_ring_room(r, end, wake)) {
        return WSCAST_AGAIN;
    }

    if (at != tail) {
        (void) wscast_ring_write(r, tail, NULL, 0, at - tail);
        wscast_step();
    }

    body = wscast_ring_write(r, at, rec, hash, size);
    wscast_step();

    if (stamp) {
        rc = stamp->apply(stamp, body, rec->body.len, end);
        wscast_step();

        if (rc != WSCAST_OK) {
            return rc;
        }
    }

    wscast_ring_targets(r, rec, hash, targets);

    wscast_store(&r->sh->tail, end);
    wscast_step();

    if (stamp) {
        stamp->finish(stamp);
        wscast_step();
    }

    wscast_ring_notify(r, tail, end, targets, wake);

    return WSCAST_OK;
}


static void
wscast_ring_targets(const wscast_ring_t *r, const wscast_record_t *rec,
    uint64_t hash, wscast_slotset_t *targets)
{
    if (rec->to != WSCAST_NO_SLOT) {
        wscast_slotset_add(targets, rec->to % WSCAST_SLOTS);

    } else {
        wscast_ring_interested(r, hash, targets);
    }
}


static void
wscast_ring_interested(const wscast_ring_t *r, uint64_t hash,
    wscast_slotset_t *slots)
{
    unsigned   i;
    uint64_t  *bucket;

    bucket = wscast_ring_bucket(r, hash);

    for (i = 0; i < WSCAST_SLOT_WORDS; i++) {
        slots->w[i] = wscast_load(&bucket[i]);
    }
}


void
wscast_ring_listeners(const wscast_ring_t *r, wscast_str_t channel,
    wscast_slotset_t *slots)
{
    wscast_ring_interested(r, wscast_hash(r->sh->seed, channel), slots);
}


uint64_t
wscast_ring_tail(const wscast_ring_t *r)
{
    return wscast_load(&r->sh->tail);
}


/* Under the lock: may the log extend to end? */

static int
wscast_ring_room(wscast_ring_t *r, uint64_t end, wscast_slotset_t *wake)
{
    wscast_ring_sh_t  *sh;

    sh = r->sh;

    if (end - sh->floor <= r->log_size) {
        return 1;
    }

    sh->floor = wscast_ring_slowest(r, end, NULL);

    if (end - sh->floor <= r->log_size) {
        return 1;
    }

    /*
     * Announce the waiting first and look again then: a reader looks for
     * waiters after it has moved its cursor, so one of both sees the other.
     */

    if (r->slot != WSCAST_NO_SLOT) {
        wscast_store(&sh->slots[r->slot].waiting, 1);
        wscast_step();
    }

    wscast_store(&sh->waiters, 1);
    wscast_step();

    sh->floor = wscast_ring_slowest(r, end, wake);

    return end - sh->floor <= r->log_size;
}


/*
 * The least cursor.  With wake, those in the way are collected, and cut loose
 * if they have stood still for too long.
 */

static uint64_t
wscast_ring_slowest(wscast_ring_t *r, uint64_t end, wscast_slotset_t *wake)
{
    unsigned           i;
    uint64_t           floor, cursor, now, stalled;
    wscast_slot_sh_t  *slot;

    now = r->now(r->ctx);
    floor = wscast_load(&r->sh->tail);

    for (i = 0; i < r->sh->high && i < WSCAST_SLOTS; i++) {
        slot = &r->sh->slots[i];

        if (wscast_load(&slot->state) != WSCAST_SLOT_ACTIVE) {
            continue;
        }

        cursor = wscast_load(&slot->cursor);

        if (wake && end - cursor > r->log_size && i != r->slot) {

            if (!r->alive(r->ctx, slot->pid)) {
                wscast_ring_release(r, i);
                r->reaped++;
                continue;
            }

            wscast_slotset_add(wake, i);
            stalled = slot->stalled;

            if (stalled == 0 || slot->stalled_at != cursor) {
                slot->stalled = now;
                wscast_step();
                slot->stalled_at = cursor;
                wscast_step();

            } else if (now > stalled && now - stalled > WSCAST_RING_STALL) {
                wscast_store(&slot->state, WSCAST_SLOT_CUT);
                wscast_step();
                r->cut = (uint32_t) slot->pid;
                continue;
            }
        }

        if (cursor < floor) {
            floor = cursor;
        }
    }

    return floor;
}


/*
 * Under the lock, beyond the tail: nobody sees it yet.  rec NULL: a pad.
 * Returns where the body lies.
 */

static unsigned char *
wscast_ring_write(wscast_ring_t *r, uint64_t at, const wscast_record_t *rec,
    uint64_t hash, size_t size)
{
    unsigned char       *p;
    wscast_record_sh_t  *h;

    p = r->log + (at & (r->log_size - 1));
    h = (wscast_record_sh_t *) (void *) p;

    if (rec == NULL) {
        /* the end of the log is aligned, but may be shorter than a header */
        h->size = (uint32_t) size;
        h->kind = WSCAST_REC_PAD;
        return NULL;
    }

    h->size = (uint32_t) size;
    wscast_step();
    h->kind = (uint16_t) rec->kind;
    h->from = (uint16_t) r->slot;
    h->to = (uint16_t) rec->to;
    h->channel_len = (uint16_t) rec->channel.len;
    h->body_len = (uint32_t) rec->body.len;
    h->hash = hash;
    h->arg = rec->arg;

    p += sizeof(wscast_record_sh_t);
    wscast_step();

    if (rec->channel.len) {
        memcpy(p, rec->channel.data, rec->channel.len);
        p += rec->channel.len;
    }

    if (rec->body.len) {
        memcpy(p, rec->body.data, rec->body.len);
    }

    return p;
}


static void
wscast_ring_notify(wscast_ring_t *r, uint64_t old, uint64_t tail,
    const wscast_slotset_t *targets, wscast_slotset_t *wake)
{
    unsigned           i;
    uint64_t           cursor;
    wscast_slot_sh_t  *slot;

    for (i = 0; i < r->sh->high && i < WSCAST_SLOTS; i++) {
        slot = &r->sh->slots[i];

        if (wscast_load(&slot->state) != WSCAST_SLOT_ACTIVE) {
            continue;
        }

        if (!wscast_slotset_has(targets, i)) {

            /*
             * It does not care: if it has read all, the record is skipped on
             * its behalf.  If it is still reading, it will come to this one.
             */

            cursor = old;
            (void) __atomic_compare_exchange_n(&slot->cursor, &cursor, tail,
                                               0, __ATOMIC_SEQ_CST,
                                               __ATOMIC_SEQ_CST);
            wscast_step();
            continue;
        }

        if (i != r->slot
            && __atomic_exchange_n(&slot->woken, 1, __ATOMIC_SEQ_CST) == 0)
        {
            wscast_slotset_add(wake, i);
            wscast_step();
        }
    }
}


static uint64_t *
wscast_ring_bucket(const wscast_ring_t *r, uint64_t hash)
{
    return r->interest + (hash & (r->buckets - 1)) * WSCAST_SLOT_WORDS;
}


void
wscast_ring_listen(wscast_ring_t *r, wscast_str_t channel)
{
    uint64_t  hash;

    hash = wscast_hash(r->sh->seed, channel);

    if (r->counts[hash & (r->buckets - 1)]++ == 0) {
        __atomic_or_fetch(wscast_ring_bucket(r, hash) + r->slot / 64,
                          (uint64_t) 1 << (r->slot % 64), __ATOMIC_SEQ_CST);
    }
}


void
wscast_ring_unlisten(wscast_ring_t *r, wscast_str_t channel)
{
    uint64_t  hash;

    hash = wscast_hash(r->sh->seed, channel);

    if (--r->counts[hash & (r->buckets - 1)] == 0) {
        __atomic_and_fetch(wscast_ring_bucket(r, hash) + r->slot / 64,
                           ~((uint64_t) 1 << (r->slot % 64)),
                           __ATOMIC_SEQ_CST);
    }
}
