#include "history.h"
#include "history_inner.h"


#define WSCAST_PACKED_MIN  4096     /* bytes of the first allocation */


/* A walk over the messages of one channel. */

typedef struct {
    wscast_history_t       *h;
    const wscast_entry_t   *entry;
    uint32_t                cell;       /* of the entry */
    uint64_t                after;
    uint64_t                upto;
    uint64_t                since;
    uint32_t                steps;      /* it may still take */
    unsigned                damaged;
} wscast_walk_t;


static wscast_kept_t *wscast_history_step(wscast_walk_t *w, uint32_t cell);
static uint32_t wscast_history_start(wscast_walk_t *w, uint64_t offset);
static uint32_t wscast_history_newest(wscast_walk_t *w,
    const wscast_range_t *range, unsigned *more);
static uint32_t wscast_history_seen(wscast_walk_t *w, uint32_t cell);
static wscast_status_t wscast_history_copy(wscast_walk_t *w,
    const wscast_range_t *range, uint32_t cell, wscast_packed_t *out,
    unsigned *more);
static wscast_status_t wscast_history_pack(wscast_history_t *h, uint32_t cell,
    uint32_t len, wscast_packed_t *out);


wscast_status_t
wscast_history_read(wscast_history_t *h, const wscast_range_t *range,
    wscast_packed_t *out, wscast_position_t *position, unsigned *more)
{
    uint32_t         first;
    unsigned         older;
    wscast_walk_t    w;
    wscast_status_t  rc;

    position->epoch = 0;
    position->offset = 0;
    out->len = 0;
    *more = 0;

    memset(&w, 0, sizeof(wscast_walk_t));
    w.h = h;

    rc = wscast_history_find(h, range->channel, &w.cell);

    if (rc != WSCAST_OK) {
        return rc == WSCAST_MORE ? WSCAST_OK : rc;
    }

    w.entry = wscast_heap_at(h->heap, w.cell);
    position->epoch = w.entry->epoch;
    position->offset = w.entry->offset;

    w.after = range->after > w.entry->forgotten ? range->after
                                                : w.entry->forgotten;
    w.upto = range->upto ? range->upto : UINT64_MAX;
    w.since = range->since;
    w.steps = h->heap->nblocks;

    if (range->limit == 0 || w.after >= w.upto) {
        return WSCAST_OK;
    }

    older = 0;

    if (range->newest) {
        first = wscast_history_newest(&w, range, &older);

    } else {
        first = wscast_history_seen(&w, wscast_history_start(&w, w.after + 1));
    }

    rc = wscast_history_copy(&w, range, first, out, more);
    *more = *more || older;

    return rc;
}


/* The message in this cell; NULL: the end, or damage. */

static wscast_kept_t *
wscast_history_step(wscast_walk_t *w, uint32_t cell)
{
    wscast_kept_t  *m;

    if (cell == 0 || w->damaged) {
        return NULL;
    }

    m = wscast_history_at(w->h, WSCAST_AGED_MESSAGE, cell);

    if (m == NULL || m->entry != w->cell || w->steps == 0) {
        w->damaged = 1;
        return NULL;
    }

    w->steps--;

    return m;
}


/* 1 if the message counts at all, whatever its offset. */

static inline int
wscast_history_counts(const wscast_walk_t *w, const wscast_kept_t *m)
{
    return m->epoch == w->entry->epoch && m->aged.time >= w->since;
}


/*
 * The first message from this offset on, sought from the nearer end; 0: there
 * is none.  Those of another epoch come before all others.
 */

static uint32_t
wscast_history_start(wscast_walk_t *w, uint64_t offset)
{
    uint32_t               cell, found;
    const wscast_kept_t   *m;
    const wscast_entry_t  *e;

    e = w->entry;

    if (offset > e->offset) {
        return 0;
    }

    if (e->offset - offset >= e->count / 2) {
        for (cell = e->first; (m = wscast_history_step(w, cell));
             cell = m->next)
        {
            if (m->epoch == e->epoch && m->offset >= offset) {
                return cell;
            }
        }

        return 0;
    }

    found = 0;

    for (cell = e->last; (m = wscast_history_step(w, cell)); cell = m->prev) {
        if (m->epoch != e->epoch || m->offset < offset) {
            break;
        }

        found = cell;
    }

    return found;
}


/* The first of these that has not expired. */

static uint32_t
wscast_history_seen(wscast_walk_t *w, uint32_t cell)
{
    const wscast_kept_t  *m;

    while ((m = wscast_history_step(w, cell)) && !wscast_history_counts(w, m))
    {
        cell = m->next;
    }

    return m ? cell : 0;
}


/* Where the newest of the range begin that are within limit and bytes. */

static uint32_t
wscast_history_newest(wscast_walk_t *w, const wscast_range_t *range,
    unsigned *more)
{
    size_t                bytes;
    uint32_t              cell, first, n;
    const wscast_kept_t  *m;

    cell = w->entry->last;

    if (w->upto < w->entry->offset) {
        first = wscast_history_start(w, w->upto + 1);
        m = wscast_history_step(w, first);
        cell = m ? m->prev : cell;
    }

    first = 0;
    bytes = 0;

    for (n = 0; (m = wscast_history_step(w, cell)); n++) {
        if (m->offset <= w->after || !wscast_history_counts(w, m)) {
            break;
        }

        bytes += m->len;

        if (n == range->limit || (n && bytes > range->bytes)) {
            *more = 1;
            break;
        }

        first = cell;
        cell = m->prev;
    }

    return first;
}


static wscast_status_t
wscast_history_copy(wscast_walk_t *w, const wscast_range_t *range,
    uint32_t cell, wscast_packed_t *out, unsigned *more)
{
    size_t                bytes;
    uint32_t              n;
    wscast_status_t       rc;
    const wscast_kept_t  *m;

    bytes = 0;

    for (n = 0; (m = wscast_history_step(w, cell)); n++) {
        if (m->offset > w->upto) {
            break;
        }

        bytes += m->len;

        if (n == range->limit || (n && bytes > range->bytes)) {
            *more = 1;
            break;
        }

        rc = wscast_history_pack(w->h, cell, m->len, out);

        if (rc != WSCAST_OK) {
            return rc;
        }

        cell = m->next;
    }

    return w->damaged ? WSCAST_ERROR : WSCAST_OK;
}


static wscast_status_t
wscast_history_pack(wscast_history_t *h, uint32_t cell, uint32_t len,
    wscast_packed_t *out)
{
    size_t          need, size;
    unsigned char  *p;

    if (len / WSCAST_CELL_FIXED >= h->heap->nblocks) {
        return WSCAST_ERROR;
    }

    need = out->len + sizeof(uint32_t) + len;

    if (need > out->size) {
        size = out->size ? out->size : WSCAST_PACKED_MIN;

        while (size < need) {
            size *= 2;
        }

        p = wscast_realloc(out->data, size);

        if (p == NULL) {
            return WSCAST_NOMEM;
        }

        out->data = p;
        out->size = size;
    }

    p = out->data + out->len;
    memcpy(p, &len, sizeof(uint32_t));
    out->len = need;

    return wscast_heap_read(h->heap, cell, sizeof(wscast_kept_t),
                            p + sizeof(uint32_t), len);
}


uint32_t
wscast_history_messages(const wscast_history_t *h)
{
    return *wscast_history_held(h, WSCAST_AGED_MESSAGE);
}


uint32_t
wscast_history_keys(const wscast_history_t *h)
{
    return *wscast_history_held(h, WSCAST_AGED_KEY);
}
