/*
 * session.h: one client's conversation: command => grant => publish,
 * subscribe or reply; publication => prepared frame.
 *
 * Audience: conn (feeds messages, sends frames), worker (provides the engine,
 * delivers).  Pure: time, sending and publishing come in as functions.
 *
 * Law: no function of this room frees the session but wscast_session_close(),
 * and no upward call may close it: finalize() only records and posts.
 */

#ifndef WSCAST_SESSION_H
#define WSCAST_SESSION_H


#include "../base/close.h"
#include "../base/list.h"
#include "../base/publication.h"
#include "../base/receipt.h"
#include "../dialect/dialect.h"
#include "../auth/token.h"
#include "../fanout/fanout.h"
#include "../wire/deflate.h"


#define WSCAST_UNANSWERED  256          /* publishes of one client under way */
#define WSCAST_ASKS        8            /* its questions under way */
#define WSCAST_ASK_BYTES   (256 * 1024) /* of an answer's items, about */


typedef struct wscast_session_s  wscast_session_t;


/* What the worker offers to the sessions of a hub. */

typedef struct {
    wscast_fanout_t                 *fanout;
    const wscast_rule_t             *rules;
    size_t                           nrules;
    const wscast_keys_t             *keys;      /* of tokens; or NULL */
    unsigned                         leeway;    /* s, of their times */
    wscast_deflate_t                *deflate;   /* of the process; or NULL */
    unsigned                         receipts;  /* 1: publish() may be answered
                                                   later */

    /*
     * Hands a publication to the bus.  WSCAST_OK: taken, the receipt's position
     * is set; WSCAST_MORE: the receipt will be called (only with receipts);
     * WSCAST_AGAIN: no room now, the waiter is listed and will be called; or a
     * reason: AWAY, TOO_BIG, NO_MEMORY.
     */
    wscast_status_t                (*publish)(void *ctx,
                                              const wscast_pub_fields_t *f,
                                              wscast_receipt_t *receipt,
                                              wscast_waiter_t *waiter);

    /*
     * Where a channel with history is: what is delivered from now on is beyond
     * it, or is to be left out.  WSCAST_OK, or WSCAST_MORE: not known.
     */
    wscast_status_t                (*position)(void *ctx, wscast_str_t channel,
                                               wscast_position_t *position);

    /* Asks what outlives a message; takes a question back. */
    void                           (*query)(void *ctx, wscast_query_t *q);
    void                           (*cancel)(void *ctx, wscast_query_t *q);

    /* A member leaves; lost 1: perhaps it comes back. */
    void                           (*leave)(void *ctx,
                                            const wscast_rule_t *rule,
                                            wscast_str_t channel,
                                            wscast_str_t client,
                                            unsigned lost);

    /* A subscription that had a position was resumed, or was not. */
    void                           (*recovered)(void *ctx, unsigned done);

    /* A message was packed: bytes before and after. */
    void                           (*packed)(void *ctx, size_t before,
                                             size_t after);

    uint64_t                       (*now)(void *ctx);   /* ms since 1970 */
    void                            *ctx;
} wscast_engine_t;


/* Of a location; lives as long as the configuration. */

typedef struct {
    const wscast_dialect_t          *dialect;
    wscast_heartbeat_t               heartbeat;
    size_t                           channel_length;    /* bytes */
    unsigned                         subscriptions;     /* at most */
    unsigned                         ping;              /* s, for welcome */
    int                              deflate_level;     /* 0: off */
    size_t                           deflate_min;       /* bytes worth it */
} wscast_session_conf_t;


/* What the handshake found out about a client; copied. */

typedef struct {
    char                             id[WSCAST_CLIENT_ID];
    wscast_str_t                     user;
    wscast_str_t                     info;      /* JSON, for presence */
    wscast_str_t                     welcome;
    const wscast_str_t              *channels;  /* valid names, no two alike */
    size_t                           nchannels;
    wscast_grants_t                 *grants;    /* or NULL */
    unsigned                         own_grants;    /* 1: the session frees */

    unsigned                         token;     /* 1: tokens are taken here */
    wscast_str_t                     sub;       /* of the token; or empty */
    wscast_grants_t                 *token_grants;  /* or NULL; the session's */
    uint64_t                         expires;   /* ms since 1970; 0: never */
    wscast_offer_t                   deflate;   /* what was agreed on */
} wscast_session_params_t;


/* What conn does for its session. */

