#include "conn.h"
#include "../session/prepare.h"


#define NGX_WSCAST_EXPIRY_MAX  (24 * 3600 * 1000)      /* ms; then again */


static void ngx_wscast_conn_expiry_handler(ngx_event_t *ev);

/* ms since 1970, by the clock that the session goes by. */
#define ngx_wscast_conn_now(conn)                                             \
    ((conn)->session.engine->now((conn)->session.engine->ctx))


/*
 * The timer is not touched when something arrives: receiving only notes the
 * time, and the timer finds out how long ago that was.
 */

void
ngx_wscast_conn_heartbeat(ngx_wscast_conn_t *conn)
{
    ngx_msec_t          silent;
    wscast_prepared_t  *ping;

    if (conn->state != NGX_WSCAST_CONN_OPEN || conn->reason != WSCAST_OK) {
        return;
    }

    silent = ngx_current_msec - conn->heard;

    /* a client that we do not read from cannot be heard */

    if (silent < conn->conf->ping_interval
        || conn->input || wscast_session_blocked(&conn->session))
    {
        ngx_add_timer(conn->connection->read,
                      silent < conn->conf->ping_interval
                      ? conn->conf->ping_interval - silent
                      : conn->conf->ping_interval);
        return;
    }

    if (conn->pinged) {
        ngx_wscast_conn_finalize(conn, WSCAST_CLOSE_SILENT);
        return;
    }

    ping = wscast_prepare_frame(WSCAST_OP_PING, NULL, 0);

    if (ping == NULL) {
        ngx_wscast_conn_finalize(conn, WSCAST_CLOSE_NO_MEMORY);
        return;
    }

    (void) ngx_wscast_conn_send(conn, ping);
    wscast_prepared_release(ping);

    conn->pinged = 1;
    ngx_add_timer(conn->connection->read, conn->conf->ping_timeout);
}


void
ngx_wscast_conn_expires(ngx_wscast_conn_t *conn)
{
    uint64_t  now, left;

    if (conn->session.expires == 0) {

        if (conn->expiry && conn->expiry->timer_set) {
            ngx_del_timer(conn->expiry);
        }

        return;
    }

    if (conn->expiry == NULL) {
        conn->expiry = wscast_zalloc(sizeof(ngx_event_t));

        if (conn->expiry == NULL) {
            ngx_wscast_conn_finalize(conn, WSCAST_CLOSE_NO_MEMORY);
            return;
        }

        conn->expiry->handler = ngx_wscast_conn_expiry_handler;
        conn->expiry->data = conn;
        conn->expiry->log = conn->connection->log;
        conn->expiry->cancelable = 1;
    }

    now = ngx_wscast_conn_now(conn);
    left = conn->session.expires > now ? conn->session.expires - now : 1;

    ngx_add_timer(conn->expiry, ngx_min(left, NGX_WSCAST_EXPIRY_MAX));
}


static void
ngx_wscast_conn_expiry_handler(ngx_event_t *ev)
{
    ngx_wscast_conn_t  *conn;

    conn = ev->data;

    if (conn->session.expires > ngx_wscast_conn_now(conn)) {
        ngx_wscast_conn_expires(conn);
        return;
    }

    ngx_wscast_conn_finalize(conn, WSCAST_CLOSE_EXPIRED);
}
