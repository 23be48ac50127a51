/*
 * map.h: an intrusive hash map from byte strings to nodes.
 *
 * Audience: pure rooms and nginx rooms.  The map links nodes that its user
 * embeds and owns; it allocates only its array of buckets, which doubles when
 * nodes outnumber it (a failed growth is not an error: the map only slows
 * down).  The hash is seeded by the user, so that clients who choose names
 * cannot choose collisions.
 */

#ifndef WSCAST_MAP_H
#define WSCAST_MAP_H


#include "base.h"


typedef struct wscast_map_node_s  wscast_map_node_t;

struct wscast_map_node_s {
    wscast_map_node_t   *next;
    uint64_t             hash;
    wscast_str_t         key;       /* owned by the node's owner */
};


typedef struct {
    wscast_map_node_t  **buckets;
    size_t               size;      /* of buckets: 0 or a power of two */
    size_t               count;     /* of nodes */
    uint64_t             seed;
} wscast_map_t;


/* 64 bits over the bytes; the same everywhere for the same seed. */

uint64_t wscast_hash(uint64_t seed, wscast_str_t s);


void wscast_map_init(wscast_map_t *map, uint64_t seed);

/* Frees the buckets; the nodes are the user's. */
void wscast_map_done(wscast_map_t *map);

/* The node of this key, or NULL. */
wscast_map_node_t *wscast_map_find(const wscast_map_t *map, wscast_str_t key);

/*
 * Links a node whose key is set and not yet in the map.  WSCAST_NOMEM: the
 * very first array could not be had, nothing changed.
 */
wscast_status_t wscast_map_insert(wscast_map_t *map, wscast_map_node_t *node);

/* Unlinks a node that is in the map. */
void wscast_map_remove(wscast_map_t *map, wscast_map_node_t *node);

/*
 * Walks all nodes in no order: start with NULL, end at NULL.  The map must not
 * change meanwhile, but that the node returned last may be removed after its
 * successor has been fetched.
 */
wscast_map_node_t *wscast_map_next(const wscast_map_t *map,
    const wscast_map_node_t *node);

/* 1 if count, hashes and buckets agree, 0 if not.  For tests. */
int wscast_map_validate(const wscast_map_t *map);


#endif /* WSCAST_MAP_H */
