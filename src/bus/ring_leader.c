#include "ring.h"
#include "ring_inner.h"


static int wscast_ring_stays(const wscast_ring_t *r, unsigned slot);
static unsigned wscast_ring_candidate(const wscast_ring_t *r, int hanging);
static void wscast_ring_appoint(wscast_ring_t *r, unsigned heir,
    wscast_slotset_t *wake);
static void wscast_ring_wake_all(wscast_ring_t *r, wscast_slotset_t *wake);


void
wscast_ring_beat(wscast_ring_t *r)
{
    uint64_t  now;

    now = r->now(r->ctx);

    if (r->beaten == 0 || now - r->beaten > WSCAST_RING_SILENT / 2) {
        r->steady = now;
    }

    r->beaten = now;
    wscast_store(&r->sh->slots[r->slot].beat, now);
}


/* Who has not been watching has nothing to say about the others. */

int
wscast_ring_hangs(const wscast_ring_t *r, unsigned slot)
{
    uint64_t  now, beat;

    now = r->now(r->ctx);
    beat = wscast_load(&r->sh->slots[slot].beat);

    return slot != r->slot
           && now - r->beaten <= WSCAST_RING_SILENT / 2
           && now - r->steady > WSCAST_RING_SILENT
           && now > beat && now - beat > WSCAST_RING_SILENT;
}


int
wscast_ring_leads(const wscast_ring_t *r)
{
    return wscast_load(&r->sh->leader) == (uint64_t) r->slot + 1;
}


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


uint64_t
wscast_ring_depose(wscast_ring_t *r, wscast_slotset_t *wake)
{
    uint64_t  leader, pid;

    pid = 0;
    memset(wake, 0, sizeof(wscast_slotset_t));

    leader = wscast_load(&r->sh->leader);

    if (leader == 0 || leader > WSCAST_SLOTS
        || !wscast_ring_hangs(r, (unsigned) leader - 1))
    {
        return 0;
    }

    r->lock(r->ctx);

    /* it may have gone on, or somebody else may have been faster */

    if (wscast_load(&r->sh->leader) == leader
        && wscast_ring_hangs(r, (unsigned) leader - 1))
    {
        pid = wscast_load(&r->sh->slots[leader - 1].pid);

        wscast_store(&r->sh->redis_up, 0);
        wscast_step();
        wscast_store(&r->sh->heir, 0);
        wscast_step();
        wscast_store(&r->sh->leader, r->slot + 1);
        wscast_step();
        __atomic_add_fetch(&r->sh->leader_epoch, 1, __ATOMIC_SEQ_CST);
        wscast_step();
        wscast_ring_wake_all(r, wake);
    }

    r->unlock(r->ctx);

    return pid;
}


void
wscast_ring_resign(wscast_ring_t *r, wscast_slotset_t *wake)
{
    memset(wake, 0, sizeof(wscast_slotset_t));

    r->lock(r->ctx);

    if (wscast_ring_abdicate(r, r->slot)) {
        wscast_ring_wake_all(r, wake);
    }

    r->unlock(r->ctx);
}


int
wscast_ring_abdicate(wscast_ring_t *r, unsigned slot)
{
    if (wscast_load(&r->sh->leader) == slot + 1) {
        wscast_store(&r->sh->redis_up, 0);
        wscast_step();
        wscast_store(&r->sh->heir, 0);
        wscast_step();
        wscast_store(&r->sh->leader, 0);

    } else if (wscast_load(&r->sh->heir) == slot + 1) {
        wscast_store(&r->sh->heir, 0);

    } else {
        return 0;
    }

    wscast_step();
    __atomic_add_fetch(&r->sh->leader_epoch, 1, __ATOMIC_SEQ_CST);
    wscast_step();

    return 1;
}


void
wscast_ring_leaving(wscast_ring_t *r)
{
    wscast_store(&r->sh->slots[r->slot].leaving, 1);
}


/* A worker of this slot that is not about to exit, other than the own. */

static int
wscast_ring_stays(const wscast_ring_t *r, unsigned slot)
{
    const wscast_slot_sh_t  *s;

    s = &r->sh->slots[slot];

    return slot != r->slot
           && wscast_load(&s->state) == WSCAST_SLOT_ACTIVE
           && !wscast_load(&s->leaving);
}


int
wscast_ring_last(const wscast_ring_t *r)
{
    return wscast_ring_candidate(r, 0) == WSCAST_NO_SLOT;
}


