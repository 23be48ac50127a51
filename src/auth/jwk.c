#include "inner.h"
#include "base64url.h"
#include "../base/scan.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/params.h>


/* RFC 7517, 4 and RFC 7518, 6: the members of a key that are looked at. */

typedef enum {
    JWK_KTY = 0,
    JWK_ALG,
    JWK_USE,
    JWK_OPS,
    JWK_KID,
    JWK_CRV,
    JWK_N,
    JWK_E,
    JWK_X,
    JWK_Y,
    JWK_K,
    JWK_MEMBERS
} wscast_jwk_e;


/* Decoded numbers of a key, all in one scratch. */

typedef struct {
    unsigned char     *data;
    size_t             used;
} wscast_jwk_scratch_t;


static wscast_status_t wscast_jwk_add(wscast_keys_t *keys,
    const wscast_alg_t *alg, wscast_str_t json, const char **reason);
static int wscast_jwk_serves(const wscast_json_member_t *m,
    const wscast_alg_t *alg);
static int wscast_jwk_kind(const wscast_json_member_t *m,
    const wscast_alg_t *alg);
static wscast_status_t wscast_jwk_kid(wscast_key_t *key, wscast_str_t raw,
    const char **reason);
static wscast_status_t wscast_jwk_value(wscast_key_t *key,
    const wscast_json_member_t *m, wscast_jwk_scratch_t *scratch,
    const char **reason);
static EVP_PKEY *wscast_jwk_rsa(const wscast_json_member_t *m,
    wscast_jwk_scratch_t *scratch);
static EVP_PKEY *wscast_jwk_ec(const wscast_json_member_t *m,
    wscast_jwk_scratch_t *scratch);
static EVP_PKEY *wscast_jwk_ed(const wscast_json_member_t *m,
    wscast_jwk_scratch_t *scratch);
static EVP_PKEY *wscast_jwk_pkey(const char *type, const OSSL_PARAM *params);
static wscast_str_t wscast_jwk_number(wscast_str_t raw,
    wscast_jwk_scratch_t *scratch);


static const wscast_str_t  wscast_jwk_names[JWK_MEMBERS] = {
    wscast_string("kty"), wscast_string("alg"), wscast_string("use"),
    wscast_string("key_ops"), wscast_string("kid"), wscast_string("crv"),
    wscast_string("n"), wscast_string("e"), wscast_string("x"),
    wscast_string("y"), wscast_string("k")
};


/* 1 if the raw value is this string. */

static int
wscast_jwk_is(wscast_str_t raw, const char *word)
{
    size_t  len;

    len = strlen(word);

    return raw.len == len + 2 && raw.data[0] == '"'
           && memcmp(raw.data + 1, word, len) == 0;
}


wscast_status_t
wscast_jwks_add(wscast_keys_t *keys, const wscast_alg_t *alg,
    wscast_str_t json, const char **reason)
{
    size_t                n;
    wscast_str_t          jwk;
    wscast_status_t       rc;
    wscast_json_member_t  list;

    memset(&list, 0, sizeof(list));
    list.name = wscast_str("keys", 4);

    if (wscast_json_members(json, &list, 1) != WSCAST_OK
        || list.times > 1
        || (list.times && list.value.data[0] != '['))
    {
        *reason = "is JSON, but neither a JWK nor a JWKS";
        return WSCAST_ERROR;
    }

    n = keys->n;

    if (list.times == 0) {
        rc = wscast_jwk_add(keys, alg, json, reason);

        if (rc != WSCAST_OK) {
            return rc;
        }
    }

    while (wscast_json_element(&list.value, &jwk)) {
        rc = wscast_jwk_add(keys, alg, jwk, reason);

        if (rc != WSCAST_OK) {
            return rc;
        }
    }

    if (keys->n == n) {
        *reason = "has no key for this algorithm among its JWKs";
        return WSCAST_ERROR;
    }

    return WSCAST_OK;
}


/* WSCAST_OK also for a key that is passed over. */

