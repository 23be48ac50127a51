/* wire/deflate: against zlib's own functions, under every cut and failure. */
/* libs: -lz */

#include "../lib/unit.h"

#include "../../src/wire/deflate.c"


#define MOST  70000             /* bytes of a message here */


static const unsigned char  tail[4] = { 0, 0, 0xff, 0xff };


/* Bytes as a chat has them: the same words again and again. */

static void
words(unsigned char *p, size_t len)
{
    size_t       i, n;
    const char  *w;

    static const char  *word[] = {
        "{\"type\":\"message\",", "\"channel\":\"room:", "\"data\":", "hello ",
        "there", "\"user\":\"ann\"", "}", "\"time\":17", "0", "42", "7", ","
    };

    for (i = 0; i < len; i += n) {
        w = word[unit_below(12)];
        n = strlen(w) < len - i ? strlen(w) : len - i;
        memcpy(p + i, w, n);
    }
}


/*
 * uncompress() takes a header, final blocks and a checksum: what was packed is
 * clothed so.
 */

static int
unpacks_to(wscast_str_t packed, unsigned bits, const unsigned char *message,
    size_t len)
{
    int                    good;
    uLong                  sum;
    uLongf                 n;
    size_t                 at;
    static unsigned char   z[MOST + 100], out[MOST + 1];

    z[0] = (unsigned char) (((bits - 8) << 4) | 8);
    z[1] = (unsigned char) (31 - (z[0] * 256) % 31);
    at = 2;

    memcpy(z + at, packed.data, packed.len);
    at += packed.len;
    memcpy(z + at, "\x00\x00\xff\xff\x03\x00", 6);
    at += 6;

    sum = adler32(1, message, (uInt) len);
    z[at++] = (unsigned char) (sum >> 24);
    z[at++] = (unsigned char) (sum >> 16);
    z[at++] = (unsigned char) (sum >> 8);
    z[at++] = (unsigned char) sum;

    n = sizeof(out);
    good = uncompress(out, &n, z, at) == Z_OK;

    return good && n == len && memcmp(out, message, len) == 0;
}


static void
test_pack(void)
{
    int                i, good, level, smaller;
    size_t             n;
    unsigned           bits;
    unsigned char     *p;
    wscast_str_t       packed;
    wscast_deflate_t  *d;

    d = wscast_deflate_create();
    good = 1;
    smaller = 0;

    for (i = 0; i < 600 && good; i++) {
        n = unit_below(i % 3 ? 2000 : MOST) + 1;
        bits = i % 2 ? WSCAST_WINDOW_BITS : WSCAST_WINDOW_SMALL;
        level = 1 + (i / 2) % 9;

        p = unit_guard(n);
        words(p, n);

        packed = wscast_deflate(d, bits, level, wscast_str(p, n));

        if (packed.len) {
            smaller++;
            good = packed.len < n && unpacks_to(packed, bits, p, n);
        }
    }

    ok(good, "what is packed is what uncompress() finds in it");
    ok(smaller > 550, "and is smaller, %d times of 600", smaller);

    good = 1;

    for (i = 0; i < 200 && good; i++) {
        n = unit_below(2000);
        p = unit_guard(n);
        unit_fill(p, n);
        packed = wscast_deflate(d, WSCAST_WINDOW_BITS, 6, wscast_str(p, n));
        good = packed.len == 0;
    }

    ok(good, "noise is not packed");

    packed = wscast_deflate(d, WSCAST_WINDOW_BITS, 6, wscast_str(NULL, 0));
    is_int(packed.len, 0, "nothing is not packed");

    wscast_deflate_destroy(d);
    wscast_deflate_destroy(NULL);
    is_int(unit_live, 0, "nothing is left");
}


/* By a window of 512 bytes nothing farther away can be told. */

