/* libs: -lcrypto */

/* auth/key, auth/jwk: which files hold keys, and which key a token gets. */

#include "token_case.h"


#define OCT(more)                                                             \
    "{\"kty\":\"oct\"," more "\"k\":\"YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRl"   \
    "cywgb3IgbW9yZQ\"}"

#define RSA_N                                                                 \
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4"  \
    "qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2j"  \
    "Z47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7W"  \
    "TBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK"  \
    "-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"

#define RSA_KEY(more)  "{\"kty\":\"RSA\"," more "\"n\":\"" RSA_N              \
                       "\",\"e\":\"AQAB\"}"

#define EC_X  "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define EC_Y  "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define ED_X  "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

#define EC_KEY(crv, x, y)  "{\"kty\":\"EC\",\"crv\":\"" crv "\",\"x\":\"" x   \
                           "\",\"y\":\"" y "\"}"
#define ED_KEY(crv, x)     "{\"kty\":\"OKP\",\"crv\":\"" crv "\",\"x\":\"" x  \
                           "\"}"


static size_t
count_of(const char *alg, const char *file)
{
    size_t          n;
    wscast_keys_t  *keys;

    keys = keys_of(alg, file);
    n = keys ? keys->n : 0;
    wscast_keys_free(keys);

    return n;
}


static void
test_good(void)
{
    size_t  i;

    static const struct {
        const char  *alg;
        const char  *file;
        size_t       n;
        const char  *what;
    } good[] = {
        { "HS256", SECRET, 1, "a secret" },
        { "HS256", SECRET "\r\n\n", 1, "a secret with newlines behind it" },
        { "HS256", "{a secret that begins with a brace}", 1,
          "a secret that begins like JSON" },
        { "HS256", "\"a secret that is JSON is still one\"", 1,
          "a secret that is a JSON string" },
        { "HS256", OCT(""), 1, "a JWK" },
        { "HS256", "{\"keys\":[" OCT("") "]}\n", 1, "a JWKS" },
        { "HS256", "{\"keys\":[" OCT("\"kid\":\"a\",") ","
          OCT("\"kid\":\"b\",") "]}", 2, "a JWKS of two" },
        { "RS256", RSA_KEY(""), 1, "an RSA key" },
        { "PS256", RSA_KEY("\"alg\":\"PS256\",\"use\":\"sig\","), 1,
          "an RSA key that says what it is for" },
        { "RS256", RSA_KEY("\"key_ops\":[\"sign\",\"verify\"],"), 1,
          "a key that may verify" },
        { "ES256", EC_KEY("P-256", EC_X, EC_Y), 1, "an EC key" },
        { "EdDSA", ED_KEY("Ed25519", ED_X), 1, "an Ed25519 key" },
        { "RS256", "{\"keys\":[" EC_KEY("P-256", EC_X, EC_Y) ","
          RSA_KEY("\"alg\":\"PS256\",") "," RSA_KEY("\"use\":\"enc\",") ","
          RSA_KEY("\"key_ops\":[\"encrypt\"],") "," RSA_KEY("") ","
          "{\"kty\":\"of the future\"},{}]}", 1,
          "one among those for others" }
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        is_int(count_of(good[i].alg, good[i].file), good[i].n,
               "%s: keys of %s", good[i].alg, good[i].what);
    }
}


