/* base/map: the hash is SipHash-1-3, and the map finds what is in it. */

#include "../lib/unit.h"
#include "../../src/base/map.c"


/*
 * SipHash-1-3 of the bytes 1, 8, 15, 22, ... with a key of zeros, as another
 * implementation computes it: CPython 3.11, hash(bytes), PYTHONHASHSEED=0.
 */

static const struct {
    size_t      len;
    uint64_t    hash;
} vectors[] = {
    {  1, 0x44bc103b1f8540ed },
    {  3, 0x58c04bf1747a31b8 },
    {  7, 0xb41012aeee05c7d4 },
    {  8, 0xd22d9341176d0728 },
    {  9, 0x4ec42971d570753b },
    { 15, 0x566f711d32f59152 },
    { 16, 0x7e6bfb8bf1d36ac4 },
    { 17, 0xe11516de8399dc83 },
    { 63, 0x5c34c6b66e3070ff }
};


#define NODES  1000


typedef struct {
    int                  in;
    char                 name[24];
    wscast_map_node_t    node;
} entry_t;


static entry_t  entries[NODES];


static void
test_hash(void)
{
    size_t          i, k, len;
    unsigned char  *p;

    for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        len = vectors[i].len;
        p = unit_guard(len);

        for (k = 0; k < len; k++) {
            p[k] = (unsigned char) (k * 7 + 1);
        }

        ok(wscast_siphash(0, 0, wscast_str(p, len)) == vectors[i].hash,
           "SipHash-1-3 of %zu bytes is what CPython computes", len);
    }

    ok(wscast_hash(1, wscast_str("room", 4))
       == wscast_hash(1, wscast_str("room", 4)),
       "a seed gives the same hash each time");
    ok(wscast_hash(1, wscast_str("room", 4))
       != wscast_hash(2, wscast_str("room", 4)),
       "another seed gives another hash");
    ok(wscast_hash(1, wscast_str("a", 1)) != wscast_hash(1, wscast_str("", 0)),
       "the empty string has a hash of its own");
    ok(wscast_hash(1, wscast_str("a\0", 2))
       != wscast_hash(1, wscast_str("a", 1)),
       "a trailing zero byte counts");
}


static void
fill(void)
{
    int  i, n;

    for (i = 0; i < NODES; i++) {
        n = snprintf(entries[i].name, sizeof(entries[i].name), "room:%d", i);
        entries[i].in = 0;
        entries[i].node.key = wscast_str(entries[i].name, (size_t) n);
    }
}


static int
walk(const wscast_map_t *map)
{
    int                 n;
    wscast_map_node_t  *node;

    n = 0;

    for (node = wscast_map_next(map, NULL);
         node;
         node = wscast_map_next(map, node))
    {
        n++;
    }

    return n;
}


static void
test_random(void)
{
    int                 i, k, n, wrong;
    entry_t            *e;
    wscast_map_t        map;
    wscast_map_node_t  *node, *next;

    fill();
    wscast_map_init(&map, 42);

    ok(wscast_map_find(&map, wscast_str("room:1", 6)) == NULL
       && wscast_map_next(&map, NULL) == NULL && wscast_map_validate(&map),
       "an empty map is valid, finds nothing and has nothing to walk");

    wrong = 0;
    n = 0;

    for (i = 0; i < 50000; i++) {
        k = (int) unit_below(NODES);
        e = &entries[k];

        node = wscast_map_find(&map, e->node.key);
        wrong += node != (e->in ? &e->node : NULL);

        if (e->in) {
            wscast_map_remove(&map, &e->node);
            n--;

        } else {
            wrong += wscast_map_insert(&map, &e->node) != WSCAST_OK;
            n++;
        }

        e->in = !e->in;

        if (i % 500 == 0) {
            wrong += !wscast_map_validate(&map) || walk(&map) != n;
        }
    }

    is_int(wrong, 0, "50000 random inserts, finds and removals agree with a "
           "table");
    is_int(map.count, n, "count is the number of nodes");
    ok(map.size >= map.count && map.size <= 2 * NODES,
       "the buckets have grown with the nodes");

    for (node = wscast_map_next(&map, NULL); node; node = next) {
        next = wscast_map_next(&map, node);
        wscast_map_remove(&map, node);
        n--;
    }

    is_int(n, 0, "a walk may remove each node after fetching the next");
    ok(map.count == 0 && wscast_map_validate(&map), "then the map is empty");

    wscast_map_done(&map);
    is_int(unit_live, 0, "nothing is left allocated");
}


static void
test_validate(void)
{
    wscast_map_t  map;

    fill();
    wscast_map_init(&map, 7);

    (void) wscast_map_insert(&map, &entries[0].node);
    (void) wscast_map_insert(&map, &entries[1].node);

    ok(wscast_map_validate(&map), "two nodes make a valid map");

    map.count++;
    ok(!wscast_map_validate(&map), "a wrong count is found");
    map.count--;

    entries[1].node.hash++;
    ok(!wscast_map_validate(&map), "a wrong hash is found");
    entries[1].node.hash--;

    entries[0].name[0] = 'R';
    ok(!wscast_map_validate(&map), "a key that changed is found");
    entries[0].name[0] = 'r';

    wscast_map_done(&map);
}


static void
test_memory(void)
{
    int           i, wrong;
    wscast_map_t  map;

    fill();
    wscast_map_init(&map, 7);

    unit_alloc_reset(1);
    is_int(wscast_map_insert(&map, &entries[0].node), WSCAST_NOMEM,
           "without memory for the first array an insert fails");
    ok(map.count == 0 && wscast_map_validate(&map),
       "a failed insert changes nothing");

    unit_alloc_reset(0);
    wrong = 0;

    for (i = 0; i < NODES; i++) {

        if (i == 16) {
            unit_fail_at = 2;
        }

        if (i == 17) {
            unit_alloc_reset(1);
        }

        wrong += wscast_map_insert(&map, &entries[i].node) != WSCAST_OK;
    }

    is_int(wrong, 0, "a failed growth is not an error");

    for (i = 0; i < NODES; i++) {
        wrong += wscast_map_find(&map, entries[i].node.key)
                 != &entries[i].node;
    }

    is_int(wrong, 0, "after failed growths every node is found");
    ok(wscast_map_validate(&map), "after failed growths the map is valid");

    wscast_map_done(&map);
    is_int(unit_live, 0, "nothing is left allocated");
    unit_alloc_reset(0);
}


int
main(void)
{
    test_hash();
    test_random();
    test_validate();
    test_memory();

    return done();
}
