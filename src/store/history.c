#include "history.h"
#include "history_inner.h"


#define WSCAST_HISTORY_SHARE  4     /* of the heap: the longest message */
#define WSCAST_HISTORY_TRIM   4     /* messages that an append takes away */
#define WSCAST_HISTORY_BATCH  8     /* objects that a transaction does */
#define WSCAST_SWEEP_WALK     4     /* seen for each that may go */


static uint32_t wscast_history_oldest(wscast_history_t *h, wscast_aged_e *kind,
    uint64_t now);
static wscast_status_t wscast_history_put(wscast_history_t *h,
    const wscast_keep_t *k, const wscast_position_t *position,
    wscast_str_t body);
static void wscast_history_trim(wscast_history_t *h, wscast_entry_t *e,
    const wscast_keep_t *k);
static unsigned wscast_history_expire(wscast_history_t *h, uint64_t now,
    unsigned n);
static wscast_status_t wscast_history_walk(wscast_history_t *h, uint64_t now,
    unsigned n);


void
wscast_history_init(wscast_history_t *h, wscast_heap_t *heap, uint64_t seed)
{
    h->heap = heap;
    h->seed = seed;
    h->evicted = 0;
}


wscast_status_t
wscast_history_position(wscast_history_t *h, wscast_str_t channel,
    uint64_t fresh, uint64_t now, wscast_position_t *position)
{
    uint32_t         cell;
    unsigned         start;
    wscast_keep_t    k;
    wscast_entry_t  *e;
    wscast_status_t  rc;

    position->epoch = 0;
    position->offset = 0;

    rc = wscast_history_find(h, channel, &cell);

    if (rc == WSCAST_OK) {
        e = wscast_heap_at(h->heap, cell);
        start = e->epoch == 0 && fresh != 0;
        position->epoch = start ? fresh : e->epoch;
        position->offset = e->offset;

        if (start || (e->count == 0
                      && now - e->aged.time >= WSCAST_TOUCH_TIME))
        {
            wscast_heap_begin(h->heap);
            wscast_heap_set(h->heap, &e->epoch, position->epoch);
            wscast_history_touch(h, cell, now);
            rc = wscast_history_done(h);
        }

        return rc == WSCAST_OK && position->epoch == 0 ? WSCAST_MORE : rc;
    }

    if (rc == WSCAST_ERROR || fresh == 0) {
        return rc;
    }

    memset(&k, 0, sizeof(wscast_keep_t));
    k.channel = channel;
    k.now = now;

    if (wscast_history_room(h, &k, 0) == WSCAST_ERROR) {
        return WSCAST_ERROR;
    }

    position->epoch = fresh;

    wscast_heap_begin(h->heap);
    cell = wscast_history_add_entry(h, channel, position, now);
    rc = wscast_history_done(h);

    if (cell == 0) {
        position->epoch = 0;
        return rc == WSCAST_OK ? WSCAST_NOMEM : rc;
    }

    return rc;
}


wscast_status_t
wscast_history_room(wscast_history_t *h, const wscast_keep_t *k, size_t len)
{
    uint32_t         blocks, cell;
    wscast_status_t  rc;

    blocks = wscast_heap_blocks(sizeof(wscast_entry_t) + k->channel.len)
             + wscast_heap_blocks(sizeof(wscast_key_t));
    rc = WSCAST_OK;

    if (len / WSCAST_CELL_FIXED
        >= wscast_heap_total(h->heap) / WSCAST_HISTORY_SHARE)
    {
        rc = WSCAST_MORE;

    } else if (k->count) {
        blocks += wscast_heap_blocks(sizeof(wscast_kept_t) + len);
    }

    if (wscast_heap_free_blocks(h->heap) >= blocks) {
        return rc;
    }

    /* the position that is about to be used is not what goes */

    switch (wscast_history_find(h, k->channel, &cell)) {

    case WSCAST_OK:
        wscast_heap_begin(h->heap);
        wscast_history_touch(h, cell, k->now);

        if (wscast_history_done(h) == WSCAST_OK) {
            break;
        }

        /* fall through */

    case WSCAST_ERROR:
        return WSCAST_ERROR;
    }

    switch (wscast_history_vacate(h, blocks, k->now)) {

    case WSCAST_OK:
        return rc;

    case WSCAST_MORE:
        return WSCAST_MORE;

    default:
        return WSCAST_ERROR;
    }
}


