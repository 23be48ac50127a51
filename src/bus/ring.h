/*
 * ring.h: the shared memory of a hub on one host: a log of records that all
 * workers append to and read, the slots that they own, and who is interested
 * in what.
 *
 * Audience: bus/local.  No nginx here: the lock and the test for a living
 * process come in as functions, so that a test can kill writers at any step.
 *
 *     +--------+-------------------+----------------+--------------------+
 *     | head   | slots[128]        | interest[n]    | log (power of two) |
 *     +--------+-------------------+----------------+--------------------+
 *
 * The log is one order for all: a record's position is its place in time.
 * Each slot has a cursor; what lies between the slowest cursor and the tail is
 * kept, and when that is the whole log, writers must wait.
 *
 * What makes it survive kill -9 at any instruction:
 *
 * - a record becomes visible by one store, that of the tail, after all its
 *   bytes; a writer that dies before leaves nothing behind;
 * - appending, claiming and releasing happen under the lock, which the nginx
 *   master frees if its holder dies; nothing else needs the lock;
 * - interest is a bit per slot in a bucket of the channel's hash: set and
 *   cleared by one atomic operation, so it cannot be half-written.  A bucket
 *   may be shared by several channels: a worker is then woken for nothing, but
 *   never not woken;
 * - a dead worker's slot is found by its pid and released by whoever notices.
 *
 * Everything that is read from the memory is checked: a damaged record makes
 * the reader skip to the tail, as if it had been lapped.
 */

#ifndef WSCAST_RING_H
#define WSCAST_RING_H


#include "../base/base.h"
#include "../base/counter.h"


#define WSCAST_SLOTS        128     /* workers of all generations at a time */
#define WSCAST_SLOT_WORDS   (WSCAST_SLOTS / 64)
#define WSCAST_NO_SLOT      0xffff

#define WSCAST_RING_STALL   5000    /* ms behind a full log: cut loose */
#define WSCAST_RING_BEAT    1000    /* ms between two beats of a worker */
#define WSCAST_RING_SILENT  5000    /* ms without one: it hangs */
#define WSCAST_RING_MIN     (1024 * 1024)       /* memory, bytes */


typedef struct {
    uint64_t             w[WSCAST_SLOT_WORDS];
} wscast_slotset_t;


static inline int
wscast_slotset_has(const wscast_slotset_t *set, unsigned slot)
{
    return (set->w[slot / 64] >> (slot % 64)) & 1;
}


static inline void
wscast_slotset_add(wscast_slotset_t *set, unsigned slot)
{
    set->w[slot / 64] |= (uint64_t) 1 << (slot % 64);
}


static inline void
wscast_slotset_remove(wscast_slotset_t *set, unsigned slot)
{
    set->w[slot / 64] &= ~((uint64_t) 1 << (slot % 64));
}


static inline int
wscast_slotset_empty(const wscast_slotset_t *set)
{
    return (set->w[0] | set->w[1]) == 0;
}


static inline unsigned
wscast_slotset_count(const wscast_slotset_t *set)
{
    return (unsigned) (__builtin_popcountll(set->w[0])
                       + __builtin_popcountll(set->w[1]));
}


typedef enum {
    WSCAST_SLOT_FREE = 0,
    WSCAST_SLOT_ACTIVE,
    WSCAST_SLOT_CUT             /* lapped: nobody waits for it any more */
} wscast_slot_e;


typedef struct {
    uint64_t             state;         /* wscast_slot_e */
    uint64_t             pid;
    uint64_t             nonce;         /* of this tenancy; never 0 */
    uint64_t             cursor;        /* next position to read */
    uint64_t             stalled;       /* ms: since when writers wait for it
                                           and it reads nothing; 0: not */
    uint64_t             stalled_at;    /* its cursor then */
    uint64_t             woken;         /* a wake-up is under way */
    uint64_t             waiting;       /* it waits for room */
    uint64_t             leaving;       /* its worker is about to exit */
    uint64_t             born;          /* which tenancy of the ring this is */
    uint64_t             beat;          /* ms: when its worker last told that it
                                           goes on */
    uint64_t             counters[WSCAST_COUNTERS];     /* of all tenants */
} __attribute__((aligned(64))) wscast_slot_sh_t;


