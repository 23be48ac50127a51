/* ring: what a reader does when the memory is not what it seems. */

#include "ring_case.h"


static void  (*inside)(void);        /* once, between two stores */
static int     forged;               /* what lies there then is a record */


/* While the reader has a record at hand, writers take its slot along. */

static void
lap(void)
{
    size_t               at;
    unsigned             i;
    unsigned char        body[900];
    wscast_record_sh_t   h;

    memset(&h, 0, sizeof(h));
    h.size = 48;
    h.kind = WSCAST_REC_PUBLICATION;
    h.to = 1;
    h.body_len = 6;

    /* where the reader is about to look, in the midst of a body, lies this */

    at = 48 - sizeof(wscast_record_sh_t) - 1;

    memset(body, 'x', sizeof(body));

    if (forged) {
        memcpy(body + at, &h, sizeof(h));
        memcpy(body + at + sizeof(h), "forged", 6);
    }

    wscast_store(&MEMBER(&ring[1], cursor), sh->tail);

    for (i = 0; i < 9; i++) {
        send_to(0, WSCAST_NO_SLOT, "d", body, sizeof(body));
    }
}


static void
hook(void)
{
    void  (*f)(void);

    f = inside;

    if (f && !locked) {
        inside = NULL;
        f();
    }
}


static void
test_taken_along(void)
{
    uint64_t  at;

    /*
     * A writer has stored the tail and is about to skip its record for a slot
     * that is not concerned, while that slot begins to read it.  The writer is
     * faster, and goes on for as long as the reader does not come to the point.
     */

    fresh(2);
    append(0, "c", "x");
    at = sh->tail;
    append(0, "c", "x");
    MEMBER(&ring[1], cursor) = at;      /* between the store and the skip */
    inside = lap;
    wscast_ring_hook = hook;

    is_int(next(1), WSCAST_MORE, "who was taken along has nothing to read, "
           "%s", forged ? "no forged record" : "nor lost anything");
    wscast_ring_hook = NULL;

    ok(inside == NULL && at == 48 && sh->tail > sh->log_size,
       "(a whole log went by while it read)");
    is_int(MEMBER(&ring[1], cursor), sh->tail,
           "its cursor has not gone back to where it was");

    over();
}


static void
test_nomem(void)
{
    fresh(2);
    wscast_ring_listen(&ring[1], s("c"));
    append(0, "c", "x");
    append(0, "c", "y");

    unit_alloc_reset(1);
    is_int(next(1), WSCAST_NOMEM, "no memory for a record is told");
    unit_alloc_reset(0);
    is_int(next(1), WSCAST_MORE, "the reader goes on at the tail");
    append(0, "c", "z");
    ok(reads(1, "z"), "and reads what follows");

    wscast_ring_close(&ring[3]);
    unit_alloc_reset(1);
    is_int(wscast_ring_open(&ring[3], sh, ZONE), WSCAST_NOMEM,
           "a view needs memory");
    unit_alloc_reset(0);

    over();
}


/* Any byte of any header may be anything: the reader stays in the log. */

static void
test_damage(void)
{
    unsigned        i, n, bits, bad, errors;
    wscast_status_t rc;

    bad = errors = 0;

    for (i = 0; i < 20000; i++) {

        if (i % 1000 == 0) {
            fresh(2);
            wscast_ring_listen(&ring[1], s("c"));
        }

        fill(0, i & 1 ? "c" : "d");
        append(0, "c", "short");

        for (bits = 1 + unit_below(4); bits; bits--) {
            n = unit_below(4) * 1024 + unit_below(48);
            ring[0].log[n] = i & 2 ? (unsigned char) unit_random()
                                   : ring[0].log[n] ^ 1 << unit_below(8);
        }

        for (n = 0; n < 1000; n++) {
            rc = next(1);
            errors += rc == WSCAST_ERROR;

            if (rc == WSCAST_MORE) {
                break;
            }
        }

        /* at the tail, and whole again */

        bad += n == 1000
               || append(0, "c", "after") != WSCAST_OK
               || !reads(1, "after");

        if (i % 1000 == 999) {
            for (n = 0; n < VIEWS; n++) {
                wscast_ring_close(&ring[n]);
            }
        }
    }

    ok(errors > 1000, "damaged headers are noticed (%u times)", errors);
    is_int(bad, 0, "after each damage the ring is whole again");

    fresh(2);
    wscast_ring_listen(&ring[1], s("c"));
    append(0, "c", "x");
    ((wscast_record_sh_t *) (void *) ring[0].log)->body_len = 4000;
    is_int(next(1), WSCAST_ERROR, "a body longer than its record is damage");
    ok(next(1) == WSCAST_MORE && MEMBER(&ring[1], cursor) == sh->tail,
       "the reader skips to the tail");

    append(0, "c", "y");
    MEMBER(&ring[1], cursor) = sh->tail + 4096 * 1000;
    is_int(next(1), WSCAST_ERROR, "a cursor beyond the tail is damage");
    is_int(next(1), WSCAST_MORE, "and mended");

    append(0, "c", "y");
    MEMBER(&ring[1], cursor) = 3;
    is_int(next(1), WSCAST_ERROR, "a cursor between records is damage");
    is_int(next(1), WSCAST_MORE, "and mended");

    append(0, "c", "y");
    MEMBER(&ring[1], state) = 0xbad;
    is_int(next(1), WSCAST_ERROR, "a state that is none is damage");
    is_int(MEMBER(&ring[1], state), WSCAST_SLOT_ACTIVE, "and mended");

    sh->log_size = (uint64_t) 1 << 40;
    sh->buckets = (uint64_t) 1 << 40;
    sh->high = 1 << 20;
    append(0, "c", "y");
    ok(reads(1, "y"), "geometry is not read from the memory again");
    wscast_ring_listen(&ring[1], s("e"));
    is_int(wscast_ring_workers(&ring[0]), 2, "nor the number of slots trusted");

    over();
}


int
main(void)
{
    test_taken_along();
    forged = 1;
    test_taken_along();
    test_nomem();
    test_damage();

    free(sh);

    return done();
}
