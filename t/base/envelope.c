/* base/envelope: what one worker writes, every other reads, or refuses. */

#include "../lib/unit.h"
#include "../../src/base/utf8.c"
#include "../../src/base/envelope.c"


#define NOW  1700000000123ull


/* The format of envelope.h, byte by byte. */

static const unsigned char  example[] =
    "\x00\x01\x01\x04"
    "\x01\x02\x03\x04\x05\x06\x07\x08"
    "\x11\x12\x13\x14\x15\x16\x17\x18"
    "\x21\x22\x23\x24\x25\x26\x27\x28"
    "\x02\x01" "\x00\x03" "\x00\x00\x00\x04"
    "c1" "x" "ann" "null" "data";

#define EXAMPLE  (sizeof(example) - 1)


static void
example_fields(wscast_pub_fields_t *f)
{
    memset(f, 0, sizeof(*f));

    f->kind = WSCAST_PUB_JOIN;
    f->flags = WSCAST_PUB_POSITION;
    f->time = 0x0102030405060708;
    f->epoch = 0x1112131415161718;
    f->offset = 0x2122232425262728;
    f->client = wscast_str("c1", 2);
    f->exclude = wscast_str("x", 1);
    f->user = wscast_str("ann", 3);
    f->info = wscast_str("null", 4);
    f->data = wscast_str("data", 4);
}


static int
same(const wscast_pub_fields_t *a, const wscast_pub_fields_t *b)
{
    return a->kind == b->kind && a->flags == b->flags && a->time == b->time
           && a->epoch == b->epoch && a->offset == b->offset
           && wscast_str_eq(a->channel, b->channel)
           && wscast_str_eq(a->client, b->client)
           && wscast_str_eq(a->exclude, b->exclude)
           && wscast_str_eq(a->user, b->user)
           && wscast_str_eq(a->info, b->info)
           && wscast_str_eq(a->data, b->data);
}


/* Decodes a copy that ends at a guard page. */

static wscast_status_t
decode(const void *bytes, size_t len, wscast_pub_fields_t *f)
{
    if (len) {
        memcpy(unit_guard(len), bytes, len);
    }

    return wscast_envelope_decode(wscast_str("room", 4),
                                  wscast_str(unit_guard(len), len), NOW, f);
}


static void
test_example(void)
{
    unsigned char        *end;
    wscast_pub_fields_t   f, g;

    example_fields(&f);

    is_int(wscast_envelope_size(&f), EXAMPLE, "the size is exact");

    end = wscast_envelope_encode(unit_guard(EXAMPLE), &f);
    is_mem(unit_guard(EXAMPLE), EXAMPLE, example, EXAMPLE,
           "an envelope is written as envelope.h draws it");
    ok(end == unit_guard(EXAMPLE) + EXAMPLE, "encode returns its end");

    f.channel = wscast_str("room", 4);
    is_int(decode(example, EXAMPLE, &g), WSCAST_OK, "it can be read");
    ok(same(&f, &g), "and what is read is what was written");

    f.flags = 0;
    wscast_envelope_encode(unit_guard(EXAMPLE), &f);
    is_int(wscast_envelope_decode(f.channel,
                                  wscast_str(unit_guard(EXAMPLE), EXAMPLE),
                                  NOW, &g), WSCAST_OK,
           "an envelope without position can be read");
    ok(g.epoch == 0 && g.offset == 0, "then epoch and offset are 0");
}


static void
test_damage(void)
{
    int                  wrong;
    size_t               n;
    unsigned char        copy[EXAMPLE];
    wscast_pub_fields_t  f;

    wrong = 0;

    for (n = 1; n < EXAMPLE - 4; n++) {
        wrong += decode(example, n, &f) != WSCAST_ERROR;
    }

    is_int(wrong, 0, "an envelope cut before its data is an error");
    is_int(decode(example, EXAMPLE - 4, &f), WSCAST_OK,
           "an envelope may have no data");

    memcpy(copy, example, EXAMPLE);
    copy[1] = 2;
    is_int(decode(copy, EXAMPLE, &f), WSCAST_MORE, "version 2 is skipped");
    is_int(decode(copy, 2, &f), WSCAST_MORE,
           "version 2 is skipped however it looks");

    memcpy(copy, example, EXAMPLE);
    copy[2] = WSCAST_PUB_KINDS;
    is_int(decode(copy, EXAMPLE, &f), WSCAST_MORE, "a new kind is skipped");

    memcpy(copy, example, EXAMPLE);
    copy[3] = 0xff;
    is_int(decode(copy, EXAMPLE, &f), WSCAST_OK, "new flags are accepted");
    is_int(f.flags, WSCAST_PUB_BINARY | WSCAST_PUB_JSON | WSCAST_PUB_POSITION
           | WSCAST_PUB_NO_ECHO, "and ignored");

    memcpy(copy, example, EXAMPLE);
    memset(copy + 32, 0xff, 4);
    is_int(decode(copy, EXAMPLE, &f), WSCAST_ERROR,
           "an info longer than the envelope is an error");

    memcpy(copy, example, EXAMPLE);
    memset(copy + 28, 0xff, 8);
    is_int(decode(copy, EXAMPLE, &f), WSCAST_ERROR,
           "lengths beyond the envelope are an error");
}


static void
test_plain(void)
{
    wscast_pub_fields_t  f;

    is_int(decode("{\"hello\":1}", 11, &f), WSCAST_OK,
           "a plain payload is data");
    ok(wscast_str_eq(f.data, wscast_str("{\"hello\":1}", 11))
       && wscast_str_eq(f.channel, wscast_str("room", 4)),
       "verbatim, on the channel it came on");
    ok(f.flags == 0 && f.kind == WSCAST_PUB_MESSAGE && f.client.len == 0
       && f.user.len == 0, "a text message of no client");
    ok(f.time == NOW, "with the current time");

    decode("\xff\x00\x01", 3, &f);
    is_int(f.flags, WSCAST_PUB_BINARY,
           "a plain payload that is not UTF-8 is binary");

    is_int(decode("", 0, &f), WSCAST_OK, "an empty payload is a message");
    ok(f.data.len == 0 && f.flags == 0, "an empty text");
}


