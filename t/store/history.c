/* history: positions, messages and keys, contract by contract. */

#include "history_case.h"

#include "../../src/base/envelope.h"


static void
test_position(void)
{
    begin(SMALL);

    is_int(wscast_history_position(&history, s("c"), 0, clock_ms, &at),
           WSCAST_MORE, "a channel nobody asked for has no entry");
    ok(at.epoch == 0 && at.offset == 0, "its position is 0, 0");
    is_int(wscast_history_position(&history, s("c"), 5, clock_ms, &at),
           WSCAST_OK, "it gets one");
    ok(at.epoch == 5 && at.offset == 0, "with this epoch, and offset 0");
    is_int(wscast_history_position(&history, s("c"), 6, clock_ms, &at),
           WSCAST_OK, "who asks again");
    ok(at.epoch == 5 && at.offset == 0, "gets the same");

    is_int(publish("c", 3, 1000, "m"), WSCAST_OK, "a message is taken");
    ok(at.epoch == 5 && at.offset == 1, "it is the first of this epoch");
    is_int(publish("d", 3, 1000, "m"), WSCAST_OK,
           "a message is taken on a new channel");
    ok(at.epoch == 7 && at.offset == 1, "it is the first of its own epoch");

    is_int(wscast_history_position(&history, s("c"), 0, clock_ms, &at),
           WSCAST_OK, "the position is known");
    ok(at.epoch == 5 && at.offset == 1, "and moved with the message");
    is_int(wscast_history_position(&history, s("C"), 0, clock_ms, &at),
           WSCAST_MORE, "that of a similar name is not");
    ok(valid(), "lists and heap are valid");
}


static void
test_range(void)
{
    unsigned  i;
    char      body[20];

    begin(SMALL);

    for (i = 1; i <= 9; i++) {
        snprintf(body, sizeof(body), "m%u", i);
        publish("c", 6, 1000, body);
        clock_ms += 10;
    }

    is_str(all("c"), "m4 m5 m6 m7 m8 m9 ", "the last ones are kept, in order");
    ok(!more, "there are no others");

    read_range("c", 6, 0, 0, 100, SIZE_MAX, 0);
    is_str(joined(), "m7 m8 m9 ", "what comes after a position");
    read_range("c", 5, 8, 0, 100, SIZE_MAX, 0);
    is_str(joined(), "m6 m7 m8 ", "what lies between two");
    read_range("c", 0, 5, 0, 100, SIZE_MAX, 0);
    is_str(joined(), "m4 m5 ", "what comes before one");
    read_range("c", 9, 0, 0, 100, SIZE_MAX, 0);
    ok(packed.len == 0 && !more && at.offset == 9,
       "after the last there is nothing, and the position says so");
    read_range("c", UINT64_MAX, 0, 1, 100, SIZE_MAX, 0);
    ok(packed.len == 0 && !more, "nor after the last of all offsets");
    read_range("c", 8, 3, 0, 100, SIZE_MAX, 0);
    ok(packed.len == 0 && !more, "nor between two in the wrong order");

    read_range("c", 4, 0, 0, 2, SIZE_MAX, 0);
    is_str(joined(), "m5 m6 ", "of too many the oldest");
    ok(more, "and that there are more");
    read_range("c", 4, 0, 1, 2, SIZE_MAX, 0);
    is_str(joined(), "m8 m9 ", "or the newest");
    ok(more, "and that there are more");
    read_range("c", 7, 0, 1, 2, SIZE_MAX, 0);
    ok(!more, "but not beyond the range");
    read_range("c", 0, 7, 1, 2, SIZE_MAX, 0);
    is_str(joined(), "m6 m7 ", "the newest before one");

    read_range("c", 0, 0, 0, 100, 5, 0);
    is_str(joined(), "m4 m5 ", "of too many bytes the first");
    ok(more, "and that there are more");
    read_range("c", 0, 0, 1, 100, 0, 0);
    is_str(joined(), "m9 ", "at least one, however long");
    read_range("c", 0, 0, 0, 0, 100, 0);
    ok(packed.len == 0 && at.offset == 9,
       "with limit 0 the position is asked for, and nothing else");

    read_range("c", 0, 0, 0, 100, SIZE_MAX, 1000000 + 60);
    is_str(joined(), "m7 m8 m9 ", "the expired are left out");
    read_range("c", 0, 0, 1, 2, SIZE_MAX, 1000000 + 70);
    ok(strcmp(joined(), "m8 m9 ") == 0 && !more,
       "they are not more, either");

    is_int(read_range("x", 0, 0, 0, 100, SIZE_MAX, 0), WSCAST_OK,
           "an unknown channel can be read");
    ok(packed.len == 0 && at.epoch == 0 && at.offset == 0, "it is empty");
}


