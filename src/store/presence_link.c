/* presence: objects of the heap, the chains and lists that they are in. */

#include "presence_inner.h"
#include "../base/map.h"


typedef int (*wscast_match_pt)(const wscast_presence_t *p, wscast_cell_t cell,
    const void *node, const wscast_key_t *key);


static wscast_status_t wscast_presence_find(const wscast_presence_t *p,
    const uint32_t *bucket, unsigned chain, uint32_t magic,
    wscast_match_pt match, const wscast_key_t *key, wscast_cell_t *cell);
static wscast_link_sh_t *wscast_presence_link(const wscast_presence_t *p,
    wscast_cell_t cell, unsigned which);


void *
wscast_presence_node(const wscast_presence_t *p, wscast_cell_t cell,
    uint32_t magic)
{
    wscast_node_sh_t  *node;

    node = cell ? wscast_heap_at(p->heap, cell) : NULL;

    return node && node->magic == magic ? node : NULL;
}


wscast_status_t
wscast_presence_room(const wscast_presence_t *p, uint32_t blocks)
{
    uint64_t  used;

    used = *wscast_heap_root(p->heap, WSCAST_ROOT_USED);

    if (used > wscast_heap_total(p->heap)) {
        return WSCAST_ERROR;
    }

    return used + blocks <= wscast_heap_total(p->heap) / 2
           && blocks <= wscast_heap_free_blocks(p->heap)
           ? WSCAST_OK : WSCAST_NOMEM;
}


uint64_t
wscast_presence_blocks(const wscast_presence_t *p)
{
    return *wscast_heap_root(p->heap, WSCAST_ROOT_USED);
}


wscast_cell_t
wscast_presence_take(wscast_presence_t *p, size_t size)
{
    uint64_t       *used;
    wscast_cell_t   cell;

    cell = wscast_heap_alloc(p->heap, size);

    if (cell && wscast_heap_at(p->heap, cell)) {
        used = wscast_heap_root(p->heap, WSCAST_ROOT_USED);
        wscast_heap_set(p->heap, used, *used + wscast_heap_blocks(size));
        return cell;
    }

    return 0;
}


wscast_status_t
wscast_presence_give(wscast_presence_t *p, wscast_cell_t cell, size_t size)
{
    uint64_t          *used;
    wscast_node_sh_t  *node;

    used = wscast_heap_root(p->heap, WSCAST_ROOT_USED);
    node = wscast_heap_at(p->heap, cell);

    if (node == NULL || *used < wscast_heap_blocks(size)) {
        return WSCAST_ERROR;
    }

    /* what still leads here leads to nothing that it could be taken for */

    wscast_heap_set32(p->heap, &node->magic, WSCAST_MAGIC_FREE);
    wscast_heap_set(p->heap, used, *used - wscast_heap_blocks(size));
    wscast_heap_free(p->heap, cell);

    return WSCAST_OK;
}


/* The tables lie one after the other: a half, a quarter, two eighths. */

uint32_t *
wscast_presence_bucket(const wscast_presence_t *p, unsigned table,
    uint64_t hash)
{
    uint32_t               eighth;
    static const uint32_t  start[] = { 0, 4, 6, 7 };
    static const uint32_t  size[] = { 4, 2, 1, 1 };

    eighth = p->heap->ntable / 8;

    return wscast_heap_table(p->heap, WSCAST_TABLE_PRESENCE)
           + eighth * start[table]
           + (uint32_t) (hash & (eighth * size[table] - 1));
}


uint32_t *
wscast_presence_root(const wscast_presence_t *p, unsigned root)
{
    return (uint32_t *) (void *) wscast_heap_root(p->heap, root);
}


uint32_t
wscast_presence_hash(const wscast_presence_t *p, wscast_cell_t channel,
    wscast_str_t s)
{
    return (uint32_t) wscast_hash(p->seed + channel, s);
}


uint32_t *
wscast_presence_bucket_of(const wscast_presence_t *p,
    const wscast_member_sh_t *m, unsigned chain)
{
    uint64_t  hash;

    switch (chain) {

    case WSCAST_BY_CLIENT:
        hash = wscast_presence_hash(p, m->channel,
                                    wscast_str(m->client, WSCAST_CLIENT_ID));
        break;

    case WSCAST_BY_NUMBER:
        hash = (uint64_t) m->channel * 2654435761u + m->number;
        break;

    default:
        hash = m->node.hash;
    }

    return wscast_presence_bucket(p, chain, hash);
}


/* To the beginning. */

