#include "conn.h"
#include "../session/prepare.h"


static ngx_int_t ngx_wscast_conn_fill(ngx_wscast_conn_t *conn, u_char **pos,
    u_char **last);
static ngx_int_t ngx_wscast_conn_parse(ngx_wscast_conn_t *conn, u_char **pos,
    u_char *last, ngx_uint_t *budget);
static wscast_status_t ngx_wscast_conn_message(ngx_wscast_conn_t *conn,
    wscast_message_t *m);
static void ngx_wscast_conn_keep(ngx_wscast_conn_t *conn, u_char *pos,
    u_char *last);


void
ngx_wscast_conn_read(ngx_wscast_conn_t *conn)
{
    u_char      *pos, *last, *input;
    ngx_int_t    rc;
    ngx_uint_t   turns, budget;

    budget = NGX_WSCAST_READ_MESSAGES;

    for (turns = 0; turns < NGX_WSCAST_READ_TURNS; turns++) {

        if (conn->failed
            || (conn->state == NGX_WSCAST_CONN_OPEN
                && (conn->reason != WSCAST_OK
                    || wscast_session_blocked(&conn->session))))
        {
            return;
        }

        input = conn->input;
        conn->input = NULL;

        if (input) {
            pos = input + conn->input_pos;
            last = input + conn->input_len;
            conn->input_pos = 0;
            conn->input_len = 0;

        } else if (ngx_wscast_conn_fill(conn, &pos, &last) != NGX_OK) {
            return;
        }

        rc = ngx_wscast_conn_parse(conn, &pos, last, &budget);

        if (pos < last) {
            ngx_wscast_conn_keep(conn, pos, last);
        }

        wscast_free(input);

        if (rc != NGX_OK) {
            break;
        }
    }

    /* more may be there, but others have their turn first */

    ngx_post_event(conn->connection->read, &ngx_posted_next_events);
}


/* NGX_OK: there are bytes; NGX_DECLINED: nothing (more) to read now. */

static ngx_int_t
ngx_wscast_conn_fill(ngx_wscast_conn_t *conn, u_char **pos, u_char **last)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = conn->connection;

    if (!c->read->ready) {
        return NGX_DECLINED;
    }

    n = c->recv(c, conn->conns->buffer, NGX_WSCAST_READ_BUFFER);

    if (n == NGX_AGAIN) {
        return NGX_DECLINED;
    }

    if (n == 0 || n == NGX_ERROR) {
        conn->failed = 1;
        ngx_wscast_conn_finalize(conn, WSCAST_CLOSE_GONE);
        return NGX_DECLINED;
    }

    conn->heard = ngx_current_msec;
    conn->pinged = 0;
    conn->conns->counters[WSCAST_COUNT_BYTES_IN] += n;

    *pos = conn->conns->buffer;
    *last = *pos + n;

    return NGX_OK;
}


/* NGX_OK: all is parsed; NGX_AGAIN: not all, for now. */

static ngx_int_t
ngx_wscast_conn_parse(ngx_wscast_conn_t *conn, u_char **pos, u_char *last,
    ngx_uint_t *budget)
{
    size_t            price;
    wscast_status_t   rc;
    wscast_message_t  m;

    for ( ;; ) {

        if (conn->deaf || conn->peer_closed) {
            *pos = last;
            return NGX_OK;
        }

        if (conn->state == NGX_WSCAST_CONN_OPEN) {

            if (conn->reason != WSCAST_OK) {
                return NGX_OK;
            }

            if (wscast_session_blocked(&conn->session)) {
                return NGX_OK;
            }
        }

        if (*budget == 0) {
            return NGX_AGAIN;
        }

        rc = wscast_message_next(&conn->assembler, pos, last, &m);

        if (rc == WSCAST_MORE) {
            return NGX_OK;
        }

        if (rc == WSCAST_OK) {
            price = 1 + (m.packed ? m.len / NGX_WSCAST_READ_UNPACKED : 0);
            *budget -= ngx_min(price, *budget);
            rc = ngx_wscast_conn_message(conn, &m);

        } else {
            /* what follows a broken frame cannot be understood */
            conn->deaf = 1;
        }

        if (rc != WSCAST_OK) {
            ngx_wscast_conn_finalize(conn, rc == WSCAST_NOMEM
                                           ? WSCAST_CLOSE_NO_MEMORY : rc);
        }
    }
}


static wscast_status_t
ngx_wscast_conn_message(ngx_wscast_conn_t *conn, wscast_message_t *m)
{
    wscast_prepared_t  *pong;

    switch (m->opcode) {

    case WSCAST_OP_PING:

        if (conn->state != NGX_WSCAST_CONN_OPEN) {
            return WSCAST_OK;
        }

        pong = wscast_prepare_frame(WSCAST_OP_PONG, m->data, m->len);

        if (pong == NULL) {
            return WSCAST_NOMEM;
        }

        (void) ngx_wscast_conn_send(conn, pong);
        wscast_prepared_release(pong);

        return WSCAST_OK;

    case WSCAST_OP_PONG:
        return WSCAST_OK;

    case WSCAST_OP_CLOSE:
        conn->peer_closed = 1;
        conn->peer_code = m->code;

        return WSCAST_CLOSE_CLOSED;

    default:

        if (conn->state != NGX_WSCAST_CONN_OPEN) {
            return WSCAST_OK;
        }

        conn->conns->counters[WSCAST_COUNT_MSG_IN]++;

        if (m->packed) {
            conn->conns->counters[WSCAST_COUNT_INFLATED]++;
            conn->conns->counters[WSCAST_COUNT_INFLATE_IN] += m->packed;
            conn->conns->counters[WSCAST_COUNT_INFLATE_OUT] += m->len;
        }

        if (!wscast_rate_take(&conn->conf->rate, &conn->due,
                              (uint64_t) ngx_current_msec * 1000))
        {
            return WSCAST_CLOSE_RATE;
        }

        return wscast_session_message(&conn->session, m->opcode, m->data,
                                      m->len);
    }
}


static void
ngx_wscast_conn_keep(ngx_wscast_conn_t *conn, u_char *pos, u_char *last)
{
    conn->input = wscast_alloc(last - pos);

    if (conn->input == NULL) {
        conn->deaf = 1;
        ngx_wscast_conn_finalize(conn, WSCAST_CLOSE_NO_MEMORY);
        return;
    }

    ngx_memcpy(conn->input, pos, last - pos);
    conn->input_pos = 0;
    conn->input_len = (uint32_t) (last - pos);
}
