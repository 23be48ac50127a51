/* libs: -lcrypto */

/*
 * auth/token, auth/key, auth/jwk: no bytes make trouble, as a token, as its
 * header or claims behind a good signature, or as the file of a key; and what
 * is taken keeps the promises of token.h.  The first byte chooses.
 */

#include "../lib/fuzz_main.h"

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


#define SECRET  "a secret of thirty-two bytes, or more"


static unsigned char  text[4 * WSCAST_TOKEN_MAX];


static size_t
put64(size_t at, const uint8_t *data, size_t len)
{
    size_t    i;
    uint32_t  word;
    unsigned  bits;

    static const char  letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    word = 0;
    bits = 0;

    for (i = 0; i < len; i++) {
        word = (word << 8 | data[i]) & 0xffff;

        for (bits += 8; bits >= 6; bits -= 6) {
            text[at++] = letters[word >> (bits - 6) & 63];
        }
    }

    if (bits) {
        text[at++] = letters[word << (6 - bits) & 63];
    }

    return at;
}


/* There is one spelling: what is decoded is encoded to the same again. */

static void
base64url(const uint8_t *data, size_t len)
{
    size_t         n;
    unsigned char  out[WSCAST_TOKEN_MAX];

    if (len <= sizeof(out)
        && wscast_base64url_decode(wscast_str(data, len), out, &n)
           == WSCAST_OK)
    {
        must(put64(0, out, n) == len);
        must(len == 0 || memcmp(text, data, len) == 0);
    }
}


static void
promises(const wscast_claims_t *c)
{
    size_t  i;

    must(c->sub.len <= WSCAST_SUB_MAX);
    must(c->sub.len == 0 || wscast_channel_valid(c->sub, WSCAST_SUB_MAX));
    must(c->info.len <= WSCAST_INFO_MAX);
    must(c->info.len == 0 || wscast_json_valid(c->info));
    must(c->exp <= (uint64_t) 1 << 53 && c->nbf <= (uint64_t) 1 << 53);

    for (i = 0; c->grants && i < c->grants->n; i++) {
        must(c->grants->grant[i].ops != 0);
        must(c->grants->grant[i].pattern.len != 0);
    }
}


static void
verify(const wscast_keys_t *keys, size_t len)
{
    const char       *reason;
    wscast_status_t   rc;
    wscast_claims_t  *claims;

    reason = NULL;
    rc = wscast_token_verify(keys, wscast_str(text, len), 1700000000, 5,
                             &claims, &reason);

    must(rc == WSCAST_OK || (rc == WSCAST_ERROR && reason && !claims));

    if (rc == WSCAST_OK) {
        promises(claims);
    }

    wscast_claims_free(claims);
}


/* As header (kind 1) or claims (kind 2) of a token that is well signed. */

static void
signed_token(const wscast_keys_t *keys, unsigned kind, const uint8_t *data,
    size_t len)
{
    size_t         at;
    unsigned       n;
    unsigned char  mac[EVP_MAX_MD_SIZE];

    if (len > WSCAST_TOKEN_MAX) {
        return;
    }

    at = kind == 1 ? put64(0, data, len)
                   : put64(0, (const uint8_t *) "{\"alg\":\"HS256\"}", 15);
    text[at++] = '.';
    at = kind == 2 ? put64(at, data, len)
                   : put64(at, (const uint8_t *) "{}", 2);

    must(HMAC(EVP_sha256(), SECRET, sizeof(SECRET) - 1, text, at, mac, &n)
         != NULL);

    text[at++] = '.';
    verify(keys, put64(at, mac, n));
}


static void
file(wscast_keys_t *keys, const uint8_t *data, size_t len)
{
    size_t           i, n;
    wscast_str_t     bytes;
    const char      *reason;
    wscast_status_t  rc;

    bytes = wscast_str(data, len);

    for (i = 0; i < sizeof(wscast_algs) / sizeof(wscast_algs[0]); i++) {
        n = keys->n;
        reason = NULL;
        rc = wscast_keys_add(keys, wscast_algs[i].name, bytes, &reason);

        must(keys->n <= WSCAST_KEYS_MAX);
        must(rc == WSCAST_OK ? keys->n > n : keys->n == n && reason);
        must(ERR_peek_error() == 0);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    unsigned        kind;
    const char     *reason;
    wscast_keys_t  *keys;

    if (len == 0) {
        return 0;
    }

    kind = data[0] & 3;
    data++;
    len--;

    keys = wscast_keys_create();
    must(keys && wscast_keys_add(keys, wscast_str("HS256", 5),
                                 wscast_str(SECRET, sizeof(SECRET) - 1),
                                 &reason)
                 == WSCAST_OK);

    if (kind == 0 && len <= sizeof(text)) {
        base64url(data, len);

        if (len) {
            memcpy(text, data, len);
        }

        verify(keys, len);

    } else if (kind == 3) {
        file(keys, data, len);

    } else {
        signed_token(keys, kind, data, len);
    }

    wscast_keys_free(keys);

    return 0;
}