static void
test_trimming(void)
{
    unsigned  i;

    begin(SMALL);

    for (i = 0; i < 20; i++) {
        publish("c", 20, 1000, "m");
    }

    publish("c", 5, 1000, "n");
    is_str(all("c"), "m m m m m m m m m m m m m m m m n ",
           "a lower count is reached by and by");

    for (i = 0; i < 5; i++) {
        publish("c", 5, 1000, "n");
    }

    is_str(all("c"), "n n n n n ", "then it holds");

    publish("d", 1, 1000, "1");
    publish("d", 1, 1000, "2");
    is_str(all("d"), "2 ", "with count 1 the last is kept");

    clock_ms += 5000;
    publish("d", 10, 1000, "3");
    is_str(all("d"), "3 ", "the expired of a channel go with its next");
    ok(valid() && accounted(), "lists and heap are valid");
}


static void
test_keys(void)
{
    begin(SMALL);

    publish_key("c", "k", 5, 1000, s("first"));
    is_int(publish_key("c", "k", 5, 1000, s("second")), WSCAST_AGAIN,
           "a repeated key is found");
    ok(at.epoch == 7 && at.offset == 1, "its position is that of the first");
    is_str(all("c"), "first ", "the first is what is kept");

    is_int(publish_key("c", "l", 5, 1000, s("other")), WSCAST_OK,
           "another key is another publish");
    is_int(publish_key("d", "k", 5, 1000, s("other")), WSCAST_OK,
           "so is the key on another channel");
    is_int(publish_key("ck", "", 5, 1000, s("other")), WSCAST_OK,
           "or no key");
    is_int(publish_key("ck", "", 5, 1000, s("other")), WSCAST_OK,
           "which is never repeated");

    clock_ms += WSCAST_KEY_TIME - 1;
    is_int(publish_key("c", "k", 5, 1000, s("late")), WSCAST_AGAIN,
           "it is known for five minutes");
    clock_ms++;
    is_int(publish_key("c", "k", 5, 1000, s("late")), WSCAST_OK,
           "and not longer");
    is_int(at.offset, 3, "then it is a new message");
    is_int(publish_key("c", "k", 5, 1000, s("late")), WSCAST_AGAIN,
           "whose key is known");
    is_int(at.offset, 3, "with the new position");

    is_int(publish_key("n", "k", 0, 0, s("x")), WSCAST_OK,
           "a key counts without history");
    ok(at.epoch == 0 && at.offset == 0, "the position is 0, 0");
    is_int(publish_key("n", "k", 0, 0, s("x")), WSCAST_AGAIN,
           "its repeat is found");
    ok(at.epoch == 0 && at.offset == 0, "with the same");
    is_int(wscast_history_position(&history, s("n"), 0, clock_ms, &at),
           WSCAST_MORE, "and the channel has no entry");
    ok(valid() && accounted(), "lists and heap are valid");
}


static void
test_too_long(void)
{
    size_t                longest;
    wscast_keep_t         k;
    static unsigned char  body[SMALL];

    begin(SMALL);
    memset(&k, 0, sizeof(k));
    k.channel = s("c");
    k.count = 5;
    k.ttl = 1000;
    k.now = clock_ms;

    longest = (size_t) (wscast_heap_total(&heap) / 4) * WSCAST_CELL_FIXED - 1;

    is_int(wscast_history_room(&history, &k, longest), WSCAST_OK,
           "a quarter of the heap can be kept");
    is_int(wscast_history_room(&history, &k, longest + 1), WSCAST_MORE,
           "not more");

    publish("c", 5, 1000, "short");
    is_int(publish_key("c", "k", 5, 1000, wscast_str(body, longest + 1)),
           WSCAST_OK, "it is published all the same");
    is_int(at.offset, 2, "the position has moved on");
    is_str(all("c"), "short ", "it is not kept");
    is_int(publish_key("c", "k", 5, 1000, s("x")), WSCAST_AGAIN,
           "its key is");
    publish("c", 5, 1000, "next");
    is_int(at.offset, 3, "the next one follows");
    read_range("c", 1, 0, 0, 100, SIZE_MAX, 0);
    is_str(joined(), "next ", "behind a gap");

    publish_key("d", "", 5, 1000, wscast_str(body, longest + 1));
    is_int(at.offset, 1, "so it is for the first of a channel");
    ok(valid() && accounted(), "lists and heap are valid");
}


