/* wire/mask: the fast path against the plain one. */

#include "../lib/unit.h"

#include "../../src/wire/mask.c"


#define BIG  (300 * 1024)


static unsigned char  plain[BIG];


/* Both over the same random bytes, the fast one at p. */

static int
agrees(unsigned char *p, size_t len, unsigned phase)
{
    unsigned       a, b;
    unsigned char  key[4];

    unit_fill(key, 4);
    unit_fill(p, len);

    if (len) {
        memcpy(plain, p, len);
    }

    a = wscast_mask(p, len, key, phase);
    b = wscast_mask_plain(plain, len, key, phase);

    return a == b && (len == 0 || memcmp(p, plain, len) == 0);
}


static void
test_reference(void)
{
    unsigned char        s[] = "Hello";
    const unsigned char  key[4] = { 0x37, 0xfa, 0x21, 0x3d };

    is_int(wscast_mask_plain(s, 5, key, 0), 1, "five bytes end at phase 1");
    is_mem(s, 5, "\x7f\x9f\x4d\x51\x58", 5,
           "the plain one masks Hello as in RFC 6455, 5.7");
    is_int(wscast_mask(s, 5, key, 0), 1, "the fast one ends at phase 1 too");
    is_mem(s, 5, "Hello", 5, "it unmasks Hello");
    is_int(wscast_mask(NULL, 0, key, 3), 3, "no bytes leave the phase");
    is_int(wscast_mask(NULL, 0, key, 7), 3, "which is always below 4");
}


static void
test_agrees(void)
{
    int             good;
    size_t          len, align;
    unsigned        phase;
    unsigned char  *p;

    good = 1;

    for (align = 0; align < 16; align++) {
        for (len = 0; len <= 300; len++) {
            for (phase = 0; phase < 4; phase++) {
                good &= agrees(unit_guard_start(400) + align, len, phase);
            }
        }
    }

    ok(good, "0 to 300 bytes at all alignments and phases agree");

    good = 1;

    for (len = 0; len <= 300; len++) {
        for (phase = 0; phase < 8; phase++) {
            good &= agrees(unit_guard(len), len, phase);
            good &= agrees(unit_guard_start(len), len, phase);
        }
    }

    ok(good, "0 to 300 bytes right beside unmapped pages agree");

    good = 1;

    for (len = 0; len <= 100; len++) {
        p = unit_guard_start(200);
        memset(p, 0x5a, 200);
        agrees(p + 30, len, 1);

        for (align = 0; align < 30; align++) {
            good &= p[align] == 0x5a && p[30 + len + align] == 0x5a;
        }
    }

    ok(good, "the bytes before and behind are left alone");

    good = 1;

    for (align = 0; align < 40; align++) {
        len = BIG - unit_below(1000);
        good &= agrees(unit_guard(len), len, (unsigned) align & 3);
    }

    ok(good, "300 KB agree");
}


/* In pieces, each with the phase the last one returned. */

static void
test_pieces(void)
{
    int            good, round;
    size_t         n, k;
    unsigned       phase;
    unsigned char  key[4], s[700];

    good = 1;

    for (round = 0; round < 500; round++) {
        unit_fill(key, 4);
        unit_fill(s, sizeof(s));
        memcpy(plain, s, sizeof(s));
        wscast_mask_plain(plain, sizeof(s), key, 0);
        phase = 0;

        for (n = 0; n < sizeof(s); n += k) {
            k = 1 + unit_below(round % 2 ? 8 : 90);
            k = k < sizeof(s) - n ? k : sizeof(s) - n;
            phase = wscast_mask(s + n, k, key, phase);
        }

        good &= memcmp(s, plain, sizeof(s)) == 0;
    }

    ok(good, "random pieces, phase handed on, are the same as one");
}


int
main(void)
{
    test_reference();
    test_agrees();
    test_pieces();

    return done();
}