wscast_status_t
wscast_history_vacate(wscast_history_t *h, uint32_t blocks, uint64_t now)
{
    uint32_t        cell, before;
    uint64_t        evicted;
    unsigned        i;
    wscast_kept_t  *m;
    wscast_aged_e   kind;

    for ( ;; ) {
        before = wscast_heap_free_blocks(h->heap);

        if (before >= blocks) {
            return WSCAST_OK;
        }

        evicted = 0;
        wscast_heap_begin(h->heap);

        for (i = 0; i < WSCAST_HISTORY_BATCH; i++) {
            cell = wscast_history_oldest(h, &kind, now);

            if (cell == 0 || wscast_heap_free_blocks(h->heap) >= blocks) {
                break;
            }

            m = wscast_history_at(h, WSCAST_AGED_MESSAGE, cell);
            evicted += m && m->expires > now;

            wscast_history_remove(h, kind, cell);
        }

        if (wscast_history_done(h) != WSCAST_OK) {
            return WSCAST_ERROR;
        }

        h->evicted += evicted;

        if (wscast_heap_free_blocks(h->heap) <= before) {
            return WSCAST_MORE;
        }
    }
}


/* What is to go first; 0: there is nothing, or the heap is damaged. */

static uint32_t
wscast_history_oldest(wscast_history_t *h, wscast_aged_e *kind, uint64_t now)
{
    uint32_t        cell, oldest;
    uint64_t        time, least;
    wscast_aged_e   list;
    wscast_aged_t  *a;

    oldest = 0;
    least = UINT64_MAX;

    for (list = WSCAST_AGED_ENTRY; list < WSCAST_AGED; list++) {
        cell = wscast_history_head(h, list);

        if (cell == 0) {
            continue;
        }

        a = wscast_history_at(h, list, cell);

        if (a == NULL) {
            h->heap->failed = 1;
            return 0;
        }

        time = a->time;

        if (list == WSCAST_AGED_MESSAGE
            && ((wscast_kept_t *) (void *) a)->expires <= now)
        {
            time = 0;
        }

        if (oldest == 0 || time < least) {
            oldest = cell;
            least = time;
            *kind = list;
        }
    }

    return oldest;
}


wscast_status_t
wscast_history_next(wscast_history_t *h, const wscast_keep_t *k,
    wscast_position_t *position)
{
    uint32_t         cell;
    wscast_key_t    *key;
    wscast_entry_t  *e;
    wscast_status_t  rc;

    position->epoch = 0;
    position->offset = 0;

    rc = k->key.len ? wscast_history_find_key(h, k, &cell) : WSCAST_MORE;

    if (rc == WSCAST_OK) {
        key = wscast_heap_at(h->heap, cell);

        if (key->expires > k->now) {
            position->epoch = key->epoch;
            position->offset = key->offset;
            return WSCAST_AGAIN;
        }
    }

    if (rc == WSCAST_ERROR || k->count == 0) {
        return rc == WSCAST_ERROR ? rc : WSCAST_OK;
    }

    rc = wscast_history_find(h, k->channel, &cell);

    if (rc == WSCAST_MORE) {
        position->epoch = k->fresh;
        cell = wscast_history_add_entry(h, k->channel, position, k->now);
        position->epoch = 0;

        if (cell == 0) {
            return wscast_heap_failed(h->heap) ? WSCAST_ERROR : WSCAST_NOMEM;
        }

        rc = WSCAST_OK;
    }

    e = wscast_heap_at(h->heap, cell);

    if (rc != WSCAST_OK || e == NULL || e->offset == UINT64_MAX) {
        return WSCAST_ERROR;
    }

    if (e->epoch == 0) {
        wscast_heap_set(h->heap, &e->epoch, k->fresh);
    }

    position->epoch = e->epoch;
    position->offset = e->offset + 1;

    return WSCAST_OK;
}


