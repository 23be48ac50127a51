/* presence: the contract, clause by clause. */

#include "../lib/unit.h"
#include "presence_case.h"


#define SIZE  WSCAST_HEAP_MIN
#define C     0                         /* a channel */
#define D     1


static wscast_joined_t  joined;
static unsigned char   *page;
static size_t           page_len;
static uint64_t         next, total;


static void
fresh(void)
{
    memset(unit_guard(SIZE), 0xee, SIZE);
    heap_fresh((wscast_heap_sh_t *) (void *) unit_guard(SIZE), SIZE);
}


static void
over(void)
{
    ok(wscast_presence_validate(&presence) && wscast_heap_validate(&heap),
       "(all lists and counts agree)");
}


static wscast_status_t
join_as(unsigned channel, unsigned client, unsigned former, unsigned user,
    unsigned info, unsigned owner, unsigned grace)
{
    case_join_t  d;

    d.channel = channel;
    d.client = client;
    d.former = former;
    d.user = user;
    d.info = info;
    d.owner = owner;
    d.grace = grace;

    return join(&d, &joined);
}


static wscast_status_t
enter(unsigned channel, unsigned client, unsigned former, unsigned user)
{
    return join_as(channel, client, former, user, client % 10, 1, 3000);
}


/* Who is on a page, as a text: "1 2 3"; a user's letter behind the number. */

static const char *
who(unsigned channel, uint64_t cursor, uint32_t limit, size_t bytes)
{
    size_t       at, n;
    uint32_t     user, info;
    static char  text[4096];

    text[0] = '\0';
    n = 0;

    if (wscast_presence_page(&presence, channel_name(channel), cursor, limit,
                             bytes, &page, &page_len, &next, &total)
        != WSCAST_OK)
    {
        return "failed";
    }

    for (at = 0; at < page_len && n < sizeof(text) - 20;
         at += 24 + user + info)
    {
        memcpy(&user, page + at + 16, 4);
        memcpy(&info, page + at + 20, 4);
        n += (size_t) snprintf(text + n, sizeof(text) - n, "%s%u%.*s",
                               n ? " " : "", client_number(page + at),
                               user ? 1 : 0, page + at + 24);
    }

    wscast_free(page);

    return text;
}


#define all(channel)  who(channel, 0, 1000, 100000)


static void
test_join(void)
{
    static char  zeros[WSCAST_CLIENT_ID];

    fresh();
    is_str(all(C), "", "on a channel of which nothing is known is nobody");
    is_int(total, 0, "that is, none");

    is_int(enter(C, 1, 0, 1), WSCAST_OK, "a connection becomes a member");
    ok(joined.joined == 1, "the others must be told");
    ok(client_number(joined.known) == 1, "it is known by its own id");
    is_mem(joined.replaced, WSCAST_CLIENT_ID, zeros, WSCAST_CLIENT_ID,
           "nobody was replaced");
    is_str(all(C), "1B", "it is on the page, with its user");

    words = 0;
    is_int(enter(C, 1, 0, 1), WSCAST_OK, "a repeated join succeeds");
    ok(joined.joined == 0 && client_number(joined.known) == 1,
       "it tells nobody, and the same id");
    is_int(words, 0, "and changes nothing");

    enter(C, 2, 0, 1);
    ok(joined.joined == 1, "a second connection of a user is a second member");
    enter(C, 3, 0, 0);
    enter(C, 4, 0, 0);
    enter(D, 1, 0, 2);
    ok(joined.joined == 1, "the same connection may be on several channels");
    is_str(all(C), "1B 2B 3 4", "members come in the order of joining");
    is_int(total, 4, "and are counted");
    is_str(all(D), "1C", "each channel has its own");

    over();
}


static void
test_repeat_changed(void)
{
    fresh();
    enter(C, 1, 0, 1);
    is_int(join_as(C, 1, 0, 1, 8, 2, 500), WSCAST_OK,
           "a repeat may have another info, owner and grace");
    ok(joined.joined == 0 && client_number(joined.replaced) == 0,
       "and is a repeat nevertheless");

    is_int(leave(C, 1, 1), WSCAST_MORE,
           "then it is the former owner's no more");
    lose(C, 1, 2, 1000);
    is_int(wscast_presence_next(&presence), 1500, "the new grace counts");
    join_as(C, 1, 0, 1, 8, 2, 500);
    ok(joined.joined == 0 && wscast_presence_next(&presence) == 0,
       "and who is lost and comes as the same connection is back");
    is_int(leave(C, 1, 2), WSCAST_OK, "as a member of its owner");
    ok(wscast_str_eq(gone.info, info_text(8)), "with the new info");

    over();
}


