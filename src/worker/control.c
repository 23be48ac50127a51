#include "control_inner.h"


#define NGX_WSCAST_CONTROL_HELD   (4 * 1024 * 1024)     /* bytes of posts */
#define NGX_WSCAST_CONTROL_RETRY  1000                  /* ms, for a slot */


/* A publication on its way; its strings lie behind it. */

typedef struct {
    wscast_receipt_t         receipt;
    wscast_list_t            link;          /* of queue or sent */
    ngx_wscast_control_t    *control;       /* NULL: it has gone */
    ngx_wscast_gather_t     *gather;        /* NULL: nobody's question */
    size_t                   size;
    wscast_str_t             channel;
    wscast_str_t             bytes;
    unsigned                 local:1;
} ngx_wscast_post_t;


static void ngx_wscast_control_flush(ngx_wscast_control_t *control);
static void ngx_wscast_control_retry(wscast_waiter_t *w);
static void ngx_wscast_control_sent(wscast_receipt_t *receipt,
    wscast_status_t status);
static void ngx_wscast_control_settled(ngx_wscast_post_t *post,
    wscast_status_t status);
static void ngx_wscast_control_join_handler(ngx_event_t *ev);


static const wscast_str_t  ngx_wscast_control_channel =
    wscast_string(NGX_WSCAST_CONTROL);


ngx_wscast_control_t *
ngx_wscast_control_create(ngx_wscast_hub_t *hub)
{
    ngx_wscast_control_t  *control;

    control = ngx_calloc(sizeof(ngx_wscast_control_t), hub->log);
    if (control == NULL) {
        return NULL;
    }

    control->hub = hub;
    control->worker = ((uint64_t) ngx_random() << 32)
                      ^ ((uint64_t) ngx_random() << 11)
                      ^ (uint64_t) ngx_random() ^ ((uint64_t) ngx_pid << 40);

    wscast_list_init(&control->gathers);
    wscast_list_init(&control->queue);
    wscast_list_init(&control->sent);
    wscast_list_init(&control->waiter.link);
    control->waiter.retry = ngx_wscast_control_retry;

    control->join.handler = ngx_wscast_control_join_handler;
    control->join.data = control;
    control->join.log = hub->log;
    control->join.cancelable = 1;

    if (ngx_wscast_control_join(control) != NGX_OK) {
        ngx_add_timer(&control->join, NGX_WSCAST_CONTROL_RETRY);
    }

    return control;
}


void
ngx_wscast_control_destroy(ngx_wscast_control_t *control)
{
    wscast_list_t      *l, *tmp;
    ngx_wscast_post_t  *post;

    control->ended = 1;
    ngx_wscast_control_give_up(control);

    wscast_list_each(l, tmp, &control->queue) {
        wscast_list_remove(l);
        ngx_free(wscast_container(l, ngx_wscast_post_t, link));
    }

    wscast_list_each(l, tmp, &control->sent) {
        wscast_list_remove(l);
        post = wscast_container(l, ngx_wscast_post_t, link);
        post->control = NULL;
    }

    wscast_list_remove(&control->waiter.link);

    if (control->join.timer_set) {
        ngx_del_timer(&control->join);
    }

    if (control->joined) {
        ngx_wscast_bus_leave(control->hub->bus, ngx_wscast_control_channel);
        ngx_wscast_bus_leave(control->hub->bus,
                             wscast_str(control->reply,
                                        NGX_WSCAST_REPLY_SIZE));
    }

    ngx_free(control);
}


ngx_int_t
ngx_wscast_control_join(ngx_wscast_control_t *control)
{
    ngx_wscast_bus_t  *bus;

    bus = control->hub->bus;

    if (control->joined) {
        return NGX_OK;
    }

    if (!ngx_wscast_bus_ready(bus)) {
        return NGX_DECLINED;
    }

    control->joined = 1;

    ngx_wscast_control_reply(control->reply, ngx_wscast_bus_host(bus),
                             control->worker);

    /* whether the bus delivers already shows when answers are missing */

    (void) ngx_wscast_bus_join(bus, ngx_wscast_control_channel);
    (void) ngx_wscast_bus_join(bus, wscast_str(control->reply,
                                               NGX_WSCAST_REPLY_SIZE));

    return NGX_OK;
}


static void
ngx_wscast_control_join_handler(ngx_event_t *ev)
{
    if (ngx_wscast_control_join(ev->data) != NGX_OK) {
        ngx_add_timer(ev, NGX_WSCAST_CONTROL_RETRY);
    }
}


void
ngx_wscast_control_recall(ngx_wscast_control_t *control)
{
    if (control->joined) {
        ngx_wscast_bus_want(control->hub->bus, ngx_wscast_control_channel);
        ngx_wscast_bus_want(control->hub->bus,
                            wscast_str(control->reply, NGX_WSCAST_REPLY_SIZE));
    }
}


ngx_uint_t
ngx_wscast_control_is(wscast_str_t channel)
{
    return wscast_str_eq(channel, ngx_wscast_control_channel)
           || (channel.len == NGX_WSCAST_REPLY_SIZE
               && ngx_memcmp(channel.data, NGX_WSCAST_REPLY,
                             sizeof(NGX_WSCAST_REPLY) - 1)
                  == 0);
}


