/* session: a subscribe that goes on where its client was. */
/* libs: -lcjson -lcrypto -lz */

#include "session_case.h"


#define JSON  (&wscast_dialect_json)
#define KB    1024


static void
start(const char *user)
{
    fresh(JSON);
    params.grants = grants("room:*", "room:*", "room:*", "room:*");
    params.own_grants = 1;
    begin(NULL, NULL, user, "");
    nsent = 0;
}


/* Subscribes to a channel from offset n on. */

static wscast_status_t
since(const char *channel, const char *epoch, unsigned n)
{
    char  text[300];

    snprintf(text, sizeof(text), "{\"type\":\"subscribe\",\"id\":1,"
             "\"channel\":\"%s\",\"since\":{\"epoch\":\"%s\",\"offset\":%u,"
             "\"client\":\"%s\"}}", channel, epoch, n, store_old);

    return says(text);
}


static void
live_message(uint64_t n)
{
    store_publish(n, 0);
}


static void
test_position(void)
{
    start("");
    store_at(7);
    says("{\"type\":\"subscribe\",\"id\":1,\"channel\":\"room:h\"}");
    is_str(heard(), "{\"type\":\"subscribed\",\"id\":1,\"channel\":\"room:h\","
           HERE("7") "}", "a channel with history tells where it is");
    nsent = 0;
    store_deliver("room:h", WSCAST_PUB_MESSAGE, EPOCH, 7, 0);
    store_deliver("room:h", WSCAST_PUB_BROKEN, EPOCH, 7, 0);
    is_str(words(), "", "what is still on its way and was told does not come");
    live_message(8);
    store_deliver("room:h", WSCAST_PUB_MESSAGE, 0, 0, 0);
    is_str(words(), "8 x", "what is beyond comes, and what has no position");
    store_deliver("room:h", WSCAST_PUB_BROKEN, EPOCH, 12, 0);
    is_str(heard(), "{\"type\":\"subscribed\",\"channel\":\"room:h\","
           HERE("12") ",\"recovered\":false}",
           "that the host has missed something is told");
    nsent = 0;
    store_deliver("room:h", WSCAST_PUB_BROKEN, 0xb2, 2, 0);
    store_deliver("room:h", WSCAST_PUB_MESSAGE, 0xb2, 3, 0);
    is_str(words(), "B2! 3", "another epoch, too, however low its offsets");
    ok(store_resumed == 0 && store_broken == 0 && store_questions == 0,
       "nobody asked for history");
    over("position");

    start("");
    store_at(7);
    since("room:q", EPOCH_TEXT, 3);
    is_str(heard(), "{\"type\":\"subscribed\",\"id\":1,\"channel\":\"room:q\","
           "\"recovered\":false}", "without history nothing is recovered");
    is_int(store_broken, 1, "which is counted");

    store_position_rc = WSCAST_MORE;
    since("room:h", EPOCH_TEXT, 3);
    is_str(heard(), "{\"type\":\"subscribed\",\"id\":1,\"channel\":\"room:h\","
           "\"recovered\":false}", "nor when it is not known where it is");
    over("no position");

    start("");
    store_at(7);
    since("room:h", EPOCH_TEXT, 7);
    is_str(heard(), "{\"type\":\"subscribed\",\"id\":1,\"channel\":\"room:h\","
           HERE("7") ",\"recovered\":true}", "nothing missed is recovered");
    ok(store_resumed == 1 && store_questions == 0 && resumed == 0,
       "without a question, and nobody has to be resumed");
    over("nothing missed");

    start("");
    store_at(7);
    since("room:h", "00000000000000A1", 7);
    is_str(words(), "S7+", "an epoch may be written in upper case");
    says("{\"type\":\"unsubscribe\",\"channel\":\"room:h\"}");
    nsent = 0;
    since("room:h", "00000000000000a2", 7);
    is_str(words(), "S7!", "another epoch is not recovered");
    is_int(store_questions, 0, "and its history is not read");
    live_message(8);
    is_str(words(), "8", "live messages go on from the position told");
    over("epoch");
}


