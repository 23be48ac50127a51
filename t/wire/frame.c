/* wire/frame: the header grammar of RFC 6455, 5.2, under every cut. */

#include "../lib/unit.h"

#include "../../src/wire/frame.c"


/* The header in pieces of 1 to most bytes; where it ended. */

static wscast_status_t
parse(wscast_frame_t *f, const unsigned char *h, size_t len, unsigned rsv,
    size_t most, size_t *at)
{
    size_t                 n, i;
    wscast_status_t        rc;
    unsigned char         *piece;
    const unsigned char   *p;

    wscast_frame_init(f);
    rc = WSCAST_MORE;

    for (i = 0; i < len && rc == WSCAST_MORE; /* void */ ) {
        n = most == 1 ? 1 : 1 + unit_below(most);
        n = n < len - i ? n : len - i;

        piece = unit_guard(n);
        memcpy(piece, h + i, n);

        p = piece;
        rc = wscast_frame_parse(f, &p, piece + n, rsv);
        i += (size_t) (p - piece);

        if (rc == WSCAST_MORE && p != piece + n) {
            rc = WSCAST_ERROR;
        }
    }

    *at = i;

    return rc;
}


/* Whole, byte by byte and at random cuts: the same end at the same place. */

static int
parses(const unsigned char *h, size_t len, unsigned rsv, wscast_status_t want,
    size_t want_at, wscast_frame_t *out)
{
    int              i;
    size_t           at;
    wscast_frame_t   f;
    wscast_status_t  rc;

    for (i = 0; i < 8; i++) {
        rc = parse(&f, h, len, rsv, i ? (size_t) (2 * i - 1) : len + 1, &at);

        if (rc != want || at != want_at) {
            note("status %d at %zu, wanted %d at %zu", rc, at, want, want_at);
            return 0;
        }
    }

    if (out) {
        *out = f;
    }

    return 1;
}


/* What RFC 6455 says about the first byte, and where the error shows. */

static wscast_status_t
first_byte(unsigned c, unsigned rsv)
{
    static const wscast_status_t  ops[16] = {
        0, 0, 0,
        WSCAST_CLOSE_RESERVED_OPCODE, WSCAST_CLOSE_RESERVED_OPCODE,
        WSCAST_CLOSE_RESERVED_OPCODE, WSCAST_CLOSE_RESERVED_OPCODE,
        WSCAST_CLOSE_RESERVED_OPCODE,
        0, 0, 0,
        WSCAST_CLOSE_RESERVED_OPCODE, WSCAST_CLOSE_RESERVED_OPCODE,
        WSCAST_CLOSE_RESERVED_OPCODE, WSCAST_CLOSE_RESERVED_OPCODE,
        WSCAST_CLOSE_RESERVED_OPCODE
    };

    if ((c & 0x40 && !(rsv & 0x40))
        || (c & 0x20 && !(rsv & 0x20))
        || (c & 0x10 && !(rsv & 0x10)))
    {
        return WSCAST_CLOSE_RESERVED_BITS;
    }

    if (ops[c & 15]) {
        return ops[c & 15];
    }

    if (c & 0x70 && (c & 15) != 1 && (c & 15) != 2) {
        return WSCAST_CLOSE_RESERVED_BITS;
    }

    if ((c & 15) >= 8 && c < 0x80) {
        return WSCAST_CLOSE_CONTROL_FRAGMENT;
    }

    return WSCAST_OK;
}


static void
test_first_two(void)
{
    int              good;
    size_t           at, r;
    unsigned         c, d;
    unsigned char    h[14];
    wscast_frame_t   f;
    wscast_status_t  want;

    static const unsigned  rsvs[] = { 0, 0x40, 0x70 };

    good = 1;
    memset(h, 0, sizeof(h));

    for (r = 0; r < 3; r++) {
        for (c = 0; c < 256; c++) {
            h[0] = (unsigned char) c;
            h[1] = 0x80;
            want = first_byte(c, rsvs[r]);
            good &= parses(h, 6, rsvs[r], want, want ? 1 : 6, &f);

            if (want == WSCAST_OK) {
                good &= f.fin == c >> 7 && f.opcode == (c & 15)
                        && f.rsv == (c & 0x70) && f.length == 0;
            }
        }
    }

    ok(good, "all opcodes, fin and reserved bits are judged by the first byte");

    good = 1;

    for (c = 0; c < 256; c++) {
        if (first_byte(c, 0)) {
            continue;
        }

        for (d = 0; d < 256; d++) {
            h[0] = (unsigned char) c;
            h[1] = (unsigned char) d;
            at = 2;

            if ((c & 8) && (d & 0x7f) > 125) {
                want = WSCAST_CLOSE_CONTROL_LENGTH;

            } else if (d < 0x80) {
                want = WSCAST_CLOSE_UNMASKED;

            } else if (d == 0xfe) {
                want = WSCAST_CLOSE_LENGTH_MINIMAL;
                at = 4;

            } else if (d == 0xff) {
                want = WSCAST_CLOSE_LENGTH_MINIMAL;
                at = 8;

            } else {
                want = WSCAST_OK;
                at = 6;
            }

            good &= parses(h, 14, 0, want, at, &f);

            if (want == WSCAST_OK) {
                good &= f.length == (d & 0x7f);
            }
        }
    }

    ok(good, "all second bytes are judged: lengths of control frames, mask, "
       "length");
}


