#include "control_inner.h"


static void ngx_wscast_control_answer(ngx_wscast_control_t *control,
    const ngx_wscast_asked_t *a);
static uint64_t ngx_wscast_control_count(ngx_wscast_control_t *control,
    wscast_str_t name);
static uint64_t ngx_wscast_control_close(ngx_wscast_control_t *control,
    const ngx_wscast_asked_t *a);
static ngx_uint_t ngx_wscast_control_meant(const wscast_session_t *s,
    const ngx_wscast_asked_t *a);
static void ngx_wscast_control_list(ngx_wscast_control_t *control,
    const ngx_wscast_asked_t *a, wscast_builder_t *b);
static ngx_uint_t ngx_wscast_control_pick(ngx_wscast_control_t *control,
    const ngx_wscast_asked_t *a, wscast_channel_t **names, ngx_uint_t *more);
static ngx_uint_t ngx_wscast_control_insert(wscast_channel_t **names,
    ngx_uint_t n, wscast_channel_t *ch);
static ngx_int_t ngx_wscast_view_cmp(wscast_str_t one, wscast_str_t two);


void
ngx_wscast_control_asked(ngx_wscast_control_t *control, wscast_str_t bytes)
{
    u_char              *copy;
    ngx_wscast_asked_t   a;

    /* its strings are decoded in place */

    copy = ngx_alloc(bytes.len ? bytes.len : 1, control->hub->log);
    if (copy == NULL) {
        return;
    }

    if (bytes.len) {
        ngx_memcpy(copy, bytes.data, bytes.len);
    }

    if (ngx_wscast_asked_read(wscast_str(copy, bytes.len), &a) == NGX_OK) {
        ngx_wscast_control_answer(control, &a);
    }

    ngx_free(copy);
}


static void
ngx_wscast_control_answer(ngx_wscast_control_t *control,
    const ngx_wscast_asked_t *a)
{
    u_char             reply[NGX_WSCAST_REPLY_SIZE];
    uint64_t           count, sums[WSCAST_COUNTERS];
    ngx_uint_t         workers, redis_up;
    wscast_str_t       text;
    wscast_builder_t   b;
    ngx_wscast_bus_t  *bus;

    bus = control->hub->bus;
    count = 0;

    if (a->type == NGX_WSCAST_ASK_COUNT) {
        count = ngx_wscast_control_count(control, a->name);

    } else if (a->type != NGX_WSCAST_ASK_CHANNELS) {
        count = ngx_wscast_control_close(control, a);
    }

    if (!a->wanted) {
        return;
    }

    ngx_wscast_bus_sums(bus, sums, &workers, &redis_up);

    wscast_builder_init(&b, 256);

    wscast_builder_lit(&b, "{\"host\":");
    ngx_wscast_control_hex(&b, ngx_wscast_bus_host(bus));
    wscast_builder_lit(&b, ",\"worker\":");
    ngx_wscast_control_hex(&b, control->worker);
    wscast_builder_lit(&b, ",\"workers\":");
    wscast_builder_uint(&b, workers);
    wscast_builder_lit(&b, ",\"id\":");
    wscast_builder_uint(&b, a->id);

    if (a->type == NGX_WSCAST_ASK_CHANNELS) {
        ngx_wscast_control_list(control, a, &b);

    } else {
        wscast_builder_lit(&b, ",\"count\":");
        wscast_builder_uint(&b, count);
    }

    wscast_builder_lit(&b, "}");

    text = wscast_builder_payload(&b);

    if (text.len) {
        ngx_wscast_control_reply(reply, a->host, a->worker);
        (void) ngx_wscast_control_post(control,
                                       wscast_str(reply,
                                                  NGX_WSCAST_REPLY_SIZE),
                                       text, NULL, 0);
    }

    wscast_builder_drop(&b);
}


static uint64_t
ngx_wscast_control_count(ngx_wscast_control_t *control, wscast_str_t name)
{
    wscast_channel_t  *ch;

    ch = wscast_fanout_find(&control->hub->fanout, name);

    return ch ? ch->count : 0;
}


static uint64_t
ngx_wscast_control_close(ngx_wscast_control_t *control,
    const ngx_wscast_asked_t *a)
{
    uint64_t             n;
    ngx_queue_t         *q;
    ngx_wscast_conn_t   *conn;
    ngx_wscast_conns_t  *conns;

    n = 0;
    conns = &control->hub->conns;

    for (q = ngx_queue_head(&conns->queue);
         q != ngx_queue_sentinel(&conns->queue);
         q = ngx_queue_next(q))
    {
        conn = ngx_queue_data(q, ngx_wscast_conn_t, queue);

        if (conn->reason == WSCAST_OK
            && ngx_wscast_control_meant(&conn->session, a))
        {
            ngx_wscast_conn_finalize(conn, a->reason);
            n++;
        }
    }

    return n;
}


