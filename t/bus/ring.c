/* ring: records are appended and read, whole, in order, and once. */

#include "ring_case.h"


static void
test_plain(void)
{
    fresh(3);

    ok(ring[0].slot == 0 && ring[1].slot == 1 && ring[2].slot == 2,
       "each view gets a slot of its own");
    is_int(wscast_ring_workers(&ring[0]), 3, "they are counted");
    is_int(next(0), WSCAST_MORE, "nothing is to be read at first");

    wscast_ring_listen(&ring[1], s("a"));
    wscast_ring_listen(&ring[2], s("a"));

    is_int(append(0, "a", "one"), WSCAST_OK, "a record can be appended");
    ok(!wscast_slotset_has(&targets, 0) && wscast_slotset_has(&targets, 1)
       && wscast_slotset_has(&targets, 2)
       && wscast_slotset_count(&targets) == 2
       && wake.w[0] == 6 && wake.w[1] == 0,
       "it is meant for those who listen, and they are to be woken");

    append(1, "a", "");
    ok(wscast_slotset_has(&targets, 1) && wscast_slotset_empty(&wake),
       "nobody is woken twice, nor by himself");

    append(2, "a", "three");

    ok(reads(1, "one") && wscast_str_eq(got.channel, s("a"))
       && got.kind == WSCAST_REC_PUBLICATION && got.from == 0
       && got.to == WSCAST_NO_SLOT && got.arg == 77,
       "a record is read as it was written");
    ok(reads(1, "") && got.from == 1, "the own ones and empty ones too");
    ok(reads(1, "three") && next(1) == WSCAST_MORE, "in order, and once");
    ok(!wscast_ring_behind(&ring[1]) && wscast_ring_behind(&ring[2]),
       "who is behind can be seen");
    ok(reads(2, "one") && reads(2, "") && reads(2, "three")
       && next(2) == WSCAST_MORE, "another reads the same in the same order");
    is_int(next(0), WSCAST_MORE, "who does not listen reads nothing");

    wscast_ring_awake(&ring[1]);
    append(0, "a", "four");
    ok(wake.w[0] == 2, "who has answered its wake-up can be woken again");

    over();
}


static void
test_interest(void)
{
    char      other[16];
    unsigned  n;
    uint64_t  a;

    fresh(3);

    wscast_ring_listen(&ring[1], s("a"));
    append(0, "b", "x");
    ok(!wscast_ring_behind(&ring[0]) && !wscast_ring_behind(&ring[1])
       && !wscast_ring_behind(&ring[2]) && wscast_slotset_empty(&wake),
       "what concerns nobody is skipped for all, waking nobody");

    append(0, "a", "y");
    ok(!wscast_ring_behind(&ring[2]) && wscast_ring_behind(&ring[1]),
       "who is not concerned is taken along");

    append(0, "b", "z");
    ok(MEMBER(&ring[1], cursor) < sh->tail,
       "who still reads is not moved over what it has not read");
    ok(reads(1, "y") && next(1) == WSCAST_MORE && !wscast_ring_behind(&ring[1]),
       "it skips by itself then");

    a = wscast_hash(sh->seed, s("a")) & (sh->buckets - 1);

    for (n = 0; n < 100000; n++) {
        snprintf(other, sizeof(other), "o%u", n);

        if ((wscast_hash(sh->seed, s(other)) & (sh->buckets - 1)) == a) {
            break;
        }
    }

    append(0, other, "collides");
    ok(wscast_slotset_has(&targets, 1) && reads(1, "collides")
       && wscast_str_eq(got.channel, s(other)),
       "a channel of the same bucket wakes for nothing, never the reverse");

    wscast_ring_listen(&ring[1], s(other));
    wscast_ring_unlisten(&ring[1], s("a"));
    append(0, other, "still");
    ok(reads(1, "still"), "leaving one of a bucket does not leave the other");

    wscast_ring_unlisten(&ring[1], s(other));
    append(0, other, "gone");
    ok(wscast_slotset_empty(&targets) && next(1) == WSCAST_MORE,
       "leaving the last leaves the bucket");

    wscast_ring_listen(&ring[1], s("a"));
    append(0, "a", "old");
    wscast_ring_leave(&ring[1]);
    append(0, "a", "none");
    ok(wscast_slotset_empty(&targets) && wscast_slotset_count(&targets) == 0,
       "who gives its slot back hears no more");

    is_int(wscast_ring_claim(&ring[1], 11, 200), WSCAST_OK,
           "it can take a slot again");
    is_int(next(1), WSCAST_MORE, "and begins at the tail");
    wscast_ring_listen(&ring[1], s("a"));
    append(0, "a", "new");
    ok(wscast_slotset_has(&targets, 1) && reads(1, "new"),
       "what it listened to with the old slot does not hide its new wish");

    over();
}


