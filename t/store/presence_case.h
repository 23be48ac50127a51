/*
 * presence_case.h: presence on a heap, its operations each in a transaction,
 * and names by number.
 *
 * Audience: t/store/presence*.c, after unit.h, and the fuzz target.
 */

#ifndef WSCAST_T_PRESENCE_CASE_H
#define WSCAST_T_PRESENCE_CASE_H


#include "../../src/base/map.c"
#include "../../src/store/heap.c"
#include "../../src/store/heap_blocks.c"


static unsigned long  looked;           /* objects that were looked at */

#define wscast_heap_at(h, cell)  (looked++, wscast_heap_at(h, cell))

#include "../../src/store/presence.c"
#include "../../src/store/presence_join.c"
#include "../../src/store/presence_link.c"
#include "../../src/store/presence_page.c"
#include "../../src/store/presence_check.c"

#include <stdio.h>


#define CASE_CHANNELS  4
#define CASE_USERS     4                /* the first is anonymous */
#define CASE_TEXT      700              /* bytes of an info, at most */
#define CASE_UNUSED    __attribute__((unused))


typedef struct {
    unsigned         channel;
    unsigned         client;
    unsigned         former;            /* 0: none */
    unsigned         user;
    unsigned         info;
    unsigned         owner;
    unsigned         grace;
} case_join_t;


static wscast_heap_t       heap;
static wscast_presence_t   presence;
static wscast_gone_t       gone;
static unsigned            words;       /* of the journal, most so far */


/* The n-th name of a kind; views of static memory. */

static wscast_str_t
client_id(unsigned n)
{
    static char  ids[8][WSCAST_CLIENT_ID + 1];
    static int   i;

    if (n == 0) {
        return wscast_str(NULL, 0);
    }

    i = (i + 1) % 8;
    snprintf(ids[i], sizeof(ids[i]), "client%010u", n);

    return wscast_str(ids[i], WSCAST_CLIENT_ID);
}


static wscast_str_t
channel_name(unsigned n)
{
    static char      name[200];
    static unsigned  len[CASE_CHANNELS] = { 1, 199, 7, 50 };

    memset(name, 'a' + (int) n, sizeof(name));

    return wscast_str(name, len[n % CASE_CHANNELS]);
}


static wscast_str_t
user_name(unsigned n)
{
    static char      name[200];
    static unsigned  len[CASE_USERS] = { 0, 5, 5, 130 };

    memset(name, 'A' + (int) n, sizeof(name));

    return n == 0 ? wscast_str(NULL, 0) : wscast_str(name, len[n]);
}


static wscast_str_t
info_text(unsigned n)
{
    static char  text[CASE_TEXT];

    memset(text, '0' + (int) n % 10, sizeof(text));

    return n == 0 ? wscast_str(NULL, 0)
                  : wscast_str(text, n * 97 % CASE_TEXT);
}


static void
heap_fresh(wscast_heap_sh_t *sh, size_t size)
{
    wscast_heap_format(sh, size);

    if (wscast_heap_open(&heap, sh, size) != WSCAST_OK) {
        abort();
    }

    wscast_presence_init(&presence, &heap, 7);
}


/* Ends a transaction as a caller would. */

static void
end(wscast_status_t rc)
{
    if (heap.sh->count > words) {
        words = (unsigned) heap.sh->count;
    }

    if ((rc == WSCAST_OK || rc == WSCAST_MORE) && !wscast_heap_failed(&heap)) {
        wscast_heap_commit(&heap);

    } else {
        wscast_heap_abort(&heap);
    }
}


/* The number of a client's id; 0: it is none. */

CASE_UNUSED static unsigned
client_number(const void *id)
{
    unsigned  n;
    char      text[WSCAST_CLIENT_ID + 1];

    memcpy(text, id, WSCAST_CLIENT_ID);
    text[WSCAST_CLIENT_ID] = '\0';

    return sscanf(text, "client%10u", &n) == 1 ? n : 0;
}


CASE_UNUSED static wscast_status_t
join(const case_join_t *d, wscast_joined_t *out)
{
    wscast_join_t    j;
    wscast_status_t  rc;

    memset(&j, 0, sizeof(wscast_join_t));
    j.channel = channel_name(d->channel);
    j.member.client = client_id(d->client);
    j.member.user = user_name(d->user);
    j.member.info = info_text(d->info);
    j.former = client_id(d->former);
    j.owner = d->owner;
    j.grace = d->grace;

    wscast_heap_begin(&heap);
    rc = wscast_presence_join(&presence, &j, out);
    end(rc);

    return rc;
}


CASE_UNUSED static wscast_status_t
leave(unsigned channel, unsigned client, unsigned owner)
{
    wscast_status_t  rc;

    wscast_heap_begin(&heap);
    rc = wscast_presence_leave(&presence, channel_name(channel),
                               client_id(client), owner, &gone);
    end(rc);

    return rc;
}


CASE_UNUSED static wscast_status_t
lose(unsigned channel, unsigned client, unsigned owner, uint64_t now)
{
    wscast_status_t  rc;

    wscast_heap_begin(&heap);
    rc = wscast_presence_lose(&presence, channel_name(channel),
                              client_id(client), owner, now);
    end(rc);

    return rc;
}


CASE_UNUSED static wscast_status_t
expire(uint64_t now)
{
    wscast_status_t  rc;

    wscast_heap_begin(&heap);
    rc = wscast_presence_expire(&presence, now, &gone);
    end(rc);

    return rc;
}


CASE_UNUSED static wscast_status_t
bury(unsigned owner, uint64_t now, unsigned n)
{
    wscast_status_t  rc;

    wscast_heap_begin(&heap);
    rc = wscast_presence_bury(&presence, owner, now, n);
    end(rc);

    return rc;
}


CASE_UNUSED static wscast_status_t
own(unsigned owner)
{
    wscast_status_t  rc;

    wscast_heap_begin(&heap);
    rc = wscast_presence_own(&presence, owner);
    end(rc);

    return rc;
}


#endif /* WSCAST_T_PRESENCE_CASE_H */
