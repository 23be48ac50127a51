/* presence: a connection becomes a member, or takes one over. */

#include "presence_inner.h"


/* What a join needs; what is not there yet is 0. */

typedef struct {
    wscast_cell_t    channel;
    wscast_cell_t    member;            /* to be taken over */
    wscast_cell_t    owner;
    wscast_cell_t    grace;
    wscast_cell_t    text;
    unsigned         retext;            /* there must be a new text */
} wscast_plan_t;


static wscast_status_t wscast_presence_plan(wscast_presence_t *p,
    const wscast_join_t *j, wscast_plan_t *plan);
static wscast_status_t wscast_presence_heir(wscast_presence_t *p,
    const wscast_join_t *j, wscast_plan_t *plan);
static int wscast_presence_same_user(const wscast_presence_t *p,
    const wscast_member_sh_t *m, wscast_str_t user);
static int wscast_presence_same_text(const wscast_presence_t *p,
    const wscast_member_sh_t *m, const wscast_member_t *member);
static wscast_status_t wscast_presence_provide(wscast_presence_t *p,
    const wscast_join_t *j, wscast_plan_t *plan);
static wscast_status_t wscast_presence_new_channel(wscast_presence_t *p,
    wscast_str_t name, wscast_cell_t *cell);
static wscast_status_t wscast_presence_new_text(wscast_presence_t *p,
    const wscast_member_t *member, wscast_cell_t *cell);
static wscast_status_t wscast_presence_enter(wscast_presence_t *p,
    const wscast_join_t *j, const wscast_plan_t *plan);
static wscast_status_t wscast_presence_take_over(wscast_presence_t *p,
    const wscast_join_t *j, const wscast_plan_t *plan, wscast_joined_t *out);
static wscast_status_t wscast_presence_rename(wscast_presence_t *p,
    wscast_member_sh_t *m, wscast_cell_t cell, wscast_str_t client);
static wscast_status_t wscast_presence_retext(wscast_presence_t *p,
    wscast_member_sh_t *m, const wscast_join_t *j, wscast_cell_t text);


wscast_status_t
wscast_presence_join(wscast_presence_t *p, const wscast_join_t *j,
    wscast_joined_t *out)
{
    wscast_plan_t    plan;
    wscast_status_t  rc;

    memset(out, 0, sizeof(wscast_joined_t));

    if (j->member.client.len != WSCAST_CLIENT_ID
        || j->member.user.len > WSCAST_MEMBER_MAX
        || j->member.info.len > WSCAST_MEMBER_MAX
        || j->channel.len > WSCAST_MEMBER_CHANNEL)
    {
        return WSCAST_NOMEM;
    }

    rc = wscast_presence_plan(p, j, &plan);

    if (rc == WSCAST_OK) {
        rc = wscast_presence_provide(p, j, &plan);
    }

    if (rc != WSCAST_OK) {
        return wscast_presence_ended(p, rc);
    }

    if (plan.member) {
        return wscast_presence_take_over(p, j, &plan, out);
    }

    rc = wscast_presence_enter(p, j, &plan);

    if (rc == WSCAST_OK) {
        memcpy(out->known, j->member.client.data, WSCAST_CLIENT_ID);
        out->joined = 1;
    }

    return rc;
}


/* Finds what there is; and whether there is room for what there is not. */

static wscast_status_t
wscast_presence_plan(wscast_presence_t *p, const wscast_join_t *j,
    wscast_plan_t *plan)
{
    size_t               len;
    uint32_t             need;
    wscast_member_sh_t  *m;

    memset(plan, 0, sizeof(wscast_plan_t));

    if (wscast_presence_find_channel(p, j->channel, &plan->channel)
        == WSCAST_ERROR
        || wscast_presence_find_group(p, WSCAST_ROOT_OWNERS, j->owner,
                                      &plan->owner) == WSCAST_ERROR
        || wscast_presence_find_group(p, WSCAST_ROOT_GRACES, j->grace,
                                      &plan->grace) == WSCAST_ERROR
        || (plan->channel
            && wscast_presence_heir(p, j, plan) == WSCAST_ERROR))
    {
        return WSCAST_ERROR;
    }

    m = plan->member ? wscast_presence_member(p, plan->member) : NULL;
    plan->retext = m == NULL || !wscast_presence_same_text(p, m, &j->member);
    len = j->member.user.len + j->member.info.len;

    need = (m == NULL) + (plan->owner == 0) + (plan->grace == 0)
           + (plan->retext && len ? wscast_heap_blocks(len) : 0);

    if (plan->channel == 0) {
        need += wscast_heap_blocks(sizeof(wscast_channel_sh_t)
                                   + j->channel.len);
    }

    return wscast_presence_room(p, need);
}


/* WSCAST_OK: plan->member is to be taken over; WSCAST_MORE: there is none. */

