#include "conf.h"
#include "reply.h"
#include "../base/scan.h"


#define NGX_HTTP_WSCAST_API_TIME  10000     /* ms for the bus to take it */


/*
 * One publish by HTTP.  It outlives its request if that ends while the engine
 * has the receipt.
 */

typedef struct {
    wscast_receipt_t         receipt;
    wscast_waiter_t          waiter;
    ngx_wscast_census_t      census;
    ngx_event_t              timer;             /* while waiting for room */
    ngx_http_request_t      *request;           /* NULL: it has gone */
    ngx_wscast_hub_t        *hub;
    wscast_pub_fields_t      fields;            /* in the request's pool */
    unsigned                 engaged:1;         /* the engine has the receipt */
    unsigned                 counting:1;
} ngx_http_wscast_publish_t;


static ngx_int_t ngx_http_wscast_api_channel(ngx_http_request_t *r,
    ngx_str_t *channel);
static void ngx_http_wscast_api_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_wscast_api_read(ngx_http_request_t *r,
    ngx_str_t *body);
static const char *ngx_http_wscast_api_fields(ngx_http_request_t *r,
    ngx_str_t *body, wscast_pub_fields_t *f);
static ngx_int_t ngx_http_wscast_api_publish(ngx_http_wscast_publish_t *p);
static ngx_int_t ngx_http_wscast_api_count(ngx_http_wscast_publish_t *p);
static ngx_int_t ngx_http_wscast_api_answer(ngx_http_wscast_publish_t *p,
    uint64_t subscribers);
static ngx_int_t ngx_http_wscast_api_failed(ngx_http_request_t *r,
    wscast_status_t status);
static void ngx_http_wscast_api_retry(wscast_waiter_t *w);
static void ngx_http_wscast_api_done(wscast_receipt_t *receipt,
    wscast_status_t status);
static void ngx_http_wscast_api_counted(ngx_wscast_census_t *census);
static void ngx_http_wscast_api_timer(ngx_event_t *ev);
static void ngx_http_wscast_api_end(ngx_http_wscast_publish_t *p,
    ngx_int_t rc);
static void ngx_http_wscast_api_cleanup(void *data);


ngx_int_t
ngx_http_wscast_api_handler(ngx_http_request_t *r)
{
    ngx_int_t  rc;
    ngx_str_t  channel;

    static ngx_str_t  post = ngx_string("POST");

    rc = ngx_http_wscast_api_channel(r, &channel);

    if (rc == NGX_OK && r->method == NGX_HTTP_POST) {
        rc = ngx_http_read_client_request_body(r, ngx_http_wscast_api_body);

        return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
    }

    if (ngx_http_discard_request_body(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc != NGX_OK) {
        return ngx_http_wscast_reply_error(r, NGX_HTTP_NOT_FOUND,
                                           "no such route");
    }

    if (ngx_http_wscast_header(r, "Allow", &post) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_wscast_reply_error(r, NGX_HTTP_NOT_ALLOWED,
                                       "publish with POST");
}


/* channels/{channel} below the prefix of the location; nginx has decoded it. */

static ngx_int_t
ngx_http_wscast_api_channel(ngx_http_request_t *r, ngx_str_t *channel)
{
    u_char                    *p, *last;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (r->uri.len < clcf->name.len) {
        return NGX_DECLINED;
    }

    p = r->uri.data + clcf->name.len;
    last = r->uri.data + r->uri.len;

    if (p < last && *p == '/' && clcf->name.len
        && clcf->name.data[clcf->name.len - 1] != '/')
    {
        p++;
    }

    if ((size_t) (last - p) <= sizeof("channels/") - 1
        || ngx_strncmp(p, "channels/", sizeof("channels/") - 1) != 0)
    {
        return NGX_DECLINED;
    }

    channel->data = p + sizeof("channels/") - 1;
    channel->len = last - channel->data;

    return NGX_OK;
}


static void
ngx_http_wscast_api_body(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_str_t                    body;
    const char                  *reason;
    ngx_http_cleanup_t          *cln;
    ngx_http_wscast_publish_t   *p;
    ngx_http_wscast_loc_conf_t  *wlcf;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_wscast_module);

    if (wlcf->api->conf.hub == NULL
        || !ngx_wscast_hub_ready(wlcf->api->conf.hub))
    {
        rc = ngx_http_wscast_reply_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                         "hub is not ready");
        goto done;
    }

    p = ngx_calloc(sizeof(ngx_http_wscast_publish_t), r->connection->log);
    cln = p ? ngx_http_cleanup_add(r, 0) : NULL;

    if (cln == NULL) {
        ngx_free(p);
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        goto done;
    }

    cln->handler = ngx_http_wscast_api_cleanup;
    cln->data = p;

    p->request = r;
    p->hub = wlcf->api->conf.hub;
    p->receipt.done = ngx_http_wscast_api_done;
    p->waiter.retry = ngx_http_wscast_api_retry;
    p->census.done = ngx_http_wscast_api_counted;
    p->timer.handler = ngx_http_wscast_api_timer;
    p->timer.data = p;
    p->timer.log = r->connection->log;

    wscast_list_init(&p->receipt.link);
    wscast_list_init(&p->waiter.link);

    rc = ngx_http_wscast_api_read(r, &body);

    if (rc != NGX_OK) {
        goto done;
    }

    reason = ngx_http_wscast_api_fields(r, &body, &p->fields);

    if (reason) {
        rc = ngx_http_wscast_reply_error(r, NGX_HTTP_BAD_REQUEST, reason);
        goto done;
    }

    r->read_event_handler = ngx_http_test_reading;
    rc = ngx_http_wscast_api_publish(p);

    if (rc == NGX_AGAIN) {
        return;                         /* api_end() will finalize it */
    }

done:

    ngx_http_finalize_request(r, rc);
}


