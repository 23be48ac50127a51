#include "ring.h"
#include "ring_inner.h"


static const unsigned char  wscast_ring_gauge[WSCAST_COUNTERS] = {
#define COUNTER  0
#define GAUGE    1
#define X(name, type, label, help)  [WSCAST_COUNT_##name] = type,
    WSCAST_COUNTER_TABLE(X)
#undef X
#undef COUNTER
#undef GAUGE
};


wscast_status_t
wscast_ring_claim(wscast_ring_t *r, uint64_t pid, uint64_t nonce)
{
    unsigned           i, n;
    wscast_status_t    rc;
    wscast_slot_sh_t  *slot;

    (void) wscast_ring_reap(r);

    rc = WSCAST_AGAIN;
    r->lock(r->ctx);

    for (i = 0; i < WSCAST_SLOTS; i++) {
        slot = &r->sh->slots[i];

        if (wscast_load(&slot->state) != WSCAST_SLOT_FREE) {
            continue;
        }

        /* the counters go on from where the last tenant left them */

        memset(slot, 0, offsetof(wscast_slot_sh_t, counters));

        for (n = 0; n < WSCAST_COUNTERS; n++) {
            if (wscast_ring_gauge[n]) {
                slot->counters[n] = 0;
            }
        }

        wscast_step();

        slot->pid = pid;
        slot->nonce = nonce;
        slot->born = r->sh->tenancies;
        slot->beat = r->now(r->ctx);
        slot->cursor = wscast_load(&r->sh->tail);
        wscast_step();

        if (r->sh->high < i + 1) {
            wscast_store(&r->sh->high, i + 1);
        }

        wscast_step();

        /* this store makes it a tenancy; before, the slot is still free */
        wscast_store(&slot->state, WSCAST_SLOT_ACTIVE);
        wscast_step();

        r->sh->tenancies++;
        r->slot = i;
        r->nonce = nonce;
        rc = WSCAST_OK;

        break;
    }

    r->unlock(r->ctx);

    return rc;
}


void
wscast_ring_leave(wscast_ring_t *r)
{
    wscast_slot_sh_t  *slot;

    slot = &r->sh->slots[r->slot];

    r->lock(r->ctx);

    if (slot->nonce == r->nonce) {
        wscast_ring_release(r, r->slot);
    }

    r->unlock(r->ctx);

    memset(r->counts, 0, r->buckets * sizeof(uint32_t));
    r->slot = WSCAST_NO_SLOT;
}


unsigned
wscast_ring_reap(wscast_ring_t *r)
{
    unsigned           i, n, high;
    wscast_slot_sh_t  *slot;

    n = 0;
    high = (unsigned) wscast_load(&r->sh->high);

    for (i = 0; i < high && i < WSCAST_SLOTS; i++) {
        slot = &r->sh->slots[i];

        if (i == r->slot
            || wscast_load(&slot->state) == WSCAST_SLOT_FREE
            || r->alive(r->ctx, wscast_load(&slot->pid)))
        {
            continue;
        }

        r->lock(r->ctx);

        /* somebody else may have been faster */

        if (wscast_load(&slot->state) != WSCAST_SLOT_FREE
            && !r->alive(r->ctx, wscast_load(&slot->pid)))
        {
            wscast_ring_release(r, i);
            r->reaped++;
            n++;
        }

        r->unlock(r->ctx);
    }

    return n;
}


/*
 * Under the lock.  Every step may be repeated: if the process that does it
 * dies in between, the slot is found again and released once more.
 */

void
wscast_ring_release(wscast_ring_t *r, unsigned slot)
{
    uint64_t           n;
    wscast_slot_sh_t  *s;

    s = &r->sh->slots[slot];

    for (n = 0; n < r->buckets; n++) {
        __atomic_and_fetch(r->interest + n * WSCAST_SLOT_WORDS + slot / 64,
                           ~((uint64_t) 1 << (slot % 64)), __ATOMIC_SEQ_CST);
    }

    wscast_step();

    (void) wscast_ring_abdicate(r, slot);

    r->sh->tenancies++;
    wscast_step();
    wscast_store(&s->state, WSCAST_SLOT_FREE);
    wscast_step();
}


void
wscast_ring_counters(const wscast_ring_t *r, uint64_t sum[WSCAST_COUNTERS])
{
    unsigned           i, n, vacant;
    wscast_slot_sh_t  *slot;

    memset(sum, 0, WSCAST_COUNTERS * sizeof(uint64_t));

    for (i = 0; i < r->sh->high && i < WSCAST_SLOTS; i++) {
        slot = &r->sh->slots[i];
        vacant = wscast_load(&slot->state) == WSCAST_SLOT_FREE;

        for (n = 0; n < WSCAST_COUNTERS; n++) {
            if (!vacant || !wscast_ring_gauge[n]) {
                sum[n] += wscast_load(&slot->counters[n]);
            }
        }
    }
}


unsigned
wscast_ring_workers(const wscast_ring_t *r)
{
    unsigned  i, n;

    n = 0;

    for (i = 0; i < r->sh->high && i < WSCAST_SLOTS; i++) {
        n += wscast_load(&r->sh->slots[i].state) != WSCAST_SLOT_FREE;
    }

    return n;
}


uint64_t
wscast_ring_backlog(const wscast_ring_t *r)
{
    unsigned           i;
    uint64_t           cursor, most, tail;
    wscast_slot_sh_t  *slot;

    most = 0;

    for (i = 0; i < r->sh->high && i < WSCAST_SLOTS; i++) {
        slot = &r->sh->slots[i];

        if (wscast_load(&slot->state) != WSCAST_SLOT_ACTIVE) {
            continue;
        }

        /* a cursor moves on, but never beyond a tail that is read later */

        cursor = wscast_load(&slot->cursor);
        tail = wscast_load(&r->sh->tail);

        if (tail > cursor && tail - cursor > most) {
            most = tail - cursor;
        }
    }

    return most < r->log_size ? most : r->log_size;
}


int
wscast_ring_tenant(const wscast_ring_t *r, uint64_t nonce)
{
    unsigned           i;
    wscast_slot_sh_t  *slot;

    for (i = 0; i < r->sh->high && i < WSCAST_SLOTS; i++) {
        slot = &r->sh->slots[i];

        if (wscast_load(&slot->state) != WSCAST_SLOT_FREE
            && slot->nonce == nonce)
        {
            return 1;
        }
    }

    return 0;
}