wscast_status_t
wscast_history_append(wscast_history_t *h, const wscast_keep_t *k,
    const wscast_position_t *position, wscast_str_t body)
{
    uint32_t         cell;
    wscast_status_t  rc;

    if (k->count) {
        rc = wscast_history_put(h, k, position, body);

        if (rc != WSCAST_OK) {
            return rc;
        }
    }

    if (k->key.len) {
        rc = wscast_history_find_key(h, k, &cell);

        if (rc == WSCAST_ERROR) {
            return rc;
        }

        /* _next() has found it to be too old */

        if (rc == WSCAST_OK) {
            wscast_history_remove(h, WSCAST_AGED_KEY, cell);
        }

        (void) wscast_history_add_key(h, k, position);
    }

    return wscast_heap_failed(h->heap) ? WSCAST_ERROR : WSCAST_OK;
}


static wscast_status_t
wscast_history_put(wscast_history_t *h, const wscast_keep_t *k,
    const wscast_position_t *position, wscast_str_t body)
{
    uint32_t         cell;
    wscast_entry_t  *e;
    wscast_status_t  rc;

    rc = wscast_history_find(h, k->channel, &cell);

    if (rc != WSCAST_OK) {
        return rc == WSCAST_MORE ? WSCAST_NOMEM : rc;
    }

    e = wscast_heap_at(h->heap, cell);
    wscast_heap_set(h->heap, &e->offset, position->offset);

    if (body.len / WSCAST_CELL_FIXED
        >= wscast_heap_total(h->heap) / WSCAST_HISTORY_SHARE
        || wscast_history_add_message(h, cell, k, position, body) == 0)
    {
        wscast_history_touch(h, cell, k->now);
        return WSCAST_OK;
    }

    wscast_history_trim(h, e, k);

    return WSCAST_OK;
}


/* The newest message stays. */

static void
wscast_history_trim(wscast_history_t *h, wscast_entry_t *e,
    const wscast_keep_t *k)
{
    unsigned        i;
    wscast_kept_t  *m;

    for (i = 0; i < WSCAST_HISTORY_TRIM && e->first != e->last; i++) {
        m = wscast_history_at(h, WSCAST_AGED_MESSAGE, e->first);

        if (m && m->expires > k->now && e->count <= k->count) {
            return;
        }

        wscast_history_remove(h, WSCAST_AGED_MESSAGE, e->first);

        if (wscast_heap_failed(h->heap)) {
            return;
        }
    }
}


wscast_status_t
wscast_history_mark(wscast_history_t *h, wscast_str_t channel,
    const wscast_end_t *end, uint64_t now)
{
    uint32_t                  cell;
    wscast_entry_t           *e;
    wscast_status_t           rc;
    const wscast_position_t  *position;

    position = &end->position;
    rc = wscast_history_find(h, channel, &cell);

    if (rc == WSCAST_ERROR) {
        return rc;
    }

    if (rc == WSCAST_MORE) {
        cell = wscast_history_add_entry(h, channel, position, now);

        if (cell == 0) {
            return wscast_heap_failed(h->heap) ? WSCAST_ERROR : WSCAST_NOMEM;
        }

        e = wscast_heap_at(h->heap, cell);

    } else {
        e = wscast_heap_at(h->heap, cell);

        if (e->epoch != position->epoch) {
            wscast_heap_set(h->heap, &e->forgotten, 0);
        }

        wscast_heap_set(h->heap, &e->epoch, position->epoch);
        wscast_heap_set(h->heap, &e->offset, position->offset);
        wscast_history_touch(h, cell, now);
    }

    wscast_history_end_at(h, e, end);

    return wscast_heap_failed(h->heap) ? WSCAST_ERROR : WSCAST_OK;
}


