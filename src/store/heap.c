#include "heap.h"
#include "heap_inner.h"


#define WSCAST_HEAP_ALIGN   64
#define WSCAST_TABLE_SHARE  32


static uint32_t wscast_heap_table_words(size_t size);
static size_t wscast_heap_blocks_at(size_t size);
static void wscast_heap_clear(wscast_heap_sh_t *sh, uint32_t words);
static void wscast_heap_unlimbo(wscast_heap_t *h);
static void wscast_heap_end(wscast_heap_t *h);
static void wscast_heap_undo(wscast_heap_t *h);
static void wscast_heap_note(wscast_heap_t *h, void *word, uint32_t size,
    uint64_t old);


void
wscast_heap_format(wscast_heap_sh_t *sh, size_t size)
{
    uint64_t  generation;

    generation = sh->magic == WSCAST_HEAP_MAGIC ? sh->generation : 0;

    sh->magic = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);

    memset((void *) sh, 0, sizeof(wscast_heap_sh_t));

    sh->size = size;
    sh->generation = generation + 1;
    wscast_heap_clear(sh, wscast_heap_table_words(size));

    wscast_heap_put(&sh->magic, WSCAST_HEAP_MAGIC);
}


wscast_status_t
wscast_heap_open(wscast_heap_t *h, wscast_heap_sh_t *sh, size_t size)
{
    if (size < WSCAST_HEAP_MIN || sh->magic != WSCAST_HEAP_MAGIC
        || sh->size != size)
    {
        return WSCAST_ERROR;
    }

    h->sh = sh;
    h->size = size;
    h->table = (uint64_t *) (void *) (sh + 1);
    h->ntable = wscast_heap_table_words(size);
    h->blocks = (unsigned char *) sh + wscast_heap_blocks_at(size);
    h->nblocks = (size - wscast_heap_blocks_at(size)) / WSCAST_BLOCK;
    h->open = 0;
    h->failed = 0;

    return WSCAST_OK;
}


static uint32_t
wscast_heap_table_words(size_t size)
{
    uint32_t  n;

    for (n = 1; n * 2 <= size / WSCAST_TABLE_SHARE / 8 && n < 1u << 28; n *= 2)
    {
        /* void */
    }

    return n;
}


static size_t
wscast_heap_blocks_at(size_t size)
{
    size_t  at;

    at = sizeof(wscast_heap_sh_t) + (size_t) wscast_heap_table_words(size) * 8;

    return (at + WSCAST_HEAP_ALIGN - 1) & ~(size_t) (WSCAST_HEAP_ALIGN - 1);
}


static void
wscast_heap_clear(wscast_heap_sh_t *sh, uint32_t words)
{
    unsigned  i;

    wscast_heap_put(&sh->count, 0);

    for (i = 0; i < WSCAST_HEAP_ROOTS; i++) {
        wscast_heap_put(&sh->roots[i], 0);
    }

    wscast_heap_step();
    memset(sh + 1, 0, (size_t) words * 8);

    wscast_heap_put(&sh->free, 0);
    wscast_heap_put(&sh->nfree, 0);
    wscast_heap_put(&sh->limbo, 0);
    wscast_heap_put(&sh->nlimbo, 0);
    wscast_heap_put(&sh->fresh, 1);
}


void
wscast_heap_reset(wscast_heap_t *h)
{
    h->open = 0;
    h->failed = 0;

    wscast_heap_put(&h->sh->resetting, 1);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);

    wscast_heap_put(&h->sh->magic, WSCAST_HEAP_MAGIC);
    wscast_heap_put(&h->sh->size, h->size);

    wscast_heap_clear(h->sh, h->ntable);
    wscast_heap_put(&h->sh->generation, h->sh->generation + 1);
    wscast_heap_put(&h->sh->resetting, 0);
}


uint64_t
wscast_heap_generation(const wscast_heap_t *h)
{
    return h->sh->generation;
}


uint64_t *
wscast_heap_root(wscast_heap_t *h, unsigned i)
{
    return &h->sh->roots[i];
}


void
wscast_heap_begin(wscast_heap_t *h)
{
    wscast_heap_put(&h->sh->commit, UINT64_MAX);

    /* the end of the one before is seen before all that is stored here */

    __atomic_thread_fence(__ATOMIC_SEQ_CST);

    h->open = 1;
    h->failed = 0;

    if (h->sh->limbo) {
        wscast_heap_unlimbo(h);
    }
}