static void
test_come_back(void)
{
    fresh();
    enter(C, 1, 0, 1);
    enter(C, 2, 0, 2);
    is_int(lose(C, 1, 1, 1000), WSCAST_OK, "a connection ends");
    is_str(all(C), "1B 2C", "its member stays");

    join_as(C, 3, 0, 2, 3, 1, 3000);
    ok(joined.joined == 1, "another user does not take its place");
    join_as(C, 4, 0, 0, 4, 1, 3000);
    ok(joined.joined == 1, "nobody without a name does");
    join_as(D, 5, 0, 1, 5, 1, 3000);
    ok(joined.joined == 1, "nor does the same user on another channel");

    join_as(C, 6, 0, 1, 6, 2, 3000);
    ok(joined.joined == 0, "the same user takes it over unseen");
    ok(client_number(joined.known) == 1, "it is known as before");
    ok(client_number(joined.replaced) == 0, "there was nobody to replace");
    is_str(all(C), "1B 2C 3C 4", "at the same place");
    is_int(wscast_presence_next(&presence), 0, "nobody is lost any more");

    is_int(leave(C, 1, 1), WSCAST_MORE,
           "the old connection cannot take it away");
    is_int(lose(C, 1, 1, 1000), WSCAST_MORE, "nor lose it");
    is_int(leave(C, 6, 2), WSCAST_OK, "the new one can");
    ok(client_number(gone.known) == 1, "and it goes as who it was known for");
    ok(wscast_str_eq(gone.channel, channel_name(C))
       && wscast_str_eq(gone.user, user_name(1))
       && wscast_str_eq(gone.info, info_text(6)),
       "with channel, user, and the info of the newcomer");

    enter(C, 7, 0, 0);
    lose(C, 7, 1, 1000);
    enter(C, 8, 0, 0);
    ok(joined.joined == 1, "who has no name is not recognized by it");

    over();
}


static void
test_former(void)
{
    fresh();
    enter(C, 1, 0, 1);
    enter(C, 2, 0, 1);
    lose(C, 1, 1, 1000);
    lose(C, 2, 1, 1000);
    enter(C, 3, 1, 1);
    ok(joined.joined == 0 && client_number(joined.known) == 1,
       "of several lost members that of the former id is taken over");
    enter(C, 4, 1, 1);
    ok(joined.joined == 0 && client_number(joined.known) == 2,
       "a former id that is none now leaves the lost ones of the user");

    enter(C, 5, 3, 1);
    ok(joined.joined == 0 && client_number(joined.known) == 1,
       "a connection that still stands gives way to its own user");
    is_int(client_number(joined.replaced), 3, "and must be ended");
    is_int(leave(C, 3, 1), WSCAST_MORE, "it is no member any more");

    enter(C, 6, 5, 2);
    ok(joined.joined == 1 && client_number(joined.replaced) == 0,
       "it does not give way to another user");
    enter(C, 7, 5, 0);
    ok(joined.joined == 1, "nor to nobody");
    enter(C, 8, 7, 0);
    ok(joined.joined == 1 && client_number(joined.replaced) == 0,
       "a standing one without a user does not either");
    is_int(leave(C, 7, 1), WSCAST_OK, "(it goes)");

    lose(C, 8, 1, 1000);
    enter(C, 9, 8, 1);
    ok(joined.joined == 1, "a lost one without a user is not taken by a user");
    enter(C, 10, 8, 0);
    ok(joined.joined == 0 && client_number(joined.known) == 8,
       "but by nobody, who knows its id");

    lose(C, 6, 1, 1000);
    enter(C, 10, 6, 0);
    ok(joined.joined == 0 && client_number(joined.known) == 8,
       "a connection's own membership comes before its former id's");
    enter(D, 11, 1, 1);
    ok(joined.joined == 1, "a former id counts on its own channel only");

    over();
}


static void
test_leave(void)
{
    fresh();
    is_int(leave(C, 1, 1), WSCAST_MORE, "nobody leaves an unknown channel");
    enter(C, 1, 0, 1);
    enter(C, 2, 0, 0);
    is_int(leave(C, 3, 1), WSCAST_MORE, "who was no member does not leave");
    is_int(leave(C, 1, 2), WSCAST_MORE, "nor does another owner's");
    is_int(leave(D, 1, 1), WSCAST_MORE, "nor from another channel");
    is_int(leave(C, 0, 1), WSCAST_MORE, "no id is nobody's");
    is_int(leave(C, 1, 1), WSCAST_OK, "a member leaves");
    is_int(leave(C, 1, 1), WSCAST_MORE, "once");
    is_str(all(C), "2", "the others stay");
    lose(C, 2, 1, 1000);
    is_int(leave(C, 2, 1), WSCAST_MORE, "who is lost cannot leave");
    is_int(lose(C, 2, 1, 9000), WSCAST_MORE, "nor be lost again");
    is_int(wscast_presence_next(&presence), 4000, "its time stays");
    expire(4000);
    is_int(gone.user.len + gone.info.len, info_text(2).len,
           "an empty user is told as such");

    is_int(*wscast_heap_root(&heap, WSCAST_ROOT_USED), 1,
           "with the last member its channel goes: the owner is left");

    over();
}