/* In Redis: the slots of a cluster; without one all is in part 0. */
#define WSCAST_RING_PARTS   16384

typedef struct {
    uint64_t             magic;
    uint64_t             id;            /* random, names the wake sockets */
    uint64_t             seed;          /* of the channels' hash */
    uint64_t             log_size;      /* bytes, a power of two */
    uint64_t             buckets;       /* of interest, a power of two */
    uint64_t             high;          /* slots ever used */
    uint64_t             tenancies;     /* grows when a slot changes hands */
    uint64_t             leader;        /* slot + 1 of who holds Redis; or 0 */
    uint64_t             heir;          /* slot + 1 of who is about to take over
                                           from the leader, 0: nobody */
    uint64_t             leader_epoch;  /* grows with each change of the two */
    uint64_t             marker;        /* leader_epoch for which the leader
                                           awaits its heir's marker */
    uint64_t             handed;        /* leader_epoch of the last handover */
    uint64_t             redis_up;      /* the leader's subscription stands */
    uint64_t             redis_deaf;    /* but not in so many parts */
    uint64_t             waiters;       /* some slot is waiting */
    uint64_t             floor;         /* a past value of the slowest cursor */
    uint64_t             examined;      /* ms: when that is due once more */
    uint64_t             heap;          /* where the rest of the zone begins,
                                           bytes behind this struct's start */
    uint64_t             heap_size;     /* bytes; 0: there is none */
    uint64_t             deaf[WSCAST_RING_PARTS / 64];  /* those */
    uint64_t             tail __attribute__((aligned(64)));
    wscast_slot_sh_t     slots[WSCAST_SLOTS];
} wscast_ring_sh_t;


/* What a record says; only bus/local and bus/redis know their contents. */

typedef enum {
    WSCAST_REC_PAD = 0,
    WSCAST_REC_PUBLICATION,     /* body: envelope or plain data */
    WSCAST_REC_LIVE,            /* the host is subscribed to the channel; arg 1:
                                   it was, and not all the time */
    WSCAST_REC_WANT,            /* to the leader: the sender's first subscriber;
                                   arg: the sender's nonce */
    WSCAST_REC_RECALL,          /* the same, told anew to a new leader */
    WSCAST_REC_RECALLED,        /* to leader and heir: the sender has told all;
                                   arg: the leader's epoch */
    WSCAST_REC_HANDED,          /* to the heir: from here on it delivers;
                                   arg: the leader's epoch */
    WSCAST_REC_UNWANT,          /* to the leader: it has no more */
    WSCAST_REC_ASK,             /* how many subscribers?  arg: a number */
    WSCAST_REC_TELL,            /* to the asker; arg: its number; body: count */
    WSCAST_REC_MAX
} wscast_record_e;


typedef struct {
    unsigned             kind;          /* wscast_record_e */
    unsigned             from;          /* slot of the writer */
    unsigned             to;            /* slot, or WSCAST_NO_SLOT: those
                                           interested in the channel */
    unsigned             led;           /* appended only by the leader */
    uint64_t             arg;
    wscast_str_t         channel;
    wscast_str_t         body;
} wscast_record_t;


/*
 * What must happen together with an append, or not at all, in other shared
 * memory that the ring's lock guards.
 */

typedef struct wscast_stamp_s  wscast_stamp_t;

struct wscast_stamp_s {
    /*
     * The record lies in the log, and nobody sees it yet: its body may be
     * changed, but not its length.  The store of commit into the tail is what
     * makes it visible; who finds this change half done when he gets the lock
     * compares the two (wscast_ring_tail()).  Any answer but WSCAST_OK takes
     * the record back, and the append returns it.
     */
    wscast_status_t    (*apply)(wscast_stamp_t *stamp, unsigned char *body,
                                size_t len, uint64_t commit);

    /* It is visible; still under the lock. */
    void               (*finish)(wscast_stamp_t *stamp);
};


/* One process's view. */

