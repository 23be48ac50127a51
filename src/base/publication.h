/*
 * publication.h: what travels between workers and hosts.
 *
 * Audience: session, fanout's users, worker.  A publication is one allocation:
 * its strings lie behind the struct.  It is reference-counted (not atomically:
 * it never leaves its worker) and carries its memoised prepared frames, one
 * per variant, so that a broadcast is encoded once however many receive it.
 */

#ifndef WSCAST_PUBLICATION_H
#define WSCAST_PUBLICATION_H


#include "base.h"
#include "prepared.h"


typedef enum {
    WSCAST_PUB_MESSAGE = 0,
    WSCAST_PUB_JOIN,
    WSCAST_PUB_LEAVE,
    WSCAST_PUB_BROKEN,      /* of this host alone: messages before this position
                               have been missed for good */
    WSCAST_PUB_KINDS,
    WSCAST_PUB_STALE = WSCAST_PUB_KINDS     /* of this worker, in no envelope:
                               joins and leaves may have been missed */
} wscast_pub_kind_e;


#define WSCAST_PUB_BINARY    0x01   /* data came in a binary message */
#define WSCAST_PUB_JSON      0x02   /* data is known to be one JSON value */
#define WSCAST_PUB_POSITION  0x04   /* epoch and offset are set */
#define WSCAST_PUB_NO_ECHO   0x08   /* not for the client named in client */


/* The fields that everybody reads; strings are views. */

typedef struct {
    unsigned         kind;          /* wscast_pub_kind_e */
    unsigned         flags;         /* WSCAST_PUB_* */
    uint64_t         time;          /* ms since 1970, of the publisher's host */
    uint64_t         epoch;
    uint64_t         offset;
    wscast_str_t     channel;
    wscast_str_t     data;
    wscast_str_t     client;        /* id; empty: no client published it */
    wscast_str_t     user;          /* may be empty */
    wscast_str_t     exclude;       /* id of a client that must not get it */
    wscast_str_t     info;          /* JSON, of joins; else empty */
    wscast_str_t     key;           /* a repeat with it publishes nothing; of a
                                       publish, never of an envelope */
} wscast_pub_fields_t;


/* Encoded forms: one per dialect, times how it is packed. */

typedef enum {
    WSCAST_VARIANT_TEXT = 0,
    WSCAST_VARIANT_JSON,
    WSCAST_DIALECTS
} wscast_variant_e;


typedef enum {
    WSCAST_PLAIN = 0,
    WSCAST_PACKED,          /* deflated, with a window of 32 KB */
    WSCAST_PACKED_SMALL,    /* of 512 bytes */
    WSCAST_PACKINGS
} wscast_packing_e;


#define WSCAST_VARIANTS  (WSCAST_DIALECTS * WSCAST_PACKINGS)

#define wscast_variant(dialect, packing)                                      \
    ((dialect) + WSCAST_DIALECTS * (packing))


typedef struct {
    wscast_pub_fields_t   f;
    uint32_t              refs;
    wscast_prepared_t    *prepared[WSCAST_VARIANTS];    /* NULL: not yet */
} wscast_publication_t;


/* Copies all fields; one reference, the caller's.  NULL: no memory. */
wscast_publication_t *wscast_publication_create(const wscast_pub_fields_t *f);

static inline wscast_publication_t *
wscast_publication_ref(wscast_publication_t *p)
{
    p->refs++;
    return p;
}

/* The last release frees it and releases its prepared frames. */
void wscast_publication_release(wscast_publication_t *p);


#endif /* WSCAST_PUBLICATION_H */
