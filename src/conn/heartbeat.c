#include "conn.h"
#include "../session/prepare.h"


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
