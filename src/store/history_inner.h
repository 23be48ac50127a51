/*
 * history_inner.h: what the files of the history share.
 *
 * Audience: history.c (what is asked of it), history_read.c (messages out),
 * history_end.c (what is known of a channel's end), history_objects.c (entries,
 * messages, keys and their lists), history_check.c (whether all agree).
 *
 * Three kinds of objects; each is in one list by age, oldest first:
 *
 *     entry    of a channel; in a bucket; by age only while it has no messages
 *     message  in its channel's list, in the order of offsets
 *     key      in a bucket; it is known by a hash of 128 bits
 *
 * Functions that change something run inside a transaction, and mark it as
 * failed when they meet damage.
 */

#ifndef WSCAST_HISTORY_INNER_H
#define WSCAST_HISTORY_INNER_H


#include "history.h"


/* The lists, each of two roots; a kind is the list's number and this. */

typedef enum {
    WSCAST_AGED_ENTRY = 0,
    WSCAST_AGED_MESSAGE,
    WSCAST_AGED_KEY,
    WSCAST_AGED
} wscast_aged_e;

#define WSCAST_AGED_KIND    0x68697300      /* "his" */
#define WSCAST_SWEEP_ROOT   6               /* the message to be seen next */
#define WSCAST_HELD_ROOT    7               /* two u32: messages, keys */

#define WSCAST_TOUCH_TIME   1000    /* ms: the least that is worth noting */


/* What they all begin with. */

typedef struct {
    uint32_t             kind;
    uint32_t             chained;       /* the next in the bucket */
    uint32_t             older;
    uint32_t             newer;
    uint64_t             time;          /* ms: of the last use, of keeping */
    uint64_t             hash;
} wscast_aged_t;


typedef struct {
    wscast_aged_t        aged;
    uint64_t             epoch;         /* 0: only the end is known */
    uint64_t             offset;
    uint64_t             forgotten;     /* up to this offset */
    uint64_t             end_epoch;     /* as of wscast_end_t; 0: unknown */
    uint64_t             end_offset;
    uint64_t             end_time;
    uint32_t             first;         /* message, 0: none */
    uint32_t             last;
    uint32_t             count;
    uint32_t             len;           /* of the name, which follows */
} wscast_entry_t;


typedef struct {
    wscast_aged_t        aged;
    uint64_t             epoch;
    uint64_t             offset;
    uint64_t             expires;       /* ms */
    uint32_t             entry;
    uint32_t             prev;          /* of the channel */
    uint32_t             next;
    uint32_t             len;           /* of the body, which follows */
} wscast_kept_t;


typedef struct {
    wscast_aged_t        aged;
    uint64_t             hash2;
    uint64_t             epoch;
    uint64_t             offset;
    uint64_t             expires;
} wscast_key_t;


static inline uint32_t
wscast_history_head(const wscast_history_t *h, wscast_aged_e list)
{
    return (uint32_t) *wscast_heap_root(h->heap, list * 2);
}


/* Ends a transaction of our own. */

static inline wscast_status_t
wscast_history_done(wscast_history_t *h)
{
    if (wscast_heap_failed(h->heap)) {
        wscast_heap_abort(h->heap);
        return WSCAST_ERROR;
    }

    wscast_heap_commit(h->heap);

    return WSCAST_OK;
}


/* The object of this kind; NULL: the cell has none. */

static inline void *
wscast_history_at(const wscast_history_t *h, wscast_aged_e kind, uint32_t cell)
{
    wscast_aged_t  *a;

    a = wscast_heap_at(h->heap, cell);

    return a && a->kind == (WSCAST_AGED_KIND | kind) ? a : NULL;
}


/* How many messages or keys there are. */

static inline uint32_t *
wscast_history_held(const wscast_history_t *h, wscast_aged_e kind)
{
    return (uint32_t *) (void *) wscast_heap_root(h->heap, WSCAST_HELD_ROOT)
           + (kind == WSCAST_AGED_KEY);
}


/* The bucket of a hash; entries and keys have one half of the cells each. */

static inline uint32_t *
wscast_history_bucket(const wscast_history_t *h, wscast_aged_e kind,
    uint64_t hash)
{
    uint32_t  half;

    half = h->heap->ntable / 2;

    return wscast_heap_table(h->heap, WSCAST_TABLE_HISTORY)
           + (kind == WSCAST_AGED_KEY ? half : 0) + (hash & (half - 1));
}


/*
 * Looks a channel, or a key of a channel, up.  WSCAST_OK; WSCAST_MORE: there
 * is none; WSCAST_ERROR.
 */
wscast_status_t wscast_history_find(const wscast_history_t *h,
    wscast_str_t channel, uint32_t *cell);
wscast_status_t wscast_history_find_key(const wscast_history_t *h,
    const wscast_keep_t *k, uint32_t *cell);

/* Make objects; 0: no room, or failed. */
uint32_t wscast_history_add_entry(wscast_history_t *h, wscast_str_t channel,
    const wscast_position_t *position, uint64_t now);
uint32_t wscast_history_add_message(wscast_history_t *h, uint32_t entry,
    const wscast_keep_t *k, const wscast_position_t *position,
    wscast_str_t body);
uint32_t wscast_history_add_key(wscast_history_t *h, const wscast_keep_t *k,
    const wscast_position_t *position);

/*
 * history_end.c: the entry has got there, or its channel has; an end that is
 * known to be farther stays.
 */
void wscast_history_end_at(wscast_history_t *h, wscast_entry_t *e,
    const wscast_end_t *end);

/* An entry without messages has been used. */
void wscast_history_touch(wscast_history_t *h, uint32_t cell, uint64_t now);

/*
 * Frees an object.  An entry must have no messages; a message must be the first
 * of its channel.
 */
void wscast_history_remove(wscast_history_t *h, wscast_aged_e kind,
    uint32_t cell);


#endif /* WSCAST_HISTORY_INNER_H */
