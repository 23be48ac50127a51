#include "history.h"
#include "history_inner.h"
#include "../base/map.h"


#define WSCAST_KEY_SEED     0x6b65797320323031ull   /* of the second hash */


static uint64_t wscast_history_key_hash(uint64_t seed,
    const wscast_keep_t *k);
static void wscast_history_chain(wscast_history_t *h, wscast_aged_e kind,
    uint32_t cell);
static void wscast_history_unchain(wscast_history_t *h, wscast_aged_e kind,
    uint32_t cell);
static void wscast_history_age(wscast_history_t *h, wscast_aged_e list,
    uint32_t cell);
static void wscast_history_unage(wscast_history_t *h, wscast_aged_e list,
    uint32_t cell);
static void wscast_history_tally(wscast_history_t *h, wscast_aged_e list,
    uint32_t more);
static void wscast_history_link(wscast_history_t *h, uint32_t cell);
static void wscast_history_unlink(wscast_history_t *h, uint32_t cell);


static inline void
wscast_history_fail(wscast_history_t *h)
{
    h->heap->failed = 1;
}


wscast_status_t
wscast_history_find(const wscast_history_t *h, wscast_str_t channel,
    uint32_t *cell)
{
    uint32_t         c, steps;
    uint64_t         hash;
    wscast_entry_t  *e;

    hash = wscast_hash(h->seed, channel);
    c = *wscast_history_bucket(h, WSCAST_AGED_ENTRY, hash);

    for (steps = h->heap->nblocks; c; c = e->aged.chained) {
        e = wscast_history_at(h, WSCAST_AGED_ENTRY, c);

        if (e == NULL || steps-- == 0) {
            return WSCAST_ERROR;
        }

        if (e->aged.hash == hash && e->len == channel.len
            && wscast_heap_equal(h->heap, c, sizeof(wscast_entry_t), channel))
        {
            *cell = c;
            return WSCAST_OK;
        }
    }

    return WSCAST_MORE;
}


wscast_status_t
wscast_history_find_key(const wscast_history_t *h, const wscast_keep_t *k,
    uint32_t *cell)
{
    uint32_t       c, steps;
    uint64_t       hash, hash2;
    wscast_key_t  *key;

    hash = wscast_history_key_hash(h->seed, k);
    hash2 = wscast_history_key_hash(h->seed ^ WSCAST_KEY_SEED, k);
    c = *wscast_history_bucket(h, WSCAST_AGED_KEY, hash);

    for (steps = h->heap->nblocks; c; c = key->aged.chained) {
        key = wscast_history_at(h, WSCAST_AGED_KEY, c);

        if (key == NULL || steps-- == 0) {
            return WSCAST_ERROR;
        }

        if (key->aged.hash == hash && key->hash2 == hash2) {
            *cell = c;
            return WSCAST_OK;
        }
    }

    return WSCAST_MORE;
}


static uint64_t
wscast_history_key_hash(uint64_t seed, const wscast_keep_t *k)
{
    return wscast_hash(wscast_hash(seed, k->channel), k->key);
}


uint32_t
wscast_history_add_entry(wscast_history_t *h, wscast_str_t channel,
    const wscast_position_t *position, uint64_t now)
{
    uint32_t         cell;
    wscast_entry_t  *e;

    if (channel.len > UINT32_MAX - sizeof(wscast_entry_t)) {
        return 0;
    }

    cell = wscast_heap_alloc(h->heap, sizeof(wscast_entry_t) + channel.len);
    e = wscast_heap_at(h->heap, cell);

    if (e == NULL) {
        return 0;
    }

    e->aged.kind = WSCAST_AGED_KIND | WSCAST_AGED_ENTRY;
    e->aged.time = now;
    e->aged.hash = wscast_hash(h->seed, channel);
    e->epoch = position->epoch;
    e->offset = position->offset;
    e->len = (uint32_t) channel.len;

    if (wscast_heap_write(h->heap, cell, sizeof(wscast_entry_t), channel.data,
                          channel.len)
        != WSCAST_OK)
    {
        wscast_history_fail(h);
        return 0;
    }

    wscast_history_chain(h, WSCAST_AGED_ENTRY, cell);
    wscast_history_age(h, WSCAST_AGED_ENTRY, cell);

    return cell;
}


