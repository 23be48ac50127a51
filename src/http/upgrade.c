#include "conf.h"
#include "params.h"
#include "release.h"
#include "reply.h"
#include "../wire/accept.h"
#include "../wire/offer.h"

#include <ngx_sha1.h>


/* A handshake that is done, on its way from nginx's request to conn. */

typedef struct {
    ngx_http_request_t          *request;
    ngx_http_wscast_loc_conf_t  *conf;
    ngx_event_t                  start;
    wscast_session_params_t      params;
    wscast_accept_t              accept;
    char                         extensions[WSCAST_OFFER_ANSWER];
} ngx_http_wscast_upgrade_t;


static ngx_int_t ngx_http_wscast_accept(ngx_http_request_t *r,
    ngx_http_wscast_upgrade_t *u);
static void ngx_http_wscast_sha1(const u_char *text, size_t len,
    u_char md[WSCAST_ACCEPT_SHA1]);
static ngx_int_t ngx_http_wscast_join_headers(ngx_http_request_t *r,
    const char *name, wscast_str_t *value, unsigned *n);
static ngx_int_t ngx_http_wscast_refuse(ngx_http_request_t *r,
    ngx_http_wscast_upgrade_t *u, ngx_uint_t status, const char *reason);
static ngx_int_t ngx_http_wscast_switch(ngx_http_request_t *r,
    ngx_http_wscast_upgrade_t *u);
static void ngx_http_wscast_write_handler(ngx_http_request_t *r);
static void ngx_http_wscast_start_handler(ngx_event_t *ev);
static void ngx_http_wscast_end_released(void *data, ngx_connection_t *c);
static void ngx_http_wscast_end_held(void *data, ngx_connection_t *c);
static void ngx_http_wscast_cleanup(void *data);


ngx_int_t
ngx_http_wscast_upgrade_handler(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_uint_t                   status;
    const char                  *reason;
    ngx_http_cleanup_t          *cln;
    ngx_http_log_ctx_t          *log;
    ngx_http_wscast_upgrade_t   *u;
    ngx_http_wscast_loc_conf_t  *wlcf;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_wscast_module);

    if (r != r->main) {
        return NGX_HTTP_NOT_FOUND;          /* a subrequest has no socket */
    }

    if (wlcf->token) {
        log = r->connection->log->data;
        log->request = NULL;        /* its line, with a token in it perhaps,
                                       would end each line of the error log */
    }

    u = ngx_pcalloc(r->pool, sizeof(ngx_http_wscast_upgrade_t));
    cln = u ? ngx_http_cleanup_add(r, 0) : NULL;

    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    u->request = r;
    u->conf = wlcf;
    cln->handler = ngx_http_wscast_cleanup;
    cln->data = u;

    rc = ngx_http_wscast_accept(r, u);

    if (rc != NGX_OK) {
        return rc;
    }

    if (u->accept.status != 101) {
        return ngx_http_wscast_refuse(r, u, u->accept.status,
                                      u->accept.reason);
    }

    if (ngx_http_wscast_origin(r, wlcf) != NGX_OK) {
        return ngx_http_wscast_refuse(r, u, NGX_HTTP_FORBIDDEN,
                                      "origin is not allowed");
    }

    if (wlcf->hub->conf.hub == NULL
        || !ngx_wscast_hub_ready(wlcf->hub->conf.hub))
    {
        return ngx_http_wscast_refuse(r, u, NGX_HTTP_SERVICE_UNAVAILABLE,
                                      "hub is not ready");
    }

    status = ngx_http_wscast_params(r, wlcf, &u->params, &reason);

    if (status != NGX_OK) {
        return ngx_http_wscast_refuse(r, u, status, reason);
    }

    ngx_wscast_hub_client_id(wlcf->hub->conf.hub, u->params.id);

    switch (ngx_http_wscast_admit(r, wlcf, u->params.id)) {

    case NGX_OK:
        return ngx_http_wscast_switch(r, u);

    case NGX_DECLINED:
        return ngx_http_wscast_refuse(r, u, NGX_HTTP_TOO_MANY_REQUESTS,
                                      "too many connections");

    default:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}


