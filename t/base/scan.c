/* libs: -lcjson */

/* base/scan: RFC 8259, strictly; cJSON is the reference for what it is. */

#include "../lib/unit.h"

#include <cjson/cJSON.h>

#include "../../src/base/utf8.c"
#include "../../src/base/prepared.c"
#include "../../src/base/quote.c"
#include "../../src/base/scan.c"


#define J(s)  { sizeof(s) - 1, (const unsigned char *) (s) }


static const wscast_str_t  good[] = {
    J("null"), J("true"), J("false"), J("0"), J("-0"), J("1"), J("-1"),
    J("10"), J("123456789012345678901234567890"), J("0.5"), J("-0.5"),
    J("1.0"), J("1e5"), J("1E5"), J("1e+5"), J("1e-5"), J("0e0"),
    J("1.5e300"), J("9007199254740993"), J("\"\""), J("\"a\""),
    J("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), J("\"\\u0000\""),
    J("\"\\uD83D\\uDE00\""), J("\"\\ud800\""), J("\"\\udc00\\ud800\""),
    J("\"\\uFfFf\""), J("\"\x7f\""), J("\"caf\xc3\xa9\""),
    J("\"\xe2\x80\xa8\""), J("\"\xf0\x9f\x98\x80\""), J("[]"), J("[ ]"),
    J("[1]"), J("[1,2]"), J("[1 , 2]"), J("[[]]"), J("[[],{}]"),
    J("[null,1,\"1\",{}]"), J("{}"), J("{ }"), J("{\"a\":1}"),
    J("{\"a\" : 1 , \"b\" : [ ] }"), J("{\"a\":{\"b\":{\"c\":[]}}}"),
    J("{\"\":0}"), J("{\"a\":1,\"a\":2}"), J(" \t\r\n1 \t\r\n"), J("[\n]"),
    J("[true,false]"), J("{\"a\":[],\"b\":{}}"), J("[[1],{\"a\":[2]},3]")
};


static const wscast_str_t  bad[] = {
    J(""), J(" "), J("nul"), J("nulll"), J("null null"), J("True"),
    J("TRUE"), J("tru"), J("falsee"), J("NaN"), J("nan"), J("Infinity"),
    J("-Infinity"), J("-"), J("+1"), J("01"), J("-01"), J("00"), J("1."),
    J(".5"), J("-.5"), J("1.e5"), J("1e"), J("1e+"), J("1E-"), J("0x10"),
    J("1.2.3"), J("1 2"), J("1,"), J("--1"), J("1e5.5"), J("1_000"),
    J("\""), J("\"a"), J("\"\\\""), J("\"\\"), J("\"\\x41\""), J("\"\\a\""),
    J("\"\\u\""), J("\"\\u00\""), J("\"\\u12\"4\""), J("\"\\u00g0\""),
    J("\"\\U0041\""), J("\"\\0\""), J("\"\\\0\""), J("\"\\'\""), J("'a'"),
    J("\"\x01\""), J("\"\x1f\""), J("\"\n\""), J("\"\t\""), J("\"\0\""),
    J("\"\xff\""), J("\"\xc3\""), J("\"\xc0\x80\""), J("\"\xed\xa0\x80\""),
    J("\"\xf4\x90\x80\x80\""), J("\"\xe2\x82\""), J("["), J("]"), J("[1"),
    J("[1,"), J("[1,]"), J("[,1]"), J("[,]"), J("[1,,2]"), J("[1 2]"),
    J("[1:2]"), J("[1}"), J("[}"), J("[]]"), J("[[]"), J("[\"a\" \"b\"]"),
    J("{"), J("}"), J("{]"), J("{a:1}"), J("{1:1}"), J("{'a':1}"),
    J("{\"a\"}"), J("{\"a\":}"), J("{\"a\":1"), J("{\"a\":1,}"),
    J("{,\"a\":1}"), J("{\"a\":1,,\"b\":2}"), J("{\"a\" 1}"),
    J("{\"a\":1 \"b\":2}"), J("{\"a\":1;\"b\":2}"), J("{\"a\",\"b\"}"),
    J("{\"a\":1]"), J("{\"a\":1}}"), J("{null:1}"), J("{\"a\":1}x"),
    J("{\"a\"::1}"), J("[{\"a\":1]}"), J("{\"a\":[1}"), J("/**/1"),
    J("1//x"), J("[1]/**/"), J("\xef\xbb\xbf" "1"), J("\f1"), J("\v1"),
    J("1\0"), J("\0"), J("\xc2\xa0" "1"), J("undefined"), J("{\"a\":u}"),
    J("[1]\0"), J("[\"\\ud8\"]")
};