static void
test_limits(void)
{
    wscast_pub_fields_t   f, g;
    static unsigned char  big[65536];
    unsigned char        *out;
    size_t                size;

    memset(big, 'a', sizeof(big));
    memset(&f, 0, sizeof(f));

    f.client = wscast_str(big, 255);
    f.exclude = wscast_str(big, 255);
    f.user = wscast_str(big, 65535);

    size = wscast_envelope_size(&f);
    is_int(size, 36 + 255 + 255 + 65535, "the longest names fit");

    out = malloc(size);
    wscast_envelope_encode(out, &f);
    is_int(decode(out, size, &g), WSCAST_OK, "and can be read");
    ok(same(&f, &g) == 0 && (f.channel = g.channel, same(&f, &g)),
       "and are the same");
    free(out);

    f.client.len = 256;
    is_int(wscast_envelope_size(&f), 0, "a client of 256 bytes does not fit");
    f.client.len = 255;
    f.exclude.len = 256;
    is_int(wscast_envelope_size(&f), 0, "nor does such an exclude");
    f.exclude.len = 0;
    f.user.len = 65536;
    is_int(wscast_envelope_size(&f), 0, "nor a user of 65536 bytes");
    f.user.len = 0;
    f.info.len = (size_t) 1 << 32;
    is_int(wscast_envelope_size(&f), 0, "nor an info of 4 gigabytes");
}


static void
test_random(void)
{
    int                   i, wrong;
    size_t                n, read;
    unsigned char        *out;
    wscast_pub_fields_t   f, g;
    static unsigned char  bytes[4000];

    wrong = 0;

    for (i = 0; i < 20000; i++) {
        unit_fill(bytes, 64);

        memset(&f, 0, sizeof(f));
        f.kind = (unsigned) unit_below(WSCAST_PUB_KINDS);
        f.flags = (unsigned) unit_below(16);
        f.time = unit_random();
        f.channel = wscast_str("room", 4);
        f.client = wscast_str(bytes, unit_below(64));
        f.exclude = wscast_str(bytes, unit_below(64));
        f.user = wscast_str(bytes + 1, unit_below(2000));
        f.info = wscast_str(bytes + 2, unit_below(2000));
        f.data = wscast_str(bytes + 3, unit_below(3000));

        if (f.flags & WSCAST_PUB_POSITION) {
            f.epoch = unit_random();
            f.offset = unit_random();
        }

        n = wscast_envelope_size(&f);
        out = unit_guard(n);
        wrong += wscast_envelope_encode(out, &f) != out + n
                 || wscast_envelope_decode(f.channel, wscast_str(out, n), NOW,
                                           &g) != WSCAST_OK
                 || !same(&f, &g);
    }

    is_int(wrong, 0, "20000 random publications survive the journey");

    wrong = 0;

    for (i = 0; i < 200000; i++) {
        n = 1 + unit_below(80);
        unit_fill(bytes, n);
        bytes[0] = 0;
        bytes[1] = 1;
        bytes[2] = 0;
        memset(bytes + 28, 0, 8);
        bytes[28] = (unsigned char) unit_below(20);
        bytes[31] = (unsigned char) unit_below(20);
        bytes[35] = (unsigned char) unit_below(20);

        if (decode(bytes, n, &f) == WSCAST_OK) {
            read = 36 + f.client.len + f.exclude.len + f.user.len
                   + f.info.len + f.data.len;
            wrong += read != n;
        }
    }

    is_int(wrong, 0, "what is read of random bytes is all of them");
}


static void
test_stamp(void)
{
    unsigned char        *bytes;
    wscast_pub_fields_t   f, got;

    example_fields(&f);
    f.flags = WSCAST_PUB_JSON;
    f.epoch = f.offset = 0;

    bytes = unit_guard(wscast_envelope_size(&f));
    (void) wscast_envelope_encode(bytes, &f);

    wscast_envelope_stamp(bytes, 0xfffefdfcfbfaf9f8, 0x0102030405060708);
    f.flags = WSCAST_PUB_JSON|WSCAST_PUB_POSITION;
    f.epoch = 0xfffefdfcfbfaf9f8;
    f.offset = 0x0102030405060708;
    f.channel = wscast_str("r", 1);
    ok(wscast_envelope_decode(f.channel, wscast_str(bytes, EXAMPLE), NOW, &got)
       == WSCAST_OK && same(&f, &got),
       "a stamp says where it is, and changes nothing else");
    ok(wscast_envelope_time(bytes) == f.time, "its time is read by itself");

    wscast_envelope_stamp(bytes, 1, 2);
    ok(wscast_envelope_decode(f.channel, wscast_str(bytes, EXAMPLE), NOW, &got)
       == WSCAST_OK && got.epoch == 1 && got.offset == 2
       && got.flags == f.flags, "another one replaces it");

    wscast_envelope_stamp(bytes, 0, 0);
    ok(wscast_envelope_decode(f.channel, wscast_str(bytes, EXAMPLE), NOW, &got)
       == WSCAST_OK && got.epoch == 0 && got.offset == 0
       && got.flags == WSCAST_PUB_JSON, "epoch 0 takes it away");
}


int
main(void)
{
    test_example();
    test_stamp();
    test_damage();
    test_plain();
    test_limits();
    test_random();

    return done();
}
