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
 *
 * A channel with many subscribers is served piece by piece, so that others have
 * their turn: a publication is pushed to its backlog, and each step gives some
 * subscribers all that waits for them: lap after lap, so that what is pushed in
 * the middle of one need not wait for its end.  Who leaves, or is left over by
 * somebody who does, is given it before.  Who joins gets what is pushed from
 * then on.
 */

#ifndef WSCAST_FANOUT_H
#define WSCAST_FANOUT_H


#include "../base/list.h"
#include "../base/map.h"
#include "../base/publication.h"


#define WSCAST_FANOUT_STEP   16             /* subscribers of a step */
#define WSCAST_BATCH_COUNT   32             /* publications of a batch */
#define WSCAST_BATCH_BYTES   (128 * 1024)   /* their data, or one's */
#define WSCAST_SEQUENCE      0x7ffffffU     /* as many bits as .since has */


typedef struct wscast_fanout_s        wscast_fanout_t;
typedef struct wscast_channel_s       wscast_channel_t;
typedef struct wscast_subscription_s  wscast_subscription_t;


/* Publications of a channel that not all of its subscribers have yet. */

typedef struct {
    wscast_list_t              link;        /* of fanout->busy */
    wscast_channel_t          *channel;
    wscast_publication_t     **pubs;
    uint32_t                   count;       /* of pubs */
    uint32_t                   size;
    uint32_t                   first;       /* number of pubs[0] */

    /* a lap, in channel->subscribers */
    uint32_t                   cursor;      /* whose turn it is */
    uint32_t                   end;         /* from here on they have all */
    uint32_t                   behind;      /* up to here some of those that
                                               were passed lack something */
    uint32_t                   low;         /* of pubs, those that all have
                                               who were passed */

    /* a batch: who has the first from of pubs gets those up to to; 0: none */
    uint32_t                   from;
    uint32_t                   to;

    uint64_t                   owed;        /* deliveries */
} wscast_backlog_t;


struct wscast_channel_s {
    wscast_map_node_t          node;        /* key: the name, stored behind */
    wscast_subscription_t    **subscribers; /* dense array, no order */
    uint32_t                   count;
    uint32_t                   size;
    wscast_backlog_t          *backlog;     /* NULL: none */
    uint32_t                   pushed;      /* number of the last one */
    unsigned                   live:1;      /* the worker's: the bus delivers */
    unsigned                   ticks:31;    /* the worker's: s of waiting */
};


/* One client on one channel. */

struct wscast_subscription_s {
    wscast_list_t              link;        /* of the client's subscriptions */
    wscast_channel_t          *channel;
    void                      *subscriber;  /* the client */
    uint64_t                   epoch;       /* the session's, as the next: */
    uint64_t                   offset;      /* up to here the client needs
                                               nothing; epoch 0: no history */
    uint32_t                   index;       /* in channel->subscribers */
    unsigned                   since:27;    /* has all up to this number */
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

    /* A subscription gets what was pushed.  NULL, as given(): nobody pushes. */
    void             (*deliver)(void *ctx, wscast_subscription_t *s,
                                wscast_publication_t *pub);

    /* That was all that waited for it. */
    void             (*given)(void *ctx, wscast_subscription_t *s);

    /* Bytes before and behind a subscriber that a delivery looks at. */
    size_t             before;
    size_t             behind;
} wscast_fanout_handler_t;


struct wscast_fanout_s {
    wscast_map_t                     channels;
    const wscast_fanout_handler_t   *handler;
    void                            *ctx;
    size_t                           subscriptions;
    unsigned                         delivering;
    wscast_list_t                    gone;      /* put off, see the law */
    wscast_list_t                    busy;      /* backlogs */
    uint64_t                         owed;      /* deliveries of them */
    size_t                           bytes;     /* of data in them */
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

/*
 * Puts a publication, of which it takes a reference, to the end of the
 * channel's backlog.  Nothing bounds that: the caller looks at fanout->owed and
 * ->bytes before.  While there is a backlog, nothing may be delivered past it.
 * WSCAST_OK, or WSCAST_NOMEM.
 */
wscast_status_t wscast_fanout_push(wscast_fanout_t *f,
    wscast_channel_t *channel, wscast_publication_t *pub);

/*
 * Serves WSCAST_FANOUT_STEP subscribers of the backlog whose turn it is, at the
 * most, and turns to the next.  Returns 1 if there is more to do.
 */
int wscast_fanout_step(wscast_fanout_t *f);

/*
 * Serves all subscribers of this channel at once.  The channel may have been
 * freed when it returns.
 */
void wscast_fanout_finish(wscast_fanout_t *f, wscast_channel_t *channel);

/* For the files of this room: number i of the channel has its turn. */
void wscast_fanout_prefetch(const wscast_fanout_t *f,
    const wscast_channel_t *channel, uint32_t i);

/* For the files of this room: removes what left during a delivery. */
void wscast_fanout_sweep(wscast_fanout_t *f);

/* For the files of this room: this one is given all that waits for it. */
void wscast_backlog_serve(wscast_fanout_t *f, wscast_subscription_t *s);

/*
 * For the files of this room: a subscription has been taken out, and its place
 * filled with the last one, or NULL.
 */
void wscast_backlog_removed(wscast_fanout_t *f, const wscast_subscription_t *s,
    wscast_subscription_t *moved);

/* For the files of this room: nobody is left who could want it. */
void wscast_backlog_drop(wscast_fanout_t *f, wscast_backlog_t *b);

/* For the files of this room: 1 if it agrees with its channel. */
int wscast_backlog_validate(const wscast_backlog_t *b);

/* 1 if all its structures agree, 0 if not.  For tests. */
int wscast_fanout_validate(const wscast_fanout_t *f);


#endif /* WSCAST_FANOUT_H */