static void
test_small_window(void)
{
    unsigned char      p[1600];
    wscast_str_t       large, small;
    wscast_deflate_t  *d;

    d = wscast_deflate_create();

    unit_fill(p, 800);
    memcpy(p + 800, p, 800);

    small = wscast_deflate(d, WSCAST_WINDOW_SMALL, 9, wscast_str(p, 1600));
    is_int(small.len, 0, "a repeat 800 bytes on is out of the small window");

    large = wscast_deflate(d, WSCAST_WINDOW_BITS, 9, wscast_str(p, 1600));
    ok(large.len && large.len < 900, "and within the large one");

    wscast_deflate_destroy(d);
}


static void
test_pack_memory(void)
{
    size_t                 n, calls;
    wscast_str_t           packed;
    wscast_deflate_t      *d;
    static unsigned char   p[400000];

    words(p, sizeof(p));
    d = wscast_deflate_create();

    unit_alloc_reset(0);
    packed = wscast_deflate(d, WSCAST_WINDOW_BITS, 1, wscast_str(p, 1000));
    ok(packed.len && unit_calls, "the first message makes a stream");

    unit_alloc_reset(0);
    packed = wscast_deflate(d, WSCAST_WINDOW_BITS, 1, wscast_str(p, 900));
    ok(packed.len && unit_calls == 0, "the next one uses it");

    packed = wscast_deflate(d, WSCAST_WINDOW_BITS, 9, wscast_str(p, 900));
    ok(packed.len && unit_calls, "another level wants another stream");

    n = unit_live;
    packed = wscast_deflate(d, WSCAST_WINDOW_BITS, 9,
                            wscast_str(p, sizeof(p)));
    ok(packed.len && unit_live == n, "which replaces it");

    unit_alloc_reset(0);
    packed = wscast_deflate(d, WSCAST_WINDOW_BITS, 9, wscast_str(p, 900));
    ok(packed.len && d->size < 1000, "what a huge message took is freed");

    wscast_deflate_destroy(d);

    for (n = 1; n < 50; n++) {
        d = wscast_deflate_create();

        unit_alloc_reset(n);
        packed = wscast_deflate(d, WSCAST_WINDOW_BITS, 6, wscast_str(p, 1000));
        calls = unit_calls;
        unit_alloc_reset(0);

        if (calls < n || packed.len) {
            break;
        }

        packed = wscast_deflate(d, WSCAST_WINDOW_BITS, 6, wscast_str(p, 1000));

        if (!unpacks_to(packed, WSCAST_WINDOW_BITS, p, 1000)) {
            break;
        }

        wscast_deflate_destroy(d);
    }

    ok(n > 4 && calls < n && packed.len, "without memory a message stays as it "
       "is, and the next one is packed, %zu times", n - 1);
    wscast_deflate_destroy(d);
    is_int(unit_live, 0, "nothing is left");
}


/* Unpacking */


typedef struct {
    unsigned char     data[MOST];
    size_t            len;
    wscast_status_t   rc;
} result_t;


/* Pieces of 1 to in bytes, into room for 1 to out; both end at a page. */

static void
unpack(result_t *r, wscast_inflater_t *i, const unsigned char *p, size_t len,
    size_t in, size_t out)
{
    size_t                n, room, got;
    unsigned char        *to, *piece;
    const unsigned char  *pos;

    r->len = 0;
    r->rc = wscast_inflate_begin(i);

    while (r->rc == WSCAST_OK) {
        n = in == 1 ? 1 : 1 + unit_below(in);
        n = n < len ? n : len;
        piece = malloc(n ? n : 1);
        memcpy(piece, p, n);
        pos = piece;

        do {
            room = out == 1 ? 1 : 1 + unit_below(out);
            to = unit_guard(room);
            r->rc = len ? wscast_inflate(i, &pos, piece + n, to, room, &got)
                        : wscast_inflate_end(i, to, room, &got);

            if (got > room || r->len + got > MOST) {
                abort();
            }

            memcpy(r->data + r->len, to, got);
            r->len += got;
        } while (r->rc == WSCAST_AGAIN);

        free(piece);

        if (len == 0) {
            break;
        }

        p += n;
        len -= n;
    }

    if (r->rc == WSCAST_OK) {
        r->rc = wscast_inflate_keep(i, wscast_str(r->data, r->len));
    }
}


