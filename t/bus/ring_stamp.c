/* ring: an append together with a change of other memory. */

#include "ring_case.h"


typedef struct {
    wscast_stamp_t    stamp;
    wscast_status_t   answer;
    unsigned          applied;
    unsigned          finished;
    size_t            len;
    uint64_t          commit;
    uint64_t          tail;             /* when it was applied */
    uint64_t          end;              /* when it was finished */
    int               held;             /* the lock, both times */
    unsigned char     seen[16];         /* of the body */
} note_t;


static wscast_status_t
apply(wscast_stamp_t *stamp, unsigned char *body, size_t len, uint64_t commit)
{
    note_t  *n;

    n = (note_t *) stamp;

    n->applied++;
    n->len = len;
    n->commit = commit;
    n->tail = wscast_ring_tail(&ring[0]);
    n->held = locked;

    if (len) {
        memcpy(n->seen, body, len < sizeof(n->seen) ? len : sizeof(n->seen));
        body[0] = '#';
    }

    return n->answer;
}


static void
finish(wscast_stamp_t *stamp)
{
    note_t  *n;

    n = (note_t *) stamp;

    n->finished++;
    n->end = wscast_ring_tail(&ring[0]);
    n->held += locked;
}


static wscast_status_t
stamped(unsigned i, note_t *n, wscast_status_t answer, size_t len)
{
    wscast_record_t       rec;
    static unsigned char  body[ZONE] = "body";

    memset(n, 0, sizeof(note_t));
    n->stamp.apply = apply;
    n->stamp.finish = finish;
    n->answer = answer;

    memset(&rec, 0, sizeof(rec));
    rec.kind = WSCAST_REC_PUBLICATION;
    rec.to = WSCAST_NO_SLOT;
    rec.channel = s("a");
    rec.body = wscast_str(body, len);

    return wscast_ring_append_stamped(&ring[i], &rec, &n->stamp, &targets,
                                      &wake);
}


static void
test_taken(void)
{
    note_t    n;
    uint64_t  tail;

    fresh(2);
    wscast_ring_listen(&ring[1], s("a"));

    tail = sh->tail;

    is_int(stamped(0, &n, WSCAST_OK, 4), WSCAST_OK,
           "a stamped record is taken");
    ok(n.applied == 1 && n.finished == 1, "its stamp is applied, and finished");
    ok(n.tail == tail, "nothing is visible when it is applied");
    ok(n.commit == sh->tail && n.end == n.commit,
       "the tail is what was announced when it is finished");
    is_int(n.held, 2, "the lock is held both times");
    is_mem(n.seen, n.len, "body", 4, "it sees the body in the log");
    ok(wscast_slotset_has(&targets, 1) && wake.w[0] == 2,
       "it wakes whom it is for");
    ok(reads(1, "#ody"), "and what it changed in the body is read");
    is_int(wscast_ring_tail(&ring[1]), n.commit, "all see the same tail");

    stamped(0, &n, WSCAST_OK, 0);
    ok(n.applied == 1 && n.len == 0 && reads(1, ""),
       "an empty body has a stamp, too");

    over();
}


static void
test_refused(void)
{
    note_t    n;
    uint64_t  tail;

    fresh(2);
    wscast_ring_listen(&ring[1], s("a"));

    append(0, "a", "first");
    tail = sh->tail;

    is_int(stamped(0, &n, WSCAST_CLOSE_AWAY, 4), WSCAST_CLOSE_AWAY,
           "what the stamp answers is answered");
    ok(n.applied == 1 && n.finished == 0, "it is not finished then");
    is_int(sh->tail, tail, "the record is taken back");
    ok(wscast_slotset_empty(&targets) && wscast_slotset_empty(&wake),
       "it is for nobody");

    append(0, "a", "second");
    ok(reads(1, "first") && reads(1, "second") && next(1) == WSCAST_MORE,
       "nobody has seen it");

    over();
}


static void
test_unasked(void)
{
    note_t    n;
    unsigned  i, bad;

    fresh(2);
    wscast_ring_listen(&ring[1], s("a"));

    is_int(stamped(0, &n, WSCAST_OK, wscast_ring_max(ZONE) + 1),
           WSCAST_CLOSE_TOO_BIG, "what is too long is refused");
    is_int(n.applied, 0, "and no stamp is asked");

    fill(0, "a");
    is_int(stamped(0, &n, WSCAST_OK, 900), WSCAST_AGAIN, "there is no room");
    is_int(n.applied, 0, "and no stamp is asked, either");

    while (next(1) == WSCAST_OK) { /* void */ }

    bad = 0;

    for (i = 0; i < 100; i++) {
        bad += stamped(0, &n, WSCAST_OK, 1 + i * 11 % 1900) != WSCAST_OK
               || n.commit != sh->tail || n.end != n.commit
               || next(1) != WSCAST_OK || got.body.data[0] != '#';
    }

    is_int(bad, 0, "around the end of the log the stamp knows the tail, too");

    over();
}


static void
test_tenants(void)
{
    fresh(2);

    ok(wscast_ring_tenant(&ring[0], 100) && wscast_ring_tenant(&ring[0], 101),
       "who has a slot is a tenant");
    ok(!wscast_ring_tenant(&ring[0], 102) && !wscast_ring_tenant(&ring[0], 0),
       "nobody else is");

    sh->slots[1].state = WSCAST_SLOT_CUT;
    ok(wscast_ring_tenant(&ring[0], 101), "who was cut loose still is");

    dead[11] = 1;
    wscast_ring_reap(&ring[0]);
    ok(!wscast_ring_tenant(&ring[0], 101), "the dead are none");

    wscast_ring_leave(&ring[0]);
    ok(!wscast_ring_tenant(&ring[1], 100), "nor is who has left");
    ring[1].slot = WSCAST_NO_SLOT;

    over();
}


static void
test_known(void)
{
    fresh(1);

    ok(wscast_ring_known(sh, ZONE), "formatted memory is known");
    ok(!wscast_ring_known(sh, ZONE * 4), "of its size alone");
    is_int(sh->heap_size, 0, "it has no heap until it is given one");

    sh->magic ^= (uint64_t) 64 << 16;
    ok(!wscast_ring_known(sh, ZONE),
       "that of a build whose struct is longer is not");

    over();
}


int
main(void)
{
    test_taken();
    test_refused();
    test_unasked();
    test_tenants();
    test_known();

    return done();
}