static wscast_status_t
wscast_presence_heir(wscast_presence_t *p, const wscast_join_t *j,
    wscast_plan_t *plan)
{
    wscast_status_t      rc;
    wscast_member_sh_t  *m;

    rc = wscast_presence_find_client(p, plan->channel, j->member.client,
                                     &plan->member);

    if (rc != WSCAST_MORE) {
        return rc;
    }

    rc = wscast_presence_find_client(p, plan->channel, j->former,
                                     &plan->member);

    if (rc == WSCAST_ERROR) {
        return rc;
    }

    if (rc == WSCAST_OK) {
        m = wscast_presence_member(p, plan->member);

        /* an id alone is not enough to throw somebody out */

        if (wscast_presence_same_user(p, m, j->member.user)
            && (m->owner == 0 || m->user_len))
        {
            return WSCAST_OK;
        }
    }

    return wscast_presence_find_user(p, plan->channel, j->member.user,
                                     &plan->member);
}


static int
wscast_presence_same_user(const wscast_presence_t *p,
    const wscast_member_sh_t *m, wscast_str_t user)
{
    return m->user_len == user.len
           && wscast_heap_equal(p->heap, m->text, 0, user);
}


static int
wscast_presence_same_text(const wscast_presence_t *p,
    const wscast_member_sh_t *m, const wscast_member_t *member)
{
    return wscast_presence_same_user(p, m, member->user)
           && m->info_len == member->info.len
           && wscast_heap_equal(p->heap, m->text, m->user_len, member->info);
}


/* Makes what is not there yet, and the text. */

static wscast_status_t
wscast_presence_provide(wscast_presence_t *p, const wscast_join_t *j,
    wscast_plan_t *plan)
{
    wscast_status_t  rc;

    rc = WSCAST_OK;

    if (plan->owner == 0) {
        rc = wscast_presence_new_group(p, WSCAST_ROOT_OWNERS, j->owner,
                                       &plan->owner);
    }

    if (rc == WSCAST_OK && plan->grace == 0) {
        rc = wscast_presence_new_group(p, WSCAST_ROOT_GRACES, j->grace,
                                       &plan->grace);
    }

    if (rc == WSCAST_OK && plan->channel == 0) {
        rc = wscast_presence_new_channel(p, j->channel, &plan->channel);
    }

    if (rc == WSCAST_OK && plan->retext) {
        rc = wscast_presence_new_text(p, &j->member, &plan->text);
    }

    return rc;
}


static wscast_status_t
wscast_presence_new_channel(wscast_presence_t *p, wscast_str_t name,
    wscast_cell_t *cell)
{
    wscast_channel_sh_t  *c;

    *cell = wscast_presence_take(p, sizeof(wscast_channel_sh_t) + name.len);

    if (*cell == 0) {
        return WSCAST_NOMEM;
    }

    c = wscast_heap_at(p->heap, *cell);
    c->node.magic = WSCAST_MAGIC_CHANNEL;
    c->node.hash = wscast_presence_hash(p, 0, name);
    c->name_len = (uint32_t) name.len;

    /* a cursor of a channel that was here before must not lead into this */

    c->number = *wscast_heap_root(p->heap, WSCAST_ROOT_HIGH) + 1;

    if (wscast_heap_write(p->heap, *cell, sizeof(wscast_channel_sh_t),
                          name.data, name.len)
        != WSCAST_OK)
    {
        return WSCAST_ERROR;
    }

    return wscast_presence_chain(p,
                      wscast_presence_bucket(p, WSCAST_BY_NAME, c->node.hash),
                      *cell, 0);
}


static wscast_status_t
wscast_presence_new_text(wscast_presence_t *p, const wscast_member_t *member,
    wscast_cell_t *cell)
{
    size_t  len;

    len = member->user.len + member->info.len;

    if (len == 0) {
        *cell = 0;
        return WSCAST_OK;
    }

    *cell = wscast_presence_take(p, len);

    if (*cell == 0) {
        return WSCAST_NOMEM;
    }

    if (wscast_heap_write(p->heap, *cell, 0, member->user.data,
                          member->user.len) != WSCAST_OK
        || wscast_heap_write(p->heap, *cell, member->user.len,
                             member->info.data, member->info.len)
           != WSCAST_OK)
    {
        return WSCAST_ERROR;
    }

    return WSCAST_OK;
}


/* Nobody can reach a new member before it is in a list. */

