/* heap: objects, and transactions that are whole or have not been. */

#include "heap_case.h"


#define OBJECTS  600


static unsigned char  bytes[UNIT_GUARD_SIZE];


static void
test_format(void)
{
    size_t         n;
    uint64_t       before;
    wscast_heap_t  h;

    fresh(SMALL);

    is_int(wscast_heap_generation(&heap), 1, "a new heap is the first");
    ok(wscast_heap_validate(&heap), "a new heap is valid");
    is_int(wscast_heap_free_blocks(&heap), wscast_heap_total(&heap),
           "all its blocks are free");
    is_int(heap.ntable * 8, SMALL / 32, "a 32nd of it is the table");

    for (n = 0; n < heap.ntable && heap.table[n] == 0; n++) { /* void */ }

    is_int(n, heap.ntable, "the table is all 0");

    for (n = 0; n < WSCAST_HEAP_ROOTS && *wscast_heap_root(&heap, n) == 0; n++)
    { /* void */ }

    is_int(n, WSCAST_HEAP_ROOTS, "so are the roots");

    ok(heap.blocks + (size_t) heap.nblocks * WSCAST_BLOCK
       <= (unsigned char *) sh + size, "the blocks lie inside of the memory");
    ok((unsigned char *) (wscast_heap_table(&heap, WSCAST_TABLE_PRESENCE)
                          + heap.ntable) <= heap.blocks,
       "the parts of the table lie before them");

    before = wscast_heap_generation(&heap);
    wscast_heap_format(sh, size);
    is_int(wscast_heap_generation(&heap), before + 1,
           "formatted again, it is another generation");

    is_int(wscast_heap_open(&h, sh, size - 128), WSCAST_ERROR,
           "a heap of another size is not opened");
    is_int(wscast_heap_open(&h, sh, SMALL - 1), WSCAST_ERROR,
           "nor a too small one");

    sh->magic++;
    is_int(wscast_heap_open(&h, sh, size), WSCAST_ERROR,
           "nor what is no heap");
}


static void
test_odd_sizes(void)
{
    size_t    n;
    unsigned  bad;

    bad = 0;

    for (n = SMALL; n < SMALL + 40000; n += 1192) {
        fresh(n);
        wscast_heap_begin(&heap);

        while (wscast_heap_alloc(&heap, 1)) {
            memset(wscast_heap_at(&heap, sh->fresh - 1), 0xff,
                   WSCAST_CELL_FIXED);
            wscast_heap_commit(&heap);
            wscast_heap_begin(&heap);
        }

        wscast_heap_commit(&heap);
        bad += !wscast_heap_validate(&heap)
               || wscast_heap_free_blocks(&heap) != 0
               || wscast_heap_total(&heap) * WSCAST_BLOCK < n * 85 / 100;
    }

    is_int(bad, 0, "a heap of any size can be filled to its last block");
}


