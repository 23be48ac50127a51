#include "conn.h"
#include "../session/prepare.h"


#define ngx_wscast_conn_over(conn, p)                                         \
    (ngx_wscast_outq_weight(&(conn)->out) + (p)->len                          \
     > (conn)->conf->send_buffer)


static void ngx_wscast_conn_free(ngx_wscast_conn_t *conn);
static void ngx_wscast_conn_inflater(ngx_wscast_conn_t *conn,
    const wscast_offer_t *agreed);
static void ngx_wscast_conn_count(ngx_wscast_conn_t *conn);
static void ngx_wscast_conn_read_handler(ngx_event_t *rev);
static ngx_int_t ngx_wscast_conn_write_now(ngx_wscast_conn_t *conn);
static void ngx_wscast_conn_write_handler(ngx_event_t *wev);
static void ngx_wscast_conn_begin_close(ngx_wscast_conn_t *conn);


ngx_wscast_conn_t *
ngx_wscast_conn_create(ngx_wscast_conns_t *conns, ngx_connection_t *c,
    const ngx_wscast_conn_conf_t *conf, const wscast_engine_t *engine,
    const wscast_session_params_t *params, const u_char *input, size_t len,
    ngx_wscast_conn_end_pt end, void *data)
{
    ngx_wscast_conn_t  *conn;

    conn = wscast_zalloc(sizeof(ngx_wscast_conn_t));
    if (conn == NULL) {
        return NULL;
    }

    if (len) {
        conn->input = wscast_alloc(len);

        if (conn->input == NULL) {
            wscast_free(conn);
            return NULL;
        }

        ngx_memcpy(conn->input, input, len);
        conn->input_len = (uint32_t) len;
    }

    conn->magic = NGX_WSCAST_CONN_MAGIC;
    conn->connection = c;
    conn->fd = c->fd;
    conn->conns = conns;
    conn->conf = conf;
    conn->end = end;
    conn->end_data = data;
    conn->heard = ngx_current_msec;
    conn->full = !c->write->ready;

#if (NGX_SSL)
    conn->secure = c->ssl ? 1 : 0;
#endif

    ngx_queue_init(&conn->dirty);
    ngx_queue_insert_tail(&conns->queue, &conn->queue);
    conns->count++;

    wscast_assembler_init(&conn->assembler, conf->message_size);

    c->data = conn;
    c->read->handler = ngx_wscast_conn_read_handler;
    c->write->handler = ngx_wscast_conn_write_handler;
    c->read->cancelable = 1;
    c->write->cancelable = 1;
    c->log->action = "serving a websocket";

    conns->counters[WSCAST_COUNT_CONNECTIONS]++;
    conns->counters[WSCAST_COUNT_ACCEPTED]++;

    if (conns->draining) {
        ngx_wscast_conns_drain_one(conn);
    }

    ngx_wscast_conn_inflater(conn, &params->deflate);

    if (wscast_session_open(&conn->session, &conf->session, engine,
                            &ngx_wscast_conn_session_handler, conn, params)
        != WSCAST_OK)
    {
        ngx_wscast_conn_finalize(conn, WSCAST_CLOSE_NO_MEMORY);
    }

    if (conf->ping_interval) {
        ngx_add_timer(c->read, conf->ping_interval);
    }

    ngx_wscast_conn_expires(conn);

    ngx_post_event(c->read, &ngx_posted_events);

    return conn;
}


static void
ngx_wscast_conn_inflater(ngx_wscast_conn_t *conn, const wscast_offer_t *agreed)
{
    wscast_inflater_t  *i;

    if (!agreed->on) {
        return;
    }

    i = wscast_inflater_create(conn->conns->deflate, agreed->client_bits);

    if (i == NULL) {
        ngx_wscast_conn_finalize(conn, WSCAST_CLOSE_NO_MEMORY);
        return;
    }

    wscast_assembler_unpack(&conn->assembler, i);
}


static void
ngx_wscast_conn_count(ngx_wscast_conn_t *conn)
{
    conn->conns->counters[WSCAST_COUNT_SUBSCRIPTIONS] =
                             conn->session.engine->fanout->subscriptions;
}


/* Reading */


static void
ngx_wscast_conn_read_handler(ngx_event_t *rev)
{
    ngx_connection_t   *c;
    ngx_wscast_conn_t  *conn;

    c = rev->data;
    conn = c->data;

    ngx_wscast_conn_check(conn);

    conn->settled = 0;

    if (rev->timedout) {
        rev->timedout = 0;
        ngx_wscast_conn_heartbeat(conn);

    } else {
        ngx_wscast_conn_read(conn);
        ngx_wscast_conn_count(conn);
    }

    ngx_wscast_conn_proceed(conn);
}