static void
test_lengths(void)
{
    int             good;
    size_t          i, n;
    uint64_t        len;
    unsigned char   h[14];
    wscast_frame_t  f;

    static const uint64_t  lens[] = {
        0, 1, 124, 125, 126, 127, 128, 255, 256, 65534, 65535, 65536, 65537,
        0xffffff, 0x1000000, 0xffffffffull, 0x100000000ull,
        0xffffffffffffull, 0x1000000000000ull, 0x7fffffffffffffffull
    };

    for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        n = wscast_frame_header(h, WSCAST_FRAME_FIN, WSCAST_OP_BINARY,
                                lens[i]);
        h[1] |= 0x80;
        memcpy(h + n, "\x11\x22\x33\x44", 4);

        ok(n == (lens[i] < 126 ? 2u : lens[i] < 65536 ? 4u : 10u)
           && parses(h, n + 4, 0, WSCAST_OK, n + 4, &f)
           && f.length == lens[i]
           && memcmp(f.key, "\x11\x22\x33\x44", 4) == 0,
           "a length of %llu is written in %zu bytes and read back",
           (unsigned long long) lens[i], n);
    }

    good = 1;

    for (len = 0; len < 65536; len++) {
        h[0] = 0x82;
        h[1] = 0xfe;
        h[2] = (unsigned char) (len >> 8);
        h[3] = (unsigned char) len;
        memset(h + 4, 0, 4);

        good &= parses(h, 8, 0,
                       len < 126 ? WSCAST_CLOSE_LENGTH_MINIMAL : WSCAST_OK,
                       len < 126 ? 4 : 8, &f);
        good &= len < 126 || f.length == len;
    }

    ok(good, "16 bits hold 126 and more, less is not minimal");

    for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        h[0] = 0x82;
        h[1] = 0xff;

        for (n = 0; n < 8; n++) {
            h[2 + n] = (unsigned char) (lens[i] >> (56 - 8 * n));
        }

        memset(h + 10, 0, 4);

        good = parses(h, 14, 0,
                      lens[i] < 65536 ? WSCAST_CLOSE_LENGTH_MINIMAL
                                      : WSCAST_OK,
                      lens[i] < 65536 ? 8 : 14, &f);

        ok(good && (lens[i] < 65536 || f.length == lens[i]),
           "64 bits that say %llu are %s", (unsigned long long) lens[i],
           lens[i] < 65536 ? "not minimal" : "read");
    }

    memcpy(h, "\x82\xff\x80\0\0\0\0\1\0\0", 10);
    ok(parses(h, 14, 0, WSCAST_CLOSE_LENGTH_RANGE, 3, NULL),
       "a 64th bit is out of range at once");
    memset(h + 2, 0xff, 12);
    ok(parses(h, 14, 0, WSCAST_CLOSE_LENGTH_RANGE, 3, NULL),
       "so is the greatest number of 64 bits");
}


static void
test_incremental(void)
{
    size_t                at;
    wscast_frame_t        f;
    const unsigned char  *p;

    static const unsigned char  h[] = "\x81\xfe\x01\x00" "KEY!" "payload";

    ok(parses(h, sizeof(h) - 1, 0, WSCAST_OK, 8, &f),
       "a header ends where its payload begins");
    is_int(f.length, 256, "its length is read");

    for (at = 0; at < 8; at++) {
        ok(parses(h, at, 0, WSCAST_MORE, at, NULL),
           "%zu bytes of a header of 8 ask for more", at);
    }

    wscast_frame_init(&f);
    p = h;
    is_int(wscast_frame_parse(&f, &p, h, 0), WSCAST_MORE,
           "no bytes at all ask for more");
    ok(p == h, "and move nothing");
    is_int(f.state, WSCAST_AWAIT_OPCODE, "an opcode is still awaited");
}


static void
test_write(void)
{
    unsigned char  h[10];

    is_int(wscast_frame_header(h, WSCAST_FRAME_FIN, WSCAST_OP_TEXT, 5), 2,
           "a header for 5 bytes takes 2");
    is_mem(h, 2, "\x81\x05", 2, "it is that of RFC 6455, 5.7");

    is_int(wscast_frame_header(h, WSCAST_FRAME_FIN, WSCAST_OP_BINARY, 256), 4,
           "a header for 256 bytes takes 4");
    is_mem(h, 4, "\x82\x7e\x01\x00", 4, "it is that of RFC 6455, 5.7");

    is_int(wscast_frame_header(h, WSCAST_FRAME_FIN, WSCAST_OP_BINARY, 65536),
           10, "a header for 64 KB takes 10");
    is_mem(h, 10, "\x82\x7f\0\0\0\0\0\1\0\0", 10,
           "it is that of RFC 6455, 5.7");

    wscast_frame_header(h, 0, WSCAST_OP_TEXT, 3);
    is_mem(h, 2, "\x01\x03", 2, "a first fragment has no FIN");

    wscast_frame_header(h, WSCAST_FRAME_FIN|WSCAST_FRAME_RSV1,
                        WSCAST_OP_TEXT, 125);
    is_mem(h, 2, "\xc1\x7d", 2, "RSV1 is written");
}


int
main(void)
{
    test_first_two();
    test_lengths();
    test_incremental();
    test_write();

    return done();
}
