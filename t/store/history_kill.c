/* history: a worker dies between any two stores, and others go on. */

#include "history_case.h"


#define COMMIT  1000                /* where the record of a publish ends */
#define DIGEST  (4 * SMALL)


static uint64_t  tail;              /* of the ring */
static char      before[DIGEST], after[DIGEST], now_is[DIGEST];
static size_t    before_len, after_len, now_len;

static const char *const  names[] = {
    "c", "d", "idle", "fresh",
    "a name that is longer than what fits into the first block of an entry"
};

static const char *const  known[] = { "k0", "k1", "k2", "old" };


/* All that can be asked for, in one text. */

static size_t
digest(char *text)
{
    size_t           n;
    uint32_t         cell;
    unsigned         i, j;
    wscast_keep_t    k;
    wscast_entry_t  *e;

    n = 0;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (read_range(names[i], 0, 0, 0, UINT32_MAX, SIZE_MAX, 0)
            != WSCAST_OK)
        {
            return 0;
        }

        memcpy(text + n, &at, sizeof(at));
        n += sizeof(at);

        if (packed.len) {
            memcpy(text + n, packed.data, packed.len);
            n += packed.len;
        }

        if (wscast_history_find(&history, s(names[i]), &cell) == WSCAST_OK) {
            e = wscast_heap_at(&heap, cell);

            n += (size_t) sprintf(text + n, "%llu %llu %llu ",
                                  (unsigned long long) e->end_epoch,
                                  (unsigned long long) e->end_offset,
                                  (unsigned long long) e->end_time);
        }

        for (j = 0; j < sizeof(known) / sizeof(known[0]); j++) {
            memset(&k, 0, sizeof(k));
            k.channel = s(names[i]);
            k.key = s(known[j]);

            text[n++] = wscast_history_find_key(&history, &k, &cell)
                        == WSCAST_OK ? 'y' : 'n';
        }
    }

    return n;
}


/*
 * A publish with all that it may do: an entry, a message, trimming, an old key
 * that goes, and a new one; and the record in the ring.
 */

static void
publish_as(const char *channel, const char *key, uint32_t count)
{
    wscast_keep_t         k;
    wscast_status_t       rc;
    wscast_position_t     p;
    static unsigned char  body[400];

    memset(&k, 0, sizeof(k));
    k.channel = s(channel);
    k.key = s(key);
    k.fresh = 9;
    k.count = count;
    k.ttl = 60000;
    k.now = clock_ms;

    wscast_heap_recover(&heap, tail);

    if (wscast_history_room(&history, &k, sizeof(body)) != WSCAST_OK) {
        abort();
    }

    memset(body, 'b', sizeof(body));

    wscast_heap_begin(&heap);
    rc = wscast_history_next(&history, &k, &p);

    if (rc != WSCAST_OK) {
        wscast_heap_abort(&heap);
        return;
    }

    rc = wscast_history_append(&history, &k, &p,
                               wscast_str(body, sizeof(body)));

    if (rc != WSCAST_OK) {
        abort();
    }

    wscast_heap_hang(&heap, COMMIT);
    wscast_heap_put(&tail, COMMIT);
    wscast_heap_commit(&heap);
}


static void
publish_first(void)
{
    publish_as(names[4], "k2", 5);
}


static void
publish_next(void)
{
    publish_as("c", "k2", 5);
}


static void
publish_again(void)
{
    publish_as("c", "old", 2);
}


static void
publish_key_only(void)
{
    publish_as("d", "k2", 0);
}


static void
position(void)
{
    wscast_position_t  p;

    wscast_heap_recover(&heap, tail);
    wscast_history_position(&history, s("fresh"), 3, clock_ms, &p);
}


static void
position_again(void)
{
    wscast_position_t  p;

    wscast_heap_recover(&heap, tail);
    wscast_history_position(&history, s("idle"), 3, clock_ms + 5000, &p);
}


static void
forget(void)
{
    wscast_heap_recover(&heap, tail);
    wscast_history_forget(&history, s("d"));
}


