/*
 * receipt.h: the answer that a publisher waits for.
 *
 * Audience: session and http (embed one in what they wait with), bus (keeps it
 * until the engine has answered).
 *
 * Whoever hands a receipt to a publish that returns WSCAST_MORE keeps it alive
 * until done() has been called, which happens exactly once.  A waiter that has
 * gone meanwhile notes so in its own struct and lets done() free it.
 */

#ifndef WSCAST_RECEIPT_H
#define WSCAST_RECEIPT_H


#include "query.h"


typedef struct wscast_receipt_s  wscast_receipt_t;
typedef struct wscast_waiter_s   wscast_waiter_t;

struct wscast_receipt_s {
    wscast_position_t    position;  /* of the message, once it is taken; 0, 0 on
                                       a channel without history */

    uint64_t             receivers; /* the bus's: workers that it was put before
                                       if embedded, hosts with Redis */

    /* WSCAST_OK: the engine has it; else a reason of close.h */
    void               (*done)(wscast_receipt_t *r, wscast_status_t status);
};


/*
 * Who wants to publish and was told that there is no room.  It is in a list
 * until retry() is called, once, or until it unlinks itself.
 */

struct wscast_waiter_s {
    wscast_list_t    link;
    void           (*retry)(wscast_waiter_t *w);
};


#endif /* WSCAST_RECEIPT_H */
