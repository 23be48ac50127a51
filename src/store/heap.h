/*
 * heap.h: objects in shared memory that survive kill -9 at any instruction.
 *
 * Audience: store.  Pure: the caller holds the lock that guards the memory
 * (the ring's), in every function here but those that say otherwise.
 *
 *     +--------+---------+----------------------------------------------+
 *     | header | roots   | blocks of WSCAST_BLOCK bytes                 |
 *     +--------+---------+----------------------------------------------+
 *
 * An object is a chain of blocks, named by the number of its first (a cell; 0
 * is none).  Its first WSCAST_CELL_FIXED bytes are contiguous: a struct of
 * theirs holds links to other objects; what is longer (names, bodies) follows
 * and is copied in and out.
 *
 * Memory that others can reach is changed only inside a transaction, by
 * wscast_heap_set(), which notes the old value in a journal first.  A
 * transaction ends by one store.  If its process dies before, the next holder
 * of the lock calls wscast_heap_recover(), which puts the old values back: so
 * every change of several words is whole or has not been.  The bytes of an
 * object that nobody can reach yet need no journal.
 *
 * A transaction may hang on an append to the ring (wscast_stamp_t): then it
 * counts if, and only if, the record became visible.
 *
 * Everything that is read from the memory is checked: a cell out of range, or
 * a chain longer than the heap, is "damaged", and the caller gets NULL or
 * WSCAST_ERROR; he then calls wscast_heap_reset(), which forgets all.
 */

#ifndef WSCAST_HEAP_H
#define WSCAST_HEAP_H


#include "../base/base.h"


#define WSCAST_BLOCK         128        /* bytes, link included */
#define WSCAST_CELL_FIXED    120        /* contiguous bytes of an object */
#define WSCAST_HEAP_ROOTS    16         /* words of its user */
#define WSCAST_JOURNAL       256        /* words one transaction may change */


typedef uint32_t  wscast_cell_t;

typedef struct wscast_heap_sh_s  wscast_heap_sh_t;


/* One process's view. */

typedef struct {
    wscast_heap_sh_t    *sh;
    unsigned char       *blocks;        /* in sh; [0] is never used */
    uint64_t            *table;         /* in sh: words for hash tables */
    uint32_t             nblocks;       /* private: as sh had them at first */
    uint32_t             ntable;
    size_t               size;          /* private: of the memory */
    unsigned             open;          /* a transaction is under way */
    unsigned             failed;        /* and cannot be committed */
} wscast_heap_t;


/* The least memory that makes a heap, bytes. */
#define WSCAST_HEAP_MIN  (64 * 1024)

/*
 * Formats fresh memory; no lock.  A 32nd of it becomes the table: words, a
 * power of two of them, all 0, for the hash tables of the users.
 */
void wscast_heap_format(wscast_heap_sh_t *sh, size_t size);

/* WSCAST_OK; WSCAST_ERROR: the memory is no heap of this size.  No lock. */
wscast_status_t wscast_heap_open(wscast_heap_t *h, wscast_heap_sh_t *sh,
    size_t size);

/* Forgets all objects, roots and tables: after damage.  Cannot be undone. */
void wscast_heap_reset(wscast_heap_t *h);

/* How often that happened, or the memory was formatted: grows. */
uint64_t wscast_heap_generation(const wscast_heap_t *h);


/*
 * The table is divided among the users: each part is ntable cells, a power of
 * two of them, all 0 at first; to be changed with wscast_heap_set32().
 */

typedef enum {
    WSCAST_TABLE_HISTORY = 0,
    WSCAST_TABLE_PRESENCE
} wscast_table_e;


static inline uint32_t *
wscast_heap_table(const wscast_heap_t *h, wscast_table_e part)
{
    return (uint32_t *) (void *) h->table + (size_t) part * h->ntable;
}


/* Words of the user, all 0 at first; to be changed with wscast_heap_set(). */
uint64_t *wscast_heap_root(wscast_heap_t *h, unsigned i);


/*
 * A transaction; they do not nest.  _hang() ties it to the ring: it counts once
 * the ring's tail has reached commit.  Without it, it counts from _commit() on.
 */
void wscast_heap_begin(wscast_heap_t *h);
void wscast_heap_hang(wscast_heap_t *h, uint64_t commit);
void wscast_heap_commit(wscast_heap_t *h);
void wscast_heap_abort(wscast_heap_t *h);

/*
 * To be called with the lock just taken: ends what a dead process left behind.
 * tail: of the ring.  A journal that is none resets the heap: see
 * wscast_heap_generation().
 */
void wscast_heap_recover(wscast_heap_t *h, uint64_t tail);

/*
 * Changes words inside a transaction.  If the journal is full the transaction
 * is marked as failed and nothing is changed any more: see _failed().  So it is
 * if damage is met.
 */
void wscast_heap_set(wscast_heap_t *h, uint64_t *word, uint64_t value);
void wscast_heap_set32(wscast_heap_t *h, uint32_t *word, uint32_t value);

/* 1 if the transaction cannot be committed: abort it. */
int wscast_heap_failed(const wscast_heap_t *h);


/* How many blocks an object of size bytes takes; how many there are, free. */
uint32_t wscast_heap_blocks(size_t size);
uint32_t wscast_heap_total(const wscast_heap_t *h);
uint32_t wscast_heap_free_blocks(const wscast_heap_t *h);

/*
 * Takes the blocks of an object, inside a transaction: 0, nothing taken, if
 * there are not enough, or the transaction has failed.  Its fixed bytes are
 * zeroed, the rest is not.
 */
wscast_cell_t wscast_heap_alloc(wscast_heap_t *h, size_t size);

/*
 * Gives them back, inside a transaction.  They can be taken again in the next
 * one: were they overwritten in this one, it could not be undone.
 */
void wscast_heap_free(wscast_heap_t *h, wscast_cell_t cell);

/*
 * The WSCAST_CELL_FIXED first bytes of an object; NULL: no such cell.  Aligned
 * for 8 bytes.
 */
void *wscast_heap_at(const wscast_heap_t *h, wscast_cell_t cell);

/*
 * Copies bytes of an object out or in, from offset (0: its first byte) on.
 * WSCAST_ERROR: the chain ends before.  _write() is for what nobody can reach.
 */
wscast_status_t wscast_heap_read(const wscast_heap_t *h, wscast_cell_t cell,
    size_t offset, void *out, size_t len);
wscast_status_t wscast_heap_write(wscast_heap_t *h, wscast_cell_t cell,
    size_t offset, const void *data, size_t len);

/* 1 if the object has these bytes at offset. */
int wscast_heap_equal(const wscast_heap_t *h, wscast_cell_t cell,
    size_t offset, wscast_str_t s);


/* 1 if every block is either free or of one chain.  Slow; for tests. */
int wscast_heap_validate(const wscast_heap_t *h);


#endif /* WSCAST_HEAP_H */