typedef struct {
    wscast_ring_sh_t    *sh;
    uint64_t            *interest;      /* in sh: buckets x WSCAST_SLOT_WORDS */
    unsigned char       *log;           /* in sh */
    size_t               log_size;      /* private: as sh had them at first */
    size_t               buckets;
    uint32_t            *counts;        /* private: own channels per bucket */
    unsigned char       *copy;          /* private: the record being read */
    size_t               copy_size;
    unsigned             slot;          /* own, or WSCAST_NO_SLOT */
    uint64_t             nonce;
    uint64_t             beaten;        /* ms: the own last beat */
    uint64_t             steady;        /* ms: since when it comes regularly */
    uint64_t             cut;           /* pid of who was cut loose here, or 0:
                                           for the caller, who clears it */
    unsigned             reaped;        /* slots of the dead that were released
                                           here: the same */

    void               (*lock)(void *ctx);
    void               (*unlock)(void *ctx);
    int                (*alive)(void *ctx, uint64_t pid);
    uint64_t           (*now)(void *ctx);       /* ms, monotonic, host-wide */
    void                *ctx;
} wscast_ring_t;


/* Bytes of shared memory that a zone of size bytes gives to the ring. */
size_t wscast_ring_size(size_t zone);

/* The longest channel and body together that such a zone carries. */
size_t wscast_ring_max(size_t zone);

/* Formats fresh memory of wscast_ring_size(zone) bytes; id and seed: random. */
void wscast_ring_format(wscast_ring_sh_t *sh, size_t zone, uint64_t id,
    uint64_t seed);

/* 1 if this is the memory of such a ring, formatted by such a build. */
int wscast_ring_known(const wscast_ring_sh_t *sh, size_t zone);

/*
 * Makes r a view of formatted memory; the functions and ctx are set already.
 * WSCAST_OK; WSCAST_ERROR: the memory is no such ring; WSCAST_NOMEM.
 */
wscast_status_t wscast_ring_open(wscast_ring_t *r, wscast_ring_sh_t *sh,
    size_t zone);

/* Frees what is private; leaves the slot first. */
void wscast_ring_close(wscast_ring_t *r);

/*
 * Takes a slot for the process pid, with its cursor at the tail; the slots of
 * dead processes are released before.  WSCAST_AGAIN: all are in use.
 */
wscast_status_t wscast_ring_claim(wscast_ring_t *r, uint64_t pid,
    uint64_t nonce);

/* Gives the own slot back: it listens to nothing, its counters are kept. */
void wscast_ring_leave(wscast_ring_t *r);

/* Releases the slots of dead processes; returns how many. */
unsigned wscast_ring_reap(wscast_ring_t *r);

/*
 * Appends a record.
 *
 * WSCAST_OK     visible to all; *targets has the slots that it is meant for,
 *               *wake those of them (never the own) that must be woken
 * WSCAST_AGAIN  no room: the slot is marked as waiting and is woken when there
 *               may be; *wake as above (laggards)
 * WSCAST_CLOSE_TOO_BIG  longer than wscast_ring_max()
 * WSCAST_ERROR  it is the leader's to append, and the own slot does not lead
 *
 * Slots that have stood still behind a full log for WSCAST_RING_STALL ms are
 * cut loose here.
 */
wscast_status_t wscast_ring_append(wscast_ring_t *r, const wscast_record_t *rec,
    wscast_slotset_t *targets, wscast_slotset_t *wake);

/* The same, together with a change of other memory. */
wscast_status_t wscast_ring_append_stamped(wscast_ring_t *r,
    const wscast_record_t *rec, wscast_stamp_t *stamp,
    wscast_slotset_t *targets, wscast_slotset_t *wake);

/* The position behind the last visible record; under the lock. */
uint64_t wscast_ring_tail(const wscast_ring_t *r);

/* 1 if a living worker has a slot with this nonce; under the lock. */
int wscast_ring_tenant(const wscast_ring_t *r, uint64_t nonce);

/*
 * Reads the next record meant for the own slot into private memory.
 *
 * WSCAST_OK     rec is filled, valid until the next call
 * WSCAST_MORE   at the tail; *wake has the waiting writers to be woken
 * WSCAST_ERROR  lapped, or the log is damaged here: what was between has been
 *               lost; the cursor is at the tail, go on
 * WSCAST_NOMEM  as WSCAST_ERROR
 */
wscast_status_t wscast_ring_read(wscast_ring_t *r, wscast_record_t *rec,
    wscast_slotset_t *wake);

/* The own slot answers its wake-up: to be called before reading. */
void wscast_ring_awake(wscast_ring_t *r);

