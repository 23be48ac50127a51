/*
 * ring_inner.h: what the files of the ring share.
 *
 * Audience: ring.c (writing, and who is woken), ring_read.c (reading),
 * ring_slots.c (who owns what), ring_leader.c (who leads).
 */

#ifndef WSCAST_RING_INNER_H
#define WSCAST_RING_INNER_H


#include "ring.h"


#define WSCAST_RING_ALIGN   16


/* Of every record in the log; the channel and the body follow. */

typedef struct {
    uint32_t             size;          /* of the record, aligned */
    uint16_t             kind;
    uint16_t             from;
    uint16_t             to;
    uint16_t             channel_len;
    uint32_t             body_len;
    uint64_t             hash;          /* of the channel */
    uint64_t             arg;
} wscast_record_sh_t;


#define wscast_load(p)      __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define wscast_store(p, v)  __atomic_store_n(p, v, __ATOMIC_SEQ_CST)

/* Between any two stores a process may die: a test makes it die there. */

#ifdef WSCAST_DEBUG

static void (*wscast_ring_hook)(void) __attribute__((unused));

#define wscast_step()                                                         \
    do {                                                                      \
        if (wscast_ring_hook) {                                               \
            wscast_ring_hook();                                               \
        }                                                                     \
    } while (0)

#else

#define wscast_step()

#endif


/*
 * Frees a slot.  Under the lock.  Every step may be repeated: if the process
 * that does it dies in between, the slot is found again and released once
 * more.
 */
void wscast_ring_release(wscast_ring_t *r, unsigned slot);

/*
 * A slot leads no more, nor is it the heir.  Under the lock; 1: it was one of
 * both, and leader_epoch tells so.
 */
int wscast_ring_abdicate(wscast_ring_t *r, unsigned slot);


#endif /* WSCAST_RING_INNER_H */