static void
mark(void)
{
    wscast_end_t  p;

    p.position.epoch = 8;
    p.position.offset = 800;
    p.time = 80;

    wscast_heap_recover(&heap, tail);
    wscast_heap_begin(&heap);
    wscast_history_mark(&history, s("d"), &p, clock_ms);
    wscast_heap_hang(&heap, COMMIT);
    wscast_heap_put(&tail, COMMIT);
    wscast_heap_commit(&heap);
}


static void
given_to(const char *channel)
{
    wscast_end_t  end;

    end.position.epoch = 5;
    end.position.offset = 500;
    end.time = 50;

    wscast_heap_recover(&heap, tail);
    wscast_history_given(&history, s(channel), &end, clock_ms);
}


static void
given_first(void)
{
    given_to(names[4]);
}


static void
given(void)
{
    given_to("d");
}


static void
sweep(void)
{
    wscast_heap_recover(&heap, tail);
    wscast_history_sweep(&history, clock_ms + 3000, 100);
}


static void
vacate(void)
{
    wscast_heap_recover(&heap, tail);
    wscast_history_vacate(&history, wscast_heap_total(&heap) - 20, clock_ms);
}


static void
recover(void)
{
    wscast_heap_recover(&heap, tail);
}


static void
prepare(void)
{
    unsigned  i;

    begin(SMALL);

    publish_key("c", "old", 5, 60000, s("0"));
    clock_ms += WSCAST_KEY_TIME;
    wscast_history_position(&history, s("idle"), 6, clock_ms, &at);
    publish_key("d", "k1", 50, 2000, s("1"));

    for (i = 0; i < 25; i++) {
        publish("d", 50, i < 20 ? 2000 : 50000, "a message");
    }

    for (i = 0; i < 5; i++) {
        publish_key("c", "k0", 5, 60000, s("another"));
        publish("c", 5, 60000, "another");
    }

    tail = COMMIT - 100;
    save();
}


static int
is(const char *text, size_t len)
{
    return now_len == len && memcmp(now_is, text, len) == 0;
}


/* What comes before, and what after, when nobody dies. */

static void
outcome(void (*f)(void))
{
    prepare();
    before_len = digest(before);
    f();
    after_len = digest(after);
    restore();
    tail = COMMIT - 100;
}


/*
 * f() dies at each step, and recovery sometimes, too.  whole: what is found
 * then must be as before or as after.  hangs: and it is as after if, and only
 * if, the record is visible.
 */

static void
test(const char *name, void (*f)(void), int whole, int hangs)
{
    unsigned  n, bad, lost;

    outcome(f);
    bad = 0;
    lost = 0;

    for (n = 1; dies_at(n, f); n++) {
        (void) dies_at(1 + n % 7, recover);
        recover();

        bad += !valid() || !accounted();
        now_len = digest(now_is);

        if (whole) {
            lost += !is(before, before_len) && !is(after, after_len);
        }

        if (hangs) {
            lost += is(after, after_len) != (tail == COMMIT);
        }

        /* who does it again comes to the same */

        if (tail != COMMIT) {
            f();
            now_len = digest(now_is);
            lost += !is(after, after_len);
            bad += !valid() || !accounted();
        }

        restore();
        tail = COMMIT - 100;
    }

    ok(n > 5, "%s can be killed at %u steps", name, n - 1);
    is_int(bad, 0, "what is found is valid, and no block is lost");
    is_int(lost, 0, "%s", hangs ? "it has been if the record is visible"
           : whole ? "it is whole or has not been"
                   : "it can be gone on with");
}


int
main(void)
{
    test("the first publish on a channel", publish_first, 1, 1);
    test("a publish", publish_next, 1, 1);
    test("a publish that trims, with a key of old", publish_again, 1, 1);
    test("a publish without history", publish_key_only, 1, 1);
    test("a mark", mark, 1, 1);
    test("the first end that is known of a channel", given_first, 1, 0);
    test("an end", given, 1, 0);
    test("a first question", position, 1, 0);
    test("a later question", position_again, 1, 0);
    test("forgetting", forget, 1, 0);
    test("a sweep", sweep, 0, 0);
    test("making room", vacate, 0, 0);
    over();

    return done();
}
