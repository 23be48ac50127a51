/*
 * presence: owners; members that leave, are lost, expire.  presence_join.c has
 * those that come, presence_page.c those that are there.
 */

#include "presence_inner.h"


/* Members of a dead owner in one transaction: 16 words each at most. */
#define WSCAST_BURY_MAX  12


static wscast_status_t wscast_presence_find_own(wscast_presence_t *p,
    wscast_str_t channel, wscast_str_t client, uint64_t owner,
    wscast_cell_t *cell);
static wscast_status_t wscast_presence_tell(wscast_presence_t *p,
    wscast_cell_t cell, wscast_gone_t *out);
static wscast_status_t wscast_presence_drop(wscast_presence_t *p,
    wscast_cell_t cell);
static wscast_status_t wscast_presence_drop_channel(wscast_presence_t *p,
    wscast_cell_t cell);
static wscast_status_t wscast_presence_lost(wscast_presence_t *p,
    wscast_cell_t cell, uint64_t now);


void
wscast_presence_init(wscast_presence_t *p, wscast_heap_t *heap, uint64_t seed)
{
    p->heap = heap;
    p->seed = seed;
}


/* What has failed has met damage: no operation fills the journal. */

wscast_status_t
wscast_presence_ended(wscast_presence_t *p, wscast_status_t rc)
{
    return wscast_heap_failed(p->heap) ? WSCAST_ERROR : rc;
}


wscast_status_t
wscast_presence_own(wscast_presence_t *p, uint64_t nonce)
{
    wscast_cell_t    cell;
    wscast_status_t  rc;

    rc = wscast_presence_find_group(p, WSCAST_ROOT_OWNERS, nonce, &cell);

    if (rc == WSCAST_MORE) {
        rc = wscast_presence_room(p, 1);

        if (rc == WSCAST_OK) {
            rc = wscast_presence_new_group(p, WSCAST_ROOT_OWNERS, nonce,
                                           &cell);
        }
    }

    return wscast_presence_ended(p, rc);
}


wscast_status_t
wscast_presence_bury(wscast_presence_t *p, uint64_t nonce, uint64_t now,
    unsigned n)
{
    wscast_cell_t        cell;
    wscast_status_t      rc;
    wscast_group_sh_t   *g;
    wscast_member_sh_t  *m;

    rc = wscast_presence_find_group(p, WSCAST_ROOT_OWNERS, nonce, &cell);

    if (rc != WSCAST_OK) {
        return rc == WSCAST_MORE ? WSCAST_OK : rc;
    }

    g = wscast_presence_group(p, cell);
    n = n < WSCAST_BURY_MAX ? n : WSCAST_BURY_MAX;

    while (g->members.first && n--) {
        m = wscast_presence_member(p, g->members.first);

        if (m == NULL || m->owner != cell
            || wscast_presence_lost(p, g->members.first, now) != WSCAST_OK
            || wscast_heap_failed(p->heap))
        {
            return WSCAST_ERROR;
        }
    }

    if (g->members.first) {
        return WSCAST_MORE;
    }

    if (g->count != 0) {
        return WSCAST_ERROR;
    }

    rc = wscast_presence_unchain(p,
                                 wscast_presence_root(p, WSCAST_ROOT_OWNERS),
                                 cell, 0);

    if (rc == WSCAST_OK) {
        rc = wscast_presence_give(p, cell, sizeof(wscast_group_sh_t));
    }

    return wscast_presence_ended(p, rc);
}


wscast_status_t
wscast_presence_new_group(wscast_presence_t *p, unsigned root, uint64_t key,
    wscast_cell_t *cell)
{
    wscast_group_sh_t  *g;

    *cell = wscast_presence_take(p, sizeof(wscast_group_sh_t));

    if (*cell == 0) {
        return WSCAST_NOMEM;
    }

    g = wscast_heap_at(p->heap, *cell);
    g->node.magic = WSCAST_MAGIC_GROUP;
    g->key = key;

    return wscast_presence_chain(p, wscast_presence_root(p, root), *cell, 0);
}


wscast_status_t
wscast_presence_leave(wscast_presence_t *p, wscast_str_t channel,
    wscast_str_t client, uint64_t owner, wscast_gone_t *out)
{
    wscast_cell_t    cell;
    wscast_status_t  rc;

    rc = wscast_presence_find_own(p, channel, client, owner, &cell);

    if (rc == WSCAST_OK) {
        rc = wscast_presence_tell(p, cell, out);
    }

    if (rc == WSCAST_OK) {
        rc = wscast_presence_drop(p, cell);
    }

    return wscast_presence_ended(p, rc);
}


wscast_status_t
wscast_presence_lose(wscast_presence_t *p, wscast_str_t channel,
    wscast_str_t client, uint64_t owner, uint64_t now)
{
    wscast_cell_t    cell;
    wscast_status_t  rc;

    rc = wscast_presence_find_own(p, channel, client, owner, &cell);

    if (rc == WSCAST_OK) {
        rc = wscast_presence_lost(p, cell, now);
    }

    return wscast_presence_ended(p, rc);
}