static void
test_mark(void)
{
    wscast_end_t  p;

    begin(SMALL);
    p.time = 0;
    p.position.epoch = 3;
    p.position.offset = 10;

    wscast_heap_begin(&heap);
    is_int(wscast_history_mark(&history, s("c"), &p, clock_ms), WSCAST_OK,
           "a mark makes an entry");
    wscast_heap_commit(&heap);
    wscast_history_position(&history, s("c"), 0, clock_ms, &at);
    ok(at.epoch == 3 && at.offset == 10, "it says how far");

    p.position.offset = 12;
    wscast_heap_begin(&heap);
    wscast_history_mark(&history, s("c"), &p, clock_ms);
    wscast_heap_abort(&heap);
    wscast_history_position(&history, s("c"), 0, clock_ms, &at);
    is_int(at.offset, 10, "taken back it says nothing");

    publish("c", 5, 1000, "x");
    ok(at.epoch == 3 && at.offset == 11, "a message goes on from it");

    p.position.epoch = 4;
    p.position.offset = 1;
    wscast_heap_begin(&heap);
    wscast_history_mark(&history, s("c"), &p, clock_ms);
    wscast_heap_commit(&heap);
    is_str(all("c"), "", "messages of another epoch are not read");
    publish("c", 5, 1000, "y");
    is_str(all("c"), "y ", "those of the new one are");
    ok(valid() && accounted(), "lists and heap are valid");

    wscast_heap_begin(&heap);
    take_all();
    is_int(wscast_history_mark(&history, s("d"), &p, clock_ms), WSCAST_NOMEM,
           "where there is no room there is no mark");
    wscast_heap_abort(&heap);
}


static void
test_forget(void)
{
    unsigned  i;

    begin(SMALL);

    for (i = 0; i < 100; i++) {
        publish("c", 1000, 1000, "m");
        publish("d", 1000, 1000, "n");
    }

    is_int(wscast_history_forget(&history, s("c")), WSCAST_OK,
           "a channel forgets");
    is_str(all("c"), "", "it has no messages");
    is_int(at.offset, 100, "and keeps its position");
    publish("c", 1000, 1000, "o");
    is_int(at.offset, 101, "from which it goes on");
    is_str(all("c"), "o ", "and keeps messages");
    all("d");
    is_int(packed.len, 500, "another one has all of its own");
    is_int(wscast_history_forget(&history, s("x")), WSCAST_OK,
           "an unknown one has nothing to forget");
    ok(valid() && accounted(), "lists and heap are valid");
}


static void
test_sweep(void)
{
    unsigned  i;

    begin(SMALL);

    publish("slow", 1000, 900000, "s");

    for (i = 0; i < 50; i++) {
        publish_key("c", "", 1000, 1000, s("m"));
    }

    publish_key("k", "k", 0, 0, s(""));

    wscast_history_sweep(&history, clock_ms + 999, 1000);
    all("c");
    is_int(packed.len, 250, "nothing goes before its time");
    wscast_history_sweep(&history, clock_ms + 1000, 10);
    all("c");
    is_int(packed.len, 200, "no more go than one says");

    for (i = 0; i < 20; i++) {
        wscast_history_sweep(&history, clock_ms + 1000, 10);
    }

    is_str(all("c"), "", "all of them go, though one is older and stays");
    is_str(all("slow"), "s ", "and it stays");
    is_int(publish_key("k", "k", 0, 0, s("")), WSCAST_AGAIN,
           "so does the key");
    wscast_history_sweep(&history, clock_ms + WSCAST_KEY_TIME, 10);
    is_int(wscast_history_head(&history, WSCAST_AGED_KEY), 0,
           "until its time has come");
    ok(valid() && accounted(), "lists and heap are valid");
    is_int(history.evicted, 0, "what expires is not evicted");
}


