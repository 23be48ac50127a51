/* ring: a leader, or its heir, that hangs without dying. */

#include "ring_case.h"


/* So many seconds pass, in which these views go on. */

static void
seconds(unsigned n, unsigned from, unsigned to)
{
    unsigned  i;

    while (n--) {
        clock_ms += WSCAST_RING_BEAT;

        for (i = from; i < to; i++) {
            wscast_ring_beat(&ring[i]);
        }
    }
}


static wscast_status_t
led(unsigned i, unsigned kind)
{
    wscast_record_t  rec;

    memset(&rec, 0, sizeof(rec));
    rec.kind = kind;
    rec.to = WSCAST_NO_SLOT;
    rec.led = 1;
    rec.channel = s("c");
    rec.body = s("x");

    return wscast_ring_append(&ring[i], &rec, &targets, &wake);
}


static void
test_hangs(void)
{
    fresh(3);
    seconds(20, 0, 3);
    ok(!wscast_ring_hangs(&ring[1], 0) && !wscast_ring_hangs(&ring[0], 1),
       "nobody hangs who beats");

    seconds(5, 1, 3);
    ok(!wscast_ring_hangs(&ring[1], 0), "nor who did 5 seconds ago");
    seconds(1, 1, 3);
    ok(wscast_ring_hangs(&ring[1], 0) && wscast_ring_hangs(&ring[2], 0),
       "later than that it hangs");
    ok(!wscast_ring_hangs(&ring[1], 1), "nobody says so of himself");
    wscast_ring_beat(&ring[0]);
    ok(!wscast_ring_hangs(&ring[1], 0), "until it beats again");

    over();
}


static void
test_suspended(void)
{
    fresh(3);
    seconds(20, 0, 3);
    (void) wscast_ring_lead(&ring[0], &wake);

    clock_ms += 60000;                          /* all of them stood still */
    ok(!wscast_ring_hangs(&ring[1], 0)
       && wscast_ring_depose(&ring[1], &wake) == 0,
       "who has just woken does not judge, before its beat");
    wscast_ring_beat(&ring[1]);
    ok(!wscast_ring_hangs(&ring[1], 0)
       && wscast_ring_depose(&ring[1], &wake) == 0, "nor with it");
    seconds(5, 1, 3);
    ok(!wscast_ring_hangs(&ring[1], 0), "nor for 5 seconds");
    seconds(1, 1, 3);
    ok(wscast_ring_hangs(&ring[1], 0), "but then it does");

    clock_ms += 3000;
    wscast_ring_beat(&ring[1]);
    ok(!wscast_ring_hangs(&ring[1], 0), "unless it stood still itself");

    is_int(wscast_ring_claim(&ring[3], 13, 300), WSCAST_OK, "who is new");
    ok(!wscast_ring_hangs(&ring[3], 0), "does not judge");
    ok(!wscast_ring_hangs(&ring[1], 3), "nor is it judged");

    over();
}


static void
test_depose(void)
{
    uint64_t  epoch, deaf[WSCAST_RING_PARTS / 64];

    fresh(3);
    is_int(wscast_ring_depose(&ring[1], &wake), 0, "nobody leads");

    (void) wscast_ring_lead(&ring[0], &wake);
    (void) wscast_ring_bequeath(&ring[0], &wake);
    sh->redis_up = 1;
    seconds(20, 0, 3);
    epoch = sh->leader_epoch;

    is_int(wscast_ring_depose(&ring[1], &wake), 0, "a leader that beats stays");
    ok(sh->leader == 1 && sh->heir == 3 && sh->redis_up
       && sh->leader_epoch == epoch && wscast_slotset_empty(&wake),
       "and nothing has changed");
    is_int(led(0, WSCAST_REC_PUBLICATION), WSCAST_OK, "it appends");

    seconds(6, 1, 3);
    is_int(wscast_ring_depose(&ring[1], &wake), 10, "one that hangs is told");
    ok(sh->leader == 2 && sh->heir == 0 && !sh->redis_up
       && sh->leader_epoch == epoch + 1,
       "another leads; its heir is none, Redis is away, a new epoch begins");
    ok(wake.w[0] == 5, "all others are to be told");
    is_int(wscast_ring_depose(&ring[2], &wake), 0, "once");

    /* the old one wakes, and goes on as if nothing had happened */

    epoch = sh->tail;
    is_int(led(0, WSCAST_REC_PUBLICATION), WSCAST_ERROR,
           "the old one cannot append what the leader may");
    is_int(led(0, WSCAST_REC_LIVE), WSCAST_ERROR, "whatever it is");
    is_int(sh->tail, epoch, "nothing is there");
    is_int(append(0, "c", "x"), WSCAST_OK, "what everybody may it can");
    is_int(led(1, WSCAST_REC_PUBLICATION), WSCAST_OK, "the new one can both");

    wscast_ring_redis_up(&ring[0], 1, NULL);
    ok(!sh->redis_up, "the old one does not say that Redis is there");
    memset(deaf, 0, sizeof(deaf));
    deaf[1] = 5;
    wscast_ring_redis_up(&ring[1], 1, deaf);
    ok(sh->redis_up, "the new one does");
    ok(sh->redis_deaf == 2 && !wscast_ring_receives(&ring[2], 64)
       && wscast_ring_receives(&ring[2], 65)
       && !wscast_ring_receives(&ring[2], 66)
       && wscast_ring_receives(&ring[2], WSCAST_RING_PARTS - 1),
       "and of which parts of it not");
    wscast_ring_redis_up(&ring[1], 1, NULL);
    ok(sh->redis_deaf == 0 && wscast_ring_receives(&ring[2], 64),
       "until they are there as well");
    wscast_ring_redis_up(&ring[0], 0, NULL);
    ok(sh->redis_up, "the old one does not say that it is away");
    is_int(wscast_ring_lead(&ring[0], &wake), 0, "the old one follows");
    wscast_ring_resign(&ring[0], &wake);
    ok(sh->leader == 2, "and has nothing to resign");

    over();
}