static ngx_int_t
ngx_http_wscast_accept(ngx_http_request_t *r, ngx_http_wscast_upgrade_t *u)
{
    unsigned                 n;
    wscast_str_t             offers;
    const wscast_dialect_t  *dialect;
    wscast_accept_request_t  a;

    ngx_memzero(&a, sizeof(wscast_accept_request_t));
    offers = wscast_str(NULL, 0);

    a.sha1 = ngx_http_wscast_sha1;
    a.get = (r->method == NGX_HTTP_GET);
    a.http11 = (r->http_version == NGX_HTTP_VERSION_11);

#if (NGX_HTTP_V2)
    if (r->stream) {
        a.http11 = 0;
    }
#endif

#if (NGX_QUIC)
    if (r->connection->quic) {
        a.http11 = 0;
    }
#endif

    a.body = (r->headers_in.content_length_n > 0 || r->headers_in.chunked);

    if (ngx_http_wscast_join_headers(r, "Upgrade", &a.upgrade, &n) != NGX_OK
        || ngx_http_wscast_join_headers(r, "Connection", &a.connection, &n)
           != NGX_OK
        || ngx_http_wscast_join_headers(r, "Sec-WebSocket-Key", &a.key,
                                        &a.keys)
           != NGX_OK
        || ngx_http_wscast_join_headers(r, "Sec-WebSocket-Version",
                                        &a.version, &a.versions)
           != NGX_OK
        || ngx_http_wscast_join_headers(r, "Sec-WebSocket-Protocol",
                                        &a.protocols, &n)
           != NGX_OK
        || ngx_http_wscast_join_headers(r, "Sec-WebSocket-Extensions",
                                        &offers, &n)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    dialect = u->conf->conn.session.dialect;

    wscast_accept(&a, &dialect->protocol, 1, dialect->any_protocol,
                  &u->accept);

    if (u->conf->deflate) {
        (void) wscast_offer(offers, &u->params.deflate);
    }

    return NGX_OK;
}


/*
 * nginx's own: it protects nothing here, and in OpenSSL 3 to find the digest by
 * its name takes ten times as long as to compute it.
 */

static void
ngx_http_wscast_sha1(const u_char *text, size_t len,
    u_char md[WSCAST_ACCEPT_SHA1])
{
    ngx_sha1_t  sha1;

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, text, len);
    ngx_sha1_final(md, &sha1);
}


/* RFC 9110, 5.3: several of a name are one list. */