static int
valid(wscast_str_t s)
{
    unsigned char  *p;

    p = unit_guard(s.len);

    if (s.len) {
        memcpy(p, s.data, s.len);
    }

    return wscast_json_valid(wscast_str(p, s.len));
}


/* One member whose value is s, and what is cut out must be s, trimmed. */

static int
member_agrees(wscast_str_t s)
{
    size_t                len;
    unsigned char        *p;
    wscast_status_t       rc;
    wscast_json_member_t  m = { .name = wscast_string("k") };

    len = s.len + 9;
    p = unit_guard(len);
    memcpy(p, "{\"k\" : ", 7);

    if (s.len) {
        memcpy(p + 7, s.data, s.len);
    }

    memcpy(p + 7 + s.len, " }", 2);

    rc = wscast_json_members(wscast_str(p, len), &m, 1);

    if (rc != WSCAST_OK) {
        return 0;
    }

    while (s.len && strchr(" \t\r\n", s.data[0])) {
        s = wscast_str(s.data + 1, s.len - 1);
    }

    while (s.len && strchr(" \t\r\n", s.data[s.len - 1])) {
        s.len--;
    }

    return m.times == 1 && wscast_str_eq(m.value, s);
}


static void
test_lists(void)
{
    size_t  i, n, k;
    int     wrong;

    n = sizeof(good) / sizeof(good[0]);

    for (i = 0; i < n; i++) {
        ok(valid(good[i]) && member_agrees(good[i]), "valid: %.*s",
           (int) good[i].len, good[i].data);
    }

    n = sizeof(bad) / sizeof(bad[0]);
    wrong = 0;

    for (i = 0; i < n; i++) {
        if (valid(bad[i])) {
            note("taken: %.*s", (int) bad[i].len, bad[i].data);
            wrong++;
        }
    }

    is_int(wrong, 0, "%zu texts that are no JSON are refused", n);

    /* every beginning of a document is none */

    wrong = 0;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (good[i].data[0] != '[' && good[i].data[0] != '{'
            && good[i].data[0] != '"')
        {
            continue;
        }

        for (k = 0; k < good[i].len; k++) {
            wrong += valid(wscast_str(good[i].data, k));
        }
    }

    is_int(wrong, 0, "a document that was cut is refused");
}


static void
test_depth(void)
{
    size_t                n;
    unsigned char         text[2 * WSCAST_JSON_DEPTH + 16];
    wscast_json_member_t  m = { .name = wscast_string("k") };

    for (n = WSCAST_JSON_DEPTH; n <= WSCAST_JSON_DEPTH + 1; n++) {
        memset(text, '[', n);
        memset(text + n, ']', n);
        is_int(valid(wscast_str(text, 2 * n)), n == WSCAST_JSON_DEPTH,
               "%zu arrays in each other are %s", n,
               n == WSCAST_JSON_DEPTH ? "taken" : "refused");

        memcpy(text, "{\"k\":", 5);
        memset(text + 5, '[', n - 1);
        memset(text + 5 + n - 1, ']', n - 1);
        text[5 + 2 * (n - 1)] = '}';
        is_int(wscast_json_members(wscast_str(text, 6 + 2 * (n - 1)), &m, 1),
               n == WSCAST_JSON_DEPTH ? WSCAST_OK : WSCAST_ERROR,
               "an object counts as one of %zu levels", n);
    }

    /* each level remembers its own kind */

    {
        size_t          k, at;
        unsigned char   deep[8 * WSCAST_JSON_DEPTH];
        unsigned char   close[WSCAST_JSON_DEPTH];

        at = 0;

        for (k = 0; k < WSCAST_JSON_DEPTH; k++) {
            if (k * 7 % 3) {
                memcpy(deep + at, "{\"a\":", 5);
                at += 5;
                close[k] = '}';

            } else {
                deep[at++] = '[';
                close[k] = ']';
            }
        }

        deep[at++] = '1';

        for (k = WSCAST_JSON_DEPTH; k--; /* void */) {
            deep[at++] = close[k];
        }

        ok(valid(wscast_str(deep, at)), "mixed levels close as they opened");

        deep[at - 64] ^= '}' ^ ']';
        ok(!valid(wscast_str(deep, at)),
           "a level closed by the other's bracket is refused");
    }
}


