#include "fanout.h"


#define WSCAST_BACKLOG_SIZE  8      /* publications of the first array */


static wscast_backlog_t *wscast_backlog_create(wscast_fanout_t *f,
    wscast_channel_t *channel);
static wscast_status_t wscast_backlog_reserve(wscast_backlog_t *b);
static void wscast_backlog_turn(wscast_fanout_t *f, wscast_backlog_t *b);
static uint32_t wscast_backlog_batch(wscast_backlog_t *b, uint32_t from);
static uint32_t wscast_backlog_has(const wscast_backlog_t *b,
    const wscast_subscription_t *s);
static void wscast_backlog_give(wscast_fanout_t *f, wscast_backlog_t *b,
    wscast_subscription_t *s, uint32_t to);
static void wscast_backlog_lap(wscast_fanout_t *f, wscast_backlog_t *b);
static void wscast_backlog_release(wscast_fanout_t *f, wscast_backlog_t *b,
    uint32_t n);
static void wscast_backlog_owe(wscast_fanout_t *f, wscast_backlog_t *b,
    uint64_t owed);
static void wscast_backlog_shorten(uint32_t *n, uint32_t count);


wscast_status_t
wscast_fanout_push(wscast_fanout_t *f, wscast_channel_t *channel,
    wscast_publication_t *pub)
{
    wscast_backlog_t  *b;

    b = channel->backlog;

    if (b == NULL) {
        b = wscast_backlog_create(f, channel);

        if (b == NULL) {
            return WSCAST_NOMEM;
        }

    } else if (b->count == b->size
               && wscast_backlog_reserve(b) != WSCAST_OK)
    {
        return WSCAST_NOMEM;
    }

    b->pubs[b->count++] = wscast_publication_ref(pub);
    channel->pushed++;
    f->bytes += pub->f.data.len;

    /* now all lack something, those that this lap has passed too */

    b->end = channel->count;
    b->behind = b->cursor;
    b->to = 0;

    wscast_backlog_owe(f, b, b->owed + channel->count);

    return WSCAST_OK;
}


static wscast_backlog_t *
wscast_backlog_create(wscast_fanout_t *f, wscast_channel_t *channel)
{
    wscast_backlog_t  *b;

    b = wscast_zalloc(sizeof(wscast_backlog_t));

    if (b == NULL) {
        return NULL;
    }

    if (wscast_backlog_reserve(b) != WSCAST_OK) {
        wscast_free(b);
        return NULL;
    }

    b->channel = channel;
    b->first = channel->pushed + 1;
    b->low = UINT32_MAX;

    channel->backlog = b;
    wscast_list_append(&f->busy, &b->link);

    return b;
}


static wscast_status_t
wscast_backlog_reserve(wscast_backlog_t *b)
{
    uint32_t                size;
    wscast_publication_t  **pubs;

    /* numbers must tell old from new */

    if (b->size > WSCAST_SEQUENCE / 4) {
        return WSCAST_NOMEM;
    }

    size = b->size ? b->size * 2 : WSCAST_BACKLOG_SIZE;
    pubs = wscast_realloc(b->pubs, size * sizeof(wscast_publication_t *));

    if (pubs == NULL) {
        return WSCAST_NOMEM;
    }

    b->pubs = pubs;
    b->size = size;

    return WSCAST_OK;
}


int
wscast_fanout_step(wscast_fanout_t *f)
{
    uint32_t           n;
    wscast_backlog_t  *b;

    if (f->delivering || wscast_list_empty(&f->busy)) {
        return 0;
    }

    b = wscast_list_first(&f->busy, wscast_backlog_t, link);

    wscast_list_remove(&b->link);
    wscast_list_append(&f->busy, &b->link);

    for (n = 0; n < WSCAST_FANOUT_STEP && b->cursor < b->end; n++) {
        wscast_backlog_turn(f, b);
    }

    if (b->cursor >= b->end) {
        wscast_backlog_lap(f, b);
    }

    wscast_fanout_sweep(f);

    return !wscast_list_empty(&f->busy);
}


/* The cursor goes on; what is pushed meanwhile is for the next lap. */

static void
wscast_backlog_turn(wscast_fanout_t *f, wscast_backlog_t *b)
{
    uint32_t                has;
    wscast_subscription_t  *s;

    s = b->channel->subscribers[b->cursor];

    wscast_fanout_prefetch(f, b->channel, b->cursor);

    has = wscast_backlog_has(b, s);

    if (has < b->count) {
        has = wscast_backlog_batch(b, has);
        wscast_backlog_give(f, b, s, has);
    }

    b->cursor++;

    if (has < b->count) {
        b->behind = b->cursor;
    }

    if (has < b->low) {
        b->low = has;
    }
}


void
wscast_fanout_finish(wscast_fanout_t *f, wscast_channel_t *channel)
{
    uint32_t           i;
    wscast_backlog_t  *b;

    b = channel->backlog;

    if (b == NULL) {
        return;
    }

    for (i = 0; i < channel->count; i++) {
        wscast_backlog_give(f, b, channel->subscribers[i], b->count);
    }

    wscast_backlog_drop(f, b);
    wscast_fanout_sweep(f);
}


/*
 * Up to which: what a client finds in its socket at once must stay small
 * against what may wait for it.  Most of them have got equally far.
 */

