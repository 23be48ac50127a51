/* outq: frames in order, by reference, each once, whatever writev() takes. */

#include "../lib/unit.h"

#include "../../src/base/prepared.c"
#include "../../src/conn/outq.c"


static ngx_wscast_outq_t  q;


/* A frame of len bytes, each of which tells its place in the stream. */

static wscast_prepared_t *
frame(size_t len, size_t *at)
{
    size_t            i;
    unsigned char    *p;
    unsigned char     header[2];
    wscast_builder_t  b;

    wscast_builder_init(&b, len);

    header[0] = (unsigned char) ((*at)++ % 251);
    header[1] = (unsigned char) ((*at)++ % 251);
    p = wscast_builder_reserve(&b, len - 2);

    for (i = 0; i < len - 2; i++) {
        p[i] = (unsigned char) ((*at)++ % 251);
    }

    return wscast_builder_finish(&b, header, 2);
}


static ngx_int_t
push(size_t len, size_t *at)
{
    ngx_int_t           rc;
    wscast_prepared_t  *p;

    p = frame(len, at);
    rc = ngx_wscast_outq_push(&q, p);
    wscast_prepared_release(p);

    return rc;
}


/* Takes at most len bytes of n pieces; how many, or -1: not the next ones. */

static ssize_t
take(size_t n, size_t len, size_t *at)
{
    size_t        i, k, taken;
    ngx_uint_t    pieces;
    struct iovec  iov[8];

    taken = 0;
    pieces = ngx_wscast_outq_iovec(&q, iov, n);

    if (pieces > n || (pieces < n && pieces != q.count)) {
        return -1;
    }

    for (i = 0; i < pieces; i++) {

        if (iov[i].iov_len == 0) {
            return -1;
        }

        for (k = 0; k < iov[i].iov_len && taken < len; k++, taken++) {
            if (((unsigned char *) iov[i].iov_base)[k] != (*at)++ % 251) {
                return -1;
            }
        }
    }

    ngx_wscast_outq_consume(&q, taken);

    return (ssize_t) taken;
}


static void
test_order(void)
{
    size_t    in, out, bytes;
    ssize_t   n;
    unsigned  i, bad;

    in = out = bytes = 0;
    bad = 0;

    for (i = 0; i < 20000; i++) {

        if (unit_below(100) < 52 || i < 200) {
            n = 2 + (ssize_t) unit_below(300);
            bad += push((size_t) n, &in) != NGX_OK;
            bytes += (size_t) n;
        }

        if (i >= 200) {
            n = take(1 + unit_below(8), unit_below(600), &out);
            bad += n < 0;
            bytes -= (size_t) n;
        }

        bad += q.bytes != bytes || q.bytes != in - out;
    }

    while (q.bytes && !bad) {
        bad += take(8, 10000, &out) <= 0;
    }

    is_int(bad, 0, "the stream is whole and in order, however it is cut");
    ok(in == out && q.count == 0, "and all of it comes out");
    is_int(take(8, 10000, &out), 0, "an empty queue has nothing to send");

    ngx_wscast_outq_done(&q);
    is_int(unit_live, 0, "nothing is left");
}


