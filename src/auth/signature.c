#include "inner.h"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>


#define WSCAST_ES256_LEN  64        /* r and s; RFC 7518, 3.4 */
#define WSCAST_ES256_DER  72        /* the same in ASN.1, at most */


static int wscast_key_verify(const wscast_key_t *key, wscast_str_t input,
    wscast_str_t signature);
static int wscast_verify_hmac(const wscast_key_t *key, wscast_str_t input,
    wscast_str_t signature);
static int wscast_verify_ecdsa(const wscast_key_t *key, wscast_str_t input,
    wscast_str_t signature);
static int wscast_verify_public(const wscast_key_t *key, wscast_str_t input,
    wscast_str_t signature);


wscast_status_t
wscast_keys_verify(const wscast_keys_t *keys, wscast_str_t alg,
    wscast_str_t kid, wscast_str_t input, wscast_str_t signature,
    const char **reason)
{
    int                  good, tried;
    size_t               i;
    const wscast_key_t  *key;

    good = 0;
    tried = 0;
    *reason = "token is signed with an algorithm that no key here has";

    for (i = 0; i < keys->n && !good; i++) {
        key = &keys->key[i];

        if (!wscast_str_eq(alg, key->alg->name)) {
            continue;
        }

        if (kid.data && key->kid
            && !wscast_str_eq(kid, wscast_str(key->kid, key->kid_len)))
        {
            if (!tried) {
                *reason = "token names a key (kid) that is not known here";
            }

            continue;
        }

        tried = 1;
        good = wscast_key_verify(key, input, signature);
        *reason = "signature of the token does not match";
    }

    /* what OpenSSL did not like must not be found by its next user, nginx */

    ERR_clear_error();

    return good ? WSCAST_OK : WSCAST_ERROR;
}


static int
wscast_key_verify(const wscast_key_t *key, wscast_str_t input,
    wscast_str_t signature)
{
    switch (key->alg->kind) {

    case WSCAST_ALG_HMAC:
        return wscast_verify_hmac(key, input, signature);

    case WSCAST_ALG_EC:
        return wscast_verify_ecdsa(key, input, signature);

    default:
        return wscast_verify_public(key, input, signature);
    }
}


static int
wscast_verify_hmac(const wscast_key_t *key, wscast_str_t input,
    wscast_str_t signature)
{
    int            good;
    unsigned       len;
    unsigned char  mac[EVP_MAX_MD_SIZE];

    if (HMAC(key->alg->digest(), key->secret, (int) key->secret_len,
             input.data, input.len, mac, &len)
        == NULL)
    {
        return 0;
    }

    good = signature.len == len
           && CRYPTO_memcmp(mac, signature.data, len) == 0;

    OPENSSL_cleanse(mac, sizeof(mac));

    return good;
}


/* JOSE has r and s side by side, OpenSSL wants them in ASN.1. */

static int
wscast_verify_ecdsa(const wscast_key_t *key, wscast_str_t input,
    wscast_str_t signature)
{
    int             len;
    BIGNUM         *r, *s;
    ECDSA_SIG      *sig;
    unsigned char   der[WSCAST_ES256_DER], *p;

    if (signature.len != WSCAST_ES256_LEN) {
        return 0;
    }

    r = BN_bin2bn(signature.data, WSCAST_ES256_LEN / 2, NULL);
    s = BN_bin2bn(signature.data + WSCAST_ES256_LEN / 2, WSCAST_ES256_LEN / 2,
                  NULL);
    sig = ECDSA_SIG_new();
    len = 0;

    if (r && s && sig && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = NULL;                           /* they are sig's now */
        s = NULL;
        len = i2d_ECDSA_SIG(sig, NULL);
    }

    if (len > 0 && (size_t) len <= sizeof(der)) {
        p = der;
        len = i2d_ECDSA_SIG(sig, &p);

    } else {
        len = 0;
    }

    ECDSA_SIG_free(sig);
    BN_free(r);
    BN_free(s);

    return len > 0
           && wscast_verify_public(key, input, wscast_str(der, (size_t) len));
}


static int
wscast_verify_public(const wscast_key_t *key, wscast_str_t input,
    wscast_str_t signature)
{
    int            good;
    EVP_MD_CTX    *md;
    EVP_PKEY_CTX  *ctx;

    md = EVP_MD_CTX_new();

    if (md == NULL) {
        return 0;
    }

    good = EVP_DigestVerifyInit(md, &ctx,
                                key->alg->digest ? key->alg->digest() : NULL,
                                NULL, key->pkey)
           == 1;

    /* RFC 7518, 3.5: the salt is as long as the hash */

    if (good && key->alg->kind == WSCAST_ALG_PSS) {
        good = EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1
               && EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST)
                  == 1;
    }

    good = good
           && EVP_DigestVerify(md, signature.data, signature.len, input.data,
                               input.len)
              == 1;

    EVP_MD_CTX_free(md);

    return good;
}
