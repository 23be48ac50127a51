/* base/quote: bytes become JSON strings, and come back. */

#include "../lib/unit.h"

#include <cjson/cJSON.h>

#include "../../src/base/utf8.c"
#include "../../src/base/prepared.c"
#include "../../src/base/quote.c"
#include "../../src/base/scan.c"


static const struct {
    const char    *raw;
    const char    *text;        /* NULL: a lone surrogate */
    size_t         len;
} strings[] = {
    { "\"\"",                         "",                  0 },
    { "\"abc\"",                      "abc",               3 },
    { "\"a\\\"\\\\\\/\"",             "a\"\\/",            4 },
    { "\"\\b\\f\\n\\r\\t\"",          "\b\f\n\r\t",        5 },
    { "\"\\u0041\\u00e9\"",           "A\xc3\xa9",         3 },
    { "\"\\u0000\"",                  "\0",                1 },
    { "\"\\u20AC\"",                  "\xe2\x82\xac",      3 },
    { "\"\\uFFFF\"",                  "\xef\xbf\xbf",      3 },
    { "\"\\ud83d\\ude00\"",           "\xf0\x9f\x98\x80",  4 },
    { "\"x\\uDBFF\\uDFFFy\"",         "x\xf4\x8f\xbf\xbfy", 6 },
    { "\"caf\xc3\xa9\\n\"",           "caf\xc3\xa9\n",     6 },
    { "\"\\ud800\"",                  NULL,                0 },
    { "\"\\udc00\"",                  NULL,                0 },
    { "\"\\ud800x\"",                 NULL,                0 },
    { "\"\\ud800\\n12345\"",          NULL,                0 },
    { "\"\\ud800\\ud800\"",           NULL,                0 },
    { "\"\\ud800\\u0041\"",           NULL,                0 },
    { "\"\\udc00\\ud800\"",           NULL,                0 }
};


static void
test_decode(void)
{
    size_t           i, len;
    wscast_str_t     out;
    wscast_status_t  rc;

    for (i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        len = strlen(strings[i].raw);
        memcpy(unit_guard(len), strings[i].raw, len);
        rc = wscast_json_decode(unit_guard(len), len, &out);

        if (strings[i].text == NULL) {
            is_int(rc, WSCAST_ERROR, "%s is not UTF-8", strings[i].raw);
            continue;
        }

        ok(rc == WSCAST_OK
           && wscast_str_eq(out, wscast_str(strings[i].text, strings[i].len)),
           "%s is decoded", strings[i].raw);
    }
}


static wscast_prepared_t *
quoted(const void *data, size_t len, wscast_str_t *s)
{
    wscast_builder_t    b;
    wscast_prepared_t  *frame;

    if (len) {
        memcpy(unit_guard(len), data, len);
    }

    wscast_builder_init(&b, 0);
    wscast_json_quote(&b, wscast_str(unit_guard(len), len));
    frame = wscast_builder_finish(&b, (unsigned char *) "h", 1);

    *s = wscast_prepared_frame(frame);
    *s = wscast_str(s->data + 1, s->len - 1);

    return frame;
}


static void
is_quoted(const char *data, size_t len, const char *expected, const char *what)
{
    wscast_str_t        s;
    wscast_prepared_t  *frame;

    frame = quoted(data, len, &s);
    is_mem(s.data, s.len, expected, strlen(expected), "%s", what);
    wscast_prepared_release(frame);
}


#define QUOTED(data, expected, what)                                          \
    is_quoted(data, sizeof(data) - 1, expected, what)


static void
test_quote(void)
{
    int                 i, wrong;
    size_t              k, n;
    unsigned char       text[200];
    wscast_str_t        s, back;
    wscast_prepared_t  *frame;

    QUOTED("", "\"\"", "the empty string is quoted");
    QUOTED("a/b", "\"a/b\"", "a slash is not escaped");
    QUOTED("\"\\", "\"\\\"\\\\\"", "quote and backslash are escaped");
    QUOTED("\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"", "white space is escaped");
    QUOTED("\0\x1f\x7f", "\"\\u0000\\u001f\x7f\"",
           "other control characters are escaped in hex");
    QUOTED("caf\xc3\xa9", "\"caf\xc3\xa9\"", "UTF-8 stays as it is");
    QUOTED("a\xff" "b", "\"a\xef\xbf\xbd" "b\"",
           "a byte that is not UTF-8 is replaced");
    QUOTED("\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\"",
           "so is each byte of a character that ends too early");
    QUOTED("\xe2\x82\"\xe2\x82\xac", "\"\xef\xbf\xbd\xef\xbf\xbd\\\""
           "\xe2\x82\xac\"", "what follows it is kept");

    wrong = 0;

    for (i = 0; i < 50000; i++) {
        n = unit_below(sizeof(text));

        for (k = 0; k < n; k++) {
            text[k] = (unsigned char) unit_below(128);
        }

        frame = quoted(text, n, &s);

        wrong += !wscast_json_valid(s)
                 || wscast_json_decode((unsigned char *) s.data, s.len, &back)
                    != WSCAST_OK
                 || !wscast_str_eq(back, wscast_str(text, n));

        wscast_prepared_release(frame);

        unit_fill(text, n);
        frame = quoted(text, n, &s);
        wrong += !wscast_json_valid(s);
        wscast_prepared_release(frame);
    }

    is_int(wrong, 0, "50000 random strings come back, and bytes are valid");
}


static void
test_base64(void)
{
    int                 i;
    wscast_str_t        s;
    wscast_builder_t    b;

    /* RFC 4648, 10 */

    static const char *const  v[][2] = {
        { "", "\"\"" }, { "f", "\"Zg==\"" }, { "fo", "\"Zm8=\"" },
        { "foo", "\"Zm9v\"" }, { "foob", "\"Zm9vYg==\"" },
        { "fooba", "\"Zm9vYmE=\"" }, { "foobar", "\"Zm9vYmFy\"" },
        { "\xff\xef\xbe", "\"/+++\"" }
    };

    for (i = 0; i < 8; i++) {
        size_t  n = strlen(v[i][0]);

        memcpy(unit_guard(n), v[i][0], n);

        wscast_builder_init(&b, 0);
        wscast_json_base64(&b, wscast_str(unit_guard(n), n));
        s = wscast_builder_payload(&b);
        is_mem(s.data, s.len, v[i][1], strlen(v[i][1]),
               "%zu bytes are written in base64", n);
        wscast_builder_drop(&b);
    }

    unit_alloc_reset(1);
    wscast_builder_init(&b, 0);
    wscast_json_base64(&b, wscast_str("foo", 3));
    wscast_json_quote(&b, wscast_str("a\nb", 3));
    ok(wscast_builder_finish(&b, (unsigned char *) "h", 1) == NULL,
       "without memory nothing is written");
    unit_alloc_reset(0);
    is_int(unit_live, 0, "nothing is left allocated");
}


int
main(void)
{
    test_decode();
    test_quote();
    test_base64();

    return done();
}