wscast_status_t
wscast_history_forget(wscast_history_t *h, wscast_str_t channel)
{
    uint32_t         cell;
    unsigned         i;
    wscast_entry_t  *e;
    wscast_status_t  rc;

    rc = wscast_history_find(h, channel, &cell);

    if (rc != WSCAST_OK) {
        return rc == WSCAST_MORE ? WSCAST_OK : rc;
    }

    e = wscast_heap_at(h->heap, cell);

    /* from here on none is read, however far the rest gets */

    wscast_heap_begin(h->heap);
    wscast_heap_set(h->heap, &e->forgotten, e->offset);
    rc = wscast_history_done(h);

    while (rc == WSCAST_OK && e->count) {
        wscast_heap_begin(h->heap);

        for (i = 0; i < WSCAST_HISTORY_BATCH && e->count; i++) {
            wscast_history_remove(h, WSCAST_AGED_MESSAGE, e->first);

            if (wscast_heap_failed(h->heap)) {
                break;
            }
        }

        rc = wscast_history_done(h);
    }

    return rc;
}


wscast_status_t
wscast_history_sweep(wscast_history_t *h, uint64_t now, unsigned n)
{
    unsigned         gone;
    wscast_status_t  rc;

    do {
        wscast_heap_begin(h->heap);
        gone = wscast_history_expire(h, now, n);
        rc = wscast_history_done(h);
        n -= gone;
    } while (rc == WSCAST_OK && gone);

    return rc == WSCAST_OK && n ? wscast_history_walk(h, now, n) : rc;
}


/* Frees the oldest keys and messages as long as they have expired. */

static unsigned
wscast_history_expire(wscast_history_t *h, uint64_t now, unsigned n)
{
    uint32_t        cell;
    unsigned        gone;
    wscast_key_t   *key;
    wscast_kept_t  *m;

    for (gone = 0; gone < n && gone < WSCAST_HISTORY_BATCH; gone++) {
        cell = wscast_history_head(h, WSCAST_AGED_KEY);
        key = wscast_history_at(h, WSCAST_AGED_KEY, cell);

        if (key && key->expires <= now) {
            wscast_history_remove(h, WSCAST_AGED_KEY, cell);
            continue;
        }

        cell = wscast_history_head(h, WSCAST_AGED_MESSAGE);
        m = wscast_history_at(h, WSCAST_AGED_MESSAGE, cell);

        if (m == NULL || m->expires > now) {
            break;
        }

        wscast_history_remove(h, WSCAST_AGED_MESSAGE, cell);
    }

    return gone;
}


/*
 * Channels keep their messages for different times, so that what has expired
 * may lie behind what has not: some of the list is looked at in each round.
 */

static wscast_status_t
wscast_history_walk(wscast_history_t *h, uint64_t now, unsigned n)
{
    uint32_t         cell, next;
    uint64_t        *root;
    unsigned         i, limit;
    wscast_kept_t   *m;
    wscast_status_t  rc;

    root = wscast_heap_root(h->heap, WSCAST_SWEEP_ROOT);
    cell = (uint32_t) *root;
    limit = n < UINT32_MAX / WSCAST_SWEEP_WALK ? n * WSCAST_SWEEP_WALK : n;

    if (cell == 0) {
        cell = wscast_history_head(h, WSCAST_AGED_MESSAGE);
    }

    for (i = 0; i < limit && n && cell; i++) {
        m = wscast_history_at(h, WSCAST_AGED_MESSAGE, cell);

        if (m == NULL) {
            return WSCAST_ERROR;
        }

        next = m->aged.newer;

        /* the first of its channel has none before it */

        if (m->expires <= now && m->prev == 0) {
            wscast_heap_begin(h->heap);
            wscast_history_remove(h, WSCAST_AGED_MESSAGE, cell);
            rc = wscast_history_done(h);

            if (rc != WSCAST_OK) {
                return rc;
            }

            n--;
        }

        cell = next;
    }

    wscast_heap_begin(h->heap);
    wscast_heap_set(h->heap, root, cell);

    return wscast_history_done(h);
}
