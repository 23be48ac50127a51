#include "fanout.h"


#define WSCAST_CHANNEL_SIZE  1      /* subscribers of the first array */
#define WSCAST_AHEAD         4      /* subscribers, see prefetch() */


static wscast_channel_t *wscast_channel_create(wscast_str_t name);
static void wscast_channel_free(wscast_channel_t *channel);
static wscast_status_t wscast_channel_reserve(wscast_channel_t *channel);
static wscast_status_t wscast_fanout_open(wscast_fanout_t *f,
    wscast_str_t name, wscast_channel_t **out);
static void wscast_fanout_remove(wscast_fanout_t *f, wscast_subscription_t *s);


void
wscast_fanout_init(wscast_fanout_t *f, uint64_t seed,
    const wscast_fanout_handler_t *handler, void *ctx)
{
    wscast_map_init(&f->channels, seed);
    wscast_list_init(&f->gone);
    wscast_list_init(&f->busy);

    f->handler = handler;
    f->ctx = ctx;
    f->subscriptions = 0;
    f->delivering = 0;
    f->owed = 0;
    f->bytes = 0;
}


void
wscast_fanout_done(wscast_fanout_t *f)
{
    uint32_t            i;
    wscast_channel_t   *channel;
    wscast_map_node_t  *node, *next;

    for (node = wscast_map_next(&f->channels, NULL); node; node = next) {
        next = wscast_map_next(&f->channels, node);
        channel = wscast_container(node, wscast_channel_t, node);

        for (i = 0; i < channel->count; i++) {
            wscast_list_remove(&channel->subscribers[i]->link);
            wscast_free(channel->subscribers[i]);
        }

        if (channel->backlog) {
            wscast_backlog_drop(f, channel->backlog);
        }

        wscast_channel_free(channel);
    }

    wscast_map_done(&f->channels);
    f->channels.count = 0;
    f->subscriptions = 0;
}


wscast_channel_t *
wscast_fanout_find(wscast_fanout_t *f, wscast_str_t name)
{
    wscast_map_node_t  *node;

    node = wscast_map_find(&f->channels, name);

    return node ? wscast_container(node, wscast_channel_t, node) : NULL;
}


wscast_status_t
wscast_fanout_subscribe(wscast_fanout_t *f, wscast_str_t name,
    void *subscriber, wscast_list_t *mine, wscast_subscription_t **out)
{
    wscast_status_t         rc;
    wscast_channel_t       *channel;
    wscast_subscription_t  *s;

    if (f->delivering) {
        return WSCAST_AGAIN;
    }

    s = wscast_zalloc(sizeof(wscast_subscription_t));

    if (s == NULL) {
        return WSCAST_NOMEM;
    }

    channel = wscast_fanout_find(f, name);

    rc = channel ? wscast_channel_reserve(channel)
                 : wscast_fanout_open(f, name, &channel);

    if (rc != WSCAST_OK) {
        wscast_free(s);
        return rc;
    }

    s->channel = channel;
    s->subscriber = subscriber;
    s->index = channel->count;
    s->since = channel->pushed & WSCAST_SEQUENCE;

    channel->subscribers[channel->count++] = s;
    f->subscriptions++;
    wscast_list_append(mine, &s->link);

    /* asked last: all that can fail here has been had, and can be undone */

    if (channel->count == 1) {
        rc = f->handler->first(f->ctx, channel);

        if (rc != WSCAST_OK) {
            wscast_list_remove(&s->link);
            wscast_free(s);
            f->subscriptions--;
            wscast_map_remove(&f->channels, &channel->node);
            wscast_channel_free(channel);
            return rc;
        }
    }

    *out = s;

    return WSCAST_OK;
}


/* A channel in the map, with room for its first subscriber. */

static wscast_status_t
wscast_fanout_open(wscast_fanout_t *f, wscast_str_t name,
    wscast_channel_t **out)
{
    wscast_channel_t  *channel;

    channel = wscast_channel_create(name);

    if (channel == NULL) {
        return WSCAST_NOMEM;
    }

    if (wscast_map_insert(&f->channels, &channel->node) != WSCAST_OK) {
        wscast_channel_free(channel);
        return WSCAST_NOMEM;
    }

    *out = channel;

    return WSCAST_OK;
}


static wscast_channel_t *
wscast_channel_create(wscast_str_t name)
{
    unsigned char     *p;
    wscast_channel_t  *channel;

    channel = wscast_alloc(sizeof(wscast_channel_t) + name.len);

    if (channel == NULL) {
        return NULL;
    }

    memset(channel, 0, sizeof(wscast_channel_t));

    if (wscast_channel_reserve(channel) != WSCAST_OK) {
        wscast_free(channel);
        return NULL;
    }

    p = (unsigned char *) (channel + 1);

    if (name.len) {
        memcpy(p, name.data, name.len);
    }

    channel->node.key = wscast_str(p, name.len);

    return channel;
}


static void
wscast_channel_free(wscast_channel_t *channel)
{
    wscast_free(channel->subscribers);
    wscast_free(channel);
}


/* Room for one subscriber more. */

