#include "history.h"
#include "history_inner.h"


/* What is found from one side, to be compared with the other. */

typedef struct {
    uint32_t        buckets[WSCAST_AGED];   /* objects in buckets */
    uint32_t        idle;                   /* entries without messages */
    uint32_t        messages;               /* of all channels */
} wscast_found_t;


static uint32_t wscast_history_count(const wscast_history_t *h,
    wscast_aged_e list);
static int wscast_history_check_bucket(const wscast_history_t *h,
    wscast_aged_e kind, uint32_t bucket, wscast_found_t *found);
static int wscast_history_check_entry(const wscast_history_t *h, uint32_t cell,
    wscast_found_t *found);


#define WSCAST_NO_COUNT  UINT32_MAX


int
wscast_history_validate(const wscast_history_t *h)
{
    uint32_t        i, half;
    wscast_found_t  found;

    memset(&found, 0, sizeof(wscast_found_t));
    half = h->heap->ntable / 2;

    for (i = 0; i < half; i++) {
        if (!wscast_history_check_bucket(h, WSCAST_AGED_ENTRY, i, &found)
            || !wscast_history_check_bucket(h, WSCAST_AGED_KEY, i, &found))
        {
            return 0;
        }
    }

    return wscast_history_count(h, WSCAST_AGED_ENTRY) == found.idle
           && wscast_history_count(h, WSCAST_AGED_MESSAGE) == found.messages
           && wscast_history_count(h, WSCAST_AGED_KEY)
              == found.buckets[WSCAST_AGED_KEY]
           && wscast_history_messages(h) == found.messages
           && wscast_history_keys(h) == found.buckets[WSCAST_AGED_KEY];
}


/* How many a list by age has; WSCAST_NO_COUNT: its links do not agree. */

static uint32_t
wscast_history_count(const wscast_history_t *h, wscast_aged_e list)
{
    uint32_t              n, cell, before;
    const wscast_aged_t  *a;

    n = 0;
    before = 0;

    for (cell = wscast_history_head(h, list); cell; cell = a->newer) {
        a = wscast_history_at(h, list, cell);

        if (a == NULL || a->older != before || n++ == h->heap->nblocks) {
            return WSCAST_NO_COUNT;
        }

        if (list == WSCAST_AGED_ENTRY
            && ((const wscast_entry_t *) (const void *) a)->count)
        {
            return WSCAST_NO_COUNT;
        }

        before = cell;
    }

    return *wscast_heap_root(h->heap, list * 2 + 1) == before
           ? n : WSCAST_NO_COUNT;
}


static int
wscast_history_check_bucket(const wscast_history_t *h, wscast_aged_e kind,
    uint32_t bucket, wscast_found_t *found)
{
    uint32_t              cell;
    const wscast_aged_t  *a;

    for (cell = *wscast_history_bucket(h, kind, bucket);
         cell;
         cell = a->chained)
    {
        a = wscast_history_at(h, kind, cell);

        if (a == NULL
            || wscast_history_bucket(h, kind, a->hash)
               != wscast_history_bucket(h, kind, bucket)
            || found->buckets[kind]++ == h->heap->nblocks)
        {
            return 0;
        }

        if (kind == WSCAST_AGED_ENTRY
            && !wscast_history_check_entry(h, cell, found))
        {
            return 0;
        }
    }

    return 1;
}


/* 1 if the messages of a channel are a list, in the order of offsets. */

static int
wscast_history_check_entry(const wscast_history_t *h, uint32_t cell,
    wscast_found_t *found)
{
    uint32_t               n, at, before;
    const wscast_kept_t   *m, *last;
    const wscast_entry_t  *e;

    e = wscast_history_at(h, WSCAST_AGED_ENTRY, cell);
    n = 0;
    before = 0;
    last = NULL;

    for (at = e->first; at; at = m->next) {
        m = wscast_history_at(h, WSCAST_AGED_MESSAGE, at);

        if (m == NULL || m->entry != cell || m->prev != before
            || n++ == e->count)
        {
            return 0;
        }

        if (last && last->epoch == m->epoch && last->offset >= m->offset) {
            return 0;
        }

        last = m;
        before = at;
    }

    found->messages += n;
    found->idle += (n == 0);

    return n == e->count && e->last == before
           && (last == NULL || last->epoch != e->epoch
               || last->offset <= e->offset);
}
