/* wire/message: packed messages, under every cut and every failure. */
/* libs: -lz */

#include "message_case.h"


#define RSV1  WSCAST_FRAME_RSV1

#define HELLO        "\xf2\x48\xcd\xc9\xc9\x07\x00"         /* "Hello" */
#define HELLO_AGAIN  "\xf2\x00\x11\x00\x00"     /* the one before it */


static unsigned char  packed[300 * 1024];
static z_stream       zip;


static void
zip_begin(unsigned bits)
{
    memset(&zip, 0, sizeof(zip));
    deflateInit2(&zip, 9, Z_DEFLATED, -(int) bits, 9, Z_DEFAULT_STRATEGY);
}


static size_t
zip_message(const void *data, size_t len)
{
    size_t  n;

    zip.next_in = (Bytef *) data;
    zip.avail_in = (uInt) len;
    zip.next_out = packed;
    zip.avail_out = sizeof(packed);
    deflate(&zip, Z_BLOCK);
    deflate(&zip, Z_SYNC_FLUSH);

    n = sizeof(packed) - zip.avail_out - 4;
    deflateReset(&zip);

    return n;
}


static void
test_whole(void)
{
    fresh();
    takes = FEED_FRESH;
    frame(FIN|RSV1, TEXT, HELLO, 7);
    expect_text(TEXT, "Hello");
    text(FIN, TEXT, "plain");
    expect_text(TEXT, "plain");
    frame(FIN|RSV1, BINARY, HELLO, 7);
    expect_text(BINARY, "Hello");
    same("packed messages and plain ones take turns");

    fresh();
    takes = FEED_FRESH;
    frame(FIN|RSV1, TEXT, "\x00", 1);
    expect_text(TEXT, "");
    frame(FIN|RSV1, BINARY, "\x00", 1);
    expect_text(BINARY, "");
    same("an empty message is one byte");

    fresh();
    takes = 8;
    frame(FIN|RSV1, TEXT, HELLO, 7);
    frame(FIN|RSV1, TEXT, HELLO_AGAIN, 5);
    frame(FIN|RSV1, BINARY, HELLO_AGAIN, 5);
    expect_text(TEXT, "Hello");
    expect_text(TEXT, "Hello");
    expect_text(BINARY, "Hello");
    same("messages refer to those before them");

    fresh();
    takes = 8;
    frame(FIN|RSV1, TEXT, HELLO, 7);
    text(FIN, TEXT, "plain");
    frame(FIN|RSV1, TEXT, HELLO_AGAIN, 5);
    expect_text(TEXT, "Hello");
    expect_text(TEXT, "plain");
    expect_text(TEXT, "Hello");
    same("plain ones between them do not count");
}


static void
test_fragments(void)
{
    size_t  i;

    fresh();
    takes = FEED_FRESH;
    frame(RSV1, TEXT, HELLO, 3);
    frame(0, CONT, NULL, 0);
    text(FIN, PING, "ping");
    frame(0, CONT, HELLO + 3, 3);
    frame(FIN, CONT, HELLO + 6, 1);
    expect_text(PING, "ping");
    expect_text(TEXT, "Hello");
    same("a packed message comes in fragments, with a ping between them");

    fresh();
    takes = FEED_FRESH;
    frame(RSV1, TEXT, NULL, 0);

    for (i = 0; i < 7; i++) {
        frame(0, CONT, HELLO + i, 1);
    }

    frame(FIN, CONT, NULL, 0);
    expect_text(TEXT, "Hello");
    same("in fragments of a byte, and empty ones at both ends");

    fresh();
    takes = FEED_FRESH;
    frame(0, TEXT, "pl", 2);
    frame(FIN, CONT, "ain", 3);
    frame(RSV1, TEXT, HELLO, 3);
    frame(FIN, CONT, HELLO + 3, 4);
    expect_text(TEXT, "plain");
    expect_text(TEXT, "Hello");
    same("plain fragments and packed ones take turns");
}


