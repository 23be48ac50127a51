/*
 * presence.h: who is on the channels of this host's workers, in shared memory.
 *
 * Audience: store.  Pure; the caller holds the ring's lock throughout.  times
 * are ms, monotonic and host-wide (the ring's now()).
 *
 * A member is a connection on a channel.  It belongs to an owner: the worker
 * that has the connection, named by the nonce of its slot.  A member whose
 * connection has ended, or whose owner has died, is "lost": it stays for its
 * grace time, and may be taken over by another connection; then the others
 * notice nothing, and go on knowing it under the id that it had first.
 *
 * Joining, losing and finding cost the same however many members there are.
 * Members take half of the heap at most; nothing of it is ever evicted.
 *
 * With Redis the members are there, and only the owners are kept here, so that
 * one worker ends the lease of another that has died.
 *
 * WSCAST_ERROR of any function: the memory is damaged, see heap.h.
 */

#ifndef WSCAST_PRESENCE_H
#define WSCAST_PRESENCE_H


#include "heap.h"
#include "../base/query.h"


typedef struct {
    wscast_heap_t    *heap;
    uint64_t          seed;
} wscast_presence_t;


#define WSCAST_MEMBER_MAX      4096     /* bytes of a user, of an info */
#define WSCAST_MEMBER_CHANNEL  65535    /* bytes of a channel's name */


/* Makes p a view; the heap is open.  Uses roots 8 to 15. */
void wscast_presence_init(wscast_presence_t *p, wscast_heap_t *heap,
    uint64_t seed);


/* A worker that has, or had, members.  Inside a transaction; WSCAST_NOMEM. */
wscast_status_t wscast_presence_own(wscast_presence_t *p, uint64_t nonce);

/*
 * The nonce of the owner after this one; 0: none.  Start with 0.  For finding
 * those whose worker is gone.
 */
uint64_t wscast_presence_owner(wscast_presence_t *p, uint64_t after);

/*
 * Inside a transaction: up to n members of a dead owner become lost until their
 * grace time has passed from now on; fewer if they would not fit into one
 * transaction.  WSCAST_OK: the owner is forgotten; WSCAST_MORE: call again, in
 * another transaction.
 */
wscast_status_t wscast_presence_bury(wscast_presence_t *p, uint64_t nonce,
    uint64_t now, unsigned n);


typedef struct {
    wscast_str_t      channel;
    wscast_member_t   member;       /* client: the connection's own id */
    wscast_str_t      former;       /* its id before, or empty */
    uint64_t          owner;
    uint32_t          grace;        /* ms */
} wscast_join_t;

typedef struct {
    char              known[WSCAST_CLIENT_ID];      /* to the others */
    char              replaced[WSCAST_CLIENT_ID];   /* a connection to be ended:
                                                       its member was not lost
                                                       yet; or zeros */
    unsigned          joined;       /* 1: the others must be told */
} wscast_joined_t;

/*
 * Inside a transaction: a connection becomes a member.  It takes over, in this
 * order: its own membership (the same connection id: a repeat); the member
 * whose connection had the id `former`, if that has the same user and is lost,
 * or has the same user, not empty, and is not; a lost member of the same user,
 * not empty.  user and info are those of the newcomer from then on.
 * WSCAST_OK; WSCAST_NOMEM: no room, or too long; abort the transaction.  One
 * join a transaction.
 */
wscast_status_t wscast_presence_join(wscast_presence_t *p,
    const wscast_join_t *j, wscast_joined_t *out);

/* A member's strings, copied: known is what the others call it. */

typedef struct {
    char              known[WSCAST_CLIENT_ID];
    unsigned char    *data;         /* private memory of the caller, which
                                       grows; wscast_free() in the end */
    size_t            size;
    wscast_str_t      channel;      /* in data, as the other two */
    wscast_str_t      user;
    wscast_str_t      info;
} wscast_gone_t;

/*
 * Inside a transaction: a connection leaves a channel.  It is removed, and the
 * others must be told of out (WSCAST_OK); it was no member (WSCAST_MORE).
 * WSCAST_NOMEM, for out: it still is one.
 */
wscast_status_t wscast_presence_leave(wscast_presence_t *p,
    wscast_str_t channel, wscast_str_t client, uint64_t owner,
    wscast_gone_t *out);

/* The same, but it is lost for now.  WSCAST_MORE: it was no member. */
wscast_status_t wscast_presence_lose(wscast_presence_t *p,
    wscast_str_t channel, wscast_str_t client, uint64_t owner, uint64_t now);

/*
 * Inside a transaction: removes a lost member whose time is up by now.
 * WSCAST_OK: the others must be told of out; WSCAST_MORE: there is none;
 * WSCAST_NOMEM, for out: it is still there.
 */
wscast_status_t wscast_presence_expire(wscast_presence_t *p, uint64_t now,
    wscast_gone_t *out);

/* When the next lost member's time is up; 0: there is none.  Never late. */
uint64_t wscast_presence_next(wscast_presence_t *p);


/*
 * Copies members, lost ones included, in the order of joining, into out as
 * client (WSCAST_CLIENT_ID bytes), length of user (u32), length of info (u32),
 * user, info.  cursor 0: from the first; *next: for the page after; 0: this was
 * the last.  At most limit of them (0: only total is asked for), and not more
 * once there are bytes of them.  *out is to be given to wscast_free() unless it
 * is NULL: there is nothing.  WSCAST_OK, also for no members; WSCAST_NOMEM.
 */
wscast_status_t wscast_presence_page(wscast_presence_t *p,
    wscast_str_t channel, uint64_t cursor, uint32_t limit, size_t bytes,
    unsigned char **out, size_t *len, uint64_t *next, uint64_t *total);

/* How many blocks of the heap presence has. */
uint64_t wscast_presence_blocks(const wscast_presence_t *p);

/* 1 if all lists and counts agree.  For tests. */
int wscast_presence_validate(const wscast_presence_t *p);


#endif /* WSCAST_PRESENCE_H */
