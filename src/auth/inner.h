/*
 * inner.h: what a key is, among the files of this room: key.c (sets of them,
 * secrets and PEM), jwk.c (JWK and JWKS), signature.c (verifies).
 *
 * Audience: auth.
 */

#ifndef WSCAST_AUTH_INNER_H
#define WSCAST_AUTH_INNER_H


#include "key.h"

#include <openssl/evp.h>


typedef enum {
    WSCAST_ALG_HMAC = 0,
    WSCAST_ALG_RSA,
    WSCAST_ALG_PSS,
    WSCAST_ALG_EC,
    WSCAST_ALG_ED
} wscast_alg_e;


typedef struct {
    wscast_str_t          name;         /* RFC 7518, 3.1; RFC 8037, 3.1 */
    wscast_alg_e          kind;
    const EVP_MD       *(*digest)(void);    /* NULL: the algorithm's own */
    size_t                least;        /* bytes of a secret: those of the
                                           hash (RFC 7518, 3.2) */
} wscast_alg_t;


typedef struct {
    const wscast_alg_t   *alg;
    EVP_PKEY             *pkey;         /* NULL: a secret */
    unsigned char        *secret;
    size_t                secret_len;
    unsigned char        *kid;          /* NULL: it has none */
    size_t                kid_len;
} wscast_key_t;


struct wscast_keys_s {
    size_t                n;
    wscast_key_t          key[WSCAST_KEYS_MAX];
};


/*
 * A key that the set owns from now on; NULL with *reason: the set is full.  It
 * goes away with all that was added since, if wscast_keys_add() fails.
 */
wscast_key_t *wscast_keys_push(wscast_keys_t *keys, const wscast_alg_t *alg,
    const char **reason);

/* Gives a key its secret, copied, or its public key, taken over: if that is
 * good for the key's algorithm. */
wscast_status_t wscast_key_secret(wscast_key_t *key, wscast_str_t secret,
    const char **reason);
wscast_status_t wscast_key_public(wscast_key_t *key, EVP_PKEY *pkey,
    const char **reason);

/* jwk.c: the keys of a JWK or JWKS, as wscast_keys_add(). */
wscast_status_t wscast_jwks_add(wscast_keys_t *keys, const wscast_alg_t *alg,
    wscast_str_t json, const char **reason);


#endif /* WSCAST_AUTH_INNER_H */
