#include "api.h"


/*
 * One publish by HTTP.  It outlives its request if that ends while the engine
 * has the receipt.
 */

typedef struct {
    wscast_receipt_t         receipt;
    wscast_waiter_t          waiter;
    ngx_wscast_census_t      census;
    ngx_event_t              timer;
    ngx_http_request_t      *request;           /* NULL: it is answered */
    ngx_wscast_hub_t        *hub;
    wscast_pub_fields_t      fields;            /* in the request's pool */
    unsigned                 engaged:1;         /* the engine has the receipt */
    unsigned                 counting:1;
    unsigned                 gone:1;            /* the request has been freed */
} ngx_http_wscast_publish_t;


static ngx_http_wscast_bad_e ngx_http_wscast_publish_read(
    ngx_http_wscast_api_t *api, wscast_str_t body, wscast_pub_fields_t *f);
static ngx_http_wscast_bad_e ngx_http_wscast_publish_data(
    ngx_http_request_t *r, wscast_pub_fields_t *f);
static ngx_uint_t ngx_http_wscast_publish_is(ngx_http_request_t *r,
    const char *type);
static ngx_int_t ngx_http_wscast_publish_try(ngx_http_wscast_publish_t *p);
static ngx_int_t ngx_http_wscast_publish_wait(ngx_http_wscast_publish_t *p);
static ngx_int_t ngx_http_wscast_publish_count(ngx_http_wscast_publish_t *p);
static ngx_int_t ngx_http_wscast_publish_answer(ngx_http_wscast_publish_t *p,
    uint64_t subscribers);
static ngx_int_t ngx_http_wscast_publish_failed(ngx_http_wscast_publish_t *p,
    wscast_status_t status);
static void ngx_http_wscast_publish_retry(wscast_waiter_t *w);
static void ngx_http_wscast_publish_done(wscast_receipt_t *receipt,
    wscast_status_t status);
static void ngx_http_wscast_publish_counted(ngx_wscast_census_t *census);
static void ngx_http_wscast_publish_timer(ngx_event_t *ev);
static void ngx_http_wscast_publish_end(ngx_http_wscast_publish_t *p,
    ngx_int_t rc);
static void ngx_http_wscast_publish_leave(ngx_http_wscast_publish_t *p);
static void ngx_http_wscast_publish_cleanup(void *data);