static void
test_refs(void)
{
    size_t              at;
    unsigned            i;
    wscast_prepared_t  *p;

    at = 0;
    p = frame(10, &at);

    for (i = 0; i < 5; i++) {
        ngx_wscast_outq_push(&q, p);
    }

    is_int(p->refs, 6, "each place in the queue holds a reference");
    ngx_wscast_outq_consume(&q, 10);
    ngx_wscast_outq_consume(&q, 3);
    is_int(p->refs, 5, "it is released when the frame has been sent, whole");
    is_int(q.bytes, 37, "a frame that has been begun counts for its rest");

    ngx_wscast_outq_truncate(&q);
    ok(p->refs == 2 && q.count == 1 && q.bytes == 7,
       "truncated, it still has the frame that has been begun");
    ngx_wscast_outq_truncate(&q);
    ok(q.count == 1 && q.bytes == 7, "as often as one does it");
    ngx_wscast_outq_consume(&q, 7);
    ok(p->refs == 1 && q.count == 0 && q.bytes == 0, "which can be ended");

    ngx_wscast_outq_push(&q, p);
    ngx_wscast_outq_truncate(&q);
    ok(p->refs == 1 && q.count == 0 && q.bytes == 0,
       "without such a one nothing is left");

    ngx_wscast_outq_push(&q, p);
    ngx_wscast_outq_push(&q, p);
    ngx_wscast_outq_consume(&q, 12);
    ngx_wscast_outq_done(&q);
    ok(p->refs == 1 && q.count == 0 && q.bytes == 0 && q.frames == NULL,
       "done, it holds nothing");

    wscast_prepared_release(p);
    is_int(unit_live, 0, "nor any memory");
}


static void
test_memory(void)
{
    size_t              at;
    unsigned            i, bad;
    wscast_prepared_t  *p;

    at = 0;
    bad = 0;
    p = frame(10, &at);

    unit_alloc_reset(1);

    for (i = 0; i < 2; i++) {
        bad += ngx_wscast_outq_push(&q, p) != NGX_OK;
    }

    ok(bad == 0 && unit_calls == 0, "two frames take no memory");

    is_int(ngx_wscast_outq_push(&q, p), NGX_ERROR,
           "without memory a third is an error");
    ok(p->refs == 3 && q.count == 2 && q.bytes == 20,
       "and takes no reference");
    unit_alloc_reset(0);

    for (i = 0; i < 2; i++) {
        ngx_wscast_outq_push(&q, p);
    }

    is_int(unit_calls, 1, "a few frames are one allocation");
    ok(unit_largest <= 32, "of 32 bytes");

    unit_alloc_reset(1);
    is_int(ngx_wscast_outq_push(&q, p), NGX_ERROR,
           "nor can it grow without memory");
    ok(p->refs == 5 && q.count == 4 && q.bytes == 40, "but keeps what it has");
    unit_alloc_reset(0);

    ngx_wscast_outq_consume(&q, 40);
    unit_alloc_reset(0);
    ngx_wscast_outq_push(&q, p);
    is_int(unit_calls, 0, "a small queue keeps its memory when it is empty");

    for (i = 0; i < 999; i++) {
        ngx_wscast_outq_push(&q, p);
    }

    ngx_wscast_outq_consume(&q, 9999);
    ok(q.frames != NULL, "(it is large)");
    ngx_wscast_outq_consume(&q, 1);
    ok(q.frames == NULL && q.size == 0, "a large one gives it back");

    wscast_prepared_release(p);
    is_int(unit_live, 0, "nothing is left");
}


/* The weight is what is really taken, for frames of any size. */

static void
test_weight(void)
{
    int     i, n;
    size_t  at, len, bad, taken;

    bad = 0;

    for (len = 2; len <= 4096; len *= 2) {
        at = 0;
        n = 100;
        memset(&q, 0, sizeof(q));

        for (i = 0; i < n; i++) {
            bad += push(len, &at) != NGX_OK;
        }

        /* an allocator's head, and what it rounds up */

        taken = sizeof(wscast_prepared_t) + WSCAST_FRAME_HEADER
                + ngx_max(len, WSCAST_BUILDER_LEAST);
        taken = (taken + sizeof(size_t) + 15) & ~(size_t) 15;
        taken = n * taken + q.size * sizeof(wscast_prepared_t *);

        bad += q.bytes != n * len || ngx_wscast_outq_weight(&q) < taken;

        ngx_wscast_outq_done(&q);
        bad += ngx_wscast_outq_weight(&q) != 0;
    }

    is_int(bad, 0, "the weight is no less than the memory that is taken");
}


int
main(void)
{
    test_order();
    test_refs();
    test_memory();
    test_weight();

    return done();
}