typedef struct {
    /* queues a frame; takes a reference of its own */
    void                           (*send)(void *ctx, wscast_prepared_t *p);

    /* sends what is queued, at once if it can; more will not follow soon */
    void                           (*flush)(void *ctx);

    /* how many bytes may be queued now; when that has grown, conn calls
       wscast_session_drained() */
    size_t                         (*room)(void *ctx);

    /* ends the connection, later; the first reason counts */
    void                           (*finalize)(void *ctx,
                                               wscast_status_t reason);

    /* the session was blocked and is no more: feed it */
    void                           (*resume)(void *ctx);

    /* session->expires has changed */
    void                           (*expires)(void *ctx);
} wscast_session_handler_t;


struct wscast_session_s {
    /* what every delivery looks at: 64 bytes, the head */

    const wscast_session_conf_t     *conf;
    const wscast_session_handler_t  *handler;
    void                            *ctx;           /* of handler */
    wscast_prepared_t               *welcome;       /* not sent yet, or NULL */
    struct wscast_entry_s           *entry;         /* a subscribe under way */
    wscast_publication_t            *held;          /* waits for room */
    uint32_t                         nanswers;
    uint32_t                         nasks;
    uint32_t                         pending;       /* subscriptions */
    unsigned                         packing:2;     /* wscast_packing_e */
    unsigned                         own_grants:1;
    unsigned                         token:1;
    unsigned                         resuming:1;    /* it was blocked */
    unsigned                         speaking:1;    /* is being fed */

    const wscast_engine_t           *engine;
    wscast_list_t                    subscriptions;
    wscast_list_t                    answers;       /* publishes under way */
    wscast_list_t                    asks;          /* questions under way */
    wscast_waiter_t                  waiter;        /* of what is held */
    wscast_grants_t                 *grants;        /* the location's */
    wscast_grants_t                 *token_grants;
    unsigned char                   *id;            /* of what is held; or
                                                       NULL */
    uint32_t                         id_len;
    uint32_t                         nsubscriptions;
    unsigned char                   *strings;       /* user, channel, ... */
    wscast_str_t                     user;
    wscast_str_t                     info;
    wscast_str_t                     sub;
    wscast_str_t                     channel;       /* the default; or empty */
    uint64_t                         expires;       /* ms; 0: never */
    char                             client[WSCAST_CLIENT_ID];
    char                             known[WSCAST_CLIENT_ID];   /* to others;
                                                       zeros: as client */
};


/* Bytes of a session that a delivery looks at. */
#define WSCAST_SESSION_HEAD  offsetof(wscast_session_t, engine)


/*
 * Begins the conversation: joins the channels of the location and sends the
 * welcome once they are all live.  WSCAST_OK or WSCAST_NOMEM; in both cases
 * wscast_session_close() must follow one day.  The grants of params are taken
 * over.
 */
wscast_status_t wscast_session_open(wscast_session_t *s,
    const wscast_session_conf_t *conf, const wscast_engine_t *engine,
    const wscast_session_handler_t *handler, void *ctx,
    const wscast_session_params_t *params);

/*
 * Takes one data message (its bytes may be changed).  WSCAST_OK, or the reason
 * for which the connection must end.  Not to be called while
 * wscast_session_blocked().
 */
wscast_status_t wscast_session_message(wscast_session_t *s, unsigned opcode,
    unsigned char *data, size_t len);

/*
 * 1 while the next message must wait: the welcome is not out yet, a
 * subscription is on its way, the bus has no room, or too much is unanswered.
 * resume() tells when it is over.
 */
int wscast_session_blocked(const wscast_session_t *s);

/* The channel of a pending subscription has become live. */
void wscast_session_joined(wscast_session_t *s, wscast_subscription_t *sub);

/*
 * Sends a publication to the client of a subscription, unless it is excluded
 * from it, knows it already, may not see it, or has not been told yet that it
 * is on the channel.
 */
void wscast_session_deliver(wscast_subscription_t *sub,
    wscast_publication_t *pub);

/* Nothing more is to be delivered for now: it need not wait. */
void wscast_session_flush(wscast_session_t *s);

/* There is more room for frames: goes on with what was missed. */
void wscast_session_drained(wscast_session_t *s);

/* Tells the store once more that this subscription's client is a member. */
void wscast_session_rejoin(wscast_subscription_t *sub);

/* Tells the client that it will be asked to move (dialects that can). */
void wscast_session_disconnect(wscast_session_t *s);

/*
 * The conversation is over, though the connection is not yet: leaves all
 * channels.  lost 1: the client may come back to them.
 */
void wscast_session_end(wscast_session_t *s, unsigned lost);

/* Leaves all channels and frees everything but the struct itself. */
void wscast_session_close(wscast_session_t *s);


#endif /* WSCAST_SESSION_H */
