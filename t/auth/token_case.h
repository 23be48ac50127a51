/*
 * token_case.h: makes tokens, and the sets of keys that verify them.
 *
 * Audience: t/auth/token*.c and key.c, which include it first.
 */

#ifndef WSCAST_T_TOKEN_CASE_H
#define WSCAST_T_TOKEN_CASE_H


#include "../lib/unit.h"

#include "../../src/base/utf8.c"
#include "../../src/base/pattern.c"
#include "../../src/base/prepared.c"
#include "../../src/base/quote.c"
#include "../../src/base/scan.c"
#include "../../src/auth/base64url.c"
#include "../../src/auth/grant.c"
#include "../../src/auth/key.c"
#include "../../src/auth/jwk.c"
#include "../../src/auth/signature.c"
#include "../../src/auth/token.c"

#include <openssl/bio.h>


#define NOW     1700000000
#define SECRET  "a secret of thirty-two bytes, or more"


typedef struct {
    size_t    len;
    char      data[128 * 1024];
} text_t;


static wscast_str_t
s(const char *text)
{
    return wscast_str(text, strlen(text));
}


static void
put64(text_t *t, const void *data, size_t len)
{
    size_t                i;
    uint32_t              word;
    unsigned              bits;
    const unsigned char  *p;

    static const char  letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    p = data;
    word = 0;
    bits = 0;

    for (i = 0; i < len; i++) {
        word = (word << 8 | p[i]) & 0xffff;

        for (bits += 8; bits >= 6; bits -= 6) {
            t->data[t->len++] = letters[word >> (bits - 6) & 63];
        }
    }

    if (bits) {
        t->data[t->len++] = letters[word << (6 - bits) & 63];
    }
}


static size_t
sign_secret(text_t *t, const char *alg, const char *secret, size_t len,
    unsigned char *out)
{
    unsigned  n;

    HMAC(strcmp(alg, "HS512") == 0 ? EVP_sha512()
         : strcmp(alg, "HS384") == 0 ? EVP_sha384() : EVP_sha256(),
         secret, (int) len, (unsigned char *) t->data, t->len, out, &n);

    return n;
}


static size_t
sign_private(text_t *t, const char *alg, EVP_PKEY *pkey, unsigned char *out)
{
    size_t                n;
    ECDSA_SIG            *sig;
    EVP_MD_CTX           *md;
    EVP_PKEY_CTX         *ctx;
    unsigned char         der[1024];
    const unsigned char  *p;

    md = EVP_MD_CTX_new();
    n = sizeof(der);

    if (EVP_DigestSignInit(md, &ctx, strcmp(alg, "EdDSA") == 0
                                     ? NULL : EVP_sha256(), NULL, pkey)
        != 1)
    {
        abort();
    }

    if (strcmp(alg, "PS256") == 0) {
        EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST);
    }

    if (EVP_DigestSign(md, der, &n, (unsigned char *) t->data, t->len) != 1) {
        abort();
    }

    EVP_MD_CTX_free(md);

    if (strcmp(alg, "ES256") != 0) {
        memcpy(out, der, n);
        return n;
    }

    p = der;
    sig = d2i_ECDSA_SIG(NULL, &p, (long) n);
    BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32);
    ECDSA_SIG_free(sig);

    return 64;
}


/* pkey NULL: with SECRET. */

static wscast_str_t
token_of(const char *alg, EVP_PKEY *pkey, const char *header, const char *body)
{
    size_t          n;
    unsigned char   signature[1024];
    static text_t   t;

    t.len = 0;
    put64(&t, header, strlen(header));
    t.data[t.len++] = '.';
    put64(&t, body, strlen(body));

    n = pkey ? sign_private(&t, alg, pkey, signature)
             : sign_secret(&t, alg, SECRET, strlen(SECRET), signature);

    t.data[t.len++] = '.';
    put64(&t, signature, n);

    return wscast_str(t.data, t.len);
}


#define HS256_HEADER  "{\"alg\":\"HS256\"}"

#define hs256(body)  token_of("HS256", NULL, HS256_HEADER, body)


static wscast_keys_t *
keys_of(const char *alg, const char *file)
{
    const char     *reason;
    wscast_keys_t  *keys;

    keys = wscast_keys_create();

    if (wscast_keys_add(keys, s(alg), s(file), &reason) != WSCAST_OK) {
        note("%s: the file %s", alg, reason);
        wscast_keys_free(keys);
        return NULL;
    }

    return keys;
}


/* The reason for which the token is refused; NULL: it is not. */

static const char *
refused(const wscast_keys_t *keys, wscast_str_t token)
{
    const char       *reason;
    unsigned char    *p;
    wscast_status_t   rc;
    wscast_claims_t  *claims;

    p = token.len <= UNIT_GUARD_SIZE ? unit_guard(token.len) : NULL;

    if (token.len) {
        memcpy(p, token.data, token.len);
    }

    reason = "no reason";
    rc = wscast_token_verify(keys, wscast_str(p, token.len), NOW, 5, &claims,
                             &reason);

    if ((rc == WSCAST_OK) != (claims != NULL)) {
        return "claims without WSCAST_OK";
    }

    wscast_claims_free(claims);

    return rc == WSCAST_OK ? NULL : reason;
}


#endif /* WSCAST_T_TOKEN_CASE_H */
