/* libs: -lz */
/* wire/message: frames => messages, under every cut and every failure. */

#include "message_case.h"


static void
test_whole(void)
{
    size_t                i, n;
    static unsigned char  data[65536];
    static const size_t   lens[] = { 0, 1, 124, 125, 126, 127, 128, 255, 256,
                                     257, 511, 512, 513, 65535, 65536 };

    unit_fill(data, sizeof(data));

    for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        n = lens[i];

        fresh();
        frame(FIN, BINARY, data, n);
        expect(BINARY, data, n);
        same("a binary message of %zu bytes arrives", n);
    }

    fresh();
    text(FIN, TEXT, "h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80");
    expect_text(TEXT, "h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80");
    text(FIN, TEXT, "");
    expect_text(TEXT, "");
    text(FIN, BINARY, "\xff\xfe");
    expect_text(BINARY, "\xff\xfe");
    same("text, empty text and binary that is no UTF-8 follow each other");

    fresh();
    for (i = 0; i < 1000; i++) {
        text(FIN, TEXT, "tiny");
        expect_text(TEXT, "tiny");
    }
    same("a thousand tiny frames in one piece are a thousand messages");

    fresh();
    same("no bytes at all are no message");

    fresh();
    raw("\x81", 1);
    want.busy = 1;
    same("half a header is no message yet, and keeps the assembler busy");

    fresh();
    text(FIN, TEXT, "cut short");
    in_len--;
    want.busy = 1;
    same("a payload without its last byte is no message yet");

    fresh();
    raw("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
    expect_text(TEXT, "Hello");
    same("the masked Hello of RFC 6455, 5.7 is read");
}


static void
test_fragments(void)
{
    char    ping[126];
    size_t  i;

    fresh();
    text(0, TEXT, "Hel");
    text(FIN, CONT, "lo");
    expect_text(TEXT, "Hello");
    same("two fragments are one message");

    fresh();
    text(0, TEXT, "");
    text(0, CONT, "");
    text(FIN, CONT, "");
    expect_text(TEXT, "");
    text(FIN, BINARY, "next");
    expect_text(BINARY, "next");
    same("empty fragments are an empty message");

    fresh();
    text(0, BINARY, "");
    text(0, CONT, "ab");
    text(0, CONT, "");
    text(FIN, CONT, "");
    expect_text(BINARY, "ab");
    same("empty fragments around a full one change nothing");

    memset(ping, 'p', sizeof(ping));
    ping[125] = '\0';

    fresh();
    text(0, TEXT, "a\xe2\x82");
    text(FIN, PING, ping);
    expect_text(PING, ping);
    text(0, CONT, "\xac");
    text(FIN, PONG, "");
    expect_text(PONG, "");
    text(FIN, PING, "\xff\xff");
    expect_text(PING, "\xff\xff");
    text(FIN, CONT, "b");
    expect_text(TEXT, "a\xe2\x82\xac" "b");
    same("control frames come out between the fragments, a ping of 125 bytes "
         "too, and leave a cut character alone");

    fresh();
    text(0, TEXT, "never to end");
    frame(FIN, CLOSE, "\x03\xe8" "bye", 5);
    feed_record(&want, CLOSE, 1000, "bye", 3);
    text(FIN, CONT, "after the close");
    want.rc = WSCAST_OK;
    want.busy = 1;
    same("a close frame inside a fragmented message is taken");

    fresh();
    for (i = 0; i < 300; i++) {
        text(i == 299 ? FIN : 0, i ? CONT : BINARY, "0123456789");
    }
    want.messages++;
    feed_put(&want, &(unsigned) { BINARY }, sizeof(unsigned));
    feed_put(&want, &(unsigned) { 0 }, sizeof(unsigned));
    feed_put(&want, &(size_t) { 3000 }, sizeof(size_t));
    for (i = 0; i < 300; i++) {
        feed_put(&want, "0123456789", 10);
    }
    same("three hundred fragments are gathered");

    fresh();
    text(0, TEXT, "begun");
    want.busy = 1;
    same("a fragmented message without its end keeps the assembler busy");
}


static void
test_order(void)
{
    fresh();
    text(FIN, CONT, "x");
    fails(WSCAST_CLOSE_CONTINUATION, 1, "a continuation of nothing fails");

    fresh();
    text(0, CONT, "x");
    fails(WSCAST_CLOSE_CONTINUATION, 1,
          "an unfinished continuation of nothing fails");

    fresh();
    text(FIN, TEXT, "whole");
    expect_text(TEXT, "whole");
    text(FIN, CONT, "");
    fails(WSCAST_CLOSE_CONTINUATION, 1,
          "a continuation of a message that has ended fails");

    fresh();
    text(0, TEXT, "a");
    text(FIN, TEXT, "b");
    fails(WSCAST_CLOSE_INTERRUPTED, 1, "text inside a fragmented text fails");

    fresh();
    text(0, TEXT, "");
    text(0, BINARY, "b");
    fails(WSCAST_CLOSE_INTERRUPTED, 1,
          "a fragment inside a fragmented message fails, after an empty one "
          "too");

    fresh();
    text(0, TEXT, "a");
    text(FIN, CONT, "b");
    expect_text(TEXT, "ab");
    text(FIN, CONT, "c");
    fails(WSCAST_CLOSE_CONTINUATION, 1,
          "after the last fragment there is nothing to continue");
}


