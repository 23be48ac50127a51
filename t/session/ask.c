/* session: members, questions about a channel, and new tokens. */
/* libs: -lcjson -lcrypto -lz */

#include "session_case.h"

#include "token_case.h"


static void
test_members(void)
{
    start("room:*");
    store_known = store_old;
    begin("room:p", NULL, "ann", "");
    ok(store_joins == 1 && strcmp(store_client, "0123456789abcdef") == 0
       && strcmp(store_user, "ann") == 0 && strcmp(store_info, "{\"i\":1}") == 0
       && strcmp(store_former, "") == 0,
       "who is on a channel of its location is a member");
    is_str(words(), "W", "which is not told");
    is_str(pub_channel, "", "nor published by the session");

    says("{\"type\":\"subscribe\",\"id\":1,\"channel\":\"room:hp\","
         "\"since\":{\"client\":\"OLDOLDOLDOLDOLD1\"}}");
    is_str(heard(), "{\"type\":\"subscribed\",\"id\":1,\"channel\":\"room:hp\","
           HERE("0") ",\"member\":\"OLDOLDOLDOLDOLD1\"}",
           "whom the others know by another id is told so");
    ok(store_joins == 2 && strcmp(store_former, store_old) == 0,
       "the store is told its former id");
    nsent = 0;

    store_deliver("room:p", WSCAST_PUB_JOIN, 0, 0, 0);
    store_deliver("room:hp", WSCAST_PUB_LEAVE, 0, 0, 0);
    is_str(words(), "J L", "joins and leaves come with the grant, of location "
           "or token");

    says("{\"type\":\"unsubscribe\",\"channel\":\"room:hp\"}");
    ok(store_left == 1 && store_lost == 0
       && strcmp(store_left_at, "room:hp") == 0, "who unsubscribes leaves");
    wscast_session_end(&session, 1);
    ok(store_left == 1 && store_lost == 1, "whose connection ends is lost");
    wscast_session_close(&session);
    ok(store_left == 1 && store_lost == 1, "once");
    stop("members");

    start("room:*");
    begin("room:p", NULL, "", "");
    wscast_session_end(&session, 0);
    ok(store_left == 1 && store_lost == 0, "who is sent away leaves at once");
    stop("sent away");

    start("room:*");
    params.token_grants->n = 1;         /* without presence */
    store_known = "0123456789abcdef";
    begin(NULL, NULL, "", "");
    words();
    says("{\"type\":\"subscribe\",\"id\":1,\"channel\":\"room:hp\"}");
    ok(strstr(heard(), "member") == NULL, "who is known by its id is not told");
    words();
    store_deliver("room:hp", WSCAST_PUB_JOIN, 0, 0, 0);
    store_deliver("room:hp", WSCAST_PUB_LEAVE, 0, 0, 0);
    store_deliver("room:hp", WSCAST_PUB_MESSAGE, EPOCH, 1, 0);
    is_str(words(), "1", "without the grant neither joins nor leaves come");
    says("{\"type\":\"subscribe\",\"channel\":\"room:b\"}");
    is_int(store_joins, 1, "without presence in its rule nobody is asked");
    stop("no grant");
}