static wscast_status_t
wscast_jwk_add(wscast_keys_t *keys, const wscast_alg_t *alg,
    wscast_str_t json, const char **reason)
{
    size_t                 i;
    wscast_key_t          *key;
    wscast_status_t        rc;
    wscast_json_member_t   m[JWK_MEMBERS];
    wscast_jwk_scratch_t   scratch;

    memset(m, 0, sizeof(m));

    for (i = 0; i < JWK_MEMBERS; i++) {
        m[i].name = wscast_jwk_names[i];
    }

    if (wscast_json_members(json, m, JWK_MEMBERS) != WSCAST_OK) {
        *reason = "has a JWK that is no JSON object";
        return WSCAST_ERROR;
    }

    for (i = 0; i < JWK_MEMBERS; i++) {
        if (m[i].times > 1) {
            *reason = "has a JWK in which a member is given twice";
            return WSCAST_ERROR;
        }
    }

    if (!wscast_jwk_serves(m, alg) || !wscast_jwk_kind(m, alg)) {
        return WSCAST_OK;
    }

    key = wscast_keys_push(keys, alg, reason);

    if (key == NULL) {
        return WSCAST_ERROR;
    }

    rc = wscast_jwk_kid(key, m[JWK_KID].value, reason);

    if (rc != WSCAST_OK) {
        return rc;
    }

    scratch.used = 0;
    scratch.data = wscast_alloc(json.len);

    if (scratch.data == NULL) {
        return WSCAST_NOMEM;
    }

    rc = wscast_jwk_value(key, m, &scratch, reason);

    OPENSSL_cleanse(scratch.data, json.len);
    wscast_free(scratch.data);

    return rc;
}


/* Is it meant for verifying, and for this algorithm? */

static int
wscast_jwk_serves(const wscast_json_member_t *m, const wscast_alg_t *alg)
{
    wscast_str_t  rest, op;

    if (m[JWK_ALG].times
        && (m[JWK_ALG].value.len != alg->name.len + 2
            || m[JWK_ALG].value.data[0] != '"'
            || memcmp(m[JWK_ALG].value.data + 1, alg->name.data,
                      alg->name.len)
               != 0))
    {
        return 0;
    }

    if (m[JWK_USE].times && !wscast_jwk_is(m[JWK_USE].value, "sig")) {
        return 0;
    }

    if (m[JWK_OPS].times == 0) {
        return 1;
    }

    rest = m[JWK_OPS].value;

    if (rest.data[0] != '[') {
        return 0;
    }

    while (wscast_json_element(&rest, &op)) {
        if (wscast_jwk_is(op, "verify")) {
            return 1;
        }
    }

    return 0;
}


static int
wscast_jwk_kind(const wscast_json_member_t *m, const wscast_alg_t *alg)
{
    wscast_str_t  crv, kty;

    kty = m[JWK_KTY].value;
    crv = m[JWK_CRV].value;

    switch (alg->kind) {

    case WSCAST_ALG_HMAC:
        return wscast_jwk_is(kty, "oct");

    case WSCAST_ALG_RSA:
    case WSCAST_ALG_PSS:
        return wscast_jwk_is(kty, "RSA");

    case WSCAST_ALG_EC:
        return wscast_jwk_is(kty, "EC") && wscast_jwk_is(crv, "P-256");

    default: /* WSCAST_ALG_ED */
        return wscast_jwk_is(kty, "OKP")
               && (wscast_jwk_is(crv, "Ed25519")
                   || wscast_jwk_is(crv, "Ed448"));
    }
}


static wscast_status_t
wscast_jwk_kid(wscast_key_t *key, wscast_str_t raw, const char **reason)
{
    wscast_str_t  kid;

    if (raw.len == 0) {
        return WSCAST_OK;
    }

    if (!wscast_json_is_string(raw)) {
        *reason = "has a JWK whose \"kid\" is no string";
        return WSCAST_ERROR;
    }

    key->kid = wscast_alloc(raw.len);

    if (key->kid == NULL) {
        return WSCAST_NOMEM;
    }

    memcpy(key->kid, raw.data, raw.len);

    if (wscast_json_decode(key->kid, raw.len, &kid) != WSCAST_OK) {
        *reason = "has a JWK whose \"kid\" is not UTF-8";
        return WSCAST_ERROR;
    }

    memmove(key->kid, kid.data, kid.len);
    key->kid_len = kid.len;

    return WSCAST_OK;
}