/* Whole, byte by byte and at random cuts, into rooms of any size. */

static int
unpacks(unsigned bits, const void *packed, size_t n, wscast_status_t rc,
    const void *want, size_t len)
{
    int                 i;
    wscast_deflate_t   *d;
    wscast_inflater_t  *f;
    static result_t     r;

    static const size_t  ins[] = { MOST, 1, 1, 7, 100 };
    static const size_t  outs[] = { MOST, 1, MOST, 9, 300 };

    d = wscast_deflate_create();

    for (i = 0; i < 5; i++) {
        f = wscast_inflater_create(d, bits);
        unpack(&r, f, packed, n, ins[i], outs[i]);
        wscast_inflater_destroy(f);

        if (r.rc != rc || (rc == WSCAST_OK
                           && (r.len != len || memcmp(r.data, want, len) != 0)))
        {
            note("cut %d: status %d, %zu bytes; wanted %d, %zu", i, r.rc,
                 r.len, rc, len);
            break;
        }
    }

    wscast_deflate_destroy(d);

    return i == 5 && unit_live == 0;
}


#define is_unpacked(packed, want, ...)                                        \
    ok(unpacks(0, packed, sizeof(packed) - 1, WSCAST_OK, want,                \
               sizeof(want) - 1), __VA_ARGS__)

#define is_broken(packed, ...)                                                \
    ok(unpacks(0, packed, sizeof(packed) - 1, WSCAST_CLOSE_DEFLATE, NULL, 0), \
       __VA_ARGS__)


/* RFC 7692, 7.2.3: its own examples. */

static void
test_examples(void)
{
    is_unpacked("\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello", "a block");
    is_unpacked("\x00\x05\x00\xfa\xffHello\x00", "Hello",
                "a block without compression");
    is_unpacked("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello",
                "a block that calls itself final");
    is_unpacked("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
                "Hello", "two blocks");
    is_unpacked("\x00", "", "an empty message");
}


static void
test_blocks(void)
{
    is_unpacked("\xf3\x48\xcd\xc9\xc9\x07\x00", "Hello",
                "a final block at the very end needs nothing behind it");
    is_unpacked("\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
                "HelloHello", "a final block and another one");
    is_unpacked("\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x00\x11\x00\x00",
                "HelloHello", "a block refers to a final one before it");
    is_unpacked("\x03\x00\x03\x00\x03\x00\x00", "", "final blocks of nothing");
    is_unpacked("\x01\x05\x00\xfa\xffHello\x00", "Hello",
                "a final block without compression");

    is_unpacked("\x00\x06\x00\xf9\xff" "It", "It\x00\x00\xff\xff",
                "a block that ends with what is left out");

    is_broken("", "no byte at all is no empty message");
    is_broken("\xf2\x48\xcd\xc9\xc9", "a message that stops inside a block");
    is_broken("\x00\x05\x00\xfa\xffHel", "or inside one without compression");
    is_broken("\xf2\x48\xcd\xc9\xc9\x07", "or right behind one");
    is_broken("\x00\x05\x00\xfb\xffHello\x00", "a length that is not its own "
              "complement");
    is_broken("\x3b\x9b\xaf\xb5\xfc\x9b\x3a\x51", "a final block that ends "
              "in what is left out");
    is_broken("\x06\x00", "a block of the fourth type");
    is_broken("\xf2\x00\x11\x00\x00", "a reference to before the beginning");
    is_broken("\x04\xff\xff\xff\xff\xff", "a code that cannot be");
    is_broken("Hello, this is no compressed message", "plain text");
}


/* Packed by zlib in all its ways, one context for all messages of a round. */

