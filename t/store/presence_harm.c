/*
 * presence: whoever works on it is killed at each step; its memory is damaged;
 * and private memory runs out.
 */

#include "../lib/unit.h"
#include "presence_case.h"

#include <setjmp.h>


#define SIZE  WSCAST_HEAP_MIN


typedef struct {
    const char        *name;
    wscast_status_t  (*act)(void);
} deed_t;


static jmp_buf            killed;
static volatile unsigned  steps_left;
static unsigned char      image[SIZE];      /* before the deed */
static unsigned char     *before, *after;   /* what there was to see */
static size_t             before_len, after_len;
static wscast_heap_sh_t  *sh;


/* A process that dies leaves its stores behind, and nothing else. */

static void
die(void)
{
    if (--steps_left == 0) {
        longjmp(killed, 1);
    }
}


/* All that can be seen of it; *len 0 if that is not whole. */

static unsigned char *
see(size_t *len)
{
    size_t                n, size;
    uint64_t              next, total, owner;
    unsigned              i;
    unsigned char        *out, *all, *more;
    wscast_member_sh_t   *m;
    wscast_cell_t         c, cell;

    all = malloc(1 << 20);
    n = 0;

    if (all == NULL || !wscast_presence_validate(&presence)
        || !wscast_heap_validate(&heap))
    {
        *len = 0;
        return all;
    }

    for (i = 0; i < CASE_CHANNELS; i++) {
        wscast_presence_page(&presence, channel_name(i), 0, 1000, 1 << 19,
                             &out, &size, &next, &total);
        more = all + n;

        if (out) {
            memcpy(more, out, size);
            wscast_free(out);
        }

        n += size;

        if (wscast_presence_find_channel(&presence, channel_name(i), &c)
            != WSCAST_OK)
        {
            continue;
        }

        cell = wscast_presence_channel(&presence, c)->members.first;

        for ( ; cell; cell = m->lists[WSCAST_IN_CHANNEL].next) {
            m = wscast_presence_member(&presence, cell);
            memcpy(all + n, m->client, sizeof(m->client));
            n += sizeof(m->client);
            all[n++] = m->owner != 0;
        }
    }

    for (owner = 0; (owner = wscast_presence_owner(&presence, owner)); ) {
        all[n++] = (unsigned char) owner;
    }

    next = wscast_presence_next(&presence);
    memcpy(all + n, &next, 8);
    *len = n + 8;

    return all;
}


static wscast_status_t
join_one(unsigned channel, unsigned client, unsigned former, unsigned user,
    unsigned info, unsigned owner, unsigned grace)
{
    case_join_t      d = { channel, client, former, user, info, owner, grace };
    wscast_joined_t  out;

    return join(&d, &out);
}


/* Members standing and lost, of two owners, with two graces. */

static void
populate(void)
{
    unsigned  i;

    for (i = 1; i <= 12; i++) {
        join_one(i % 3, i, 0, i % 4, i % 5, i % 2 + 1, i % 2 * 500);
    }

    for (i = 1; i <= 5; i++) {
        lose(i % 3, i, i % 2 + 1, 1000 + i);
    }
}


static wscast_status_t
act_join(void)
{
    return join_one(1, 40, 0, 1, 3, 1, 0);
}


static wscast_status_t
act_join_all_new(void)
{
    return join_one(3, 41, 0, 3, 59, 4, 9000);
}


static wscast_status_t
act_repeat(void)
{
    return join_one(1, 7, 0, 3, 2, 2, 500);
}


static wscast_status_t
act_back_by_user(void)
{
    return join_one(1, 42, 0, 1, 58, 3, 7000);
}


static wscast_status_t
act_back_by_former(void)
{
    return join_one(1, 43, 4, 0, 4, 1, 0);
}


static wscast_status_t
act_replace(void)
{
    return join_one(1, 44, 10, 2, 57, 2, 500);
}


static wscast_status_t
act_leave(void)
{
    return leave(0, 9, 2);
}


static wscast_status_t
act_leave_last(void)
{
    wscast_status_t  rc;

    rc = join_one(3, 41, 0, 3, 59, 1, 9000);

    return rc == WSCAST_OK ? leave(3, 41, 1) : rc;
}


static wscast_status_t
act_lose(void)
{
    return lose(0, 9, 2, 1001);
}


