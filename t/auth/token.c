/* libs: -lcrypto */

/* auth/token: only what one of the keys has signed becomes claims. */

#include "token_case.h"


#define JOE  "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9le"   \
             "GFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"


static const struct {
    const char  *where;
    const char  *alg;
    const char  *jwk;
    const char  *token;
} examples[] = {
    { "RFC 7515, A.1", "HS256",
      "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
      "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}",
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." JOE
      ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" },

    { "RFC 7515, A.2", "RS256",
      "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji"
      "9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNM"
      "sD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rex"
      "MdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9"
      "kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDT"
      "W9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}",
      "eyJhbGciOiJSUzI1NiJ9." JOE
      ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHI"
      "m4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB-"
      "-f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383L"
      "cOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEU"
      "ipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw" },

    { "RFC 7515, A.3", "ES256",
      "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV7"
      "6e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
      "\"}",
      "eyJhbGciOiJFUzI1NiJ9." JOE
      ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQx"
      "fKTUJqPP3-Kg6NU1Q" }
};


static void
test_examples(void)
{
    size_t            i;
    const char       *reason;
    wscast_str_t      token, input;
    wscast_keys_t    *keys;
    unsigned char     signature[64];
    size_t            len;
    wscast_claims_t  *c;

    for (i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        keys = keys_of(examples[i].alg, examples[i].jwk);
        token = s(examples[i].token);

        is_int(wscast_token_verify(keys, token, 1300819379, 0, &c, &reason),
               WSCAST_OK, "%s is verified with %s", examples[i].where,
               examples[i].alg);
        ok(c && c->has_exp && c->exp == 1300819380 && !c->has_nbf
           && c->sub.len == 0 && c->info.len == 0 && c->grants == NULL,
           "its claims are those of RFC 7519, 3.1");
        wscast_claims_free(c);

        is_int(wscast_token_verify(keys, token, 1300819380, 0, &c, &reason),
               WSCAST_ERROR, "at its exp it is refused");
        is_str(reason, "token has expired", "as expired");
        is_int(wscast_token_verify(keys, token, 1300819380, 5, &c, &reason),
               WSCAST_OK, "but not while the leeway lasts");
        wscast_claims_free(c);

        wscast_keys_free(keys);
    }

    /* RFC 8037's example signs a text, which is no object of claims */

    keys = keys_of("EdDSA", "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
                   "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}");
    input = s("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc");
    (void) wscast_base64url_decode(s("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AI"
                                     "bQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_"
                                     "MuM0KAg"), signature, &len);
    is_int(wscast_keys_verify(keys, s("EdDSA"), wscast_str(NULL, 0), input,
                              wscast_str(signature, len), &reason),
           WSCAST_OK, "RFC 8037, A.4 is verified with EdDSA");
    signature[0] ^= 1;
    is_int(wscast_keys_verify(keys, s("EdDSA"), wscast_str(NULL, 0), input,
                              wscast_str(signature, len), &reason),
           WSCAST_ERROR, "and is refused with one bit more");
    wscast_keys_free(keys);

    /* RFC 7519, 6.1 */

    keys = keys_of("HS256", SECRET);
    ok(refused(keys, s("eyJhbGciOiJub25lIn0." JOE ".")) != NULL,
       "RFC 7519's unsecured token is refused");
    wscast_keys_free(keys);
}


/* Every algorithm verifies its own and nothing that another one signed. */

static void
test_algorithms(void)
{
    char            *pem, secret[4096], header[64];
    size_t           i, j, len;
    wscast_keys_t   *keys[7];
    EVP_PKEY        *pkey[7];
    BIO             *bio;
    unsigned char    mac[64];
    unsigned         bad;
    text_t          *t;

    static const char  *algs[] = { "HS256", "HS384", "HS512", "RS256",
                                   "PS256", "ES256", "EdDSA" };

    memset(secret, 0, sizeof(secret));
    memset(pkey, 0, sizeof(pkey));
    pkey[3] = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) 2048);
    pkey[4] = pkey[3];
    pkey[5] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    pkey[6] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

    for (i = 0; i < 7; i++) {
        if (pkey[i] == NULL) {
            keys[i] = keys_of(algs[i], "{\"kty\":\"oct\",\"k\":\"YSBzZWNyZXQg"
                              "b2YgdGhpcnR5LXR3byBieXRlcywgb3IgbW9yZSwgYW5kIG"
                              "EgZ29vZCBkZWFsIG1vcmUgZm9yIEhTNTEy\"}");
            continue;
        }

        bio = BIO_new(BIO_s_mem());
        PEM_write_bio_PUBKEY(bio, pkey[i]);
        len = (size_t) BIO_get_mem_data(bio, &pem);
        memcpy(secret, pem, len);
        secret[len] = '\0';
        keys[i] = keys_of(algs[i], secret);
        BIO_free(bio);
    }

    t = malloc(sizeof(text_t));

    for (i = 0; i < 7; i++) {
        bad = 0;

        for (j = 0; j < 7; j++) {
            snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", algs[j]);
            t->len = 0;
            put64(t, header, strlen(header));
            t->data[t->len++] = '.';
            put64(t, "{}", 2);

            if (pkey[j]) {
                len = sign_private(t, algs[j], pkey[j], (unsigned char *)
                                   secret);
            } else {
                len = sign_secret(t, algs[j], "a secret of thirty-two bytes, "
                                  "or more, and a good deal more for HS512",
                                  69, mac);
                memcpy(secret, mac, len);
            }

            t->data[t->len++] = '.';
            put64(t, secret, len);

            bad += (refused(keys[i], wscast_str(t->data, t->len)) == NULL)
                   != (i == j);
        }

        is_int(bad, 0, "a key of %s verifies what %s signed, and no other",
               algs[i], algs[i]);
    }

    /* the public key, as an attacker knows it, for a secret */

    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(bio, pkey[3]);
    len = (size_t) BIO_get_mem_data(bio, &pem);

    t->len = 0;
    put64(t, HS256_HEADER, strlen(HS256_HEADER));
    t->data[t->len++] = '.';
    put64(t, "{}", 2);
    len = sign_secret(t, "HS256", pem, len, mac);
    t->data[t->len++] = '.';
    put64(t, mac, len);
    is_str(refused(keys[3], wscast_str(t->data, t->len)),
           "token is signed with an algorithm that no key here has",
           "a public RSA key is not taken for an HS256 secret");

    BIO_free(bio);
    free(t);

    for (i = 0; i < 7; i++) {
        wscast_keys_free(keys[i]);

        if (i != 4) {
            EVP_PKEY_free(pkey[i]);
        }
    }
}


