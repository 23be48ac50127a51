#include "api_question.h"


static void ngx_http_wscast_question_message(wscast_query_t *query,
    const wscast_pub_fields_t *f);
static void ngx_http_wscast_question_found(wscast_query_t *query,
    const wscast_member_t *m);
static void ngx_http_wscast_question_item(ngx_http_wscast_question_t *q,
    const wscast_event_t *e);
static void ngx_http_wscast_question_store_done(wscast_query_t *query,
    wscast_status_t status);
static void ngx_http_wscast_question_members_done(wscast_query_t *query,
    wscast_status_t status);
static void ngx_http_wscast_question_workers_done(ngx_wscast_ask_t *ask,
    wscast_status_t status);
static void ngx_http_wscast_question_timer(ngx_event_t *ev);
static void ngx_http_wscast_question_done(ngx_http_wscast_question_t *q,
    unsigned what, wscast_status_t status);
static ngx_int_t ngx_http_wscast_question_answer(
    ngx_http_wscast_question_t *q);
static void ngx_http_wscast_question_cancel(ngx_http_wscast_question_t *q);
static void ngx_http_wscast_question_cleanup(void *data);


ngx_http_wscast_question_t *
ngx_http_wscast_question(ngx_http_wscast_api_t *api,
    void (*write)(ngx_http_wscast_question_t *q, wscast_builder_t *b))
{
    ngx_http_cleanup_t          *cln;
    ngx_http_request_t          *r;
    ngx_http_wscast_question_t  *q;

    r = api->request;

    q = ngx_pcalloc(r->pool, sizeof(ngx_http_wscast_question_t));
    cln = q ? ngx_http_cleanup_add(r, 0) : NULL;

    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_wscast_question_cleanup;
    cln->data = q;

    q->api = api;
    q->write = write;

    if (api->at >= NGX_HTTP_WSCAST_AT_CHANNEL
        && api->at <= NGX_HTTP_WSCAST_AT_PRESENCE)
    {
        q->rule = ngx_wscast_hub_rule(api->hub, api->name);
    }

    q->timer.handler = ngx_http_wscast_question_timer;
    q->timer.data = q;
    q->timer.log = r->connection->log;

    wscast_builder_init(&q->items, 256);

    return q;
}


void
ngx_http_wscast_question_store(ngx_http_wscast_question_t *q,
    wscast_query_e type)
{
    wscast_query_t  *query;

    query = &q->store;

    wscast_list_init(&query->link);

    query->type = type;
    query->rule = q->rule;
    query->channel = q->api->name;
    query->message = ngx_http_wscast_question_message;
    query->done = ngx_http_wscast_question_store_done;

    q->awaited |= NGX_HTTP_WSCAST_AWAIT_STORE;

    ngx_wscast_store_query(q->api->hub->store, query);
}


void
ngx_http_wscast_question_members(ngx_http_wscast_question_t *q)
{
    wscast_query_t  *query;

    query = &q->members;

    wscast_list_init(&query->link);

    query->type = WSCAST_QUERY_PRESENCE;
    query->rule = q->rule;
    query->channel = q->api->name;
    query->found = ngx_http_wscast_question_found;
    query->done = ngx_http_wscast_question_members_done;

    q->awaited |= NGX_HTTP_WSCAST_AWAIT_MEMBERS;

    ngx_wscast_store_query(q->api->hub->store, query);
}


void
ngx_http_wscast_question_workers(ngx_http_wscast_question_t *q,
    ngx_wscast_ask_e type)
{
    ngx_wscast_ask_t  *ask;

    ask = &q->workers;

    ask->type = type;
    ask->done = ngx_http_wscast_question_workers_done;
    ask->pool = q->api->request->pool;

    if (ngx_wscast_control_ask(q->api->hub->control, ask) == NGX_OK) {
        q->awaited |= NGX_HTTP_WSCAST_AWAIT_WORKERS;

    } else {
        q->bad = NGX_HTTP_WSCAST_BAD_MEMORY;
    }
}


ngx_int_t
ngx_http_wscast_question_end(ngx_http_wscast_question_t *q)
{
    if (q->awaited && q->bad == NGX_HTTP_WSCAST_FINE) {
        q->begun = 1;
        ngx_add_timer(&q->timer, NGX_HTTP_WSCAST_API_TIME);

        return NGX_AGAIN;
    }

    return ngx_http_wscast_question_answer(q);
}


static void
ngx_http_wscast_question_message(wscast_query_t *query,
    const wscast_pub_fields_t *f)
{
    wscast_event_t               e;
    ngx_http_wscast_question_t  *q;

    q = wscast_container(query, ngx_http_wscast_question_t, store);

    ngx_memzero(&e, sizeof(wscast_event_t));

    e.type = WSCAST_EVENT_MESSAGE;
    e.pub = f;

    ngx_http_wscast_question_item(q, &e);
}


