/* session: one client's conversation, between a bus and a connection. */
/* libs: -lcjson -lcrypto -lz */

#include "session_case.h"


#define JSON  (&wscast_dialect_json)
#define TEXT  (&wscast_dialect_text)


static void
test_welcome(void)
{
    fresh(JSON);
    is_int(begin(NULL, NULL, "ann", "Hi!"), WSCAST_OK, "a session opens");
    is_str(heard(), "{\"type\":\"welcome\",\"client\":\"0123456789abcdef\","
           "\"user\":\"ann\",\"ping\":25,\"msg\":\"Hi!\"}",
           "json: it begins with a welcome");
    ok(nsent == 1 && sent_opcode[0] == 0x81, "in one whole text frame");
    ok(!wscast_session_blocked(&session), "then the client may speak");
    over("welcome");

    fresh(JSON);
    live = 0;
    begin("room:1", "room:2", "", "");
    ok(nsent == 0 && wscast_session_blocked(&session),
       "while channels of the location are not live there is no welcome");
    become_live("room:2");
    ok(nsent == 0 && resumed == 0, "nor while one of them is not");
    deliver("room:2", "1", WSCAST_PUB_JSON, "", "");
    deliver("room:1", "1", WSCAST_PUB_JSON, "", "");
    is_int(nsent, 0, "nothing is told before the welcome");
    become_live("room:1");
    ok(nsent == 1 && strstr(heard(), "welcome") != NULL,
       "then it is said, once, without answers for the channels");
    is_int(resumed, 1, "and the client may speak, which is told once");
    become_live("room:1");
    ok(nsent == 1 && resumed == 1, "a channel that is live twice is as one");
    deliver("room:1", "2", WSCAST_PUB_JSON, "", "");
    is_int(nsent, 2, "and messages follow");
    over("locations' channels");

    fresh(JSON);
    first_live = "room:1";
    live = 0;
    begin("room:1", "room:2", "", "");
    is_int(nsent, 0, "one that is live at once does not welcome for the other");
    become_live("room:2");
    is_int(nsent, 1, "which does");
    over("one live at once");

    fresh(TEXT);
    begin("room:1", NULL, "", "Welcome");
    is_str(heard(), "Welcome", "text: the operator's words");
    over("text");

    fresh(TEXT);
    live = 0;
    begin("room:1", NULL, "", "");
    become_live("room:1");
    ok(nsent == 0 && resumed == 1, "text: none without them");
    over("text without a welcome");

    fresh(JSON);
    first_rc = WSCAST_ERROR;
    ok(begin("room:1", NULL, "", "") != WSCAST_OK,
       "a channel that cannot be joined is an error");
    over("refused");
}