static void
test_pages(unsigned later)
{
    unsigned     i;
    const char  *how;

    how = later ? "later" : "at once";

    start("");
    store_at(10);
    store_page = 3;
    store_own = 5;
    store_excluded = 6;
    store_later = later;
    since("room:h", EPOCH_TEXT, 2);

    if (later) {
        is_str(words(), "", "no answer before the first page");
        ok(wscast_session_blocked(&session), "the client waits");
    }

    for (i = 0; i < 5 && later; i++) {
        live_message(11 + i);
        store_deliver("room:h", WSCAST_PUB_MESSAGE, EPOCH, 10, 0);
        store_answer();
    }

    live_message(16);

    is_str(words(), later ? "S10+ 3 4 7 8 9 10 11 12 13 14 15 16"
                          : "S10+ 3 4 7 8 9 10 16",
           "%s: what was missed comes in order, but what OLD said", how);
    ok(!wscast_session_blocked(&session) && resumed == later,
       "%s: then the client may go on", how);
    is_int(store_questions, 3, "%s: three pages were read", how);
    ok(store_resumed == 1 && store_broken == 0, "%s: it is counted once", how);
    over(how);
}


/* The first question has an answer that is not what it should be. */

static void
test_broken(unsigned later)
{
    /* what is spoilt, and what is heard: 11 comes while it is awaited */

    struct {
        const char  *what;
        unsigned     page;      /* that is spoilt */
        const char  *heard;
    } cases[] = {
        { "the store is away",            0, "S10! 11 12" },
        { "history begins later",         0, "S10! 11 12" },
        { "there is a hole in it",        0, "S10! 11 12" },
        { "it is empty",                  0, "S10! 11 12" },
        { "its epoch is another",         0, "S10! 11 12" },
        { "the store is away afterwards", 1, "S10+ 3 4 5 B10! 11 12" },
        { "a hole comes afterwards",      1, "S10+ 3 4 5 B10! 11 12" },
        { "it is forgotten meanwhile",    1, "S10+ 3 4 5 B10! 11 12" },
        { "the epoch changes meanwhile",  1, "S10+ 3 4 5 B10! 11 12" }
    };
    unsigned     i, bad;

    for (i = 0, bad = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        start("");
        store_at(10);
        store_page = 3;
        store_later = 1;
        since("room:h", EPOCH_TEXT, 2);

        if (later) {
            live_message(11);
        }

        if (cases[i].page) {
            store_answer();
        }

        switch (i) {

        case 0:
        case 5:
            store_status = WSCAST_CLOSE_AWAY;
            break;

        case 1:
            store_oldest = 4;
            break;

        case 2:
            store_hole = 4;
            break;

        case 6:
            store_hole = 7;
            break;

        case 3:
        case 7:
            store_oldest = 100;
            break;

        default:
            store_top.epoch = 0xb2;
        }

        store_answer();

        if (!later) {
            store_host.offset = 11;
            store_deliver("room:h", WSCAST_PUB_MESSAGE, EPOCH, 11, 0);
        }

        store_host.offset = 12;
        store_deliver("room:h", WSCAST_PUB_MESSAGE, EPOCH, 12, 0);

        is_str(words(), cases[i].heard, "%s, 11 comes %s: broken at 10",
               cases[i].what, later ? "meanwhile" : "after that");

        bad += store_broken != 1 || store_resumed != cases[i].page
               || wscast_session_blocked(&session) || resumed != 1
               || finalized;

        wscast_session_close(&session);
        bad += confused || fanout.subscriptions
               || !wscast_list_empty(&store_asked);
        wscast_fanout_done(&fanout);
        bad += unit_live != 0;
    }

    is_int(bad, 0, "it is counted, the client goes on, nothing leaks");
}


/* A client that was on a faster host. */

static void
test_ahead(void)
{
    unsigned  later;

    for (later = 0; later < 2; later++) {
        start("");
        store_at(5);
        store_top.offset = 9;
        store_later = later;
        since("room:h", EPOCH_TEXT, 8);

        if (later) {
            store_deliver("room:h", WSCAST_PUB_MESSAGE, EPOCH, 6, 0);
            store_deliver("room:h", WSCAST_PUB_MESSAGE, EPOCH, 7, 0);
            is_str(words(), "", "ahead: nothing is told before the store has");
            store_answer();
        }

        is_str(words(), "S8+", "ahead, and the store is: that is recovered");
        store_deliver("room:h", WSCAST_PUB_MESSAGE, EPOCH, 8, 0);
        store_deliver("room:h", WSCAST_PUB_MESSAGE, EPOCH, 9, 0);
        is_str(words(), "9", "the host catches up, the client hears it once");
        over("ahead");

        start("");
        store_at(5);
        store_later = later;
        since("room:h", EPOCH_TEXT, 8);

        if (later) {
            store_deliver("room:h", WSCAST_PUB_MESSAGE, EPOCH, 6, 0);
            store_answer();
            is_str(words(), "S5! 6", "ahead of the store: it is behind");

        } else {
            is_str(words(), "S5!", "ahead of the store: it is behind");
            store_deliver("room:h", WSCAST_PUB_MESSAGE, EPOCH, 6, 0);
            is_str(words(), "6", "and nothing that comes is lost");
        }

        over("behind");
    }
}