static void
test_bad(void)
{
    size_t            i;
    const char       *reason;
    wscast_keys_t    *keys;
    wscast_status_t   rc;

    static const struct {
        const char  *alg;
        const char  *file;
        const char  *reason;        /* a part of it */
    } bad[] = {
        { "none", SECRET, "no known algorithm" },
        { "hs256", SECRET, "no known algorithm" },
        { "HS256", "", "is empty" },
        { "HS256", "\n", "is empty" },
        { "HS256", "thirty-one bytes are not enough", "32 bytes" },
        { "HS384", "forty-seven bytes are not enough for it, not so", "48" },
        { "HS512", SECRET, "64 bytes" },
        { "HS256", "{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}", "32 bytes" },
        { "HS256", "{\"kty\":\"oct\",\"k\":\"\"}", "make no key" },
        { "HS256", "{\"kty\":\"oct\",\"k\":\"a=\"}", "make no key" },
        { "HS256", "{\"kty\":\"oct\",\"k\":7}", "make no key" },
        { "HS256", "{\"kty\":\"oct\"}", "make no key" },
        { "HS256", "{\"secret\":\"" SECRET "\"}", "no key for this" },
        { "HS256", "{\"keys\":[" OCT(""), "neither a JWK" },
        { "HS256", "\n\t {\"keys\":[" OCT(""), "neither a JWK" },
        { "HS256", "{\"keys\":{}}", "neither a JWK" },
        { "HS256", "{\"keys\":[]}", "no key for this" },
        { "HS256", "{\"keys\":[7]}", "no JSON object" },
        { "HS256", "{\"keys\":[],\"keys\":[]}", "neither a JWK" },
        { "HS256", OCT("\"kty\":\"oct\","), "given twice" },
        { "HS256", OCT("\"kid\":7,"), "no string" },
        { "HS256", " " OCT("\"kid\":null,"), "no string" },
        { "HS256", OCT("\"kid\":\"\\ud800\","), "not UTF-8" },
        { "HS256", OCT("\"alg\":\"HS384\","), "no key for this" },
        { "HS256", OCT("\"alg\":7,"), "no key for this" },
        { "HS256", OCT("\"key_ops\":\"verify\","), "no key for this" },
        { "HS256", "-----BEGIN PUBLIC KEY-----\nAAAA", "is a PEM" },
        { "RS256", SECRET, "neither a PEM nor a JWKS" },
        { "RS256", "-----BEGIN PUBLIC KEY-----\nAAAA\n", "no public key" },
        { "RS256", "-----BEGIN RSA PRIVATE KEY-----\n", "private key" },
        { "RS256", "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRl\",\"e\":\"AQAB\"}",
          "less than 2048" },
        { "RS256", "{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"AQ\"}",
          "exponent" },
        { "RS256", "{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"Ag\"}",
          "exponent" },
        { "RS256", "{\"kty\":\"RSA\",\"n\":\"" RSA_N "\"}", "make no key" },
        { "RS256", EC_KEY("P-256", EC_X, EC_Y), "no key for this" },
        { "ES256", EC_KEY("P-384", EC_X, EC_Y), "no key for this" },
        { "ES256", EC_KEY("P-256", EC_X, EC_X), "make no key" },
        { "ES256", EC_KEY("P-256", "AAAA", EC_Y), "make no key" },
        { "EdDSA", ED_KEY("X25519", ED_X), "no key for this" },
        { "EdDSA", ED_KEY("Ed448", ED_X), "make no key" },
        { "EdDSA", ED_KEY("Ed25519", "AAAA"), "make no key" }
    };

    keys = wscast_keys_create();

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        reason = "";
        rc = wscast_keys_add(keys, s(bad[i].alg), s(bad[i].file), &reason);

        ok(rc == WSCAST_ERROR && strstr(reason, bad[i].reason) && keys->n == 0,
           "%s: %s", bad[i].alg, reason);
    }

    is_int(ERR_peek_error(), 0, "OpenSSL's queue of errors is left empty");

    for (i = 0; i < WSCAST_KEYS_MAX; i++) {
        rc = wscast_keys_add(keys, s("HS256"), s(SECRET), &reason);
    }

    is_int(rc, WSCAST_OK, "64 keys are taken");
    is_int(wscast_keys_add(keys, s("HS256"), s(SECRET), &reason),
           WSCAST_ERROR, "one more is not");

    wscast_keys_free(keys);
    wscast_keys_free(NULL);
}


