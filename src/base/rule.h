/*
 * rule.h: what nginx.conf says about a channel: `channel PATTERN { }`.
 *
 * Audience: session, store, worker, http.
 */

#ifndef WSCAST_RULE_H
#define WSCAST_RULE_H


#include "base.h"


#define WSCAST_GRACE  3000      /* ms, the default */


typedef struct {
    wscast_str_t     pattern;       /* compiled, see pattern.h */
    uint32_t         history;       /* messages kept at most; 0: none */
    uint64_t         ttl;           /* of a message, ms */
    uint32_t         grace;         /* ms that a lost member is waited for */
    unsigned         presence;
    unsigned         no_echo;
} wscast_rule_t;


/* The first rule that matches the channel; NULL: none does. */
const wscast_rule_t *wscast_rule_find(const wscast_rule_t *rules, size_t n,
    wscast_str_t channel);


#endif /* WSCAST_RULE_H */