/*
 * A client that has come back may be known by its former id; but who ends the
 * connection that it came from does not mean it.
 */

static ngx_uint_t
ngx_wscast_control_meant(const wscast_session_t *s,
    const ngx_wscast_asked_t *a)
{
    if (a->type == NGX_WSCAST_ASK_USER) {
        return s->user.len && wscast_str_eq(s->user, a->name);
    }

    return wscast_str_eq(wscast_str(s->client, WSCAST_CLIENT_ID), a->name)
           || (a->reason != WSCAST_CLOSE_REPLACED
               && wscast_str_eq(wscast_str(s->known, WSCAST_CLIENT_ID),
                                a->name));
}


static void
ngx_wscast_control_list(ngx_wscast_control_t *control,
    const ngx_wscast_asked_t *a, wscast_builder_t *b)
{
    size_t             max, size;
    ngx_uint_t         i, n, more;
    wscast_str_t       name;
    wscast_channel_t  *names[NGX_WSCAST_LIST_MAX];

    n = ngx_wscast_control_pick(control, a, names, &more);

    max = ngx_min(NGX_WSCAST_ANSWER_MAX,
                  ngx_wscast_bus_max(control->hub->conf->bus.zone_size)
                  - NGX_WSCAST_REPLY_SIZE);

    wscast_builder_lit(b, ",\"channels\":[");

    for (i = 0; i < n; i++) {
        name = names[i]->node.key;

        /* in quotes a name may take twice its bytes */

        size = wscast_builder_payload(b).len + 2 * name.len
               + sizeof(",[\"\",4294967295]],\"more\":true}");

        if (i && size > max) {
            more = 1;
            break;
        }

        if (i) {
            wscast_builder_lit(b, ",");
        }

        wscast_builder_lit(b, "[");
        wscast_json_quote(b, name);
        wscast_builder_lit(b, ",");
        wscast_builder_uint(b, names[i]->count);
        wscast_builder_lit(b, "]");
    }

    wscast_builder_lit(b, "]");

    if (more) {
        wscast_builder_lit(b, ",\"more\":true");
    }
}


/* The first ones by name, of those that begin so and come after. */

static ngx_uint_t
ngx_wscast_control_pick(ngx_wscast_control_t *control,
    const ngx_wscast_asked_t *a, wscast_channel_t **names, ngx_uint_t *more)
{
    ngx_uint_t          n;
    wscast_str_t        key;
    wscast_channel_t   *ch;
    wscast_map_node_t  *node;

    n = 0;
    *more = 0;

    for (node = wscast_map_next(&control->hub->fanout.channels, NULL);
         node;
         node = wscast_map_next(&control->hub->fanout.channels, node))
    {
        key = node->key;
        ch = wscast_container(node, wscast_channel_t, node);

        if (key.len == 0 || key.data[0] < 0x20 || ch->count == 0
            || key.len < a->name.len
            || (a->name.len
                && ngx_memcmp(key.data, a->name.data, a->name.len) != 0)
            || ngx_wscast_view_cmp(key, a->after) <= 0)
        {
            continue;
        }

        if (n == a->limit) {
            *more = 1;

            if (n == 0
                || ngx_wscast_view_cmp(key, names[n - 1]->node.key) > 0)
            {
                continue;
            }

            n--;
        }

        n = ngx_wscast_control_insert(names, n, ch);
    }

    return n;
}


static ngx_uint_t
ngx_wscast_control_insert(wscast_channel_t **names, ngx_uint_t n,
    wscast_channel_t *ch)
{
    ngx_uint_t  low, high, middle;

    low = 0;
    high = n;

    while (low < high) {
        middle = (low + high) / 2;

        if (ngx_wscast_view_cmp(names[middle]->node.key, ch->node.key) < 0) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    ngx_memmove(&names[low + 1], &names[low],
                (n - low) * sizeof(wscast_channel_t *));
    names[low] = ch;

    return n + 1;
}


static ngx_int_t
ngx_wscast_view_cmp(wscast_str_t one, wscast_str_t two)
{
    if (two.len == 0) {
        return one.len != 0;
    }

    return ngx_memn2cmp((u_char *) one.data, (u_char *) two.data, one.len,
                        two.len);
}
