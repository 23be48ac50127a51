/* heap: a process dies between any two stores, and another one goes on. */

#include "heap_case.h"


#define COMMIT  1000                /* the tail on which a transaction hangs */


static wscast_cell_t  kept, gone;
static unsigned char  text[700];


static uint64_t
state(void)
{
    return *wscast_heap_root(&heap, 0);
}


/* Frees an object, makes two, changes words; as a whole or not at all. */

static void
change(void)
{
    wscast_cell_t  a, b;

    wscast_heap_recover(&heap, 0);
    wscast_heap_begin(&heap);
    wscast_heap_free(&heap, gone);

    a = wscast_heap_alloc(&heap, 400);
    b = wscast_heap_alloc(&heap, 30);
    wscast_heap_write(&heap, a, 0, text, 400);

    wscast_heap_set(&heap, wscast_heap_root(&heap, 0), 2);
    wscast_heap_set(&heap, wscast_heap_root(&heap, 1), a);
    wscast_heap_set(&heap, wscast_heap_root(&heap, 2), b);
    wscast_heap_set32(&heap, wscast_heap_table(&heap, WSCAST_TABLE_HISTORY)
                             + 17, b);
    wscast_heap_set(&heap, wscast_heap_root(&heap, 0), 3);
}


static void
change_and_commit(void)
{
    change();
    wscast_heap_commit(&heap);
}


static void
change_and_abort(void)
{
    change();
    wscast_heap_abort(&heap);
}


static void
change_and_hang(void)
{
    change();
    wscast_heap_hang(&heap, COMMIT);
    wscast_heap_commit(&heap);
}


/* An object to be kept, one to go, free blocks in the list and in limbo. */

static void
prepare(void)
{
    unsigned       i;
    wscast_cell_t  c[3];

    fresh(SMALL);
    memset(text, 't', sizeof(text));

    for (i = 0; i < 3; i++) {
        wscast_heap_begin(&heap);
        c[i] = wscast_heap_alloc(&heap, 250);
        wscast_heap_commit(&heap);
    }

    wscast_heap_begin(&heap);
    kept = wscast_heap_alloc(&heap, 700);
    gone = wscast_heap_alloc(&heap, 700);
    wscast_heap_write(&heap, kept, 0, text, 700);
    wscast_heap_write(&heap, gone, 0, text, 700);
    wscast_heap_set(&heap, wscast_heap_root(&heap, 0), 1);
    wscast_heap_free(&heap, c[0]);
    wscast_heap_commit(&heap);

    wscast_heap_begin(&heap);
    wscast_heap_free(&heap, c[2]);
    wscast_heap_commit(&heap);

    save();
}


/* 1 if all is as prepared, or all is as changed. */

static int
whole(void)
{
    uint32_t       used;
    wscast_cell_t  a, b;

    a = (wscast_cell_t) *wscast_heap_root(&heap, 1);
    b = (wscast_cell_t) *wscast_heap_root(&heap, 2);
    used = wscast_heap_total(&heap) - wscast_heap_free_blocks(&heap);

    if (!wscast_heap_validate(&heap)
        || !wscast_heap_equal(&heap, kept, 0, wscast_str(text, 700)))
    {
        return 0;
    }

    if (state() == 1) {
        return a == 0 && b == 0 && used == 3 + 6 + 6
               && wscast_heap_table(&heap, WSCAST_TABLE_HISTORY)[17] == 0
               && wscast_heap_equal(&heap, gone, 0, wscast_str(text, 700));
    }

    return state() == 3 && used == 3 + 6 + 4 + 1
           && wscast_heap_table(&heap, WSCAST_TABLE_HISTORY)[17] == b
           && wscast_heap_equal(&heap, a, 0, wscast_str(text, 400));
}


static uint64_t  tail;


static void
recover(void)
{
    wscast_heap_recover(&heap, tail);
}


/* f() dies at every step; who comes next finds all whole, and goes on. */

static void
test_each_step(const char *name, void (*f)(void), uint64_t at)
{
    unsigned       n, bad;
    unsigned char  died[2];

    prepare();
    tail = at;
    bad = 0;
    memset(died, 0, sizeof(died));

    for (n = 1; dies_at(n, f); n++) {
        recover();
        bad += !whole();
        died[state() == 3] = 1;

        change_and_commit();
        bad += state() != 3 || !wscast_heap_validate(&heap);
        restore();
    }

    is_int(bad, 0, "%s, killed at each of %u steps, is whole or has not been",
           name, n - 1);
    ok(n > 30 && died[0], "it was killed before it counted");
    is_int(died[1], f == change_and_hang, "%s", f == change_and_hang
           ? "and after that" : "it counts by its last store");
}


/* The same, and whoever recovers dies, too, at any step, again and again. */

static void
test_recovery(const char *name, void (*f)(void), uint64_t at)
{
    unsigned  n, m, bad, died;
    uint64_t  result;

    prepare();
    tail = at;
    bad = 0;
    died = 0;

    for (n = 1; dies_at(n, f); n++) {
        recover();
        result = state();
        restore();

        for (m = 1; dies_at(n, f) && dies_at(m, recover); m++) {
            died++;
            dies_at(1 + unit_below(8), recover);
            recover();
            bad += !whole() || state() != result;
            restore();
        }

        restore();
    }

    is_int(bad, 0, "%s: so it is if recovery dies, at each of its steps", name);
    ok(died > 100, "which it did %u times", died);
}


static void
reset(void)
{
    wscast_heap_reset(&heap);
}


static void
test_reset(void)
{
    unsigned  n, bad;

    prepare();
    bad = 0;

    for (n = 1; dies_at(n, reset); n++) {
        recover();

        if (state() != 1) {
            bad += !wscast_heap_validate(&heap)
                   || wscast_heap_free_blocks(&heap)
                      != wscast_heap_total(&heap)
                   || wscast_heap_generation(&heap) < 2;

        } else {
            bad += !whole();
        }

        restore();
    }

    is_int(bad, 0, "a reset, killed at each of %u steps, is done or has not "
           "been begun", n - 1);
}


int
main(void)
{
    test_each_step("a transaction", change_and_commit, UINT64_MAX - 1);
    test_each_step("one that is taken back", change_and_abort, COMMIT);
    test_each_step("one that hangs on a visible record", change_and_hang,
                   COMMIT);
    test_recovery("a transaction", change_and_commit, COMMIT);
    test_recovery("one that is taken back", change_and_abort, COMMIT);
    test_recovery("one that hangs on a visible record", change_and_hang,
                  COMMIT);
    test_recovery("one that hangs on a record nobody sees", change_and_hang,
                  COMMIT - 1);
    test_reset();

    is_int(unit_live, 0, "nothing private is left over");

    return done();
}
