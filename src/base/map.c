/*
 * The hash is SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input
 * PRF"): keyed, so that names cannot be chosen to collide, and short names
 * cost some twenty nanoseconds.
 */

#include "map.h"


#define WSCAST_MAP_SIZE  16     /* of the first array of buckets */


static uint64_t wscast_siphash(uint64_t k0, uint64_t k1, wscast_str_t s);
static wscast_status_t wscast_map_grow(wscast_map_t *map);


static inline uint64_t
wscast_rotl(uint64_t x, unsigned n)
{
    return (x << n) | (x >> (64 - n));
}


static inline uint64_t
wscast_load64(const unsigned char *p)
{
    return (uint64_t) p[0] | (uint64_t) p[1] << 8 | (uint64_t) p[2] << 16
           | (uint64_t) p[3] << 24 | (uint64_t) p[4] << 32
           | (uint64_t) p[5] << 40 | (uint64_t) p[6] << 48
           | (uint64_t) p[7] << 56;
}


static inline void
wscast_sipround(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = wscast_rotl(v[1], 13) ^ v[0];
    v[3] = wscast_rotl(v[3], 16) ^ v[2];
    v[0] = wscast_rotl(v[0], 32);

    v[2] += v[1];
    v[0] += v[3];
    v[1] = wscast_rotl(v[1], 17) ^ v[2];
    v[3] = wscast_rotl(v[3], 21) ^ v[0];
    v[2] = wscast_rotl(v[2], 32);
}


uint64_t
wscast_hash(uint64_t seed, wscast_str_t s)
{
    uint64_t  k;

    /* the second half of the key is a mix of the first */

    k = seed + 0x9e3779b97f4a7c15;
    k = (k ^ (k >> 30)) * 0xbf58476d1ce4e5b9;
    k = (k ^ (k >> 27)) * 0x94d049bb133111eb;
    k ^= k >> 31;

    return wscast_siphash(seed, k, s);
}


static uint64_t
wscast_siphash(uint64_t k0, uint64_t k1, wscast_str_t s)
{
    size_t                i, rest;
    uint64_t              m, v[4];
    const unsigned char  *p, *end;

    v[0] = k0 ^ 0x736f6d6570736575;
    v[1] = k1 ^ 0x646f72616e646f6d;
    v[2] = k0 ^ 0x6c7967656e657261;
    v[3] = k1 ^ 0x7465646279746573;

    rest = s.len % 8;
    p = s.data;

    if (s.len >= 8) {
        for (end = p + (s.len - rest); p < end; p += 8) {
            m = wscast_load64(p);
            v[3] ^= m;
            wscast_sipround(v);
            v[0] ^= m;
        }
    }

    m = (uint64_t) s.len << 56;

    for (i = 0; i < rest; i++) {
        m |= (uint64_t) p[i] << (8 * i);
    }

    v[3] ^= m;
    wscast_sipround(v);
    v[0] ^= m;

    v[2] ^= 0xff;
    wscast_sipround(v);
    wscast_sipround(v);
    wscast_sipround(v);

    return v[0] ^ v[1] ^ v[2] ^ v[3];
}


void
wscast_map_init(wscast_map_t *map, uint64_t seed)
{
    map->buckets = NULL;
    map->size = 0;
    map->count = 0;
    map->seed = seed;
}


void
wscast_map_done(wscast_map_t *map)
{
    wscast_free(map->buckets);
    wscast_map_init(map, map->seed);
}


wscast_map_node_t *
wscast_map_find(const wscast_map_t *map, wscast_str_t key)
{
    uint64_t            hash;
    wscast_map_node_t  *node;

    if (map->count == 0) {
        return NULL;
    }

    hash = wscast_hash(map->seed, key);

    for (node = map->buckets[hash & (map->size - 1)];
         node;
         node = node->next)
    {
        if (node->hash == hash && wscast_str_eq(node->key, key)) {
            return node;
        }
    }

    return NULL;
}


wscast_status_t
wscast_map_insert(wscast_map_t *map, wscast_map_node_t *node)
{
    wscast_map_node_t  **bucket;

    if (map->count >= map->size
        && wscast_map_grow(map) != WSCAST_OK
        && map->size == 0)
    {
        return WSCAST_NOMEM;
    }

    node->hash = wscast_hash(map->seed, node->key);

    bucket = &map->buckets[node->hash & (map->size - 1)];
    node->next = *bucket;
    *bucket = node;
    map->count++;

    return WSCAST_OK;
}


static wscast_status_t
wscast_map_grow(wscast_map_t *map)
{
    size_t               i, size;
    wscast_map_node_t   *node, *next, **buckets, **bucket;

    size = map->size ? map->size * 2 : WSCAST_MAP_SIZE;

    if (size > SIZE_MAX / sizeof(wscast_map_node_t *)) {
        return WSCAST_NOMEM;
    }

    buckets = wscast_zalloc(size * sizeof(wscast_map_node_t *));

    if (buckets == NULL) {
        return WSCAST_NOMEM;
    }

    for (i = 0; i < map->size; i++) {
        for (node = map->buckets[i]; node; node = next) {
            next = node->next;
            bucket = &buckets[node->hash & (size - 1)];
            node->next = *bucket;
            *bucket = node;
        }
    }

    wscast_free(map->buckets);
    map->buckets = buckets;
    map->size = size;

    return WSCAST_OK;
}


void
wscast_map_remove(wscast_map_t *map, wscast_map_node_t *node)
{
    wscast_map_node_t  **link;

    link = &map->buckets[node->hash & (map->size - 1)];

    while (*link != node) {
        link = &(*link)->next;
    }

    *link = node->next;
    node->next = NULL;
    map->count--;
}


wscast_map_node_t *
wscast_map_next(const wscast_map_t *map, const wscast_map_node_t *node)
{
    size_t  i;

    if (node && node->next) {
        return node->next;
    }

    i = node ? (node->hash & (map->size - 1)) + 1 : 0;

    for ( /* void */ ; i < map->size; i++) {
        if (map->buckets[i]) {
            return map->buckets[i];
        }
    }

    return NULL;
}


int
wscast_map_validate(const wscast_map_t *map)
{
    size_t                    i, count;
    const wscast_map_node_t  *node, *twin;

    if ((map->size & (map->size - 1)) != 0
        || (map->size == 0) != (map->buckets == NULL))
    {
        return 0;
    }

    count = 0;

    for (i = 0; i < map->size; i++) {
        for (node = map->buckets[i]; node; node = node->next) {

            if (++count > map->count
                || node->hash != wscast_hash(map->seed, node->key)
                || (node->hash & (map->size - 1)) != i)
            {
                return 0;
            }

            for (twin = node->next; twin; twin = twin->next) {
                if (twin == node || wscast_str_eq(twin->key, node->key)) {
                    return 0;
                }
            }
        }
    }

    return count == map->count;
}