static void
test_join_later(void)
{
    start("room:*");
    store_later = 1;
    begin(NULL, NULL, "", "");
    words();
    store_at(3);
    says("{\"type\":\"subscribe\",\"id\":1,\"channel\":\"room:hp\"}");
    ok(nsent == 0 && wscast_session_blocked(&session),
       "the answer waits until the store has the member");
    store_at(4);
    store_deliver("room:hp", WSCAST_PUB_MESSAGE, EPOCH, 4, 0);
    store_answer();
    store_deliver("room:hp", WSCAST_PUB_MESSAGE, EPOCH, 5, 0);
    is_str(words(), "S4 5", "messages begin at the position told then");
    ok(resumed == 1 && !wscast_session_blocked(&session), "and it goes on");

    wscast_session_rejoin(wscast_session_find(&session, s("room:hp")));
    is_int(store_joins, 2, "the store can be told once more");
    ok(!wscast_session_blocked(&session), "for which nobody waits");
    store_status = WSCAST_CLOSE_AWAY;
    store_answer();
    is_str(words(), "", "nor hears of it");

    says("{\"type\":\"subscribe\",\"id\":1,\"channel\":\"room:p\"}");
    store_known = store_old;
    store_answer();
    is_str(heard(), "{\"type\":\"subscribed\",\"id\":1,\"channel\":\"room:p\"}",
           "a store that is away keeps nobody from subscribing");
    ok(resumed == 2 && finalized == 0, "nor ends it");
    wscast_session_rejoin(wscast_session_find(&session, s("room:p")));
    is_int(store_joins, 4, "it is told as soon as it is back");
    wscast_session_end(&session, 1);
    ok(store_cancelled == 1 && store_lost == 2 && store_left == 0,
       "an end takes the question back, and all memberships are lost");
    stop("join later");

    start("room:*");
    store_later = 1;
    begin(NULL, NULL, "", "");
    says("{\"type\":\"subscribe\",\"id\":1,\"channel\":\"room:hp\"}");
    wscast_session_end(&session, 1);
    ok(store_cancelled == 1 && store_lost == 1,
       "so does an end while the answer is awaited");
    stop("end in join");
}


static void
test_history(void)
{
    unsigned  i;

    start("room:*");
    begin("room:h", NULL, "ann", "");
    store_at(30);
    nsent = 0;

    says("{\"type\":\"history\",\"id\":2,\"limit\":2}");
    is_str(heard(), "{\"type\":\"history\",\"id\":2,\"channel\":\"room:h\","
           HERE("30") ",\"messages\":[{\"type\":\"message\","
           "\"channel\":\"room:h\",\"data\":29," HERE("29") ",\"time\":1},"
           "{\"type\":\"message\",\"channel\":\"room:h\",\"data\":30,"
           HERE("30") ",\"time\":1}],\"more\":true}",
           "history is answered with messages, oldest first");

    says("{\"type\":\"history\"}");
    ok(store_last.limit == 20 && store_last.newest && store_last.upto == 0
       && store_last.after == 0 && store_last.bytes == WSCAST_ASK_BYTES,
       "by default it is the newest 20");
    says("{\"type\":\"history\",\"before\":3,\"limit\":1000}");
    is_str(heard(), "{\"type\":\"history\",\"channel\":\"room:h\"," HERE("30")
           ",\"messages\":[{\"type\":\"message\",\"channel\":\"room:h\","
           "\"data\":1," HERE("1") ",\"time\":1},{\"type\":\"message\","
           "\"channel\":\"room:h\",\"data\":2," HERE("2") ",\"time\":1}]}",
           "or those before an offset");
    says("{\"type\":\"history\",\"before\":1}");
    is_str(heard(), "{\"type\":\"history\",\"channel\":\"room:h\"," HERE("30")
           ",\"messages\":[]}", "before the first there is none");

    says("{\"type\":\"history\",\"id\":3,\"channel\":\"room:hp\"}");
    is_str(heard(), "{\"type\":\"error\",\"id\":3,\"code\":403,\"reason\":"
           "\"not allowed to read the history of room:hp\"}",
           "not granted is 403");
    session.grants->grant[3].pattern = wscast_str("\001", 1);
    says("{\"type\":\"history\",\"id\":4,\"channel\":\"room:p\"}");
    is_str(heard(), "{\"type\":\"error\",\"id\":4,\"code\":400,\"reason\":"
           "\"history is not enabled on room:p\"}", "no rule for it is 400");
    says("{\"type\":\"history\",\"id\":5,\"channel\":\"room:x\"}");
    ok(strstr(heard(), "400") != NULL, "no rule at all is, too");
    store_status = WSCAST_CLOSE_AWAY;
    says("{\"type\":\"history\",\"id\":6}");
    is_str(heard(), "{\"type\":\"error\",\"id\":6,\"code\":503,\"reason\":"
           "\"engine is away\"}", "a store that is away is 503");
    store_status = WSCAST_CLOSE_NO_MEMORY;
    says("{\"type\":\"history\",\"id\":6}");
    ok(finalized == 1 && reason == WSCAST_CLOSE_NO_MEMORY,
       "one without memory ends it");
    is_int(resumed, 0, "what is answered at once resumes nobody");
    stop("history");

    start("room:*");
    begin("room:h", NULL, "ann", "");
    store_at(1);
    store_later = 1;
    nsent = 0;

    for (i = 0; i < WSCAST_ASKS; i++) {
        ok(!wscast_session_blocked(&session), "question %u may be asked", i);
        says(i & 1 ? "{\"type\":\"history\"}"
                   : "{\"type\":\"presence\",\"channel\":\"room:p\"}");
    }

    ok(wscast_session_blocked(&session) && nsent == 0,
       "more must wait for an answer");
    store_answer();
    ok(nsent == 1 && resumed == 1 && !wscast_session_blocked(&session),
       "then it goes on");
    store_answer();
    ok(nsent == 2 && resumed == 1, "which is told once");
    wscast_session_end(&session, 1);
    is_int(store_cancelled, WSCAST_ASKS - 2, "an end takes the others back");
    stop("many questions");
}


