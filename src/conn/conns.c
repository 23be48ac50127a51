#include "conn.h"


#define NGX_WSCAST_FLUSH_CLOCK  16              /* connections; then it looks */


static void ngx_wscast_conn_flush_handler(ngx_event_t *ev);
static void ngx_wscast_conn_prefetch(ngx_queue_t *q);


ngx_int_t
ngx_wscast_conns_init(ngx_wscast_conns_t *conns, uint64_t *counters,
    void (*settle)(void *ctx), void *ctx, ngx_log_t *log)
{
    ngx_memzero(conns, sizeof(ngx_wscast_conns_t));

    ngx_queue_init(&conns->queue);
    ngx_queue_init(&conns->dirty);

    conns->counters = counters;
    conns->settle = settle;
    conns->settle_ctx = ctx;

    conns->flush.handler = ngx_wscast_conn_flush_handler;
    conns->flush.data = conns;
    conns->flush.log = log;

    conns->drain.data = conns;
    conns->drain.log = log;

    conns->buffer = ngx_alloc(NGX_WSCAST_READ_BUFFER, log);

    return conns->buffer ? NGX_OK : NGX_ERROR;
}


void
ngx_wscast_conns_done(ngx_wscast_conns_t *conns)
{
    ngx_queue_t        *q;
    ngx_wscast_conn_t  *conn;

    while (!ngx_queue_empty(&conns->queue)) {
        q = ngx_queue_head(&conns->queue);
        conn = ngx_queue_data(q, ngx_wscast_conn_t, queue);

        if (conn->reason == WSCAST_OK) {
            conn->reason = WSCAST_CLOSE_MOVE;
        }

        ngx_wscast_conn_close(conn);
    }

    if (conns->flush.posted) {
        ngx_delete_posted_event(&conns->flush);
    }

    if (conns->drain.timer_set) {
        ngx_del_timer(&conns->drain);
    }

    ngx_free(conns->buffer);
    conns->buffer = NULL;
}


void
ngx_wscast_conns_finalize(ngx_wscast_conns_t *conns, wscast_status_t reason)
{
    ngx_queue_t  *q;

    for (q = ngx_queue_head(&conns->queue);
         q != ngx_queue_sentinel(&conns->queue);
         q = ngx_queue_next(q))
    {
        ngx_wscast_conn_finalize(ngx_queue_data(q, ngx_wscast_conn_t, queue),
                                 reason);
    }
}


static void
ngx_wscast_conn_flush_handler(ngx_event_t *ev)
{
    (void) ngx_wscast_conns_flush(ev->data, ngx_wscast_conn_clock()
                                            + NGX_WSCAST_FLUSH_SLICE);
}


ngx_int_t
ngx_wscast_conns_flush(ngx_wscast_conns_t *conns, uint64_t end)
{
    ngx_uint_t          n;
    ngx_queue_t        *q;
    ngx_wscast_conn_t  *conn;

    for (n = 1; !ngx_queue_empty(&conns->dirty); n++) {
        q = ngx_queue_head(&conns->dirty);
        conn = ngx_queue_data(q, ngx_wscast_conn_t, dirty);

        ngx_wscast_conn_check(conn);
        ngx_wscast_conn_prefetch(q);
        ngx_wscast_conn_proceed(conn);

        if (n % NGX_WSCAST_FLUSH_CLOCK == 0 && ngx_wscast_conn_clock() >= end
            && !ngx_queue_empty(&conns->dirty))
        {
            if (!conns->flush.posted) {
                ngx_post_event(&conns->flush, &ngx_posted_next_events);
            }

            return NGX_AGAIN;
        }
    }

    return NGX_OK;
}


/*
 * The kernel fills the cache with its own while it sends: have the next one's
 * memory come meanwhile.
 */

static void
ngx_wscast_conn_prefetch(ngx_queue_t *q)
{
    wscast_prefetch(ngx_queue_data(ngx_queue_next(q), ngx_wscast_conn_t,
                                   dirty),
                    NGX_WSCAST_CONN_HEAD + WSCAST_SESSION_HEAD);
}


uint64_t
ngx_wscast_conn_clock(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


void
ngx_wscast_conn_post(ngx_wscast_conn_t *conn)
{
    if (ngx_queue_empty(&conn->dirty)) {
        ngx_queue_insert_tail(&conn->conns->dirty, &conn->dirty);
        ngx_post_event(&conn->conns->flush, &ngx_posted_events);
    }
}
