/*
 * presence_model.h: presence in a plain array, and deeds done to both it and
 * the real one, which must agree.
 *
 * Audience: t/store/presence_random.c, the fuzz target.  The deeds
 * return NULL, or what was wrong.  Names are few, so that they meet.
 */

#ifndef WSCAST_T_PRESENCE_MODEL_H
#define WSCAST_T_PRESENCE_MODEL_H


#include "presence_case.h"


#define MODEL_MAX       512
#define MODEL_CLIENTS   48
#define MODEL_OWNERS    4


typedef struct {
    unsigned         channel;
    unsigned         client;
    unsigned         known;
    unsigned         user;
    unsigned         info;
    unsigned         owner;             /* 0: lost */
    unsigned         grace;
    uint64_t         deadline;
} model_member_t;


static model_member_t      model[MODEL_MAX];    /* in the order of joining */
static unsigned            nmodel;
static unsigned            owned[MODEL_OWNERS + 1];
static unsigned            refused;     /* joins without room */


static void
model_fresh(wscast_heap_sh_t *sh, size_t size)
{
    heap_fresh(sh, size);
    memset(owned, 0, sizeof(owned));
    nmodel = 0;
}


static model_member_t *
model_find(unsigned channel, unsigned client)
{
    unsigned  i;

    for (i = 0; i < nmodel; i++) {
        if (model[i].channel == channel && model[i].client == client) {
            return &model[i];
        }
    }

    return NULL;
}


/* 1 if it is known by the id that this newcomer has: ids are not used twice. */

static int
model_used_up(const case_join_t *d)
{
    unsigned  i;

    for (i = 0; i < nmodel; i++) {
        if (model[i].channel == d->channel && model[i].known == d->client
            && model[i].client != d->client)
        {
            return 1;
        }
    }

    return 0;
}


/*
 * Whom the model says the newcomer takes over.  Of several lost members of a
 * user any will do: the real one has chosen.
 */

static model_member_t *
model_heir(const case_join_t *d, unsigned known)
{
    unsigned         i;
    model_member_t  *m, *any;

    m = model_find(d->channel, d->client);

    if (m) {
        return m;
    }

    m = d->former ? model_find(d->channel, d->former) : NULL;

    if (m && m->user == d->user && (m->owner == 0 || m->user)) {
        return m;
    }

    any = NULL;

    for (i = 0; i < nmodel && d->user; i++) {
        m = &model[i];

        if (m->channel == d->channel && m->user == d->user && m->owner == 0
            && (any == NULL || m->known == known))
        {
            any = m;
        }
    }

    return any;
}


static const char *
model_joined(const case_join_t *d, const wscast_joined_t *out)
{
    unsigned         replaced;
    model_member_t  *m;

    m = model_heir(d, client_number(out->known));

    if ((m == NULL) != (out->joined == 1) || out->joined > 1) {
        return "who joins is told apart from who comes back";
    }

    if (m == NULL) {
        m = &model[nmodel++];
        m->known = d->client;
        m->client = d->client;
        m->owner = 0;
    }

    replaced = m->owner && m->client != d->client ? m->client : 0;

    if (client_number(out->known) != m->known
        || client_number(out->replaced) != replaced)
    {
        return "the ids of a join";
    }

    m->channel = d->channel;
    m->client = d->client;
    m->user = d->user;
    m->info = d->info;
    m->owner = d->owner;
    m->grace = d->grace;
    m->deadline = 0;
    owned[d->owner] = 1;

    return NULL;
}


static const char *
do_join(const case_join_t *d)
{
    uint32_t         most;
    wscast_status_t  rc;
    wscast_joined_t  out;

    if (nmodel == MODEL_MAX || model_used_up(d)) {
        return NULL;
    }

    rc = join(d, &out);

    if (rc == WSCAST_OK) {
        return model_joined(d, &out);
    }

    /* all new: member, owner, grace, channel, text */

    most = 1 + 1 + 1 + wscast_heap_blocks(sizeof(wscast_channel_sh_t) + 200)
           + wscast_heap_blocks(CASE_TEXT + 200);
    refused++;

    return rc == WSCAST_NOMEM && wscast_presence_room(&presence, most)
                                 == WSCAST_NOMEM
           ? NULL : "a join is refused though there is room";
}


static const char *
model_gone(model_member_t *m)
{
    if (!wscast_str_eq(gone.channel, channel_name(m->channel))
        || !wscast_str_eq(gone.user, user_name(m->user))
        || !wscast_str_eq(gone.info, info_text(m->info))
        || client_number(gone.known) != m->known)
    {
        return "what is told of who has gone";
    }

    nmodel--;
    memmove(m, m + 1, (size_t) (&model[nmodel] - m) * sizeof(*m));

    return NULL;
}


static const char *
do_leave(unsigned channel, unsigned client, unsigned owner)
{
    model_member_t   *m;
    wscast_status_t   rc;

    m = model_find(channel, client);
    m = m && m->owner && m->owner == owner ? m : NULL;

    rc = leave(channel, client, owner);

    if (rc != (m ? WSCAST_OK : WSCAST_MORE)) {
        return "leaving";
    }

    return m ? model_gone(m) : NULL;
}