static wscast_status_t
wscast_jwk_value(wscast_key_t *key, const wscast_json_member_t *m,
    wscast_jwk_scratch_t *scratch, const char **reason)
{
    EVP_PKEY      *pkey;
    wscast_str_t   secret;

    switch (key->alg->kind) {

    case WSCAST_ALG_HMAC:
        secret = wscast_jwk_number(m[JWK_K].value, scratch);

        if (secret.len) {
            return wscast_key_secret(key, secret, reason);
        }

        pkey = NULL;
        break;

    case WSCAST_ALG_EC:
        pkey = wscast_jwk_ec(m, scratch);
        break;

    case WSCAST_ALG_ED:
        pkey = wscast_jwk_ed(m, scratch);
        break;

    default:
        pkey = wscast_jwk_rsa(m, scratch);
        break;
    }

    if (pkey == NULL) {
        *reason = "has a JWK for this algorithm whose numbers make no key";
        return WSCAST_ERROR;
    }

    return wscast_key_public(key, pkey, reason);
}


static EVP_PKEY *
wscast_jwk_rsa(const wscast_json_member_t *m, wscast_jwk_scratch_t *scratch)
{
    BIGNUM          *n, *e;
    EVP_PKEY        *pkey;
    OSSL_PARAM      *params;
    wscast_str_t     modulus, exponent;
    OSSL_PARAM_BLD  *build;

    modulus = wscast_jwk_number(m[JWK_N].value, scratch);
    exponent = wscast_jwk_number(m[JWK_E].value, scratch);

    /* what OpenSSL verifies with at most: 16384 bits */

    if (modulus.len == 0 || modulus.len > 2048
        || exponent.len == 0 || exponent.len > 8)
    {
        return NULL;
    }

    n = BN_bin2bn(modulus.data, (int) modulus.len, NULL);
    e = BN_bin2bn(exponent.data, (int) exponent.len, NULL);
    build = OSSL_PARAM_BLD_new();
    params = NULL;
    pkey = NULL;

    if (n && e && build
        && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n)
        && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e))
    {
        params = OSSL_PARAM_BLD_to_param(build);
    }

    if (params) {
        pkey = wscast_jwk_pkey("RSA", params);
    }

    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    BN_free(e);

    return pkey;
}


static EVP_PKEY *
wscast_jwk_ec(const wscast_json_member_t *m, wscast_jwk_scratch_t *scratch)
{
    char           group[] = "prime256v1";
    OSSL_PARAM     params[3];
    wscast_str_t   x, y;
    unsigned char  point[65];

    x = wscast_jwk_number(m[JWK_X].value, scratch);
    y = wscast_jwk_number(m[JWK_Y].value, scratch);

    /* RFC 7518, 6.2.1.2: in full length */

    if (x.len != 32 || y.len != 32) {
        return NULL;
    }

    point[0] = 4;                           /* SEC 1, 2.3.3: not compressed */
    memcpy(point + 1, x.data, 32);
    memcpy(point + 33, y.data, 32);

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                                 group, 0);
    params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                                  point, sizeof(point));
    params[2] = OSSL_PARAM_construct_end();

    return wscast_jwk_pkey("EC", params);
}


static EVP_PKEY *
wscast_jwk_ed(const wscast_json_member_t *m, wscast_jwk_scratch_t *scratch)
{
    wscast_str_t  x;

    x = wscast_jwk_number(m[JWK_X].value, scratch);

    if (x.len == 0) {
        return NULL;
    }

    return EVP_PKEY_new_raw_public_key(wscast_jwk_is(m[JWK_CRV].value, "Ed448")
                                       ? EVP_PKEY_ED448 : EVP_PKEY_ED25519,
                                       NULL, x.data, x.len);
}


static EVP_PKEY *
wscast_jwk_pkey(const char *type, const OSSL_PARAM *params)
{
    EVP_PKEY      *pkey;
    EVP_PKEY_CTX  *ctx;

    pkey = NULL;
    ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);

    if (ctx == NULL
        || EVP_PKEY_fromdata_init(ctx) != 1
        || EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY,
                             (OSSL_PARAM *) params)
           != 1)
    {
        pkey = NULL;
    }

    EVP_PKEY_CTX_free(ctx);

    return pkey;
}


/* Empty: there is none, or it is not base64url. */

static wscast_str_t
wscast_jwk_number(wscast_str_t raw, wscast_jwk_scratch_t *scratch)
{
    size_t          len;
    unsigned char  *p;

    if (!wscast_json_is_string(raw)) {
        return wscast_str(NULL, 0);
    }

    p = scratch->data + scratch->used;

    if (wscast_base64url_decode(wscast_str(raw.data + 1, raw.len - 2), p, &len)
        != WSCAST_OK)
    {
        return wscast_str(NULL, 0);
    }

    scratch->used += len;

    return wscast_str(p, len);
}
