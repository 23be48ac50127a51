/* wire/frame: headers one after the other, payloads left out. */

#include "../lib/fuzz_main.h"

#include "../../src/wire/frame.c"


/* All of a frame that its readers use. */

static int
equal(const wscast_frame_t *a, const wscast_frame_t *b)
{
    return a->length == b->length && memcmp(a->key, b->key, 4) == 0
           && a->opcode == b->opcode && a->fin == b->fin && a->rsv == b->rsv;
}


/* What is accepted is legal, and is what we would have written. */

static void
check(const wscast_frame_t *f, const uint8_t *header, size_t len, unsigned rsv)
{
    size_t         n;
    unsigned char  own[10];

    must(f->length <= INT64_MAX);
    must(f->fin <= 1);
    must((f->rsv & ~rsv) == 0);
    must(f->rsv == 0 || f->opcode == WSCAST_OP_TEXT
         || f->opcode == WSCAST_OP_BINARY);
    must(!wscast_op_is_control(f->opcode)
         || (f->fin && f->length <= WSCAST_CONTROL_MAX));

    n = wscast_frame_header(own, (f->fin ? WSCAST_FRAME_FIN : 0) | f->rsv,
                            f->opcode, f->length);
    own[1] |= 0x80;

    must(n + 4 == len);
    must(memcmp(own, header, n) == 0);
    must(memcmp(f->key, header + n, 4) == 0);
}


static void
run(const uint8_t *data, size_t len, unsigned rsv)
{
    size_t           i, n, start;
    fuzz_cut_t       cut;
    const uint8_t   *p, *q, *end;
    wscast_frame_t   whole, pieces;
    wscast_status_t  rc, again;

    cut.data = data;
    cut.len = len;
    cut.at = 0;

    for (start = 0; start < len; start = (size_t) (p - data)) {

        p = data + start;
        wscast_frame_init(&whole);
        rc = wscast_frame_parse(&whole, &p, data + len, rsv);

        must(p > data + start && p <= data + len);
        must(rc != WSCAST_MORE || p == data + len);

        wscast_frame_init(&pieces);
        again = WSCAST_MORE;
        q = data + start;

        for (i = start; i < len && again == WSCAST_MORE; i += n) {
            n = fuzz_cut(&cut, len - i);
            end = data + i + n;
            again = wscast_frame_parse(&pieces, &q, end, rsv);
            must(again != WSCAST_MORE || q == end);
        }

        must(again == rc && q == p);

        if (rc != WSCAST_OK) {
            must(rc == WSCAST_MORE
                 || rc == WSCAST_CLOSE_RESERVED_BITS
                 || rc == WSCAST_CLOSE_RESERVED_OPCODE
                 || rc == WSCAST_CLOSE_CONTROL_FRAGMENT
                 || rc == WSCAST_CLOSE_CONTROL_LENGTH
                 || rc == WSCAST_CLOSE_UNMASKED
                 || rc == WSCAST_CLOSE_LENGTH_MINIMAL
                 || rc == WSCAST_CLOSE_LENGTH_RANGE);
            return;
        }

        must(equal(&whole, &pieces));
        check(&whole, data + start, (size_t) (p - data) - start, rsv);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    run(data, len, 0);
    run(data, len, WSCAST_FRAME_RSV1);

    return 0;
}
