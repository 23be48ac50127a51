/*
 * fanout.h: who listens on this worker.
 *
 * Audience: session (subscribes), worker (delivers, turns "first" and "last"
 * into interest on the bus).  Pure: knows no socket and no bus.
 *
 * Law: while wscast_fanout_deliver() runs, nobody joins or leaves the arrays
 * that it walks.  A receiver that must end posts its closing.  The law is
 * enforced: subscribe answers WSCAST_AGAIN; unsubscribe makes the subscription
 * "gone" at once (its subscriber is not called any more, and it has left the
 * client's list), but its memory, and last(), wait for the end of the outermost
 * delivery.  Deliveries may nest.
 */

#ifndef WSCAST_FANOUT_H
#define WSCAST_FANOUT_H


#include "../base/list.h"
#include "../base/map.h"


typedef struct wscast_fanout_s        wscast_fanout_t;
typedef struct wscast_channel_s       wscast_channel_t;
typedef struct wscast_subscription_s  wscast_subscription_t;


struct wscast_channel_s {
    wscast_map_node_t          node;        /* key: the name, stored behind */
    wscast_subscription_t    **subscribers; /* dense array, no order */
    uint32_t                   count;
    uint32_t                   size;
    unsigned                   live;        /* the worker's: the bus delivers */
    unsigned                   ticks;       /* the worker's: s of waiting */
};


/* One client on one channel. */

struct wscast_subscription_s {
    wscast_list_t              link;        /* of the client's subscriptions */
    wscast_channel_t          *channel;
    void                      *subscriber;  /* the client */
    uint64_t                   epoch;       /* the session's, and the next: up */
    uint64_t                   offset;      /* to here the client needs nothing
                                               of it; epoch 0: no history */
    uint32_t                   index;       /* in channel->subscribers */
    unsigned                   gone:1;      /* unsubscribed during a delivery */

    /* the session's */
    unsigned                   pending:1;   /* no answer yet */
    unsigned                   member:1;    /* of the channel's presence */
    unsigned                   sees:1;      /* is told of joins and leaves */
    unsigned                   fixed:1;     /* joined by the location */
};


typedef struct {
    /*
     * A channel got its first subscriber, who is already in it.  WSCAST_OK, or
     * the subscribe fails with this and the channel is freed.
     */
    wscast_status_t  (*first)(void *ctx, wscast_channel_t *channel);

    /*
     * A channel lost its last one: it is found no more, and freed when this
     * returns.
     */
    void             (*last)(void *ctx, wscast_channel_t *channel);
} wscast_fanout_handler_t;


struct wscast_fanout_s {
    wscast_map_t                     channels;
    const wscast_fanout_handler_t   *handler;
    void                            *ctx;
    size_t                           subscriptions;
    unsigned                         delivering;
    wscast_list_t                    gone;      /* put off, see the law */
};


/* seed: of the hash, random. */
void wscast_fanout_init(wscast_fanout_t *f, uint64_t seed,
    const wscast_fanout_handler_t *handler, void *ctx);

/*
 * Frees all channels and subscriptions, telling nobody.  The clients' lists
 * must still stand: they are emptied.
 */
void wscast_fanout_done(wscast_fanout_t *f);

/* The channel, if it has a subscriber here; else NULL. */
wscast_channel_t *wscast_fanout_find(wscast_fanout_t *f, wscast_str_t name);

/*
 * Adds subscriber to the channel of this name and links the subscription to
 * mine.  The caller has checked that it is not subscribed yet.
 *
 * WSCAST_OK, *out is the subscription; WSCAST_NOMEM; WSCAST_AGAIN during a
 * delivery; or what first() returned.  In all cases but OK nothing changed.
 */
wscast_status_t wscast_fanout_subscribe(wscast_fanout_t *f, wscast_str_t name,
    void *subscriber, wscast_list_t *mine, wscast_subscription_t **out);

/*
 * Unlinks and frees it; the channel too, if it was the last.  During a delivery
 * it is put off, see the law; the pointer must not be used again either way.
 */
void wscast_fanout_unsubscribe(wscast_fanout_t *f, wscast_subscription_t *s);

/*
 * Calls deliver(arg, subscription) for every one of the channel that is not
 * gone: the one door for delivery.  Returns how many were called.  The
 * channel may have been freed when it returns, if all of them left meanwhile.
 */
size_t wscast_fanout_deliver(wscast_fanout_t *f, wscast_channel_t *channel,
    void (*deliver)(void *arg, wscast_subscription_t *s), void *arg);

/* 1 if all its structures agree, 0 if not.  For tests. */
int wscast_fanout_validate(const wscast_fanout_t *f);


#endif /* WSCAST_FANOUT_H */
