#include "inner.h"
#include "../base/scan.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>


#define WSCAST_RSA_BITS  2048       /* at least; RFC 7518, 3.3 */


static const wscast_alg_t *wscast_alg_find(wscast_str_t name);
static wscast_status_t wscast_keys_read(wscast_keys_t *keys,
    const wscast_alg_t *alg, wscast_str_t bytes, const char **reason);
static int wscast_key_has(wscast_str_t bytes, const char *word);
static wscast_status_t wscast_key_pem(wscast_key_t *key, wscast_str_t pem,
    const char **reason);
static EVP_PKEY *wscast_pem_public(BIO *bio);
static int wscast_pem_password(char *buf, int size, int rwflag, void *data);
static const char *wscast_key_unfit(const wscast_alg_t *alg, EVP_PKEY *pkey);
static const char *wscast_rsa_unfit(EVP_PKEY *pkey);
static void wscast_key_done(wscast_key_t *key);


static const wscast_alg_t  wscast_algs[] = {
    { wscast_string("HS256"), WSCAST_ALG_HMAC, EVP_sha256, 32 },
    { wscast_string("HS384"), WSCAST_ALG_HMAC, EVP_sha384, 48 },
    { wscast_string("HS512"), WSCAST_ALG_HMAC, EVP_sha512, 64 },
    { wscast_string("RS256"), WSCAST_ALG_RSA, EVP_sha256, 0 },
    { wscast_string("PS256"), WSCAST_ALG_PSS, EVP_sha256, 0 },
    { wscast_string("ES256"), WSCAST_ALG_EC, EVP_sha256, 0 },
    { wscast_string("EdDSA"), WSCAST_ALG_ED, NULL, 0 }
};


static const wscast_alg_t *
wscast_alg_find(wscast_str_t name)
{
    size_t  i;

    for (i = 0; i < sizeof(wscast_algs) / sizeof(wscast_algs[0]); i++) {
        if (wscast_str_eq(name, wscast_algs[i].name)) {
            return &wscast_algs[i];
        }
    }

    return NULL;
}


int
wscast_key_alg_known(wscast_str_t alg)
{
    return wscast_alg_find(alg) != NULL;
}


wscast_keys_t *
wscast_keys_create(void)
{
    return wscast_zalloc(sizeof(wscast_keys_t));
}


void
wscast_keys_free(wscast_keys_t *keys)
{
    if (keys == NULL) {
        return;
    }

    while (keys->n) {
        wscast_key_done(&keys->key[--keys->n]);
    }

    wscast_free(keys);
}


static void
wscast_key_done(wscast_key_t *key)
{
    EVP_PKEY_free(key->pkey);

    if (key->secret) {
        OPENSSL_cleanse(key->secret, key->secret_len);
        wscast_free(key->secret);
    }

    wscast_free(key->kid);
    memset(key, 0, sizeof(wscast_key_t));
}


wscast_status_t
wscast_keys_add(wscast_keys_t *keys, wscast_str_t alg, wscast_str_t bytes,
    const char **reason)
{
    size_t               n;
    wscast_status_t      rc;
    const wscast_alg_t  *a;

    a = wscast_alg_find(alg);

    if (a == NULL) {
        *reason = "is for no known algorithm: use " WSCAST_KEY_ALGS;
        return WSCAST_ERROR;
    }

    n = keys->n;
    rc = wscast_keys_read(keys, a, bytes, reason);

    if (rc != WSCAST_OK) {
        while (keys->n > n) {
            wscast_key_done(&keys->key[--keys->n]);
        }
    }

    /* what OpenSSL did not like must not be found by its next user, nginx */

    ERR_clear_error();

    return rc;
}


static wscast_status_t
wscast_keys_read(wscast_keys_t *keys, const wscast_alg_t *alg,
    wscast_str_t bytes, const char **reason)
{
    int            pem;
    wscast_str_t   json;
    wscast_key_t  *key;

    while (bytes.len && (bytes.data[bytes.len - 1] == '\n'
                         || bytes.data[bytes.len - 1] == '\r'))
    {
        bytes.len--;
    }

    if (bytes.len == 0) {
        *reason = "is empty: put the key into it";
        return WSCAST_ERROR;
    }

    /* half a JWKS must not be taken for a secret that begins with a "{" */

    json = bytes;

    while (json.len && memchr(" \t\r\n", json.data[0], 4)) {
        json.data++;
        json.len--;
    }

    if (json.len && json.data[0] == '{'
        && (wscast_json_valid(json) || wscast_key_has(json, "\"kty\"")
            || wscast_key_has(json, "\"keys\"")))
    {
        return wscast_jwks_add(keys, alg, json, reason);
    }

    pem = wscast_key_has(bytes, "-----BEGIN ");
    key = wscast_keys_push(keys, alg, reason);

    if (key == NULL) {
        return WSCAST_ERROR;
    }

    if (alg->kind != WSCAST_ALG_HMAC) {

        if (!pem) {
            *reason = "is neither a PEM nor a JWKS: put the public key into "
                      "it";
            return WSCAST_ERROR;
        }

        return wscast_key_pem(key, bytes, reason);
    }

    /* a public key as a secret would let everybody sign */

    if (pem) {
        *reason = "is a PEM, but HS256, HS384 and HS512 need a secret";
        return WSCAST_ERROR;
    }

    return wscast_key_secret(key, bytes, reason);
}


