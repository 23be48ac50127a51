/* base/publication: one allocation, and frames that die with it. */

#include "../lib/unit.h"
#include "../../src/base/prepared.c"
#include "../../src/base/publication.c"


static int
same(wscast_str_t s, const char *text)
{
    return wscast_str_eq(s, wscast_str(text, strlen(text)));
}


int
main(void)
{
    unsigned               i;
    char                   text[] = "room:7|c1|ann|c2|{\"a\":1}|hello|key";
    wscast_builder_t       b;
    wscast_pub_fields_t    f;
    wscast_publication_t  *p;

    memset(&f, 0, sizeof(f));
    f.kind = WSCAST_PUB_MESSAGE;
    f.flags = WSCAST_PUB_POSITION;
    f.time = 1;
    f.epoch = 2;
    f.offset = 3;
    f.channel = wscast_str(text, 6);
    f.client = wscast_str(text + 7, 2);
    f.user = wscast_str(text + 10, 3);
    f.exclude = wscast_str(text + 14, 2);
    f.info = wscast_str(text + 17, 7);
    f.data = wscast_str(text + 25, 5);
    f.key = wscast_str(text + 31, 3);

    unit_alloc_reset(0);
    p = wscast_publication_create(&f);
    is_int(unit_calls, 1, "a publication is one allocation");

    memset(text, '#', sizeof(text));

    ok(same(p->f.channel, "room:7"), "channel is copied");
    ok(same(p->f.client, "c1"), "client is copied");
    ok(same(p->f.user, "ann"), "user is copied");
    ok(same(p->f.exclude, "c2"), "exclude is copied");
    ok(same(p->f.info, "{\"a\":1}"), "info is copied");
    ok(same(p->f.data, "hello"), "data is copied");
    ok(same(p->f.key, "key"), "key is copied");
    ok(p->f.kind == f.kind && p->f.flags == f.flags && p->f.time == 1
       && p->f.epoch == 2 && p->f.offset == 3, "numbers are copied");

    for (i = 0; i < WSCAST_VARIANTS; i++) {
        ok(p->prepared[i] == NULL, "variant %u is not prepared yet", i);

        wscast_builder_init(&b, 0);
        p->prepared[i] = wscast_builder_finish(&b, (unsigned char *) "h", 1);
    }

    wscast_publication_ref(p);
    wscast_publication_release(p);
    is_int(unit_live, 1 + WSCAST_VARIANTS,
           "a publication lives while somebody holds it");

    wscast_prepared_ref(p->prepared[0]);
    {
        wscast_prepared_t  *frame = p->prepared[0];

        wscast_publication_release(p);
        is_int(unit_live, 1, "the last release leaves only the frame that "
               "somebody queued");
        wscast_prepared_release(frame);
    }

    is_int(unit_live, 0, "nothing is left allocated");

    memset(&f, 0, sizeof(f));
    p = wscast_publication_create(&f);
    ok(p && p->f.data.len == 0 && p->f.channel.len == 0,
       "all strings may be empty");
    wscast_publication_release(p);
    wscast_publication_release(NULL);

    unit_alloc_reset(1);
    ok(wscast_publication_create(&f) == NULL, "without memory there is none");
    is_int(unit_live, 0, "and nothing leaks");

    return done();
}