/* NGX_OK, or what to finalize with. */

static ngx_int_t
ngx_http_wscast_api_read(ngx_http_request_t *r, ngx_str_t *body)
{
    off_t         size;
    size_t        n;
    u_char       *p;
    ssize_t       got;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    size = 0;

    if (r->request_body) {
        for (cl = r->request_body->bufs; cl; cl = cl->next) {
            size += ngx_buf_size(cl->buf);
        }
    }

    p = ngx_pnalloc(r->pool, size ? size : 1);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body->data = p;
    body->len = size;

    if (size == 0) {
        return NGX_OK;
    }

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        b = cl->buf;
        n = (size_t) ngx_buf_size(b);

        if (n == 0) {
            continue;               /* the end of a chunked body */
        }

        if (!b->in_file) {
            p = ngx_cpymem(p, b->pos, n);
            continue;
        }

        /* over client_body_buffer_size, nginx has put it into a file */

        got = ngx_read_file(b->file, p, n, b->file_pos);

        if (got == NGX_ERROR || (size_t) got != n) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        p += n;
    }

    return NGX_OK;
}


/* NULL, or why the request is a bad one. */

static const char *
ngx_http_wscast_api_fields(ngx_http_request_t *r, ngx_str_t *body,
    wscast_pub_fields_t *f)
{
    ngx_str_t                    channel, *type;
    ngx_table_elt_t             *exclude;
    ngx_http_wscast_loc_conf_t  *wlcf;

    static const char  binary[] = "application/octet-stream";

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_wscast_module);

    (void) ngx_http_wscast_api_channel(r, &channel);

    f->kind = WSCAST_PUB_MESSAGE;
    f->time = ngx_wscast_now();
    f->channel = wscast_str(channel.data, channel.len);
    f->data = wscast_str(body->data, body->len);

    if (!wscast_channel_valid(f->channel, wlcf->api->conf.channel_length)) {
        return "channel is not valid";
    }

    if (r->headers_in.content_type) {
        type = &r->headers_in.content_type->value;

        if (type->len >= sizeof(binary) - 1
            && ngx_strncasecmp(type->data, (u_char *) binary,
                               sizeof(binary) - 1)
               == 0)
        {
            f->flags |= WSCAST_PUB_BINARY;
        }
    }

    if (!(f->flags & WSCAST_PUB_BINARY) && !wscast_utf8_valid(f->data)) {
        return "body is not UTF-8: send it as application/octet-stream";
    }

    exclude = ngx_http_wscast_find_header(r, "Wscast-Exclude", NULL);

    if (exclude) {
        f->exclude = wscast_str(exclude->value.data, exclude->value.len);

        if (exclude->value.len > 255) {
            return "Wscast-Exclude is not the id of a client";
        }
    }

    return NULL;
}


/* NGX_AGAIN: it goes on later; else what to finalize with. */

static ngx_int_t
ngx_http_wscast_api_publish(ngx_http_wscast_publish_t *p)
{
    wscast_status_t  rc;

    rc = ngx_wscast_hub_publish(p->hub, &p->fields, &p->receipt, &p->waiter);

    switch (rc) {

    case WSCAST_OK:
        return ngx_http_wscast_api_count(p);

    case WSCAST_MORE:
        p->engaged = 1;
        return NGX_AGAIN;

    case WSCAST_AGAIN:
        if (!p->timer.timer_set) {
            ngx_add_timer(&p->timer, NGX_HTTP_WSCAST_API_TIME);
        }

        return NGX_AGAIN;

    default:
        return ngx_http_wscast_api_failed(p->request, rc);
    }
}


