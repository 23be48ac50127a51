/* base/utf8: the fast validator, the plain one, and RFC 3629's table agree. */

#include "../lib/unit.h"

#include "../../src/base/utf8.c"


/*
 * RFC 3629, 4, as a table of whole characters; and how many bytes of s may
 * begin UTF-8: the position of the first impossible byte, or len.
 */

static const struct {
    unsigned char  from[4];
    unsigned char  to[4];
    unsigned       len;
} forms[] = {
    { { 0x00 },                   { 0x7f },                   1 },
    { { 0xc2, 0x80 },             { 0xdf, 0xbf },             2 },
    { { 0xe0, 0xa0, 0x80 },       { 0xe0, 0xbf, 0xbf },       3 },
    { { 0xe1, 0x80, 0x80 },       { 0xec, 0xbf, 0xbf },       3 },
    { { 0xed, 0x80, 0x80 },       { 0xed, 0x9f, 0xbf },       3 },
    { { 0xee, 0x80, 0x80 },       { 0xef, 0xbf, 0xbf },       3 },
    { { 0xf0, 0x90, 0x80, 0x80 }, { 0xf0, 0xbf, 0xbf, 0xbf }, 4 },
    { { 0xf1, 0x80, 0x80, 0x80 }, { 0xf3, 0xbf, 0xbf, 0xbf }, 4 },
    { { 0xf4, 0x80, 0x80, 0x80 }, { 0xf4, 0x8f, 0xbf, 0xbf }, 4 },
};


/* How many bytes of s fit the form, at most its length. */

static size_t
fits(unsigned form, const unsigned char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len && i < forms[form].len; i++) {
        if (s[i] < forms[form].from[i] || s[i] > forms[form].to[i]) {
            break;
        }
    }

    return i;
}


static size_t
reference(const unsigned char *s, size_t len, int *whole)
{
    size_t    i, n, best;
    unsigned  form, ends;

    *whole = 1;

    for (i = 0; i < len; i += best) {
        best = 0;
        ends = 0;

        for (form = 0; form < sizeof(forms) / sizeof(forms[0]); form++) {
            n = fits(form, s + i, len - i);

            if (n > best) {
                best = n;
                ends = (n == forms[form].len);
            }
        }

        if (!ends) {
            *whole = 0;
            return i + best;
        }
    }

    return len;
}


typedef wscast_status_t (*feed_pt)(wscast_utf8_t *u, const unsigned char *p,
    size_t len);


/* Where a validator fails when it is fed byte by byte; len: it does not. */

static size_t
fails_at(feed_pt feed, const unsigned char *s, size_t len, int *whole)
{
    size_t         i;
    wscast_utf8_t  u;

    wscast_utf8_init(&u);
    *whole = 0;

    for (i = 0; i < len; i++) {
        if (feed(&u, s + i, 1) != WSCAST_OK) {
            return i;
        }
    }

    *whole = (u.need == 0);

    return len;
}


/* All ways of feeding s agree with the table. */

static int
agrees(const unsigned char *s, size_t len)
{
    int              whole, got;
    size_t           at, cut;
    wscast_utf8_t    u, v;
    wscast_status_t  rc;

    at = reference(s, len, &whole);

    if (fails_at(wscast_utf8_feed, s, len, &got) != at || got != whole) {
        return 0;
    }

    if (fails_at(wscast_utf8_feed_plain, s, len, &got) != at || got != whole) {
        return 0;
    }

    if (wscast_utf8_valid(wscast_str(s, len)) != whole) {
        return 0;
    }

    rc = at == len ? WSCAST_OK : WSCAST_ERROR;

    for (cut = 0; cut <= len; cut += 1 + len / 8) {
        wscast_utf8_init(&u);
        wscast_utf8_init(&v);

        if (wscast_utf8_feed(&u, s, cut)
            != (cut <= at ? WSCAST_OK : WSCAST_ERROR))
        {
            return 0;
        }

        if (cut <= at && wscast_utf8_feed(&u, s + cut, len - cut) != rc) {
            return 0;
        }

        if (wscast_utf8_feed_plain(&v, s, len) != rc) {
            return 0;
        }

        if (rc == WSCAST_OK && (u.need != v.need || u.low != v.low
                                || u.high != v.high))
        {
            return 0;
        }
    }

    return 1;
}


