/*
 * presence_inner.h: the objects of presence in shared memory, and how they are
 * linked.
 *
 * Audience: presence.c (members that go), presence_join.c (that come),
 * presence_page.c (that are there), presence_link.c (objects and links),
 * presence_check.c (whether all agrees).  Pure; under the lock.
 *
 * All objects begin with a node.  A node is in up to three chains, each of
 * which begins in a word of the heap's table (a bucket) or in a root.  A member
 * is besides in two lists: that of its channel, in the order of joining, and
 * that of its owner or, if it is lost, of those with the same grace time: so
 * such a list is in the order of deadlines, and losing does not search.
 *
 * What is reachable is changed in a transaction; every function that follows a
 * link returns WSCAST_ERROR if it leads to what it should not lead to.
 */

#ifndef WSCAST_PRESENCE_INNER_H
#define WSCAST_PRESENCE_INNER_H


#include "presence.h"


/* The objects; freed ones have another magic. */

#define WSCAST_MAGIC_MEMBER   0x7072656d        /* "prem" */
#define WSCAST_MAGIC_CHANNEL  0x70726563        /* "prec" */
#define WSCAST_MAGIC_GROUP    0x70726567        /* "preg" */
#define WSCAST_MAGIC_FREE     0x70726566        /* "pref" */

/* Roots. */

#define WSCAST_ROOT_USED      8         /* blocks of presence */
#define WSCAST_ROOT_MEMBERS   9
#define WSCAST_ROOT_HIGH      10        /* the highest number of a member in
                                           channels that are no more */
#define WSCAST_ROOT_OWNERS    11        /* chain of groups */
#define WSCAST_ROOT_GRACES    12        /* chain of groups */

/* Chains of a node, and tables; other objects than members use chain 0. */

#define WSCAST_BY_CLIENT      0
#define WSCAST_BY_NUMBER      1
#define WSCAST_BY_USER        2         /* lost members with a user */
#define WSCAST_CHAINS         3

#define WSCAST_BY_NAME        3         /* table of channels */

/* Lists of a member. */

#define WSCAST_IN_CHANNEL     0
#define WSCAST_IN_GROUP       1


typedef struct {
    uint32_t            prev;
    uint32_t            next;
} wscast_link_sh_t;


typedef struct {
    uint32_t            first;
    uint32_t            last;
} wscast_list_sh_t;


typedef struct {
    uint32_t            magic;
    uint32_t            hash;           /* channel: of its name; member: of its
                                           user */
    wscast_link_sh_t    chains[WSCAST_CHAINS];
} wscast_node_sh_t;


typedef struct {
    wscast_node_sh_t    node;
    uint64_t            number;         /* grows within the channel */
    uint64_t            deadline;       /* of a lost one */
    uint64_t            client[WSCAST_CLIENT_ID / 8];   /* its connection's */
    char                known[WSCAST_CLIENT_ID];
    wscast_link_sh_t    lists[2];
    uint32_t            channel;
    uint32_t            owner;          /* 0: it is lost */
    uint32_t            grace;
    uint32_t            text;           /* user, then info; 0: both empty */
    uint32_t            user_len;
    uint32_t            info_len;
} wscast_member_sh_t;


/* The name follows. */

typedef struct {
    wscast_node_sh_t    node;
    uint64_t            number;         /* of its next member */
    uint32_t            count;          /* members */
    uint32_t            name_len;
    wscast_list_sh_t    members;
} wscast_channel_sh_t;


/* An owner and its members; or a grace time and its lost members. */

typedef struct {
    wscast_node_sh_t    node;
    uint64_t            key;            /* nonce; ms */
    uint32_t            count;          /* members that refer to it */
    uint32_t            spare;
    wscast_list_sh_t    members;
} wscast_group_sh_t;


/* What is looked for in a chain. */

typedef struct {
    uint32_t            channel;
    uint32_t            hash;
    uint64_t            number;
    wscast_str_t        text;
} wscast_key_t;


/* NULL: there is no such object there. */

void *wscast_presence_node(const wscast_presence_t *p, wscast_cell_t cell,
    uint32_t magic);

#define wscast_presence_member(p, cell)                                       \
    ((wscast_member_sh_t *) wscast_presence_node(p, cell,                     \
                                                 WSCAST_MAGIC_MEMBER))
#define wscast_presence_channel(p, cell)                                      \
    ((wscast_channel_sh_t *) wscast_presence_node(p, cell,                    \
                                                  WSCAST_MAGIC_CHANNEL))