static void
test_random(void)
{
    int                    round, turn, good, flush;
    size_t                 n, at, part;
    z_stream               z;
    unsigned               bits;
    wscast_deflate_t      *d;
    wscast_inflater_t     *f;
    static result_t        r;
    static unsigned char   p[MOST], packed[2 * MOST];

    d = wscast_deflate_create();
    good = 1;

    for (round = 0; round < 60 && good; round++) {
        bits = round % 6 ? 9 + (unsigned) unit_below(4) : 0;
        f = wscast_inflater_create(d, bits);

        memset(&z, 0, sizeof(z));
        deflateInit2(&z, 1 + round % 9, Z_DEFLATED, bits ? -(int) bits : -15,
                     1 + round % 9, round % 5);

        for (turn = 0; turn < 12 && good; turn++) {
            n = unit_below(turn % 3 ? 500 : MOST / 2);
            words(p, n);

            if (turn % 4 == 3) {
                unit_fill(p, n);
            }

            z.next_out = packed;
            z.avail_out = sizeof(packed);
            part = 1 + unit_below(n + 1);

            for (at = 0; at < n; at += part) {
                part = part < n - at ? part : n - at;
                flush = turn % 2 ? Z_NO_FLUSH : Z_SYNC_FLUSH;
                z.next_in = p + at;
                z.avail_in = (uInt) part;
                deflate(&z, flush);
            }

            deflate(&z, Z_BLOCK);
            deflate(&z, Z_SYNC_FLUSH);
            at = sizeof(packed) - z.avail_out - 4;

            if (bits == 0) {
                deflateReset(&z);
            }

            unpack(&r, f, packed, at, round % 2 ? MOST : 40,
                   turn % 2 ? MOST : 2000);

            good = r.rc == WSCAST_OK && r.len == n
                   && memcmp(r.data, p, n) == 0
                   && memcmp(packed + at, tail, 4) == 0
                   && f->len <= (bits ? 1u << bits : 0);

            if (!good) {
                note("round %d, turn %d: status %d, %zu bytes of %zu", round,
                     turn, r.rc, r.len, n);
            }
        }

        deflateEnd(&z);
        wscast_inflater_destroy(f);
    }

    ok(good, "what zlib packs with one context for many messages comes out");

    wscast_deflate_destroy(d);
    is_int(unit_live, 0, "nothing is left");
}


static void
test_context(void)
{
    wscast_deflate_t    *d;
    wscast_inflater_t   *a, *b;
    static result_t      r;

    static const unsigned char  hello[] = "\xf2\x48\xcd\xc9\xc9\x07\x00";
    static const unsigned char  again[] = "\xf2\x00\x11\x00\x00";

    d = wscast_deflate_create();
    a = wscast_inflater_create(d, 12);
    b = wscast_inflater_create(d, 0);
    is_int(unit_live, 3, "a client has one small block from the beginning");

    unpack(&r, a, hello, 7, 1, 1);
    ok(r.rc == WSCAST_OK && r.len == 5, "a message is unpacked");
    is_int(a->len, 5, "what it was is kept, and no more");

    unpack(&r, a, again, 5, 1, 1);
    is_mem(r.data, r.len, "Hello", 5, "the next one refers to it");
    is_mem(a->window, a->len, "HelloHello", 10, "both are kept now");

    unpack(&r, b, hello, 7, 1, 1);
    ok(r.rc == WSCAST_OK && b->len == 0 && b->window == NULL,
       "nothing is kept of a client without context");
    unpack(&r, b, again, 5, 1, 1);
    is_int(r.rc, WSCAST_CLOSE_DEFLATE, "which cannot refer to it either");

    wscast_inflater_destroy(a);
    wscast_inflater_destroy(b);
    wscast_inflater_destroy(NULL);
    wscast_deflate_destroy(d);
    is_int(unit_live, 0, "nothing is left");
}


/* Two in the middle of their messages do not get into each other's way. */