static void
test_marker(void)
{
    uint64_t  epoch;

    fresh(3);
    (void) wscast_ring_lead(&ring[0], &wake);
    (void) wscast_ring_bequeath(&ring[0], &wake);
    epoch = sh->leader_epoch;

    wscast_ring_mark(&ring[0], epoch - 1);
    is_int(sh->marker, 0, "a marker of an earlier handover is awaited no more");
    wscast_ring_mark(&ring[1], epoch);
    is_int(sh->marker, 0, "nor is one by who does not lead");
    wscast_ring_mark(&ring[0], epoch);
    is_int(sh->marker, epoch, "that of the leader is");

    over();
}


static void
test_heir(void)
{
    uint64_t  epoch;

    fresh(4);
    (void) wscast_ring_lead(&ring[0], &wake);
    wscast_ring_leaving(&ring[0]);
    (void) wscast_ring_bequeath(&ring[0], &wake);
    is_int(sh->heir, 4, "there is an heir");

    seconds(20, 0, 3);
    epoch = sh->leader_epoch;
    is_int(wscast_ring_disinherit(&ring[1], &wake), 0,
           "whether it hangs is the leader's to say");
    is_int(wscast_ring_disinherit(&ring[0], &wake), 13, "who finds another");
    ok(sh->heir == 3 && sh->leader == 1 && sh->leader_epoch == epoch + 1
       && wake.w[0] == 14, "the youngest that goes on, and all are told");
    is_int(wscast_ring_disinherit(&ring[0], &wake), 0, "who stays it");
    ok(wscast_slotset_empty(&wake), "silently");

    wscast_ring_leaving(&ring[1]);
    seconds(20, 0, 2);
    ok(wscast_ring_hangs(&ring[0], 2), "if that hangs, too");
    is_int(wscast_ring_disinherit(&ring[0], &wake), 0,
           "and nobody else stays, it is waited for");
    is_int(sh->heir, 3, "as the heir");

    over();
}


static void
test_choice(void)
{
    fresh(4);
    (void) wscast_ring_lead(&ring[0], &wake);
    seconds(20, 0, 3);

    (void) wscast_ring_bequeath(&ring[0], &wake);
    is_int(sh->heir, 3, "who hangs is not chosen as heir");
    sh->heir = 0;
    seconds(20, 0, 1);
    (void) wscast_ring_bequeath(&ring[0], &wake);
    is_int(sh->heir, 4, "unless all do");

    over();
}


static void
test_end(void)
{
    unsigned  i;

    fresh(3);
    (void) wscast_ring_lead(&ring[0], &wake);
    ok(!wscast_ring_last(&ring[0]), "others stay");

    for (i = 0; i < 3; i++) {
        wscast_ring_leaving(&ring[i]);
    }

    ok(wscast_ring_last(&ring[0]) && wscast_ring_last(&ring[2]),
       "nobody does");
    ok(!wscast_ring_needed(&ring[0]), "nobody has clients");
    wscast_ring_own_counters(&ring[0])[WSCAST_COUNT_CONNECTIONS] = 7;
    ok(!wscast_ring_needed(&ring[0]), "but oneself");
    wscast_ring_own_counters(&ring[2])[WSCAST_COUNT_CONNECTIONS] = 1;
    ok(wscast_ring_needed(&ring[0]), "another has");
    seconds(20, 0, 2);
    ok(!wscast_ring_needed(&ring[0]), "who hangs needs nobody");
    seconds(20, 0, 3);
    ok(wscast_ring_needed(&ring[0]), "until it goes on");
    wscast_ring_leave(&ring[2]);
    ok(!wscast_ring_needed(&ring[0]), "or is gone");

    over();
}


static void
test_cut(void)
{
    fresh(2);
    wscast_ring_listen(&ring[1], s("c"));
    fill(0, "c");
    is_int(append(0, "c", "x"), WSCAST_AGAIN, "the log is full");
    is_int(ring[0].cut, 0, "nobody has been cut loose");
    clock_ms += WSCAST_RING_STALL + 1;
    fill(0, "c");
    is_int(ring[0].cut, 11, "who does not read is, and named");
    is_int(MEMBER(&ring[1], state), WSCAST_SLOT_CUT, "by name");

    over();
}


int
main(void)
{
    test_hangs();
    test_suspended();
    test_depose();
    test_marker();
    test_heir();
    test_choice();
    test_end();
    test_cut();

    free(sh);

    return done();
}