static void
test_short(void)
{
    int            good;
    size_t         i, j;
    unsigned       n, m, k;
    unsigned char  s[4];

    static const unsigned char  edge[] = { 0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f,
                                           0xa0, 0xbf, 0xc0, 0xff };

    memset(s, 0, sizeof(s));
    good = agrees(s, 0);

    for (n = 0; n < 256; n++) {
        s[0] = (unsigned char) n;
        good &= agrees(s, 1);
    }

    ok(good, "all texts of no byte and of one byte agree with the table");

    good = 1;

    for (n = 0; n < 65536; n++) {
        s[0] = (unsigned char) (n >> 8);
        s[1] = (unsigned char) n;
        good &= agrees(s, 2);
    }

    ok(good, "all texts of two bytes agree with the table");

    good = 1;

    for (n = 0; n < 65536; n++) {
        for (i = 0; i < sizeof(edge); i++) {
            s[0] = (unsigned char) (n >> 8);
            s[1] = (unsigned char) n;
            s[2] = edge[i];
            good &= agrees(s, 3);
        }
    }

    ok(good, "all first and second bytes with the edges of a third agree");

    good = 1;

    for (n = 0xe0; n < 0x100; n++) {
        for (m = 0; m < 256; m++) {
            for (i = 0; i < sizeof(edge); i++) {
                for (j = 0; j < sizeof(edge); j++) {
                    s[0] = (unsigned char) n;
                    s[1] = (unsigned char) m;
                    s[2] = edge[i];
                    s[3] = edge[j];
                    good &= agrees(s, 4);
                }
            }
        }
    }

    ok(good, "first bytes from E0 on, any second, the edges of two more agree");

    good = 1;

    for (k = 0; k <= 0x10ffff; k++) {

        if (k < 0x80) {
            s[0] = (unsigned char) k;
            n = 1;

        } else if (k < 0x800) {
            s[0] = (unsigned char) (0xc0 | k >> 6);
            s[1] = (unsigned char) (0x80 | (k & 63));
            n = 2;

        } else if (k < 0x10000) {
            s[0] = (unsigned char) (0xe0 | k >> 12);
            s[1] = (unsigned char) (0x80 | (k >> 6 & 63));
            s[2] = (unsigned char) (0x80 | (k & 63));
            n = 3;

        } else {
            s[0] = (unsigned char) (0xf0 | k >> 18);
            s[1] = (unsigned char) (0x80 | (k >> 12 & 63));
            s[2] = (unsigned char) (0x80 | (k >> 6 & 63));
            s[3] = (unsigned char) (0x80 | (k & 63));
            n = 4;
        }

        good &= wscast_utf8_valid(wscast_str(s, n))
                == !(k >= 0xd800 && k <= 0xdfff);
    }

    ok(good, "every code point is valid, every surrogate is not");
}


static void
test_named(void)
{
    size_t  i;
    static const struct {
        const char  *s;
        int          valid;
        size_t       at;
        const char  *what;
    } cases[] = {
        { "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", 1, 11,
          "the Greek word kosme" },
        { "\xef\xbf\xbe\xef\xbf\xbf", 1, 6, "the noncharacters FFFE and FFFF" },
        { "\xf4\x8f\xbf\xbf", 1, 4, "the last code point" },
        { "\xef\xbb\xbf", 1, 3, "a byte order mark" },
        { "\x80", 0, 0, "a lone continuation byte" },
        { "a\xbf", 0, 1, "a lone continuation byte after ASCII" },
        { "\xc3 ", 0, 1, "a lead byte before a space" },
        { "\xe2\x82", 0, 2, "a cut character of three bytes" },
        { "\xf0\x9f\x98", 0, 3, "a cut character of four bytes" },
        { "\xe2\x82\xc3\xa9", 0, 2, "a character cut by the next one" },
        { "\xc0\xaf", 0, 0, "an overlong slash in two bytes" },
        { "\xe0\x80\xaf", 0, 1, "an overlong slash in three bytes" },
        { "\xf0\x80\x80\xaf", 0, 1, "an overlong slash in four bytes" },
        { "\xf8\x80\x80\x80\xaf", 0, 0, "an overlong slash in five bytes" },
        { "\xc1\xbf", 0, 0, "the greatest overlong form in two bytes" },
        { "\xe0\x9f\xbf", 0, 1, "the greatest overlong form in three bytes" },
        { "\xf0\x8f\xbf\xbf", 0, 1, "the greatest overlong form in four" },
        { "\xed\x9f\xbf", 1, 3, "the last code point before the surrogates" },
        { "\xed\xa0\x80", 0, 1, "the first high surrogate" },
        { "\xed\xaf\xbf\xed\xb0\x80", 0, 1, "a pair of surrogates" },
        { "\xed\xbf\xbf", 0, 1, "the last low surrogate" },
        { "\xee\x80\x80", 1, 3, "the first code point after the surrogates" },
        { "\xf4\x90\x80\x80", 0, 1, "the code point 110000" },
        { "\xf5\x80\x80\x80", 0, 0, "a lead byte F5" },
        { "\xfe", 0, 0, "the byte FE" },
        { "\xff", 0, 0, "the byte FF" },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const unsigned char  *s = (const unsigned char *) cases[i].s;
        size_t                len = strlen(cases[i].s);
        int                   whole;

        ok(agrees(s, len)
           && wscast_utf8_valid(wscast_str(s, len)) == cases[i].valid
           && fails_at(wscast_utf8_feed, s, len, &whole) == cases[i].at,
           "%s is %s, as far as byte %zu", cases[i].what,
           cases[i].valid ? "valid" : "invalid", cases[i].at);
    }

    ok(wscast_utf8_valid(wscast_str("a\0b", 3)), "a zero byte is valid");
    ok(wscast_utf8_valid(wscast_str(NULL, 0)), "nothing at all is valid");
}