static void
test_presence(void)
{
    start("room:*");
    begin("room:p", NULL, "ann", "");
    store_members = 3;
    nsent = 0;

    says("{\"type\":\"presence\",\"id\":2,\"limit\":2}");
    is_str(heard(), "{\"type\":\"presence\",\"id\":2,\"channel\":\"room:p\","
           "\"members\":[{\"client\":\"member0000000000\",\"user\":\"ann\","
           "\"info\":{\"a\":1}},{\"client\":\"member0000000001\"}],"
           "\"total\":3,\"next\":\"2\"}", "presence is answered with members");
    says("{\"type\":\"presence\",\"id\":2,\"after\":\"2\"}");
    is_str(heard(), "{\"type\":\"presence\",\"id\":2,\"channel\":\"room:p\","
           "\"members\":[{\"client\":\"member0000000002\"}],\"total\":3}",
           "and goes on at a cursor");
    is_int(store_last.limit, 100, "by default a hundred of them");
    store_members = 0;
    says("{\"type\":\"presence\"}");
    is_str(heard(), "{\"type\":\"presence\",\"channel\":\"room:p\","
           "\"members\":[],\"total\":0}", "nobody is an answer as well");

    says("{\"type\":\"presence\",\"id\":3,\"channel\":\"room:x\"}");
    is_str(heard(), "{\"type\":\"error\",\"id\":3,\"code\":403,\"reason\":"
           "\"not allowed to see who is on room:x\"}", "not granted is 403");
    session.grants->grant[2].pattern = wscast_str("\001", 1);
    says("{\"type\":\"presence\",\"id\":4,\"channel\":\"room:h\"}");
    is_str(heard(), "{\"type\":\"error\",\"id\":4,\"code\":400,\"reason\":"
           "\"presence is not enabled on room:h\"}", "no rule for it is 400");
    store_status = WSCAST_CLOSE_AWAY;
    says("{\"type\":\"presence\",\"id\":5}");
    is_str(heard(), "{\"type\":\"error\",\"id\":5,\"code\":503,\"reason\":"
           "\"engine is away\"}", "a store that is away is 503");
    stop("presence");
}


static void
test_published(void)
{
    start("room:*");
    begin("room:h", NULL, "ann", "");
    taken.epoch = EPOCH;
    taken.offset = 9;
    says("{\"type\":\"publish\",\"id\":1,\"data\":1,\"key\":\"k\"}");
    is_str(heard(), "{\"type\":\"published\",\"id\":1,\"channel\":\"room:h\","
           HERE("9") "}", "published tells where the message is");
    is_str(pub_key, "k", "the engine gets its key");

    engine.receipts = 1;
    answer = WSCAST_MORE;
    says("{\"type\":\"publish\",\"id\":2,\"data\":1}");
    wscast_list_first(&receipts, outstanding_t, link)->receipt->position
        = taken;
    receive(WSCAST_OK);
    is_str(heard(), "{\"type\":\"published\",\"id\":2,\"channel\":\"room:h\","
           HERE("9") "}", "so does a receipt");

    answer = WSCAST_AGAIN;
    says("{\"type\":\"publish\",\"id\":3,\"data\":1,\"key\":\"k3\"}");
    pub_key[0] = '\0';
    answer = WSCAST_OK;
    taken.offset = 10;
    room();
    is_str(heard(), "{\"type\":\"published\",\"id\":3,\"channel\":\"room:h\","
           HERE("10") "}", "and what waited for room");
    is_str(pub_key, "k3", "which keeps its key");
    stop("published");
}


