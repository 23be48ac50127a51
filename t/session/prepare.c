/* prepare: what is encoded is a whole frame, once per variant. */
/* libs: -lcjson -lz */

#include "../lib/unit.h"

#include "../../src/base/utf8.c"
#include "../../src/base/prepared.c"
#include "../../src/base/publication.c"
#include "../../src/wire/frame.c"
#include "../../src/wire/deflate.c"
#include "../../src/base/scan.c"
#include "../../src/base/quote.c"
#include "../../src/dialect/text.c"
#include "../../src/dialect/json.c"
#include "../../src/dialect/json_events.c"
#include "../../src/session/prepare.c"


static wscast_str_t
s(const char *text)
{
    return wscast_str(text, strlen(text));
}


static void
is_frame(wscast_prepared_t *p, const void *expected, size_t len,
    const char *what)
{
    wscast_str_t  f;

    if (p == NULL) {
        ok(0, "%s", what);
        return;
    }

    f = wscast_prepared_frame(p);
    is_mem(f.data, f.len, expected, len, "%s", what);
}


static void
test_frames(void)
{
    size_t              i, bad;
    char                text[200];
    unsigned char       body[70000];
    wscast_str_t        f;
    wscast_prepared_t  *p;

    static const size_t  lens[] = { 0, 1, 125, 126, 127, 65535, 65536, 70000 };

    p = wscast_prepare_frame(WSCAST_OP_PING, "hi", 2);
    is_frame(p, "\x89\x02hi", 4, "a ping is framed as it is");
    is_int(p->refs, 1, "with one reference");
    wscast_prepared_release(p);

    unit_fill(body, sizeof(body));

    for (i = bad = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        p = wscast_prepare_frame(WSCAST_OP_BINARY, body, lens[i]);
        f = wscast_prepared_frame(p);

        bad += f.data[0] != 0x82
               || f.data[1] != (lens[i] < 126 ? lens[i]
                                : lens[i] < 65536 ? 126 : 127)
               || f.len != lens[i] + (lens[i] < 126 ? 2
                                      : lens[i] < 65536 ? 4 : 10)
               || memcmp(f.data + f.len - lens[i], body, lens[i]) != 0;

        wscast_prepared_release(p);
    }

    is_int(bad, 0, "each length has its shortest header and the whole payload");

    p = wscast_prepare_close(1001, "server moves");
    is_frame(p, "\x88\x0e\x03\xe9server moves", 16,
             "a close has code and text");
    wscast_prepared_release(p);

    p = wscast_prepare_close(4408, NULL);
    is_frame(p, "\x88\x02\x11\x38", 4, "or the code alone");
    wscast_prepared_release(p);

    p = wscast_prepare_close(1005, "never");
    is_frame(p, "\x88\x00", 2, "1005 is a close without a payload");
    wscast_prepared_release(p);

    memset(text, 'x', sizeof(text));
    text[199] = '\0';
    p = wscast_prepare_close(1011, text);
    f = wscast_prepared_frame(p);
    ok(f.len == 127 && f.data[1] == 125,
       "a longer text is cut to what a control frame may have");
    wscast_prepared_release(p);

    unit_alloc_reset(1);
    ok(wscast_prepare_close(1000, "x") == NULL, "no memory, no frame");
    unit_alloc_reset(0);
    is_int(unit_live, 0, "nothing is left");
}


