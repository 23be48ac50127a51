/*
 * message_case.h: one case of the assembler's tests: bytes that are sent, and
 * messages and an end that must come out, however the bytes are cut.
 *
 * Audience: t/wire/message.c, message_packed.c and message_text.c.
 *
 *   fresh()                 begins a case
 *   frame() text() raw()    append to what is sent
 *   expect() expect_text()  append to what must come out; want.rc, want.busy
 *                           say how it must end (default: MORE, idle)
 *   same() fails()          feed it whole, byte by byte, at random cuts,
 *                           against a guard page, and with each allocation
 *                           failing in turn: one TAP line
 */

#ifndef WSCAST_T_WIRE_MESSAGE_CASE_H
#define WSCAST_T_WIRE_MESSAGE_CASE_H


#include "../lib/unit.h"

#include "../../src/base/utf8.c"
#include "../../src/wire/mask.c"
#include "../../src/wire/frame.c"
#include "../../src/wire/deflate.c"
#include "../../src/wire/message.c"
#include "feed.h"


#define CONT    WSCAST_OP_CONTINUATION
#define TEXT    WSCAST_OP_TEXT
#define BINARY  WSCAST_OP_BINARY
#define CLOSE   WSCAST_OP_CLOSE
#define PING    WSCAST_OP_PING
#define PONG    WSCAST_OP_PONG
#define FIN     WSCAST_FRAME_FIN

#define CUTS    40          /* random ways of cutting each case */


/* One case: what is sent, and what must come out. */

static unsigned char  in[600 * 1024];
static size_t         in_len;
static feed_t         want;
static size_t         limit = 65536;
static unsigned       takes;            /* of feed_conf_t */


static void
fresh(void)
{
    in_len = 0;
    feed_free(&want);
    memset(&want, 0, sizeof(want));
    want.rc = WSCAST_MORE;
    limit = 65536;
    takes = 0;
}


static void
raw(const char *bytes, size_t len)
{
    memcpy(in + in_len, bytes, len);
    in_len += len;
}


static void
frame(unsigned bits, unsigned opcode, const void *data, size_t len)
{
    size_t         n;
    unsigned char  key[4], *p;

    p = in + in_len;
    n = wscast_frame_header(p, bits, opcode, len);
    p[1] |= 0x80;

    unit_fill(key, 4);
    memcpy(p + n, key, 4);
    n += 4;

    if (len) {
        memcpy(p + n, data, len);
        wscast_mask_plain(p + n, len, key, 0);
    }

    in_len += n + len;
}


static void
text(unsigned bits, unsigned opcode, const char *s)
{
    frame(bits, opcode, s, strlen(s));
}


static void
expect(unsigned opcode, const void *data, size_t len)
{
    feed_record(&want, opcode, 0, data, len);
}


static void
expect_text(unsigned opcode, const char *s)
{
    expect(opcode, s, strlen(s));
}


static size_t
random_cut(void *ctx, size_t left)
{
    size_t  n, most;

    most = *(size_t *) ctx;
    n = 1 + unit_below(most);

    return n < left ? n : left;
}


static int
run(const feed_conf_t *conf, feed_cut_pt cut, void *ctx, const char *how)
{
    int     equal;
    feed_t  got;

    feed(&got, conf, in, in_len, cut, ctx);

    equal = feed_equal(&got, &want) && unit_live == 0;

    if (!equal) {
        note("%s: %zu messages in %zu bytes, status %d, busy %d, %zu leaked; "
             "wanted %zu in %zu, %d, %d", how, got.messages, got.len, got.rc,
             got.busy, unit_live, want.messages, want.len, want.rc, want.busy);
    }

    feed_free(&got);

    return equal;
}


/* The n-th allocation fails: nothing leaks, and to ask again goes on. */

static int
run_starved(void)
{
    size_t       n, calls, cut, most;
    feed_t       got;
    feed_conf_t  conf;

    memset(&conf, 0, sizeof(conf));
    conf.limit = limit;
    conf.takes = takes;

    most = 50;
    cut = 7;

    for (n = 1; n <= most; n++) {

        conf.patient = 0;
        unit_alloc_reset(n);
        feed(&got, &conf, in, in_len, feed_bytes, &cut);
        calls = unit_calls;
        unit_alloc_reset(0);
        feed_free(&got);

        if (calls < n) {
            return 1;
        }

        if (got.rc != WSCAST_NOMEM || unit_live != 0) {
            note("allocation %zu failed: status %d, %zu leaked", n, got.rc,
                 unit_live);
            return 0;
        }

        conf.patient = 1;
        unit_alloc_reset(n);

        if (!run(&conf, feed_bytes, &cut, "asking again")) {
            unit_alloc_reset(0);
            return 0;
        }

        unit_alloc_reset(0);
    }

    return 1;
}


static int
run_all(void)
{
    int          i;
    size_t       most;
    feed_conf_t  conf;

    memset(&conf, 0, sizeof(conf));
    conf.limit = limit;
    conf.takes = takes;

    unit_alloc_reset(0);

    if (!run(&conf, feed_whole, NULL, "whole")
        || !run(&conf, feed_bytes, NULL, "byte by byte"))
    {
        return 0;
    }

    conf.place = unit_guard;

    if (!run(&conf, feed_whole, NULL, "whole, guarded")
        || !run(&conf, feed_bytes, NULL, "byte by byte, guarded"))
    {
        return 0;
    }

    for (i = 0; i < CUTS; i++) {
        most = 1 + unit_below(i % 2 ? 9 : in_len + 1);
        conf.place = i % 4 < 2 ? unit_guard : NULL;

        if (!run(&conf, random_cut, &most, "random cuts")) {
            return 0;
        }
    }

    return in_len > 4096 || run_starved();
}


#define same(...)  ok(run_all(), __VA_ARGS__)

/* The case ends with a reason, and no bytes after it matter. */

#define fails(reason, in_progress, ...)                                       \
    do {                                                                      \
        want.rc = reason;                                                     \
        want.busy = in_progress;                                              \
        raw("\x8a\x80....", 6);                                               \
        ok(run_all(), __VA_ARGS__);                                           \
    } while (0)


#endif /* WSCAST_T_WIRE_MESSAGE_CASE_H */