static void
test_bits(void)
{
    fresh();
    frame(FIN|RSV1, TEXT, HELLO, 7);
    fails(WSCAST_CLOSE_RESERVED_BITS, 0, "nothing is packed unless agreed on");

    fresh();
    takes = FEED_FRESH;
    frame(FIN|0x20, TEXT, HELLO, 7);
    fails(WSCAST_CLOSE_RESERVED_BITS, 0, "the other bits mean nothing");

    fresh();
    takes = FEED_FRESH;
    frame(FIN|RSV1, PING, HELLO, 7);
    fails(WSCAST_CLOSE_RESERVED_BITS, 0, "control frames are never packed");

    fresh();
    takes = FEED_FRESH;
    frame(RSV1, TEXT, HELLO, 3);
    frame(FIN|RSV1, CONT, HELLO + 3, 4);
    fails(WSCAST_CLOSE_RESERVED_BITS, 1, "the first frame alone says so");

    fresh();
    takes = FEED_FRESH;
    frame(0, TEXT, "a", 1);
    frame(FIN|RSV1, CONT, HELLO, 7);
    fails(WSCAST_CLOSE_RESERVED_BITS, 1, "none of a plain message does");

    fresh();
    takes = FEED_FRESH;
    frame(RSV1, TEXT, HELLO, 3);
    frame(FIN|RSV1, TEXT, HELLO, 7);
    fails(WSCAST_CLOSE_INTERRUPTED, 1, "no message begins inside another");
}


static void
test_broken(void)
{
    fresh();
    takes = FEED_FRESH;
    frame(FIN|RSV1, TEXT, HELLO, 5);
    fails(WSCAST_CLOSE_DEFLATE, 1, "a message that stops inside a block");

    fresh();
    takes = FEED_FRESH;
    frame(FIN|RSV1, TEXT, "\x06garbage", 8);
    fails(WSCAST_CLOSE_DEFLATE, 1, "what is no format");

    fresh();
    takes = FEED_FRESH;
    frame(FIN|RSV1, BINARY, NULL, 0);
    fails(WSCAST_CLOSE_DEFLATE, 1, "no byte at all");

    fresh();
    takes = FEED_FRESH;
    frame(FIN|RSV1, TEXT, HELLO, 7);
    expect_text(TEXT, "Hello");
    frame(FIN|RSV1, TEXT, HELLO_AGAIN, 5);
    fails(WSCAST_CLOSE_DEFLATE, 1, "a context that was not to be taken over");
}


/* What a text says is looked at when it is unpacked, piece by piece. */

static void
test_utf8(void)
{
    size_t  n;

    zip_begin(15);

    fresh();
    takes = FEED_FRESH;
    n = zip_message("gr\xc3\xbc\xc3\x9f", 6);
    frame(RSV1, TEXT, packed, 3);
    frame(FIN, CONT, packed + 3, n - 3);
    expect_text(TEXT, "gr\xc3\xbc\xc3\x9f");
    same("a text is UTF-8 when it is unpacked");

    fresh();
    takes = FEED_FRESH;
    n = zip_message("gr\xc3", 3);
    frame(FIN|RSV1, TEXT, packed, n);
    fails(WSCAST_CLOSE_UTF8, 0, "a cut character at its end is none");

    fresh();
    takes = FEED_FRESH;
    n = zip_message("\xff" "and much more", 14);
    frame(RSV1, TEXT, packed, n);
    fails(WSCAST_CLOSE_UTF8, 1, "a bad byte shows before the last fragment");

    fresh();
    takes = FEED_FRESH;
    n = zip_message("\xff", 1);
    frame(FIN|RSV1, BINARY, packed, n);
    expect(BINARY, "\xff", 1);
    same("a binary message is anything");

    deflateEnd(&zip);
}


static void
test_limit(void)
{
    size_t                n;
    feed_t                got;
    feed_conf_t           conf;
    static unsigned char  data[4 * 1024 * 1024];

    zip_begin(15);

    fresh();
    takes = 12;
    limit = 1000;
    memset(data, 'a', sizeof(data));
    n = zip_message(data, 1000);
    frame(FIN|RSV1, TEXT, packed, n);
    expect(TEXT, data, 1000);
    same("a message of as many bytes as are allowed");

    fresh();
    takes = 12;
    limit = 1000;
    n = zip_message(data, 1001);
    frame(FIN|RSV1, TEXT, packed, n);
    fails(WSCAST_CLOSE_TOO_BIG, 1, "one more is too many");

    fresh();
    takes = FEED_FRESH;
    limit = 1000;
    unit_fill(data, 1000);
    n = zip_message(data, 1000);
    ok(n > 1000, "noise grows as it is packed, to %zu bytes", n);
    frame(FIN|RSV1, BINARY, packed, n);
    expect(BINARY, data, 1000);
    same("what counts is what it was");

    fresh();
    takes = FEED_FRESH;
    limit = 1000;
    frame(RSV1, TEXT, HELLO, 6);
    n = in_len;
    frame(FIN, CONT, data, 1309);
    in_len = n + 8;
    want.rc = WSCAST_CLOSE_TOO_BIG;
    want.busy = 1;
    ok(run_all(), "a packed form of 1315 bytes is too much by its header");

    /* a bomb: 4 MB in 4 KB */

    fresh();
    memset(data, 'a', sizeof(data));
    n = zip_message(data, sizeof(data));
    frame(FIN|RSV1, TEXT, packed, n);

    memset(&conf, 0, sizeof(conf));
    conf.limit = 65536;
    conf.takes = 12;
    unit_alloc_reset(0);
    feed(&got, &conf, in, in_len, feed_whole, NULL);
    ok(n < 5000 && got.rc == WSCAST_CLOSE_TOO_BIG && got.messages == 0,
       "4 MB in %zu bytes are too much", n);
    ok(unit_largest <= 65536, "and never take more than the limit: %zu",
       unit_largest);
    is_int(unit_live, 0, "nothing is left");
    feed_free(&got);

    deflateEnd(&zip);
}