static wscast_status_t
wscast_presence_enter(wscast_presence_t *p, const wscast_join_t *j,
    const wscast_plan_t *plan)
{
    uint64_t             *members;
    wscast_cell_t         cell;
    wscast_group_sh_t    *grace;
    wscast_member_sh_t   *m;
    wscast_channel_sh_t  *c;

    cell = wscast_presence_take(p, sizeof(wscast_member_sh_t));
    c = wscast_presence_channel(p, plan->channel);
    grace = wscast_presence_group(p, plan->grace);

    if (cell == 0 || c == NULL || grace == NULL) {
        return wscast_presence_ended(p, cell ? WSCAST_ERROR : WSCAST_NOMEM);
    }

    m = wscast_heap_at(p->heap, cell);
    m->node.magic = WSCAST_MAGIC_MEMBER;
    m->node.hash = wscast_presence_hash(p, plan->channel, j->member.user);
    m->number = c->number;
    memcpy(m->client, j->member.client.data, WSCAST_CLIENT_ID);
    memcpy(m->known, j->member.client.data, WSCAST_CLIENT_ID);
    m->channel = plan->channel;
    m->grace = plan->grace;
    m->text = plan->text;
    m->user_len = (uint32_t) j->member.user.len;
    m->info_len = (uint32_t) j->member.info.len;

    members = wscast_heap_root(p->heap, WSCAST_ROOT_MEMBERS);
    wscast_heap_set(p->heap, members, *members + 1);
    wscast_heap_set(p->heap, &c->number, c->number + 1);
    wscast_heap_set32(p->heap, &c->count, c->count + 1);
    wscast_heap_set32(p->heap, &grace->count, grace->count + 1);

    if (wscast_presence_insert(p, &c->members, c->members.last, cell,
                               WSCAST_IN_CHANNEL) != WSCAST_OK
        || wscast_presence_own_member(p, cell, plan->owner) != WSCAST_OK
        || wscast_presence_chain(p,
                          wscast_presence_bucket_of(p, m, WSCAST_BY_CLIENT),
                          cell, WSCAST_BY_CLIENT) != WSCAST_OK
        || wscast_presence_chain(p,
                          wscast_presence_bucket_of(p, m, WSCAST_BY_NUMBER),
                          cell, WSCAST_BY_NUMBER) != WSCAST_OK)
    {
        return WSCAST_ERROR;
    }

    return wscast_presence_ended(p, WSCAST_OK);
}


static wscast_status_t
wscast_presence_take_over(wscast_presence_t *p, const wscast_join_t *j,
    const wscast_plan_t *plan, wscast_joined_t *out)
{
    wscast_cell_t        cell, former;
    wscast_group_sh_t   *grace;
    wscast_member_sh_t  *m;

    cell = plan->member;
    m = wscast_presence_member(p, cell);
    grace = wscast_presence_group(p, plan->grace);

    if (m == NULL || grace == NULL) {
        return WSCAST_ERROR;
    }

    memcpy(out->known, m->known, WSCAST_CLIENT_ID);

    if (memcmp(m->client, j->member.client.data, WSCAST_CLIENT_ID) != 0) {
        if (m->owner) {
            memcpy(out->replaced, m->client, WSCAST_CLIENT_ID);
        }

        if (wscast_presence_rename(p, m, cell, j->member.client)
            != WSCAST_OK)
        {
            return WSCAST_ERROR;
        }
    }

    if (m->owner != plan->owner
        && (wscast_presence_disown(p, cell) != WSCAST_OK
            || wscast_presence_own_member(p, cell, plan->owner)
               != WSCAST_OK))
    {
        return WSCAST_ERROR;
    }

    if (m->grace != plan->grace) {
        former = m->grace;
        wscast_heap_set32(p->heap, &grace->count, grace->count + 1);
        wscast_heap_set32(p->heap, &m->grace, plan->grace);

        if (wscast_presence_ungrace(p, former) != WSCAST_OK) {
            return WSCAST_ERROR;
        }
    }

    if (plan->retext
        && wscast_presence_retext(p, m, j, plan->text) != WSCAST_OK)
    {
        return WSCAST_ERROR;
    }

    return wscast_presence_ended(p, WSCAST_OK);
}


static wscast_status_t
wscast_presence_rename(wscast_presence_t *p, wscast_member_sh_t *m,
    wscast_cell_t cell, wscast_str_t client)
{
    unsigned  i;
    uint64_t  words[WSCAST_CLIENT_ID / 8];

    if (wscast_presence_unchain(p,
                          wscast_presence_bucket_of(p, m, WSCAST_BY_CLIENT),
                          cell, WSCAST_BY_CLIENT)
        != WSCAST_OK)
    {
        return WSCAST_ERROR;
    }

    memcpy(words, client.data, WSCAST_CLIENT_ID);

    for (i = 0; i < WSCAST_CLIENT_ID / 8; i++) {
        wscast_heap_set(p->heap, &m->client[i], words[i]);
    }

    return wscast_presence_chain(p,
                          wscast_presence_bucket_of(p, m, WSCAST_BY_CLIENT),
                          cell, WSCAST_BY_CLIENT);
}


static wscast_status_t
wscast_presence_retext(wscast_presence_t *p, wscast_member_sh_t *m,
    const wscast_join_t *j, wscast_cell_t text)
{
    if (m->text
        && wscast_presence_give(p, m->text,
                                (size_t) m->user_len + m->info_len)
           != WSCAST_OK)
    {
        return WSCAST_ERROR;
    }

    wscast_heap_set32(p->heap, &m->node.hash,
                      wscast_presence_hash(p, m->channel, j->member.user));
    wscast_heap_set32(p->heap, &m->text, text);
    wscast_heap_set32(p->heap, &m->user_len, (uint32_t) j->member.user.len);
    wscast_heap_set32(p->heap, &m->info_len, (uint32_t) j->member.info.len);

    return WSCAST_OK;
}