static void
test_members(void)
{
    wscast_str_t  s = J(" { \"type\" : \"a\", \"n\":[1, {\"type\":2}] ,"
                        "\"t\\u0079pe\":12345678901234567890 , \"x\":null,"
                        "\"\\ud800\":1, \"caf\\u00e9\":3,"
                        "\"\\ud83d\\ude00\":4, \"q\\\"\":5, \"\":6 } ");
    wscast_json_member_t  m[] = {
        { .name = wscast_string("type") },
        { .name = wscast_string("n") },
        { .name = wscast_string("absent") },
        { .name = wscast_string("caf\xc3\xa9") },
        { .name = wscast_string("\xf0\x9f\x98\x80") },
        { .name = wscast_string("q\"") },
        { .name = wscast_string("") },
        { .name = wscast_string("x") }
    };

    is_int(wscast_json_members(s, m, 8), WSCAST_OK, "members can be cut out");
    is_mem(m[0].value.data, m[0].value.len, "12345678901234567890", 20,
           "of a repeated name the last value counts, digit for digit");
    is_int(m[0].times, 2, "and the repetition is counted");
    is_mem(m[1].value.data, m[1].value.len, "[1, {\"type\":2}]", 15,
           "a value is cut out byte for byte");
    ok(m[2].value.len == 0 && m[2].times == 0, "an absent name has no value");
    is_mem(m[3].value.data, m[3].value.len, "3", 1,
           "a name is compared after decoding its escapes");
    is_mem(m[4].value.data, m[4].value.len, "4", 1,
           "surrogate pairs of a name are decoded");
    is_mem(m[5].value.data, m[5].value.len, "5", 1,
           "a quote in a name is decoded");
    is_mem(m[6].value.data, m[6].value.len, "6", 1, "a name may be empty");
    is_mem(m[7].value.data, m[7].value.len, "null", 4, "null is a value");

    is_int(wscast_json_members(wscast_str("{ } ", 4), m, 8), WSCAST_OK,
           "an empty object is an object");
    ok(m[0].value.len == 0 && m[0].times == 0,
       "what an earlier call found is forgotten");
    is_int(wscast_json_members(wscast_str("[1]", 3), m, 8), WSCAST_ERROR,
           "an array is no object");
    is_int(wscast_json_members(wscast_str("{}{}", 4), m, 8), WSCAST_ERROR,
           "two objects are no object");
    is_int(wscast_json_members(wscast_str("{\"a\":1,}", 8), m, 8),
           WSCAST_ERROR, "a trailing comma is refused");

    ok(wscast_json_is_string(m[0].value) == 0
       && wscast_json_is_string(wscast_str("\"\"", 2)), "strings are told");
    ok(wscast_json_is_number(wscast_str("-1", 2))
       && wscast_json_is_number(wscast_str("0", 1))
       && !wscast_json_is_number(wscast_str("null", 4))
       && !wscast_json_is_number(wscast_str("", 0)), "numbers are told");
}


/* Writes a random value and returns its end; what is written is valid. */