static const char *
do_lose(unsigned channel, unsigned client, unsigned owner, uint64_t now)
{
    model_member_t   *m;
    wscast_status_t   rc;

    m = model_find(channel, client);
    m = m && m->owner && m->owner == owner ? m : NULL;

    rc = lose(channel, client, owner, now);

    if (rc != (m ? WSCAST_OK : WSCAST_MORE)) {
        return "losing";
    }

    if (m) {
        m->owner = 0;
        m->deadline = now + m->grace;
    }

    return NULL;
}


static model_member_t *
model_earliest(void)
{
    unsigned         i;
    model_member_t  *first;

    first = NULL;

    for (i = 0; i < nmodel; i++) {
        if (model[i].owner == 0
            && (first == NULL || model[i].deadline < first->deadline))
        {
            first = &model[i];
        }
    }

    return first;
}


/* Of several with the same deadline any will do. */

static const char *
do_expire(uint64_t now)
{
    unsigned          i;
    uint64_t          deadline;
    model_member_t   *m;
    wscast_status_t   rc;

    m = model_earliest();
    deadline = m ? m->deadline : 0;

    if (wscast_presence_next(&presence) != (m && !deadline ? 1 : deadline)) {
        return "when the next expires";
    }

    rc = expire(now);

    if (m == NULL || deadline > now) {
        return rc == WSCAST_MORE ? NULL : "expiring too early";
    }

    if (rc != WSCAST_OK) {
        return "expiring";
    }

    for (i = 0; i < nmodel; i++) {
        m = &model[i];

        if (m->owner == 0 && m->deadline == deadline
            && m->known == client_number(gone.known)
            && wscast_str_eq(gone.channel, channel_name(m->channel)))
        {
            return model_gone(m);
        }
    }

    return "who expires";
}


static const char *
do_bury(unsigned owner, uint64_t now)
{
    unsigned         i;
    wscast_status_t  rc;

    do {
        rc = bury(owner, now, 5);
    } while (rc == WSCAST_MORE);

    for (i = 0; i < nmodel; i++) {
        if (model[i].owner == owner) {
            model[i].owner = 0;
            model[i].deadline = now + model[i].grace;
        }
    }

    owned[owner] = 0;

    return rc == WSCAST_OK ? NULL : "burying";
}


static const char *
do_own(unsigned owner)
{
    wscast_status_t  rc;

    rc = own(owner);

    if (rc == WSCAST_OK) {
        owned[owner] = 1;
        return NULL;
    }

    return rc == WSCAST_NOMEM && !owned[owner]
           && wscast_presence_room(&presence, 1) == WSCAST_NOMEM
           ? NULL : "owning";
}


/* Pages of limit, one after the other: the members of the model in order. */

static const char *
do_page(unsigned channel, uint32_t limit, size_t bytes)
{
    size_t          len, at;
    uint32_t        user, info;
    uint64_t        next, total, count;
    unsigned        i;
    const char     *why;
    unsigned char  *out;

    next = 0;
    count = 0;
    i = 0;

    do {
        if (wscast_presence_page(&presence, channel_name(channel), next,
                                 limit, bytes, &out, &len, &next, &total)
            != WSCAST_OK)
        {
            return "a page";
        }

        why = (out == NULL) == (len == 0) && (out || !next) ? NULL
              : "an empty page";

        for (at = 0; at < len && !why; at += 24 + user + info, count++) {
            memcpy(&user, out + at + 16, 4);
            memcpy(&info, out + at + 20, 4);

            while (i < nmodel && model[i].channel != channel) {
                i++;
            }

            if (i == nmodel || client_number(out + at) != model[i].known
                || !wscast_str_eq(wscast_str(out + at + 24, user),
                                  user_name(model[i].user))
                || !wscast_str_eq(wscast_str(out + at + 24 + user, info),
                                  info_text(model[i].info)))
            {
                why = "who is on a page";
                break;
            }

            i++;
        }

        wscast_free(out);
    } while (!why && next);

    return why ? why : count == total ? NULL : "how many there are";
}


/* All that is there, owners included. */

static const char *
model_compare(void)
{
    unsigned     i, n;
    uint64_t     nonce;
    const char  *why;

    why = NULL;

    for (i = 0; i < CASE_CHANNELS && !why; i++) {
        why = do_page(i, 7, 100000);
    }

    for (n = 1, nonce = 0; n <= MODEL_OWNERS && !why; n++) {
        if (owned[n]) {
            nonce = wscast_presence_owner(&presence, nonce);
            why = nonce == n ? NULL : "the owners";
        }
    }

    if (!why && wscast_presence_owner(&presence, nonce) != 0) {
        why = "more owners";
    }

    if (!why && *wscast_heap_root(&heap, WSCAST_ROOT_USED)
                > wscast_heap_total(&heap) / 2)
    {
        why = "more than half of the heap is used";
    }

    return why ? why
           : wscast_presence_validate(&presence) ? NULL : "the links";
}


#endif /* WSCAST_T_PRESENCE_MODEL_H */
