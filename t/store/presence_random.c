/* presence: long random lives against the model, and great numbers. */

#include "../lib/unit.h"
#include "presence_model.h"


#define SMALL    WSCAST_HEAP_MIN
#define LARGE    (8 * 1024 * 1024)
#define MANY     10000
#define PAGE     100


static wscast_heap_sh_t  *large;
static unsigned long      steps;        /* stores into the heap */


static void
count_step(void)
{
    steps++;
}


static const char *
deed(uint64_t now, unsigned clients, unsigned users)
{
    case_join_t      d;
    unsigned         what;
    model_member_t  *m;

    d.channel = (unsigned) unit_below(CASE_CHANNELS);
    d.client = (unsigned) unit_below(clients) + 1;
    d.owner = (unsigned) unit_below(MODEL_OWNERS) + 1;
    what = (unsigned) unit_below(100);

    /* mostly of somebody who is there */

    m = nmodel && unit_below(4) ? &model[unit_below(nmodel)] : NULL;

    if (what < 40) {
        d.former = unit_below(3) ? 0 : m ? m->client
                                         : (unsigned) unit_below(clients);
        d.user = (unsigned) unit_below(users);
        d.info = (unsigned) unit_below(60);
        d.grace = (unsigned) unit_below(3) * 700;
        return do_join(&d);
    }

    if (m) {
        d.channel = m->channel;
        d.client = m->client;
        d.owner = m->owner;
    }

    if (what < 55) {
        return do_leave(d.channel, d.client, d.owner);
    }

    if (what < 75) {
        return do_lose(d.channel, d.client, d.owner, now);
    }

    if (what < 90) {
        return do_expire(now);
    }

    if (what < 95) {
        return do_page((unsigned) unit_below(CASE_CHANNELS),
                       (uint32_t) unit_below(10) + 1, unit_below(2000));
    }

    d.owner = (unsigned) unit_below(MODEL_OWNERS) + 1;

    return what < 97 ? do_own(d.owner)
           : unit_below(8) ? NULL : do_bury(d.owner, now);
}


static void
test_random(unsigned clients, unsigned users, const char *how)
{
    unsigned     i, most;
    uint64_t     now;
    const char  *why;

    model_fresh((wscast_heap_sh_t *) (void *) unit_guard(SMALL), SMALL);
    words = 0;
    refused = 0;
    most = 0;
    now = 1000;
    why = NULL;

    for (i = 0; i < 60000 && !why; i++) {
        now += unit_below(40);
        why = deed(now, clients, users);
        most = nmodel > most ? nmodel : most;

        if (!why && i % 25 == 0) {
            why = model_compare();
        }

        if (!why && i % 500 == 0 && !wscast_heap_validate(&heap)) {
            why = "the heap";
        }
    }

    if (why) {
        note("deed %u: %s", i, why);
    }

    ok(why == NULL, "60000 random deeds do what the model does: %s, up to %u "
       "members, %u joins refused", how, most, refused);
    ok(words && words < WSCAST_JOURNAL / 3,
       "none changes more than a part of the journal (%u words)", words);
}


/* One of a crowd: its user is told by its number. */

static wscast_status_t
join_crowd(unsigned client, unsigned user, wscast_joined_t *out)
{
    char             name[32];
    wscast_join_t    j;
    wscast_status_t  rc;

    snprintf(name, sizeof(name), "user%05u", user);

    memset(&j, 0, sizeof(wscast_join_t));
    j.channel = channel_name(1);
    j.member.client = client_id(client);
    j.member.user = wscast_str(name, strlen(name));
    j.member.info = info_text(1);
    j.owner = 1;
    j.grace = 3000;

    wscast_heap_begin(&heap);
    rc = wscast_presence_join(&presence, &j, out);
    end(rc);

    return rc;
}


static const char *
crowd(unsigned n, unsigned users, unsigned long *most_steps,
    unsigned long *most_looked)
{
    unsigned         i;
    wscast_joined_t  out;

    *most_steps = *most_looked = 0;

    for (i = 1; i <= n; i++) {
        steps = looked = 0;

        if (join_crowd(i, i % users, &out) != WSCAST_OK || !out.joined) {
            return "it does not join";
        }

        *most_steps = steps > *most_steps ? steps : *most_steps;
        *most_looked = looked > *most_looked ? looked : *most_looked;
    }

    return NULL;
}


/* A hundred of the lost come back, and are lost again. */

static void
test_back(unsigned users)
{
    unsigned         i, bad;
    unsigned long    most;
    wscast_joined_t  out;

    most = 0;
    bad = 0;

    for (i = 1; i <= MANY; i += MANY / 100) {
        looked = 0;
        bad += join_crowd(MANY + i, i % users, &out) != WSCAST_OK
               || out.joined
               || (users == MANY && client_number(out.known) != i);
        most = looked > most ? looked : most;
        lose(1, MANY + i, 1, 2 * MANY);
    }

    ok(bad == 0 && most < 60, "each is found among them (%lu)", most);
}


static void
pages(unsigned long *most)
{
    size_t          len;
    uint64_t        next, total;
    unsigned        n, found;
    unsigned char  *out;

    next = 0;
    n = found = 0;
    *most = 0;

    do {
        looked = 0;

        if (wscast_presence_page(&presence, channel_name(1), next, PAGE,
                                 1 << 20, &out, &len, &next, &total)
            != WSCAST_OK)
        {
            break;
        }

        found += len / (24 + 9 + info_text(1).len);
        *most = looked > *most ? looked : *most;
        wscast_free(out);
        n++;
    } while (next && n < 2 * MANY / PAGE);

    is_int(n, MANY / PAGE, "they come in pages of %u", PAGE);
    ok(found == MANY && total == MANY, "of all of them");
}


