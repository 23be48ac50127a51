/*
 * token_case.h: sessions whose client has a token, and new tokens.
 *
 * Audience: t/session/ask.c and memory.c, behind session_case.h.
 */

#ifndef WSCAST_T_SESSION_TOKEN_CASE_H
#define WSCAST_T_SESSION_TOKEN_CASE_H


#include <openssl/hmac.h>


#define JSON    (&wscast_dialect_json)
#define SECRET  "a secret of thirty-two bytes, or more"


static wscast_keys_t  *keys;


/* Tokens are taken, with the rights of this one. */

static void
start(const char *subscribe)
{
    const char  *wrong;

    fresh(JSON);
    keys = wscast_keys_create();

    if (keys == NULL
        || wscast_keys_add(keys, s("HS256"), s(SECRET), &wrong) != WSCAST_OK)
    {
        abort();
    }

    engine.keys = keys;
    engine.leeway = 5;
    params.grants = grants("room:a*", "room:*", "room:p", "room:h");
    params.own_grants = 1;
    params.token = 1;
    params.sub = s("ann");
    params.token_grants = grants(subscribe, NULL, "room:hp", NULL);
    params.info = s("{\"i\":1}");
}


TAP_UNUSED static void
stop(const char *what)
{
    wscast_session_close(&session);
    wscast_keys_free(keys);
    over(what);
}


static size_t
put64(char *out, const unsigned char *p, size_t len)
{
    size_t    i, n;
    uint32_t  word;
    unsigned  bits;

    static const char  letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    for (i = 0, n = 0, word = 0, bits = 0; i < len; i++) {
        word = (word << 8 | p[i]) & 0xffff;

        for (bits += 8; bits >= 6; bits -= 6) {
            out[n++] = letters[word >> (bits - 6) & 63];
        }
    }

    if (bits) {
        out[n++] = letters[word << (6 - bits) & 63];
    }

    return n;
}


/* Renews with a token of these claims. */

static wscast_status_t
renew(const char *claims)
{
    char           text[2000], message[2100];
    size_t         n;
    unsigned       len;
    unsigned char  mac[EVP_MAX_MD_SIZE];

    static const char  header[] = "{\"alg\":\"HS256\"}";

    n = put64(text, (const unsigned char *) header, sizeof(header) - 1);
    text[n++] = '.';
    n += put64(text + n, (const unsigned char *) claims, strlen(claims));
    HMAC(EVP_sha256(), SECRET, sizeof(SECRET) - 1, (unsigned char *) text, n,
         mac, &len);
    text[n++] = '.';
    n += put64(text + n, mac, len);

    snprintf(message, sizeof(message), "{\"type\":\"token\",\"id\":1,"
             "\"token\":\"%.*s\"}", (int) n, text);

    return says(message);
}


#endif /* WSCAST_T_SESSION_TOKEN_CASE_H */
