/* zone_check: what is not consistent in a zone is found, and named. */

/* libs: src/store/presence*.c */

#include "history_case.h"

#include "../../src/store/zone_check.c"


static wscast_presence_t  presence;


static int
says(const char *what)
{
    const char  *got;

    got = wscast_zone_wrong(&heap, &history, &presence);

    return strcmp(got ? got : "nothing", what) == 0;
}


static void
member(const char *client)
{
    wscast_join_t    j;
    wscast_joined_t  joined_as;

    memset(&j, 0, sizeof(j));
    j.channel = s("room");
    j.member.client = s(client);
    j.member.user = s("somebody");
    j.owner = 5;
    j.grace = 1000;

    wscast_heap_begin(&heap);

    if (wscast_presence_own(&presence, 5) != WSCAST_OK
        || wscast_presence_join(&presence, &j, &joined_as) != WSCAST_OK)
    {
        abort();
    }

    wscast_heap_commit(&heap);
}


/* A zone with something of everything; saved. */

static void
lived_in(void)
{
    unsigned  i;

    begin(SMALL);
    wscast_presence_init(&presence, &heap, 42);

    for (i = 0; i < 20; i++) {
        (void) publish_key(i % 2 ? "room" : "hall", i % 3 ? "" : "key", 5,
                           60000, s("a message"));
    }

    member("AAAAAAAAAAAAAAAA");
    member("BBBBBBBBBBBBBBBB");
    save();
}


static void
test_sound(void)
{
    begin(SMALL);
    wscast_presence_init(&presence, &heap, 42);
    ok(says("nothing"), "a zone in which nothing is is consistent");
    lived_in();
    ok(says("nothing"), "and one that is in use");
}


/* Words that must agree with something: the change of each is found. */

static void
test_harm(void)
{
    unsigned   i, named[3];
    uint64_t  *word;

    lived_in();
    memset(named, 0, sizeof(named));

    sh->nfree++;
    ok(says("the heap"), "a wrong count of the heap is found");
    restore();
    sh->resetting = 1;
    ok(says("the heap"), "and that somebody was about to forget it all");
    restore();

    for (i = 0; i < WSCAST_HEAP_ROOTS; i++) {
        word = wscast_heap_root(&heap, i);

        if (*word == 0) {
            continue;
        }

        (*word)++;
        named[0] += says("history");
        named[1] += says("presence");
        named[2] += says("nothing");
        restore();
    }

    ok(named[0] >= 3, "history: what its roots say is compared: %u", named[0]);
    ok(named[1] >= 3, "presence: the same: %u", named[1]);
    is_int(named[2], 0, "no root is left out");
    ok(says("nothing"), "at the end it is as it was");
}


/* Any link in the tables that leads elsewhere. */

static void
test_links(void)
{
    size_t     i, n, missed;
    uint32_t  *table;

    lived_in();
    n = missed = 0;
    table = wscast_heap_table(&heap, WSCAST_TABLE_HISTORY);

    for (i = 0; i < 2 * heap.ntable; i++) {
        if (table[i]) {
            table[i] = 0;
            missed += says("nothing");
            n++;
            restore();
        }
    }

    ok(n > 5, "there are links: %u", (unsigned) n);
    is_int(missed, 0, "whichever of them is lost, it is found");
}


int
main(void)
{
    test_sound();
    test_harm();
    test_links();

    is_int(unit_live, 0, "nothing private is left over");

    return done();
}
