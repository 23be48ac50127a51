/* ring: who is there, who leads, what they have counted. */

#include "ring_case.h"


static void
test_slots(void)
{
    unsigned       i, n;
    wscast_ring_t  many[WSCAST_SLOTS];

    fresh(0);

    for (i = n = 0; i < WSCAST_SLOTS; i++) {
        view(&many[i]);
        n += wscast_ring_claim(&many[i], i % 2 + 1, i + 1) == WSCAST_OK
             && many[i].slot == i;
        wscast_ring_listen(&many[i], s("c"));
    }

    is_int(n, WSCAST_SLOTS, "all slots can be taken");
    is_int(wscast_ring_claim(&ring[0], 3, 1), WSCAST_AGAIN,
           "then there is none");
    is_int(ring[0].slot, WSCAST_NO_SLOT, "and the view has none");

    append(0, "c", "x");

    for (i = n = 0; i < WSCAST_SLOTS; i++) {
        n += wscast_slotset_has(&targets, i) && wscast_slotset_has(&wake, i);
    }

    is_int(n, WSCAST_SLOTS, "a record of no slot can be meant for all");

    dead[2] = 1;
    is_int(wscast_ring_reap(&many[0]), WSCAST_SLOTS / 2,
           "the slots of dead processes are released");
    is_int(wscast_ring_workers(&many[0]), WSCAST_SLOTS / 2, "half are left");
    is_int(wscast_ring_reap(&many[0]), 0, "once");

    append(0, "c", "x");
    ok(targets.w[0] == 0x5555555555555555ull
       && targets.w[1] == 0x5555555555555555ull,
       "the dead are interested in nothing");

    dead[1] = 1;
    is_int(wscast_ring_claim(&ring[0], 3, 1), WSCAST_OK,
           "who wants a slot releases those of the dead");
    is_int(wscast_ring_workers(&ring[0]), 1, "all of them");

    for (i = 0; i < WSCAST_SLOTS; i++) {
        many[i].slot = WSCAST_NO_SLOT;      /* they are dead */
        wscast_ring_close(&many[i]);
    }

    over();
}


static void
test_dead(void)
{
    fresh(3);
    wscast_ring_listen(&ring[1], s("c"));
    fill(0, "c");
    dead[11] = 1;
    is_int(append(0, "c", "x"), WSCAST_OK,
           "a dead process is not in the way of a full log");
    is_int(wscast_ring_workers(&ring[0]), 2, "its slot is released");
    ok(!wscast_slotset_has(&wake, 1), "it is not woken");

    is_int(wscast_ring_claim(&ring[3], 13, 300), WSCAST_OK, "it can be taken");
    is_int(ring[3].slot, 1, "anew");
    wscast_ring_leave(&ring[1]);
    is_int(wscast_ring_workers(&ring[0]), 3,
           "who comes back from the dead does not give away another's slot");

    over();
}


static void
test_leader(void)
{
    uint64_t  epoch;

    fresh(3);
    epoch = sh->leader_epoch;

    is_int(wscast_ring_lead(&ring[1], &wake), 1, "where no one leads one can");
    ok(wake.w[0] == 5, "all others are to be woken");
    is_int(sh->leader_epoch, epoch + 1, "an epoch begins");
    is_int(wscast_ring_lead(&ring[1], &wake), 1, "who leads leads on");
    ok(wscast_slotset_empty(&wake) && sh->leader_epoch == epoch + 1,
       "without telling anybody");
    is_int(wscast_ring_lead(&ring[0], &wake), 0, "nobody else can");

    sh->redis_up = 1;
    wscast_ring_resign(&ring[0], &wake);
    ok(sh->leader == 2 && wscast_slotset_empty(&wake),
       "who does not lead cannot resign");
    wscast_ring_resign(&ring[1], &wake);
    ok(sh->leader == 0 && sh->redis_up == 0 && wake.w[0] == 5
       && sh->leader_epoch == epoch + 2,
       "who resigns wakes all others, Redis is away, an epoch ends");

    is_int(wscast_ring_lead(&ring[0], &wake), 1, "then another can lead");
    sh->redis_up = 1;
    epoch = sh->leader_epoch;
    dead[10] = 1;
    wscast_ring_reap(&ring[2]);
    ok(sh->leader == 0 && sh->redis_up == 0 && sh->leader_epoch > epoch,
       "who dies leads no more");
    is_int(wscast_ring_lead(&ring[2], &wake), 1, "and is followed");

    over();
}