static void
test_tampered(void)
{
    char            *copy;
    size_t           i, len;
    unsigned         bit, bad;
    wscast_str_t     token;
    wscast_keys_t   *keys;

    keys = keys_of("HS256", SECRET);
    token = hs256("{\"sub\":\"ann\",\"exp\":1700000100}");
    len = token.len;
    copy = malloc(len);
    memcpy(copy, token.data, len);

    ok(refused(keys, wscast_str(copy, len)) == NULL,
       "as it was made it is good");

    bad = 0;

    for (i = 0; i < len; i++) {
        for (bit = 1; bit < 256; bit <<= 1) {
            copy[i] ^= (char) bit;
            bad += (refused(keys, wscast_str(copy, len)) == NULL);
            copy[i] ^= (char) bit;
        }
    }

    is_int(bad, 0, "with any one bit changed it is refused");

    bad = 0;

    for (i = 0; i < len; i++) {
        bad += (refused(keys, wscast_str(copy, i)) == NULL);
    }

    is_int(bad, 0, "cut anywhere it is refused");
    wscast_keys_free(keys);

    keys = keys_of("HS256", "another secret of thirty-two bytes");
    is_str(refused(keys, wscast_str(copy, len)),
           "signature of the token does not match",
           "another key does not verify it");
    free(copy);
    wscast_keys_free(keys);
}


