/* presence: whether all chains, lists and counts agree.  For tests. */

#include "presence_inner.h"


/* What is found, to be compared with what is counted. */

typedef struct {
    uint64_t    members;
    uint64_t    blocks;
    uint64_t    owned;
    uint64_t    lost;
    uint64_t    users;              /* lost members with a user */
    uint64_t    referred;           /* by members, as the grace times count */
} wscast_census_t;


static int wscast_presence_check_chain(const wscast_presence_t *p,
    const uint32_t *bucket, unsigned chain, uint32_t magic, uint64_t *n);
static int wscast_presence_check_table(const wscast_presence_t *p,
    unsigned chain, uint64_t *n);
static int wscast_presence_check_channels(const wscast_presence_t *p,
    wscast_census_t *census);
static int wscast_presence_check_channel(const wscast_presence_t *p,
    wscast_cell_t cell, wscast_census_t *census);
static int wscast_presence_check_member(const wscast_presence_t *p,
    wscast_cell_t cell, wscast_census_t *census);
static int wscast_presence_check_groups(const wscast_presence_t *p,
    unsigned root, wscast_census_t *census);
static int wscast_presence_check_group(const wscast_presence_t *p,
    wscast_cell_t cell, unsigned root, uint64_t *n);


int
wscast_presence_validate(const wscast_presence_t *p)
{
    uint64_t         clients, numbers, users;
    wscast_census_t  census;

    memset(&census, 0, sizeof(wscast_census_t));

    return wscast_presence_check_table(p, WSCAST_BY_CLIENT, &clients)
           && wscast_presence_check_table(p, WSCAST_BY_NUMBER, &numbers)
           && wscast_presence_check_table(p, WSCAST_BY_USER, &users)
           && wscast_presence_check_channels(p, &census)
           && wscast_presence_check_groups(p, WSCAST_ROOT_OWNERS, &census)
           && wscast_presence_check_groups(p, WSCAST_ROOT_GRACES, &census)
           && clients == census.members && numbers == census.members
           && users == census.users
           && census.owned + census.lost == census.members
           && census.referred == census.members
           && census.members
              == *wscast_heap_root(p->heap, WSCAST_ROOT_MEMBERS)
           && census.blocks == *wscast_heap_root(p->heap, WSCAST_ROOT_USED);
}


/* Links go forth and back; n: how many there are. */

static int
wscast_presence_check_chain(const wscast_presence_t *p,
    const uint32_t *bucket, unsigned chain, uint32_t magic, uint64_t *n)
{
    uint32_t           at, prev, left;
    wscast_node_sh_t  *node;

    prev = 0;
    left = wscast_heap_total(p->heap);

    for (at = *bucket; at; at = node->chains[chain].next) {
        node = wscast_presence_node(p, at, magic);

        if (node == NULL || left-- == 0 || node->chains[chain].prev != prev) {
            return 0;
        }

        prev = at;
        (*n)++;
    }

    return 1;
}


static int
wscast_presence_check_table(const wscast_presence_t *p, unsigned chain,
    uint64_t *n)
{
    uint32_t             i, at, *bucket, *first;
    wscast_member_sh_t  *m;

    *n = 0;
    first = NULL;

    /* a hash finds its bucket modulo their number: so they come in turn */

    for (i = 0; i < p->heap->ntable; i++) {
        bucket = wscast_presence_bucket(p, chain, i);

        if (bucket == first) {
            break;
        }

        first = first ? first : bucket;

        if (!wscast_presence_check_chain(p, bucket, chain,
                                         WSCAST_MAGIC_MEMBER, n))
        {
            return 0;
        }

        for (at = *bucket; at; at = m->node.chains[chain].next) {
            m = wscast_presence_member(p, at);

            if (wscast_presence_bucket_of(p, m, chain) != bucket
                || (chain == WSCAST_BY_USER
                    && (m->owner || m->user_len == 0)))
            {
                return 0;
            }
        }
    }

    return 1;
}