static void
test_expire(void)
{
    fresh();
    is_int(wscast_presence_next(&presence), 0, "nobody is lost at first");
    is_int(expire(UINT64_MAX), WSCAST_MORE, "nobody expires");

    join_as(C, 1, 0, 1, 1, 1, 10000);
    join_as(C, 2, 0, 2, 2, 1, 500);
    join_as(D, 3, 0, 1, 3, 1, 500);
    join_as(C, 4, 0, 0, 4, 1, 0);
    lose(C, 1, 1, 1000);
    lose(D, 3, 1, 2000);
    lose(C, 2, 1, 1900);
    is_int(wscast_presence_next(&presence), 2400,
           "the next is who has the least time left, not who was lost first");
    is_int(expire(2399), WSCAST_MORE, "none expires before its time");
    is_int(expire(2400), WSCAST_OK, "it expires in time");
    is_int(client_number(gone.known), 2, "the right one");
    is_int(expire(2400), WSCAST_MORE, "one alone");
    lose(C, 4, 1, 2450);
    is_int(wscast_presence_next(&presence), 2450, "a grace of 0 is none");
    expire(99999);
    is_int(client_number(gone.known), 4, "late, they come in order");
    expire(99999);
    is_int(client_number(gone.known), 3, "the third");
    expire(99999);
    is_int(client_number(gone.known), 1, "and the last");
    is_int(wscast_presence_next(&presence), 0, "then nobody is lost");
    is_str(all(C), "", "or there");

    over();
}


static void
test_owners(void)
{
    unsigned         i;
    wscast_status_t  rc;

    fresh();
    is_int(wscast_presence_owner(&presence, 0), 0, "there are no owners");
    own(3);
    own(1);
    own(3);
    join_as(C, 1, 0, 1, 1, 2, 1000);
    is_int(wscast_presence_owner(&presence, 0), 1, "owners are listed");
    is_int(wscast_presence_owner(&presence, 1), 2, "who has members is one");
    is_int(wscast_presence_owner(&presence, 2), 3, "each once");
    is_int(wscast_presence_owner(&presence, 3), 0, "to the end");
    is_int(bury(1, 0, 1), WSCAST_OK, "an owner without members is forgotten");
    is_int(wscast_presence_owner(&presence, 1), 2,
           "the list goes on behind it");
    is_int(bury(1, 0, 1), WSCAST_OK, "unknown owners are forgotten already");

    for (i = 2; i < 30; i++) {
        join_as(C, i, 0, i % 4, 0, 2, 1000);
    }

    join_as(C, 30, 0, 1, 1, 3, 1000);
    is_int(bury(2, 5000, 3), WSCAST_MORE, "an owner is buried by and by");
    is_int(wscast_presence_owner(&presence, 1), 2, "it is known meanwhile");
    is_int(wscast_presence_next(&presence), 6000,
           "its members' grace begins now");

    words = 0;
    rc = bury(2, 5001, 1000);
    ok(rc == WSCAST_MORE && words <= WSCAST_JOURNAL,
       "it is not asked for more than a transaction holds (%u)", words);

    while (bury(2, 5002, 1000) == WSCAST_MORE) { /* void */ }

    is_int(wscast_presence_owner(&presence, 1), 3, "then it is forgotten");
    enter(C, 31, 5, 1);
    ok(joined.joined == 0 && client_number(joined.known) == 5,
       "its members can come back elsewhere");

    for (i = 0; expire(6002) == WSCAST_OK; i++) { /* void */ }

    is_int(i, 28, "or expire");
    is_str(all(C), "5B 30B", "the others' are not concerned");

    over();
}


