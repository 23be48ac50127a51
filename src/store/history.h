/*
 * history.h: the positions of channels, their last messages, and the keys of
 * publishes, in shared memory.
 *
 * Audience: store.  Pure; the caller holds the ring's lock throughout.  times
 * are ms since 1970.
 *
 * A channel has an entry from the first question about its position on.  With
 * Redis the entries hold no messages: they say how far this host has got.
 *
 * When the heap is full, what is oldest goes first, over all channels: a
 * message, a key, or the entry of a channel without messages, whose next
 * position then has another epoch.  So memory is bounded, and all that changes
 * is what can be recovered.
 *
 * WSCAST_ERROR of any function: the memory is damaged, see heap.h.
 */

#ifndef WSCAST_HISTORY_H
#define WSCAST_HISTORY_H


#include "heap.h"
#include "../base/query.h"


#define WSCAST_KEY_TIME      (5 * 60 * 1000)    /* ms that a key is known */
#define WSCAST_KEY_MAX       128                /* bytes of a key */


typedef struct {
    wscast_heap_t    *heap;
    uint64_t          seed;         /* of the hashes; as the ring's */
    uint64_t          evicted;      /* messages, grows: this process's doing */
} wscast_history_t;


/* Makes h a view; the heap is open.  Uses roots 0 to 7. */
void wscast_history_init(wscast_history_t *h, wscast_heap_t *heap,
    uint64_t seed);

/*
 * Where the channel is; outside of a transaction.  WSCAST_MORE: it has no
 * entry, and with fresh 0 gets none; with another fresh it gets one with this
 * epoch and offset 0, and WSCAST_OK is returned.  WSCAST_NOMEM: there was no
 * room for it.
 */
wscast_status_t wscast_history_position(wscast_history_t *h,
    wscast_str_t channel, uint64_t fresh, uint64_t now,
    wscast_position_t *position);


/* One message to be kept. */

typedef struct {
    wscast_str_t      channel;
    wscast_str_t      key;          /* or empty */
    uint64_t          fresh;        /* epoch for a channel that has none */
    uint32_t          count;        /* messages kept at most; 0: no history,
                                       only the key counts */
    uint64_t          ttl;          /* ms */
    uint64_t          now;
} wscast_keep_t;

/*
 * Before a publish, outside of a transaction: throws the expired away, and the
 * oldest, until there is room for a body of len bytes.  WSCAST_OK;
 * WSCAST_MORE: it is too long to be kept at all, then _append() only moves the
 * position.
 */
wscast_status_t wscast_history_room(wscast_history_t *h,
    const wscast_keep_t *k, size_t len);

/*
 * Inside a transaction, after _room(): the next position, for the body to be
 * stamped with it, and then the message.  The trimming to count is done here,
 * a few messages at a time.  A body for which there is no room is not kept, the
 * position moves on, and the offsets of what is kept have a gap.
 * WSCAST_NOMEM: no entry could be made: publish without a position.
 *
 * _next() also finds a repeated key: WSCAST_AGAIN, and *position is that of the
 * first; nothing must be published.  With count 0 the position is 0, 0.
 */
wscast_status_t wscast_history_next(wscast_history_t *h,
    const wscast_keep_t *k, wscast_position_t *position);
wscast_status_t wscast_history_append(wscast_history_t *h,
    const wscast_keep_t *k, const wscast_position_t *position,
    wscast_str_t body);

/*
 * Makes room for what another user of the heap is about to take: throws away
 * as _room() does until so many blocks are free.  Outside of a transaction.
 * WSCAST_MORE: there is nothing left to throw away.
 */
wscast_status_t wscast_history_vacate(wscast_history_t *h, uint32_t blocks,
    uint64_t now);


/*
 * With Redis: the newest position of a channel that this host knows Redis to
 * have given out, be it that the message has come, or that its publisher was
 * answered.
 */

typedef struct {
    wscast_position_t position;     /* epoch 0: none */
    uint64_t          time;         /* in the message's envelope: tells it from
                                       another one there; 0: not known */
} wscast_end_t;

/*
 * Inside a transaction, after _room() with a len of 0: this host has got there.
 * Messages of another epoch are not read any more.  WSCAST_NOMEM.
 */
wscast_status_t wscast_history_mark(wscast_history_t *h, wscast_str_t channel,
    const wscast_end_t *end, uint64_t now);

/*
 * Outside of a transaction: Redis has got there; this host has, or will.  An
 * entry that is made by that has no position yet.  WSCAST_OK, also if that is
 * no news; WSCAST_NOMEM.
 */
wscast_status_t wscast_history_given(wscast_history_t *h, wscast_str_t channel,
    const wscast_end_t *end, uint64_t now);

/* Outside of a transaction, as _position(); WSCAST_MORE: nothing is known. */
wscast_status_t wscast_history_end(wscast_history_t *h, wscast_str_t channel,
    uint64_t now, wscast_end_t *end);


typedef struct {
    wscast_str_t      channel;
    uint64_t          after;        /* exclusive */
    uint64_t          upto;         /* inclusive; 0: the newest */
    unsigned          newest;       /* as of wscast_query_t */
    uint32_t          limit;
    size_t            bytes;
    uint64_t          since;        /* ms: what was kept before has expired */
} wscast_range_t;

/* Private memory that grows: bodies, each after its length (u32). */

typedef struct {
    unsigned char    *data;
    size_t            len;
    size_t            size;
} wscast_packed_t;

/*
 * Copies bodies into out, which the caller frees with wscast_free(); at least
 * one if there is any, however long.  *more: there are others in the range.
 * WSCAST_OK, also for a channel without entry: position 0, 0; WSCAST_NOMEM.
 */
wscast_status_t wscast_history_read(wscast_history_t *h,
    const wscast_range_t *range, wscast_packed_t *out,
    wscast_position_t *position, unsigned *more);

/*
 * Drops the messages of a channel, and keeps its position.  Outside of a
 * transaction, as _sweep().
 */
wscast_status_t wscast_history_forget(wscast_history_t *h,
    wscast_str_t channel);

/*
 * Throws expired messages and keys away, at most n; each message knows when it
 * expires.  To be called once a second.
 */
wscast_status_t wscast_history_sweep(wscast_history_t *h, uint64_t now,
    unsigned n);

/* How many messages and keys there are, of all channels. */
uint32_t wscast_history_messages(const wscast_history_t *h);
uint32_t wscast_history_keys(const wscast_history_t *h);

/* 1 if all lists and counts agree.  For tests. */
int wscast_history_validate(const wscast_history_t *h);


#endif /* WSCAST_HISTORY_H */
