/* presence: who is there, and whose time is up when. */

#include "presence_inner.h"


/* How far from a cursor the neighbour of one who has left is looked for. */
#define WSCAST_PAGE_PROBES  32


typedef struct {
    unsigned char    *data;
    size_t            len;
    size_t            size;
} wscast_page_t;


static wscast_status_t wscast_presence_groups(const wscast_presence_t *p,
    uint32_t *at, uint32_t *left, wscast_group_sh_t **g);
static wscast_status_t wscast_presence_after(const wscast_presence_t *p,
    wscast_cell_t channel, uint64_t cursor, wscast_cell_t *cell);
static wscast_status_t wscast_presence_walk(const wscast_presence_t *p,
    const wscast_channel_sh_t *c, uint64_t cursor, wscast_cell_t *cell);
static wscast_status_t wscast_presence_copy(const wscast_presence_t *p,
    const wscast_member_sh_t *m, wscast_page_t *page);
static wscast_status_t wscast_presence_copy_all(const wscast_presence_t *p,
    wscast_cell_t cell, uint64_t last, uint32_t limit, size_t bytes,
    wscast_page_t *page, uint64_t *next);


/*
 * The next group of a chain.  WSCAST_MORE: that was the last; *left bounds a
 * chain that goes in a circle.
 */

static wscast_status_t
wscast_presence_groups(const wscast_presence_t *p, uint32_t *at,
    uint32_t *left, wscast_group_sh_t **g)
{
    if (*at == 0) {
        return WSCAST_MORE;
    }

    *g = wscast_presence_group(p, *at);

    if (*g == NULL || (*left)-- == 0) {
        return WSCAST_ERROR;
    }

    *at = (*g)->node.chains[0].next;

    return WSCAST_OK;
}


uint64_t
wscast_presence_owner(wscast_presence_t *p, uint64_t after)
{
    uint32_t            at, left;
    uint64_t            next;
    wscast_group_sh_t  *g;

    next = 0;
    at = *wscast_presence_root(p, WSCAST_ROOT_OWNERS);
    left = wscast_heap_total(p->heap);

    while (wscast_presence_groups(p, &at, &left, &g) == WSCAST_OK) {
        if (g->key > after && (next == 0 || g->key < next)) {
            next = g->key;
        }
    }

    return next;
}


/* The first of each grace time are compared: there are few of these. */

wscast_status_t
wscast_presence_earliest(const wscast_presence_t *p, wscast_cell_t *cell,
    uint64_t *deadline)
{
    uint32_t             at, left;
    wscast_status_t      rc;
    wscast_group_sh_t   *g;
    wscast_member_sh_t  *m;

    *cell = 0;
    *deadline = 0;
    at = *wscast_presence_root(p, WSCAST_ROOT_GRACES);
    left = wscast_heap_total(p->heap);

    for ( ;; ) {
        rc = wscast_presence_groups(p, &at, &left, &g);

        if (rc != WSCAST_OK) {
            break;
        }

        if (g->members.first == 0) {
            continue;
        }

        m = wscast_presence_member(p, g->members.first);

        if (m == NULL || m->owner) {
            return WSCAST_ERROR;
        }

        if (*cell == 0 || m->deadline < *deadline) {
            *cell = g->members.first;
            *deadline = m->deadline;
        }
    }

    return rc == WSCAST_MORE && *cell ? WSCAST_OK : rc;
}


/* Damage is due at once: who removes what is due will find it. */

uint64_t
wscast_presence_next(wscast_presence_t *p)
{
    uint64_t         deadline;
    wscast_cell_t    cell;
    wscast_status_t  rc;

    rc = wscast_presence_earliest(p, &cell, &deadline);

    if (rc == WSCAST_MORE) {
        return 0;
    }

    return rc == WSCAST_OK && deadline ? deadline : 1;
}


wscast_status_t
wscast_presence_page(wscast_presence_t *p, wscast_str_t channel,
    uint64_t cursor, uint32_t limit, size_t bytes, unsigned char **out,
    size_t *len, uint64_t *next, uint64_t *total)
{
    wscast_cell_t         c, cell;
    wscast_page_t         page;
    wscast_status_t       rc;
    wscast_channel_sh_t  *ch;

    *out = NULL;
    *len = 0;
    *next = 0;
    *total = 0;

    rc = wscast_presence_find_channel(p, channel, &c);

    if (rc != WSCAST_OK) {
        return rc == WSCAST_MORE ? WSCAST_OK : rc;
    }

    ch = wscast_presence_channel(p, c);
    *total = ch->count;

    if (limit == 0) {
        return WSCAST_OK;
    }

    memset(&page, 0, sizeof(wscast_page_t));
    rc = wscast_presence_after(p, c, cursor, &cell);

    if (rc == WSCAST_OK) {
        rc = wscast_presence_copy_all(p, cell, cursor,
                                      limit < ch->count ? limit : ch->count,
                                      bytes, &page, next);
    }

    if (rc != WSCAST_OK) {
        wscast_free(page.data);
        *next = 0;
        return rc;
    }

    *out = page.data;
    *len = page.len;

    return WSCAST_OK;
}


