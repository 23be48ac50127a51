/* base/prepared: a frame is built in one piece, or not at all. */

#include "../lib/unit.h"
#include "../../src/base/prepared.c"


static const unsigned char  header[WSCAST_FRAME_HEADER] = "0123456789";


static void
test_build(void)
{
    wscast_str_t        s;
    unsigned char      *p;
    wscast_builder_t    b;
    wscast_prepared_t  *frame;

    wscast_builder_init(&b, 0);
    is_int(wscast_builder_payload(&b).len, 0, "a new builder is empty");

    wscast_builder_lit(&b, "ab");
    wscast_builder_put(&b, NULL, 0);
    wscast_builder_str(&b, wscast_str("cd", 2));
    wscast_builder_uint(&b, 0);
    wscast_builder_uint(&b, 18446744073709551615ull);

    p = wscast_builder_reserve(&b, 3);
    memcpy(p, "xyz", 3);

    s = wscast_builder_payload(&b);
    is_mem(s.data, s.len, "abcd018446744073709551615xyz", 28,
           "a payload is what was written, in order");

    frame = wscast_builder_finish(&b, header, 2);
    s = wscast_prepared_frame(frame);
    is_mem(s.data, s.len, "01abcd018446744073709551615xyz", 30,
           "a short header stands right before the payload");
    is_int(frame->refs, 1, "a finished frame has one reference");
    ok(b.frame == NULL && b.used == 0, "a finished builder is empty");

    wscast_prepared_ref(frame);
    wscast_prepared_release(frame);
    is_int(unit_live, 1, "a frame lives while somebody holds it");

    wscast_prepared_release(frame);
    is_int(unit_live, 0, "the last release frees it");
    wscast_prepared_release(NULL);

    wscast_builder_init(&b, 100);
    wscast_builder_drop(&b);
    is_int(unit_live, 0, "a dropped builder leaves nothing");

    wscast_builder_init(&b, 0);
    frame = wscast_builder_finish(&b, header, 10);
    s = wscast_prepared_frame(frame);
    is_mem(s.data, s.len, header, 10,
           "the longest header fits before an empty payload");
    wscast_prepared_release(frame);
}


/* Any sizes of writes, with any hint, against a plain buffer. */

static void
test_growth(void)
{
    int                   i, wrong;
    size_t                k, n, len, writes, hint;
    wscast_str_t          s;
    wscast_builder_t      b;
    wscast_prepared_t    *frame;
    static unsigned char  plain[200000];

    wrong = 0;

    for (i = 0; i < 300; i++) {
        hint = unit_below(2) ? unit_below(3000) : 0;
        writes = unit_below(60);
        n = 0;

        wscast_builder_init(&b, hint);

        for (k = 0; k < writes; k++) {
            len = unit_below(unit_below(4) ? 40 : 3000);
            unit_fill(plain + n, len);
            wscast_builder_put(&b, plain + n, len);
            n += len;
        }

        frame = wscast_builder_finish(&b, header, 4);
        s = wscast_prepared_frame(frame);

        wrong += s.len != n + 4
                 || memcmp(s.data, "0123", 4) != 0
                 || memcmp(s.data + 4, plain, n) != 0;

        wscast_prepared_release(frame);
    }

    is_int(wrong, 0, "300 random payloads come out as they were written");

    unit_alloc_reset(0);
    wscast_builder_init(&b, 0);

    for (k = 0; k < 100000; k++) {
        wscast_builder_put(&b, "x", 1);
    }

    ok(unit_calls < 15, "100000 writes of a byte take few allocations");
    wscast_builder_drop(&b);

    unit_alloc_reset(0);
    wscast_builder_init(&b, 5000);
    wscast_builder_put(&b, plain, 5000);
    is_int(unit_calls, 1, "a good hint saves reallocations");
    wscast_builder_drop(&b);

    is_int(unit_live, 0, "nothing is left allocated");
}


static void
test_memory(void)
{
    size_t              n;
    wscast_builder_t    b;
    wscast_prepared_t  *frame;

    for (n = 1; n < 10; n++) {
        unit_alloc_reset(n);

        wscast_builder_init(&b, 0);
        wscast_builder_put(&b, "0123456789", 10);
        wscast_builder_reserve(&b, 1000);
        wscast_builder_uint(&b, 12345);
        wscast_builder_reserve(&b, 10000);

        if (n <= 4) {
            ok(b.failed && wscast_builder_payload(&b).len == 0,
               "when allocation %zu fails the builder is empty", n);
            ok(wscast_builder_reserve(&b, 1) == NULL,
               "then there is no room any more (%zu)", n);
        }

        frame = wscast_builder_finish(&b, header, 4);

        if (frame) {
            break;
        }

        is_int(unit_live, 0, "when allocation %zu fails nothing leaks", n);
    }

    is_int(n, 5, "four allocations can fail, then the frame is made");
    wscast_prepared_release(frame);
    unit_alloc_reset(0);

    wscast_builder_init(&b, SIZE_MAX);
    ok(b.failed && wscast_builder_finish(&b, header, 1) == NULL,
       "an absurd hint fails like missing memory");

    wscast_builder_init(&b, 0);
    wscast_builder_lit(&b, "x");
    ok(wscast_builder_reserve(&b, SIZE_MAX - 1) == NULL,
       "a reservation that would overflow fails");
    ok(wscast_builder_finish(&b, header, 1) == NULL,
       "and so does the frame");

    is_int(unit_live, 0, "nothing is left allocated");
}


int
main(void)
{
    test_build();
    test_growth();
    test_memory();

    return done();
}
