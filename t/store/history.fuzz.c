/*
 * history: the input is a script for one history in the least of heaps: groups
 * of bytes, each a deed, as of history_deeds.h, which compares all answers with
 * those of plain arrays.  If the first byte is odd, there is also damage: then
 * nothing is promised but to stay inside of the memory, to end, and to be
 * whole after a reset.
 */

#include "../lib/fuzz_main.h"

#include "../../src/base/map.c"
#include "../../src/store/heap.c"
#include "../../src/store/heap_blocks.c"
#include "../../src/store/history.c"
#include "../../src/store/history_objects.c"
#include "../../src/store/history_end.c"
#include "../../src/store/history_read.c"
#include "../../src/store/history_check.c"


static wscast_heap_t     heap;
static wscast_history_t  history;

#define MUST  must

#include "history_deeds.h"


typedef struct {
    const uint8_t  *data;
    size_t          len;
} script_t;


static wscast_heap_sh_t  *sh;


static unsigned
byte(script_t *s)
{
    if (s->len == 0) {
        return 0;
    }

    s->len--;

    return *s->data++;
}


static uint64_t
word(script_t *s)
{
    unsigned  high;

    high = byte(s);

    return high << 8 | byte(s);
}


/* A length that is mostly short. */

static uint32_t
length(script_t *s)
{
    unsigned  n;

    n = byte(s);

    return n < 240 ? n * 2 : (n - 239) * 1500;
}


static void
format(void)
{
    void  *p;

    if (sh == NULL) {
        if (posix_memalign(&p, 64, WSCAST_HEAP_MIN) != 0) {
            abort();
        }

        sh = p;
        memset(p, 0x5a, WSCAST_HEAP_MIN);
    }

    wscast_heap_format(sh, WSCAST_HEAP_MIN);
    must(wscast_heap_open(&heap, sh, WSCAST_HEAP_MIN) == WSCAST_OK);
    wscast_history_init(&history, &heap, 7);
    model_clear();
}


static void
deed(script_t *s)
{
    unsigned  what, channel, key;
    uint32_t  count;
    uint64_t  after;

    what = byte(s);
    channel = what / 16 % CHANNELS;

    switch (what % 16) {

    case 0:
        do_position(channel, byte(s));
        break;

    case 1:
        do_sweep(byte(s) % 32);
        break;

    case 2:
        do_forget(channel);
        break;

    case 3:
        key = byte(s);
        do_mark(channel, channels[channel].epoch + 1 + key % 3, key / 3);
        break;

    case 4:
        clock_ms += word(s) * 16;
        break;

    case 5:
    case 6:
    case 7:
        after = byte(s);
        count = byte(s);
        do_read(channel, after, count & 1 ? after + byte(s) : 0,
                count >> 1 & 1, count >> 2,
                count & 1 ? (size_t) byte(s) * 8 : SIZE_MAX,
                what % 16 == 7 ? clock_ms - word(s) * 16 : 0);
        break;

    case 8:
        key = byte(s);

        if (key % 4 == 0) {
            do_end(channel);
            break;
        }

        do_given(channel, channels[channel].epoch + key % 4,
                 channels[channel].offset + key / 4 % 16,
                 key / 64 % 2 * clock_ms);
        break;

    default:
        key = byte(s);
        count = byte(s);
        do_publish(channel, what % 16 > 12 ? key % 16 : 0, count,
                   (uint64_t) key * 1000, (uint8_t) (key + count), length(s),
                   key / 16 % 4);
        break;
    }
}


/* With damage, the same calls, and nothing is compared. */

static int
harmed_deed(script_t *s)
{
    unsigned            what, more;
    wscast_keep_t       k;
    wscast_range_t      r;
    wscast_status_t     rc;
    wscast_position_t   p;

    what = byte(s);

    memset(&k, 0, sizeof(k));
    k.channel = name_of(what / 16 % CHANNELS);
    k.key = key_of(what % 4);
    k.fresh = 1;
    k.count = byte(s);
    k.ttl = 1000;
    k.now = clock_ms;

    memset(&r, 0, sizeof(r));
    r.channel = k.channel;
    r.newest = what & 1;
    r.limit = 1000;
    r.bytes = SIZE_MAX;

    switch (what % 16) {

    case 0:
        return wscast_history_position(&history, k.channel, 1, clock_ms, &p);

    case 1:
        clock_ms += 300;
        return wscast_history_sweep(&history, clock_ms, 100);

    case 2:
        return wscast_history_forget(&history, k.channel);

    case 3:
    case 4:
        return wscast_history_read(&history, &r, &packed, &p, &more);

    default:
        rc = wscast_history_room(&history, &k, 300);

        if (rc == WSCAST_ERROR) {
            return rc;
        }

        wscast_heap_begin(&heap);
        rc = wscast_history_next(&history, &k, &p);

        if (rc == WSCAST_OK) {
            rc = wscast_history_append(&history, &k, &p,
                                       body_of(1, length(s)));
        }

        if (rc != WSCAST_OK || wscast_heap_failed(&heap)) {
            wscast_heap_abort(&heap);
            return rc;
        }

        wscast_heap_commit(&heap);

        return rc;
    }
}


static void
harm(script_t *s)
{
    size_t  at;

    while (s->len) {
        if (byte(s) % 4 == 0) {
            at = word(s) % WSCAST_HEAP_MIN;
            ((unsigned char *) sh)[at] ^= (unsigned char) (byte(s) | 1);
            (void) wscast_history_validate(&history);
            (void) wscast_heap_validate(&heap);
        }

        wscast_heap_recover(&heap, 0);

        if (harmed_deed(s) == WSCAST_ERROR) {
            wscast_heap_reset(&heap);
            must(wscast_heap_validate(&heap));
            must(wscast_history_validate(&history));
        }
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    unsigned  damaged, n;
    script_t  s;

    s.data = data;
    s.len = len;

    format();
    damaged = byte(&s) & 1;

    for (n = 0; s.len && !(damaged && n == 20) && n < OBJECTS; n++) {
        deed(&s);
    }

    if (damaged) {
        harm(&s);

    } else {
        read_all();
        must(wscast_history_validate(&history));
        must(wscast_heap_validate(&heap));
    }

    return 0;
}
