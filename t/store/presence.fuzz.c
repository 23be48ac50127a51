/*
 * presence: the input is a script.  Three bytes are a deed, done to presence
 * and to a plain array of members, which must agree; in the end nobody is left,
 * and nothing.  If the first byte is odd, deeds may also damage the memory:
 * then nothing is promised but to stay inside of it and to end.
 */

#include "../lib/fuzz_main.h"
#include "presence_model.h"


#define SIZE  WSCAST_HEAP_MIN


static wscast_heap_sh_t  *sh;
static uint64_t           clock_ms;


static const char *
deed(unsigned what, unsigned a, unsigned b)
{
    case_join_t  d;

    switch (what % 8) {

    case 0:
        return do_leave(a % CASE_CHANNELS, b % MODEL_CLIENTS + 1,
                        a / 4 % MODEL_OWNERS + 1);

    case 1:
        return do_lose(a % CASE_CHANNELS, b % MODEL_CLIENTS + 1,
                       a / 4 % MODEL_OWNERS + 1, clock_ms);

    case 2:
        clock_ms += b * 10;
        return do_expire(clock_ms);

    case 3:
        return a & 1 ? do_bury(b % MODEL_OWNERS + 1, clock_ms)
                     : do_own(b % MODEL_OWNERS + 1);

    case 4:
        return do_page(a % CASE_CHANNELS, b % 16 + 1, b / 16 * 100);

    default:
        d.channel = a % CASE_CHANNELS;
        d.client = b % MODEL_CLIENTS + 1;
        d.former = what / 8 % 2 ? (a / 16 + b) % MODEL_CLIENTS + 1 : 0;
        d.user = what / 16 % CASE_USERS;
        d.info = a / 16;
        d.owner = a / 4 % MODEL_OWNERS + 1;
        d.grace = what / 64 * 500;
        return do_join(&d);
    }
}


/* Somewhere behind the heap's own header. */

static void
damage(unsigned a, unsigned b)
{
    size_t  at, span;

    span = (size_t) (heap.blocks - (unsigned char *) sh) + 128 * 40
           - sizeof(wscast_heap_sh_t);
    at = sizeof(wscast_heap_sh_t) + (a * 256 + b) * 17 % span;
    ((unsigned char *) sh)[at] ^= a + 1;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    void        *p;
    size_t       i;
    unsigned     n;
    const char  *why;

    if (len < 1) {
        return 0;
    }

    if (sh == NULL) {
        must(posix_memalign(&p, 64, SIZE) == 0);
        sh = p;
        memset(sh, 0, SIZE);
    }

    model_fresh(sh, SIZE);
    clock_ms = 1000;

    for (i = 1; i + 2 < len; i += 3) {
        if ((data[0] & 1) && data[i] >= 0xf0) {
            damage(data[i + 1], data[i + 2]);
            continue;
        }

        why = deed(data[i], data[i + 1], data[i + 2]);
        must(why == NULL || (data[0] & 1));
    }

    if (data[0] & 1) {
        (void) model_compare();
        (void) wscast_presence_validate(&presence);
        return 0;
    }

    must(model_compare() == NULL);
    must(wscast_heap_validate(&heap));

    for (n = 1; n <= MODEL_OWNERS; n++) {
        must(do_bury(n, clock_ms) == NULL);
    }

    while (nmodel) {
        must(do_expire(UINT64_MAX) == NULL);
    }

    must(*wscast_heap_root(&heap, WSCAST_ROOT_USED) == 0);
    must(wscast_heap_free_blocks(&heap) == wscast_heap_total(&heap));

    return 0;
}