static wscast_status_t
act_expire(void)
{
    return expire(99999);
}


static wscast_status_t
act_own(void)
{
    return own(4);
}


static wscast_status_t
act_bury(void)
{
    return bury(1, 2000, 100);
}


static wscast_status_t
act_bury_some(void)
{
    return bury(1, 2000, 2) == WSCAST_MORE ? WSCAST_OK : WSCAST_ERROR;
}


static const deed_t  deeds[] = {
    { "joining", act_join },
    { "joining with all things new", act_join_all_new },
    { "repeating", act_repeat },
    { "coming back by the user", act_back_by_user },
    { "coming back by the former id", act_back_by_former },
    { "replacing a standing connection", act_replace },
    { "leaving", act_leave },
    { "joining and leaving as the last", act_leave_last },
    { "being lost", act_lose },
    { "expiring", act_expire },
    { "becoming an owner", act_own },
    { "burying an owner", act_bury },
    { "burying a part of one", act_bury_some }
};


/* 1 if it died. */

static int
attempt(const deed_t *deed, unsigned at)
{
    memcpy(sh, image, SIZE);
    heap.open = heap.failed = 0;
    steps_left = at;

    if (setjmp(killed)) {
        wscast_heap_hook = NULL;
        return 1;
    }

    wscast_heap_hook = die;
    (void) deed->act();
    wscast_heap_hook = NULL;

    return 0;
}


static void
test_killed(const deed_t *deed)
{
    size_t          len;
    unsigned        at, bad, as_before, whole;
    unsigned char  *now;

    heap_fresh(sh, SIZE);
    populate();
    memcpy(image, sh, SIZE);
    before = see(&before_len);
    words = 0;
    at = deed->act() == WSCAST_OK;
    ok(at && words <= (deed->act == act_bury ? 200 : 60),
       "%s: succeeds, and changes no more than %u words", deed->name, words);
    after = see(&after_len);
    bad = as_before = 0;

    for (at = 1; attempt(deed, at); at++) {
        wscast_heap_recover(&heap, 0);
        now = see(&len);

        as_before += len == before_len && memcmp(now, before, len) == 0;
        whole = len && (deed->act == act_leave_last
                        || (len == before_len && memcmp(now, before, len) == 0)
                        || (len == after_len && memcmp(now, after, len) == 0));

        if (!whole && bad++ == 0) {
            note("killed at step %u of %s", at, deed->name);
        }

        free(now);

        /* and it can be done then */

        if (deed->act() != WSCAST_OK && deed->act != act_bury
            && deed->act != act_expire && bad++ == 0)
        {
            note("after step %u %s is impossible", at, deed->name);
        }
    }

    is_int(bad, 0, "%s: killed at any of %u steps it is whole or has not been",
           deed->name, at - 1);
    ok(as_before == at - 1 || deed->act == act_leave_last,
       "as long as it has not ended it has not been");

    free(before);
    free(after);
}


/* Whatever the bytes: no step out of the memory, no end of the waiting. */

static unsigned
abuse(void)
{
    size_t          len;
    uint64_t        next, total;
    unsigned        i, errors;
    unsigned char  *out;

    errors = 0;

    for (i = 0; i < 3; i++) {
        errors += join_one(i, 40 + i, i + 3, i, i, 2, i * 250) == WSCAST_ERROR;
        errors += join_one(i, i + 1, 0, i, i, 1, 500) == WSCAST_ERROR;
        errors += lose(i, i + 6, i % 2 + 1, 2000) == WSCAST_ERROR;
        errors += leave(i, i + 9, (i + 1) % 2 + 1) == WSCAST_ERROR;
        errors += expire(i * 1000) == WSCAST_ERROR;
        errors += bury(i + 1, 3000, 2) == WSCAST_ERROR;
        errors += own(i + 5) == WSCAST_ERROR;
        errors += wscast_presence_page(&presence, channel_name(i), i * 2, 5,
                                       2000, &out, &len, &next, &total)
                  == WSCAST_ERROR;
        wscast_free(out);
        (void) wscast_presence_next(&presence);
        (void) wscast_presence_owner(&presence, i);
    }

    return errors;
}