static void
test_bytes(void)
{
    size_t         at, len, n;
    unsigned       i, bad;
    wscast_cell_t  cell;
    unsigned char  out[1000], data[1000];

    fresh(SMALL);
    unit_fill(data, sizeof(data));

    wscast_heap_begin(&heap);
    (void) wscast_heap_alloc(&heap, 300);
    cell = wscast_heap_alloc(&heap, sizeof(data));
    is_int(wscast_heap_write(&heap, cell, 0, data, sizeof(data)), WSCAST_OK,
           "an object takes its bytes");
    wscast_heap_commit(&heap);

    bad = 0;

    for (i = 0; i < 20000; i++) {
        at = unit_below(sizeof(data) + 1);
        len = unit_below(sizeof(data) - at + 1);

        if (i % 4 == 0) {
            unit_fill(data + at, len);
            bad += wscast_heap_write(&heap, cell, at, data + at, len);
        }

        bad += wscast_heap_read(&heap, cell, at, out, len) != WSCAST_OK
               || memcmp(out, data + at, len) != 0
               || !wscast_heap_equal(&heap, cell, at,
                                     wscast_str(data + at, len));

        if (len) {
            out[unit_below(len)] ^= 1;
            bad += wscast_heap_equal(&heap, cell, at, wscast_str(out, len));
        }
    }

    is_int(bad, 0, "any piece of it is written, read and compared");

    n = (size_t) wscast_heap_blocks(sizeof(data)) * WSCAST_CELL_FIXED;

    is_int(wscast_heap_read(&heap, cell, n - 1, out, 1), WSCAST_OK,
           "the last byte of its last block is there");
    is_int(wscast_heap_read(&heap, cell, n - 1, out, 2), WSCAST_ERROR,
           "behind it the chain ends");
    is_int(wscast_heap_read(&heap, cell, n, out, 1), WSCAST_ERROR,
           "nothing begins behind it");
    is_int(wscast_heap_write(&heap, cell, n - 1, out, 2), WSCAST_ERROR,
           "nothing is written there");
    ok(!wscast_heap_equal(&heap, cell, n - 1, wscast_str(out, 2)),
       "nothing is equal there");
    is_int(wscast_heap_read(&heap, 0, 0, out, 1), WSCAST_ERROR,
           "no cell has no bytes");
    ok(wscast_heap_at(&heap, 0) == NULL
       && wscast_heap_at(&heap, heap.nblocks) == NULL
       && wscast_heap_at(&heap, UINT32_MAX) == NULL,
       "what is no cell has no fixed bytes");
}


static void
test_large(void)
{
    wscast_cell_t  a, b;

    fresh(UNIT_GUARD_SIZE);
    unit_fill(bytes, sizeof(bytes));

    wscast_heap_begin(&heap);
    a = wscast_heap_alloc(&heap, 400000);
    wscast_heap_write(&heap, a, 0, bytes, 400000);
    wscast_heap_commit(&heap);

    wscast_heap_begin(&heap);
    wscast_heap_free(&heap, a);
    ok(sh->count < 8, "a large object is freed in a few steps");
    wscast_heap_commit(&heap);

    is_int(wscast_heap_free_blocks(&heap), wscast_heap_total(&heap),
           "then all is free");

    wscast_heap_begin(&heap);
    b = wscast_heap_alloc(&heap, (size_t) wscast_heap_total(&heap)
                                 * WSCAST_CELL_FIXED);
    ok(b && sh->count < 16, "all blocks, used or not, are one object");
    is_int(wscast_heap_write(&heap, b, 0, bytes, 800000), WSCAST_OK,
           "it can be filled");
    is_int(wscast_heap_alloc(&heap, 1), 0, "then there is nothing left");
    ok(!wscast_heap_failed(&heap), "which is no failure");
    ok(wscast_heap_equal(&heap, b, 0, wscast_str(bytes, 800000)),
       "and it has its bytes");
    wscast_heap_abort(&heap);

    is_int(wscast_heap_free_blocks(&heap), wscast_heap_total(&heap),
           "taken back, all is free again");
    ok(wscast_heap_validate(&heap), "and the heap is valid");

    wscast_heap_begin(&heap);
    is_int(wscast_heap_alloc(&heap, SIZE_MAX), 0,
           "the largest of all objects does not fit");
    wscast_heap_abort(&heap);
}


static void
test_freed_is_kept(void)
{
    unsigned       n;
    wscast_cell_t  a, b;

    fresh(SMALL);
    memset(bytes, 'a', 1000);

    wscast_heap_begin(&heap);
    a = wscast_heap_alloc(&heap, 1000);
    wscast_heap_write(&heap, a, 0, bytes, 1000);
    wscast_heap_commit(&heap);

    wscast_heap_begin(&heap);
    wscast_heap_free(&heap, a);

    for (n = 0; (b = wscast_heap_alloc(&heap, 1)) && n < OBJECTS; n++) {
        memset(wscast_heap_at(&heap, b), 'b', WSCAST_CELL_FIXED);
    }

    wscast_heap_abort(&heap);

    ok(wscast_heap_equal(&heap, a, 0, wscast_str(bytes, 1000)),
       "what a transaction freed is whole when it is taken back");
    ok(wscast_heap_validate(&heap), "and the heap is valid");

    wscast_heap_begin(&heap);
    wscast_heap_free(&heap, a);
    wscast_heap_commit(&heap);
    wscast_heap_begin(&heap);
    is_int(wscast_heap_alloc(&heap, 1000), a,
           "the next one may take what it freed");
    wscast_heap_commit(&heap);
}