static ngx_int_t
ngx_http_wscast_join_headers(ngx_http_request_t *r, const char *name,
    wscast_str_t *value, unsigned *n)
{
    u_char           *p;
    ngx_table_elt_t  *h;

    *n = 0;

    for (h = ngx_http_wscast_find_header(r, name, NULL);
         h;
         h = ngx_http_wscast_find_header(r, name, h))
    {
        if ((*n)++ == 0) {
            *value = wscast_str(h->value.data, h->value.len);
            continue;
        }

        p = ngx_pnalloc(r->pool, value->len + 2 + h->value.len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(p, value->data, value->len);
        ngx_memcpy(p + value->len, ", ", 2);
        ngx_memcpy(p + value->len + 2, h->value.data, h->value.len);

        *value = wscast_str(p, value->len + 2 + h->value.len);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_wscast_refuse(ngx_http_request_t *r, ngx_http_wscast_upgrade_t *u,
    ngx_uint_t status, const char *reason)
{
    ngx_int_t         rc;
    u_char            body[256], *p;
    ngx_wscast_hub_t *hub;

    static ngx_str_t  websocket = ngx_string("websocket");
    static ngx_str_t  upgrade = ngx_string("Upgrade");
    static ngx_str_t  version = ngx_string("13");
    static ngx_str_t  get = ngx_string("GET");
    static ngx_str_t  bearer = ngx_string("Bearer error=\"invalid_token\"");

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "wscast: handshake refused with %ui: %s", status, reason);

    hub = u->conf->hub->conf.hub;

    if (hub) {
        hub->conns.counters[WSCAST_COUNT_REFUSED]++;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    /* HTTP/2 and 3 know no such fields (RFC 9113, 8.2.2) */

    if (u->accept.say_upgrade && r->http_version <= NGX_HTTP_VERSION_11) {

        if (ngx_http_wscast_header(r, "Upgrade", &websocket) != NGX_OK
            || ngx_http_wscast_header(r, "Connection", &upgrade) != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (u->accept.say_version
        && ngx_http_wscast_header(r, "Sec-WebSocket-Version", &version)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* RFC 6750, 3.1 */

    if (status == NGX_HTTP_UNAUTHORIZED
        && ngx_http_wscast_header(r, "WWW-Authenticate", &bearer) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (status == NGX_HTTP_NOT_ALLOWED
        && ngx_http_wscast_header(r, "Allow", &get) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_snprintf(body, sizeof(body), "%s\n", reason);

    return ngx_http_wscast_reply(r, status, "text/plain", body, p - body);
}


static ngx_int_t
ngx_http_wscast_switch(ngx_http_request_t *r, ngx_http_wscast_upgrade_t *u)
{
    ngx_int_t          rc;
    ngx_str_t          value;
    ngx_connection_t  *c;

    static ngx_str_t  websocket = ngx_string("websocket");

    c = r->connection;

    r->headers_out.status = NGX_HTTP_SWITCHING_PROTOCOLS;
    ngx_str_set(&r->headers_out.status_line, "101 Switching Protocols");
    r->headers_out.content_length_n = -1;
    r->keepalive = 0;

    value.data = (u_char *) u->accept.accept;
    value.len = WSCAST_ACCEPT_LEN;

    if (ngx_http_wscast_header(r, "Upgrade", &websocket) != NGX_OK
        || ngx_http_wscast_header(r, "Sec-WebSocket-Accept", &value) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (u->accept.protocol.len) {
        value.data = (u_char *) u->accept.protocol.data;
        value.len = u->accept.protocol.len;

        if (ngx_http_wscast_header(r, "Sec-WebSocket-Protocol", &value)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (u->params.deflate.on) {
        value.data = (u_char *) u->extensions;
        value.len = wscast_offer_answer(&u->params.deflate, u->extensions);

        if (ngx_http_wscast_header(r, "Sec-WebSocket-Extensions", &value)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK) {
        return rc;
    }

    /* else the header may wait for postpone_output */

    if (ngx_http_send_special(r, NGX_HTTP_FLUSH) == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (ngx_tcp_nodelay(c) != NGX_OK) {
        return NGX_ERROR;
    }

    r->main->count++;
    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_wscast_write_handler;
    ngx_http_set_ctx(r, u, ngx_http_wscast_module);

    u->start.handler = ngx_http_wscast_start_handler;
    u->start.data = u;
    u->start.log = c->log;

    /* the request can be freed only when nginx is no longer inside it */

    ngx_post_event(&u->start, &ngx_posted_events);

    return NGX_DONE;
}


/* The 101 did not leave in one piece: go on as soon as it has. */

static void
ngx_http_wscast_write_handler(ngx_http_request_t *r)
{
    ngx_http_wscast_upgrade_t  *u;

    u = ngx_http_get_module_ctx(r, ngx_http_wscast_module);

    if (r->connection->write->timedout
        || ngx_http_output_filter(r, NULL) == NGX_ERROR)
    {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    ngx_post_event(&u->start, &ngx_posted_events);
}


static void
ngx_http_wscast_start_handler(ngx_event_t *ev)
{
    size_t                        len;
    u_char                       *input;
    ngx_buf_t                    *b;
    ngx_uint_t                    hold;
    ngx_connection_t             *c;
    ngx_http_request_t           *r;
    ngx_wscast_hub_t             *hub;
    ngx_wscast_conn_t            *conn;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_wscast_upgrade_t    *u;
    ngx_http_wscast_loc_conf_t   *wlcf;

    u = ev->data;
    r = u->request;
    c = r->connection;
    wlcf = u->conf;
    hub = wlcf->hub->conf.hub;

    if (r->out || c->buffered) {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
        ngx_add_timer(c->write, clcf->send_timeout);

        if (ngx_handle_write_event(c->write, clcf->send_lowat) == NGX_OK) {
            return;
        }

        goto failed;
    }

    if (hub == NULL) {
        goto failed;
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    ngx_reusable_connection(c, 0);

    /* what came glued to the handshake are the client's first frames */

    b = r->header_in;
    input = b->pos;
    len = b->last - b->pos;

    /* limit_conn counts as long as the request lives */

    hold = (wlcf->hold == NGX_HTTP_WSCAST_HOLD
            || r->main->limit_conn_status != 0);

    conn = ngx_wscast_conn_create(&hub->conns, c, &wlcf->conn, &hub->engine,
                                  &u->params, input, len,
                                  hold ? ngx_http_wscast_end_held
                                       : ngx_http_wscast_end_released,
                                  hold ? r : NULL);
    if (conn == NULL) {
        goto failed;
    }

    u->params.own_grants = 0;               /* they are the session's now */
    u->params.token_grants = NULL;

    if (!hold) {
        ngx_http_wscast_release(r);

        if (conn->expiry) {
            conn->expiry->log = c->log;
        }
    }

    return;

failed:

    ngx_http_finalize_request(r, NGX_ERROR);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_wscast_end_released(void *data, ngx_connection_t *c)
{
    ngx_http_close_connection(c);
}


static void
ngx_http_wscast_end_held(void *data, ngx_connection_t *c)
{
    ngx_http_request_t  *r;

    r = data;

    c->data = r;
    c->read->handler = ngx_http_empty_handler;
    c->write->handler = ngx_http_empty_handler;

    ngx_http_finalize_request(r, NGX_ERROR);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_wscast_cleanup(void *data)
{
    ngx_http_wscast_upgrade_t  *u;

    u = data;

    if (u->start.posted) {
        ngx_delete_posted_event(&u->start);
    }

    if (u->params.own_grants) {
        wscast_grants_free(u->params.grants);
        u->params.own_grants = 0;
    }

    wscast_grants_free(u->params.token_grants);
    u->params.token_grants = NULL;
}