static void
test_page(void)
{
    unsigned  i;
    uint64_t  cursor;

    fresh();

    for (i = 1; i <= 9; i++) {
        join_as(C, i, 0, 0, 0, 1, 1000);
    }

    is_str(who(C, 0, 4, 100000), "1 2 3 4", "a page has as many as asked for");
    ok(next != 0 && total == 9, "and says that there are more, and how many");
    cursor = next;
    is_str(who(C, cursor, 4, 100000), "5 6 7 8", "the next goes on behind it");
    is_str(who(C, next, 4, 100000), "9", "the last has the rest");
    is_int(next, 0, "and says that it is the last");
    is_str(who(C, 0, 9, 100000), "1 2 3 4 5 6 7 8 9", "all fit exactly");
    is_int(next, 0, "then there is no more");
    is_str(who(C, 0, 100, 1), "1", "however little bytes, one is told");
    is_str(who(C, next, 100, 49), "2 3 4", "as many as begin in the bytes");
    is_str(who(C, cursor, 100, 48), "5 6", "none once there are the bytes");
    is_str(who(C, 0, 0, 100), "", "none are asked for, none come");
    ok(total == 9 && next == 0, "but their number");

    leave(C, 4, 1);
    is_str(who(C, cursor, 2, 100000), "5 6",
           "who was last on the page before may be gone");
    leave(C, 5, 1);
    leave(C, 3, 1);
    is_str(who(C, cursor, 2, 100000), "6 7", "and his neighbours");
    is_str(who(C, 1ull << 40, 2, 100000), "", "beyond the last is nobody");
    is_int(next, 0, "nor is there more");

    who(C, cursor, 3, 100000);
    leave(C, 9, 1);
    is_str(who(C, next, 2, 100000), "", "all that were behind may be gone");
    is_int(total, 5, "which is no damage");

    lose(C, 6, 1, 1000);
    is_str(who(C, cursor, 2, 100000), "6 7", "who is lost is there");

    for (i = 1; i <= 9; i++) {
        leave(C, i, 1);
    }

    expire(UINT64_MAX);
    enter(C, 10, 0, 1);
    is_str(who(C, cursor, 2, 100000), "10B",
           "a channel that was empty goes on with its cursors");

    over();
}


/* Gaps larger than what is looked at near the cursor. */

static void
test_page_gap(void)
{
    unsigned  i, n;
    uint64_t  cursor[2];

    fresh();

    for (i = 1; i <= 100; i++) {
        join_as(C, i, 0, 0, 0, 1, 1000);
    }

    who(C, 0, 46, 100000);
    cursor[0] = next;
    who(C, 0, 80, 100000);
    cursor[1] = next;

    for (i = 4; i <= 94; i++) {
        leave(C, i, 1);
    }

    for (n = 0; n < 2; n++) {
        is_str(who(C, cursor[n], 2, 100000), "95 96",
               "a page begins behind a large gap");
        is_str(who(C, next, 5, 100000), "97 98 99 100", "and goes on");
    }

    over();
}


static void
test_too_long(void)
{
    wscast_join_t         j;
    static unsigned char  text[WSCAST_MEMBER_MAX + 1];
    static char           name[WSCAST_MEMBER_CHANNEL + 1];

    fresh();
    memset(&j, 0, sizeof(wscast_join_t));
    memset(text, 'x', sizeof(text));
    memset(name, 'n', sizeof(name));
    j.owner = 1;
    j.channel = wscast_str("c", 1);
    j.member.client = client_id(1);
    j.member.user = j.member.info = wscast_str(text, WSCAST_MEMBER_MAX);

    wscast_heap_begin(&heap);
    is_int(wscast_presence_join(&presence, &j, &joined), WSCAST_OK,
           "user and info may be as long as they may");
    end(WSCAST_OK);

    wscast_heap_begin(&heap);
    j.member.client = client_id(2);
    j.member.user.len++;
    is_int(wscast_presence_join(&presence, &j, &joined), WSCAST_NOMEM,
           "a longer user is refused");
    j.member.user.len = 0;
    j.member.info.len++;
    is_int(wscast_presence_join(&presence, &j, &joined), WSCAST_NOMEM,
           "a longer info");
    j.member.info.len = 0;
    j.channel = wscast_str(name, sizeof(name));
    is_int(wscast_presence_join(&presence, &j, &joined), WSCAST_NOMEM,
           "a longer channel");
    j.channel = wscast_str("c", 1);
    j.member.client.len--;
    is_int(wscast_presence_join(&presence, &j, &joined), WSCAST_NOMEM,
           "an id that is none");
    is_int(heap.sh->count, 0, "and nothing is changed");
    j.member.client.len++;
    j.former = wscast_str("short", 5);
    is_int(wscast_presence_join(&presence, &j, &joined), WSCAST_OK,
           "a former id that is none is nobody's");
    end(WSCAST_OK);

    over();
}


int
main(void)
{
    test_join();
    test_repeat_changed();
    test_come_back();
    test_former();
    test_leave();
    test_expire();
    test_owners();
    test_page();
    test_page_gap();
    test_too_long();

    wscast_free(gone.data);
    is_int(unit_live, 0, "nothing private is left over");

    return done();
}
