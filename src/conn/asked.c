#include "conn.h"


static void ngx_wscast_conn_session_send(void *ctx, wscast_prepared_t *p);
static void ngx_wscast_conn_session_finalize(void *ctx,
    wscast_status_t reason);
static void ngx_wscast_conn_session_resume(void *ctx);
static void ngx_wscast_conn_session_flush(void *ctx);
static size_t ngx_wscast_conn_session_room(void *ctx);
static void ngx_wscast_conn_session_expires(void *ctx);


const wscast_session_handler_t  ngx_wscast_conn_session_handler = {
    ngx_wscast_conn_session_send,
    ngx_wscast_conn_session_flush,
    ngx_wscast_conn_session_room,
    ngx_wscast_conn_session_finalize,
    ngx_wscast_conn_session_resume,
    ngx_wscast_conn_session_expires
};


static void
ngx_wscast_conn_session_send(void *ctx, wscast_prepared_t *p)
{
    ngx_wscast_conn_t  *conn;

    conn = ctx;

    if (ngx_wscast_conn_send(conn, p) == NGX_OK) {
        conn->conns->counters[WSCAST_COUNT_MSG_OUT]++;
    }
}


static void
ngx_wscast_conn_session_finalize(void *ctx, wscast_status_t reason)
{
    ngx_wscast_conn_finalize(ctx, reason);
}


static void
ngx_wscast_conn_session_resume(void *ctx)
{
    ngx_wscast_conn_t  *conn;

    conn = ctx;
    ngx_post_event(conn->connection->read, &ngx_posted_events);
}


static void
ngx_wscast_conn_session_flush(void *ctx)
{
    ngx_wscast_conn_flush(ctx);
}


/* Half of what may wait: the other is for what comes meanwhile. */

static size_t
ngx_wscast_conn_session_room(void *ctx)
{
    size_t              half, weight;
    ngx_wscast_conn_t  *conn;

    conn = ctx;
    half = conn->conf->send_buffer / 2;
    weight = ngx_wscast_outq_weight(&conn->out);

    if (weight == 0) {
        return (size_t) -1;
    }

    return weight < half ? half - weight : 0;
}


static void
ngx_wscast_conn_session_expires(void *ctx)
{
    ngx_wscast_conn_expires(ctx);
}