/* The first member whose number is above the cursor; 0: none. */

static wscast_status_t
wscast_presence_after(const wscast_presence_t *p, wscast_cell_t channel,
    uint64_t cursor, wscast_cell_t *cell)
{
    unsigned              i;
    wscast_cell_t         at;
    wscast_status_t       rc;
    wscast_member_sh_t   *first, *last;
    wscast_channel_sh_t  *c;

    c = wscast_presence_channel(p, channel);
    first = wscast_presence_member(p, c->members.first);
    last = wscast_presence_member(p, c->members.last);

    if (first == NULL || last == NULL) {
        return WSCAST_ERROR;
    }

    if (cursor < first->number || cursor >= last->number) {
        *cell = cursor < first->number ? c->members.first : 0;
        return WSCAST_OK;
    }

    /* nearly always it is there, or its neighbour is */

    for (i = 0; i < WSCAST_PAGE_PROBES && cursor - i >= first->number; i++) {
        rc = wscast_presence_find_number(p, channel, cursor - i, &at);

        if (rc == WSCAST_OK) {
            *cell = wscast_presence_member(p, at)->lists[0].next;
            return *cell ? WSCAST_OK : WSCAST_ERROR;
        }

        if (rc == WSCAST_ERROR) {
            return rc;
        }
    }

    return wscast_presence_walk(p, c, cursor, cell);
}


/* From the nearer end. */

static wscast_status_t
wscast_presence_walk(const wscast_presence_t *p, const wscast_channel_sh_t *c,
    uint64_t cursor, wscast_cell_t *cell)
{
    int                  back;
    uint32_t             n, at;
    uint64_t             first;
    wscast_member_sh_t  *m;

    first = wscast_presence_member(p, c->members.first)->number;
    back = c->number - cursor < cursor - first;
    at = back ? c->members.last : c->members.first;
    *cell = 0;

    for (n = c->count; n; n--) {
        m = wscast_presence_member(p, at);

        if (m == NULL) {
            return WSCAST_ERROR;
        }

        if (m->number > cursor) {
            *cell = at;
        }

        if (back ? m->number <= cursor : m->number > cursor) {
            return WSCAST_OK;
        }

        at = back ? m->lists[WSCAST_IN_CHANNEL].prev
                  : m->lists[WSCAST_IN_CHANNEL].next;
    }

    return WSCAST_ERROR;
}


/* From this cell on, which comes after the number last. */

static wscast_status_t
wscast_presence_copy_all(const wscast_presence_t *p, wscast_cell_t cell,
    uint64_t last, uint32_t limit, size_t bytes, wscast_page_t *page,
    uint64_t *next)
{
    wscast_status_t      rc;
    wscast_member_sh_t  *m;

    for ( ; cell; last = m->number) {
        if (limit == 0 || (page->len && page->len >= bytes)) {
            *next = last;
            return WSCAST_OK;
        }

        m = wscast_presence_member(p, cell);

        if (m == NULL || m->number <= last) {
            return WSCAST_ERROR;
        }

        rc = wscast_presence_copy(p, m, page);

        if (rc != WSCAST_OK) {
            return rc;
        }

        limit--;
        cell = m->lists[WSCAST_IN_CHANNEL].next;
    }

    return WSCAST_OK;
}


static wscast_status_t
wscast_presence_copy(const wscast_presence_t *p, const wscast_member_sh_t *m,
    wscast_page_t *page)
{
    size_t          len, size;
    unsigned char  *data;

    if (!wscast_presence_text_ok(m)) {
        return WSCAST_ERROR;
    }

    len = (size_t) m->user_len + m->info_len;
    size = page->len + WSCAST_CLIENT_ID + 8 + len;

    if (page->size < size) {
        size = size < 512 ? 1024 : size * 2;
        data = wscast_realloc(page->data, size);

        if (data == NULL) {
            return WSCAST_NOMEM;
        }

        page->data = data;
        page->size = size;
    }

    data = page->data + page->len;
    memcpy(data, m->known, WSCAST_CLIENT_ID);
    data += WSCAST_CLIENT_ID;
    memcpy(data, &m->user_len, 4);
    memcpy(data + 4, &m->info_len, 4);
    page->len += WSCAST_CLIENT_ID + 8 + len;

    return wscast_heap_read(p->heap, m->text, 0, data + 8, len);
}