int
wscast_ring_needed(const wscast_ring_t *r)
{
    unsigned                 i;
    const wscast_slot_sh_t  *slot;

    for (i = 0; i < r->sh->high && i < WSCAST_SLOTS; i++) {
        slot = &r->sh->slots[i];

        if (i != r->slot
            && wscast_load(&slot->state) != WSCAST_SLOT_FREE
            && wscast_load(&slot->counters[WSCAST_COUNT_CONNECTIONS])
            && !wscast_ring_hangs(r, i))
        {
            return 1;
        }
    }

    return 0;
}


/* The youngest who stays, for the others may be about to leave too. */

static unsigned
wscast_ring_candidate(const wscast_ring_t *r, int hanging)
{
    unsigned  i, heir;

    heir = WSCAST_NO_SLOT;

    for (i = 0; i < r->sh->high && i < WSCAST_SLOTS; i++) {

        if (wscast_ring_stays(r, i)
            && (hanging || !wscast_ring_hangs(r, i))
            && (heir == WSCAST_NO_SLOT
                || r->sh->slots[i].born > r->sh->slots[heir].born))
        {
            heir = i;
        }
    }

    return heir;
}


int
wscast_ring_bequeath(wscast_ring_t *r, wscast_slotset_t *wake)
{
    int       rc;
    unsigned  heir;

    memset(wake, 0, sizeof(wscast_slotset_t));

    r->lock(r->ctx);

    if (wscast_ring_leads(r) && wscast_load(&r->sh->heir) == 0) {

        heir = wscast_ring_candidate(r, 0);

        if (heir == WSCAST_NO_SLOT) {
            heir = wscast_ring_candidate(r, 1);
        }

        if (heir != WSCAST_NO_SLOT) {
            wscast_ring_appoint(r, heir, wake);
        }
    }

    rc = wscast_load(&r->sh->heir) != 0;

    r->unlock(r->ctx);

    return rc;
}


uint64_t
wscast_ring_disinherit(wscast_ring_t *r, wscast_slotset_t *wake)
{
    unsigned  heir;
    uint64_t  old, pid;

    pid = 0;
    memset(wake, 0, sizeof(wscast_slotset_t));

    r->lock(r->ctx);

    old = wscast_load(&r->sh->heir);

    if (wscast_ring_leads(r) && old != 0 && old <= WSCAST_SLOTS
        && wscast_ring_hangs(r, (unsigned) old - 1))
    {
        heir = wscast_ring_candidate(r, 0);

        if (heir != WSCAST_NO_SLOT) {
            pid = wscast_load(&r->sh->slots[old - 1].pid);
            wscast_ring_appoint(r, heir, wake);
        }
    }

    r->unlock(r->ctx);

    return pid;
}


/* Under the lock. */

static void
wscast_ring_appoint(wscast_ring_t *r, unsigned heir, wscast_slotset_t *wake)
{
    wscast_store(&r->sh->heir, heir + 1);
    wscast_step();
    __atomic_add_fetch(&r->sh->leader_epoch, 1, __ATOMIC_SEQ_CST);
    wscast_step();
    wscast_ring_wake_all(r, wake);
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


void
wscast_ring_redis_up(wscast_ring_t *r, int up, const uint64_t *deaf)
{
    size_t    i;
    uint64_t  word, n;

    n = 0;

    r->lock(r->ctx);

    if (wscast_ring_leads(r)) {

        for (i = 0; i < WSCAST_RING_PARTS / 64; i++) {
            word = deaf ? deaf[i] : 0;
            n += (uint64_t) __builtin_popcountll(word);
            wscast_store(&r->sh->deaf[i], word);
        }

        wscast_store(&r->sh->redis_deaf, n);
        wscast_store(&r->sh->redis_up, up != 0);
    }

    r->unlock(r->ctx);
}


int
wscast_ring_receives(const wscast_ring_t *r, unsigned part)
{
    return wscast_load(&r->sh->redis_up)
           && (wscast_load(&r->sh->deaf[part / 64]) >> part % 64 & 1) == 0;
}


void
wscast_ring_mark(wscast_ring_t *r, uint64_t epoch)
{
    r->lock(r->ctx);

    if (wscast_ring_leads(r)
        && wscast_load(&r->sh->leader_epoch) == epoch)
    {
        wscast_store(&r->sh->marker, epoch);
    }

    r->unlock(r->ctx);
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
