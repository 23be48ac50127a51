#include "conn.h"


#define NGX_WSCAST_DRAIN_STEP  50       /* ms */


static void ngx_wscast_conns_drain_handler(ngx_event_t *ev);


void
ngx_wscast_conns_drain(ngx_wscast_conns_t *conns)
{
    ngx_queue_t        *q;
    ngx_wscast_conn_t  *conn;

    if (conns->draining) {
        return;
    }

    conns->draining = 1;
    conns->drain.handler = ngx_wscast_conns_drain_handler;

    for (q = ngx_queue_head(&conns->queue);
         q != ngx_queue_sentinel(&conns->queue);
         q = ngx_queue_next(q))
    {
        conn = ngx_queue_data(q, ngx_wscast_conn_t, queue);
        ngx_wscast_conns_drain_one(conn);
    }
}


void
ngx_wscast_conns_drain_one(ngx_wscast_conn_t *conn)
{
    ngx_event_t  *drain;

    conn->move_at = ngx_current_msec + ngx_random() % (conn->conf->drain + 1);

    drain = &conn->conns->drain;

    if (!drain->timer_set) {
        ngx_add_timer(drain, NGX_WSCAST_DRAIN_STEP);
    }
}


/*
 * The timer is not cancelable: an exiting worker goes when only cancelable
 * ones are left, however many sockets are open.
 */

static void
ngx_wscast_conns_drain_handler(ngx_event_t *ev)
{
    ngx_queue_t         *q;
    ngx_wscast_conn_t   *conn;
    ngx_wscast_conns_t  *conns;

    conns = ev->data;

    if (conns->count == 0) {
        return;
    }

    for (q = ngx_queue_head(&conns->queue);
         q != ngx_queue_sentinel(&conns->queue);
         q = ngx_queue_next(q))
    {
        conn = ngx_queue_data(q, ngx_wscast_conn_t, queue);

        if ((ngx_msec_int_t) (conn->move_at - ngx_current_msec) <= 0) {
            ngx_wscast_conn_shutdown(conn);
        }
    }

    ngx_add_timer(ev, NGX_WSCAST_DRAIN_STEP);
}