uint32_t
wscast_history_add_message(wscast_history_t *h, uint32_t entry,
    const wscast_keep_t *k, const wscast_position_t *position,
    wscast_str_t body)
{
    uint32_t        cell;
    wscast_kept_t  *m;

    if (body.len > UINT32_MAX - sizeof(wscast_kept_t)) {
        return 0;
    }

    cell = wscast_heap_alloc(h->heap, sizeof(wscast_kept_t) + body.len);
    m = wscast_heap_at(h->heap, cell);

    if (m == NULL) {
        return 0;
    }

    m->aged.kind = WSCAST_AGED_KIND | WSCAST_AGED_MESSAGE;
    m->aged.time = k->now;
    m->expires = k->ttl < UINT64_MAX - k->now ? k->now + k->ttl : UINT64_MAX;
    m->epoch = position->epoch;
    m->offset = position->offset;
    m->entry = entry;
    m->len = (uint32_t) body.len;

    if (wscast_heap_write(h->heap, cell, sizeof(wscast_kept_t), body.data,
                          body.len)
        != WSCAST_OK)
    {
        wscast_history_fail(h);
        return 0;
    }

    wscast_history_link(h, cell);
    wscast_history_age(h, WSCAST_AGED_MESSAGE, cell);

    return cell;
}


uint32_t
wscast_history_add_key(wscast_history_t *h, const wscast_keep_t *k,
    const wscast_position_t *position)
{
    uint32_t       cell;
    wscast_key_t  *key;

    cell = wscast_heap_alloc(h->heap, sizeof(wscast_key_t));
    key = wscast_heap_at(h->heap, cell);

    if (key == NULL) {
        return 0;
    }

    key->aged.kind = WSCAST_AGED_KIND | WSCAST_AGED_KEY;
    key->aged.time = k->now;
    key->aged.hash = wscast_history_key_hash(h->seed, k);
    key->hash2 = wscast_history_key_hash(h->seed ^ WSCAST_KEY_SEED, k);
    key->epoch = position->epoch;
    key->offset = position->offset;
    key->expires = k->now + WSCAST_KEY_TIME;

    wscast_history_chain(h, WSCAST_AGED_KEY, cell);
    wscast_history_age(h, WSCAST_AGED_KEY, cell);

    return cell;
}


void
wscast_history_touch(wscast_history_t *h, uint32_t cell, uint64_t now)
{
    wscast_entry_t  *e;

    e = wscast_history_at(h, WSCAST_AGED_ENTRY, cell);

    if (e == NULL) {
        wscast_history_fail(h);
        return;
    }

    if (e->count == 0) {
        wscast_history_unage(h, WSCAST_AGED_ENTRY, cell);
        wscast_heap_set(h->heap, &e->aged.time, now);
        wscast_history_age(h, WSCAST_AGED_ENTRY, cell);
    }
}


void
wscast_history_remove(wscast_history_t *h, wscast_aged_e kind, uint32_t cell)
{
    uint64_t       *swept;
    wscast_aged_t  *a;

    a = wscast_history_at(h, kind, cell);

    wscast_history_unage(h, kind, cell);

    if (kind == WSCAST_AGED_MESSAGE) {
        wscast_history_unlink(h, cell);

        swept = wscast_heap_root(h->heap, WSCAST_SWEEP_ROOT);

        if (a && *swept == cell) {
            wscast_heap_set(h->heap, swept, a->newer);
        }

    } else {
        wscast_history_unchain(h, kind, cell);
    }

    if (!wscast_heap_failed(h->heap)) {
        wscast_heap_free(h->heap, cell);
    }
}


static void
wscast_history_chain(wscast_history_t *h, wscast_aged_e kind, uint32_t cell)
{
    uint32_t       *bucket;
    wscast_aged_t  *a;

    a = wscast_history_at(h, kind, cell);

    if (a == NULL) {
        wscast_history_fail(h);
        return;
    }

    bucket = wscast_history_bucket(h, kind, a->hash);

    wscast_heap_set32(h->heap, &a->chained, *bucket);
    wscast_heap_set32(h->heap, bucket, cell);
}


static void
wscast_history_unchain(wscast_history_t *h, wscast_aged_e kind, uint32_t cell)
{
    uint32_t       *link, steps;
    wscast_aged_t  *a, *other;

    a = wscast_history_at(h, kind, cell);

    if (a == NULL) {
        wscast_history_fail(h);
        return;
    }

    link = wscast_history_bucket(h, kind, a->hash);

    for (steps = h->heap->nblocks; *link != cell; link = &other->chained) {
        other = wscast_history_at(h, kind, *link);

        if (other == NULL || steps-- == 0) {
            wscast_history_fail(h);
            return;
        }
    }

    wscast_heap_set32(h->heap, link, a->chained);
}


/* Becomes the newest of its list. */