static void
test_addressed(void)
{
    fresh(3);
    wscast_ring_listen(&ring[2], s("a"));

    is_int(send_to(0, 1, "a", "mail", 4), WSCAST_OK,
           "a record can be addressed to one slot");
    ok(targets.w[0] == 2 && wake.w[0] == 2, "that one is the only target");
    ok(!wscast_ring_behind(&ring[2]), "who listens to its channel is not");
    ok(reads(1, "mail") && got.to == 1, "it is read by whom it is for");

    send_to(1, 1, "", "self", 4);
    ok(wscast_slotset_has(&targets, 1) && wscast_slotset_empty(&wake)
       && reads(1, "self"), "one may write to oneself");

    send_to(0, 60, "", "nobody", 6);
    ok(wscast_slotset_empty(&wake) && next(1) == WSCAST_MORE,
       "what is for a free slot wakes nobody");

    over();
}


static void
test_wrap(void)
{
    size_t         len, max;
    unsigned       i, bad;
    unsigned char  body[2048], copy[2048];

    fresh(2);
    wscast_ring_listen(&ring[1], s("c"));
    max = wscast_ring_max(ZONE);
    unit_fill(body, sizeof(body));

    /* each length at each distance from the end comes by */

    for (i = bad = 0; i < 20000; i++) {
        len = unit_below(max);
        body[0] = (unsigned char) i;
        memcpy(copy, body, len);

        bad += send_to(0, WSCAST_NO_SLOT, "c", copy, len) != WSCAST_OK
               || next(1) != WSCAST_OK || got.channel.len != 1
               || got.body.len != len
               || (len && memcmp(got.body.data, body, len) != 0)
               || next(1) != WSCAST_MORE;
    }

    is_int(bad, 0, "20000 records of any length around the end are whole");
    ok(sh->tail > 1000 * sh->log_size, "the log has been filled many times");

    is_int(send_to(0, WSCAST_NO_SLOT, "c", body, max - 1), WSCAST_OK,
           "the longest record is taken");
    ok(next(1) == WSCAST_OK && got.body.len == max - 1, "and read");
    is_int(send_to(0, WSCAST_NO_SLOT, "c", body, max),
           WSCAST_CLOSE_TOO_BIG, "one byte more is not");
    ok(send_to(0, WSCAST_NO_SLOT, "c", NULL, SIZE_MAX / 2)
       == WSCAST_CLOSE_TOO_BIG, "nor is half of all memory");

    over();

    /* exactly the whole log, with neither pad nor gap */

    fresh(2);
    wscast_ring_listen(&ring[1], s("c"));
    is_int(fill(0, "c"), 4, "records that fit exactly fill the log to its end");
    is_int(sh->tail, sh->log_size, "without a pad");
    is_int(next(1), WSCAST_OK, "one is read");
    is_int(fill(0, "c"), 1, "and so much room there is again");

    over();
}