static wscast_status_t
wscast_channel_reserve(wscast_channel_t *channel)
{
    uint32_t                 size;
    wscast_subscription_t  **subscribers;

    if (channel->count < channel->size) {
        return WSCAST_OK;
    }

    if (channel->size > UINT32_MAX / 2 / sizeof(wscast_subscription_t *)) {
        return WSCAST_NOMEM;
    }

    size = channel->size ? channel->size * 2 : WSCAST_CHANNEL_SIZE;

    subscribers = wscast_realloc(channel->subscribers,
                                 size * sizeof(wscast_subscription_t *));

    if (subscribers == NULL) {
        return WSCAST_NOMEM;
    }

    channel->subscribers = subscribers;
    channel->size = size;

    return WSCAST_OK;
}


void
wscast_fanout_unsubscribe(wscast_fanout_t *f, wscast_subscription_t *s)
{
    if (s->gone) {
        return;
    }

    wscast_list_remove(&s->link);

    if (f->delivering) {
        s->gone = 1;
        wscast_list_append(&f->gone, &s->link);
        return;
    }

    wscast_backlog_serve(f, s);
    wscast_fanout_remove(f, s);
}


static void
wscast_fanout_remove(wscast_fanout_t *f, wscast_subscription_t *s)
{
    wscast_channel_t       *channel;
    wscast_subscription_t  *moved;

    channel = s->channel;

    moved = channel->subscribers[--channel->count];
    moved->index = s->index;
    channel->subscribers[s->index] = moved;

    wscast_backlog_removed(f, s, moved == s ? NULL : moved);

    wscast_free(s);
    f->subscriptions--;

    if (channel->count == 0) {

        if (channel->backlog) {
            wscast_backlog_drop(f, channel->backlog);
        }

        wscast_map_remove(&f->channels, &channel->node);
        f->handler->last(f->ctx, channel);
        wscast_channel_free(channel);
    }
}


size_t
wscast_fanout_deliver(wscast_fanout_t *f, wscast_channel_t *channel,
    void (*deliver)(void *arg, wscast_subscription_t *s), void *arg)
{
    size_t                  n;
    uint32_t                i;
    wscast_subscription_t  *s;

    n = 0;
    f->delivering++;

    for (i = 0; i < channel->count; i++) {
        s = channel->subscribers[i];

        wscast_fanout_prefetch(f, channel, i);

        if (!s->gone) {
            deliver(arg, s);
            n++;
        }
    }

    f->delivering--;

    wscast_fanout_sweep(f);

    return n;
}


void
wscast_fanout_sweep(wscast_fanout_t *f)
{
    wscast_subscription_t  *s;

    /* last() may deliver in its turn, so the list is not walked but emptied */

    while (f->delivering == 0 && !wscast_list_empty(&f->gone)) {
        s = wscast_list_first(&f->gone, wscast_subscription_t, link);
        wscast_list_remove(&s->link);
        wscast_fanout_remove(f, s);
    }
}


/*
 * Nobody's memory is in the cache when a large channel is walked again: ask for
 * it some subscribers ahead, first the subscription, then the client.
 */

void
wscast_fanout_prefetch(const wscast_fanout_t *f,
    const wscast_channel_t *channel, uint32_t i)
{
    char  *client;

    if (channel->count - i > 2 * WSCAST_AHEAD) {
        wscast_prefetch(channel->subscribers[i + 2 * WSCAST_AHEAD],
                        sizeof(wscast_subscription_t));
    }

    if (channel->count - i > WSCAST_AHEAD) {
        client = channel->subscribers[i + WSCAST_AHEAD]->subscriber;

        wscast_prefetch(client - f->handler->before,
                        f->handler->before + f->handler->behind);
    }
}


static int
wscast_channel_validate(const wscast_channel_t *channel, size_t *gone)
{
    uint32_t                      i;
    const wscast_subscription_t  *s;

    if (channel->count == 0 || channel->count > channel->size) {
        return 0;
    }

    for (i = 0; i < channel->count; i++) {
        s = channel->subscribers[i];

        if (s->channel != channel
            || s->index != i
            || !wscast_list_validate(&s->link))
        {
            return 0;
        }

        *gone += s->gone;
    }

    return channel->backlog == NULL
           || (channel->backlog->channel == channel
               && wscast_backlog_validate(channel->backlog));
}


int
wscast_fanout_validate(const wscast_fanout_t *f)
{
    size_t                    subscriptions, gone;
    const wscast_list_t      *l;
    const wscast_channel_t   *channel;
    const wscast_map_node_t  *node;

    if (!wscast_map_validate(&f->channels)
        || !wscast_list_validate(&f->gone)
        || !wscast_list_validate(&f->busy)
        || (f->delivering == 0 && !wscast_list_empty(&f->gone)))
    {
        return 0;
    }

    subscriptions = 0;
    gone = 0;

    for (node = wscast_map_next(&f->channels, NULL);
         node;
         node = wscast_map_next(&f->channels, node))
    {
        channel = wscast_container(node, const wscast_channel_t, node);
        subscriptions += channel->count;

        if (!wscast_channel_validate(channel, &gone)) {
            return 0;
        }
    }

    for (l = f->gone.next; l != &f->gone; l = l->next) {
        if (!wscast_container(l, const wscast_subscription_t, link)->gone
            || gone-- == 0)
        {
            return 0;
        }
    }

    return gone == 0 && subscriptions == f->subscriptions;
}