static void
test_many(unsigned users, const char *how)
{
    unsigned       i, bad;
    unsigned long  few_steps, few_looked, most_steps, most_looked;
    const char    *why;

    heap_fresh(large, LARGE);
    crowd(100, users, &few_steps, &few_looked);
    heap_fresh(large, LARGE);
    why = crowd(MANY, users, &most_steps, &most_looked);

    ok(why == NULL, "%u members join, %s", MANY, how);
    ok(most_steps <= few_steps + 20,
       "the last costs as many stores as the first (%lu, %lu)", most_steps,
       few_steps);
    ok(most_looked <= few_looked + 20,
       "and looks at hardly more (%lu, %lu)", most_looked, few_looked);

    pages(&most_looked);
    ok(most_looked < 5 * PAGE, "each page looks at its members alone (%lu)",
       most_looked);

    most_looked = 0;
    bad = 0;

    for (i = 0; i < MANY; i++) {
        looked = 0;
        bad += lose(1, (i * 7919) % MANY + 1, 1, 1000 + i) != WSCAST_OK;
        most_looked = looked > most_looked ? looked : most_looked;
    }

    ok(bad == 0 && most_looked < 50, "they are lost at a constant cost (%lu)",
       most_looked);

    test_back(users);
    most_looked = 0;

    for (i = 0; i < MANY; i++) {
        looked = 0;
        bad += expire(99999999) != WSCAST_OK;
        most_looked = looked > most_looked ? looked : most_looked;
    }

    ok(bad == 0 && most_looked < 60, "and expire at one (%lu)", most_looked);
    ok(wscast_presence_validate(&presence) && wscast_heap_validate(&heap),
       "(all lists and counts agree)");
}


/* Graces of many kinds, lost one after the other. */

static void
test_graces(void)
{
    unsigned         i;
    unsigned long    most;
    case_join_t      d;
    wscast_joined_t  out;

    heap_fresh(large, LARGE);
    memset(&d, 0, sizeof(case_join_t));
    d.owner = 1;
    most = 0;

    for (i = 1; i <= 2000; i++) {
        d.client = i;
        d.grace = i % 2 ? 60000 : 500;
        join(&d, &out);
    }

    for (i = 1; i <= 2000; i++) {
        looked = 0;
        lose(0, i, 1, 1000 + i);
        most = looked > most ? looked : most;
    }

    ok(most < 50, "who has another grace is not walked past (%lu)", most);
    is_int(wscast_presence_next(&presence), 1502, "the next is the shortest");
}


static void
test_full(void)
{
    unsigned         i, n;
    case_join_t      d;
    wscast_joined_t  out;
    wscast_status_t  rc;

    heap_fresh((wscast_heap_sh_t *) (void *) unit_guard(SMALL), SMALL);
    memset(&d, 0, sizeof(case_join_t));
    d.owner = 1;
    d.user = 1;
    d.grace = 500;
    rc = WSCAST_OK;

    for (n = 0; rc == WSCAST_OK; n++) {
        d.client = n + 1;
        rc = join(&d, &out);
    }

    n--;
    is_int(rc, WSCAST_NOMEM, "in the end there is no room for a member");
    ok(n > 50, "(after %u)", n);

    i = (unsigned) *wscast_heap_root(&heap, WSCAST_ROOT_USED);
    ok(i <= wscast_heap_total(&heap) / 2
       && i + 2 > wscast_heap_total(&heap) / 2,
       "members take half of the heap (%u of %u)", i,
       wscast_heap_total(&heap));
    is_int(own(2), i == wscast_heap_total(&heap) / 2 ? WSCAST_NOMEM
           : WSCAST_OK, "an owner is refused when it is exactly full");
    ok(wscast_presence_validate(&presence) && wscast_heap_validate(&heap),
       "a refusal changes nothing");

    d.client = 1;
    ok(join(&d, &out) == WSCAST_OK && !out.joined, "a repeat needs no room");
    d.client = n + 1;
    d.former = 1;
    ok(join(&d, &out) == WSCAST_OK && !out.joined,
       "nor does a member's new connection");
    d.former = 0;
    d.user = 0;
    leave(0, 2, 1);
    d.client = n + 2;
    ok(join(&d, &out) == WSCAST_OK && out.joined,
       "who leaves makes room for another");

    /* the other half is history's */

    heap_fresh((wscast_heap_sh_t *) (void *) unit_guard(SMALL), SMALL);
    wscast_heap_begin(&heap);

    while (wscast_heap_free_blocks(&heap) > 3) {
        wscast_heap_alloc(&heap, 1);
        wscast_heap_commit(&heap);
        wscast_heap_begin(&heap);
    }

    wscast_heap_commit(&heap);
    is_int(join(&d, &out), WSCAST_NOMEM, "history can leave no room, too");
    is_int(wscast_heap_free_blocks(&heap), 3, "then nothing is taken");
}


int
main(void)
{
    void  *p;

    if (posix_memalign(&p, 64, LARGE) != 0) {
        abort();
    }

    large = p;
    memset(large, 0, sizeof(wscast_heap_sh_t));

    test_random(20, CASE_USERS, "few ids");
    test_random(400, 2, "many ids, a full heap");
    test_random(60, 1, "all anonymous");

    wscast_heap_hook = count_step;
    test_many(MANY, "each another user");
    test_many(3, "of three users");
    wscast_heap_hook = NULL;
    test_graces();
    test_full();

    free(large);
    wscast_free(gone.data);
    is_int(unit_live, 0, "nothing private is left over");

    return done();
}
