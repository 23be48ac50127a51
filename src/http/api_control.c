#include "api_question.h"


#define NGX_HTTP_WSCAST_CHANNELS_LIMIT  100


static void ngx_http_wscast_channels_write(ngx_http_wscast_question_t *q,
    wscast_builder_t *b);
static void ngx_http_wscast_channel_write(ngx_http_wscast_question_t *q,
    wscast_builder_t *b);
static void ngx_http_wscast_disconnect_write(ngx_http_wscast_question_t *q,
    wscast_builder_t *b);


ngx_int_t
ngx_http_wscast_api_channels(ngx_http_wscast_api_t *api)
{
    uint64_t                     limit;
    wscast_str_t                 none;
    ngx_http_request_t          *r;
    ngx_http_wscast_question_t  *q;

    r = api->request;
    none = wscast_str(NULL, 0);

    q = ngx_http_wscast_question(api, ngx_http_wscast_channels_write);

    if (q == NULL
        || ngx_http_wscast_api_arg(r, "prefix", &q->workers.name) == NGX_ERROR
        || ngx_http_wscast_api_arg(r, "after", &q->workers.after) == NGX_ERROR)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!wscast_utf8_valid(q->workers.name)
        || !wscast_utf8_valid(q->workers.after))
    {
        return ngx_http_wscast_api_refuse(r, NGX_HTTP_WSCAST_BAD_NAMES, none);
    }

    limit = NGX_HTTP_WSCAST_CHANNELS_LIMIT;

    if (ngx_http_wscast_api_number(r, "limit", 1, NGX_HTTP_WSCAST_LIMIT_MAX,
                                   &limit)
        != NGX_OK)
    {
        return ngx_http_wscast_api_refuse(r, NGX_HTTP_WSCAST_BAD_LIMIT, none);
    }

    q->workers.limit = limit;

    ngx_http_wscast_question_workers(q, NGX_WSCAST_ASK_CHANNELS);

    return ngx_http_wscast_question_end(q);
}


static void
ngx_http_wscast_channels_write(ngx_http_wscast_question_t *q,
    wscast_builder_t *b)
{
    ngx_uint_t             i;
    ngx_wscast_counted_t  *counted;

    wscast_builder_lit(b, "\"channels\":[");

    counted = q->workers.channels->elts;

    for (i = 0; i < q->workers.channels->nelts; i++) {

        if (i) {
            wscast_builder_lit(b, ",");
        }

        wscast_builder_lit(b, "{\"channel\":");
        wscast_json_quote(b, wscast_str(counted[i].name.data,
                                        counted[i].name.len));
        wscast_builder_lit(b, ",\"subscribers\":");
        wscast_builder_uint(b, counted[i].count);
        wscast_builder_lit(b, "}");
    }

    wscast_builder_lit(b, "]");

    if (q->workers.more) {
        wscast_builder_lit(b, ",\"more\":true");
    }
}


/* The subscribers, and beside them what the store knows. */

ngx_int_t
ngx_http_wscast_api_channel(ngx_http_wscast_api_t *api)
{
    ngx_http_wscast_question_t  *q;

    q = ngx_http_wscast_question(api, ngx_http_wscast_channel_write);
    if (q == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    q->silent = 1;
    q->workers.name = api->name;

    ngx_http_wscast_question_workers(q, NGX_WSCAST_ASK_COUNT);

    if (q->rule && q->rule->history) {
        q->store.newest = 1;
        q->store.limit = 1;
        q->store.bytes = 1;

        ngx_http_wscast_question_store(q, WSCAST_QUERY_HISTORY);
    }

    if (q->rule && q->rule->presence) {
        q->members.limit = 1;

        ngx_http_wscast_question_members(q);
    }

    return ngx_http_wscast_question_end(q);
}


static void
ngx_http_wscast_channel_write(ngx_http_wscast_question_t *q,
    wscast_builder_t *b)
{
    wscast_builder_lit(b, "\"channel\":");
    wscast_json_quote(b, q->api->name);
    wscast_builder_lit(b, ",\"subscribers\":");
    wscast_builder_uint(b, q->workers.count);

    if (q->rule && q->rule->history) {
        ngx_http_wscast_api_position(b, &q->store.position);
    }

    if (q->rule && q->rule->presence) {
        wscast_builder_lit(b, ",\"members\":");
        wscast_builder_uint(b, q->members.total);
    }
}


ngx_int_t
ngx_http_wscast_api_disconnect(ngx_http_wscast_api_t *api)
{
    size_t                       max;
    ngx_uint_t                   client;
    ngx_http_wscast_question_t  *q;

    client = (api->at == NGX_HTTP_WSCAST_AT_CLIENT);
    max = client ? NGX_HTTP_WSCAST_CLIENT_MAX : NGX_HTTP_WSCAST_USER_MAX;

    if (api->name.len > max || !wscast_utf8_valid(api->name)) {
        return ngx_http_wscast_api_refuse(api->request,
                                          client ? NGX_HTTP_WSCAST_BAD_CLIENT
                                                 : NGX_HTTP_WSCAST_BAD_USER,
                                          wscast_str(NULL, 0));
    }

    q = ngx_http_wscast_question(api, ngx_http_wscast_disconnect_write);
    if (q == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    q->workers.name = api->name;
    q->workers.reason = WSCAST_CLOSE_DISCONNECTED;

    ngx_http_wscast_question_workers(q, client ? NGX_WSCAST_ASK_CLIENT
                                               : NGX_WSCAST_ASK_USER);

    return ngx_http_wscast_question_end(q);
}


static void
ngx_http_wscast_disconnect_write(ngx_http_wscast_question_t *q,
    wscast_builder_t *b)
{
    wscast_builder_lit(b, "\"disconnected\":");
    wscast_builder_uint(b, q->workers.count);
}