/* Writing */


ngx_int_t
ngx_wscast_conn_send(ngx_wscast_conn_t *conn, wscast_prepared_t *p)
{
    if (conn->state != NGX_WSCAST_CONN_OPEN || conn->failed) {
        return NGX_DECLINED;
    }

    if (conn->out.count && ngx_wscast_conn_over(conn, p)) {

        /* it only waits for this turn's end: not the client's fault */

        if (ngx_wscast_conn_write_now(conn) == NGX_ERROR) {
            return NGX_DECLINED;
        }

        if (conn->out.count && ngx_wscast_conn_over(conn, p)) {

            if (conn->conf->send_drop) {
                conn->conns->counters[WSCAST_COUNT_DROPPED]++;
                return NGX_DECLINED;
            }

            ngx_wscast_conn_finalize(conn, WSCAST_CLOSE_SLOW);
            return NGX_DECLINED;
        }
    }

    if (ngx_wscast_outq_push(&conn->out, p) != NGX_OK) {
        ngx_wscast_conn_finalize(conn, WSCAST_CLOSE_NO_MEMORY);
        return NGX_DECLINED;
    }

    conn->conns->counters[WSCAST_COUNT_QUEUED] += p->len;

    ngx_wscast_conn_post(conn);

    return NGX_OK;
}


/*
 * What is written here is not written in proceed(): so that of many receivers
 * each one's memory is needed once, not once to queue and again to write.
 */

void
ngx_wscast_conn_flush(ngx_wscast_conn_t *conn)
{
    if (conn->out.count == 0 || !conn->settled || conn->failed
        || conn->reason != WSCAST_OK)
    {
        return;
    }

    if (ngx_wscast_conn_write_now(conn) == NGX_OK
        && conn->session.entry == NULL)
    {
        ngx_queue_remove(&conn->dirty);
        ngx_queue_init(&conn->dirty);
    }
}


/* Where nobody may be closed: that is posted. */

static ngx_int_t
ngx_wscast_conn_write_now(ngx_wscast_conn_t *conn)
{
    ngx_int_t  rc;

    rc = ngx_wscast_conn_write(conn);

    if (rc == NGX_ERROR) {
        conn->failed = 1;
        ngx_wscast_conn_finalize(conn, WSCAST_CLOSE_GONE);
    }

    return rc;
}


static void
ngx_wscast_conn_write_handler(ngx_event_t *wev)
{
    ngx_connection_t   *c;
    ngx_wscast_conn_t  *conn;

    c = wev->data;
    conn = c->data;

    ngx_wscast_conn_check(conn);

    if (wev->timedout) {
        wev->timedout = 0;

        /* closing takes too long; after the close frame that is no news */

        conn->failed = 1;
        ngx_wscast_conn_close(conn);
        return;
    }

    conn->settled = 0;
    conn->full = !wev->ready;

    ngx_wscast_conn_proceed(conn);
}


void
ngx_wscast_conn_proceed(ngx_wscast_conn_t *conn)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = conn->connection;

    ngx_queue_remove(&conn->dirty);
    ngx_queue_init(&conn->dirty);

    if (conn->reason != WSCAST_OK && conn->state == NGX_WSCAST_CONN_OPEN) {

        /* what it published before its end, it receives before its end */

        conn->conns->settle(conn->conns->settle_ctx);

        /* whom an operator sends away does not come back */

        wscast_session_end(&conn->session,
                           conn->reason != WSCAST_CLOSE_DISCONNECTED);
        ngx_wscast_conn_count(conn);

        ngx_wscast_conn_begin_close(conn);
    }

    if (conn->failed) {
        ngx_wscast_conn_close(conn);
        return;
    }

    rc = ngx_wscast_conn_write(conn);

    if (rc == NGX_ERROR) {

        if (conn->reason == WSCAST_OK) {
            conn->reason = WSCAST_CLOSE_GONE;
        }

        ngx_wscast_conn_close(conn);
        return;
    }

    if (rc == NGX_OK && conn->state == NGX_WSCAST_CONN_FLUSH) {
        conn->state = NGX_WSCAST_CONN_CLOSE;
    }

    wscast_session_drained(&conn->session);

    if (rc == NGX_OK && conn->settled && conn->state == NGX_WSCAST_CONN_OPEN) {
        /* a message was sent, and nothing else has changed */
        return;
    }

    if (conn->state == NGX_WSCAST_CONN_CLOSE && ngx_wscast_conn_ends(conn)) {

        /*
         * Closing with unread input would reset the connection, and the close
         * frame might never be seen: so end our side and read the other out
         * (RFC 6455, 7.1.1), also if nothing is there now: a ping that crosses
         * our close frame is enough.
         */

#if (NGX_SSL)
        if (c->ssl) {
            (void) SSL_shutdown(c->ssl->connection);
            ERR_clear_error();
        }
#endif

        if (ngx_shutdown_socket(c->fd, NGX_WRITE_SHUTDOWN) == -1) {
            ngx_wscast_conn_close(conn);
            return;
        }

        conn->state = NGX_WSCAST_CONN_LINGER;
        ngx_add_timer(c->write, NGX_WSCAST_LINGER_TIME);

    } else if (conn->state != NGX_WSCAST_CONN_OPEN && !c->write->timer_set) {
        ngx_add_timer(c->write, NGX_WSCAST_CLOSE_TIME);
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK
        || ngx_handle_read_event(c->read, 0) != NGX_OK)
    {
        ngx_wscast_conn_close(conn);
        return;
    }

    conn->settled = 1;

    if ((c->read->ready || conn->input) && !c->read->posted
        && conn->state != NGX_WSCAST_CONN_OPEN)
    {
        /* whatever was held back is read now, to find the close frame */
        ngx_post_event(c->read, &ngx_posted_next_events);
    }
}