ngx_int_t
ngx_http_wscast_api_publish(ngx_http_wscast_api_t *api)
{
    ngx_str_t                    body;
    ngx_http_cleanup_t          *cln;
    ngx_http_request_t          *r;
    wscast_pub_fields_t          fields;
    ngx_http_wscast_bad_e        bad;
    ngx_http_wscast_publish_t   *p;

    r = api->request;

    if (ngx_http_wscast_api_body(r, &body) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    bad = ngx_http_wscast_publish_read(api, wscast_str(body.data, body.len),
                                       &fields);

    if (bad != NGX_HTTP_WSCAST_FINE) {
        return ngx_http_wscast_api_refuse(r, bad, wscast_str(NULL, 0));
    }

    p = ngx_calloc(sizeof(ngx_http_wscast_publish_t), r->connection->log);
    cln = p ? ngx_http_cleanup_add(r, 0) : NULL;

    if (cln == NULL) {
        ngx_free(p);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_wscast_publish_cleanup;
    cln->data = p;

    p->request = r;
    p->hub = api->hub;
    p->fields = fields;
    p->receipt.done = ngx_http_wscast_publish_done;
    p->waiter.retry = ngx_http_wscast_publish_retry;
    p->census.done = ngx_http_wscast_publish_counted;
    p->timer.handler = ngx_http_wscast_publish_timer;
    p->timer.data = p;
    p->timer.log = ngx_cycle->log;

    wscast_list_init(&p->waiter.link);

    return ngx_http_wscast_publish_try(p);
}


static ngx_http_wscast_bad_e
ngx_http_wscast_publish_read(ngx_http_wscast_api_t *api, wscast_str_t body,
    wscast_pub_fields_t *f)
{
    ngx_table_elt_t  *h;

    ngx_memzero(f, sizeof(wscast_pub_fields_t));

    f->kind = WSCAST_PUB_MESSAGE;
    f->time = ngx_wscast_now();
    f->channel = api->name;
    f->data = body;

    h = ngx_http_wscast_find_header(api->request, "Idempotency-Key", NULL);

    if (h) {
        f->key = wscast_str(h->value.data, h->value.len);

        if (f->key.len == 0 || f->key.len > NGX_HTTP_WSCAST_KEY_MAX
            || !wscast_utf8_valid(f->key))
        {
            return NGX_HTTP_WSCAST_BAD_KEY_HEADER;
        }
    }

    h = ngx_http_wscast_find_header(api->request, "Wscast-Exclude", NULL);

    if (h) {
        f->exclude = wscast_str(h->value.data, h->value.len);

        if (f->exclude.len > NGX_HTTP_WSCAST_CLIENT_MAX) {
            return NGX_HTTP_WSCAST_BAD_EXCLUDE_HEADER;
        }
    }

    return ngx_http_wscast_publish_data(api->request, f);
}


static ngx_http_wscast_bad_e
ngx_http_wscast_publish_data(ngx_http_request_t *r, wscast_pub_fields_t *f)
{
    if (ngx_http_wscast_publish_is(r, "application/octet-stream")) {
        f->flags |= WSCAST_PUB_BINARY;
        return NGX_HTTP_WSCAST_FINE;
    }

    if (ngx_http_wscast_publish_is(r, "application/json")) {
        f->flags |= WSCAST_PUB_JSON;

        return wscast_json_valid(f->data) ? NGX_HTTP_WSCAST_FINE
                                          : NGX_HTTP_WSCAST_BAD_JSON;
    }

    return wscast_utf8_valid(f->data) ? NGX_HTTP_WSCAST_FINE
                                      : NGX_HTTP_WSCAST_BAD_UTF8;
}


/* RFC 9110, 8.3: parameters may follow. */

static ngx_uint_t
ngx_http_wscast_publish_is(ngx_http_request_t *r, const char *type)
{
    size_t     len;
    ngx_str_t  value;

    if (r->headers_in.content_type == NULL) {
        return 0;
    }

    len = ngx_strlen(type);
    value = r->headers_in.content_type->value;

    return value.len >= len
           && ngx_strncasecmp(value.data, (u_char *) type, len) == 0
           && (value.len == len || value.data[len] == ';'
               || value.data[len] == ' ' || value.data[len] == '\t');
}


/* NGX_AGAIN: it goes on later; else what to finalize with. */

static ngx_int_t
ngx_http_wscast_publish_try(ngx_http_wscast_publish_t *p)
{
    wscast_status_t  rc;

    rc = ngx_wscast_hub_publish(p->hub, &p->fields, &p->receipt, &p->waiter);

    if (rc == WSCAST_OK) {
        return ngx_http_wscast_publish_count(p);
    }

    if (rc != WSCAST_MORE && rc != WSCAST_AGAIN) {
        return ngx_http_wscast_publish_failed(p, rc);
    }

    p->engaged = (rc == WSCAST_MORE);

    return ngx_http_wscast_publish_wait(p);
}


static ngx_int_t
ngx_http_wscast_publish_wait(ngx_http_wscast_publish_t *p)
{
    if (!p->timer.timer_set) {
        ngx_add_timer(&p->timer, NGX_HTTP_WSCAST_API_TIME);
    }

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_wscast_publish_count(ngx_http_wscast_publish_t *p)
{
    wscast_channel_t  *ch;

    switch (ngx_wscast_bus_count(p->hub->bus, p->fields.channel, &p->census)) {

    case NGX_OK:
        p->counting = 1;
        return ngx_http_wscast_publish_wait(p);

    case NGX_DONE:
        return ngx_http_wscast_publish_answer(p, 0);

    default:

        /* published it is; of the other workers nothing is known */

        ch = wscast_fanout_find(&p->hub->fanout, p->fields.channel);

        return ngx_http_wscast_publish_answer(p, ch ? ch->count : 0);
    }
}


static ngx_int_t
ngx_http_wscast_publish_answer(ngx_http_wscast_publish_t *p,
    uint64_t subscribers)
{
    wscast_builder_t  b;

    wscast_builder_init(&b, 128 + p->fields.channel.len);

    wscast_builder_lit(&b, "{\"channel\":");
    wscast_json_quote(&b, p->fields.channel);
    ngx_http_wscast_api_position(&b, &p->receipt.position);
    wscast_builder_lit(&b, ",\"subscribers\":");
    wscast_builder_uint(&b, subscribers);
    wscast_builder_lit(&b, "}");

    return ngx_http_wscast_reply_json(p->request, NGX_HTTP_OK, &b);
}


static ngx_int_t
ngx_http_wscast_publish_failed(ngx_http_wscast_publish_t *p,
    wscast_status_t status)
{
    return ngx_http_wscast_api_refuse(p->request,
                                      ngx_http_wscast_api_status(status),
                                      wscast_str(NULL, 0));
}


/* There may be room on the bus again. */

static void
ngx_http_wscast_publish_retry(wscast_waiter_t *w)
{
    ngx_http_wscast_publish_t  *p;

    p = wscast_container(w, ngx_http_wscast_publish_t, waiter);

    ngx_http_wscast_publish_end(p, ngx_http_wscast_publish_try(p));
}


static void
ngx_http_wscast_publish_timer(ngx_event_t *ev)
{
    ngx_http_wscast_publish_t  *p;

    p = ev->data;

    ngx_http_wscast_publish_end(p, ngx_http_wscast_publish_failed(p,
                                                          WSCAST_CLOSE_AWAY));
}


static void
ngx_http_wscast_publish_done(wscast_receipt_t *receipt,
    wscast_status_t status)
{
    ngx_int_t                   rc;
    ngx_http_wscast_publish_t  *p;

    p = wscast_container(receipt, ngx_http_wscast_publish_t, receipt);

    p->engaged = 0;

    if (p->gone) {
        ngx_free(p);
        return;
    }

    if (p->request == NULL) {
        return;
    }

    rc = (status == WSCAST_OK) ? ngx_http_wscast_publish_count(p)
                               : ngx_http_wscast_publish_failed(p, status);

    ngx_http_wscast_publish_end(p, rc);
}


static void
ngx_http_wscast_publish_counted(ngx_wscast_census_t *census)
{
    ngx_http_wscast_publish_t  *p;

    p = wscast_container(census, ngx_http_wscast_publish_t, census);

    p->counting = 0;

    ngx_http_wscast_publish_end(p, ngx_http_wscast_publish_answer(p,
                                                              census->count));
}


/* From outside the request's own events, unless it goes on.  May free p. */

static void
ngx_http_wscast_publish_end(ngx_http_wscast_publish_t *p, ngx_int_t rc)
{
    ngx_http_request_t  *r;

    if (rc == NGX_AGAIN) {
        return;
    }

    r = p->request;

    ngx_http_wscast_publish_leave(p);
    ngx_http_wscast_api_end(r, rc);
}


static void
ngx_http_wscast_publish_leave(ngx_http_wscast_publish_t *p)
{
    p->request = NULL;

    if (p->timer.timer_set) {
        ngx_del_timer(&p->timer);
    }

    wscast_list_remove(&p->waiter.link);

    if (p->counting) {
        ngx_wscast_bus_uncount(&p->census);
        p->counting = 0;
    }
}


static void
ngx_http_wscast_publish_cleanup(void *data)
{
    ngx_http_wscast_publish_t  *p;

    p = data;
    p->gone = 1;

    ngx_http_wscast_publish_leave(p);

    if (!p->engaged) {
        ngx_free(p);
    }
}