wscast_status_t
wscast_presence_chain(wscast_presence_t *p, uint32_t *bucket,
    wscast_cell_t cell, unsigned chain)
{
    wscast_node_sh_t  *node, *head;

    node = wscast_heap_at(p->heap, cell);

    if (node == NULL || *bucket == cell) {
        return WSCAST_ERROR;
    }

    head = wscast_presence_node(p, *bucket, node->magic);

    if (head ? head->chains[chain].prev != 0 : *bucket != 0) {
        return WSCAST_ERROR;
    }

    if (head) {
        wscast_heap_set32(p->heap, &head->chains[chain].prev, cell);
    }

    wscast_heap_set32(p->heap, &node->chains[chain].prev, 0);
    wscast_heap_set32(p->heap, &node->chains[chain].next, *bucket);
    wscast_heap_set32(p->heap, bucket, cell);

    return WSCAST_OK;
}


wscast_status_t
wscast_presence_unchain(wscast_presence_t *p, uint32_t *bucket,
    wscast_cell_t cell, unsigned chain)
{
    wscast_link_sh_t  *link;
    wscast_node_sh_t  *node, *prev, *next;

    node = wscast_heap_at(p->heap, cell);

    if (node == NULL) {
        return WSCAST_ERROR;
    }

    link = &node->chains[chain];
    prev = wscast_presence_node(p, link->prev, node->magic);
    next = wscast_presence_node(p, link->next, node->magic);

    if ((prev ? prev->chains[chain].next != cell
              : link->prev != 0 || *bucket != cell)
        || (next ? next->chains[chain].prev != cell : link->next != 0))
    {
        return WSCAST_ERROR;
    }

    if (next) {
        wscast_heap_set32(p->heap, &next->chains[chain].prev, link->prev);
    }

    if (prev) {
        wscast_heap_set32(p->heap, &prev->chains[chain].next, link->next);

    } else {
        wscast_heap_set32(p->heap, bucket, link->next);
    }

    return WSCAST_OK;
}


static wscast_link_sh_t *
wscast_presence_link(const wscast_presence_t *p, wscast_cell_t cell,
    unsigned which)
{
    wscast_member_sh_t  *m;

    m = wscast_presence_member(p, cell);

    return m ? &m->lists[which] : NULL;
}


wscast_status_t
wscast_presence_insert(wscast_presence_t *p, wscast_list_sh_t *list,
    wscast_cell_t after, wscast_cell_t cell, unsigned which)
{
    uint32_t           before;
    wscast_link_sh_t  *link, *prev, *next;

    link = wscast_presence_link(p, cell, which);
    prev = wscast_presence_link(p, after, which);

    if (link == NULL || (after && prev == NULL)) {
        return WSCAST_ERROR;
    }

    before = prev ? prev->next : list->first;
    next = wscast_presence_link(p, before, which);

    if (next ? next->prev != after
             : before != 0 || list->last != after)
    {
        return WSCAST_ERROR;
    }

    wscast_heap_set32(p->heap, &link->prev, after);
    wscast_heap_set32(p->heap, &link->next, before);
    wscast_heap_set32(p->heap, prev ? &prev->next : &list->first, cell);
    wscast_heap_set32(p->heap, next ? &next->prev : &list->last, cell);

    return WSCAST_OK;
}


wscast_status_t
wscast_presence_remove(wscast_presence_t *p, wscast_list_sh_t *list,
    wscast_cell_t cell, unsigned which)
{
    wscast_link_sh_t  *link, *prev, *next;

    link = wscast_presence_link(p, cell, which);

    if (link == NULL) {
        return WSCAST_ERROR;
    }

    prev = wscast_presence_link(p, link->prev, which);
    next = wscast_presence_link(p, link->next, which);

    if ((prev ? prev->next != cell : link->prev != 0 || list->first != cell)
        || (next ? next->prev != cell : link->next != 0 || list->last != cell))
    {
        return WSCAST_ERROR;
    }

    wscast_heap_set32(p->heap, prev ? &prev->next : &list->first, link->next);
    wscast_heap_set32(p->heap, next ? &next->prev : &list->last, link->prev);

    return WSCAST_OK;
}


/* A chain that is longer than the heap goes in a circle. */

static wscast_status_t
wscast_presence_find(const wscast_presence_t *p, const uint32_t *bucket,
    unsigned chain, uint32_t magic, wscast_match_pt match,
    const wscast_key_t *key, wscast_cell_t *cell)
{
    uint32_t           n, at;
    wscast_node_sh_t  *node;

    at = *bucket;

    for (n = wscast_heap_total(p->heap); at; n--) {
        node = wscast_presence_node(p, at, magic);

        if (node == NULL || n == 0) {
            return WSCAST_ERROR;
        }

        if (match(p, at, node, key)) {
            *cell = at;
            return WSCAST_OK;
        }

        at = node->chains[chain].next;
    }

    *cell = 0;

    return WSCAST_MORE;
}


