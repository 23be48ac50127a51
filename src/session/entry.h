/*
 * entry.h: a subscribe on its way.
 *
 * Audience: entry.c (the channel must be live, and the client a member),
 * recover.c (what it has missed, and what is delivered meanwhile).
 */

#ifndef WSCAST_SESSION_ENTRY_H
#define WSCAST_SESSION_ENTRY_H


#include "inner.h"
#include "late.h"


/* Named by what is awaited. */

typedef enum {
    WSCAST_ENTRY_LIVE = 0,          /* the bus to deliver */
    WSCAST_ENTRY_MEMBER,            /* the store to have the member */
    WSCAST_ENTRY_PAGE,              /* messages from history */
    WSCAST_ENTRY_ROOM               /* the client to read them */
} wscast_entry_e;


typedef struct wscast_entry_s  wscast_entry_t;

struct wscast_entry_s {
    wscast_query_t           query;
    wscast_session_t        *session;
    wscast_subscription_t   *sub;
    const wscast_rule_t     *rule;
    wscast_entry_e           state;

    wscast_position_t        since;
    uint64_t                 after;         /* all up to here is done */
    uint64_t                 upto;          /* where live messages begin */
    wscast_list_t            missed;        /* wscast_late_t, to be sent */
    wscast_list_t            held;          /* the same, live ones */
    size_t                   held_bytes;    /* at most WSCAST_ASK_BYTES */
    uint32_t                 unkept;        /* of held, in no history */

    char                     former[WSCAST_CLIENT_ID];
    unsigned                 has_since:1;
    unsigned                 has_former:1;
    unsigned                 ahead:1;       /* since is beyond this host */
    unsigned                 asking:1;      /* query is under way */
    unsigned                 inside:1;      /* a call of query() */
    unsigned                 answered:1;
    unsigned                 broken:1;      /* something is missing */
    unsigned                 overflow:1;    /* what was held was dropped */
    unsigned                 nomem:1;

    size_t                   id_len;
    unsigned char            id[];
};


/* entry.c */

/* The answer to subscribe; after it, that continuity was broken. */
wscast_status_t wscast_entry_answer(wscast_entry_t *e,
    wscast_recovery_e recovery);

/* Live messages go on; frees e. */
void wscast_entry_end(wscast_entry_t *e);


/* recover.c */

/* Sends and reads in turns until live messages can go on.  May free e. */
void wscast_entry_proceed(wscast_entry_t *e);

/* Asks for the messages after e->after; the answer goes on by itself. */
void wscast_entry_page(wscast_entry_t *e);


#endif /* WSCAST_SESSION_ENTRY_H */