wscast_status_t
wscast_presence_expire(wscast_presence_t *p, uint64_t now, wscast_gone_t *out)
{
    uint64_t         deadline;
    wscast_cell_t    cell;
    wscast_status_t  rc;

    rc = wscast_presence_earliest(p, &cell, &deadline);

    if (rc == WSCAST_OK && deadline > now) {
        return WSCAST_MORE;
    }

    if (rc == WSCAST_OK) {
        rc = wscast_presence_tell(p, cell, out);
    }

    if (rc == WSCAST_OK) {
        rc = wscast_presence_drop(p, cell);
    }

    return wscast_presence_ended(p, rc);
}


/* The member that this connection of this owner is. */

static wscast_status_t
wscast_presence_find_own(wscast_presence_t *p, wscast_str_t channel,
    wscast_str_t client, uint64_t owner, wscast_cell_t *cell)
{
    wscast_cell_t        c;
    wscast_status_t      rc;
    wscast_group_sh_t   *g;
    wscast_member_sh_t  *m;

    rc = wscast_presence_find_channel(p, channel, &c);

    if (rc == WSCAST_OK) {
        rc = wscast_presence_find_client(p, c, client, cell);
    }

    if (rc != WSCAST_OK) {
        return rc;
    }

    m = wscast_presence_member(p, *cell);

    if (m->owner == 0) {
        return WSCAST_MORE;
    }

    g = wscast_presence_group(p, m->owner);

    if (g == NULL) {
        return WSCAST_ERROR;
    }

    return g->key == owner ? WSCAST_OK : WSCAST_MORE;
}


static wscast_status_t
wscast_presence_tell(wscast_presence_t *p, wscast_cell_t cell,
    wscast_gone_t *out)
{
    size_t                len;
    unsigned char        *data;
    wscast_member_sh_t   *m;
    wscast_channel_sh_t  *c;

    m = wscast_presence_member(p, cell);
    c = m ? wscast_presence_channel(p, m->channel) : NULL;

    if (c == NULL || c->name_len > WSCAST_MEMBER_CHANNEL
        || !wscast_presence_text_ok(m))
    {
        return WSCAST_ERROR;
    }

    len = (size_t) c->name_len + m->user_len + m->info_len;

    if (out->data == NULL || out->size < len) {
        data = wscast_realloc(out->data, len + 1);

        if (data == NULL) {
            return WSCAST_NOMEM;
        }

        out->data = data;
        out->size = len + 1;
    }

    memcpy(out->known, m->known, WSCAST_CLIENT_ID);
    data = out->data + c->name_len;

    if (wscast_heap_read(p->heap, m->channel, sizeof(wscast_channel_sh_t),
                         out->data, c->name_len) != WSCAST_OK
        || wscast_heap_read(p->heap, m->text, 0, data,
                            (size_t) m->user_len + m->info_len) != WSCAST_OK)
    {
        return WSCAST_ERROR;
    }

    out->channel = wscast_str(out->data, c->name_len);
    out->user = wscast_str(data, m->user_len);
    out->info = wscast_str(data + m->user_len, m->info_len);

    return WSCAST_OK;
}


/* Out of all lists and chains, and given back; the last takes its channel. */

static wscast_status_t
wscast_presence_drop(wscast_presence_t *p, wscast_cell_t cell)
{
    uint64_t             *members;
    wscast_member_sh_t   *m;
    wscast_channel_sh_t  *c;

    members = wscast_heap_root(p->heap, WSCAST_ROOT_MEMBERS);
    m = wscast_presence_member(p, cell);
    c = m ? wscast_presence_channel(p, m->channel) : NULL;

    if (c == NULL || c->count == 0 || *members == 0
        || wscast_presence_unchain(p,
                          wscast_presence_bucket_of(p, m, WSCAST_BY_CLIENT),
                          cell, WSCAST_BY_CLIENT) != WSCAST_OK
        || wscast_presence_unchain(p,
                          wscast_presence_bucket_of(p, m, WSCAST_BY_NUMBER),
                          cell, WSCAST_BY_NUMBER) != WSCAST_OK
        || wscast_presence_remove(p, &c->members, cell, WSCAST_IN_CHANNEL)
           != WSCAST_OK
        || wscast_presence_disown(p, cell) != WSCAST_OK
        || wscast_presence_ungrace(p, m->grace) != WSCAST_OK
        || (m->text
            && wscast_presence_give(p, m->text,
                                    (size_t) m->user_len + m->info_len)
               != WSCAST_OK)
        || wscast_presence_give(p, cell, sizeof(wscast_member_sh_t))
           != WSCAST_OK)
    {
        return WSCAST_ERROR;
    }

    wscast_heap_set(p->heap, members, *members - 1);
    wscast_heap_set32(p->heap, &c->count, c->count - 1);

    if ((c->count == 0) != (c->members.first == 0)) {
        return WSCAST_ERROR;
    }

    return c->count ? WSCAST_OK : wscast_presence_drop_channel(p, m->channel);
}


