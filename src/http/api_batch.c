#include "api_batch.h"


/* In one turn of the event loop; then others have theirs. */
#define NGX_HTTP_WSCAST_SLICE_ITEMS  1000
#define NGX_HTTP_WSCAST_SLICE_BYTES  (1024 * 1024)


typedef struct ngx_http_wscast_batch_s  ngx_http_wscast_batch_t;


/* The fate of an item. */

typedef struct {
    wscast_receipt_t             receipt;
    ngx_http_wscast_batch_t     *batch;
    ngx_http_wscast_bad_e        bad;
    unsigned                     done:1;
} ngx_http_wscast_result_t;


/* It outlives its request if that ends while the engine has receipts. */

struct ngx_http_wscast_batch_s {
    ngx_http_request_t          *request;       /* NULL: it is answered */
    ngx_wscast_hub_t            *hub;
    ngx_http_wscast_item_t      *items;         /* in the request's pool */
    ngx_http_wscast_result_t    *results;       /* behind the struct */
    ngx_uint_t                   n;
    ngx_uint_t                   next;          /* to be published */
    ngx_uint_t                   engaged;       /* receipts of the engine's */
    wscast_waiter_t              waiter;
    ngx_event_t                  turn;          /* posted: goes on */
    ngx_event_t                  timer;
    unsigned                     gone:1;        /* the request has been freed */
};


static ngx_http_wscast_batch_t *ngx_http_wscast_batch_create(
    ngx_http_wscast_api_t *api, ngx_array_t *items);
static ngx_int_t ngx_http_wscast_batch_go(ngx_http_wscast_batch_t *batch);
static wscast_status_t ngx_http_wscast_batch_publish(
    ngx_http_wscast_batch_t *batch, ngx_uint_t i);
static void ngx_http_wscast_batch_done(wscast_receipt_t *receipt,
    wscast_status_t status);
static void ngx_http_wscast_batch_retry(wscast_waiter_t *w);
static void ngx_http_wscast_batch_turn(ngx_event_t *ev);
static void ngx_http_wscast_batch_timer(ngx_event_t *ev);
static void ngx_http_wscast_batch_proceed(ngx_http_wscast_batch_t *batch,
    ngx_int_t rc);
static ngx_int_t ngx_http_wscast_batch_answer(ngx_http_wscast_batch_t *batch);
static void ngx_http_wscast_batch_result(wscast_builder_t *b,
    const ngx_http_wscast_item_t *item,
    const ngx_http_wscast_result_t *result);
static void ngx_http_wscast_batch_leave(ngx_http_wscast_batch_t *batch);
static void ngx_http_wscast_batch_cleanup(void *data);


