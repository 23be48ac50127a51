/*
 * query.h: a question to what outlives a message, and its answer.
 *
 * Audience: session and http (ask), store (answers).  A place in a channel, a
 * member of it, and the struct that waits for an answer.
 */

#ifndef WSCAST_QUERY_H
#define WSCAST_QUERY_H


#include "list.h"
#include "publication.h"
#include "rule.h"


#define WSCAST_CLIENT_ID   16       /* bytes of a client's id */


/*
 * Where a channel is.  Offsets count its messages from 1 on; the epoch is
 * random, never 0, and changes when the count was lost.
 */

typedef struct {
    uint64_t         epoch;
    uint64_t         offset;
} wscast_position_t;


/* Who is on a channel; views. */

typedef struct {
    wscast_str_t     client;        /* the id under which the others know it */
    wscast_str_t     user;          /* may be empty */
    wscast_str_t     info;          /* JSON, may be empty */
} wscast_member_t;


typedef enum {
    WSCAST_QUERY_HISTORY = 0,   /* messages in (after, upto] */
    WSCAST_QUERY_FORGET,        /* drops the messages, keeps the position */
    WSCAST_QUERY_PRESENCE,      /* members, in the order of joining */
    WSCAST_QUERY_JOIN           /* becomes a member, or goes on being one */
} wscast_query_e;


typedef struct wscast_query_s  wscast_query_t;

struct wscast_query_s {
    wscast_list_t         link;         /* the store's, until done() */
    wscast_query_e        type;
    const wscast_rule_t  *rule;         /* of the channel */
    wscast_str_t          channel;      /* all views of the question must live
                                           until done() */

    /* HISTORY */
    uint64_t              after;        /* exclusive; 0: from the oldest */
    uint64_t              upto;         /* inclusive; 0: to the newest */
    unsigned              newest;       /* 1: of too many the newest, 0: the
                                           oldest are answered */
    uint32_t              limit;        /* items; also PRESENCE */
    size_t                bytes;        /* of items, about */

    /* PRESENCE */
    uint64_t              cursor;       /* of the page before; 0: the first */

    /* JOIN */
    wscast_member_t       member;
    wscast_str_t          former;       /* client's id before; or empty */

    /*
     * The answer.  item() is called for each of them, in order, with views that
     * die when it returns; then done(), exactly once, possibly before the
     * question has returned.  WSCAST_OK, WSCAST_CLOSE_AWAY or _NO_MEMORY.
     */
    wscast_position_t     position;     /* HISTORY: the channel's; 0, 0: it is
                                           not known */
    unsigned              more;         /* there are items beyond limit */
    uint64_t              next;         /* PRESENCE: the cursor for them */
    uint64_t              total;        /* PRESENCE: members there are */
    char                  known[WSCAST_CLIENT_ID];  /* JOIN: as the others know
                                                       this member */

    void                (*message)(wscast_query_t *q,
                                   const wscast_pub_fields_t *f);
    void                (*found)(wscast_query_t *q, const wscast_member_t *m);
    void                (*done)(wscast_query_t *q, wscast_status_t status);
};


#endif /* WSCAST_QUERY_H */
