#include "heap.h"
#include "heap_inner.h"


static uint32_t wscast_heap_take(wscast_heap_t *h, uint32_t n, uint32_t *last);
static void wscast_heap_grow(wscast_heap_t *h, uint32_t n, uint32_t last);
static wscast_block_t *wscast_heap_seek(const wscast_heap_t *h,
    wscast_cell_t cell, size_t *offset);
static int wscast_heap_mark_list(const wscast_heap_t *h, unsigned char *seen,
    uint32_t cell, uint32_t n);
static int wscast_heap_mark_chains(const wscast_heap_t *h,
    unsigned char *seen);
static int wscast_heap_mark_chain(const wscast_heap_t *h, unsigned char *seen,
    uint32_t first);


uint32_t
wscast_heap_blocks(size_t size)
{
    size_t  n;

    n = size / WSCAST_CELL_FIXED + (size % WSCAST_CELL_FIXED != 0);

    if (n == 0) {
        return 1;
    }

    return n < UINT32_MAX ? (uint32_t) n : UINT32_MAX;
}


uint32_t
wscast_heap_total(const wscast_heap_t *h)
{
    return h->nblocks - 1;
}


uint32_t
wscast_heap_free_blocks(const wscast_heap_t *h)
{
    uint64_t           n;
    wscast_heap_sh_t  *sh;

    sh = h->sh;

    if (sh->fresh == 0 || sh->fresh > h->nblocks) {
        return 0;
    }

    n = (uint64_t) sh->nfree + sh->nlimbo + (h->nblocks - sh->fresh);

    return n < h->nblocks ? (uint32_t) n : 0;
}


wscast_cell_t
wscast_heap_alloc(wscast_heap_t *h, size_t size)
{
    uint32_t           n, listed, first, last;
    wscast_block_t    *b, *end;
    wscast_heap_sh_t  *sh;

    sh = h->sh;
    n = wscast_heap_blocks(size);

    if (!h->open || h->failed || sh->fresh == 0 || sh->fresh > h->nblocks) {
        h->failed = 1;
        return 0;
    }

    if (n >= h->nblocks
        || n > (uint64_t) sh->nfree + (h->nblocks - sh->fresh))
    {
        return 0;
    }

    listed = n < sh->nfree ? n : sh->nfree;
    first = listed ? sh->free : sh->fresh;
    last = 0;

    if (listed) {
        first = wscast_heap_take(h, listed, &last);
    }

    if (n > listed) {
        wscast_heap_grow(h, n - listed, last);
        last = sh->fresh - 1;
    }

    b = wscast_heap_block(h, first);
    end = wscast_heap_block(h, last);

    if (h->failed || b == NULL || end == NULL) {
        h->failed = 1;
        return 0;
    }

    wscast_heap_step();
    memset(b->bytes, 0, WSCAST_CELL_FIXED);
    wscast_heap_put(&b->ends, last);
    wscast_heap_put(&end->ends, n);

    return first;
}


/* Takes n blocks from the head of the list, which has as many. */

static uint32_t
wscast_heap_take(wscast_heap_t *h, uint32_t n, uint32_t *last)
{
    uint32_t           i, cell, first;
    wscast_block_t    *b;
    wscast_heap_sh_t  *sh;

    sh = h->sh;
    first = sh->free;
    cell = first;
    b = NULL;

    for (i = 0; i < n; i++) {
        b = wscast_heap_block(h, cell);

        if (b == NULL) {
            h->failed = 1;
            return 0;
        }

        *last = cell;
        cell = b->next;
    }

    if ((cell == 0) != (n == sh->nfree)) {
        h->failed = 1;
        return 0;
    }

    wscast_heap_set32(h, &sh->free, cell);
    wscast_heap_set32(h, &sh->nfree, sh->nfree - n);
    wscast_heap_set32(h, &b->next, 0);

    return first;
}


/* Puts n blocks that were never used behind the block last, if that is one. */

static void
wscast_heap_grow(wscast_heap_t *h, uint32_t n, uint32_t last)
{
    uint32_t         i, first;
    wscast_block_t  *b;

    first = h->sh->fresh;

    for (i = first; i < first + n; i++) {
        b = wscast_heap_block(h, i);

        if (b == NULL) {
            h->failed = 1;
            return;
        }

        wscast_heap_put(&b->next, i + 1 < first + n ? i + 1 : 0);
    }

    wscast_heap_set32(h, &h->sh->fresh, first + n);

    b = wscast_heap_block(h, last);

    if (b) {
        wscast_heap_set32(h, &b->next, first);
    }
}


void
wscast_heap_free(wscast_heap_t *h, wscast_cell_t cell)
{
    uint32_t           last, n;
    wscast_block_t    *b, *end;
    wscast_heap_sh_t  *sh;

    sh = h->sh;
    b = wscast_heap_block(h, cell);

    if (b == NULL) {
        h->failed = 1;
        return;
    }

    last = b->next ? b->ends : cell;
    end = wscast_heap_block(h, last);
    n = end ? end->ends : 0;

    if (n == 0 || end->next
        || (uint64_t) n + wscast_heap_free_blocks(h) >= h->nblocks)
    {
        h->failed = 1;
        return;
    }

    wscast_heap_set32(h, &end->next, sh->limbo);

    if (sh->limbo == 0) {
        wscast_heap_set32(h, &sh->limbo_last, last);
    }

    wscast_heap_set32(h, &sh->limbo, cell);
    wscast_heap_set32(h, &sh->nlimbo, sh->nlimbo + n);
}


void *
wscast_heap_at(const wscast_heap_t *h, wscast_cell_t cell)
{
    return wscast_heap_block(h, cell);
}


