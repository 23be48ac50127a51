/*
 * history_case.h: a history in a heap that ends at a guard page, and what one
 * usually does to it.
 *
 * Audience: t/store/history*.c.
 */

#ifndef WSCAST_T_HISTORY_CASE_H
#define WSCAST_T_HISTORY_CASE_H


#include "heap_case.h"

#include "../../src/store/history.c"
#include "../../src/store/history_objects.c"
#include "../../src/store/history_end.c"
#include "../../src/store/history_read.c"
#include "../../src/store/history_check.c"

#include <stdio.h>


static wscast_history_t   history;
static wscast_position_t  at;
static wscast_packed_t    packed;
static unsigned           more;
static uint64_t           clock_ms;


static wscast_str_t
s(const char *text)
{
    return wscast_str(text, strlen(text));
}


static void
begin(size_t n)
{
    fresh(n);
    wscast_history_init(&history, &heap, 42);
    clock_ms = 1000000;
}


/* Inside a transaction: somebody else takes all blocks. */

static inline void
take_all(void)
{
    if (wscast_heap_alloc(&heap, (size_t) wscast_heap_free_blocks(&heap)
                                 * WSCAST_CELL_FIXED)
        == 0)
    {
        abort();
    }
}


/* A publish, whole; the epoch of a new channel is 7. */

static wscast_status_t
publish_key(const char *channel, const char *key, uint32_t count,
    uint64_t ttl, wscast_str_t body)
{
    wscast_keep_t    k;
    wscast_status_t  rc;

    memset(&k, 0, sizeof(k));
    k.channel = s(channel);
    k.key = s(key);
    k.fresh = 7;
    k.count = count;
    k.ttl = ttl;
    k.now = clock_ms;

    if (wscast_history_room(&history, &k, body.len) == WSCAST_ERROR) {
        return WSCAST_ERROR;
    }

    wscast_heap_begin(&heap);
    rc = wscast_history_next(&history, &k, &at);

    if (rc == WSCAST_OK) {
        rc = wscast_history_append(&history, &k, &at, body);
    }

    if (rc == WSCAST_OK) {
        wscast_heap_commit(&heap);

    } else {
        wscast_heap_abort(&heap);
    }

    return rc;
}


TAP_UNUSED static wscast_status_t
publish(const char *channel, uint32_t count, uint64_t ttl, const char *body)
{
    return publish_key(channel, "", count, ttl, s(body));
}


static wscast_status_t
read_range(const char *channel, uint64_t after, uint64_t upto, unsigned newest,
    uint32_t limit, size_t bytes, uint64_t since)
{
    wscast_range_t  r;

    memset(&r, 0, sizeof(r));
    r.channel = s(channel);
    r.after = after;
    r.upto = upto;
    r.newest = newest;
    r.limit = limit;
    r.bytes = bytes;
    r.since = since;

    return wscast_history_read(&history, &r, &packed, &at, &more);
}


/* The bodies of all that is kept, each followed by a space. */

static const char *
joined(void)
{
    size_t       i, n;
    uint32_t     len;
    static char  text[2 * SMALL];

    n = 0;

    for (i = 0; i < packed.len; i += len) {
        memcpy(&len, packed.data + i, 4);
        i += 4;

        if (n + len + 2 > sizeof(text)) {
            abort();
        }

        memcpy(text + n, packed.data + i, len);
        n += len;
        text[n++] = ' ';
    }

    text[n] = '\0';

    return text;
}


TAP_UNUSED static const char *
all(const char *channel)
{
    if (read_range(channel, 0, 0, 0, UINT32_MAX, SIZE_MAX, 0) != WSCAST_OK) {
        return "damaged";
    }

    return joined();
}


TAP_UNUSED static int
valid(void)
{
    return wscast_heap_validate(&heap) && wscast_history_validate(&history);
}


static uint32_t
blocks_of(wscast_aged_e kind, uint32_t cell)
{
    void  *p;

    p = wscast_history_at(&history, kind, cell);

    switch (kind) {

    case WSCAST_AGED_ENTRY:
        return wscast_heap_blocks(sizeof(wscast_entry_t)
                                  + ((wscast_entry_t *) p)->len);
    case WSCAST_AGED_MESSAGE:
        return wscast_heap_blocks(sizeof(wscast_kept_t)
                                  + ((wscast_kept_t *) p)->len);
    default:
        return wscast_heap_blocks(sizeof(wscast_key_t));
    }
}


/* 1 if every block that is not free belongs to something that is found. */

TAP_UNUSED static int
accounted(void)
{
    uint32_t  i, cell, n, used;

    n = heap.ntable / 2;
    used = 0;

    for (i = 0; i < 2 * n; i++) {
        cell = wscast_heap_table(&heap, WSCAST_TABLE_HISTORY)[i];

        while (cell) {
            used += blocks_of(i < n ? WSCAST_AGED_ENTRY : WSCAST_AGED_KEY,
                              cell);
            cell = ((wscast_aged_t *) wscast_heap_at(&heap, cell))->chained;
        }
    }

    cell = wscast_history_head(&history, WSCAST_AGED_MESSAGE);

    while (cell) {
        used += blocks_of(WSCAST_AGED_MESSAGE, cell);
        cell = ((wscast_aged_t *) wscast_heap_at(&heap, cell))->newer;
    }

    return used + wscast_heap_free_blocks(&heap) == wscast_heap_total(&heap);
}


TAP_UNUSED static void
over(void)
{
    wscast_free(packed.data);
    is_int(unit_live, 0, "nothing private is left over");
}


#endif /* WSCAST_T_HISTORY_CASE_H */