static void
test_subscribe(void)
{
    fresh(JSON);
    live = 0;
    begin(NULL, NULL, "", "");
    is_int(says("{\"type\":\"subscribe\",\"id\":\"a\",\"channel\":\"room:1\"}"),
           WSCAST_OK, "a client may subscribe");
    ok(nsent == 1 && wscast_session_blocked(&session),
       "it must wait until the channel is live");
    deliver("room:1", "0", WSCAST_PUB_JSON, "", "");
    is_int(nsent, 1, "no message overtakes the answer");
    become_live("room:1");
    is_str(heard(), "{\"type\":\"subscribed\",\"id\":\"a\","
           "\"channel\":\"room:1\"}", "then it is answered");
    ok(nsent == 2 && resumed == 1 && !wscast_session_blocked(&session),
       "once, and it may go on");

    live = 1;
    says("{\"type\":\"subscribe\",\"channel\":\"room:2\"}");
    is_str(heard(), "{\"type\":\"subscribed\",\"channel\":\"room:2\"}",
           "a channel that is live is answered at once");
    is_int(resumed, 1, "nothing had to be resumed");

    says("{\"type\":\"subscribe\",\"id\":5,\"channel\":\"room:2\"}");
    is_str(heard(), "{\"type\":\"error\",\"id\":5,\"code\":409,\"reason\":"
           "\"already subscribed to room:2\"}", "twice is 409");

    says("{\"type\":\"subscribe\",\"id\":6,\"channel\":\"other\"}");
    is_str(heard(), "{\"type\":\"error\",\"id\":6,\"code\":403,\"reason\":"
           "\"not allowed to subscribe to other\"}", "not granted is 403");

    says("{\"type\":\"subscribe\",\"id\":7,\"channel\":\"room:\\u0007\"}");
    is_str(heard(), "{\"type\":\"error\",\"id\":7,\"code\":400,\"reason\":"
           "\"no valid channel\"}", "no name for a channel is 400");

    says("{\"type\":\"subscribe\",\"channel\":\"room:45678901234567890\"}");
    ok(strstr(heard(), "400") != NULL, "nor is one that is too long");
    says("{\"type\":\"subscribe\"}");
    ok(strstr(heard(), "400") != NULL, "nor is none at all");

    says("{\"type\":\"subscribe\",\"channel\":\"room:3\"}");
    says("{\"type\":\"subscribe\",\"id\":8,\"channel\":\"room:4\"}");
    is_str(heard(), "{\"type\":\"error\",\"id\":8,\"code\":429,\"reason\":"
           "\"too many subscriptions\"}", "too many are 429");

    says("{\"type\":\"unsubscribe\",\"id\":9,\"channel\":\"room:4\"}");
    is_str(heard(), "{\"type\":\"error\",\"id\":9,\"code\":404,\"reason\":"
           "\"not subscribed to room:4\"}", "leaving where one is not is 404");

    says("{\"type\":\"unsubscribe\",\"id\":10,\"channel\":\"room:3\"}");
    is_str(heard(), "{\"type\":\"unsubscribed\",\"id\":10,"
           "\"channel\":\"room:3\"}", "leaving is answered");
    says("{\"type\":\"subscribe\",\"channel\":\"room:4\"}");
    ok(strstr(heard(), "subscribed") != NULL, "and makes room for another");
    is_int(fanout.subscriptions, 3, "fanout counts as many as the session");
    is_int(session.nsubscriptions, 3, "does");

    first_rc = WSCAST_ERROR;
    says("{\"type\":\"unsubscribe\",\"channel\":\"room:4\"}");
    is_int(says("{\"type\":\"subscribe\",\"channel\":\"room:5\"}"),
           WSCAST_CLOSE_NO_MEMORY, "a worker that cannot join ends it");
    over("subscribe");
}


static void
test_errors(void)
{
    fresh(JSON);
    begin("room:1", NULL, "", "");

    is_int(says("nonsense"), WSCAST_OK, "nonsense does not end it");
    is_str(heard(), "{\"type\":\"error\",\"code\":400,\"reason\":"
           "\"message is not a JSON object\"}", "it is answered");
    says("{\"type\":\"dance\",\"id\":1}");
    is_str(heard(), "{\"type\":\"error\",\"id\":1,\"code\":400,\"reason\":"
           "\"unknown type\"}", "so is an unknown type");
    says("{\"type\":\"ping\",\"id\":4}");
    is_str(heard(), "{\"type\":\"pong\",\"id\":4}", "a ping is answered");

    nsent = 0;
    wscast_session_disconnect(&session);
    is_str(heard(), "{\"type\":\"disconnect\",\"reconnect\":true}",
           "a client can be asked to move");
    over("errors");

    fresh(TEXT);
    begin("other", NULL, "", "");
    is_int(says("x"), WSCAST_CLOSE_NOT_ALLOWED,
           "text: what must not be published ends it");
    wscast_session_disconnect(&session);
    is_int(nsent, 0, "text: nothing is said of it, nor of moving");
    over("text errors");
}


