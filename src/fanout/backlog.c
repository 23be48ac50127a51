#include "fanout.h"


#define WSCAST_BACKLOG_SIZE  8      /* publications of the first array */


static wscast_backlog_t *wscast_backlog_create(wscast_fanout_t *f,
    wscast_channel_t *channel);
static wscast_status_t wscast_backlog_reserve(wscast_backlog_t *b);
static void wscast_backlog_begin(wscast_backlog_t *b);
static void wscast_backlog_give(wscast_fanout_t *f, wscast_backlog_t *b,
    wscast_subscription_t *s, uint32_t count);
static void wscast_backlog_end(wscast_fanout_t *f, wscast_backlog_t *b);
static void wscast_backlog_owe(wscast_fanout_t *f, wscast_backlog_t *b);


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

    wscast_backlog_owe(f, b);

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
    uint32_t           end;
    wscast_backlog_t  *b;
    wscast_channel_t  *channel;

    if (f->delivering || wscast_list_empty(&f->busy)) {
        return 0;
    }

    b = wscast_list_first(&f->busy, wscast_backlog_t, link);
    channel = b->channel;

    wscast_list_remove(&b->link);
    wscast_list_append(&f->busy, &b->link);

    if (b->batch == 0) {
        wscast_backlog_begin(b);
    }

    end = channel->count;

    if (end - b->cursor > WSCAST_FANOUT_STEP) {
        end = b->cursor + WSCAST_FANOUT_STEP;
    }

    while (b->cursor < end) {
        wscast_fanout_prefetch(channel, b->cursor);
        wscast_backlog_give(f, b, channel->subscribers[b->cursor], b->batch);
        b->cursor++;
    }

    if (b->cursor >= channel->count) {
        wscast_backlog_end(f, b);

    } else {
        wscast_backlog_owe(f, b);
    }

    wscast_fanout_sweep(f);

    return !wscast_list_empty(&f->busy);
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
 * How many: what a client finds in its socket at once must stay small against
 * what may wait for it.
 */

static void
wscast_backlog_begin(wscast_backlog_t *b)
{
    size_t  bytes;

    bytes = 0;

    do {
        bytes += b->pubs[b->batch++]->f.data.len;

    } while (b->batch < b->count && b->batch < WSCAST_BATCH_COUNT
             && bytes + b->pubs[b->batch]->f.data.len <= WSCAST_BATCH_BYTES);

    b->cursor = 0;
}


/* Of the first count publications, those that the subscription lacks. */

static void
wscast_backlog_give(wscast_fanout_t *f, wscast_backlog_t *b,
    wscast_subscription_t *s, uint32_t count)
{
    uint32_t  i;

    i = (s->since + 1 - b->first) & WSCAST_SEQUENCE;

    if (i >= count) {
        return;
    }

    s->since = (b->first + count - 1) & WSCAST_SEQUENCE;
    f->delivering++;

    for ( /* void */ ; i < count && !s->gone; i++) {
        f->handler->deliver(f->ctx, s, b->pubs[i]);
    }

    f->delivering--;
}


/* All have the batch. */

static void
wscast_backlog_end(wscast_fanout_t *f, wscast_backlog_t *b)
{
    uint32_t  i;

    if (b->batch == b->count) {
        wscast_backlog_drop(f, b);
        return;
    }

    for (i = 0; i < b->batch; i++) {
        f->bytes -= b->pubs[i]->f.data.len;
        wscast_publication_release(b->pubs[i]);
    }

    b->count -= b->batch;
    b->first += b->batch;

    memmove(b->pubs, b->pubs + b->batch,
            b->count * sizeof(wscast_publication_t *));

    b->batch = 0;
    b->cursor = 0;

    wscast_backlog_owe(f, b);
}


void
wscast_backlog_drop(wscast_fanout_t *f, wscast_backlog_t *b)
{
    uint32_t  i;

    for (i = 0; i < b->count; i++) {
        f->bytes -= b->pubs[i]->f.data.len;
        wscast_publication_release(b->pubs[i]);
    }

    f->owed -= b->owed;
    b->channel->backlog = NULL;
    wscast_list_remove(&b->link);

    wscast_free(b->pubs);
    wscast_free(b);
}


static void
wscast_backlog_owe(wscast_fanout_t *f, wscast_backlog_t *b)
{
    uint64_t  all;

    all = b->channel->count;

    f->owed -= b->owed;
    b->owed = b->count * all - (uint64_t) b->batch * b->cursor;
    f->owed += b->owed;
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
wscast_backlog_removed(wscast_fanout_t *f, wscast_channel_t *channel,
    wscast_subscription_t *moved)
{
    wscast_backlog_t  *b;

    b = channel->backlog;

    if (b == NULL) {
        return;
    }

    /* it has come from the end, where the cursor was to find it */

    if (moved && moved->index < b->cursor && channel->count >= b->cursor) {
        wscast_backlog_give(f, b, moved, b->batch);
    }

    if (b->cursor > channel->count) {
        b->cursor = channel->count;
    }
}


int
wscast_backlog_validate(const wscast_backlog_t *b)
{
    uint32_t                      i, has;
    const wscast_channel_t       *channel;
    const wscast_subscription_t  *s;

    channel = b->channel;

    if (b->count == 0 || b->count > b->size || b->batch > b->count
        || b->cursor > channel->count
        || channel->pushed + 1 - b->first != b->count)
    {
        return 0;
    }

    /* who is passed has the batch, and nobody has what was not pushed */

    for (i = 0; i < channel->count; i++) {
        s = channel->subscribers[i];
        has = (s->since + 1 - b->first) & WSCAST_SEQUENCE;

        if (has > b->count || (i < b->cursor && has < b->batch)) {
            return 0;
        }
    }

    return 1;
}