/* One frame at a time. */

static void
test_room(void)
{
    unsigned  i;
    char      heard_so_far[200];

    start("");
    store_at(8);
    store_page = 3;
    has_room = 1;
    since("room:h", EPOCH_TEXT, 2);
    is_str(words(), "S8+", "without room there is no more than the answer");
    is_int(store_questions, 1, "and no more than a page is read");
    ok(wscast_session_blocked(&session), "the client waits");

    heard_so_far[0] = '\0';

    for (i = 0; i < 20; i++) {
        has_room = 150;

        if (i == 2 || i == 4) {
            live_message(9 + i / 4);
        }

        wscast_session_drained(&session);

        if (nsent > 1) {
            strcat(heard_so_far, "(together) ");
        }

        strcat(heard_so_far, words());
        strcat(heard_so_far, " ");
    }

    ok(strncmp(heard_so_far, "3 4 5 6 7 8 9 10 ", 17) == 0,
       "with room for one, one is sent, and what was held is, too: %s",
       heard_so_far);
    ok(!wscast_session_blocked(&session) && resumed == 1 && finalized == 0,
       "then the client goes on");
    is_int(store_questions, 2, "two pages were read");
    wscast_session_drained(&session);
    has_room = 0;
    live_message(11);
    is_str(words(), "11", "live messages do not ask for room");
    over("room");
}


/* More is published meanwhile than may be held. */

static void
test_overflow(void)
{
    start("");
    store_at(4);
    store_later = 1;
    since("room:h", EPOCH_TEXT, 2);
    store_publish(5, 200 * KB);
    store_publish(6, 100 * KB);
    store_publish(7, 0);
    is_str(words(), "", "overflow: nothing is sent yet");
    store_answer();
    is_str(words(), "S4+ 3 4", "overflow: what was missed is");
    ok(wscast_session_blocked(&session) && store_last.after == 4
       && store_last.upto == 7, "what was dropped is asked for");
    store_deliver("room:h", WSCAST_PUB_MESSAGE, EPOCH, 7, 0);
    live_message(8);
    store_answer();
    is_str(words(), "5 6 7 8", "it comes from history, then live ones");
    ok(resumed == 1 && finalized == 0 && store_broken == 0,
       "and nothing was broken");
    over("overflow");

    start("");
    store_at(4);
    store_later = 1;
    since("room:h", EPOCH_TEXT, 2);
    store_publish(5, 255 * KB);
    store_publish(6, 0);
    store_publish(7, 2 * KB);
    store_answer();
    words();
    store_publish(8, 255 * KB);
    store_publish(9, 2 * KB);
    store_hole = 6;
    store_answer();
    is_str(words(), "B9!", "overflown twice, and a hole: broken at the newest");
    live_message(10);
    is_str(words(), "10", "and on from there");
    over("overflow, hole");

    start("");
    store_at(4);
    store_later = 1;
    since("room:h", EPOCH_TEXT, 2);
    store_publish(5, 255 * KB);
    store_publish(6, 2 * KB);
    store_answer();
    words();
    store_publish(7, 0);
    store_status = WSCAST_CLOSE_AWAY;
    store_answer();
    is_str(words(), "B6! 7", "overflown, and the store is away: broken at 6");
    over("overflow, away");

    start("");
    store_at(4);
    store_later = 1;
    since("room:h", EPOCH_TEXT, 2);
    store_publish(5, 255 * KB);
    store_publish(6, 2 * KB);
    store_host.epoch = 0xb2;
    store_host.offset = 1;
    store_answer();
    is_str(words(), "S4+ 3 4 B1!",
           "overflown, and another epoch: broken there");
    store_deliver("room:h", WSCAST_PUB_MESSAGE, 0xb2, 1, 0);
    store_deliver("room:h", WSCAST_PUB_MESSAGE, 0xb2, 2, 0);
    is_str(words(), "2", "and on from there");
    over("overflow, epoch");

    start("");
    store_at(4);
    store_later = 1;
    since("room:h", EPOCH_TEXT, 2);
    store_publish(5, 255 * KB);
    store_publish(6, 2 * KB);
    store_position_rc = WSCAST_MORE;
    store_answer();
    is_str(words(), "S4+ 3 4 B!", "overflown, and no position: broken");
    store_deliver("room:h", WSCAST_PUB_MESSAGE, EPOCH, 7, 0);
    is_str(words(), "7", "messages go on");
    over("overflow, no position");

    /* while what was held waits for room */

    start("");
    store_at(4);
    store_later = 1;
    since("room:h", EPOCH_TEXT, 3);
    live_message(5);
    live_message(6);
    has_room = 350;
    store_answer();
    is_str(words(), "S4+ 4 5", "a client without room for all that was held");
    store_publish(7, 256 * KB);
    store_deliver("room:h", WSCAST_PUB_LEAVE, 0, 0, 1);
    store_publish(8, 0);
    has_room = (size_t) -1;
    wscast_session_drained(&session);
    is_int(store_last.after, 5, "reads again what is behind the last it got");
    live_message(9);
    store_answer();
    is_str(words(), "6 7 8 L 9",
           "and gets the rest, with what is in no history");
    ok(finalized == 0 && !wscast_session_blocked(&session), "and goes on");
    over("overflow, room");
}