/*
 * ASCII with one character at every place, at every alignment, right before
 * an unmapped page: the 16 byte steps neither miss it nor read too far.
 */

static void
test_long(void)
{
    int             good;
    size_t          len, at, i, n;
    unsigned char  *s;

    static const struct {
        const char  *s;
        size_t       len;
    } chars[] = { { "\x80", 1 }, { "\xc3\xa9", 2 }, { "\xe2\x82\xac", 3 },
                  { "\xf0\x9f\x98\x80", 4 }, { "\xed\xa0\x80", 3 },
                  { "\xe2\x82", 2 } };

    good = 1;

    for (len = 0; len <= 300; len++) {
        s = unit_guard(len);
        memset(s, 'a', len);
        good &= wscast_utf8_valid(wscast_str(s, len)) == 1;

        s = unit_guard_start(len);
        memset(s, 'a', len);
        good &= wscast_utf8_valid(wscast_str(s, len)) == 1;
    }

    ok(good, "ASCII of 0 to 300 bytes is valid beside unmapped pages");

    good = 1;

    for (len = 1; len <= 80; len++) {
        for (at = 0; at < len; at++) {
            for (i = 0; i < sizeof(chars) / sizeof(chars[0]); i++) {
                n = chars[i].len < len - at ? chars[i].len : len - at;

                s = unit_guard(len);
                memset(s, 'a', len);
                memcpy(s + at, chars[i].s, n);
                good &= agrees(s, len);
            }
        }
    }

    ok(good, "a character at any place of up to 80 bytes is judged as by the "
       "table");

    good = 1;

    for (i = 0; i < 16; i++) {
        s = unit_guard_start(400) + i;

        for (len = 0; len <= 300; len++) {
            memset(s, 'z', len);

            if (len > 3) {
                memcpy(s + unit_below(len - 3),
                       chars[unit_below(4)].s, 2);
            }

            good &= agrees(s, len);
        }
    }

    ok(good, "lengths 0 to 300 at all alignments are judged as by the table");
}


/* Mostly valid text, then one byte of it changed. */

static void
test_random(void)
{
    int             good, whole;
    size_t          len, round, n;
    wscast_utf8_t   u, v;
    unsigned char  *s;

    static const char *const  chars[] = { "a", "hello, world. ", "\xc3\xa9",
                                          "\xd0\xb6", "\xe2\x82\xac",
                                          "\xed\x9f\xbf", "\xf0\x9f\x98\x80" };

    good = 1;

    for (round = 0; round < 400; round++) {
        s = unit_guard_start(70000);
        n = unit_below(round % 20 ? 400 : 70000);

        for (len = 0; len < n; /* void */ ) {
            const char  *c = chars[unit_below(7)];

            memcpy(s + len, c, strlen(c));
            len += strlen(c);
        }

        memmove(unit_guard(len), s, len);
        s = unit_guard(len);

        good &= wscast_utf8_valid(wscast_str(s, len)) == 1;

        if (len) {
            s[unit_below(len)] = (unsigned char) unit_random();
        }

        reference(s, len, &whole);
        good &= wscast_utf8_valid(wscast_str(s, len)) == whole;
        good &= agrees(s, len);

        wscast_utf8_init(&u);
        wscast_utf8_init(&v);

        for (n = 0; n < len; /* void */ ) {
            size_t           k = 1 + unit_below(len - n);
            wscast_status_t  a = wscast_utf8_feed(&u, s + n, k);
            wscast_status_t  b = wscast_utf8_feed_plain(&v, s + n, k);

            good &= (a == b);
            n += k;

            if (a != WSCAST_OK || b != WSCAST_OK) {
                break;
            }
        }
    }

    ok(good, "random texts with one byte changed agree at random cuts");
}


int
main(void)
{
    test_short();
    test_named();
    test_long();
    test_random();

    return done();
}