static void
test_journal(void)
{
    unsigned   i, bad;
    uint32_t  *cells;

    fresh(SMALL);
    cells = wscast_heap_table(&heap, WSCAST_TABLE_HISTORY);

    wscast_heap_begin(&heap);

    for (i = 0; i < WSCAST_JOURNAL; i++) {
        wscast_heap_set32(&heap, &cells[i % 100], i + 1);
        wscast_heap_set32(&heap, &cells[i % 100], i + 1);
    }

    ok(!wscast_heap_failed(&heap), "as many words as the journal has change; "
       "what stays as it is needs none of it");
    wscast_heap_set32(&heap, &cells[200], 1);
    ok(wscast_heap_failed(&heap), "one more fails the transaction");
    is_int(cells[200], 0, "and is not changed");
    is_int(wscast_heap_alloc(&heap, 1), 0, "nor is anything allocated");

    wscast_heap_set(&heap, wscast_heap_root(&heap, 3), 1);
    is_int(*wscast_heap_root(&heap, 3), 0, "nor any other word");
    wscast_heap_abort(&heap);

    for (i = 0, bad = 0; i < 256; i++) {
        bad += cells[i] != 0;
    }

    is_int(bad, 0, "abort puts every word back, the oldest value last");

    wscast_heap_set32(&heap, &cells[0], 7);
    is_int(cells[0], 0, "outside of a transaction nothing changes");
}


static void
test_hanging(void)
{
    static const struct {
        uint64_t     tail;
        uint64_t     value;
        const char  *name;
    } cases[] = {
        { 999, 5, "the record is not visible: it has not been" },
        { 1000, 6, "the record is visible: it counts" },
        { 5000, 6, "so it does if the tail is farther" },
    };

    unsigned  i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fresh(SMALL);

        wscast_heap_begin(&heap);
        wscast_heap_set(&heap, wscast_heap_root(&heap, 1), 5);
        wscast_heap_commit(&heap);

        wscast_heap_begin(&heap);
        wscast_heap_set(&heap, wscast_heap_root(&heap, 1), 6);
        wscast_heap_hang(&heap, 1000);
        view();
        wscast_heap_recover(&heap, cases[i].tail);

        is_int(*wscast_heap_root(&heap, 1), cases[i].value, "%s",
               cases[i].name);
        ok(wscast_heap_validate(&heap), "the heap is valid");
    }

    wscast_heap_begin(&heap);
    wscast_heap_set(&heap, wscast_heap_root(&heap, 1), 7);
    view();
    wscast_heap_recover(&heap, UINT64_MAX - 1);
    is_int(*wscast_heap_root(&heap, 1), 6,
           "what does not hang on the ring does not count by its tail");
}


static void
test_reset(void)
{
    fresh(SMALL);
    wscast_heap_begin(&heap);
    wscast_heap_alloc(&heap, 500);
    wscast_heap_set(&heap, wscast_heap_root(&heap, 2), 9);
    heap.table[0] = 9;

    wscast_heap_reset(&heap);

    is_int(wscast_heap_free_blocks(&heap), wscast_heap_total(&heap),
           "a reset heap is free");
    ok(*wscast_heap_root(&heap, 2) == 0 && heap.table[0] == 0,
       "its roots and its table are 0");
    is_int(wscast_heap_generation(&heap), 2, "it is another generation");
    ok(wscast_heap_validate(&heap), "it is valid");

    sh->count = WSCAST_JOURNAL + 1;
    wscast_heap_recover(&heap, 0);
    is_int(wscast_heap_generation(&heap), 3,
           "a journal that is none resets it");
    ok(wscast_heap_validate(&heap), "and then it is valid");
}