/* 1 if there is something to read, or the own slot was cut. */
int wscast_ring_behind(const wscast_ring_t *r);

/* One more, one less, channel of this hash that the own slot listens to. */
void wscast_ring_listen(wscast_ring_t *r, wscast_str_t channel);
void wscast_ring_unlisten(wscast_ring_t *r, wscast_str_t channel);

/* Who listens to a channel of this hash: perhaps more than to the channel. */
void wscast_ring_listeners(const wscast_ring_t *r, wscast_str_t channel,
    wscast_slotset_t *slots);

/*
 * Who leads.
 *
 * A leader that hangs (stopped, or stuck in somebody else's code) is no dead
 * one: it must be found by its silence, and be kept from going on as the leader
 * when it wakes.  So each worker beats; who has not for WSCAST_RING_SILENT ms
 * may be deposed by another that has done so all the time (if the whole host
 * was suspended, nobody has); and what only the leader may do is done under the
 * lock by who leads then, or not at all.
 */

/* The own worker goes on: to be called every WSCAST_RING_BEAT ms. */
void wscast_ring_beat(wscast_ring_t *r);

/* 1 if the worker of this slot hangs, as far as the own one can judge. */
int wscast_ring_hangs(const wscast_ring_t *r, unsigned slot);

/* 1 if the own slot leads; certain only under the lock. */
int wscast_ring_leads(const wscast_ring_t *r);

/*
 * Becomes the leader if there is none.  1: the own slot leads; *wake: whom to
 * wake, if that is new.
 */
int wscast_ring_lead(wscast_ring_t *r, wscast_slotset_t *wake);

/*
 * Becomes the leader if the one that there is hangs.  Returns its pid, or 0;
 * *wake: whom to wake.
 */
uint64_t wscast_ring_depose(wscast_ring_t *r, wscast_slotset_t *wake);

/* Stops being the leader; *wake: whom to wake. */
void wscast_ring_resign(wscast_ring_t *r, wscast_slotset_t *wake);

/* The own worker is about to exit: it leads, or inherits, no more. */
void wscast_ring_leaving(wscast_ring_t *r);

/* 1 if all others are about to exit, too, or hang. */
int wscast_ring_last(const wscast_ring_t *r);

/* 1 if a worker that does not hang, other than the own, has connections. */
int wscast_ring_needed(const wscast_ring_t *r);

/*
 * The leader chooses an heir among those who stay, unless there is one.  1:
 * there is one now; *wake: whom to wake, if that is new.
 */
int wscast_ring_bequeath(wscast_ring_t *r, wscast_slotset_t *wake);

/*
 * The leader chooses another heir, if the one that there is hangs and there is
 * another.  Returns its pid, or 0; *wake: whom to wake.
 */
uint64_t wscast_ring_disinherit(wscast_ring_t *r, wscast_slotset_t *wake);

/*
 * The leader makes the heir that it got with this leader_epoch the leader.  1:
 * it is; *wake: whom to wake.  0: that heir is none any more.
 */
int wscast_ring_pass(wscast_ring_t *r, uint64_t epoch,
    wscast_slotset_t *wake);

/*
 * The leader's: its subscription stands, or does not, or does but for these
 * parts, bits by number, NULL: none; it awaits the marker.
 */
void wscast_ring_redis_up(wscast_ring_t *r, int up, const uint64_t *deaf);
void wscast_ring_mark(wscast_ring_t *r, uint64_t epoch);

/* 1 if it stands, and in this part, too. */
int wscast_ring_receives(const wscast_ring_t *r, unsigned part);

/* The sum over the host: gauges of living slots, counters of all time. */
void wscast_ring_counters(const wscast_ring_t *r,
    uint64_t sum[WSCAST_COUNTERS]);

/* How many slots have a living tenant. */
unsigned wscast_ring_workers(const wscast_ring_t *r);

/* Bytes of the log that the slowest of them has not read yet. */
uint64_t wscast_ring_backlog(const wscast_ring_t *r);

/* Under the lock: NULL, or what does not agree.  Slow; for tests. */
const char *wscast_ring_wrong(const wscast_ring_t *r);

static inline uint64_t *
wscast_ring_own_counters(const wscast_ring_t *r)
{
    return r->sh->slots[r->slot].counters;
}


#endif /* WSCAST_RING_H */
