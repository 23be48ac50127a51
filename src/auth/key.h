/*
 * key.h: the keys with which a hub verifies the signatures of tokens
 * (RFC 7515 to 7518, 8037).
 *
 * Audience: http (fills a set while the configuration is read), auth/token.
 *
 * Law: the algorithm belongs to the key, never to the word of a token: a key
 * that was added for RS256 verifies RS256 and nothing else.  A set is not
 * changed once it is in use.  No text of this room tells a byte of a key.
 */

#ifndef WSCAST_KEY_H
#define WSCAST_KEY_H


#include "../base/base.h"


#define WSCAST_KEYS_MAX  64         /* in one set: a token without a kid may
                                       have to be tried with all of them */


typedef struct wscast_keys_s  wscast_keys_t;


/* An empty set; NULL: no memory. */
wscast_keys_t *wscast_keys_create(void);

/*
 * Adds what a file holds as keys of algorithm alg: HS256, HS384, HS512, RS256,
 * PS256, ES256 or EdDSA.  The bytes are a JWK or a JWKS (RFC 7517), of which
 * the keys for other algorithms and uses are passed over; or, for HS*, the
 * secret as it is, less the newlines at its end; or a PEM with a public key or
 * a certificate.
 *
 * WSCAST_OK, WSCAST_NOMEM, or WSCAST_ERROR with *reason, which completes "the
 * file ..." and tells the cure; then nothing was added.
 */
wscast_status_t wscast_keys_add(wscast_keys_t *keys, wscast_str_t alg,
    wscast_str_t bytes, const char **reason);

/* The algorithms that wscast_keys_add() knows, for messages. */
#define WSCAST_KEY_ALGS                                                       \
    "HS256, HS384, HS512, RS256, PS256, ES256 or EdDSA"

/* 1 if alg is one of them. */
int wscast_key_alg_known(wscast_str_t alg);

/*
 * Verifies the signature of input with the keys of this alg that have this
 * kid; those without a kid of their own are tried with any.  kid.data NULL:
 * the token names none, all keys of the alg are tried.  WSCAST_OK, or
 * WSCAST_ERROR with *reason.
 */
wscast_status_t wscast_keys_verify(const wscast_keys_t *keys,
    wscast_str_t alg, wscast_str_t kid, wscast_str_t input,
    wscast_str_t signature, const char **reason);

void wscast_keys_free(wscast_keys_t *keys);


#endif /* WSCAST_KEY_H */