static void
test_full(void)
{
    unsigned              i, bad;
    uint64_t              offset;
    static unsigned char  body[5000];

    begin(SMALL);
    publish("old", 10, 1000000, "old");
    clock_ms++;
    wscast_history_position(&history, s("idle"), 9, clock_ms, &at);
    clock_ms++;
    publish_key("k", "k", 0, 0, s(""));
    clock_ms++;
    offset = 0;
    bad = 0;

    for (i = 0; i < 200; i++) {
        bad += publish_key("c", "", 1000, 1000000, wscast_str(body, 1000))
               != WSCAST_OK || at.offset != ++offset;
        clock_ms++;
    }

    is_int(bad, 0, "a full heap takes messages");
    is_str(all("old"), "", "the oldest message has gone");
    is_int(wscast_history_position(&history, s("idle"), 0, clock_ms, &at),
           WSCAST_MORE, "so has the channel that was older than the rest");
    is_int(publish_key("k", "k", 0, 0, s("")), WSCAST_OK,
           "and the key");

    all("c");
    bad = (unsigned) (packed.len / 1004);
    is_int(wscast_history_position(&history, s("c"), 0, clock_ms, &at),
           WSCAST_OK, "the position is known");
    is_int(at.offset, 200, "and counts all");
    is_int(history.evicted, 201 - bad, "what went is counted");

    for (i = 0; i < 2000; i++) {
        clock_ms++;
        snprintf((char *) body, 20, "ch%u", i);
        wscast_history_position(&history, s((char *) body), 9, clock_ms, &at);
    }

    is_int(wscast_history_position(&history, s("ch0"), 0, clock_ms, &at),
           WSCAST_MORE, "channels make room for channels");
    is_int(wscast_history_position(&history, s("ch1999"), 0, clock_ms, &at),
           WSCAST_OK, "the newest is there");
    ok(valid() && accounted(), "lists and heap are valid");

    is_int(wscast_history_vacate(&history, 100, clock_ms), WSCAST_OK,
           "room is made for others");
    ok(wscast_heap_free_blocks(&heap) >= 100, "as much as they want");
    is_int(wscast_history_vacate(&history, 100000, clock_ms), WSCAST_MORE,
           "but not more than there is");
    ok(valid() && accounted(), "lists and heap are valid");
}


/* How many messages are looked at to find the one with this offset. */

static uint32_t
steps_to(uint64_t offset)
{
    wscast_walk_t  w;

    memset(&w, 0, sizeof(w));
    w.h = &history;
    w.steps = 1000;

    if (wscast_history_find(&history, s("c"), &w.cell) != WSCAST_OK) {
        abort();
    }

    w.entry = wscast_heap_at(&heap, w.cell);

    if (wscast_history_start(&w, offset) == 0) {
        abort();
    }

    return 1000 - w.steps;
}


static void
test_nearer_end(void)
{
    unsigned  i;

    begin(SMALL);

    for (i = 0; i < 500; i++) {
        publish("c", 400, 1000, "m");
    }

    is_int(steps_to(500), 2, "the last message is found from the end");
    is_int(steps_to(491), 11, "so are those close to it");
    is_int(steps_to(105), 5, "the oldest from the beginning");
    ok(steps_to(300) <= 202, "none takes more than half of them");
}


/* All is taken by others, who cannot be evicted. */

static void
test_no_room(void)
{
    begin(SMALL);

    wscast_heap_begin(&heap);
    take_all();
    wscast_heap_commit(&heap);

    is_int(publish("c", 5, 1000, "x"), WSCAST_NOMEM,
           "without room for an entry there is no position");
    is_int(wscast_history_position(&history, s("c"), 5, clock_ms, &at),
           WSCAST_NOMEM, "nor if one asks for it");
    ok(at.epoch == 0 && at.offset == 0, "it is 0, 0");
    is_int(publish_key("c", "k", 0, 0, s("")), WSCAST_OK,
           "a key that cannot be kept is no reason not to publish");
    ok(wscast_history_validate(&history), "the lists are valid");
}


static void
test_memory(void)
{
    unsigned              i;
    static unsigned char  body[5000];

    begin(SMALL);

    for (i = 0; i < 5; i++) {
        publish_key("c", "", 10, 1000, wscast_str(body, sizeof(body)));
    }

    wscast_free(packed.data);
    memset(&packed, 0, sizeof(packed));

    for (i = 1; i < 10; i++) {
        unit_alloc_reset(i);

        if (read_range("c", 0, 0, 0, 100, SIZE_MAX, 0) == WSCAST_OK) {
            break;
        }
    }

    unit_alloc_reset(0);
    ok(i > 2 && i < 10, "a read whose memory fails says so, %u times", i - 1);
    is_int(packed.len, 5 * 5004, "then it succeeds");
}


/* docs/operations.md, "History and members in the zone". */

static void
test_sizes(void)
{
    is_int(sizeof(wscast_entry_t), 96, "a channel takes what is documented");
    is_int(sizeof(wscast_kept_t) + WSCAST_ENVELOPE_HEADER, 108,
           "so does a message");
    is_int(sizeof(wscast_key_t), 64, "so does a key");
}


int
main(void)
{
    test_sizes();
    test_position();
    test_range();
    test_trimming();
    test_keys();
    test_too_long();
    test_mark();
    test_forget();
    test_sweep();
    test_full();
    test_nearer_end();
    test_no_room();
    test_memory();
    over();

    return done();
}
