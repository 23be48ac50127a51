/*
 * token.h: a signed token (JWT, RFC 7519, as a compact JWS, RFC 7515) becomes
 * claims, or is refused.
 *
 * Audience: session (renewal), http/params (the handshake).
 *
 * Reasons are static texts for the client and for logs; none tells a byte of
 * the token or of a key.
 */

#ifndef WSCAST_TOKEN_H
#define WSCAST_TOKEN_H


#include "../base/base.h"
#include "grant.h"
#include "key.h"


#define WSCAST_TOKEN_MAX  (16 * 1024)   /* bytes; a longer one is not read */
#define WSCAST_SUB_MAX    1024          /* bytes of a user's name */
#define WSCAST_INFO_MAX   4096          /* bytes of what presence tells */


/*
 * What a token says about its client.  sub: empty, if there is none; valid
 * UTF-8 without control characters.  info: the raw JSON of its claim, byte for
 * byte; empty, if there is none.  exp and nbf are seconds since 1970, at most
 * 2^53; without has_exp the token does not expire.  Whoever takes grants over
 * leaves NULL.
 */

typedef struct {
    wscast_str_t        sub;
    wscast_str_t        info;
    uint64_t            exp;
    uint64_t            nbf;
    wscast_grants_t    *grants;         /* NULL: no claim wscast */
    unsigned            has_exp:1;
    unsigned            has_nbf:1;
} wscast_claims_t;


/*
 * Verifies a token at the time now; both times are in seconds, leeway is for
 * clocks that differ.  WSCAST_OK with *claims, for wscast_claims_free();
 * WSCAST_NOMEM; or WSCAST_ERROR with *reason, such as "token has expired".
 *
 * The claim wscast is an object; its members subscribe, publish, presence,
 * history and all are arrays of patterns, in which "*" stands for anything;
 * other members are passed over.  A header that names "crit" (RFC 7515,
 * 4.1.11), "zip" or an unencoded payload (RFC 7797) is refused, and so is a
 * member given twice of those that are looked at.
 */
wscast_status_t wscast_token_verify(const wscast_keys_t *keys,
    wscast_str_t token, uint64_t now, unsigned leeway,
    wscast_claims_t **claims, const char **reason);

void wscast_claims_free(wscast_claims_t *claims);


#endif /* WSCAST_TOKEN_H */