#define wscast_presence_group(p, cell)                                        \
    ((wscast_group_sh_t *) wscast_presence_node(p, cell,                      \
                                                WSCAST_MAGIC_GROUP))

/*
 * WSCAST_OK: so many blocks may be taken; WSCAST_NOMEM; WSCAST_ERROR.  After
 * that _take() fails only if a transaction has given back what it needs.
 */
wscast_status_t wscast_presence_room(const wscast_presence_t *p,
    uint32_t blocks);
wscast_cell_t wscast_presence_take(wscast_presence_t *p, size_t size);
wscast_status_t wscast_presence_give(wscast_presence_t *p, wscast_cell_t cell,
    size_t size);

/* Where a chain begins: in a table, in a root. */
uint32_t *wscast_presence_bucket(const wscast_presence_t *p, unsigned table,
    uint64_t hash);
uint32_t *wscast_presence_root(const wscast_presence_t *p, unsigned root);

uint32_t wscast_presence_hash(const wscast_presence_t *p,
    wscast_cell_t channel, wscast_str_t s);

/* The bucket of a member in one of its chains. */
uint32_t *wscast_presence_bucket_of(const wscast_presence_t *p,
    const wscast_member_sh_t *m, unsigned chain);

wscast_status_t wscast_presence_chain(wscast_presence_t *p, uint32_t *bucket,
    wscast_cell_t cell, unsigned chain);
wscast_status_t wscast_presence_unchain(wscast_presence_t *p,
    uint32_t *bucket, wscast_cell_t cell, unsigned chain);

/* Puts a member behind another of the list; 0: to its beginning. */
wscast_status_t wscast_presence_insert(wscast_presence_t *p,
    wscast_list_sh_t *list, wscast_cell_t after, wscast_cell_t cell,
    unsigned which);
wscast_status_t wscast_presence_remove(wscast_presence_t *p,
    wscast_list_sh_t *list, wscast_cell_t cell, unsigned which);

/* WSCAST_OK: *cell is it; WSCAST_MORE: there is none; WSCAST_ERROR. */
wscast_status_t wscast_presence_find_channel(const wscast_presence_t *p,
    wscast_str_t name, wscast_cell_t *cell);
wscast_status_t wscast_presence_find_client(const wscast_presence_t *p,
    wscast_cell_t channel, wscast_str_t client, wscast_cell_t *cell);
wscast_status_t wscast_presence_find_number(const wscast_presence_t *p,
    wscast_cell_t channel, uint64_t number, wscast_cell_t *cell);
wscast_status_t wscast_presence_find_user(const wscast_presence_t *p,
    wscast_cell_t channel, wscast_str_t user, wscast_cell_t *cell);
wscast_status_t wscast_presence_find_group(const wscast_presence_t *p,
    unsigned root, uint64_t key, wscast_cell_t *cell);


/* presence.c: WSCAST_ERROR if the transaction has failed, else rc. */
wscast_status_t wscast_presence_ended(wscast_presence_t *p,
    wscast_status_t rc);

/* presence.c: makes an owner or a grace time; there is room. */
wscast_status_t wscast_presence_new_group(wscast_presence_t *p,
    unsigned root, uint64_t key, wscast_cell_t *cell);

/* presence.c: a member that is in no group becomes that of an owner. */
wscast_status_t wscast_presence_own_member(wscast_presence_t *p,
    wscast_cell_t cell, wscast_cell_t owner);

/* presence.c: a member leaves its owner, or is lost no more. */
wscast_status_t wscast_presence_disown(wscast_presence_t *p,
    wscast_cell_t cell);

/* presence.c: one member less has this grace time. */
wscast_status_t wscast_presence_ungrace(wscast_presence_t *p,
    wscast_cell_t cell);

/*
 * presence_page.c: the lost member whose time is up first.  WSCAST_OK;
 * WSCAST_MORE: there is none.
 */
wscast_status_t wscast_presence_earliest(const wscast_presence_t *p,
    wscast_cell_t *cell, uint64_t *deadline);


/* Its text is as long as it can be, and there if it is not empty. */

static inline int
wscast_presence_text_ok(const wscast_member_sh_t *m)
{
    return m->user_len <= WSCAST_MEMBER_MAX
           && m->info_len <= WSCAST_MEMBER_MAX
           && (m->text == 0) == (m->user_len + m->info_len == 0);
}


#endif /* WSCAST_PRESENCE_INNER_H */
