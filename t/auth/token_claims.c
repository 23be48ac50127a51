/* libs: -lcrypto */

/* auth/token: what claims mean, and which of them are refused. */

#include "token_case.h"


static wscast_keys_t  *keys;


static wscast_claims_t *
claims_of(const char *body)
{
    const char       *reason;
    wscast_claims_t  *claims;

    if (wscast_token_verify(keys, hs256(body), NOW, 5, &claims, &reason)
        != WSCAST_OK)
    {
        note("%s: %s", body, reason);
    }

    return claims;
}


static void
test_user(void)
{
    char              text[2048];
    size_t            i;
    wscast_claims_t  *c;

    static const char  *bad[] = {
        "{\"sub\":7}", "{\"sub\":null}", "{\"sub\":[\"ann\"]}",
        "{\"sub\":\"admin\\u0000x\"}", "{\"sub\":\"a\\nb\"}",
        "{\"sub\":\"\\ud800\"}", "{\"sub\":\"a\",\"sub\":\"b\"}",
        "{\"sub\":\"a\",\"\\u0073ub\":\"b\"}", "[]", "", "{", "{}x"
    };

    c = claims_of("{\"sub\":\"an\\u006e \\ud83d\\ude00\",\"iat\":1,"
                  "\"aud\":[]}");
    ok(c && wscast_str_eq(c->sub, s("ann \xf0\x9f\x98\x80")),
       "sub is the user, decoded");
    wscast_claims_free(c);

    c = claims_of("{\"sub\":\"\"}");
    ok(c && c->sub.len == 0 && !c->has_exp, "an empty sub is no user");
    wscast_claims_free(c);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(refused(keys, hs256(bad[i])) != NULL, "%s is refused", bad[i]);
    }

    memset(text, 'u', sizeof(text));
    memcpy(text, "{\"sub\":\"", 8);
    strcpy(text + 8 + 1024, "\"}");
    ok(refused(keys, hs256(text)) == NULL, "a user of 1024 bytes is taken");
    text[8 + 1024] = 'u';
    strcpy(text + 8 + 1025, "\"}");
    ok(refused(keys, hs256(text)) != NULL, "a longer one is refused");
}


static void
test_info(void)
{
    size_t            i;
    char              body[256], text[8192];
    wscast_claims_t  *c;

    static const char  *info[] = {
        "{\"id\":9007199254740993,  \"b\":[1.50, \"\\u00e9\"]}", "null", "0",
        "\"x\"", "[ ]", "12345678901234567890"
    };

    for (i = 0; i < sizeof(info) / sizeof(info[0]); i++) {
        snprintf(body, sizeof(body), "{\"sub\":\"\\u0061\", \"info\" : %s }",
                 info[i]);
        c = claims_of(body);
        ok(c && wscast_str_eq(c->info, s(info[i])),
           "info %s stays byte for byte", info[i]);
        wscast_claims_free(c);
    }

    memset(text, 'i', sizeof(text));
    memcpy(text, "{\"info\":\"", 9);
    strcpy(text + 8 + 4095, "\"}");
    ok(refused(keys, hs256(text)) == NULL, "an info of 4096 bytes is taken");
    text[8 + 4095] = 'i';
    strcpy(text + 8 + 4096, "\"}");
    ok(refused(keys, hs256(text)) != NULL, "a longer one is refused");
}


static void
test_times(void)
{
    size_t            i;
    char              body[512];
    wscast_claims_t  *c;

    static const struct {
        const char  *text;
        uint64_t     seconds;
    } good[] = {
        { "1700000001", 1700000001 }, { "1700000001.9", 1700000001 },
        { "17e8", 1700000000 }, { "1.7E+9", 1700000000 },
        { "17000000000e-1", 1700000000 },
        { "9007199254740992", (uint64_t) 1 << 53 },
        { "18446744073709551616", (uint64_t) 1 << 53 },
        { "1e999999999999", (uint64_t) 1 << 53 },
        { "99999999999999999999999999999999999", (uint64_t) 1 << 53 },
        { "1700000001.00000000000000000000000000000000000001", 1700000001 }
    };

    static const char  *past[] = {
        "0", "-1", "-1e300", "1", "1699999995", "1699999995.9", "1e-5", "0e9",
        "1e-999999999999"
    };

    static const char  *bad[] = {
        "\"1700000001\"", "null", "true", "[]", "{}", "1700000001,\"exp\":1"
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(body, sizeof(body), "{\"exp\":%s}", good[i].text);
        c = claims_of(body);
        ok(c && c->has_exp && c->exp == good[i].seconds, "exp %s is read",
           good[i].text);
        wscast_claims_free(c);
    }

    for (i = 0; i < sizeof(past) / sizeof(past[0]); i++) {
        snprintf(body, sizeof(body), "{\"exp\":%s}", past[i]);
        is_str(refused(keys, hs256(body)), "token has expired",
               "exp %s is over", past[i]);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(body, sizeof(body), "{\"exp\":%s}", bad[i]);
        ok(refused(keys, hs256(body)) != NULL, "exp %s is refused", bad[i]);
        memcpy(body + 2, "nbf", 3);
        ok(refused(keys, hs256(body)) != NULL, "nbf %s is refused", bad[i]);
    }

    ok(refused(keys, hs256("{\"exp\":1699999996}")) == NULL,
       "within the leeway exp is not over");
    ok(refused(keys, hs256("{\"nbf\":1700000005}")) == NULL,
       "within the leeway nbf has come");
    is_str(refused(keys, hs256("{\"nbf\":1700000006}")),
           "token is not valid yet", "beyond it nbf has not");
    is_str(refused(keys, hs256("{\"nbf\":1e300,\"exp\":1e300}")),
           "token is not valid yet", "and never does if it is absurd");
    ok(refused(keys, hs256("{\"nbf\":-5}")) == NULL, "nbf may be before 1970");
}


