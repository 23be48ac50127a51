#include "api_question.h"


#define NGX_HTTP_WSCAST_HISTORY_LIMIT   20              /* messages */
#define NGX_HTTP_WSCAST_PRESENCE_LIMIT  100             /* members */
#define NGX_HTTP_WSCAST_ANSWER_BYTES    (256 * 1024)    /* of items, about */


static void ngx_http_wscast_history_write(ngx_http_wscast_question_t *q,
    wscast_builder_t *b);
static void ngx_http_wscast_forget_write(ngx_http_wscast_question_t *q,
    wscast_builder_t *b);
static void ngx_http_wscast_presence_write(ngx_http_wscast_question_t *q,
    wscast_builder_t *b);
static ngx_int_t ngx_http_wscast_store_refuse(ngx_http_wscast_api_t *api,
    ngx_http_wscast_bad_e bad);


ngx_int_t
ngx_http_wscast_api_history(ngx_http_wscast_api_t *api)
{
    uint64_t                     limit, before;
    ngx_http_wscast_question_t  *q;

    q = ngx_http_wscast_question(api, ngx_http_wscast_history_write);
    if (q == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (q->rule == NULL || q->rule->history == 0) {
        return ngx_http_wscast_store_refuse(api, NGX_HTTP_WSCAST_BAD_HISTORY);
    }

    limit = NGX_HTTP_WSCAST_HISTORY_LIMIT;
    before = 0;

    if (ngx_http_wscast_api_number(api->request, "limit", 1,
                                   NGX_HTTP_WSCAST_LIMIT_MAX, &limit)
        != NGX_OK)
    {
        return ngx_http_wscast_store_refuse(api, NGX_HTTP_WSCAST_BAD_LIMIT);
    }

    if (ngx_http_wscast_api_number(api->request, "before", 1, UINT64_MAX,
                                   &before)
        != NGX_OK)
    {
        return ngx_http_wscast_store_refuse(api, NGX_HTTP_WSCAST_BAD_BEFORE);
    }

    q->store.newest = 1;
    q->store.limit = limit;
    q->store.bytes = NGX_HTTP_WSCAST_ANSWER_BYTES;
    q->store.upto = before ? before - 1 : 0;

    if (before == 1) {

        /* there is nothing, and the store takes 0 for "to the newest" */

        q->store.upto = 1;
        q->silent = 1;
    }

    ngx_http_wscast_question_store(q, WSCAST_QUERY_HISTORY);

    return ngx_http_wscast_question_end(q);
}


static void
ngx_http_wscast_history_write(ngx_http_wscast_question_t *q,
    wscast_builder_t *b)
{
    wscast_builder_lit(b, "\"channel\":");
    wscast_json_quote(b, q->api->name);
    ngx_http_wscast_api_position(b, &q->store.position);
    wscast_builder_lit(b, ",\"messages\":[");
    wscast_builder_str(b, wscast_builder_payload(&q->items));
    wscast_builder_lit(b, "]");

    if (q->store.more && !q->silent) {
        wscast_builder_lit(b, ",\"more\":true");
    }
}


ngx_int_t
ngx_http_wscast_api_forget(ngx_http_wscast_api_t *api)
{
    ngx_http_wscast_question_t  *q;

    q = ngx_http_wscast_question(api, ngx_http_wscast_forget_write);
    if (q == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (q->rule == NULL || q->rule->history == 0) {
        return ngx_http_wscast_store_refuse(api, NGX_HTTP_WSCAST_BAD_HISTORY);
    }

    ngx_http_wscast_question_store(q, WSCAST_QUERY_FORGET);

    return ngx_http_wscast_question_end(q);
}


static void
ngx_http_wscast_forget_write(ngx_http_wscast_question_t *q,
    wscast_builder_t *b)
{
    wscast_builder_lit(b, "\"channel\":");
    wscast_json_quote(b, q->api->name);
    ngx_http_wscast_api_position(b, &q->store.position);
}


ngx_int_t
ngx_http_wscast_api_presence(ngx_http_wscast_api_t *api)
{
    uint64_t                     limit, cursor;
    ngx_http_wscast_question_t  *q;

    q = ngx_http_wscast_question(api, ngx_http_wscast_presence_write);
    if (q == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (q->rule == NULL || !q->rule->presence) {
        return ngx_http_wscast_store_refuse(api, NGX_HTTP_WSCAST_BAD_PRESENCE);
    }

    limit = NGX_HTTP_WSCAST_PRESENCE_LIMIT;
    cursor = 0;

    if (ngx_http_wscast_api_number(api->request, "limit", 1,
                                   NGX_HTTP_WSCAST_LIMIT_MAX, &limit)
        != NGX_OK)
    {
        return ngx_http_wscast_store_refuse(api, NGX_HTTP_WSCAST_BAD_LIMIT);
    }

    if (ngx_http_wscast_api_number(api->request, "after", 1, UINT64_MAX,
                                   &cursor)
        != NGX_OK)
    {
        return ngx_http_wscast_store_refuse(api, NGX_HTTP_WSCAST_BAD_CURSOR);
    }

    q->members.limit = limit;
    q->members.bytes = NGX_HTTP_WSCAST_ANSWER_BYTES;
    q->members.cursor = cursor;

    ngx_http_wscast_question_members(q);

    return ngx_http_wscast_question_end(q);
}


static void
ngx_http_wscast_presence_write(ngx_http_wscast_question_t *q,
    wscast_builder_t *b)
{
    wscast_builder_lit(b, "\"channel\":");
    wscast_json_quote(b, q->api->name);
    wscast_builder_lit(b, ",\"members\":[");
    wscast_builder_str(b, wscast_builder_payload(&q->items));
    wscast_builder_lit(b, "],\"total\":");
    wscast_builder_uint(b, q->members.total);

    if (q->members.more && q->members.next) {
        wscast_builder_lit(b, ",\"next\":\"");
        wscast_builder_uint(b, q->members.next);
        wscast_builder_lit(b, "\"");
    }
}


/* Those about a channel name it. */

static ngx_int_t
ngx_http_wscast_store_refuse(ngx_http_wscast_api_t *api,
    ngx_http_wscast_bad_e bad)
{
    wscast_str_t  about;

    about = wscast_str(NULL, 0);

    if (bad == NGX_HTTP_WSCAST_BAD_HISTORY
        || bad == NGX_HTTP_WSCAST_BAD_PRESENCE)
    {
        about = api->name;
    }

    return ngx_http_wscast_api_refuse(api->request, bad, about);
}