static void
test_memory(void)
{
    unsigned char        *pos;
    wscast_deflate_t     *d;
    wscast_message_t      m;
    wscast_assembler_t    a;

    fresh();
    frame(FIN|RSV1, TEXT, HELLO, 7);
    frame(RSV1, TEXT, HELLO_AGAIN, 2);
    frame(FIN, CONT, HELLO_AGAIN + 2, 3);
    text(FIN, TEXT, "plain");
    pos = in;

    d = wscast_deflate_create();
    wscast_assembler_init(&a, 1000);
    wscast_assembler_unpack(&a, wscast_inflater_create(d, 12));

    is_int(wscast_message_next(&a, &pos, in + in_len, &m), WSCAST_OK,
           "a packed message comes");
    ok(m.len == 5 && m.packed == 7, "and says in how many bytes");
    is_int(wscast_message_next(&a, &pos, in + in_len, &m), WSCAST_OK,
           "so does one in fragments");
    ok(m.len == 5 && m.packed == 5, "of all its frames");
    is_int(wscast_message_next(&a, &pos, in + in_len, &m), WSCAST_OK,
           "then a plain one");
    ok(m.len == 5 && m.packed == 0, "which says that it was not packed");
    ok(m.data >= in && m.data < in + in_len, "and is still a view");
    is_int(wscast_message_next(&a, &pos, in + in_len, &m), WSCAST_MORE,
           "then there is no more");

    /* the client's: its inflater, ten bytes; the process's: stream, window */

    is_int(unit_live, 2 + 1 + 3,
           "an idle client has its inflater and what it may refer to");

    wscast_assembler_done(&a);
    is_int(unit_live, 1 + 3, "done() frees both");
    wscast_deflate_destroy(d);
    is_int(unit_live, 0, "nothing is left");
}


/* Many messages of random shape, with and without context. */

static void
test_random(void)
{
    int                   i, round, pieces, good;
    size_t                n, at, left, part, total;
    static unsigned char  data[3000];

    good = 1;

    for (round = 0; round < 40 && good; round++) {
        fresh();
        takes = round % 3 ? 9 + (unsigned) unit_below(4) : FEED_FRESH;
        zip_begin(takes == FEED_FRESH ? 15 : takes);

        for (i = 0; i < 10; i++) {
            n = unit_below(i % 3 ? 60 : sizeof(data));

            for (at = 0; at < n; at++) {
                data[at] = "aabcde {}:"[unit_below(10)];
            }

            zip.next_in = data;
            zip.avail_in = (uInt) n;
            zip.next_out = packed;
            zip.avail_out = sizeof(packed);
            deflate(&zip, Z_BLOCK);
            deflate(&zip, Z_SYNC_FLUSH);
            total = left = sizeof(packed) - zip.avail_out - 4;

            if (takes == FEED_FRESH) {
                deflateReset(&zip);
            }

            for (pieces = 0; ; pieces++) {
                part = unit_below(3) ? unit_below(left + 1) : left;
                frame((part == left ? FIN : 0) | (pieces ? 0 : RSV1),
                      pieces ? CONT : i % 2 ? TEXT : BINARY,
                      packed + total - left, part);
                left -= part;

                if (left == 0) {
                    break;
                }

                if (unit_below(4) == 0) {
                    text(FIN, PING, "ping");
                    expect_text(PING, "ping");
                }
            }

            expect(i % 2 ? TEXT : BINARY, data, n);

            if (unit_below(3) == 0) {
                text(FIN, TEXT, "plain");
                expect_text(TEXT, "plain");
            }
        }

        deflateEnd(&zip);
        good = run_all();
    }

    ok(good, "random messages come out of random cuts as they went in");
}


int
main(void)
{
    test_whole();
    test_fragments();
    test_bits();
    test_broken();
    test_utf8();
    test_limit();
    test_memory();
    test_random();

    feed_free(&want);

    return done();
}