static int
wscast_key_has(wscast_str_t bytes, const char *word)
{
    size_t  i, len;

    len = strlen(word);

    for (i = 0; i + len <= bytes.len; i++) {
        if (memcmp(bytes.data + i, word, len) == 0) {
            return 1;
        }
    }

    return 0;
}


wscast_key_t *
wscast_keys_push(wscast_keys_t *keys, const wscast_alg_t *alg,
    const char **reason)
{
    wscast_key_t  *key;

    if (keys->n == WSCAST_KEYS_MAX) {
        *reason = "is one too many: a hub takes 64 keys";
        return NULL;
    }

    key = &keys->key[keys->n++];
    key->alg = alg;

    return key;
}


wscast_status_t
wscast_key_secret(wscast_key_t *key, wscast_str_t secret,
    const char **reason)
{
    if (secret.len < key->alg->least) {
        *reason = (key->alg->least == 32)
                  ? "is too short a secret: HS256 needs 32 bytes or more"
                  : (key->alg->least == 48)
                  ? "is too short a secret: HS384 needs 48 bytes or more"
                  : "is too short a secret: HS512 needs 64 bytes or more";
        return WSCAST_ERROR;
    }

    key->secret = wscast_alloc(secret.len);

    if (key->secret == NULL) {
        return WSCAST_NOMEM;
    }

    memcpy(key->secret, secret.data, secret.len);
    key->secret_len = secret.len;

    return WSCAST_OK;
}


wscast_status_t
wscast_key_public(wscast_key_t *key, EVP_PKEY *pkey, const char **reason)
{
    key->pkey = pkey;
    *reason = wscast_key_unfit(key->alg, pkey);

    return *reason ? WSCAST_ERROR : WSCAST_OK;
}


static wscast_status_t
wscast_key_pem(wscast_key_t *key, wscast_str_t pem, const char **reason)
{
    BIO       *bio;
    EVP_PKEY  *pkey;

    if (wscast_key_has(pem, "PRIVATE KEY-----")) {
        *reason = "has a private key, which belongs to those who sign: make "
                  "the public one of it with \"openssl pkey -pubout\"";
        return WSCAST_ERROR;
    }

    if (pem.len > 1024 * 1024) {
        *reason = "is too large for a key";
        return WSCAST_ERROR;
    }

    bio = BIO_new_mem_buf(pem.data, (int) pem.len);

    if (bio == NULL) {
        return WSCAST_NOMEM;
    }

    pkey = wscast_pem_public(bio);

    BIO_free(bio);

    if (pkey == NULL) {
        *reason = "has no public key and no certificate that OpenSSL can read";
        return WSCAST_ERROR;
    }

    return wscast_key_public(key, pkey, reason);
}


static EVP_PKEY *
wscast_pem_public(BIO *bio)
{
    X509      *x509;
    EVP_PKEY  *pkey;

    pkey = PEM_read_bio_PUBKEY(bio, NULL, wscast_pem_password, NULL);

    if (pkey || BIO_reset(bio) != 1) {
        return pkey;
    }

    x509 = PEM_read_bio_X509(bio, NULL, wscast_pem_password, NULL);

    if (x509) {
        pkey = X509_get_pubkey(x509);
        X509_free(x509);
    }

    return pkey;
}


/* Else OpenSSL would ask at the terminal. */

static int
wscast_pem_password(char *buf, int size, int rwflag, void *data)
{
    (void) buf;
    (void) size;
    (void) rwflag;
    (void) data;

    return -1;
}


static const char *
wscast_key_unfit(const wscast_alg_t *alg, EVP_PKEY *pkey)
{
    char    curve[32];
    size_t  len;

    switch (alg->kind) {

    case WSCAST_ALG_RSA:
        if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_RSA) {
            return "has no RSA key, which RS256 needs";
        }

        return wscast_rsa_unfit(pkey);

    case WSCAST_ALG_PSS:
        if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_RSA
            && EVP_PKEY_get_base_id(pkey) != EVP_PKEY_RSA_PSS)
        {
            return "has no RSA key, which PS256 needs";
        }

        return wscast_rsa_unfit(pkey);

    case WSCAST_ALG_EC:
        if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_EC
            || EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME,
                                              curve, sizeof(curve), &len)
               != 1
            || strcmp(curve, "prime256v1") != 0)
        {
            return "has no EC key of the curve P-256, which ES256 needs";
        }

        return NULL;

    case WSCAST_ALG_ED:
        if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_ED25519
            && EVP_PKEY_get_base_id(pkey) != EVP_PKEY_ED448)
        {
            return "has no Ed25519 or Ed448 key, which EdDSA needs";
        }

        return NULL;

    default:
        return "is a public key, but HS256, HS384 and HS512 need a secret";
    }
}


static const char *
wscast_rsa_unfit(EVP_PKEY *pkey)
{
    int      odd;
    BIGNUM  *e;

    if (EVP_PKEY_get_bits(pkey) < WSCAST_RSA_BITS) {
        return "has an RSA key of less than 2048 bits: make a longer one";
    }

    /* with the exponent 1 everything is signed */

    e = NULL;
    odd = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1
          && BN_is_odd(e) && BN_num_bits(e) > 1;
    BN_free(e);

    return odd ? NULL : "has an RSA key whose exponent is no odd number "
                        "from 3 on";
}