static void
test_token(void)
{
    start("room:*");
    begin(NULL, NULL, "ann", "");
    says("{\"type\":\"subscribe\",\"channel\":\"room:a\"}");
    says("{\"type\":\"subscribe\",\"channel\":\"room:b\"}");
    says("{\"type\":\"subscribe\",\"channel\":\"room:hp\"}");
    nsent = 0;

    renew("{\"sub\":\"ann\",\"exp\":100,"
          "\"wscast\":{\"subscribe\":[\"room:hp\"]}}");
    is_str(sent[0], "{\"type\":\"token\",\"id\":1,\"expires\":100}",
           "a new token is taken");
    is_str(sent[1], "{\"type\":\"unsubscribed\",\"channel\":\"room:b\"}",
           "what it does not allow ends");
    is_int(nsent, 2, "the rest, and what the location allows, goes on");
    ok(session.expires == 105000 && expired == 1,
       "the connection learns when it ends, with leeway");
    store_deliver("room:hp", WSCAST_PUB_JOIN, 0, 0, 0);
    is_int(nsent, 2, "joins do not come without the grant for them");
    is_int(session.nsubscriptions, 2, "two subscriptions are left");
    nsent = 0;

    renew("{\"sub\":\"ann\",\"wscast\":{\"presence\":[\"room:hp\"]}}");
    is_str(sent[0], "{\"type\":\"token\",\"id\":1}",
           "one without exp does not expire");
    ok(session.expires == 0 && expired == 2, "nor does the connection then");
    is_str(sent[1], "{\"type\":\"unsubscribed\",\"channel\":\"room:hp\"}",
           "a subscription ends");
    ok(store_left == 1 && store_lost == 0, "which is a leave");
    nsent = 0;

    renew("{\"sub\":\"bob\",\"exp\":100}");
    is_str(heard(), "{\"type\":\"error\",\"id\":1,\"code\":403,\"reason\":"
           "\"token is of another user\"}", "another user's is 403");
    renew("{\"exp\":100}");
    ok(strstr(heard(), "403") != NULL, "nobody's is, too");
    session.engine = &engine;
    engine.leeway = 0;
    renew("{\"sub\":\"ann\",\"exp\":1}");
    is_str(heard(), "{\"type\":\"error\",\"id\":1,\"code\":401,\"reason\":"
           "\"token has expired\"}", "an expired one is 401");
    says("{\"type\":\"token\",\"id\":1,\"token\":\"\"}");
    ok(strstr(heard(), "\"code\":401,\"reason\":\"token") != NULL,
       "so is none");
    ok(session.expires == 0 && expired == 2 && nsent == 4,
       "then nothing has changed");
    stop("token");

    start("room:*");
    params.token = 0;
    begin(NULL, NULL, "ann", "");
    renew("{\"sub\":\"ann\"}");
    is_str(heard(), "{\"type\":\"error\",\"id\":1,\"code\":400,\"reason\":"
           "\"tokens are not taken here\"}",
           "a location without wscast_token takes none");
    stop("no tokens");

    start("room:*");
    engine.keys = NULL;
    begin(NULL, NULL, "ann", "");
    renew("{\"sub\":\"ann\"}");
    ok(strstr(heard(), "tokens are not taken here") != NULL,
       "nor does a hub without keys");
    stop("no keys");

    start("room:*");
    params.sub = s("");
    begin("room:c", NULL, "", "");
    nsent = 0;
    renew("{\"exp\":7}");
    is_str(heard(), "{\"type\":\"token\",\"id\":1,\"expires\":7}",
           "nobody may renew as nobody");
    ok(nsent == 1 && session.nsubscriptions == 1,
       "a channel of the location needs no grant");
    stop("nobody");
}


int
main(void)
{
    test_members();
    test_join_later();
    test_history();
    test_presence();
    test_published();
    test_token();

    return done();
}
