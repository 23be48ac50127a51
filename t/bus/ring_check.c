/* ring: what is not consistent is found. */

#include "ring_case.h"

#include "../../src/bus/ring_check.c"


/* What is wrong with it; "nothing", if nothing is. */

static const char *
wrong(void)
{
    const char  *what;

    what = wscast_ring_wrong(&ring[0]);

    return what ? what : "nothing";
}


static int
says(const char *what)
{
    return strcmp(wrong(), what) == 0;
}


/* Three slots; behind the first's cursor lie records, and a pad. */

static void
used(void)
{
    unsigned  i;

    fresh(3);
    wscast_ring_listen(&ring[0], s("c"));
    wscast_ring_listen(&ring[1], s("c"));
    (void) wscast_ring_lead(&ring[1], &wake);
    (void) wscast_ring_bequeath(&ring[1], &wake);

    for (i = 0; i < 9; i++) {
        append(2, "c", "some more bytes than nothing at all");

        if (i < 6) {
            (void) next(0);
        }

        (void) next(1);
    }
}


static void
test_sound(void)
{
    unsigned              i, n, bad;
    static unsigned char  body[1024];

    used();
    ok(says("nothing"), "a ring in use is consistent");
    wscast_ring_leave(&ring[1]);
    ok(says("nothing"), "and when its leader has gone");
    dead[12] = 1;
    (void) wscast_ring_reap(&ring[0]);
    ok(says("nothing"), "and when one has died");

    bad = 0;

    for (i = 0; i < 500; i++) {
        n = i * 7 % 900;
        (void) send_to(0, i % 3 ? WSCAST_NO_SLOT : 0, "c", body, n);
        bad += !says("nothing");

        if (i % 4 == 3) {
            while (next(0) == WSCAST_OK) { /* void */ }
        }
    }

    is_int(bad, 0, "and whatever is appended and read");

    sh->slots[0].state = WSCAST_SLOT_CUT;
    sh->slots[0].cursor = 1;
    ok(says("nothing"), "who was cut loose may be anywhere");

    over();
}


static wscast_record_sh_t *
first(void)
{
    return (wscast_record_sh_t *) (void *)
           (ring[0].log + (sh->slots[0].cursor & (ring[0].log_size - 1)));
}


#define finds(what, name, harm, cure)                                         \
    do {                                                                      \
        harm;                                                                 \
        ok(says(what), "%s is found", name);                                  \
        cure;                                                                 \
        ok(says("nothing"), "%s: and that it is whole again", name);          \
    } while (0)


static void
test_harm(void)
{
    used();

    finds("sizes", "another size", sh->log_size *= 2, sh->log_size /= 2);
    finds("the number of slots", "a slot too many", sh->high += 1000,
          sh->high -= 1000);
    finds("a slot", "a state that there is not", sh->slots[2].state += 2,
          sh->slots[2].state -= 2);
    finds("a slot", "a tenant beyond the last", sh->slots[9].state = 1,
          sh->slots[9].state = 0);
    finds("a slot", "a tenant without a name", sh->slots[2].nonce -= 102,
          sh->slots[2].nonce += 102);
    finds("a cursor", "one who read what was not written",
          sh->slots[1].cursor++, sh->slots[1].cursor--);
    finds("a cursor", "one who was lapped", sh->tail += 8192,
          sh->tail -= 8192);
    finds("who leads", "a leader who is not there", sh->leader += 60,
          sh->leader -= 60);
    finds("who leads", "an heir who leads", sh->heir -= 1, sh->heir += 1);
    finds("interest", "the interest of nobody", ring[0].interest[0] ^= 16,
          ring[0].interest[0] ^= 16);
    finds("interest", "and in the last bucket",
          ring[0].interest[ring[0].buckets * WSCAST_SLOT_WORDS - 1] ^= 1,
          ring[0].interest[ring[0].buckets * WSCAST_SLOT_WORDS - 1] ^= 1);
    finds("the size of a record", "a record of another length",
          first()->size += 16, first()->size -= 16);
    finds("the size of a record", "one without an end", first()->size = 0,
          first()->size = 80);
    finds("a record", "a kind that there is not",
          first()->kind += WSCAST_REC_MAX, first()->kind -= WSCAST_REC_MAX);
    finds("a record", "a body longer than its record",
          first()->body_len += 16, first()->body_len -= 16);
    finds("a record", "a record to nobody", first()->to -= 100,
          first()->to += 100);

    over();
}


int
main(void)
{
    test_sound();
    test_harm();

    free(sh);

    return done();
}