static int
wscast_presence_check_channels(const wscast_presence_t *p,
    wscast_census_t *census)
{
    uint32_t              i, at, *bucket, *first;
    uint64_t              n;
    wscast_channel_sh_t  *c;

    n = 0;
    first = NULL;

    for (i = 0; i < p->heap->ntable; i++) {
        bucket = wscast_presence_bucket(p, WSCAST_BY_NAME, i);

        if (bucket == first) {
            break;
        }

        first = first ? first : bucket;

        if (!wscast_presence_check_chain(p, bucket, 0, WSCAST_MAGIC_CHANNEL,
                                         &n))
        {
            return 0;
        }

        for (at = *bucket; at; at = c->node.chains[0].next) {
            c = wscast_presence_channel(p, at);

            if (wscast_presence_bucket(p, WSCAST_BY_NAME, c->node.hash)
                != bucket
                || !wscast_presence_check_channel(p, at, census))
            {
                return 0;
            }
        }
    }

    return 1;
}


static int
wscast_presence_check_channel(const wscast_presence_t *p, wscast_cell_t cell,
    wscast_census_t *census)
{
    uint32_t              at, prev, n;
    uint64_t              number;
    wscast_member_sh_t   *m;
    wscast_channel_sh_t  *c;

    c = wscast_presence_channel(p, cell);
    prev = 0;
    n = 0;
    number = 0;

    for (at = c->members.first; at; at = m->lists[WSCAST_IN_CHANNEL].next) {
        m = wscast_presence_member(p, at);

        if (m == NULL || n++ == c->count || m->channel != cell
            || m->lists[WSCAST_IN_CHANNEL].prev != prev
            || m->number <= number || m->number >= c->number
            || !wscast_presence_check_member(p, at, census))
        {
            return 0;
        }

        number = m->number;
        prev = at;
    }

    census->blocks += wscast_heap_blocks(sizeof(wscast_channel_sh_t)
                                         + c->name_len);

    return n == c->count && n && c->members.last == prev;
}


static int
wscast_presence_check_member(const wscast_presence_t *p, wscast_cell_t cell,
    wscast_census_t *census)
{
    wscast_str_t         client;
    wscast_cell_t        found;
    wscast_member_sh_t  *m;

    m = wscast_presence_member(p, cell);
    client = wscast_str(m->client, WSCAST_CLIENT_ID);

    census->members++;
    census->blocks++;

    if (m->owner == 0) {
        census->users += m->user_len != 0;
    }

    if (m->text) {
        census->blocks += wscast_heap_blocks((size_t) m->user_len
                                             + m->info_len);
    }

    return wscast_presence_text_ok(m)
           && (m->owner == 0 || wscast_presence_group(p, m->owner))
           && wscast_presence_group(p, m->grace)
           && wscast_presence_find_client(p, m->channel, client, &found)
              == WSCAST_OK
           && found == cell
           && wscast_presence_find_number(p, m->channel, m->number, &found)
              == WSCAST_OK
           && found == cell;
}


static int
wscast_presence_check_groups(const wscast_presence_t *p, unsigned root,
    wscast_census_t *census)
{
    uint32_t            at, *bucket;
    uint64_t            n;
    wscast_group_sh_t  *g;

    n = 0;
    bucket = wscast_presence_root(p, root);

    if (!wscast_presence_check_chain(p, bucket, 0, WSCAST_MAGIC_GROUP, &n)) {
        return 0;
    }

    for (at = *bucket; at; at = g->node.chains[0].next) {
        g = wscast_presence_group(p, at);
        n = 0;

        if (!wscast_presence_check_group(p, at, root, &n)) {
            return 0;
        }

        census->blocks++;

        if (root == WSCAST_ROOT_OWNERS) {
            census->owned += n;

            if (n != g->count) {
                return 0;
            }

        } else {
            census->lost += n;
            census->referred += g->count;

            if (n > g->count || g->count == 0) {
                return 0;
            }
        }
    }

    return 1;
}


static int
wscast_presence_check_group(const wscast_presence_t *p, wscast_cell_t cell,
    unsigned root, uint64_t *n)
{
    uint32_t             at, prev;
    uint64_t             deadline;
    wscast_group_sh_t   *g;
    wscast_member_sh_t  *m;

    g = wscast_presence_group(p, cell);
    prev = 0;
    deadline = 0;

    for (at = g->members.first; at; at = m->lists[WSCAST_IN_GROUP].next) {
        m = wscast_presence_member(p, at);

        if (m == NULL || (*n)++ == g->count
            || m->lists[WSCAST_IN_GROUP].prev != prev)
        {
            return 0;
        }

        if (root == WSCAST_ROOT_OWNERS) {
            if (m->owner != cell) {
                return 0;
            }

        } else if (m->owner || m->grace != cell || m->deadline < deadline) {
            return 0;
        }

        deadline = m->deadline;
        prev = at;
    }

    return g->members.last == prev;
}