static void
test_publish(void)
{
    fresh(JSON);
    begin("room:1", NULL, "ann", "");

    is_int(says("{\"type\":\"publish\",\"id\":1,\"data\":9007199254740993}"),
           WSCAST_OK, "a client may publish to the only channel");
    is_str(heard(), "{\"type\":\"published\",\"id\":1,\"channel\":\"room:1\"}",
           "it is answered");
    ok(published == 1 && strcmp(pub_channel, "room:1") == 0
       && strcmp(pub_data, "9007199254740993") == 0
       && strcmp(pub_user, "ann") == 0
       && strcmp(pub_client, "0123456789abcdef") == 0
       && pub_flags == WSCAST_PUB_JSON, "the engine gets it as it was said");

    says("{\"type\":\"publish\",\"id\":2,\"channel\":\"other\",\"data\":1}");
    is_str(heard(), "{\"type\":\"error\",\"id\":2,\"code\":403,\"reason\":"
           "\"not allowed to publish to other\"}", "not granted is 403");
    says("{\"type\":\"publish\",\"id\":3,\"channel\":\"\",\"data\":1}");
    is_str(heard(), "{\"type\":\"error\",\"id\":3,\"code\":400,\"reason\":"
           "\"no valid channel\"}", "an empty channel is not the default");
    is_int(published, 1, "neither is published");

    answer = WSCAST_CLOSE_AWAY;
    says("{\"type\":\"publish\",\"id\":4,\"data\":1}");
    is_str(heard(), "{\"type\":\"error\",\"id\":4,\"code\":503,\"reason\":"
           "\"engine is away\"}", "no engine is 503");
    answer = WSCAST_CLOSE_TOO_BIG;
    says("{\"type\":\"publish\",\"id\":5,\"data\":1}");
    is_str(heard(), "{\"type\":\"error\",\"id\":5,\"code\":413,\"reason\":"
           "\"message is too large\"}", "too large is 413");
    answer = WSCAST_CLOSE_NO_MEMORY;
    is_int(says("{\"type\":\"publish\",\"data\":1}"), WSCAST_CLOSE_NO_MEMORY,
           "no memory ends it");
    answer = WSCAST_ERROR;
    is_int(says("{\"type\":\"publish\",\"data\":1}"), WSCAST_CLOSE_NO_MEMORY,
           "whatever else, too");
    over("publish");

    fresh(JSON);
    begin("room:1", "room:2", "", "");
    says("{\"type\":\"publish\",\"data\":1}");
    ok(strstr(heard(), "400") != NULL, "json: of two channels none is default");
    over("two channels");

    fresh(TEXT);
    begin("room:1", "room:2", "", "");
    ok(says("hello") == WSCAST_OK && strcmp(pub_channel, "room:1") == 0
       && strcmp(pub_data, "hello") == 0 && nsent == 0,
       "text: publishes to the first, without an answer");
    answer = WSCAST_CLOSE_AWAY;
    is_int(says("hello"), WSCAST_CLOSE_AWAY, "text: no engine ends it");
    answer = WSCAST_CLOSE_TOO_BIG;
    is_int(says("hello"), WSCAST_CLOSE_TOO_BIG, "text: too large ends it");
    over("text publish");
}


