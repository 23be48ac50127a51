/* ring: whether all that it says of itself agrees.  For tests. */

#include "ring.h"
#include "ring_inner.h"


#define WSCAST_RING_WALK  65536         /* records that are looked at */


static const char *wscast_ring_wrong_slots(const wscast_ring_t *r);
static const char *wscast_ring_wrong_leader(const wscast_ring_t *r,
    uint64_t who);
static const char *wscast_ring_wrong_interest(const wscast_ring_t *r);
static const char *wscast_ring_wrong_log(const wscast_ring_t *r);
static uint64_t wscast_ring_begin(const wscast_ring_t *r, uint64_t tail);


const char *
wscast_ring_wrong(const wscast_ring_t *r)
{
    const char  *what;

    if (r->sh->log_size != r->log_size || r->sh->buckets != r->buckets) {
        return "sizes";
    }

    what = wscast_ring_wrong_slots(r);

    if (what == NULL) {
        what = wscast_ring_wrong_leader(r, r->sh->leader);
    }

    if (what == NULL) {
        what = wscast_ring_wrong_leader(r, r->sh->heir);
    }

    if (what == NULL) {
        what = wscast_ring_wrong_interest(r);
    }

    return what ? what : wscast_ring_wrong_log(r);
}


static const char *
wscast_ring_wrong_slots(const wscast_ring_t *r)
{
    unsigned           i;
    uint64_t           state, cursor, tail;
    wscast_slot_sh_t  *slot;

    if (r->sh->high > WSCAST_SLOTS) {
        return "the number of slots";
    }

    tail = wscast_ring_tail(r);

    for (i = 0; i < WSCAST_SLOTS; i++) {
        slot = &r->sh->slots[i];
        state = wscast_load(&slot->state);
        cursor = wscast_load(&slot->cursor);

        if (state > WSCAST_SLOT_CUT
            || (state != WSCAST_SLOT_FREE
                && (i >= r->sh->high || slot->pid == 0 || slot->nonce == 0)))
        {
            return "a slot";
        }

        if (state == WSCAST_SLOT_ACTIVE
            && (cursor > tail || tail - cursor > r->log_size))
        {
            return "a cursor";
        }
    }

    return NULL;
}


static const char *
wscast_ring_wrong_leader(const wscast_ring_t *r, uint64_t who)
{
    if (who == 0) {
        return NULL;
    }

    return who > r->sh->high
           || wscast_load(&r->sh->slots[who - 1].state) == WSCAST_SLOT_FREE
           || r->sh->leader == r->sh->heir
           ? "who leads" : NULL;
}


/* Who is not there is interested in nothing. */

static const char *
wscast_ring_wrong_interest(const wscast_ring_t *r)
{
    size_t            n;
    unsigned          i;
    wscast_slotset_t  there;

    memset(&there, 0, sizeof(wscast_slotset_t));

    for (i = 0; i < WSCAST_SLOTS; i++) {
        if (wscast_load(&r->sh->slots[i].state) != WSCAST_SLOT_FREE) {
            wscast_slotset_add(&there, i);
        }
    }

    for (n = 0; n < r->buckets * WSCAST_SLOT_WORDS; n++) {
        if (wscast_load(&r->interest[n]) & ~there.w[n % WSCAST_SLOT_WORDS]) {
            return "interest";
        }
    }

    return NULL;
}


/* From the slowest reader on there are records, one behind the other. */

static const char *
wscast_ring_wrong_log(const wscast_ring_t *r)
{
    size_t               left;
    unsigned             n;
    uint64_t             at, tail;
    wscast_record_sh_t   h;

    tail = wscast_ring_tail(r);
    at = wscast_ring_begin(r, tail);

    for (n = 0; at < tail && n < WSCAST_RING_WALK; n++) {
        left = r->log_size - (at & (r->log_size - 1));

        memset(&h, 0, sizeof(wscast_record_sh_t));
        memcpy(&h, r->log + (at & (r->log_size - 1)),
               left < sizeof(wscast_record_sh_t)
               ? left : sizeof(wscast_record_sh_t));

        if (h.size < WSCAST_RING_ALIGN || h.size % WSCAST_RING_ALIGN
            || h.size > left || h.size > tail - at)
        {
            return "the size of a record";
        }

        if (h.kind != WSCAST_REC_PAD
            && (h.kind >= WSCAST_REC_MAX
                || (h.to >= WSCAST_SLOTS && h.to != WSCAST_NO_SLOT)
                || sizeof(wscast_record_sh_t) + h.channel_len + h.body_len
                   > h.size))
        {
            return "a record";
        }

        at += h.size;
    }

    return NULL;
}


static uint64_t
wscast_ring_begin(const wscast_ring_t *r, uint64_t tail)
{
    unsigned           i;
    uint64_t           at, cursor;
    wscast_slot_sh_t  *slot;

    at = tail;

    for (i = 0; i < r->sh->high; i++) {
        slot = &r->sh->slots[i];
        cursor = wscast_load(&slot->cursor);

        if (wscast_load(&slot->state) == WSCAST_SLOT_ACTIVE && cursor < at) {
            at = cursor;
        }
    }

    return at;
}