static void
test_damaged(void)
{
    size_t    at, used;
    unsigned  i, bits, noticed;

    heap_fresh(sh, SIZE);
    populate();
    memcpy(image, sh, SIZE);
    used = (size_t) (heap.blocks - (unsigned char *) sh)
           + sh->fresh * WSCAST_BLOCK;
    noticed = 0;

    for (i = 0; i < 30000; i++) {
        memcpy(sh, image, SIZE);
        heap.open = heap.failed = 0;

        for (bits = 1 + (unsigned) unit_below(4); bits; bits--) {
            at = offsetof(wscast_heap_sh_t, roots);
            at += unit_below(used - at);

            if (i & 1) {
                at = (size_t) (heap.blocks - (unsigned char *) sh)
                     + unit_below(used - (size_t) (heap.blocks
                                                   - (unsigned char *) sh));
            }

            ((unsigned char *) sh)[at] = i & 2 ? (unsigned char) unit_random()
                   : ((unsigned char *) sh)[at] ^ 1 << unit_below(8);
        }

        noticed += abuse() > 0;
        (void) wscast_presence_validate(&presence);
    }

    ok(noticed > 5000, "damage is noticed (%u times of %u)", noticed, i);

    /* cells that exist, in the wrong place */

    noticed = 0;

    for (i = 0; i < 30000; i++) {
        memcpy(sh, image, SIZE);
        heap.open = heap.failed = 0;

        at = 1 + unit_below(sh->fresh - 1);
        at = at * WSCAST_BLOCK + 4 * unit_below(WSCAST_BLOCK / 4);
        *(uint32_t *) (void *) (heap.blocks + at)
            = (uint32_t) unit_below(sh->fresh + 1);

        noticed += abuse() > 0;
        (void) wscast_presence_validate(&presence);
    }

    ok(noticed > 3000, "so are wrong links (%u times of %u)", noticed, i);

    wscast_heap_reset(&heap);
    ok(join_one(1, 1, 0, 1, 1, 1, 1) == WSCAST_OK
       && wscast_presence_validate(&presence),
       "after a reset it can be used again");
}


static void
test_due(void)
{
    heap_fresh(sh, SIZE);
    populate();
    ok(wscast_presence_next(&presence) > 1, "(somebody is lost)");
    *wscast_heap_root(&heap, WSCAST_ROOT_GRACES) = heap.nblocks;
    is_int(wscast_presence_next(&presence), 1, "damage is due at once");
    is_int(expire(1), WSCAST_ERROR, "and found by who looks for what is due");
}


static void
test_no_memory(void)
{
    size_t          len;
    uint64_t        next, total;
    unsigned        n;
    unsigned char  *out;
    wscast_status_t rc;

    heap_fresh(sh, SIZE);
    populate();
    wscast_free(gone.data);
    memset(&gone, 0, sizeof(wscast_gone_t));

    unit_alloc_reset(1);
    is_int(leave(0, 9, 2), WSCAST_NOMEM, "leaving needs memory to be told");
    unit_alloc_reset(1);
    is_int(expire(99999), WSCAST_NOMEM, "as expiring does");
    unit_alloc_reset(0);
    is_int(leave(0, 9, 2), WSCAST_OK, "then both can be done later");
    is_int(expire(99999), WSCAST_OK, "one after the other");

    for (n = 0; n < 30; n++) {
        join_one(3, 100 + n, 0, 3, 0, 1, 0);
    }

    for (n = 1; n < 20; n++) {
        unit_alloc_reset(n);
        rc = wscast_presence_page(&presence, channel_name(3), 0, 100, 1 << 20,
                                  &out, &len, &next, &total);
        unit_fail_at = 0;

        if (rc == WSCAST_OK) {
            wscast_free(out);
            break;
        }

        if (rc != WSCAST_NOMEM || out || len || next) {
            n = 20;
        }
    }

    ok(n > 2 && n < 20, "a page fails with any of its %u allocations", n - 1);
    unit_alloc_reset(0);
}


int
main(void)
{
    unsigned  i;

    alarm(120);

    sh = (wscast_heap_sh_t *) (void *) unit_guard(SIZE);
    memset(sh, 0, SIZE);

    for (i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
        test_killed(&deeds[i]);
    }

    test_damaged();
    test_due();
    test_no_memory();

    wscast_free(gone.data);
    is_int(unit_live, 0, "nothing private is left over");

    return done();
}
