#include "ring.h"
#include "ring_inner.h"


static void wscast_ring_wake_all(wscast_ring_t *r, wscast_slotset_t *wake);


int
wscast_ring_lead(wscast_ring_t *r, wscast_slotset_t *wake)
{
    uint64_t  leader;

    memset(wake, 0, sizeof(wscast_slotset_t));

    leader = wscast_load(&r->sh->leader);

    if (leader) {
        return leader == r->slot + 1;
    }

    r->lock(r->ctx);

    if (wscast_load(&r->sh->leader) == 0) {
        wscast_store(&r->sh->heir, 0);
        wscast_store(&r->sh->leader, r->slot + 1);
        wscast_step();
        __atomic_add_fetch(&r->sh->leader_epoch, 1, __ATOMIC_SEQ_CST);
        wscast_step();
        wscast_ring_wake_all(r, wake);
    }

    leader = wscast_load(&r->sh->leader);

    r->unlock(r->ctx);

    return leader == r->slot + 1;
}


void
wscast_ring_resign(wscast_ring_t *r, wscast_slotset_t *wake)
{
    memset(wake, 0, sizeof(wscast_slotset_t));

    r->lock(r->ctx);

    if (wscast_load(&r->sh->leader) == r->slot + 1) {
        wscast_store(&r->sh->redis_up, 0);
        wscast_step();
        wscast_store(&r->sh->heir, 0);
        wscast_step();
        wscast_store(&r->sh->leader, 0);
        wscast_step();
        __atomic_add_fetch(&r->sh->leader_epoch, 1, __ATOMIC_SEQ_CST);
        wscast_ring_wake_all(r, wake);

    } else if (wscast_load(&r->sh->heir) == r->slot + 1) {
        wscast_store(&r->sh->heir, 0);
        wscast_step();
        __atomic_add_fetch(&r->sh->leader_epoch, 1, __ATOMIC_SEQ_CST);
        wscast_ring_wake_all(r, wake);
    }

    r->unlock(r->ctx);
}


void
wscast_ring_leaving(wscast_ring_t *r)
{
    wscast_store(&r->sh->slots[r->slot].leaving, 1);
}


int
wscast_ring_bequeath(wscast_ring_t *r, wscast_slotset_t *wake)
{
    int                rc;
    unsigned           i, heir;
    wscast_slot_sh_t  *slot;

    memset(wake, 0, sizeof(wscast_slotset_t));

    r->lock(r->ctx);

    if (wscast_load(&r->sh->leader) == r->slot + 1
        && wscast_load(&r->sh->heir) == 0)
    {
        heir = WSCAST_NO_SLOT;

        for (i = 0; i < r->sh->high && i < WSCAST_SLOTS; i++) {
            slot = &r->sh->slots[i];

            /* the youngest, for the others may be about to leave too */

            if (i != r->slot
                && wscast_load(&slot->state) == WSCAST_SLOT_ACTIVE
                && !wscast_load(&slot->leaving)
                && (heir == WSCAST_NO_SLOT
                    || slot->born > r->sh->slots[heir].born))
            {
                heir = i;
            }
        }

        if (heir != WSCAST_NO_SLOT) {
            wscast_store(&r->sh->heir, heir + 1);
            wscast_step();
            __atomic_add_fetch(&r->sh->leader_epoch, 1, __ATOMIC_SEQ_CST);
            wscast_step();
            wscast_ring_wake_all(r, wake);
        }
    }

    rc = wscast_load(&r->sh->heir) != 0;

    r->unlock(r->ctx);

    return rc;
}


int
wscast_ring_pass(wscast_ring_t *r, uint64_t epoch, wscast_slotset_t *wake)
{
    int  rc;

    rc = 0;
    memset(wake, 0, sizeof(wscast_slotset_t));

    r->lock(r->ctx);

    if (wscast_load(&r->sh->leader) == r->slot + 1
        && wscast_load(&r->sh->heir) != 0
        && wscast_load(&r->sh->leader_epoch) == epoch)
    {
        wscast_store(&r->sh->handed, epoch);
        wscast_step();
        wscast_store(&r->sh->leader, wscast_load(&r->sh->heir));
        wscast_step();
        wscast_store(&r->sh->heir, 0);
        wscast_step();
        __atomic_add_fetch(&r->sh->leader_epoch, 1, __ATOMIC_SEQ_CST);
        wscast_step();
        wscast_ring_wake_all(r, wake);
        rc = 1;
    }

    r->unlock(r->ctx);

    return rc;
}


static void
wscast_ring_wake_all(wscast_ring_t *r, wscast_slotset_t *wake)
{
    unsigned  i;

    for (i = 0; i < r->sh->high && i < WSCAST_SLOTS; i++) {
        if (i != r->slot
            && wscast_load(&r->sh->slots[i].state) != WSCAST_SLOT_FREE)
        {
            wscast_slotset_add(wake, i);
        }
    }
}