static void
test_receipts(void)
{
    unsigned  i, bad;
    char      message[80];

    bad = 0;
    fresh(JSON);
    engine.receipts = 1;
    answer = WSCAST_MORE;
    begin("room:1", NULL, "", "");
    nsent = 0;

    for (i = 0; i < WSCAST_UNANSWERED; i++) {
        bad += wscast_session_blocked(&session);
        snprintf(message, sizeof(message),
                 "{\"type\":\"publish\",\"id\":%u,\"data\":1}", i);
        says(message);
    }

    is_int(bad, 0, "a client may have %d under way", WSCAST_UNANSWERED);
    is_int(nsent, 0, "what is under way is not answered yet");
    ok(wscast_session_blocked(&session), "too many under way must wait");

    receive(WSCAST_OK);
    is_str(heard(), "{\"type\":\"published\",\"id\":0,\"channel\":\"room:1\"}",
           "a receipt is the answer");
    ok(resumed == 1 && !wscast_session_blocked(&session),
       "then the client may go on");
    receive(WSCAST_CLOSE_AWAY);
    is_str(heard(), "{\"type\":\"error\",\"id\":1,\"code\":503,\"reason\":"
           "\"engine is away\"}", "a receipt may be an error");
    receive(WSCAST_CLOSE_TOO_BIG);
    ok(strstr(heard(), "\"id\":2,\"code\":413") != NULL, "or another");
    ok(resumed == 1 && finalized == 0, "nothing has to be resumed twice");
    receive(WSCAST_CLOSE_NO_MEMORY);
    ok(finalized == 1 && reason == WSCAST_CLOSE_NO_MEMORY,
       "or the end of the connection");

    i = nsent;
    wscast_session_close(&session);

    while (!wscast_list_empty(&receipts)) {
        receive(WSCAST_OK);
    }

    is_int(nsent, i, "receipts that come after the close tell nobody");
    over("receipts");

    fresh(TEXT);
    engine.receipts = 1;
    answer = WSCAST_MORE;
    begin("room:1", NULL, "", "");
    says("x");
    says("y");
    receive(WSCAST_OK);
    ok(nsent == 0 && finalized == 0, "text: success is not told");
    receive(WSCAST_CLOSE_AWAY);
    ok(nsent == 0 && reason == WSCAST_CLOSE_AWAY, "text: failure ends it");
    over("text receipts");
}


static void
test_held(unsigned with_receipts)
{
    fresh(JSON);
    engine.receipts = with_receipts;
    begin("room:1", NULL, "ann", "");
    nsent = 0;

    answer = WSCAST_AGAIN;
    is_int(says("{\"type\":\"publish\",\"id\":\"x\",\"data\":[1]}"), WSCAST_OK,
           "a bus without room is no error");
    ok(nsent == 0 && wscast_session_blocked(&session), "the client waits");

    room();
    ok(published == 2 && nsent == 0 && wscast_session_blocked(&session)
       && !wscast_list_empty(&waiters) && resumed == 0,
       "no room again: it waits on");

    pub_data[0] = pub_user[0] = '\0';
    answer = with_receipts ? WSCAST_MORE : WSCAST_OK;
    room();
    ok(published == 3 && strcmp(pub_data, "[1]") == 0
       && strcmp(pub_channel, "room:1") == 0 && strcmp(pub_user, "ann") == 0
       && pub_flags == WSCAST_PUB_JSON, "what was held is published whole");
    ok(resumed == 1 && !wscast_session_blocked(&session),
       "the client may go on, which is told once");

    if (with_receipts) {
        is_int(nsent, 0, "it is under way");
        receive(WSCAST_OK);
    }

    is_str(heard(), "{\"type\":\"published\",\"id\":\"x\","
           "\"channel\":\"room:1\"}", "it is answered with its id");
    is_int(nsent, 1, "once");

    answer = WSCAST_AGAIN;
    says("{\"type\":\"publish\",\"id\":7,\"data\":1}");
    answer = WSCAST_CLOSE_AWAY;
    room();
    ok(strstr(heard(), "\"id\":7,\"code\":503") != NULL && resumed == 2,
       "what was held may fail");

    answer = WSCAST_AGAIN;
    says("{\"type\":\"publish\",\"data\":1}");
    answer = WSCAST_CLOSE_NO_MEMORY;
    room();
    ok(finalized == 1 && reason == WSCAST_CLOSE_NO_MEMORY && resumed == 2,
       "or end the connection, which is not fed then");

    answer = WSCAST_AGAIN;
    says("{\"type\":\"publish\",\"data\":1}");
    over("held");
}