void
ngx_wscast_control_deliver(ngx_wscast_control_t *control,
    wscast_str_t channel, wscast_str_t bytes)
{
    wscast_str_t  reply;

    if (!control->joined || control->ended) {
        return;
    }

    reply = wscast_str(control->reply, NGX_WSCAST_REPLY_SIZE);

    if (wscast_str_eq(channel, ngx_wscast_control_channel)) {
        ngx_wscast_control_asked(control, bytes);

    } else if (wscast_str_eq(channel, reply)) {
        ngx_wscast_control_answered(control, bytes);
    }
}


void
ngx_wscast_control_end(ngx_wscast_control_t *control, wscast_str_t client,
    wscast_status_t reason)
{
    wscast_str_t      text;
    wscast_builder_t  b;
    ngx_wscast_ask_t  ask;

    ngx_memzero(&ask, sizeof(ngx_wscast_ask_t));

    ask.type = NGX_WSCAST_ASK_CLIENT;
    ask.name = client;
    ask.reason = reason;

    wscast_builder_init(&b, 128);
    ngx_wscast_control_write(&b, &ask);
    wscast_builder_lit(&b, "}");

    text = wscast_builder_payload(&b);

    if (text.len) {
        (void) ngx_wscast_control_post(control, ngx_wscast_control_channel,
                                       text, NULL, 1);
    }

    wscast_builder_drop(&b);
}


ngx_int_t
ngx_wscast_control_post(ngx_wscast_control_t *control, wscast_str_t channel,
    wscast_str_t bytes, ngx_wscast_gather_t *gather, ngx_uint_t local)
{
    size_t              size;
    u_char             *p;
    ngx_wscast_post_t  *post;

    size = sizeof(ngx_wscast_post_t) + channel.len + bytes.len;

    if (control->ended || control->held + size > NGX_WSCAST_CONTROL_HELD) {
        return NGX_ERROR;
    }

    post = ngx_calloc(size, control->hub->log);
    if (post == NULL) {
        return NGX_ERROR;
    }

    p = (u_char *) (post + 1);

    post->receipt.done = ngx_wscast_control_sent;
    post->control = control;
    post->gather = gather;
    post->size = size;
    post->local = local;
    post->channel = wscast_str(p, channel.len);
    p = ngx_cpymem(p, channel.data, channel.len);
    post->bytes = wscast_str(p, bytes.len);
    ngx_memcpy(p, bytes.data, bytes.len);

    wscast_list_append(&control->queue, &post->link);
    control->held += size;

    ngx_wscast_control_flush(control);

    return NGX_OK;
}


static void
ngx_wscast_control_flush(ngx_wscast_control_t *control)
{
    wscast_status_t     rc;
    ngx_wscast_post_t  *post;

    while (!wscast_list_empty(&control->queue)) {
        post = wscast_list_first(&control->queue, ngx_wscast_post_t, link);

        rc = ngx_wscast_bus_publish(control->hub->bus, post->channel,
                                    post->bytes, &post->receipt);

        if (rc == WSCAST_AGAIN) {
            if (wscast_list_empty(&control->waiter.link)) {
                wscast_list_append(&control->hub->waiters,
                                   &control->waiter.link);
            }

            return;
        }

        wscast_list_remove(&post->link);

        if (rc == WSCAST_MORE) {
            wscast_list_append(&control->sent, &post->link);
            continue;
        }

        ngx_wscast_control_settled(post, rc);
    }
}


static void
ngx_wscast_control_retry(wscast_waiter_t *w)
{
    ngx_wscast_control_flush(wscast_container(w, ngx_wscast_control_t,
                                              waiter));
}


static void
ngx_wscast_control_sent(wscast_receipt_t *receipt, wscast_status_t status)
{
    uint64_t           *counters;
    ngx_wscast_post_t  *post;

    post = wscast_container(receipt, ngx_wscast_post_t, receipt);

    if (post->control == NULL) {
        ngx_free(post);
        return;
    }

    /* the bus has counted it, but nobody has published anything */

    counters = ngx_wscast_bus_counters(post->control->hub->bus);
    counters[status == WSCAST_OK ? WSCAST_COUNT_PUBLISHED
                                 : WSCAST_COUNT_PUBLISH_FAILED]--;

    wscast_list_remove(&post->link);
    ngx_wscast_control_settled(post, status);
}


static void
ngx_wscast_control_settled(ngx_wscast_post_t *post, wscast_status_t status)
{
    ngx_wscast_control_t  *control;

    control = post->control;
    control->held -= post->size;

    if (post->gather) {
        ngx_wscast_gather_posted(post->gather, status,
                                 post->receipt.receivers);

    } else if (status != WSCAST_OK && post->local) {

        /* perhaps a second time, which does no harm */

        (void) ngx_wscast_bus_append(control->hub->bus, post->channel,
                                     post->bytes, NULL, NULL);
    }

    ngx_free(post);
}


void
ngx_wscast_control_forget(ngx_wscast_control_t *control,
    ngx_wscast_gather_t *gather)
{
    wscast_list_t      *l, *tmp;
    ngx_uint_t          i;
    wscast_list_t      *lists[2];
    ngx_wscast_post_t  *post;

    lists[0] = &control->queue;
    lists[1] = &control->sent;

    for (i = 0; i < 2; i++) {
        wscast_list_each(l, tmp, lists[i]) {
            post = wscast_container(l, ngx_wscast_post_t, link);

            if (post->gather == gather) {
                post->gather = NULL;
            }
        }
    }
}