static void
test_header_reasons(void)
{
    size_t  i;
    static const struct {
        const char       *bytes;
        size_t            len;
        wscast_status_t   reason;
        const char       *what;
    } cases[] = {
        { "\x81\x05Hello", 7, WSCAST_CLOSE_UNMASKED, "an unmasked frame" },
        { "\xc1\x80....", 6, WSCAST_CLOSE_RESERVED_BITS, "RSV1" },
        { "\xa1\x80....", 6, WSCAST_CLOSE_RESERVED_BITS, "RSV2" },
        { "\x99\x80....", 6, WSCAST_CLOSE_RESERVED_BITS, "RSV3 of a ping" },
        { "\x83\x80....", 6, WSCAST_CLOSE_RESERVED_OPCODE, "opcode 3" },
        { "\x8b\x80....", 6, WSCAST_CLOSE_RESERVED_OPCODE, "opcode 11" },
        { "\x09\x80....", 6, WSCAST_CLOSE_CONTROL_FRAGMENT,
          "a fragmented ping" },
        { "\x89\xfe\x00\x7e....", 8, WSCAST_CLOSE_CONTROL_LENGTH,
          "a ping of 126 bytes" },
        { "\x82\xfe\x00\x7d....", 8, WSCAST_CLOSE_LENGTH_MINIMAL,
          "125 bytes told in 16 bits" },
        { "\x82\xff\0\0\0\0\0\0\xff\xff....", 14, WSCAST_CLOSE_LENGTH_MINIMAL,
          "65535 bytes told in 64 bits" },
        { "\x82\xff\x80\0\0\0\0\1\0\0....", 14, WSCAST_CLOSE_LENGTH_RANGE,
          "a length of 64 bits" },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fresh();
        text(FIN, TEXT, "before");
        expect_text(TEXT, "before");
        raw(cases[i].bytes, cases[i].len);

        /* busy: whether the first byte of the header had been taken */

        fails(cases[i].reason,
              cases[i].reason != WSCAST_CLOSE_RESERVED_BITS
              && cases[i].reason != WSCAST_CLOSE_RESERVED_OPCODE
              && cases[i].reason != WSCAST_CLOSE_CONTROL_FRAGMENT,
              "%s fails from the header", cases[i].what);
    }
}


/* Only the header is given; after it no payload byte can have mattered. */

static void
test_limit(void)
{
    static unsigned char  data[300];
    feed_t                got;
    feed_conf_t           conf;

    memset(data, 'x', sizeof(data));

    fresh();
    limit = 300;
    frame(FIN, TEXT, data, 300);
    expect(TEXT, data, 300);
    same("a message exactly as long as the limit is taken");

    fresh();
    limit = 299;
    frame(FIN, TEXT, data, 300);
    fails(WSCAST_CLOSE_TOO_BIG, 1, "one byte more than the limit fails");

    fresh();
    limit = 299;
    frame(0, TEXT, data, 299);
    frame(0, CONT, data, 0);
    frame(FIN, PING, data, 125);
    expect(PING, data, 125);
    frame(FIN, CONT, data, 1);
    fails(WSCAST_CLOSE_TOO_BIG, 1,
          "the sum over fragments counts, control frames do not");

    fresh();
    limit = 1;
    frame(FIN, PING, data, 125);
    expect(PING, data, 125);
    frame(FIN, BINARY, data, 1);
    expect(BINARY, data, 1);
    frame(FIN, BINARY, data, 2);
    fails(WSCAST_CLOSE_TOO_BIG, 1, "a limit of 1 takes pings and one byte");

    memset(&conf, 0, sizeof(conf));
    conf.limit = 65536;

    unit_alloc_reset(0);
    feed(&got, &conf, (const unsigned char *)
         "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff....", 14, feed_bytes, NULL);
    is_int(got.rc, WSCAST_CLOSE_TOO_BIG,
           "the greatest length there is fails as soon as its header ends");
    is_int(unit_calls, 0, "nothing is allocated for it");
    feed_free(&got);

    conf.limit = SIZE_MAX;
    unit_alloc_reset(0);
    feed(&got, &conf, (const unsigned char *)
         "\x02\x85....12345\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff....abc", 28,
         feed_bytes, NULL);
    is_int(got.rc, WSCAST_MORE,
           "a fragment of 2^63 - 1 bytes is awaited if the limit allows it");
    ok(unit_largest <= 256, "it costs what has arrived, %zu bytes",
       unit_largest);
    feed_free(&got);
}