static void
ngx_http_wscast_question_found(wscast_query_t *query,
    const wscast_member_t *m)
{
    wscast_event_t               e;
    ngx_http_wscast_question_t  *q;

    q = wscast_container(query, ngx_http_wscast_question_t, members);

    ngx_memzero(&e, sizeof(wscast_event_t));

    e.type = WSCAST_EVENT_MEMBER;
    e.member = *m;

    ngx_http_wscast_question_item(q, &e);
}


static void
ngx_http_wscast_question_item(ngx_http_wscast_question_t *q,
    const wscast_event_t *e)
{
    if (q->silent) {
        return;
    }

    if (wscast_builder_payload(&q->items).len) {
        wscast_builder_lit(&q->items, ",");
    }

    (void) wscast_dialect_json.encode(NULL, e, &q->items);
}


static void
ngx_http_wscast_question_store_done(wscast_query_t *query,
    wscast_status_t status)
{
    ngx_http_wscast_question_done(
        wscast_container(query, ngx_http_wscast_question_t, store),
        NGX_HTTP_WSCAST_AWAIT_STORE, status);
}


static void
ngx_http_wscast_question_members_done(wscast_query_t *query,
    wscast_status_t status)
{
    ngx_http_wscast_question_done(
        wscast_container(query, ngx_http_wscast_question_t, members),
        NGX_HTTP_WSCAST_AWAIT_MEMBERS, status);
}


static void
ngx_http_wscast_question_workers_done(ngx_wscast_ask_t *ask,
    wscast_status_t status)
{
    ngx_http_wscast_question_done(
        wscast_container(ask, ngx_http_wscast_question_t, workers),
        NGX_HTTP_WSCAST_AWAIT_WORKERS, status);
}


static void
ngx_http_wscast_question_timer(ngx_event_t *ev)
{
    ngx_http_wscast_question_done(ev->data, 0, WSCAST_CLOSE_AWAY);
}


/* The first that fails answers for all. */

static void
ngx_http_wscast_question_done(ngx_http_wscast_question_t *q, unsigned what,
    wscast_status_t status)
{
    q->awaited &= ~what;

    if (status != WSCAST_OK && q->bad == NGX_HTTP_WSCAST_FINE) {
        q->bad = ngx_http_wscast_api_status(status);
    }

    if (q->begun && (q->awaited == 0 || q->bad != NGX_HTTP_WSCAST_FINE)) {
        ngx_http_wscast_api_end(q->api->request,
                                ngx_http_wscast_question_answer(q));
    }
}


static ngx_int_t
ngx_http_wscast_question_answer(ngx_http_wscast_question_t *q)
{
    wscast_builder_t     b;
    ngx_http_request_t  *r;

    r = q->api->request;

    ngx_http_wscast_question_cancel(q);

    if (q->items.failed) {
        q->bad = NGX_HTTP_WSCAST_BAD_MEMORY;
    }

    if (q->bad != NGX_HTTP_WSCAST_FINE) {
        return ngx_http_wscast_api_refuse(r, q->bad, wscast_str(NULL, 0));
    }

    wscast_builder_init(&b, 256 + wscast_builder_payload(&q->items).len);

    wscast_builder_lit(&b, "{");
    q->write(q, &b);
    wscast_builder_lit(&b, "}");

    return ngx_http_wscast_reply_json(r, NGX_HTTP_OK, &b);
}


static void
ngx_http_wscast_question_cancel(ngx_http_wscast_question_t *q)
{
    ngx_wscast_hub_t  *hub;

    hub = q->api->hub;

    if (q->awaited & NGX_HTTP_WSCAST_AWAIT_STORE) {
        ngx_wscast_store_cancel(hub->store, &q->store);
    }

    if (q->awaited & NGX_HTTP_WSCAST_AWAIT_MEMBERS) {
        ngx_wscast_store_cancel(hub->store, &q->members);
    }

    if (q->awaited & NGX_HTTP_WSCAST_AWAIT_WORKERS) {
        ngx_wscast_control_cancel(hub->control, &q->workers);
    }

    q->awaited = 0;
    q->begun = 0;

    if (q->timer.timer_set) {
        ngx_del_timer(&q->timer);
    }
}


static void
ngx_http_wscast_question_cleanup(void *data)
{
    ngx_http_wscast_question_t  *q;

    q = data;

    ngx_http_wscast_question_cancel(q);
    wscast_builder_drop(&q->items);
}
