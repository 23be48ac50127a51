/* base/pattern: '*' of an operator matches anything, any other byte itself. */

#include "../lib/unit.h"
#include "../../src/base/utf8.c"
#include "../../src/base/pattern.c"


static const struct {
    const char    *pattern;
    const char    *name;
    int            match;
} cases[] = {
    { "",            "",              1 },
    { "",            "a",             0 },
    { "*",           "",              1 },
    { "*",           "anything",      1 },
    { "**",          "",              1 },
    { "room:7",      "room:7",        1 },
    { "room:7",      "room:77",       0 },
    { "room:7",      "room:",         0 },
    { "room:7",      "Room:7",        0 },
    { "room:*",      "room:",         1 },
    { "room:*",      "room:7:x",      1 },
    { "room:*",      "room",          0 },
    { "room:*",      "xroom:7",       0 },
    { "*:7",         "room:7",        1 },
    { "*:7",         "room:7:7",      1 },
    { "*:7",         "room:78",       0 },
    { "a*b*c",       "abc",           1 },
    { "a*b*c",       "aXbYbZc",       1 },
    { "a*b*c",       "aXbYbZcd",      0 },
    { "a*b*c",       "acb",           0 },
    { "a**b",        "ab",            1 },
    { "*aab",        "aaaaab",        1 },
    { "*a*a*a*a*b",  "aaaaaaaaaaaaa", 0 },
    { "room.*",      "room:7",        0 },
    { "[a-z]?",      "[a-z]?",        1 },
    { "?",           "a",             0 },
    { "caf\xc3\xa9*", "caf\xc3\xa9:1", 1 }
};


/* What a pattern means, written so that it cannot be wrong. */

static int
plain_match(const unsigned char *p, size_t pn, const unsigned char *s,
    size_t sn)
{
    if (pn == 0) {
        return sn == 0;
    }

    if (*p == WSCAST_WILD) {
        return plain_match(p + 1, pn - 1, s, sn)
               || (sn && plain_match(p, pn, s + 1, sn - 1));
    }

    return sn && *p == *s && plain_match(p + 1, pn - 1, s + 1, sn - 1);
}


static void
test_match(void)
{
    size_t          i, pn, sn;
    unsigned char  *p;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pn = strlen(cases[i].pattern);
        sn = strlen(cases[i].name);

        p = malloc(pn + 1);
        memcpy(p, cases[i].pattern, pn);
        wscast_pattern_compile(p, pn);

        memcpy(unit_guard(sn), cases[i].name, sn);

        is_int(wscast_pattern_match(wscast_str(p, pn),
                                    wscast_str(unit_guard(sn), sn)),
               cases[i].match, "\"%s\" %s \"%s\"", cases[i].pattern,
               cases[i].match ? "matches" : "does not match", cases[i].name);
        free(p);
    }
}


static void
test_random(void)
{
    int            i, wrong, matched;
    size_t         k, pn, sn;
    unsigned char  p[8], s[12];

    wrong = 0;
    matched = 0;

    for (i = 0; i < 200000; i++) {
        pn = unit_below(sizeof(p) + 1);
        sn = unit_below(sizeof(s) + 1);

        for (k = 0; k < pn; k++) {
            p[k] = "ab\1"[unit_below(3)];
        }

        for (k = 0; k < sn; k++) {
            s[k] = "ab"[unit_below(2)];
        }

        k = wscast_pattern_match(wscast_str(p, pn), wscast_str(s, sn));
        matched += (int) k;
        wrong += (int) k != plain_match(p, pn, s, sn);
    }

    is_int(wrong, 0, "200000 random patterns agree with the definition");
    ok(matched > 20000, "a fair part of the random patterns matches");
}


/* Many wildcards must not multiply the work. */

static void
test_worst(void)
{
    size_t                i;
    static unsigned char  p[400], s[100000];

    for (i = 0; i < sizeof(p); i++) {
        p[i] = i % 2 ? 'a' : WSCAST_WILD;
    }

    p[sizeof(p) - 1] = 'b';
    memset(s, 'a', sizeof(s));

    ok(!wscast_pattern_match(wscast_str(p, sizeof(p)),
                             wscast_str(s, sizeof(s))),
       "200 wildcards against 100000 bytes end soon");
}


static void
test_compile(void)
{
    unsigned char  s[] = "a*b**";
    unsigned char  own[] = "a*\001b";
    unsigned char  star[] = "room:*";

    is_int(wscast_pattern_compile(s, 5), 3, "each '*' is compiled");
    is_mem(s, 5, "a\1b\1\1", 5, "'*' becomes the wildcard byte, in place");

    is_int(wscast_pattern_compile(own, 4), -1,
           "a pattern with a wildcard byte of its own is refused");
    is_mem(own, 4, "a*\001b", 4, "a refused pattern is left as it was");
    is_int(wscast_pattern_compile(s, 0), 0, "an empty pattern is compiled");

    ok(wscast_pattern_match(wscast_str(star, 6), wscast_str("room:*", 6))
       && !wscast_pattern_match(wscast_str(star, 6), wscast_str("room:7", 6)),
       "a '*' that was not compiled matches only itself");
}


static int
valid(const char *name, size_t len, size_t max)
{
    memcpy(unit_guard(len), name, len);
    return wscast_channel_valid(wscast_str(unit_guard(len), len), max);
}


static void
test_channel(void)
{
    int   c, wrong;
    char  name[3];

    ok(valid("room:7", 6, 200), "a plain name is a channel");
    ok(valid("room:7", 6, 6), "a name of the greatest length is a channel");
    ok(!valid("room:7", 6, 5), "a longer name is not");
    ok(!valid("", 0, 200), "the empty name is not a channel");
    ok(valid("caf\xc3\xa9 \xf0\x9f\x98\x80", 10, 200),
       "a name may hold any character of UTF-8");
    ok(!valid("caf\xc3", 4, 200), "a name may not end inside a character");
    ok(!valid("\xc0\x80", 2, 200), "an overlong form is no name");
    ok(!valid("\xed\xa0\x80", 3, 200), "a surrogate is no name");

    wrong = 0;

    for (c = 0; c < 128; c++) {
        memcpy(name, "a.b", 3);
        name[1] = (char) c;
        wrong += valid(name, 3, 200) != (c >= 0x20 && c != 0x7f);
    }

    is_int(wrong, 0, "control characters, and only they, are refused");
}


int
main(void)
{
    test_match();
    test_random();
    test_worst();
    test_compile();
    test_channel();

    return done();
}
