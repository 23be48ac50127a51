/*
 * heap_inner.h: what the files of the heap share.
 *
 * Audience: heap.c (the memory and its transactions), heap_blocks.c (objects).
 */

#ifndef WSCAST_HEAP_INNER_H
#define WSCAST_HEAP_INNER_H


#include "heap.h"


#define WSCAST_HEAP_MAGIC   0x7773636173686561ull       /* "wscashea" */


/* The old value of a word that a transaction has changed. */

typedef struct {
    uint32_t             at;            /* in units of 4 bytes from the start */
    uint32_t             size;          /* 4 or 8 */
    uint64_t             old;
} wscast_undo_t;


/*
 * The free blocks are those in the list, then those in limbo, which the last
 * transaction gave back, then all from fresh on, which were never used.
 */

struct wscast_heap_sh_s {
    uint64_t             magic;
    uint64_t             size;          /* bytes of it all */
    uint64_t             generation;
    uint64_t             resetting;     /* 1: somebody is, or died of it */

    uint32_t             free;          /* first of the list, 0: none */
    uint32_t             nfree;
    uint32_t             limbo;
    uint32_t             limbo_last;
    uint32_t             nlimbo;
    uint32_t             fresh;

    uint64_t             commit;        /* the tail that makes it count */
    uint64_t             count;         /* of undo: not 0: not ended yet */
    wscast_undo_t        undo[WSCAST_JOURNAL];

    uint64_t             roots[WSCAST_HEAP_ROOTS];
};


typedef struct {
    unsigned char        bytes[WSCAST_CELL_FIXED];
    uint32_t             next;          /* 0: the last of its chain */
    uint32_t             ends;          /* in the last: how many the chain has;
                                           else, in the first: the last */
} wscast_block_t;


/*
 * Another process sees our stores in this order, when we are dead: each of
 * those waits for all before it.
 */

#define wscast_heap_put(p, v)                                                 \
    do {                                                                      \
        wscast_heap_step();                                                   \
        __atomic_store_n(p, v, __ATOMIC_RELEASE);                             \
    } while (0)


/* Between any two stores a process may die: a test makes it die there. */

#ifdef WSCAST_DEBUG

static void (*wscast_heap_hook)(void);

#define wscast_heap_step()                                                    \
    do {                                                                      \
        if (wscast_heap_hook) {                                               \
            wscast_heap_hook();                                               \
        }                                                                     \
    } while (0)

#else

#define wscast_heap_step()

#endif


/* NULL: there is no such block. */

static inline wscast_block_t *
wscast_heap_block(const wscast_heap_t *h, uint32_t cell)
{
    if (cell == 0 || cell >= h->nblocks) {
        return NULL;
    }

    return (wscast_block_t *) (void *) h->blocks + cell;
}


#endif /* WSCAST_HEAP_INNER_H */