static wscast_status_t
wscast_presence_drop_channel(wscast_presence_t *p, wscast_cell_t cell)
{
    uint64_t             *high;
    wscast_channel_sh_t  *c;

    c = wscast_presence_channel(p, cell);
    high = wscast_heap_root(p->heap, WSCAST_ROOT_HIGH);

    if (c == NULL
        || wscast_presence_unchain(p,
                      wscast_presence_bucket(p, WSCAST_BY_NAME, c->node.hash),
                      cell, 0) != WSCAST_OK)
    {
        return WSCAST_ERROR;
    }

    if (*high < c->number - 1) {
        wscast_heap_set(p->heap, high, c->number - 1);
    }

    return wscast_presence_give(p, cell,
                                sizeof(wscast_channel_sh_t) + c->name_len);
}


/* A member that is in no group becomes that of an owner. */

wscast_status_t
wscast_presence_own_member(wscast_presence_t *p, wscast_cell_t cell,
    wscast_cell_t owner)
{
    wscast_group_sh_t   *g;
    wscast_member_sh_t  *m;

    m = wscast_presence_member(p, cell);
    g = wscast_presence_group(p, owner);

    if (m == NULL || g == NULL) {
        return WSCAST_ERROR;
    }

    wscast_heap_set32(p->heap, &m->owner, owner);
    wscast_heap_set32(p->heap, &g->count, g->count + 1);

    return wscast_presence_insert(p, &g->members, g->members.last, cell,
                                  WSCAST_IN_GROUP);
}


/* A member leaves its owner, or is lost no more. */

wscast_status_t
wscast_presence_disown(wscast_presence_t *p, wscast_cell_t cell)
{
    wscast_group_sh_t   *g;
    wscast_member_sh_t  *m;

    m = wscast_presence_member(p, cell);
    g = m ? wscast_presence_group(p, m->owner ? m->owner : m->grace) : NULL;

    if (g == NULL || g->count == 0
        || wscast_presence_remove(p, &g->members, cell, WSCAST_IN_GROUP)
           != WSCAST_OK)
    {
        return WSCAST_ERROR;
    }

    if (m->owner) {
        wscast_heap_set32(p->heap, &g->count, g->count - 1);
        return WSCAST_OK;
    }

    if (m->user_len == 0) {
        return WSCAST_OK;
    }

    return wscast_presence_unchain(p,
                            wscast_presence_bucket_of(p, m, WSCAST_BY_USER),
                            cell, WSCAST_BY_USER);
}


/*
 * The list of a grace time is in the order of deadlines, because the clock goes
 * forward; should it not, the place is found from the end.
 */

static wscast_status_t
wscast_presence_lost(wscast_presence_t *p, wscast_cell_t cell, uint64_t now)
{
    uint32_t             n;
    uint64_t             deadline;
    wscast_cell_t        after;
    wscast_group_sh_t   *g;
    wscast_member_sh_t  *m, *prev;

    m = wscast_presence_member(p, cell);
    g = m ? wscast_presence_group(p, m->grace) : NULL;

    if (g == NULL || wscast_presence_disown(p, cell) != WSCAST_OK) {
        return WSCAST_ERROR;
    }

    deadline = now + g->key;
    after = g->members.last;

    for (n = wscast_heap_total(p->heap); after; n--) {
        prev = wscast_presence_member(p, after);

        if (prev == NULL || n == 0) {
            return WSCAST_ERROR;
        }

        if (prev->deadline <= deadline) {
            break;
        }

        after = prev->lists[WSCAST_IN_GROUP].prev;
    }

    wscast_heap_set32(p->heap, &m->owner, 0);
    wscast_heap_set(p->heap, &m->deadline, deadline);

    if (wscast_presence_insert(p, &g->members, after, cell, WSCAST_IN_GROUP)
        != WSCAST_OK)
    {
        return WSCAST_ERROR;
    }

    if (m->user_len == 0) {
        return WSCAST_OK;
    }

    return wscast_presence_chain(p,
                            wscast_presence_bucket_of(p, m, WSCAST_BY_USER),
                            cell, WSCAST_BY_USER);
}


/* One member less has this grace time. */

wscast_status_t
wscast_presence_ungrace(wscast_presence_t *p, wscast_cell_t cell)
{
    wscast_group_sh_t  *g;

    g = wscast_presence_group(p, cell);

    if (g == NULL || g->count == 0) {
        return WSCAST_ERROR;
    }

    wscast_heap_set32(p->heap, &g->count, g->count - 1);

    if (g->count) {
        return WSCAST_OK;
    }

    if (g->members.first
        || wscast_presence_unchain(p,
                                 wscast_presence_root(p, WSCAST_ROOT_GRACES),
                                 cell, 0) != WSCAST_OK)
    {
        return WSCAST_ERROR;
    }

    return wscast_presence_give(p, cell, sizeof(wscast_group_sh_t));
}