static void
test_headers(void)
{
    size_t          i;
    wscast_keys_t  *keys;

    static const char  *bad[] = {
        "{\"alg\":\"none\"}", "{\"alg\":\"None\"}", "{\"alg\":\"\"}", "{}",
        "{\"alg\":null}", "{\"alg\":[\"HS256\"]}", "{\"alg\":\"hs256\"}",
        "{\"alg\":\"HS256\\u0000\"}", "{\"alg\":\"HS256 \"}",
        "{\"alg\":\"HS256\",\"alg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}",
        "{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}",
        "{\"alg\":\"HS256\",\"crit\":[]}",
        "{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}",
        "{\"alg\":\"HS256\",\"b64\":false}", "{\"alg\":\"HS256\",\"b64\":true}",
        "{\"alg\":\"HS256\",\"zip\":\"DEF\"}",
        "{\"alg\":\"HS256\",\"enc\":\"A128GCM\"}",
        "{\"alg\":\"HS256\",\"kid\":7}", "{\"alg\":\"HS256\",\"kid\":null}",
        "{\"alg\":\"HS256\",\"kid\":\"\\ud800\"}",
        "{\"alg\":\"HS256\",\"kid\":\"a\",\"kid\":\"a\"}",
        "{\"alg\":\"HS256\"", "[\"HS256\"]", "\"HS256\"", "", " ",
        "{\"alg\":\"HS256\"}x", "{\"alg\":\"HS256\",\"x\":\"\xff\"}"
    };

    keys = keys_of("HS256", SECRET);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(refused(keys, token_of("HS256", NULL, bad[i], "{}")) != NULL,
           "the header %s is refused", bad[i]);
    }

    ok(refused(keys, token_of("HS256", NULL, "{\"alg\":\"\\u0048S256\",\"kid\":"
                              "\"any\",\"typ\":\"JWT\",\"x\":{}}", "{}"))
       == NULL, "other members, and escapes, are fine");
    wscast_keys_free(keys);
}


static void
test_spelling(void)
{
    char            text[512];
    size_t          n;
    wscast_str_t    token;
    wscast_keys_t  *keys;

    keys = keys_of("HS256", SECRET);
    token = hs256("{\"sub\":\"a\"}");
    n = token.len;
    memcpy(text, token.data, n);

    /* 32 bytes are 43 letters, of the last of which two bits mean nothing */

    text[n - 1]++;
    ok(refused(keys, wscast_str(text, n)) != NULL,
       "a second spelling of the same signature is refused");
    text[n - 1]--;

    text[n] = '=';
    ok(refused(keys, wscast_str(text, n + 1)) != NULL, "padding is refused");
    text[n] = '\n';
    ok(refused(keys, wscast_str(text, n + 1)) != NULL,
       "a newline behind it is refused");
    text[n] = '.';
    ok(refused(keys, wscast_str(text, n + 1)) != NULL,
       "a fourth part is refused");
    memcpy(text + n, ".a.b", 4);
    ok(refused(keys, wscast_str(text, n + 4)) != NULL,
       "five parts, a JWE, are refused");

    ok(refused(keys, s("")) && refused(keys, s(".")) && refused(keys, s(".."))
       && refused(keys, s("a.b")) && refused(keys, s("...")),
       "dots alone are refused");

    wscast_keys_free(keys);
}


static void
test_size(void)
{
    char           *text;
    size_t          n;
    wscast_keys_t  *keys;

    keys = keys_of("HS256", SECRET);
    text = malloc(100 * 1024);
    n = (size_t) sprintf(text, "{\"sub\":\"a\",\"x\":\"");
    memset(text + n, 'x', 70 * 1024);
    strcpy(text + n + 70 * 1024, "\"}");

    unit_alloc_reset(0);
    is_str(refused(keys, hs256(text)), "token is longer than 16 KB",
           "a token of 100 KB is refused, though signed");
    is_int(unit_calls, 0, "before anything is done with it");

    strcpy(text + n + 11 * 1024, "\"}");
    ok(refused(keys, hs256(text)) == NULL, "one of 15 KB is not");

    for (n = 0; n < 3000; n++) {
        memcpy(text + 3 * n, "[[[", 3);
    }

    text[3 * n] = '\0';
    ok(refused(keys, hs256(text)) != NULL, "deep JSON is refused");
    n = (size_t) sprintf(text, "{\"info\":");
    memset(text + n, '[', 5000);
    memset(text + n + 5000, ']', 5000);
    strcpy(text + n + 10000, "}");
    ok(refused(keys, hs256(text)) != NULL, "deep JSON that ends is refused");

    free(text);
    wscast_keys_free(keys);
}


int
main(void)
{
    test_examples();
    test_algorithms();
    test_tampered();
    test_headers();
    test_spelling();
    test_size();

    is_int(unit_live, 0, "nothing is left allocated");

    return done();
}