/* Random transactions; a plain copy of each object says what it must be. */

typedef struct {
    wscast_cell_t   cell;
    size_t          len;
    unsigned char   seed;
} object_t;


static int
object_is(const object_t *o)
{
    size_t                i;
    static unsigned char  data[4000];

    if (wscast_heap_read(&heap, o->cell, 0, data, o->len) != WSCAST_OK) {
        return 0;
    }

    for (i = 0; i < o->len && data[i] == (unsigned char) (o->seed + i); i++) {
        /* void */
    }

    return i == o->len;
}


static void
object_make(object_t *o)
{
    size_t                i;
    static unsigned char  data[4000];

    o->len = unit_below(8) ? unit_below(300) : unit_below(4000);
    o->seed = (unsigned char) unit_random();
    o->cell = wscast_heap_alloc(&heap, o->len);

    for (i = 0; i < o->len; i++) {
        data[i] = (unsigned char) (o->seed + i);
    }

    if (o->cell
        && wscast_heap_write(&heap, o->cell, 0, data, o->len) != WSCAST_OK)
    {
        abort();
    }
}


static void
test_random(void)
{
    unsigned         i, n, k, round, bad;
    uint32_t         used;
    static object_t  o[OBJECTS], before[OBJECTS];

    fresh(SMALL);
    n = 0;
    bad = 0;

    for (round = 0; round < 4000; round++) {
        memcpy(before, o, sizeof(o));
        k = n;
        wscast_heap_begin(&heap);

        for (i = unit_below(8); i; i--) {
            if (unit_below(2) && n < OBJECTS) {
                object_make(&o[n]);
                n += o[n].cell != 0;

            } else if (n) {
                n--;
                wscast_heap_free(&heap, o[n / 2].cell);
                o[n / 2] = o[n];
            }
        }

        bad += wscast_heap_failed(&heap);

        if (unit_below(3)) {
            wscast_heap_commit(&heap);

        } else {
            wscast_heap_abort(&heap);
            memcpy(o, before, sizeof(o));
            n = k;
        }

        used = 0;

        for (i = 0; i < n; i++) {
            used += wscast_heap_blocks(o[i].len);
            bad += !object_is(&o[i]);
        }

        bad += used + wscast_heap_free_blocks(&heap)
               != wscast_heap_total(&heap);
        bad += !wscast_heap_validate(&heap);
    }

    is_int(bad, 0, "4000 random transactions, a third of them taken back, "
           "leave every object as it must be");
}


static void
test_validate(void)
{
    fresh(SMALL);
    wscast_heap_begin(&heap);
    wscast_heap_alloc(&heap, 500);
    wscast_heap_free(&heap, wscast_heap_alloc(&heap, 500));
    wscast_heap_commit(&heap);
    ok(wscast_heap_validate(&heap), "this heap is valid");

    unit_alloc_reset(1);
    ok(!wscast_heap_validate(&heap), "without memory that is not known");
    unit_alloc_reset(0);

    save();
    sh->nlimbo--;
    ok(!wscast_heap_validate(&heap), "a wrong count is seen");
    restore();
    wscast_heap_block(&heap, 5)->next = 1;
    ok(!wscast_heap_validate(&heap), "a ring is seen");
    restore();
    wscast_heap_block(&heap, 5)->next = 7;
    ok(!wscast_heap_validate(&heap), "a link into another chain is seen");
    restore();
    wscast_heap_block(&heap, 1)->ends = 3;
    ok(!wscast_heap_validate(&heap), "a wrong end is seen");
    restore();
    wscast_heap_block(&heap, 5)->ends = 4;
    ok(!wscast_heap_validate(&heap), "a wrong length is seen");
    is_int(unit_live, 0, "nothing private is left over");
}


int
main(void)
{
    test_format();
    test_odd_sizes();
    test_bytes();
    test_large();
    test_freed_is_kept();
    test_journal();
    test_hanging();
    test_reset();
    test_random();
    test_validate();

    return done();
}