static uint32_t
wscast_backlog_batch(wscast_backlog_t *b, uint32_t from)
{
    size_t    bytes;
    uint32_t  to;

    if (b->to && b->from == from) {
        return b->to;
    }

    bytes = 0;
    to = from;

    do {
        bytes += b->pubs[to++]->f.data.len;

    } while (to < b->count && to - from < WSCAST_BATCH_COUNT
             && bytes + b->pubs[to]->f.data.len <= WSCAST_BATCH_BYTES);

    b->from = from;
    b->to = to;

    return to;
}


/* How many of pubs; more than there are: not even those. */

static uint32_t
wscast_backlog_has(const wscast_backlog_t *b, const wscast_subscription_t *s)
{
    return (s->since + 1 - b->first) & WSCAST_SEQUENCE;
}


/* Of the first pubs, those that the subscription lacks. */

static void
wscast_backlog_give(wscast_fanout_t *f, wscast_backlog_t *b,
    wscast_subscription_t *s, uint32_t to)
{
    uint32_t  i;

    i = wscast_backlog_has(b, s);

    if (i >= to) {
        return;
    }

    s->since = (b->first + to - 1) & WSCAST_SEQUENCE;
    wscast_backlog_owe(f, b, b->owed - (to - i));

    f->delivering++;

    for ( /* void */ ; i < to && !s->gone; i++) {
        f->handler->deliver(f->ctx, s, b->pubs[i]);
    }

    if (!s->gone) {
        f->handler->given(f->ctx, s);
    }

    f->delivering--;
}


/* The next lap is for those who lack something, if there are any. */

static void
wscast_backlog_lap(wscast_fanout_t *f, wscast_backlog_t *b)
{
    if (b->behind == 0) {
        wscast_backlog_drop(f, b);
        return;
    }

    wscast_backlog_release(f, b, b->low);

    b->end = b->behind;
    b->behind = 0;
    b->cursor = 0;
    b->low = UINT32_MAX;
}


/* All have the first n, or all that there are. */

static void
wscast_backlog_release(wscast_fanout_t *f, wscast_backlog_t *b, uint32_t n)
{
    uint32_t  i;

    if (n > b->count) {
        n = b->count;
    }

    for (i = 0; i < n; i++) {
        f->bytes -= b->pubs[i]->f.data.len;
        wscast_publication_release(b->pubs[i]);
    }

    b->count -= n;
    b->first += n;
    b->to = 0;

    memmove(b->pubs, b->pubs + n, b->count * sizeof(wscast_publication_t *));
}


void
wscast_backlog_drop(wscast_fanout_t *f, wscast_backlog_t *b)
{
    wscast_backlog_release(f, b, b->count);
    wscast_backlog_owe(f, b, 0);

    b->channel->backlog = NULL;
    wscast_list_remove(&b->link);

    wscast_free(b->pubs);
    wscast_free(b);
}


static void
wscast_backlog_owe(wscast_fanout_t *f, wscast_backlog_t *b, uint64_t owed)
{
    f->owed += owed - b->owed;
    b->owed = owed;
}


void
wscast_backlog_serve(wscast_fanout_t *f, wscast_subscription_t *s)
{
    wscast_backlog_t  *b;

    b = s->channel->backlog;

    if (b) {
        wscast_backlog_give(f, b, s, b->count);
    }
}


void
wscast_backlog_removed(wscast_fanout_t *f, const wscast_subscription_t *s,
    wscast_subscription_t *moved)
{
    uint32_t           has;
    wscast_backlog_t  *b;
    wscast_channel_t  *channel;

    channel = s->channel;
    b = channel->backlog;

    if (b == NULL) {
        return;
    }

    has = wscast_backlog_has(b, s);

    if (has < b->count) {
        wscast_backlog_owe(f, b, b->owed - (b->count - has));
    }

    /* it has come from the end, where the cursor was to find it */

    if (moved && moved->index < b->cursor && channel->count >= b->cursor) {
        wscast_backlog_give(f, b, moved, b->count);
    }

    wscast_backlog_shorten(&b->end, channel->count);
    wscast_backlog_shorten(&b->cursor, channel->count);
    wscast_backlog_shorten(&b->behind, channel->count);
}


static void
wscast_backlog_shorten(uint32_t *n, uint32_t count)
{
    if (*n > count) {
        *n = count;
    }
}


int
wscast_backlog_validate(const wscast_backlog_t *b)
{
    uint32_t                 i, has;
    uint64_t                 owed;
    const wscast_channel_t  *channel;

    channel = b->channel;

    if (b->count == 0 || b->count > b->size || b->behind > b->cursor
        || b->cursor > b->end || b->end > channel->count
        || channel->pushed + 1 - b->first != b->count)
    {
        return 0;
    }

    owed = 0;

    for (i = 0; i < channel->count; i++) {
        has = wscast_backlog_has(b, channel->subscribers[i]);

        /* nobody has what was not pushed */

        if (has > b->count) {
            return 0;
        }

        if (has < b->count
            && (i >= b->end || (i < b->cursor && i >= b->behind)
                || (i < b->cursor && has < b->low)))
        {
            return 0;
        }

        owed += b->count - has;
    }

    return owed == b->owed;
}