static void
test_full(void)
{
    fresh(3);
    wscast_ring_listen(&ring[1], s("c"));
    fill(0, "c");

    is_int(append(0, "c", "x"), WSCAST_AGAIN,
           "a full log does not take a record");
    ok(MEMBER(&ring[0], waiting), "the writer is marked as waiting");
    ok(wake.w[0] == 2, "who is in the way is woken, whoever was woken before");
    ok(wscast_slotset_empty(&targets), "there are no targets");
    is_int(append(2, "c", "y"), WSCAST_AGAIN, "another must wait too");

    is_int(next(1), WSCAST_OK, "the reader goes on");
    ok(wscast_slotset_empty(&wake), "waking nobody before it has read all");

    while (next(1) == WSCAST_OK) { /* void */ }

    ok(wake.w[0] == 5, "at the tail it wakes those who wait");
    is_int(next(1), WSCAST_MORE, "then");
    ok(wscast_slotset_empty(&wake), "not once more");
    ok(append(0, "c", "x") == WSCAST_OK && append(2, "c", "y") == WSCAST_OK
       && reads(1, "x") && reads(1, "y"), "what had to wait finds room");

    over();

    fresh(1);
    wscast_ring_listen(&ring[0], s("c"));
    fill(0, "c");
    clock_ms += 1;
    append(0, "c", "x");
    clock_ms += 10 * WSCAST_RING_STALL;
    is_int(append(0, "c", "x"), WSCAST_AGAIN,
           "a writer that is in its own way must wait");
    ok(wscast_slotset_empty(&wake) && MEMBER(&ring[0], state)
       == WSCAST_SLOT_ACTIVE, "and is neither woken nor cut by itself");

    while (next(0) == WSCAST_OK) { /* void */ }

    is_int(append(0, "c", "x"), WSCAST_OK, "it reads, and there is room");

    over();
}


static void
test_cut(void)
{
    unsigned  n;

    fresh(3);
    wscast_ring_listen(&ring[1], s("c"));
    wscast_ring_listen(&ring[2], s("c"));
    fill(0, "c");

    while (next(2) == WSCAST_OK) { /* void */ }

    wscast_ring_awake(&ring[2]);

    is_int(append(0, "c", "x"), WSCAST_AGAIN, "a log is full");
    clock_ms += WSCAST_RING_STALL;
    is_int(append(0, "c", "x"), WSCAST_AGAIN, "5 s later it still is");
    clock_ms += 1;
    is_int(append(0, "c", "x"), WSCAST_OK, "but no longer than that");
    is_int(MEMBER(&ring[1], state), WSCAST_SLOT_CUT,
           "who stood still has been cut loose");
    is_int(wscast_ring_workers(&ring[0]), 3, "it is a worker still");
    is_int(wake.w[0], 6, "it is woken a last time, as the others are");
    ok(reads(2, "x"), "others miss nothing");

    ok(wscast_ring_behind(&ring[1]), "when it looks it finds itself behind");
    is_int(next(1), WSCAST_ERROR, "and is told that it has lost records");
    is_int(next(1), WSCAST_MORE, "it goes on at the tail");
    append(0, "c", "y");
    ok(reads(1, "y") && wscast_slotset_empty(&wake), "and hears what follows");

    over();

    /* slow, but never still for 5 s */

    fresh(2);
    wscast_ring_listen(&ring[1], s("c"));
    fill(0, "c");

    for (n = 0; n < 40; n++) {
        append(0, "c", "x");
        clock_ms += WSCAST_RING_STALL;

        if (next(1) != WSCAST_OK || append(0, "c", "x") != WSCAST_OK) {
            break;
        }

        fill(0, "c");
    }

    is_int(n, 40, "who reads a record now and then is never cut");

    over();

    /* what it reads is not for it */

    fresh(3);
    wscast_ring_listen(&ring[1], s("c"));
    append(0, "c", "x");
    fill(0, "d");
    is_int(fill(0, "d"), 0, "a slot is in the way");
    wscast_ring_unlisten(&ring[1], s("c"));
    ok(next(1) == WSCAST_MORE && !wscast_ring_behind(&ring[1]),
       "it wakes up and skips everything");
    clock_ms += 10 * WSCAST_RING_STALL;
    wscast_ring_listen(&ring[1], s("c"));
    append(0, "c", "y");
    fill(0, "d");
    is_int(fill(0, "d"), 0, "later it is in the way again");
    is_int(MEMBER(&ring[1], state), WSCAST_SLOT_ACTIVE,
           "the time counts from there: it is not cut at once");

    over();
}


int
main(void)
{
    test_plain();
    test_interest();
    test_addressed();
    test_wrap();
    test_full();
    test_cut();

    free(sh);

    return done();
}