static void
test_streams(void)
{
    size_t                 live, n;
    unsigned char          out[2][20];
    const unsigned char   *p;
    wscast_deflate_t      *d;
    wscast_inflater_t     *a, *b;

    static const unsigned char  hello[] = "\xf2\x48\xcd\xc9\xc9\x07\x00";

    d = wscast_deflate_create();
    a = wscast_inflater_create(d, 0);
    b = wscast_inflater_create(d, 0);

    is_int(wscast_inflate_begin(a), WSCAST_OK, "a message begins");
    live = unit_live;
    is_int(wscast_inflate_begin(a), WSCAST_OK, "to begin it twice is one");
    is_int(unit_live, live, "stream");
    p = hello;
    wscast_inflate(a, &p, hello + 4, out[0], 20, &n);
    is_int(wscast_inflate_begin(b), WSCAST_OK, "so does another client's");
    live = unit_live;

    p = hello;
    wscast_inflate(b, &p, hello + 7, out[1], 20, &n);
    is_mem(out[1], n, "Hello", 5, "which is over first");
    wscast_inflate_end(b, out[1] + n, 1, &n);
    is_int(wscast_inflate_keep(b, wscast_str(out[1], 5)), WSCAST_OK,
           "its stream is given back");
    is_int(unit_live, live, "and kept for the next one");

    p = hello + 4;
    wscast_inflate(a, &p, hello + 7, out[0], 20, &n);
    is_int(n, 2, "the first goes on where it was");
    wscast_inflate_end(a, out[0] + 5, 1, &n);
    wscast_inflate_keep(a, wscast_str(out[0], 5));
    ok(unit_live < live, "of two streams one is kept");

    unit_alloc_reset(0);
    wscast_inflate_begin(a);
    is_int(unit_calls, 0, "the next message allocates nothing");

    wscast_inflater_destroy(a);
    wscast_inflater_destroy(b);
    wscast_deflate_destroy(d);
    is_int(unit_live, 0, "a client may go in the middle of a message");
}


/* The n-th allocation fails: nothing leaks, and to ask again goes on. */

static void
test_unpack_memory(void)
{
    int                    bad;
    size_t                 n, got, used;
    unsigned char          out[20];
    const unsigned char   *p;
    wscast_deflate_t      *d;
    wscast_inflater_t     *f;

    static const unsigned char  hello[] = "\xf2\x48\xcd\xc9\xc9\x07\x00";

    used = 1;
    bad = 0;

    for (n = 1; n <= used && !bad; n++) {
        d = wscast_deflate_create();
        f = wscast_inflater_create(d, 9);

        unit_alloc_reset(n);

        while (wscast_inflate_begin(f) != WSCAST_OK) {
            bad += unit_calls > n;
        }

        p = hello;
        bad += wscast_inflate(f, &p, hello + 7, out, 20, &got) != WSCAST_OK
               || got != 5;
        bad += wscast_inflate_end(f, out + 5, 1, &got) != WSCAST_OK;

        while (wscast_inflate_keep(f, wscast_str(out, 5)) != WSCAST_OK) {
            bad += unit_calls > n;
        }

        used = unit_calls > used ? unit_calls : used;
        unit_alloc_reset(0);

        bad += f->len != 5 || memcmp(f->window, "Hello", 5) != 0;
        wscast_inflater_destroy(f);
        wscast_deflate_destroy(d);
    }

    ok(!bad && used > 3, "each of %zu allocations may fail", used);
    is_int(unit_live, 0, "nothing is left");

    unit_alloc_reset(1);
    ok(wscast_deflate_create() == NULL, "the first of all, too");
    unit_alloc_reset(1);
    ok(wscast_inflater_create(NULL, 9) == NULL, "and a client's");
    unit_alloc_reset(0);
}


int
main(void)
{
    test_pack();
    test_small_window();
    test_pack_memory();
    test_examples();
    test_blocks();
    test_random();
    test_context();
    test_streams();
    test_unpack_memory();

    return done();
}