/* The block that has byte offset of the object, and where in it; or NULL. */

static wscast_block_t *
wscast_heap_seek(const wscast_heap_t *h, wscast_cell_t cell, size_t *offset)
{
    wscast_block_t  *b;

    if (*offset / WSCAST_CELL_FIXED >= h->nblocks) {
        return NULL;
    }

    b = wscast_heap_block(h, cell);

    while (b && *offset >= WSCAST_CELL_FIXED) {
        *offset -= WSCAST_CELL_FIXED;
        b = wscast_heap_block(h, b->next);
    }

    return b;
}


wscast_status_t
wscast_heap_read(const wscast_heap_t *h, wscast_cell_t cell, size_t offset,
    void *out, size_t len)
{
    size_t           n;
    wscast_block_t  *b;
    unsigned char   *p;

    p = out;

    if (len == 0) {
        return WSCAST_OK;
    }

    if (len / WSCAST_CELL_FIXED >= h->nblocks) {
        return WSCAST_ERROR;
    }

    b = wscast_heap_seek(h, cell, &offset);

    while (b) {
        n = WSCAST_CELL_FIXED - offset;
        n = n < len ? n : len;

        memcpy(p, b->bytes + offset, n);
        p += n;
        len -= n;
        offset = 0;

        if (len == 0) {
            return WSCAST_OK;
        }

        b = wscast_heap_block(h, b->next);
    }

    return WSCAST_ERROR;
}


wscast_status_t
wscast_heap_write(wscast_heap_t *h, wscast_cell_t cell, size_t offset,
    const void *data, size_t len)
{
    size_t                n;
    wscast_block_t       *b;
    const unsigned char  *p;

    p = data;

    if (len == 0) {
        return WSCAST_OK;
    }

    if (len / WSCAST_CELL_FIXED >= h->nblocks) {
        return WSCAST_ERROR;
    }

    b = wscast_heap_seek(h, cell, &offset);

    while (b) {
        n = WSCAST_CELL_FIXED - offset;
        n = n < len ? n : len;

        wscast_heap_step();
        memcpy(b->bytes + offset, p, n);
        p += n;
        len -= n;
        offset = 0;

        if (len == 0) {
            return WSCAST_OK;
        }

        b = wscast_heap_block(h, b->next);
    }

    return WSCAST_ERROR;
}


int
wscast_heap_equal(const wscast_heap_t *h, wscast_cell_t cell, size_t offset,
    wscast_str_t s)
{
    size_t                n, len;
    wscast_block_t       *b;
    const unsigned char  *p;

    len = s.len;
    p = s.data;

    if (len == 0) {
        return 1;
    }

    for (b = wscast_heap_seek(h, cell, &offset);
         b;
         b = wscast_heap_block(h, b->next))
    {
        n = WSCAST_CELL_FIXED - offset;
        n = n < len ? n : len;

        if (memcmp(b->bytes + offset, p, n) != 0) {
            return 0;
        }

        p += n;
        len -= n;
        offset = 0;

        if (len == 0) {
            return 1;
        }
    }

    return 0;
}


int
wscast_heap_validate(const wscast_heap_t *h)
{
    int                whole;
    unsigned char     *seen;
    wscast_heap_sh_t  *sh;

    sh = h->sh;

    if (sh->magic != WSCAST_HEAP_MAGIC || sh->resetting || sh->count
        || sh->fresh == 0 || sh->fresh > h->nblocks)
    {
        return 0;
    }

    seen = wscast_zalloc(sh->fresh);

    if (seen == NULL) {
        return 0;
    }

    whole = wscast_heap_mark_list(h, seen, sh->free, sh->nfree)
            && wscast_heap_mark_list(h, seen, sh->limbo, sh->nlimbo)
            && wscast_heap_mark_chains(h, seen);

    wscast_free(seen);

    return whole;
}


/* 1 if the list has n blocks, none of them marked before. */

static int
wscast_heap_mark_list(const wscast_heap_t *h, unsigned char *seen,
    uint32_t cell, uint32_t n)
{
    while (n--) {
        if (cell == 0 || cell >= h->sh->fresh || seen[cell]) {
            return 0;
        }

        seen[cell] = 1;
        cell = wscast_heap_block(h, cell)->next;
    }

    return cell == 0;
}


/* 1 if all blocks that are not marked yet are chains whose ends agree. */

static int
wscast_heap_mark_chains(const wscast_heap_t *h, unsigned char *seen)
{
    uint32_t  i, next;

    /* 2: somebody's second or later block */

    for (i = 1; i < h->sh->fresh; i++) {
        next = wscast_heap_block(h, i)->next;

        if (seen[i] != 1 && next) {
            if (next >= h->sh->fresh || seen[next]) {
                return 0;
            }

            seen[next] = 2;
        }
    }

    for (i = 1; i < h->sh->fresh; i++) {
        if (seen[i] == 0 && !wscast_heap_mark_chain(h, seen, i)) {
            return 0;
        }
    }

    /* those left are rings */

    for (i = 1; i < h->sh->fresh; i++) {
        if (seen[i] != 1) {
            return 0;
        }
    }

    return 1;
}


static int
wscast_heap_mark_chain(const wscast_heap_t *h, unsigned char *seen,
    uint32_t first)
{
    uint32_t  cell, last, n;

    n = 0;
    last = first;

    for (cell = first; cell; cell = wscast_heap_block(h, cell)->next) {
        seen[cell] = 1;
        last = cell;
        n++;
    }

    return wscast_heap_block(h, last)->ends == n
           && (n == 1 || wscast_heap_block(h, first)->ends == last);
}