static void
test_handover(void)
{
    uint64_t  epoch;

    fresh(3);

    is_int(wscast_ring_bequeath(&ring[0], &wake), 0,
           "who does not lead has nothing to bequeath");
    (void) wscast_ring_lead(&ring[0], &wake);
    wscast_ring_leaving(&ring[0]);
    epoch = sh->leader_epoch;

    is_int(wscast_ring_bequeath(&ring[0], &wake), 1, "a leader finds an heir");
    ok(sh->heir == 3 && sh->leader == 1, "the youngest, who does not lead yet");
    ok(sh->leader_epoch == epoch + 1 && wake.w[0] == 6, "all are to be told");
    is_int(wscast_ring_bequeath(&ring[0], &wake), 1, "it has one");
    ok(wscast_slotset_empty(&wake), "and tells it once");

    is_int(wscast_ring_pass(&ring[1], epoch + 1, &wake), 0,
           "nobody else can pass it on");
    is_int(wscast_ring_pass(&ring[0], epoch, &wake), 0,
           "nor can the leader to an heir of another epoch");

    wscast_ring_leaving(&ring[2]);
    wscast_ring_resign(&ring[2], &wake);
    ok(sh->heir == 0 && sh->leader == 1 && sh->leader_epoch == epoch + 2,
       "an heir that leaves is none any more");
    is_int(wscast_ring_pass(&ring[0], epoch + 1, &wake), 0,
           "and does not become the leader");

    is_int(wscast_ring_bequeath(&ring[0], &wake), 1, "another one is found");
    ok(sh->heir == 2, "who stays");
    sh->redis_up = 1;
    is_int(wscast_ring_pass(&ring[0], epoch + 3, &wake), 1, "it takes over");
    ok(sh->leader == 2 && sh->heir == 0 && sh->redis_up == 1
       && sh->handed == epoch + 3 && sh->leader_epoch == epoch + 4,
       "Redis stays, a new epoch begins");

    wscast_ring_leaving(&ring[1]);
    is_int(wscast_ring_bequeath(&ring[1], &wake), 0,
           "where all leave there is no heir");

    over();
}


static void
test_counters(void)
{
    unsigned  i;
    uint64_t  sum[WSCAST_COUNTERS];

    fresh(3);

    for (i = 0; i < 3; i++) {
        wscast_ring_own_counters(&ring[i])[WSCAST_COUNT_CONNECTIONS] = 10;
        wscast_ring_own_counters(&ring[i])[WSCAST_COUNT_MSG_IN] = 100;
        wscast_ring_own_counters(&ring[i])[WSCAST_COUNTERS - 1] = 1000;
    }

    wscast_ring_counters(&ring[0], sum);
    ok(sum[WSCAST_COUNT_CONNECTIONS] == 30 && sum[WSCAST_COUNT_MSG_IN] == 300
       && sum[WSCAST_COUNTERS - 1] == 3000, "the sum is that of all slots");

    wscast_ring_leave(&ring[1]);
    dead[12] = 1;
    wscast_ring_reap(&ring[0]);
    wscast_ring_counters(&ring[0], sum);
    is_int(sum[WSCAST_COUNT_CONNECTIONS], 10, "gauges are of the living");
    ok(sum[WSCAST_COUNT_MSG_IN] == 300 && sum[WSCAST_COUNTERS - 1] == 3000,
       "counters outlive who counted");

    wscast_ring_claim(&ring[1], 11, 200);
    wscast_ring_own_counters(&ring[1])[WSCAST_COUNT_MSG_IN]++;
    wscast_ring_counters(&ring[0], sum);
    is_int(sum[WSCAST_COUNT_MSG_IN], 301, "and go on with the next");

    over();
}


static void
test_open(void)
{
    wscast_ring_t  r;

    fresh(0);
    r = ring[0];

    sh->magic++;
    is_int(wscast_ring_open(&r, sh, ZONE), WSCAST_ERROR,
           "memory without the magic is no ring");
    sh->magic--;
    is_int(wscast_ring_open(&r, sh, ZONE * 2), WSCAST_ERROR,
           "nor is that of a zone of another size");
    sh->buckets *= 2;
    is_int(wscast_ring_open(&r, sh, ZONE), WSCAST_ERROR,
           "nor with other buckets");
    sh->buckets /= 2;

    ok(wscast_ring_size(WSCAST_RING_MIN) < WSCAST_RING_MIN / 2,
       "a ring leaves more than half of the least zone to others");
    ok(wscast_ring_size(32 << 20) < 32 << 19, "and of the default zone");
    ok(wscast_ring_max(WSCAST_RING_MIN) > 65536,
       "the least zone carries a message of 64k");

    over();
}


int
main(void)
{
    test_slots();
    test_dead();
    test_leader();
    test_handover();
    test_counters();
    test_open();

    free(sh);

    return done();
}
