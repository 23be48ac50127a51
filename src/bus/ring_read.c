#include "ring.h"
#include "ring_inner.h"


static wscast_status_t wscast_ring_take(wscast_ring_t *r, uint64_t cursor,
    uint64_t tail, wscast_record_sh_t *h);
static int wscast_ring_advance(wscast_slot_sh_t *slot, uint64_t cursor,
    uint64_t next);
static wscast_status_t wscast_ring_lost(wscast_ring_t *r);
static void wscast_ring_wake_waiters(wscast_ring_t *r,
    wscast_slotset_t *wake);


void
wscast_ring_awake(wscast_ring_t *r)
{
    wscast_store(&r->sh->slots[r->slot].woken, 0);
}


int
wscast_ring_behind(const wscast_ring_t *r)
{
    wscast_slot_sh_t  *slot;

    slot = &r->sh->slots[r->slot];

    return wscast_load(&slot->state) != WSCAST_SLOT_ACTIVE
           || wscast_load(&slot->cursor) != wscast_load(&r->sh->tail);
}


wscast_status_t
wscast_ring_read(wscast_ring_t *r, wscast_record_t *rec,
    wscast_slotset_t *wake)
{
    uint64_t             cursor, tail;
    wscast_status_t      rc;
    wscast_slot_sh_t    *slot;
    wscast_record_sh_t   h;

    slot = &r->sh->slots[r->slot];

    memset(wake, 0, sizeof(wscast_slotset_t));

    for ( ;; ) {

        if (wscast_load(&slot->state) != WSCAST_SLOT_ACTIVE) {
            return wscast_ring_lost(r);
        }

        cursor = wscast_load(&slot->cursor);
        tail = wscast_load(&r->sh->tail);

        if (cursor == tail) {
            wscast_ring_wake_waiters(r, wake);
            return WSCAST_MORE;
        }

        wscast_step();

        rc = wscast_ring_take(r, cursor, tail, &h);

        if (rc == WSCAST_OK || rc == WSCAST_MORE) {

            /* who was cut loose meanwhile may have read another's bytes */

            __atomic_thread_fence(__ATOMIC_SEQ_CST);
            wscast_step();

            if (wscast_load(&slot->state) == WSCAST_SLOT_ACTIVE
                && wscast_ring_advance(slot, cursor, cursor + h.size)
                && rc == WSCAST_OK)
            {
                wscast_step();
                break;
            }

            continue;
        }

        if (wscast_load(&slot->cursor) == cursor) {
            (void) wscast_ring_lost(r);
            return rc;
        }
    }

    rec->kind = h.kind;
    rec->from = h.from;
    rec->to = h.to;
    rec->arg = h.arg;
    rec->channel = wscast_str(r->copy, h.channel_len);
    rec->body = wscast_str(r->copy + h.channel_len, h.body_len);

    return WSCAST_OK;
}


/*
 * Copies what lies at the cursor.  WSCAST_MORE: it is not for the own slot;
 * WSCAST_ERROR: it is no record.  True only if the cursor is still there.
 */

static wscast_status_t
wscast_ring_take(wscast_ring_t *r, uint64_t cursor, uint64_t tail,
    wscast_record_sh_t *h)
{
    void                 *copy;
    size_t                len, left;
    const unsigned char  *p;

    p = r->log + (cursor & (r->log_size - 1));
    left = r->log_size - (cursor & (r->log_size - 1));

    memset(h, 0, sizeof(wscast_record_sh_t));
    memcpy(h, p, left < sizeof(wscast_record_sh_t)
                 ? left : sizeof(wscast_record_sh_t));

    if (tail - cursor > r->log_size
        || h->size < WSCAST_RING_ALIGN || h->size % WSCAST_RING_ALIGN
        || h->size > left || h->size > tail - cursor)
    {
        return WSCAST_ERROR;
    }

    if (h->kind == WSCAST_REC_PAD
        || (h->to == WSCAST_NO_SLOT
            ? r->counts[h->hash & (r->buckets - 1)] == 0
            : h->to != r->slot))
    {
        return WSCAST_MORE;
    }

    len = (size_t) h->channel_len + h->body_len;

    if (sizeof(wscast_record_sh_t) + len > h->size) {
        return WSCAST_ERROR;
    }

    if (len > r->copy_size) {
        copy = wscast_realloc(r->copy, len);

        if (copy == NULL) {
            return WSCAST_NOMEM;
        }

        r->copy = copy;
        r->copy_size = len;
    }

    if (len) {
        memcpy(r->copy, p + sizeof(wscast_record_sh_t), len);
    }

    return WSCAST_OK;
}


/*
 * While the cursor stands, the log behind it is kept.  But a writer may move it
 * over a record that does not concern the slot: what was read then may already
 * have been another's bytes, and to store the old position would go back.
 */

static int
wscast_ring_advance(wscast_slot_sh_t *slot, uint64_t cursor, uint64_t next)
{
    return __atomic_compare_exchange_n(&slot->cursor, &cursor, next, 0,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}


/* The own slot starts anew at the tail. */

static wscast_status_t
wscast_ring_lost(wscast_ring_t *r)
{
    wscast_slot_sh_t  *slot;

    slot = &r->sh->slots[r->slot];

    r->lock(r->ctx);

    wscast_store(&slot->cursor, wscast_load(&r->sh->tail));
    wscast_step();
    wscast_store(&slot->stalled, 0);
    wscast_store(&slot->state, WSCAST_SLOT_ACTIVE);
    wscast_step();

    r->unlock(r->ctx);

    return WSCAST_ERROR;
}


static void
wscast_ring_wake_waiters(wscast_ring_t *r, wscast_slotset_t *wake)
{
    unsigned  i;

    if (wscast_load(&r->sh->waiters) == 0) {
        return;
    }

    wscast_store(&r->sh->waiters, 0);
    wscast_step();

    for (i = 0; i < r->sh->high && i < WSCAST_SLOTS; i++) {
        if (__atomic_exchange_n(&r->sh->slots[i].waiting, 0,
                                __ATOMIC_SEQ_CST))
        {
            wscast_slotset_add(wake, i);
        }
    }
}