static void
wscast_history_age(wscast_history_t *h, wscast_aged_e list, uint32_t cell)
{
    uint64_t       *head, *tail;
    wscast_aged_t  *a, *last;

    head = wscast_heap_root(h->heap, list * 2);
    tail = wscast_heap_root(h->heap, list * 2 + 1);
    a = wscast_history_at(h, list, cell);
    last = wscast_history_at(h, list, (uint32_t) *tail);

    if (a == NULL || (last == NULL) != (*head == 0)) {
        wscast_history_fail(h);
        return;
    }

    wscast_heap_set32(h->heap, &a->older, (uint32_t) *tail);
    wscast_heap_set32(h->heap, &a->newer, 0);

    if (last) {
        wscast_heap_set32(h->heap, &last->newer, cell);

    } else {
        wscast_heap_set(h->heap, head, cell);
    }

    wscast_heap_set(h->heap, tail, cell);
    wscast_history_tally(h, list, 1);
}


static void
wscast_history_unage(wscast_history_t *h, wscast_aged_e list, uint32_t cell)
{
    uint64_t       *head, *tail;
    wscast_aged_t  *a, *older, *newer;

    head = wscast_heap_root(h->heap, list * 2);
    tail = wscast_heap_root(h->heap, list * 2 + 1);
    a = wscast_history_at(h, list, cell);
    older = a ? wscast_history_at(h, list, a->older) : NULL;
    newer = a ? wscast_history_at(h, list, a->newer) : NULL;

    if (a == NULL
        || (older ? older->newer != cell : a->older || *head != cell)
        || (newer ? newer->older != cell : a->newer || *tail != cell))
    {
        wscast_history_fail(h);
        return;
    }

    if (older) {
        wscast_heap_set32(h->heap, &older->newer, a->newer);

    } else {
        wscast_heap_set(h->heap, head, a->newer);
    }

    if (newer) {
        wscast_heap_set32(h->heap, &newer->older, a->older);

    } else {
        wscast_heap_set(h->heap, tail, a->older);
    }

    wscast_history_tally(h, list, UINT32_MAX);
}


/* One more, or one less, in a list by age; entries are not counted. */

static void
wscast_history_tally(wscast_history_t *h, wscast_aged_e list, uint32_t more)
{
    uint32_t  *held;

    if (list != WSCAST_AGED_ENTRY) {
        held = wscast_history_held(h, list);
        wscast_heap_set32(h->heap, held, *held + more);
    }
}


/* Becomes the last of its channel, whose position it says. */

static void
wscast_history_link(wscast_history_t *h, uint32_t cell)
{
    wscast_kept_t   *m, *last;
    wscast_entry_t  *e;

    m = wscast_history_at(h, WSCAST_AGED_MESSAGE, cell);
    e = m ? wscast_history_at(h, WSCAST_AGED_ENTRY, m->entry) : NULL;
    last = e ? wscast_history_at(h, WSCAST_AGED_MESSAGE, e->last) : NULL;

    if (e == NULL || (last == NULL) != (e->count == 0)) {
        wscast_history_fail(h);
        return;
    }

    wscast_heap_set32(h->heap, &m->prev, e->last);

    if (last) {
        wscast_heap_set32(h->heap, &last->next, cell);

    } else {
        wscast_history_unage(h, WSCAST_AGED_ENTRY, m->entry);
        wscast_heap_set32(h->heap, &e->first, cell);
    }

    wscast_heap_set32(h->heap, &e->last, cell);
    wscast_heap_set32(h->heap, &e->count, e->count + 1);
}


/* Is the first of its channel no more. */

static void
wscast_history_unlink(wscast_history_t *h, uint32_t cell)
{
    wscast_kept_t   *m, *next;
    wscast_entry_t  *e;

    m = wscast_history_at(h, WSCAST_AGED_MESSAGE, cell);
    e = m ? wscast_history_at(h, WSCAST_AGED_ENTRY, m->entry) : NULL;
    next = m ? wscast_history_at(h, WSCAST_AGED_MESSAGE, m->next) : NULL;

    if (e == NULL || e->first != cell || (next == NULL) != (e->count == 1)) {
        wscast_history_fail(h);
        return;
    }

    wscast_heap_set32(h->heap, &e->first, m->next);
    wscast_heap_set32(h->heap, &e->count, e->count - 1);

    if (next) {
        wscast_heap_set32(h->heap, &next->prev, 0);
        return;
    }

    /* a channel is as old as its last message when it has none */

    wscast_heap_set32(h->heap, &e->last, 0);
    wscast_heap_set(h->heap, &e->aged.time, m->aged.time);
    wscast_history_age(h, WSCAST_AGED_ENTRY, m->entry);
}