static void
test_publication(void)
{
    unsigned               told;
    wscast_prepared_t     *p, *t;
    wscast_pub_fields_t    f;
    wscast_publication_t  *pub;

    memset(&f, 0, sizeof(f));
    f.channel = s("c");
    f.data = s("hello");
    f.time = 5;
    pub = wscast_publication_create(&f);

    t = wscast_prepare_publication(pub, &wscast_dialect_text, &told);
    is_frame(t, "\x81\x05hello", 7, "text: the data itself");
    is_int(told, 1, "it is told");

    p = wscast_prepare_publication(pub, &wscast_dialect_json, &told);
    is_frame(p, "\x81\x38"
             "{\"type\":\"message\",\"channel\":\"c\",\"data\":\"hello\","
             "\"time\":5}", 58, "json: an object");
    unit_alloc_reset(0);

    ok(wscast_prepare_publication(pub, &wscast_dialect_text, &told) == t
       && told == 1
       && wscast_prepare_publication(pub, &wscast_dialect_json, &told) == p
       && told == 1 && unit_calls == 0,
       "each variant is encoded once");
    is_int(t->refs, 1, "the publication owns them");

    wscast_prepared_ref(t);
    wscast_publication_release(pub);
    is_int(t->refs, 1, "who took a reference keeps the frame");
    wscast_prepared_release(t);
    is_int(unit_live, 0, "all is freed");

    f.kind = WSCAST_PUB_JOIN;
    pub = wscast_publication_create(&f);
    ok(wscast_prepare_publication(pub, &wscast_dialect_text, &told) == NULL
       && told == 0, "text: joins are not told");
    ok(wscast_prepare_publication(pub, &wscast_dialect_json, &told) != NULL
       && told == 1, "json: they are");
    wscast_publication_release(pub);

    f.kind = WSCAST_PUB_MESSAGE;
    pub = wscast_publication_create(&f);
    unit_alloc_reset(1);
    ok(wscast_prepare_publication(pub, &wscast_dialect_json, &told) == NULL
       && told == 1, "without memory there is none, though it is to be told");
    unit_alloc_reset(0);
    ok(wscast_prepare_publication(pub, &wscast_dialect_json, &told) != NULL,
       "with memory there is one the next time");
    wscast_publication_release(pub);
    is_int(unit_live, 0, "nothing is left");
}


static void
test_packed(void)
{
    size_t              n, calls;
    char                text[400];
    wscast_str_t        f;
    wscast_prepared_t  *plain, *p;
    wscast_deflate_t   *d;

    memset(text, 'x', sizeof(text));
    d = wscast_deflate_create();

    plain = wscast_prepare_frame(WSCAST_OP_TEXT, text, sizeof(text));
    f = wscast_prepared_payload(plain);
    is_mem(f.data, f.len, text, sizeof(text),
           "a payload is what stands behind the header");

    p = wscast_prepare_packed(plain, d, WSCAST_PACKED, 1);
    f = wscast_prepared_frame(p);
    ok(f.len < 20 && f.data[0] == 0xc1 && f.data[1] == f.len - 2,
       "packed it is a shorter frame, with RSV1, and a text still");
    wscast_prepared_release(p);

    p = wscast_prepare_packed(plain, d, WSCAST_PACKED_SMALL, 1);
    f = wscast_prepared_frame(p);
    ok(f.len < 20 && f.data[0] == 0xc1, "with a small window, too");
    wscast_prepared_release(p);
    wscast_prepared_release(plain);

    plain = wscast_prepare_frame(WSCAST_OP_BINARY, text, sizeof(text));
    p = wscast_prepare_packed(plain, d, WSCAST_PACKED, 1);
    is_int(wscast_prepared_frame(p).data[0], 0xc2, "a binary stays binary");
    wscast_prepared_release(p);

    for (n = 1; n < 20; n++) {
        unit_alloc_reset(n);
        p = wscast_prepare_packed(plain, d, WSCAST_PACKED, 2 + (int) n % 2);
        calls = unit_calls;
        unit_alloc_reset(0);

        if (calls < n || p) {
            break;
        }
    }

    ok(n > 4 && p && calls < n, "without memory there is none");
    wscast_prepared_release(p);
    wscast_prepared_release(plain);

    unit_fill(text, sizeof(text));
    plain = wscast_prepare_frame(WSCAST_OP_BINARY, text, sizeof(text));
    ok(wscast_prepare_packed(plain, d, WSCAST_PACKED, 9) == NULL,
       "nor of what would not be smaller");
    wscast_prepared_release(plain);

    wscast_deflate_destroy(d);
    is_int(unit_live, 0, "nothing is left");
}


int
main(void)
{
    test_frames();
    test_publication();
    test_packed();

    return done();
}