static void
ngx_wscast_conn_begin_close(ngx_wscast_conn_t *conn)
{
    unsigned               code;
    const char            *text;
    wscast_prepared_t     *p;
    const wscast_close_t  *row;

    row = wscast_close_row(conn->reason);

    code = row->code;
    text = row->text;

    if (code == 0 || conn->failed) {
        conn->failed = 1;
        return;
    }

    if (code == 1) {
        code = conn->peer_code;
        text = NULL;
    }

    if (conn->reason == WSCAST_CLOSE_SLOW) {
        conn->conns->counters[WSCAST_COUNT_QUEUED] -= conn->out.bytes;
        ngx_wscast_outq_truncate(&conn->out);
        conn->conns->counters[WSCAST_COUNT_QUEUED] += conn->out.bytes;
    }

    p = wscast_prepare_close(code, text);

    if (p == NULL || ngx_wscast_outq_push(&conn->out, p) != NGX_OK) {
        wscast_prepared_release(p);
        conn->failed = 1;
        return;
    }

    conn->conns->counters[WSCAST_COUNT_QUEUED] += p->len;
    wscast_prepared_release(p);

    conn->state = NGX_WSCAST_CONN_FLUSH;

    if (conn->connection->read->timer_set) {
        ngx_del_timer(conn->connection->read);
    }
}


void
ngx_wscast_conn_finalize(ngx_wscast_conn_t *conn, wscast_status_t reason)
{
    if (conn->reason == WSCAST_OK) {
        conn->reason = reason;
    }

    ngx_wscast_conn_post(conn);
}


void
ngx_wscast_conn_shutdown(ngx_wscast_conn_t *conn)
{
    if (conn->reason == WSCAST_OK) {
        wscast_session_disconnect(&conn->session);
        ngx_wscast_conn_finalize(conn, WSCAST_CLOSE_MOVE);
    }
}


void
ngx_wscast_conn_close(ngx_wscast_conn_t *conn)
{
    ngx_connection_t        *c;
    ngx_wscast_conns_t      *conns;
    const wscast_close_t    *row;
    ngx_wscast_conn_end_pt   end;
    void                    *data;

    c = conn->connection;
    conns = conn->conns;
    end = conn->end;
    data = conn->end_data;
    row = wscast_close_row(conn->reason);

    ngx_log_error((row->ours ? NGX_LOG_ERR : NGX_LOG_INFO), c->log, 0,
                  "wscast: %s", row->text);

    conns->counters[WSCAST_COUNT_CLOSES + conn->reason]++;
    conns->counters[WSCAST_COUNT_CONNECTIONS]--;
    conns->counters[WSCAST_COUNT_QUEUED] -= conn->out.bytes
                                            + conn->tls_len - conn->tls_pos;
    conns->count--;
    c->sent += conn->sent;

    /* what its channels owe it comes too late; leaving may still post it */

    conn->failed = 1;
    wscast_session_close(&conn->session);
    ngx_wscast_conn_count(conn);

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    if (conn->expiry && conn->expiry->timer_set) {
        ngx_del_timer(conn->expiry);
    }

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    ngx_queue_remove(&conn->queue);
    ngx_queue_remove(&conn->dirty);

    ngx_wscast_conn_free(conn);

    end(data, c);
}


static void
ngx_wscast_conn_free(ngx_wscast_conn_t *conn)
{
    wscast_assembler_done(&conn->assembler);
    ngx_wscast_outq_done(&conn->out);
    wscast_free(conn->input);
    wscast_free(conn->tls);
    wscast_free(conn->expiry);

    conn->magic = 0;
    wscast_free(conn);
}