static void
test_grants(void)
{
    size_t            i;
    wscast_claims_t  *c;

    static const char  *bad[] = {
        "1", "null", "[]", "\"all\"", "{\"publish\":\"a\"}",
        "{\"publish\":[1]}", "{\"publish\":[\"\"]}",
        "{\"publish\":[\"a\\u0001\"]}", "{\"publish\":[\"a\\u0000\"]}",
        "{\"publish\":[\"a\\n\"]}", "{\"publish\":[\"\\ud800\"]}",
        "{\"publish\":[[\"a\"]]}", "{\"publish\":null}",
        "{\"publish\":[],\"publish\":[]}"
    };

    c = claims_of("{\"wscast\":{\"subscribe\":[\"room:*\",\"n\\u0065ws\"],"
                  "\"publish\": [ \"room:7\" ] ,\"history\":[],"
                  "\"presence\":[\"p:*\"],\"all\":[\"me\"],\"fly\":7}}");
    ok(c && c->grants && c->grants->n == 5, "each pattern is a grant");
    ok(wscast_granted(c->grants, WSCAST_MAY_SUBSCRIBE, s("room:9"))
       && wscast_granted(c->grants, WSCAST_MAY_SUBSCRIBE, s("news"))
       && wscast_granted(c->grants, WSCAST_MAY_PUBLISH, s("room:7"))
       && wscast_granted(c->grants, WSCAST_MAY_PRESENCE, s("p:1"))
       && wscast_granted(c->grants, WSCAST_MAY_ALL, s("me")),
       "what they allow may be done");
    ok(!wscast_granted(c->grants, WSCAST_MAY_PUBLISH, s("room:9"))
       && !wscast_granted(c->grants, WSCAST_MAY_HISTORY, s("room:7"))
       && !wscast_granted(c->grants, WSCAST_MAY_SUBSCRIBE, s("p:1")),
       "and nothing else");
    wscast_claims_free(c);

    c = claims_of("{\"wscast\":{}}");
    ok(c && c->grants && c->grants->n == 0, "no grants are fine");
    wscast_claims_free(c);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char  body[128];

        snprintf(body, sizeof(body), "{\"wscast\":%s}", bad[i]);
        ok(refused(keys, hs256(body)) != NULL, "wscast %s is refused", bad[i]);
    }
}


static void
test_many(void)
{
    char             *body, *p;
    size_t            i;
    wscast_claims_t  *c;

    body = malloc(32 * 1024);
    p = body + sprintf(body, "{\"wscast\":{\"all\":[\"*\"");

    for (i = 0; i < 2500; i++) {
        p += sprintf(p, ",\"*\"");
    }

    strcpy(p, "]}}");
    c = claims_of(body);
    ok(c && c->grants->n == 2501, "as many grants as a token holds are taken");
    wscast_claims_free(c);
    free(body);
}


static void
test_memory(void)
{
    size_t            n;
    unsigned          bad;
    const char       *reason;
    wscast_str_t      token;
    wscast_status_t   rc;
    wscast_claims_t  *c;

    token = hs256("{\"sub\":\"ann\",\"info\":{},\"wscast\":{\"all\":[\"*\"]}}");
    bad = 0;
    rc = WSCAST_NOMEM;

    for (n = 1; n < 20 && rc == WSCAST_NOMEM; n++) {
        size_t  live = unit_live;

        unit_alloc_reset(n);
        rc = wscast_token_verify(keys, token, NOW, 5, &c, &reason);
        bad += (rc == WSCAST_NOMEM && (c != NULL || unit_live != live))
               || rc == WSCAST_ERROR;
    }

    unit_alloc_reset(0);
    ok(rc == WSCAST_OK && n > 4 && bad == 0,
       "each allocation may fail, and nothing is left of it");
    wscast_claims_free(c);
    wscast_claims_free(NULL);
}


int
main(void)
{
    keys = keys_of("HS256", SECRET);

    test_user();
    test_info();
    test_times();
    test_grants();
    test_many();
    test_memory();

    wscast_keys_free(keys);
    is_int(unit_live, 0, "nothing is left allocated");

    return done();
}