static void
test_deliver(void)
{
    static const wscast_rule_t  rules[] = {
        { .pattern = wscast_string("room:q"), .no_echo = 1 },
        { .pattern = wscast_string("room:\001") }
    };

    fresh(JSON);
    engine.rules = rules;
    engine.nrules = 2;
    begin("room:1", NULL, "", "");
    nsent = 0;

    deliver("room:1", "\"a\"", WSCAST_PUB_JSON, "0123456789abcdef", "");
    is_str(heard(), "{\"type\":\"message\",\"channel\":\"room:1\","
           "\"data\":\"a\",\"client\":\"0123456789abcdef\",\"time\":1}",
           "a message is delivered, the own ones too");
    deliver("room:1", "b", WSCAST_PUB_NO_ECHO, "0123456789abcdef", "");
    is_int(nsent, 1, "but not without echo");
    deliver("room:1", "c", WSCAST_PUB_NO_ECHO, "another", "");
    is_int(nsent, 2, "others' are");
    deliver("room:1", "d", 0, "", "0123456789abcdef");
    is_int(nsent, 2, "who is excluded does not get it");
    deliver("room:1", "e", 0, "", "0123456789abcdeX");
    is_int(nsent, 3, "everybody else does");

    wscast_session_flush(&session);
    is_int(flushed, 1, "when that was all, it is not to wait");

    says("{\"type\":\"publish\",\"channel\":\"room:q\",\"data\":1}");
    is_int(pub_flags, WSCAST_PUB_JSON|WSCAST_PUB_NO_ECHO,
           "the first rule that matches switches echo off");
    says("{\"type\":\"publish\",\"data\":1}");
    is_int(pub_flags, WSCAST_PUB_JSON, "another leaves it on");
    over("deliver");
}


/* One of everything; the n-th allocation fails. */

static void
scenario(const wscast_dialect_t *dialect, size_t fail_at)
{
    wscast_status_t  rc;

    fresh(dialect);
    engine.receipts = 1;
    unit_alloc_reset(fail_at);
    live = 0;

    rc = begin("room:1", NULL, "ann", "hi");

    if (rc == WSCAST_OK) {
        become_live("room:1");
    }

#define step(s)  if (rc == WSCAST_OK && !finalized) { s; }

    answer = WSCAST_MORE;
    step(rc = says("{\"type\":\"publish\",\"id\":1,\"data\":1}"));
    step(receive(WSCAST_OK));
    step(rc = says("{\"type\":\"publish\",\"id\":1,\"data\":1}"));
    step(rc = says("{\"type\":\"unsubscribe\",\"id\":1}"));
    step(rc = says("{\"type\":\"subscribe\",\"id\":1,\"channel\":\"room:2\"}"));

    if (wscast_fanout_find(&fanout, s("room:2"))) {
        become_live("room:2");
    }

    step(deliver("room:2", "x", 0, "", ""));
    answer = WSCAST_AGAIN;
    step(rc = says("{\"type\":\"publish\",\"id\":1,\"data\":1}"));
    step(room());
    answer = WSCAST_MORE;
    step(room());
    step(rc = says("{\"type\":\"ping\"}"));
    step(wscast_session_disconnect(&session));

    confused += rc != WSCAST_OK && rc != WSCAST_NOMEM
                && rc != WSCAST_CLOSE_NO_MEMORY;
    confused += finalized && reason != WSCAST_CLOSE_NO_MEMORY;
    confused += fail_at == 0 && (rc != WSCAST_OK || finalized);

    wscast_session_close(&session);

    while (!wscast_list_empty(&receipts)) {
        receive(WSCAST_OK);
    }
}


static void
test_nomem(const wscast_dialect_t *dialect)
{
    size_t    n, total;
    unsigned  bad;

    bad = 0;
    scenario(dialect, 0);
    total = unit_calls;
    bad += confused;
    wscast_fanout_done(&fanout);

    for (n = 1; n <= total; n++) {
        scenario(dialect, n);

        if (confused || fanout.subscriptions || !wscast_list_empty(&waiters)) {
            note("allocation %zu", n);
            bad++;
        }

        wscast_fanout_done(&fanout);
        bad += unit_live != 0;
    }

    ok(total > 10, "%s: there are %zu allocations", dialect->name, total);
    is_int(bad, 0, "%s: whichever fails, the connection ends for that, "
           "and nothing leaks", dialect->name);
}


int
main(void)
{
    test_welcome();
    test_subscribe();
    test_errors();
    test_publish();
    test_receipts();
    test_held(0);
    test_held(1);
    test_deliver();
    test_nomem(JSON);
    test_nomem(TEXT);

    return done();
}
