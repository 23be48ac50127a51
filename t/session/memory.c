/*
 * session: one conversation that has everything, in which each allocation
 * fails, and which ends at each of its steps.
 */
/* libs: -lcjson -lcrypto -lz */

#include "session_case.h"
#include "token_case.h"


#define HEARD(rest)                                                           \
    "W S8+ 3 4 5 6 7 8 9 J 10 11 L B12! U S11+ 9 10 11 " rest
#define AT_ONCE  HEARD("x x J 15 ?15 ? ?15 ? U ?")
#define LATER    HEARD("12 13 B14! J 15 ?15 ? E503 ? U ?")


static size_t           steps, stop_at;
static size_t           fail_next;          /* 0: no allocation */
static unsigned         rejoins;
static wscast_status_t  rc;


/* 1: the next step may be taken. */

static int
may(void)
{
    return rc == WSCAST_OK && !finalized && ++steps != stop_at;
}


static void
say(const char *text)
{
    if (may() && !wscast_session_blocked(&session)) {
        rc = says(text);
    }
}


static void
answers(unsigned n)
{
    while (n-- && may()) {
        store_answer();
    }
}


static void
live_message(uint64_t n, size_t len)
{
    if (may()) {
        store_at(n);
        store_deliver("room:hp", WSCAST_PUB_MESSAGE, EPOCH, n, len);
    }
}


static void
notice(unsigned kind)
{
    if (may()) {
        store_deliver("room:hp", kind, kind == WSCAST_PUB_BROKEN ? EPOCH : 0,
                      store_host.offset + 1, 0);
    }
}


static void
subscribe(unsigned later)
{
    say("{\"type\":\"subscribe\",\"id\":\"a long id of it\","
        "\"channel\":\"room:hp\",\"since\":{\"epoch\":\"" EPOCH_TEXT "\","
        "\"offset\":2,\"client\":\"OLDOLDOLDOLDOLD1\"}}");

    if (may() && wscast_fanout_find(&fanout, s("room:hp"))) {
        become_live("room:hp");
    }

    answers(1);
    live_message(9, 0);
    answers(1);
    notice(WSCAST_PUB_JOIN);
    live_message(10, 0);
    has_room = 200;
    answers(2);

    if (may()) {
        wscast_session_drained(&session);
    }

    has_room = (size_t) -1;

    if (may()) {
        wscast_session_drained(&session);
    }

    live_message(11, 0);
    notice(WSCAST_PUB_LEAVE);
    answers(later * 3);
    notice(WSCAST_PUB_BROKEN);
}


/* Another one, in which more comes than can be held, and then history fails. */

static void
resubscribe(void)
{
    say("{\"type\":\"unsubscribe\",\"channel\":\"room:hp\"}");
    say("{\"type\":\"subscribe\",\"id\":2,\"channel\":\"room:hp\","
        "\"since\":{\"epoch\":\"" EPOCH_TEXT "\",\"offset\":8}}");

    if (may() && wscast_fanout_find(&fanout, s("room:hp"))) {
        become_live("room:hp");
    }

    answers(1);
    live_message(13, 200 * 1024);
    live_message(14, 100 * 1024);
    notice(WSCAST_PUB_JOIN);
    store_hole = 14;
    answers(5);
    live_message(15, 0);
}


static void
converse(unsigned later)
{
    wscast_subscription_t  *sub;

    unit_fail_at = 0;
    start("room:*");
    unit_alloc_reset(fail_next);
    store_at(8);
    store_page = 3;
    store_later = later;
    store_known = store_old;
    steps = 0;
    rejoins = 0;

    rc = begin("room:p", NULL, "ann", "hi");
    answers(1);

    subscribe(later);
    resubscribe();

    say("{\"type\":\"history\",\"id\":1,\"channel\":\"room:h\"}");
    say("{\"type\":\"presence\",\"id\":2,\"channel\":\"room:p\"}");
    say("{\"type\":\"history\",\"channel\":\"room:h\",\"before\":4}");
    answers(2);

    sub = wscast_session_find(&session, s("room:p"));

    if (sub && may()) {
        rejoins = store_joins;
        wscast_session_rejoin(sub);
        rejoins = store_joins - rejoins;
    }

    store_status = WSCAST_CLOSE_AWAY;
    answers(1);
    store_status = WSCAST_OK;

    if (may()) {
        rc = renew("{\"sub\":\"ann\",\"exp\":100}");
    }

    say("{\"type\":\"publish\",\"id\":3,\"channel\":\"room:h\",\"data\":1}");
}


/* 1 if something is wrong. */

static unsigned
ends(unsigned with_end)
{
    unsigned  bad;

    if (with_end) {
        wscast_session_end(&session, 0);
    }

    nsent = 0;
    wscast_session_close(&session);

    bad = confused || nsent || fanout.subscriptions
          || !wscast_list_empty(&store_asked)
          || store_left + store_lost != store_joins - rejoins;

    wscast_fanout_done(&fanout);
    wscast_keys_free(keys);

    return bad || unit_live;
}


static void
test_ends(unsigned later)
{
    size_t    total;
    unsigned  bad, with_end;

    fail_next = 0;
    stop_at = 0;
    converse(later);
    total = steps;
    is_str(words(), later ? LATER : AT_ONCE, "all of it is heard");
    ok(rc == WSCAST_OK && !finalized && !ends(0),
       "a conversation of %zu steps, answers come %s", total,
       later ? "later" : "at once");

    for (with_end = 0; with_end < 2; with_end++) {

        for (stop_at = 1, bad = 0; stop_at <= total; stop_at++) {
            converse(later);

            if (ends(with_end)) {
                note("step %zu", stop_at);
                bad++;
            }
        }

        is_int(bad, 0, "it can end before any of them: questions are taken "
               "back once, members leave once, nothing leaks");
    }
}


static void
test_allocations(unsigned later)
{
    size_t    n, total;
    unsigned  bad;

    stop_at = 0;
    fail_next = 0;
    converse(later);
    total = unit_calls;
    bad = ends(0);

    for (n = 1; n <= total; n++) {
        fail_next = n;
        converse(later);

        bad += rc != WSCAST_OK && rc != WSCAST_NOMEM
               && rc != WSCAST_CLOSE_NO_MEMORY;
        bad += finalized && reason != WSCAST_CLOSE_NO_MEMORY;

        unit_fail_at = 0;

        if (ends(n & 1)) {
            note("allocation %zu", n);
            bad++;
        }
    }

    ok(total > 50, "there are %zu allocations", total);
    is_int(bad, 0, "whichever fails, the connection ends for that, and "
           "nothing leaks");
}


int
main(void)
{
    test_ends(0);
    test_ends(1);
    test_allocations(0);
    test_allocations(1);

    return done();
}