static ngx_int_t
ngx_http_wscast_api_failed(ngx_http_request_t *r, wscast_status_t status)
{
    switch (status) {

    case WSCAST_CLOSE_AWAY:
        return ngx_http_wscast_reply_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                           "engine is away");

    case WSCAST_CLOSE_TOO_BIG:
        return ngx_http_wscast_reply_error(r,
                                           NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                           "message is too large for the hub");

    default:
        return ngx_http_wscast_reply_error(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                           "no memory");
    }
}


static ngx_int_t
ngx_http_wscast_api_count(ngx_http_wscast_publish_t *p)
{
    wscast_channel_t  *ch;

    switch (ngx_wscast_bus_count(p->hub->bus, p->fields.channel, &p->census)) {

    case NGX_OK:
        p->counting = 1;
        return NGX_AGAIN;

    case NGX_DONE:
        return ngx_http_wscast_api_answer(p, 0);

    default:

        /* published it is; of the other workers nothing is known */

        ch = wscast_fanout_find(&p->hub->fanout, p->fields.channel);

        return ngx_http_wscast_api_answer(p, ch ? ch->count : 0);
    }
}


static ngx_int_t
ngx_http_wscast_api_answer(ngx_http_wscast_publish_t *p, uint64_t subscribers)
{
    ngx_int_t         rc;
    wscast_str_t      text;
    wscast_builder_t  b;

    wscast_builder_init(&b, 64 + p->fields.channel.len);

    wscast_builder_lit(&b, "{\"channel\":");
    wscast_json_quote(&b, p->fields.channel);
    wscast_builder_lit(&b, ",\"subscribers\":");
    wscast_builder_uint(&b, subscribers);
    wscast_builder_lit(&b, "}\n");

    text = wscast_builder_payload(&b);

    rc = text.len ? ngx_http_wscast_reply(p->request, NGX_HTTP_OK,
                                          "application/json", text.data,
                                          text.len)
                  : NGX_HTTP_INTERNAL_SERVER_ERROR;

    wscast_builder_drop(&b);

    return rc;
}


/* There may be room on the bus again. */

static void
ngx_http_wscast_api_retry(wscast_waiter_t *w)
{
    ngx_int_t                   rc;
    ngx_http_wscast_publish_t  *p;

    p = wscast_container(w, ngx_http_wscast_publish_t, waiter);

    rc = ngx_http_wscast_api_publish(p);

    if (rc != NGX_AGAIN) {
        ngx_http_wscast_api_end(p, rc);
    }
}


static void
ngx_http_wscast_api_timer(ngx_event_t *ev)
{
    ngx_http_wscast_publish_t  *p;

    p = ev->data;

    /* the receipt has its own end: only waiting for room is bounded here */

    if (!wscast_list_empty(&p->waiter.link)) {
        wscast_list_remove(&p->waiter.link);

        ngx_http_wscast_api_end(p, ngx_http_wscast_api_failed(p->request,
                                                          WSCAST_CLOSE_AWAY));
    }
}


static void
ngx_http_wscast_api_done(wscast_receipt_t *receipt, wscast_status_t status)
{
    ngx_int_t                   rc;
    ngx_http_wscast_publish_t  *p;

    p = wscast_container(receipt, ngx_http_wscast_publish_t, receipt);

    p->engaged = 0;

    if (p->request == NULL) {
        ngx_free(p);
        return;
    }

    rc = (status == WSCAST_OK) ? ngx_http_wscast_api_count(p)
                               : ngx_http_wscast_api_failed(p->request,
                                                            status);
    if (rc != NGX_AGAIN) {
        ngx_http_wscast_api_end(p, rc);
    }
}


static void
ngx_http_wscast_api_counted(ngx_wscast_census_t *census)
{
    ngx_http_wscast_publish_t  *p;

    p = wscast_container(census, ngx_http_wscast_publish_t, census);

    p->counting = 0;

    ngx_http_wscast_api_end(p, ngx_http_wscast_api_answer(p, census->count));
}


/* From outside the request's own events.  May free p. */

static void
ngx_http_wscast_api_end(ngx_http_wscast_publish_t *p, ngx_int_t rc)
{
    ngx_connection_t  *c;

    c = p->request->connection;

    ngx_http_finalize_request(p->request, rc);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_wscast_api_cleanup(void *data)
{
    ngx_http_wscast_publish_t  *p;

    p = data;
    p->request = NULL;

    if (p->timer.timer_set) {
        ngx_del_timer(&p->timer);
    }

    wscast_list_remove(&p->waiter.link);

    if (p->counting) {
        ngx_wscast_bus_uncount(&p->census);
    }

    if (!p->engaged) {
        ngx_free(p);
    }
}