ngx_int_t
ngx_http_wscast_api_batch(ngx_http_wscast_api_t *api)
{
    ngx_str_t                 body;
    ngx_array_t               items;
    ngx_http_wscast_bad_e     bad;
    ngx_http_wscast_batch_t  *batch;

    if (ngx_http_wscast_api_body(api->request, &body) != NGX_OK
        || ngx_array_init(&items, api->request->pool, 16,
                          sizeof(ngx_http_wscast_item_t))
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    bad = ngx_http_wscast_items_read(api, wscast_str(body.data, body.len),
                                     &items);

    if (bad != NGX_HTTP_WSCAST_FINE) {
        return ngx_http_wscast_api_refuse(api->request, bad,
                                          wscast_str(NULL, 0));
    }

    batch = ngx_http_wscast_batch_create(api, &items);
    if (batch == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_wscast_batch_go(batch);
}


static ngx_http_wscast_batch_t *
ngx_http_wscast_batch_create(ngx_http_wscast_api_t *api, ngx_array_t *items)
{
    ngx_uint_t                i;
    ngx_http_cleanup_t       *cln;
    ngx_http_wscast_batch_t  *batch;

    batch = ngx_calloc(sizeof(ngx_http_wscast_batch_t)
                       + items->nelts * sizeof(ngx_http_wscast_result_t),
                       api->request->connection->log);

    cln = batch ? ngx_http_cleanup_add(api->request, 0) : NULL;

    if (cln == NULL) {
        ngx_free(batch);
        return NULL;
    }

    cln->handler = ngx_http_wscast_batch_cleanup;
    cln->data = batch;

    batch->request = api->request;
    batch->hub = api->hub;
    batch->items = items->elts;
    batch->results = (ngx_http_wscast_result_t *) (batch + 1);
    batch->n = items->nelts;
    batch->waiter.retry = ngx_http_wscast_batch_retry;
    batch->turn.handler = ngx_http_wscast_batch_turn;
    batch->turn.data = batch;
    batch->turn.log = ngx_cycle->log;
    batch->timer.handler = ngx_http_wscast_batch_timer;
    batch->timer.data = batch;
    batch->timer.log = ngx_cycle->log;

    wscast_list_init(&batch->waiter.link);

    for (i = 0; i < batch->n; i++) {
        batch->results[i].batch = batch;
        batch->results[i].bad = batch->items[i].bad;
        batch->results[i].receipt.done = ngx_http_wscast_batch_done;
    }

    return batch;
}


/*
 * Publishes on, as far as there is room.  One is not waited for before the
 * next: their order is the engine's.  NGX_AGAIN, or what to finalize with.
 */

static ngx_int_t
ngx_http_wscast_batch_go(ngx_http_wscast_batch_t *batch)
{
    size_t                     bytes;
    ngx_uint_t                 n;
    wscast_status_t            rc;
    ngx_http_wscast_result_t  *result;

    bytes = 0;

    for (n = 0; batch->next < batch->n; batch->next++) {
        result = &batch->results[batch->next];

        if (result->bad != NGX_HTTP_WSCAST_FINE) {
            result->done = 1;
            continue;
        }

        if (n++ == NGX_HTTP_WSCAST_SLICE_ITEMS
            || bytes > NGX_HTTP_WSCAST_SLICE_BYTES)
        {
            ngx_post_event(&batch->turn, &ngx_posted_next_events);
            break;
        }

        bytes += batch->items[batch->next].message->data.len;
        rc = ngx_http_wscast_batch_publish(batch, batch->next);

        if (rc == WSCAST_AGAIN) {
            break;                      /* retry() will be called */
        }

        if (rc == WSCAST_MORE) {
            batch->engaged++;
            continue;
        }

        result->done = 1;
        result->bad = ngx_http_wscast_api_status(rc);
    }

    if (batch->next == batch->n && batch->engaged == 0) {
        return ngx_http_wscast_batch_answer(batch);
    }

    ngx_add_timer(&batch->timer, NGX_HTTP_WSCAST_API_TIME);

    return NGX_AGAIN;
}


static wscast_status_t
ngx_http_wscast_batch_publish(ngx_http_wscast_batch_t *batch, ngx_uint_t i)
{
    wscast_pub_fields_t      f;
    ngx_http_wscast_item_t  *item;

    item = &batch->items[i];

    ngx_memzero(&f, sizeof(wscast_pub_fields_t));

    f.kind = WSCAST_PUB_MESSAGE;
    f.flags = WSCAST_PUB_JSON;
    f.time = ngx_wscast_now();
    f.channel = item->channel;
    f.data = item->message->data;
    f.key = item->message->key;
    f.exclude = item->message->exclude;

    return ngx_wscast_hub_publish(batch->hub, &f, &batch->results[i].receipt,
                                  &batch->waiter);
}


static void
ngx_http_wscast_batch_done(wscast_receipt_t *receipt, wscast_status_t status)
{
    ngx_http_wscast_batch_t   *batch;
    ngx_http_wscast_result_t  *result;

    result = wscast_container(receipt, ngx_http_wscast_result_t, receipt);
    batch = result->batch;

    result->done = 1;
    result->bad = ngx_http_wscast_api_status(status);
    batch->engaged--;

    if (batch->request == NULL) {

        if (batch->gone && batch->engaged == 0) {
            ngx_free(batch);
        }

        return;
    }

    if (batch->next == batch->n && batch->engaged == 0) {
        ngx_http_wscast_batch_proceed(batch,
                                      ngx_http_wscast_batch_answer(batch));
        return;
    }

    ngx_add_timer(&batch->timer, NGX_HTTP_WSCAST_API_TIME);
}


static void
ngx_http_wscast_batch_retry(wscast_waiter_t *w)
{
    ngx_http_wscast_batch_t  *batch;

    batch = wscast_container(w, ngx_http_wscast_batch_t, waiter);

    ngx_http_wscast_batch_proceed(batch, ngx_http_wscast_batch_go(batch));
}


static void
ngx_http_wscast_batch_turn(ngx_event_t *ev)
{
    ngx_http_wscast_batch_t  *batch;

    batch = ev->data;

    ngx_http_wscast_batch_proceed(batch, ngx_http_wscast_batch_go(batch));
}


/* For so long nothing has gone on. */

static void
ngx_http_wscast_batch_timer(ngx_event_t *ev)
{
    ngx_http_wscast_batch_t  *batch;

    batch = ev->data;

    ngx_http_wscast_batch_proceed(batch, ngx_http_wscast_batch_answer(batch));
}


/* From outside the request's own events, unless it goes on.  May free. */

static void
ngx_http_wscast_batch_proceed(ngx_http_wscast_batch_t *batch, ngx_int_t rc)
{
    ngx_http_request_t  *r;

    if (rc == NGX_AGAIN) {
        return;
    }

    r = batch->request;

    ngx_http_wscast_batch_leave(batch);
    ngx_http_wscast_api_end(r, rc);
}


static ngx_int_t
ngx_http_wscast_batch_answer(ngx_http_wscast_batch_t *batch)
{
    ngx_uint_t        i;
    wscast_builder_t  b;

    wscast_builder_init(&b, 64 + batch->n * 96);

    wscast_builder_lit(&b, "{\"results\":[");

    for (i = 0; i < batch->n; i++) {

        if (i) {
            wscast_builder_lit(&b, ",");
        }

        ngx_http_wscast_batch_result(&b, &batch->items[i],
                                     &batch->results[i]);
    }

    wscast_builder_lit(&b, "]}");

    return ngx_http_wscast_reply_json(batch->request, NGX_HTTP_OK, &b);
}


static void
ngx_http_wscast_batch_result(wscast_builder_t *b,
    const ngx_http_wscast_item_t *item,
    const ngx_http_wscast_result_t *result)
{
    ngx_http_wscast_bad_e  bad;

    bad = result->done ? result->bad : NGX_HTTP_WSCAST_BAD_AWAY;

    wscast_builder_lit(b, "{\"message\":");
    wscast_builder_uint(b, item->index);

    if (item->channel.len) {
        wscast_builder_lit(b, ",\"channel\":");
        wscast_json_quote(b, item->channel);
    }

    if (bad == NGX_HTTP_WSCAST_FINE) {
        ngx_http_wscast_api_position(b, &result->receipt.position);

    } else {
        wscast_builder_lit(b, ",\"error\":");
        ngx_http_wscast_api_error(b, bad, wscast_str(NULL, 0));
    }

    wscast_builder_lit(b, "}");
}


static void
ngx_http_wscast_batch_leave(ngx_http_wscast_batch_t *batch)
{
    batch->request = NULL;

    if (batch->timer.timer_set) {
        ngx_del_timer(&batch->timer);
    }

    if (batch->turn.posted) {
        ngx_delete_posted_event(&batch->turn);
    }

    wscast_list_remove(&batch->waiter.link);
}


static void
ngx_http_wscast_batch_cleanup(void *data)
{
    ngx_http_wscast_batch_t  *batch;

    batch = data;
    batch->gone = 1;

    ngx_http_wscast_batch_leave(batch);

    if (batch->engaged == 0) {
        ngx_free(batch);
    }
}
