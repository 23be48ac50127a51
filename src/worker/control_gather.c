#include "control_inner.h"


#define NGX_WSCAST_HEARD_MAX  4096                  /* workers that answer */
#define NGX_WSCAST_FOUND_MAX  (16 * 1024 * 1024)    /* bytes of names */


typedef struct {
    uint64_t                 host;
    uint64_t                 worker;
} ngx_wscast_heard_t;


typedef struct {
    uint64_t                 id;
    uint64_t                 workers;       /* the most an answer says */
    uint64_t                 answers;
} ngx_wscast_host_t;


/* A question under way; in the asker's pool. */

struct ngx_wscast_gather_s {
    wscast_list_t            link;
    ngx_wscast_control_t    *control;
    ngx_wscast_ask_t        *ask;
    uint64_t                 number;
    ngx_event_t              timer;
    ngx_event_t              end;           /* posted: done() */
    wscast_status_t          status;        /* what it will say */

    uint64_t                 expected;      /* workers; with Redis hosts */
    ngx_array_t              heard;         /* ngx_wscast_heard_t */
    ngx_array_t              hosts;         /* ngx_wscast_host_t */
    ngx_array_t              found;         /* ngx_wscast_counted_t */
    size_t                   found_size;    /* bytes of it and its names */
    ngx_str_t                cut;           /* beyond it not all is known */
    unsigned                 is_cut:1;
    unsigned                 asked:1;       /* the engine has the question */
    unsigned                 own:1;         /* the own worker has answered */
};


static ngx_int_t ngx_wscast_gather_ask(ngx_wscast_gather_t *g);
static ngx_int_t ngx_wscast_gather_count(ngx_wscast_gather_t *g,
    const ngx_wscast_answer_t *a);
static ngx_int_t ngx_wscast_gather_channels(ngx_wscast_gather_t *g,
    const ngx_wscast_answer_t *a);
static ngx_int_t ngx_wscast_gather_channel(ngx_wscast_gather_t *g,
    wscast_str_t pair, ngx_str_t *name);
static ngx_uint_t ngx_wscast_gather_complete(ngx_wscast_gather_t *g);
static ngx_int_t ngx_wscast_gather_merge(ngx_wscast_gather_t *g);
static int ngx_libc_cdecl ngx_wscast_counted_cmp(const void *one,
    const void *two);
static ngx_int_t ngx_wscast_name_cmp(const ngx_str_t *one,
    const ngx_str_t *two);
static void ngx_wscast_gather_timer(ngx_event_t *ev);
static void ngx_wscast_gather_finish(ngx_wscast_gather_t *g,
    wscast_status_t status);
static void ngx_wscast_gather_end(ngx_event_t *ev);
static void ngx_wscast_gather_unlink(ngx_wscast_gather_t *g);


