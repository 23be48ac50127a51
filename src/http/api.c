#include "api.h"


typedef struct {
    ngx_http_wscast_serve_pt     get;
    ngx_http_wscast_serve_pt     post;
    ngx_http_wscast_serve_pt     del;
    ngx_str_t                    allow;
} ngx_http_wscast_route_t;


static ngx_int_t ngx_http_wscast_api_elsewhere(ngx_http_request_t *r,
    ngx_int_t found, ngx_http_wscast_at_e at);
static void ngx_http_wscast_api_serve(ngx_http_request_t *r);


static const ngx_http_wscast_route_t  ngx_http_wscast_routes[] = {
    [NGX_HTTP_WSCAST_AT_CHANNELS] = {
        .get = ngx_http_wscast_api_channels,
        .allow = ngx_string("GET")
    },
    [NGX_HTTP_WSCAST_AT_CHANNEL] = {
        .get = ngx_http_wscast_api_channel,
        .post = ngx_http_wscast_api_publish,
        .allow = ngx_string("GET, POST")
    },
    [NGX_HTTP_WSCAST_AT_HISTORY] = {
        .get = ngx_http_wscast_api_history,
        .del = ngx_http_wscast_api_forget,
        .allow = ngx_string("GET, DELETE")
    },
    [NGX_HTTP_WSCAST_AT_PRESENCE] = {
        .get = ngx_http_wscast_api_presence,
        .allow = ngx_string("GET")
    },
    [NGX_HTTP_WSCAST_AT_PUBLISH] = {
        .post = ngx_http_wscast_api_batch,
        .allow = ngx_string("POST")
    },
    [NGX_HTTP_WSCAST_AT_CLIENT] = {
        .del = ngx_http_wscast_api_disconnect,
        .allow = ngx_string("DELETE")
    },
    [NGX_HTTP_WSCAST_AT_USER] = {
        .del = ngx_http_wscast_api_disconnect,
        .allow = ngx_string("DELETE")
    }
};


static const struct {
    ngx_uint_t                   status;
    const char                  *reason;
} ngx_http_wscast_errors[] = {
    { 0, NULL },
#define X(name, status, reason)  { status, reason },
    NGX_HTTP_WSCAST_ERRORS(X)
#undef X
};


ngx_int_t
ngx_http_wscast_api_handler(ngx_http_request_t *r)
{
    ngx_int_t                       rc;
    wscast_str_t                    name;
    ngx_http_wscast_at_e            at;
    ngx_http_wscast_api_t          *api;
    ngx_http_wscast_serve_pt        serve;
    const ngx_http_wscast_route_t  *route;

    rc = ngx_http_wscast_api_path(r, &at, &name);
    serve = NULL;

    if (rc == NGX_OK) {
        route = &ngx_http_wscast_routes[at];

        serve = r->method == NGX_HTTP_GET ? route->get
                : r->method == NGX_HTTP_POST ? route->post
                : r->method == NGX_HTTP_DELETE ? route->del
                : NULL;
    }

    if (serve == NULL) {
        return ngx_http_wscast_api_elsewhere(r, rc, at);
    }

    api = ngx_pcalloc(r->pool, sizeof(ngx_http_wscast_api_t));
    if (api == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    api->request = r;
    api->at = at;
    api->name = name;
    api->serve = serve;

    ngx_http_set_ctx(r, api, ngx_http_wscast_module);

    /* those that have no body have been read at once */

    rc = ngx_http_read_client_request_body(r, ngx_http_wscast_api_serve);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


static ngx_int_t
ngx_http_wscast_api_elsewhere(ngx_http_request_t *r, ngx_int_t found,
    ngx_http_wscast_at_e at)
{
    ngx_str_t     allow;
    wscast_str_t  none;

    none = wscast_str(NULL, 0);

    if (found == NGX_ERROR || ngx_http_discard_request_body(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (found != NGX_OK) {
        return ngx_http_wscast_api_refuse(r, NGX_HTTP_WSCAST_BAD_ROUTE, none);
    }

    allow = ngx_http_wscast_routes[at].allow;

    if (ngx_http_wscast_header(r, "Allow", &allow) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_wscast_api_refuse(r, NGX_HTTP_WSCAST_BAD_METHOD, none);
}


static void
ngx_http_wscast_api_serve(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_http_wscast_api_t       *api;
    ngx_http_wscast_bad_e        bad;
    ngx_http_wscast_loc_conf_t  *wlcf;

    api = ngx_http_get_module_ctx(r, ngx_http_wscast_module);
    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_wscast_module);

    api->hub = wlcf->api->conf.hub;
    api->channel_length = wlcf->api->conf.channel_length;

    bad = NGX_HTTP_WSCAST_FINE;

    if (api->hub == NULL || !ngx_wscast_hub_ready(api->hub)) {
        bad = NGX_HTTP_WSCAST_BAD_READY;

    } else if (api->at >= NGX_HTTP_WSCAST_AT_CHANNEL
               && api->at <= NGX_HTTP_WSCAST_AT_PRESENCE
               && !wscast_channel_valid(api->name, api->channel_length))
    {
        bad = NGX_HTTP_WSCAST_BAD_CHANNEL;
    }

    if (bad != NGX_HTTP_WSCAST_FINE) {
        rc = ngx_http_wscast_api_refuse(r, bad, wscast_str(NULL, 0));

    } else {
        r->read_event_handler = ngx_http_test_reading;
        rc = api->serve(api);
    }

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }
}


ngx_int_t
ngx_http_wscast_api_refuse(ngx_http_request_t *r, ngx_http_wscast_bad_e bad,
    wscast_str_t about)
{
    wscast_builder_t  b;

    wscast_builder_init(&b, 128);

    wscast_builder_lit(&b, "{\"error\":");
    ngx_http_wscast_api_error(&b, bad, about);
    wscast_builder_lit(&b, "}");

    return ngx_http_wscast_reply_json(r, ngx_http_wscast_errors[bad].status,
                                      &b);
}


void
ngx_http_wscast_api_error(wscast_builder_t *b, ngx_http_wscast_bad_e bad,
    wscast_str_t about)
{
    ngx_http_wscast_error(b, ngx_http_wscast_errors[bad].status,
                          ngx_http_wscast_errors[bad].reason, about);
}


ngx_http_wscast_bad_e
ngx_http_wscast_api_status(wscast_status_t status)
{
    switch (status) {

    case WSCAST_OK:
        return NGX_HTTP_WSCAST_FINE;

    case WSCAST_CLOSE_AWAY:
        return NGX_HTTP_WSCAST_BAD_AWAY;

    case WSCAST_CLOSE_TOO_BIG:
        return NGX_HTTP_WSCAST_BAD_TOO_BIG;

    default:
        return NGX_HTTP_WSCAST_BAD_MEMORY;
    }
}


void
ngx_http_wscast_api_position(wscast_builder_t *b,
    const wscast_position_t *position)
{
    u_char  hex[16];

    if (position->epoch == 0) {
        return;
    }

    (void) ngx_sprintf(hex, "%016xL", position->epoch);

    wscast_builder_lit(b, ",\"epoch\":\"");
    wscast_builder_put(b, hex, sizeof(hex));
    wscast_builder_lit(b, "\",\"offset\":");
    wscast_builder_uint(b, position->offset);
}


void
ngx_http_wscast_api_end(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_connection_t  *c;

    c = r->connection;

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}