static unsigned char *
random_value(unsigned char *p, int depth)
{
    static const char *const  scalars[] = {
        "null", "true", "false", "0", "-1", "12.5", "1e3", "0.001E-2",
        "9007199254740993", "\"\"", "\"a\"", "\"\\u00e9\"", "\"\\n\\\\\"",
        "\"\\ud83d\\ude00\"", "\"caf\xc3\xa9\""
    };
    static const char *const  spaces[] = { "", "", "", " ", "\n", "\t \r" };

    size_t       n;
    unsigned     kind;
    const char  *s;

#define PUT(text)                                                             \
    (s = (text), memcpy(p, s, strlen(s)), p += strlen(s))

    kind = (unsigned) unit_below(depth ? 4 : 2);
    PUT(spaces[unit_below(6)]);

    if (kind < 2) {
        PUT(scalars[unit_below(15)]);

    } else {
        PUT(kind == 2 ? "[" : "{");

        for (n = unit_below(4); n; n--) {
            if (kind == 3) {
                PUT(spaces[unit_below(6)]);
                PUT("\"k\\t\"");
                PUT(spaces[unit_below(6)]);
                PUT(":");
            }

            p = random_value(p, depth - 1);

            if (n > 1) {
                PUT(",");
            }
        }

        PUT(spaces[unit_below(6)]);
        PUT(kind == 2 ? "]" : "}");
    }

    PUT(spaces[unit_below(6)]);

#undef PUT

    return p;
}


/*
 * cJSON takes more than RFC 8259 allows ("01", control characters in strings),
 * so the comparison goes one way: what we take, it takes.
 */

static void
test_reference(void)
{
    int                   i, wrong, lax, taken;
    cJSON                *json;
    size_t                len, at;
    static unsigned char  text[20000];

    wrong = 0;
    lax = 0;
    taken = 0;

    for (i = 0; i < 20000; i++) {
        len = (size_t) (random_value(text, 4) - text);
        json = cJSON_ParseWithLength((const char *) text, len);
        wrong += json == NULL || !valid(wscast_str(text, len));
        cJSON_Delete(json);

        at = unit_below(len);
        text[at] = (unsigned char) "{}[]:,\"\\01e.-ntf \n"[unit_below(18)];

        if (valid(wscast_str(text, len))) {
            taken++;
            text[len] = '\0';
            json = cJSON_ParseWithOpts((const char *) text, NULL, 1);

            if (json == NULL && memchr(text, '\\', len) == NULL) {
                note("only ours takes: %.*s", (int) len, text);
                lax++;
            }

            cJSON_Delete(json);
        }
    }

    is_int(wrong, 0, "20000 random documents are valid here and in cJSON");
    is_int(lax, 0, "what is valid here after a random change, cJSON takes");
    ok(taken > 100 && taken < 20000, "some of the changes leave a document");
}


static void
test_elements(void)
{
    size_t         i, n;
    char           joined[256];
    unsigned       bad;
    wscast_str_t   array, element;

    static const struct {
        wscast_str_t  array;
        const char   *elements;
    } arrays[] = {
        { J("[]"), "" }, { J("[ \n]"), "" }, { J("[1]"), "1;" },
        { J("[ 1 , 2\t,3 ]"), "1;2;3;" }, { J("[[],[1,2],{}]"),
          "[];[1,2];{};" },
        { J("[\"]\",\",\",\"\\\"\",null]"),
          "\"]\";\",\";\"\\\"\";null;" },
        { J("[{\"a\":[1,{\"b\":\"}\"}]} , -1.5e3]"),
          "{\"a\":[1,{\"b\":\"}\"}]};-1.5e3;" }
    };

    bad = 0;

    for (i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        n = arrays[i].array.len;
        array = wscast_str(memcpy(unit_guard(n), arrays[i].array.data, n), n);
        joined[0] = '\0';
        n = 0;

        while (wscast_json_element(&array, &element)) {
            n += (size_t) snprintf(joined + n, sizeof(joined) - n, "%.*s;",
                                   (int) element.len, element.data);
        }

        bad += strcmp(joined, arrays[i].elements) != 0
               || wscast_json_element(&array, &element);
    }

    is_int(bad, 0, "the elements of an array are cut off one by one");

    array = wscast_str(NULL, 0);
    ok(!wscast_json_element(&array, &element), "what is absent has none");
}


int
main(void)
{
    test_lists();
    test_elements();
    test_depth();
    test_members();
    test_reference();

    return done();
}