static void
test_kid(void)
{
    const char     *reason;
    wscast_keys_t  *keys;

    keys = keys_of("HS256", "{\"keys\":[" OCT("\"kid\":\"a\",") ","
                   "{\"kty\":\"oct\",\"kid\":\"b\",\"k\":\"YW5vdGhlciBzZWNyZX"
                   "Qgb2YgdGhpcnR5LXR3byBieXRlcw\"}]}");
    ok(keys != NULL, "two keys have a kid each");

    ok(refused(keys, token_of("HS256", NULL, "{\"alg\":\"HS256\",\"kid\":\"a\""
                              "}", "{}")) == NULL,
       "the key that the token names verifies it");
    is_str(refused(keys, token_of("HS256", NULL, "{\"alg\":\"HS256\",\"kid\":"
                                  "\"b\"}", "{}")),
           "signature of the token does not match",
           "no other is tried, though it would match");
    is_str(refused(keys, token_of("HS256", NULL, "{\"alg\":\"HS256\",\"kid\":"
                                  "\"c\"}", "{}")),
           "token names a key (kid) that is not known here",
           "a kid that no key has is refused");
    ok(refused(keys, hs256("{}")) == NULL,
       "a token that names none is tried with all");

    is_int(wscast_keys_add(keys, s("HS256"), s(SECRET), &reason), WSCAST_OK,
           "a key without a kid comes along");
    ok(refused(keys, token_of("HS256", NULL, "{\"alg\":\"HS256\",\"kid\":\"c\""
                              "}", "{}")) == NULL,
       "and is tried with any kid");
    ok(refused(keys, token_of("HS256", NULL, "{\"alg\":\"HS256\",\"kid\":\"\"}"
                              , "{}")) == NULL,
       "the empty kid is a kid like others");
    wscast_keys_free(keys);

    keys = keys_of("HS256", OCT("\"kid\":\"\\u0061\\u00e9\","));
    ok(refused(keys, token_of("HS256", NULL, "{\"alg\":\"HS256\",\"kid\":"
                              "\"a\xc3\xa9\"}", "{}")) == NULL,
       "a kid is compared after decoding it");
    wscast_keys_free(keys);

    keys = wscast_keys_create();
    is_str(refused(keys, hs256("{}")),
           "token is signed with an algorithm that no key here has",
           "without keys nothing is verified");
    wscast_keys_free(keys);
}


static void
test_memory(void)
{
    size_t            n, live;
    unsigned          bad;
    const char       *reason;
    wscast_keys_t    *keys;
    wscast_status_t   rc;

    unit_alloc_reset(1);
    ok(wscast_keys_create() == NULL, "without memory there is no set");
    unit_alloc_reset(0);

    keys = wscast_keys_create();
    live = unit_live;
    rc = WSCAST_NOMEM;
    bad = 0;

    for (n = 1; n < 20 && rc == WSCAST_NOMEM; n++) {
        unit_alloc_reset(n);
        rc = wscast_keys_add(keys, s("HS256"), s("{\"keys\":["
                             OCT("\"kid\":\"a\",") "," OCT("\"kid\":\"b\",")
                             "]}"), &reason);
        bad += rc == WSCAST_NOMEM && (keys->n != 0 || unit_live != live);
    }

    unit_alloc_reset(0);
    ok(rc == WSCAST_OK && n == 8 && keys->n == 2 && bad == 0,
       "each allocation may fail, and no half of a file is left");
    wscast_keys_free(keys);

    keys = wscast_keys_create();
    unit_alloc_reset(1);
    ok(wscast_keys_add(keys, s("HS256"), s(SECRET), &reason) == WSCAST_NOMEM
       && keys->n == 0, "so may that of a secret");
    unit_alloc_reset(0);
    wscast_keys_free(keys);
}


int
main(void)
{
    test_good();
    test_bad();
    test_kid();
    test_memory();

    is_int(unit_live, 0, "nothing is left allocated");

    return done();
}
