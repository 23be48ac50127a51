/*
 * grant.h: may this client do this on this channel?
 *
 * Audience: session (asks), http/upgrade (builds the list at the handshake).
 */

#ifndef WSCAST_GRANT_H
#define WSCAST_GRANT_H


#include "../base/base.h"
#include "../base/pattern.h"


#define WSCAST_MAY_SUBSCRIBE  0x01
#define WSCAST_MAY_PUBLISH    0x02
#define WSCAST_MAY_PRESENCE   0x04
#define WSCAST_MAY_HISTORY    0x08
#define WSCAST_MAY_ALL        0x0f


typedef struct {
    unsigned        ops;            /* WSCAST_MAY_* */
    wscast_str_t    pattern;        /* compiled, see base/pattern.h */
} wscast_grant_t;


/*
 * A list of grants in one allocation, patterns included; NULL stands for no
 * grants at all.
 */

typedef struct {
    size_t            n;
    wscast_grant_t    grant[];
} wscast_grants_t;


/* The op of a word of wscast_allow ("subscribe", ..., "all"); 0: no such. */
unsigned wscast_grant_op(wscast_str_t word);

/* Copies n grants into one allocation; NULL: no memory. */
wscast_grants_t *wscast_grants_create(const wscast_grant_t *g, size_t n);

void wscast_grants_free(wscast_grants_t *g);

/* 1 if one of the grants allows all the ops asked for on this channel. */
int wscast_granted(const wscast_grants_t *g, unsigned op,
    wscast_str_t channel);


#endif /* WSCAST_GRANT_H */