/* What the last transaction gave back becomes the head of the list. */

static void
wscast_heap_unlimbo(wscast_heap_t *h)
{
    wscast_block_t    *last;
    wscast_heap_sh_t  *sh;

    sh = h->sh;
    last = wscast_heap_block(h, sh->limbo_last);

    if (last == NULL) {
        h->failed = 1;
        return;
    }

    wscast_heap_set32(h, &last->next, sh->free);
    wscast_heap_set32(h, &sh->free, sh->limbo);
    wscast_heap_set32(h, &sh->nfree, sh->nfree + sh->nlimbo);
    wscast_heap_set32(h, &sh->limbo, 0);
    wscast_heap_set32(h, &sh->nlimbo, 0);
}


void
wscast_heap_hang(wscast_heap_t *h, uint64_t commit)
{
    wscast_heap_put(&h->sh->commit, commit);
}


void
wscast_heap_commit(wscast_heap_t *h)
{
    wscast_heap_end(h);
}


void
wscast_heap_abort(wscast_heap_t *h)
{
    wscast_heap_undo(h);
    wscast_heap_end(h);
}


static void
wscast_heap_end(wscast_heap_t *h)
{
    wscast_heap_put(&h->sh->count, 0);

    h->open = 0;
    h->failed = 0;
}


void
wscast_heap_recover(wscast_heap_t *h, uint64_t tail)
{
    wscast_heap_sh_t  *sh;

    sh = h->sh;
    h->open = 0;

    if (sh->resetting || sh->count > WSCAST_JOURNAL) {
        wscast_heap_reset(h);
        return;
    }

    if (sh->count == 0) {
        return;
    }

    if (sh->commit > tail) {
        wscast_heap_undo(h);
    }

    wscast_heap_end(h);
}


/* May be broken off and repeated: it only puts back what the journal has. */

static void
wscast_heap_undo(wscast_heap_t *h)
{
    uint32_t       *word;
    uint64_t        i, limit;
    wscast_undo_t  *u;

    limit = (h->blocks + (size_t) h->nblocks * WSCAST_BLOCK
             - (unsigned char *) h->sh) / 4;

    for (i = h->sh->count; i > 0 && i <= WSCAST_JOURNAL; i--) {
        u = &h->sh->undo[i - 1];

        if (u->at < offsetof(wscast_heap_sh_t, free) / 4 || u->at >= limit) {
            continue;
        }

        word = (uint32_t *) (void *) h->sh + u->at;

        if (u->size == 4) {
            wscast_heap_put(word, (uint32_t) u->old);

        } else if (u->at % 2 == 0 && u->at + 1 < limit) {
            wscast_heap_put((uint64_t *) (void *) word, u->old);
        }
    }
}


void
wscast_heap_set(wscast_heap_t *h, uint64_t *word, uint64_t value)
{
    if (*word == value) {
        return;
    }

    wscast_heap_note(h, word, 8, *word);

    if (!h->failed) {
        wscast_heap_put(word, value);
    }
}


void
wscast_heap_set32(wscast_heap_t *h, uint32_t *word, uint32_t value)
{
    if (*word == value) {
        return;
    }

    wscast_heap_note(h, word, 4, *word);

    if (!h->failed) {
        wscast_heap_put(word, value);
    }
}


static void
wscast_heap_note(wscast_heap_t *h, void *word, uint32_t size, uint64_t old)
{
    uint32_t        at;
    uint64_t        n;
    wscast_undo_t  *u;

    n = h->sh->count;

    if (!h->open || n >= WSCAST_JOURNAL) {
        h->failed = 1;
    }

    if (h->failed) {
        return;
    }

    u = &h->sh->undo[n];

    at = (uint32_t) ((uint32_t *) word - (uint32_t *) (void *) h->sh);

    wscast_heap_put(&u->at, at);
    wscast_heap_put(&u->size, size);
    wscast_heap_put(&u->old, old);
    wscast_heap_put(&h->sh->count, n + 1);
}


int
wscast_heap_failed(const wscast_heap_t *h)
{
    return h->failed;
}