static int
wscast_presence_is_channel(const wscast_presence_t *p, wscast_cell_t cell,
    const void *node, const wscast_key_t *key)
{
    const wscast_channel_sh_t  *c;

    c = node;

    return c->node.hash == key->hash && c->name_len == key->text.len
           && wscast_heap_equal(p->heap, cell, sizeof(wscast_channel_sh_t),
                                key->text);
}


wscast_status_t
wscast_presence_find_channel(const wscast_presence_t *p, wscast_str_t name,
    wscast_cell_t *cell)
{
    wscast_key_t  key;

    memset(&key, 0, sizeof(wscast_key_t));
    key.text = name;
    key.hash = wscast_presence_hash(p, 0, name);

    return wscast_presence_find(p,
                          wscast_presence_bucket(p, WSCAST_BY_NAME, key.hash),
                          0, WSCAST_MAGIC_CHANNEL, wscast_presence_is_channel,
                          &key, cell);
}


static int
wscast_presence_is_client(const wscast_presence_t *p, wscast_cell_t cell,
    const void *node, const wscast_key_t *key)
{
    const wscast_member_sh_t  *m;

    (void) p;
    (void) cell;

    m = node;

    return m->channel == key->channel
           && memcmp(m->client, key->text.data, WSCAST_CLIENT_ID) == 0;
}


wscast_status_t
wscast_presence_find_client(const wscast_presence_t *p, wscast_cell_t channel,
    wscast_str_t client, wscast_cell_t *cell)
{
    uint32_t      *bucket;
    wscast_key_t   key;

    *cell = 0;

    if (client.len != WSCAST_CLIENT_ID) {
        return WSCAST_MORE;
    }

    memset(&key, 0, sizeof(wscast_key_t));
    key.channel = channel;
    key.text = client;

    bucket = wscast_presence_bucket(p, WSCAST_BY_CLIENT,
                                    wscast_presence_hash(p, channel, client));

    return wscast_presence_find(p, bucket, WSCAST_BY_CLIENT,
                                WSCAST_MAGIC_MEMBER, wscast_presence_is_client,
                                &key, cell);
}


static int
wscast_presence_is_number(const wscast_presence_t *p, wscast_cell_t cell,
    const void *node, const wscast_key_t *key)
{
    const wscast_member_sh_t  *m;

    (void) p;
    (void) cell;

    m = node;

    return m->channel == key->channel && m->number == key->number;
}


wscast_status_t
wscast_presence_find_number(const wscast_presence_t *p, wscast_cell_t channel,
    uint64_t number, wscast_cell_t *cell)
{
    wscast_key_t        key;
    wscast_member_sh_t  m;

    memset(&key, 0, sizeof(wscast_key_t));
    key.channel = m.channel = channel;
    key.number = m.number = number;

    return wscast_presence_find(p,
                          wscast_presence_bucket_of(p, &m, WSCAST_BY_NUMBER),
                          WSCAST_BY_NUMBER, WSCAST_MAGIC_MEMBER,
                          wscast_presence_is_number, &key, cell);
}


static int
wscast_presence_is_user(const wscast_presence_t *p, wscast_cell_t cell,
    const void *node, const wscast_key_t *key)
{
    const wscast_member_sh_t  *m;

    (void) cell;

    m = node;

    return m->channel == key->channel && m->node.hash == key->hash
           && m->user_len == key->text.len
           && wscast_heap_equal(p->heap, m->text, 0, key->text);
}


wscast_status_t
wscast_presence_find_user(const wscast_presence_t *p, wscast_cell_t channel,
    wscast_str_t user, wscast_cell_t *cell)
{
    wscast_key_t  key;

    *cell = 0;

    if (user.len == 0) {
        return WSCAST_MORE;
    }

    memset(&key, 0, sizeof(wscast_key_t));
    key.channel = channel;
    key.text = user;
    key.hash = wscast_presence_hash(p, channel, user);

    return wscast_presence_find(p,
                          wscast_presence_bucket(p, WSCAST_BY_USER, key.hash),
                          WSCAST_BY_USER, WSCAST_MAGIC_MEMBER,
                          wscast_presence_is_user, &key, cell);
}


static int
wscast_presence_is_group(const wscast_presence_t *p, wscast_cell_t cell,
    const void *node, const wscast_key_t *key)
{
    const wscast_group_sh_t  *g;

    (void) p;
    (void) cell;

    g = node;

    return g->key == key->number;
}


wscast_status_t
wscast_presence_find_group(const wscast_presence_t *p, unsigned root,
    uint64_t key, wscast_cell_t *cell)
{
    wscast_key_t  k;

    memset(&k, 0, sizeof(wscast_key_t));
    k.number = key;

    return wscast_presence_find(p, wscast_presence_root(p, root), 0,
                                WSCAST_MAGIC_GROUP, wscast_presence_is_group,
                                &k, cell);
}