ngx_int_t
ngx_wscast_control_ask(ngx_wscast_control_t *control, ngx_wscast_ask_t *ask)
{
    ngx_msec_t              time;
    ngx_wscast_gather_t    *g;
    ngx_wscast_bus_conf_t  *conf;

    if (control->ended) {
        return NGX_ERROR;
    }

    g = ngx_pcalloc(ask->pool, sizeof(ngx_wscast_gather_t));

    if (g == NULL
        || ngx_array_init(&g->heard, ask->pool, 16,
                          sizeof(ngx_wscast_heard_t))
           != NGX_OK
        || ngx_array_init(&g->hosts, ask->pool, 4, sizeof(ngx_wscast_host_t))
           != NGX_OK
        || ngx_array_init(&g->found, ask->pool, 16,
                          sizeof(ngx_wscast_counted_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ask->count = 0;
    ask->channels = NULL;
    ask->more = 0;
    ask->gather = g;

    g->control = control;
    g->ask = ask;
    g->number = ++control->number;
    g->timer.handler = ngx_wscast_gather_timer;
    g->timer.data = g;
    g->timer.log = control->hub->log;
    g->end.handler = ngx_wscast_gather_end;
    g->end.data = g;
    g->end.log = control->hub->log;

    wscast_list_append(&control->gathers, &g->link);

    /* a guard: the engine has its own end, which comes before */

    conf = &control->hub->conf->bus;
    time = NGX_WSCAST_CONTROL_TIME;

    if (conf->redis) {
        time += conf->redis_connect_timeout + conf->redis_timeout;
    }

    ngx_add_timer(&g->timer, time);

    if (ngx_wscast_control_join(control) != NGX_OK
        || ngx_wscast_gather_ask(g) != NGX_OK)
    {
        ngx_wscast_gather_finish(g, WSCAST_CLOSE_AWAY);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_wscast_gather_ask(ngx_wscast_gather_t *g)
{
    ngx_int_t              rc;
    wscast_str_t           text;
    wscast_builder_t       b;
    ngx_wscast_control_t  *control;

    control = g->control;

    wscast_builder_init(&b, 256);

    ngx_wscast_control_write(&b, g->ask);
    wscast_builder_lit(&b, ",\"host\":");
    ngx_wscast_control_hex(&b, ngx_wscast_bus_host(control->hub->bus));
    wscast_builder_lit(&b, ",\"worker\":");
    ngx_wscast_control_hex(&b, control->worker);
    wscast_builder_lit(&b, ",\"id\":");
    wscast_builder_uint(&b, g->number);
    wscast_builder_lit(&b, "}");

    text = wscast_builder_payload(&b);

    rc = text.len ? ngx_wscast_control_post(control,
                        wscast_str(NGX_WSCAST_CONTROL,
                                   sizeof(NGX_WSCAST_CONTROL) - 1),
                        text, g, 0)
                  : NGX_ERROR;

    wscast_builder_drop(&b);

    return rc;
}


void
ngx_wscast_control_cancel(ngx_wscast_control_t *control,
    ngx_wscast_ask_t *ask)
{
    if (ask->gather) {
        ngx_wscast_gather_unlink(ask->gather);
    }
}


void
ngx_wscast_control_give_up(ngx_wscast_control_t *control)
{
    ngx_wscast_gather_t  *g;

    while (!wscast_list_empty(&control->gathers)) {
        g = wscast_list_first(&control->gathers, ngx_wscast_gather_t, link);

        g->status = WSCAST_CLOSE_AWAY;
        ngx_wscast_gather_end(&g->end);
    }
}


void
ngx_wscast_gather_posted(ngx_wscast_gather_t *g, wscast_status_t status,
    uint64_t receivers)
{
    if (status != WSCAST_OK) {
        ngx_wscast_gather_finish(g, WSCAST_CLOSE_AWAY);
        return;
    }

    g->asked = 1;
    g->expected = receivers;

    if (ngx_wscast_gather_complete(g)) {
        ngx_wscast_gather_finish(g, WSCAST_OK);
        return;
    }

    if (!g->end.posted) {
        ngx_add_timer(&g->timer, NGX_WSCAST_CONTROL_TIME);
    }
}


void
ngx_wscast_control_answered(ngx_wscast_control_t *control, wscast_str_t bytes)
{
    wscast_list_t        *l, *tmp;
    ngx_wscast_gather_t  *g;
    ngx_wscast_answer_t   a;

    if (ngx_wscast_answer_read(bytes, &a) != NGX_OK) {
        return;
    }

    wscast_list_each(l, tmp, &control->gathers) {
        g = wscast_container(l, ngx_wscast_gather_t, link);

        if (g->number != a.id) {
            continue;
        }

        if (!g->end.posted
            && ngx_wscast_gather_count(g, &a) == NGX_OK
            && ngx_wscast_gather_complete(g))
        {
            ngx_wscast_gather_finish(g, WSCAST_OK);
        }

        return;
    }
}


/* NGX_DECLINED: this worker has answered before, or there are too many. */

static ngx_int_t
ngx_wscast_gather_count(ngx_wscast_gather_t *g, const ngx_wscast_answer_t *a)
{
    ngx_uint_t           i;
    ngx_wscast_host_t   *host;
    ngx_wscast_heard_t  *heard;

    heard = g->heard.elts;

    for (i = 0; i < g->heard.nelts; i++) {
        if (heard[i].host == a->host && heard[i].worker == a->worker) {
            return NGX_DECLINED;
        }
    }

    if (i == NGX_WSCAST_HEARD_MAX
        || (a->channels.len && ngx_wscast_gather_channels(g, a) != NGX_OK))
    {
        return NGX_DECLINED;
    }

    host = g->hosts.elts;

    for (i = 0; i < g->hosts.nelts && host[i].id != a->host; i++) {
        /* void */
    }

    if (i == g->hosts.nelts) {
        host = ngx_array_push(&g->hosts);

        if (host == NULL) {
            return NGX_DECLINED;
        }

        host->id = a->host;
        host->workers = 0;
        host->answers = 0;
        i = 0;
    }

    heard = ngx_array_push(&g->heard);

    if (heard == NULL) {
        return NGX_DECLINED;
    }

    heard->host = a->host;
    heard->worker = a->worker;

    /* who answers and exits is counted by those before it alone */

    host[i].workers = ngx_max(host[i].workers, a->workers);
    host[i].answers++;
    g->ask->count += a->count;

    if (a->worker == g->control->worker
        && a->host == ngx_wscast_bus_host(g->control->hub->bus))
    {
        g->own = 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_wscast_gather_channels(ngx_wscast_gather_t *g,
    const ngx_wscast_answer_t *a)
{
    ngx_str_t     name;
    wscast_str_t  rest, pair;

    rest = a->channels;
    ngx_str_set(&name, "");

    while (wscast_json_element(&rest, &pair)) {
        if (ngx_wscast_gather_channel(g, pair, &name) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    /* of a worker that had more to say nothing is known beyond its last */

    if (a->more
        && (!g->is_cut || ngx_wscast_name_cmp(&name, &g->cut) < 0))
    {
        g->cut = name;
        g->is_cut = 1;
    }

    return NGX_OK;
}


/* ["NAME",COUNT] */

static ngx_int_t
ngx_wscast_gather_channel(ngx_wscast_gather_t *g, wscast_str_t pair,
    ngx_str_t *name)
{
    u_char                *p;
    uint64_t               count;
    wscast_str_t           v, n, s;
    ngx_wscast_counted_t  *found;

    if (pair.data[0] != '['
        || !wscast_json_element(&pair, &v)
        || !wscast_json_is_string(v)
        || !wscast_json_element(&pair, &n)
        || ngx_wscast_control_number(n, &count) != NGX_OK)
    {
        return NGX_ERROR;
    }

    g->found_size += sizeof(ngx_wscast_counted_t) + v.len;

    if (g->found_size > NGX_WSCAST_FOUND_MAX) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(g->ask->pool, v.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, v.data, v.len);

    if (wscast_json_decode(p, v.len, &s) != WSCAST_OK) {
        return NGX_ERROR;
    }

    found = ngx_array_push(&g->found);
    if (found == NULL) {
        return NGX_ERROR;
    }

    name->data = (u_char *) s.data;
    name->len = s.len;

    found->name = *name;
    found->count = count;

    return NGX_OK;
}


/*
 * With Redis the hosts are known by their answers, and each says how many of
 * them there will be; without, all workers are of this host.
 */

static ngx_uint_t
ngx_wscast_gather_complete(ngx_wscast_gather_t *g)
{
    ngx_uint_t          i;
    ngx_wscast_host_t  *host;

    if (!g->asked) {
        return 0;
    }

    if (g->control->hub->conf->bus.redis == NULL) {
        return g->own && g->heard.nelts >= g->expected;
    }

    if (!g->own || g->hosts.nelts < g->expected) {
        return 0;
    }

    host = g->hosts.elts;

    for (i = 0; i < g->hosts.nelts; i++) {
        if (host[i].answers < host[i].workers) {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_wscast_gather_merge(ngx_wscast_gather_t *g)
{
    ngx_uint_t             i;
    ngx_wscast_ask_t      *ask;
    ngx_wscast_counted_t  *found, *last;

    ask = g->ask;

    ask->channels = ngx_array_create(ask->pool,
                                     g->found.nelts ? g->found.nelts : 1,
                                     sizeof(ngx_wscast_counted_t));
    if (ask->channels == NULL) {
        return NGX_ERROR;
    }

    found = g->found.elts;
    last = NULL;

    ngx_qsort(found, g->found.nelts, sizeof(ngx_wscast_counted_t),
              ngx_wscast_counted_cmp);

    for (i = 0; i < g->found.nelts; i++) {

        if (last && ngx_wscast_name_cmp(&last->name, &found[i].name) == 0) {
            last->count += found[i].count;
            continue;
        }

        if (ask->channels->nelts == ask->limit
            || (g->is_cut && ngx_wscast_name_cmp(&found[i].name, &g->cut) > 0))
        {
            ask->more = 1;
            return NGX_OK;
        }

        last = ngx_array_push(ask->channels);
        if (last == NULL) {
            return NGX_ERROR;
        }

        *last = found[i];
    }

    ask->more = g->is_cut;

    return NGX_OK;
}


static int ngx_libc_cdecl
ngx_wscast_counted_cmp(const void *one, const void *two)
{
    const ngx_wscast_counted_t  *a = one;
    const ngx_wscast_counted_t  *b = two;

    return (int) ngx_wscast_name_cmp(&a->name, &b->name);
}


/* Byte by byte, which for UTF-8 is also the order of characters. */

static ngx_int_t
ngx_wscast_name_cmp(const ngx_str_t *one, const ngx_str_t *two)
{
    return ngx_memn2cmp(one->data, two->data, one->len, two->len);
}


static void
ngx_wscast_gather_timer(ngx_event_t *ev)
{
    ngx_wscast_gather_t  *g;

    g = ev->data;

    ngx_wscast_gather_finish(g, g->asked && g->own ? WSCAST_OK
                                                   : WSCAST_CLOSE_AWAY);
}


static void
ngx_wscast_gather_finish(ngx_wscast_gather_t *g, wscast_status_t status)
{
    if (g->end.posted) {
        return;
    }

    if (g->timer.timer_set) {
        ngx_del_timer(&g->timer);
    }

    g->status = status;
    ngx_post_event(&g->end, &ngx_posted_events);
}


static void
ngx_wscast_gather_end(ngx_event_t *ev)
{
    ngx_wscast_ask_t     *ask;
    wscast_status_t       status;
    ngx_wscast_gather_t  *g;

    g = ev->data;
    ask = g->ask;
    status = g->status;

    ngx_wscast_gather_unlink(g);

    if (status == WSCAST_OK && ask->type == NGX_WSCAST_ASK_CHANNELS
        && ngx_wscast_gather_merge(g) != NGX_OK)
    {
        status = WSCAST_CLOSE_AWAY;
    }

    ask->done(ask, status);
}


static void
ngx_wscast_gather_unlink(ngx_wscast_gather_t *g)
{
    if (g->timer.timer_set) {
        ngx_del_timer(&g->timer);
    }

    if (g->end.posted) {
        ngx_delete_posted_event(&g->end);
    }

    wscast_list_remove(&g->link);
    ngx_wscast_control_forget(g->control, g);
    g->ask->gather = NULL;
}
