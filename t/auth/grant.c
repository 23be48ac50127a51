/* auth/grant: nothing is allowed that no grant allows. */

#include "../lib/unit.h"
#include "../../src/base/utf8.c"
#include "../../src/base/pattern.c"
#include "../../src/auth/grant.c"


static wscast_str_t
s(const char *text)
{
    return wscast_str(text, strlen(text));
}


static void
test_words(void)
{
    is_int(wscast_grant_op(s("subscribe")), WSCAST_MAY_SUBSCRIBE,
           "subscribe is a word");
    is_int(wscast_grant_op(s("publish")), WSCAST_MAY_PUBLISH,
           "publish is a word");
    is_int(wscast_grant_op(s("presence")), WSCAST_MAY_PRESENCE,
           "presence is a word");
    is_int(wscast_grant_op(s("history")), WSCAST_MAY_HISTORY,
           "history is a word");
    is_int(wscast_grant_op(s("all")), WSCAST_MAY_ALL, "all is all of them");
    is_int(wscast_grant_op(s("Publish")), 0, "words have one spelling");
    is_int(wscast_grant_op(s("publis")), 0, "a part of a word is none");
    is_int(wscast_grant_op(s("")), 0, "the empty word is none");
    is_int(wscast_grant_op(s("room:*")), 0, "a pattern is not a word");
}


static void
test_granted(void)
{
    wscast_grants_t  *g;
    char              rooms[] = "room:\1", mine[] = "user:*", empty[] = "";
    wscast_grant_t    list[] = {
        { WSCAST_MAY_SUBSCRIBE | WSCAST_MAY_HISTORY, s(rooms) },
        { WSCAST_MAY_PUBLISH, s("room:7") },
        { WSCAST_MAY_ALL, s(mine) },
        { WSCAST_MAY_ALL, s(empty) }
    };

    unit_alloc_reset(0);
    g = wscast_grants_create(list, 4);
    is_int(unit_calls, 1, "a list is one allocation");

    memset(rooms, '\1', sizeof(rooms) - 1);
    memset(mine, '\1', sizeof(mine) - 1);

    ok(wscast_granted(g, WSCAST_MAY_SUBSCRIBE, s("room:7")),
       "what a pattern matches may be done");
    ok(wscast_granted(g, WSCAST_MAY_HISTORY, s("room:8")),
       "each op of a grant may be done");
    ok(!wscast_granted(g, WSCAST_MAY_PRESENCE, s("room:7")),
       "another op may not");
    ok(!wscast_granted(g, WSCAST_MAY_SUBSCRIBE, s("news:7")),
       "nor on another channel");
    ok(wscast_granted(g, WSCAST_MAY_PUBLISH, s("room:7")),
       "a later grant counts too");
    ok(!wscast_granted(g, WSCAST_MAY_PUBLISH, s("room:8")),
       "an op is not granted because another one is");
    ok(!wscast_granted(g, WSCAST_MAY_PUBLISH | WSCAST_MAY_SUBSCRIBE,
                       s("room:7")),
       "two ops need one grant that has both");
    ok(wscast_granted(g, WSCAST_MAY_SUBSCRIBE | WSCAST_MAY_HISTORY,
                      s("room:7")),
       "and may be done with it");
    ok(wscast_granted(g, WSCAST_MAY_PUBLISH, s("user:*"))
       && !wscast_granted(g, WSCAST_MAY_PUBLISH, s("user:ann")),
       "a '*' out of a variable matches only itself");
    ok(!wscast_granted(g, 0, s("room:7")), "no op at all is not granted");

    wscast_grants_free(g);

    ok(!wscast_granted(NULL, WSCAST_MAY_SUBSCRIBE, s("room:7")),
       "NULL grants nothing");

    g = wscast_grants_create(NULL, 0);
    ok(g && !wscast_granted(g, WSCAST_MAY_SUBSCRIBE, s("room:7")),
       "an empty list grants nothing");
    wscast_grants_free(g);
    wscast_grants_free(NULL);

    unit_alloc_reset(1);
    ok(wscast_grants_create(list, 2) == NULL,
       "without memory there is no list");
    ok(wscast_grants_create(list, SIZE_MAX) == NULL,
       "an absurd number of grants is refused");
    is_int(unit_live, 0, "nothing is left allocated");
}


int
main(void)
{
    test_words();
    test_granted();

    return done();
}