static void
test_memory(void)
{
    size_t                n;
    unsigned char        *pos;
    static unsigned char  data[200000];
    feed_t                got;
    feed_conf_t           conf;
    wscast_message_t      m;
    wscast_assembler_t    a;

    ok(sizeof(wscast_assembler_t) <= 136, "an assembler takes %zu bytes",
       sizeof(wscast_assembler_t));

    fresh();
    text(FIN, TEXT, "one");
    text(FIN, PING, "two");
    text(FIN, TEXT, "");

    unit_alloc_reset(0);
    wscast_assembler_init(&a, 100);
    pos = in;

    is_int(wscast_message_next(&a, &pos, in + in_len, &m), WSCAST_OK,
           "a whole frame is a message");
    ok(m.data == in + 6 && m.len == 3, "its data is a view of the input");
    is_int(wscast_message_next(&a, &pos, in + in_len, &m), WSCAST_OK,
           "a whole ping too");
    ok(m.data == in + 15 && m.len == 3, "its data is a view of the input");
    is_int(wscast_message_next(&a, &pos, in + in_len, &m), WSCAST_OK,
           "an empty message that ends with the input is found");
    is_int(m.len, 0, "it is empty");
    is_int(wscast_message_next(&a, &pos, in + in_len, &m), WSCAST_MORE,
           "then there is no more");
    is_int(unit_calls, 0, "whole frames are never copied");
    ok(!wscast_assembler_busy(&a), "the assembler is idle");
    wscast_assembler_done(&a);

    fresh();
    limit = 150000;
    frame(FIN, BINARY, data, 150000);
    memset(&conf, 0, sizeof(conf));
    conf.limit = limit;
    n = 1000;
    unit_alloc_reset(0);
    feed(&got, &conf, in, in_len, random_cut, &n);
    is_int(got.messages, 1, "150,000 bytes in small pieces are gathered");
    is_int(unit_largest, 150000, "in no more memory than they need");
    ok(unit_calls <= 11, "grown by doubling: %zu times", unit_calls);
    feed_free(&got);

    fresh();
    frame(0, BINARY, data, 100000);
    frame(FIN, CONT, data, 40000);
    conf.limit = 140001;
    unit_alloc_reset(0);
    feed(&got, &conf, in, in_len, random_cut, &n);
    is_int(got.messages, 1, "fragments in small pieces are gathered");
    ok(unit_largest <= 140001, "in no more memory than the limit: %zu",
       unit_largest);
    feed_free(&got);

    wscast_assembler_init(&a, 1000);
    fresh();
    text(0, TEXT, "gathered");
    text(FIN, PING, "ping");
    pos = in;
    is_int(wscast_message_next(&a, &pos, in + in_len - 2, &m), WSCAST_MORE,
           "a message and a ping are both in progress");
    is_int(unit_live, 2, "they own two buffers");
    wscast_assembler_done(&a);
    is_int(unit_live, 0, "done() frees both");

    wscast_assembler_init(&a, 1000);
    fresh();
    text(0, TEXT, "ga");
    text(FIN, CONT, "thered");
    pos = in;
    is_int(wscast_message_next(&a, &pos, in + in_len, &m), WSCAST_OK,
           "a gathered message is yielded");
    is_mem(m.data, m.len, "gathered", 8, "it is whole");
    is_int(unit_live, 1, "it is owned until the next call");
    is_int(wscast_message_next(&a, &pos, in + in_len, &m), WSCAST_MORE,
           "the next call finds nothing");
    is_int(unit_live, 0, "and an idle assembler owns no memory");
    wscast_assembler_done(&a);

    fresh();
    wscast_assembler_init(&a, 1000);
    text(0, TEXT, "ga");
    text(FIN, CONT, "thered");
    pos = in;
    wscast_message_next(&a, &pos, in + in_len, &m);
    wscast_assembler_done(&a);
    is_int(unit_live, 0, "done() frees a yielded message");
}


/* Many messages of random shape, fragmented anywhere, pings anywhere. */

static void
test_random(void)
{
    int                   i, round, pieces, good;
    size_t                n, left, part;
    unsigned              opcode;
    static unsigned char  data[3000], ping[125];

    good = 1;

    for (round = 0; round < 60 && good; round++) {
        fresh();

        for (i = 0; i < 12; i++) {
            n = unit_below(i % 3 ? 40 : sizeof(data));
            opcode = unit_below(2) ? TEXT : BINARY;
            unit_fill(data, n);

            for (part = 0; opcode == TEXT && part < n; part++) {
                data[part] &= 0x7f;
            }

            left = n;

            for (pieces = 0; ; pieces++) {
                part = unit_below(3) ? unit_below(left + 1) : left;
                frame(part == left ? FIN : 0, pieces ? CONT : opcode,
                      data + n - left, part);
                left -= part;

                if (left == 0) {
                    break;
                }

                if (unit_below(4) == 0) {
                    unit_fill(ping, sizeof(ping));
                    part = unit_below(126);
                    frame(FIN, PING, ping, part);
                    expect(PING, ping, part);
                }
            }

            expect(opcode, data, n);
        }

        good = run_all();
    }

    ok(good, "random messages come out of random cuts as they went in");
}


int
main(void)
{
    test_whole();
    test_fragments();
    test_order();
    test_header_reasons();
    test_limit();
    test_memory();
    test_random();

    feed_free(&want);

    return done();
}