static void
test_unkept(void)
{
    start("");
    store_at(4);
    store_later = 1;
    since("room:h", EPOCH_TEXT, 3);
    store_deliver("room:h", WSCAST_PUB_JOIN, 0, 0, 0);
    live_message(5);
    store_deliver("room:h", WSCAST_PUB_MESSAGE, 0, 0, 0);
    store_deliver("room:h", WSCAST_PUB_BROKEN, 0xb2, 7, 0);
    store_deliver("room:h", WSCAST_PUB_MESSAGE, 0xb2, 8, 0);
    store_answer();
    is_str(words(), "S4+ 4 J 5 x B7! 8", "all that came meanwhile comes after");
    over("unkept");

    start("");
    store_at(4);
    store_later = 1;
    since("room:h", EPOCH_TEXT, 3);
    store_deliver("room:h", WSCAST_PUB_JOIN, 0, 0, 0);
    store_publish(5, 256 * KB);
    ok(finalized == 1 && reason == WSCAST_CLOSE_SLOW,
       "too much, with something that is in no history: 4408");
    over("unkept, too much");

    start("");
    store_at(4);
    store_later = 1;
    since("room:h", EPOCH_TEXT, 3);
    store_deliver("room:h", WSCAST_PUB_MESSAGE, 0, 0, 256 * KB);
    ok(finalized == 1 && reason == WSCAST_CLOSE_SLOW,
       "or too much of what is in no history");
    over("too much unkept");

    start("");
    store_at(4);
    store_later = 1;
    since("room:h", EPOCH_TEXT, 3);
    store_publish(5, 200 * KB);
    store_publish(6, 60 * KB);
    store_deliver("room:h", WSCAST_PUB_MESSAGE, 0, 0, 256 * KB);
    ok(finalized == 1 && reason == WSCAST_CLOSE_SLOW,
       "after an overflow as before it");
    over("too much unkept after an overflow");
}


/* What OLD must not get does not come live either while it is resumed. */

static void
test_former(void)
{
    start("");
    store_at(4);
    store_later = 1;
    since("room:h", EPOCH_TEXT, 3);
    deliver("room:h", "1", WSCAST_PUB_JSON|WSCAST_PUB_NO_ECHO, store_old, "");
    deliver("room:h", "2", WSCAST_PUB_JSON, store_old, "");
    deliver("room:h", "3", WSCAST_PUB_JSON, "", store_old);
    deliver("room:h", "4", WSCAST_PUB_JSON, "", "0123456789abcdef");
    deliver("room:h", "5", WSCAST_PUB_JSON|WSCAST_PUB_NO_ECHO,
            "0123456789abcdef", "");
    store_answer();
    is_str(words(), "S4+ 4 x", "OLD's own is not echoed to its successor");
    over("former");
}


int
main(void)
{
    test_position();
    test_pages(0);
    test_pages(1);
    test_broken(0);
    test_broken(1);
    test_ahead();
    test_room();
    test_overflow();
    test_unkept();
    test_former();

    return done();
}
