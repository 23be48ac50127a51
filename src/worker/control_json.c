#include "control_inner.h"


typedef enum {
    NGX_WSCAST_MEMBER_ASK = 0,
    NGX_WSCAST_MEMBER_HOST,
    NGX_WSCAST_MEMBER_WORKER,
    NGX_WSCAST_MEMBER_ID,
    NGX_WSCAST_MEMBER_NAME,
    NGX_WSCAST_MEMBER_AFTER,
    NGX_WSCAST_MEMBER_LIMIT,
    NGX_WSCAST_MEMBER_REASON,
    NGX_WSCAST_MEMBERS
} ngx_wscast_member_e;


static void ngx_wscast_asked_details(const wscast_json_member_t *m,
    wscast_str_t reason, ngx_wscast_asked_t *a);
static ngx_int_t ngx_wscast_asked_string(wscast_str_t v, wscast_str_t *out);
static void ngx_wscast_control_digits(u_char *p, uint64_t n);


static const wscast_str_t  ngx_wscast_asks[] = {
    [NGX_WSCAST_ASK_CHANNELS] = wscast_string("channels"),
    [NGX_WSCAST_ASK_COUNT] = wscast_string("count"),
    [NGX_WSCAST_ASK_CLIENT] = wscast_string("client"),
    [NGX_WSCAST_ASK_USER] = wscast_string("user")
};

#define NGX_WSCAST_ASKS  (sizeof(ngx_wscast_asks) / sizeof(ngx_wscast_asks[0]))


/* For what a client may be ended by others; named as in close.h. */

static const struct {
    wscast_str_t             name;
    wscast_status_t          reason;
} ngx_wscast_ends[] = {
    { wscast_string("disconnected"), WSCAST_CLOSE_DISCONNECTED },
    { wscast_string("replaced"),     WSCAST_CLOSE_REPLACED }
};

#define NGX_WSCAST_ENDS  (sizeof(ngx_wscast_ends) / sizeof(ngx_wscast_ends[0]))


void
ngx_wscast_control_write(wscast_builder_t *b, const ngx_wscast_ask_t *ask)
{
    size_t  i;

    wscast_builder_lit(b, "{\"ask\":\"");
    wscast_builder_str(b, ngx_wscast_asks[ask->type]);
    wscast_builder_lit(b, "\",\"name\":");
    wscast_json_quote(b, ask->name);

    if (ask->type == NGX_WSCAST_ASK_CHANNELS) {
        wscast_builder_lit(b, ",\"after\":");
        wscast_json_quote(b, ask->after);
        wscast_builder_lit(b, ",\"limit\":");
        wscast_builder_uint(b, ask->limit);
        return;
    }

    for (i = 0; i < NGX_WSCAST_ENDS; i++) {
        if (ask->type != NGX_WSCAST_ASK_COUNT
            && ask->reason == ngx_wscast_ends[i].reason)
        {
            wscast_builder_lit(b, ",\"reason\":");
            wscast_json_quote(b, ngx_wscast_ends[i].name);
        }
    }
}


ngx_int_t
ngx_wscast_asked_read(wscast_str_t bytes, ngx_wscast_asked_t *a)
{
    size_t                i;
    wscast_str_t          ask, reason;
    wscast_json_member_t  m[NGX_WSCAST_MEMBERS] = {
        [NGX_WSCAST_MEMBER_ASK] = { .name = wscast_string("ask") },
        [NGX_WSCAST_MEMBER_HOST] = { .name = wscast_string("host") },
        [NGX_WSCAST_MEMBER_WORKER] = { .name = wscast_string("worker") },
        [NGX_WSCAST_MEMBER_ID] = { .name = wscast_string("id") },
        [NGX_WSCAST_MEMBER_NAME] = { .name = wscast_string("name") },
        [NGX_WSCAST_MEMBER_AFTER] = { .name = wscast_string("after") },
        [NGX_WSCAST_MEMBER_LIMIT] = { .name = wscast_string("limit") },
        [NGX_WSCAST_MEMBER_REASON] = { .name = wscast_string("reason") }
    };

    ngx_memzero(a, sizeof(ngx_wscast_asked_t));

    if (wscast_json_members(bytes, m, NGX_WSCAST_MEMBERS) != WSCAST_OK
        || ngx_wscast_asked_string(m[NGX_WSCAST_MEMBER_ASK].value, &ask)
           != NGX_OK
        || ngx_wscast_asked_string(m[NGX_WSCAST_MEMBER_NAME].value, &a->name)
           != NGX_OK
        || ngx_wscast_asked_string(m[NGX_WSCAST_MEMBER_AFTER].value,
                                   &a->after)
           != NGX_OK
        || ngx_wscast_asked_string(m[NGX_WSCAST_MEMBER_REASON].value, &reason)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    for (i = 0; i < NGX_WSCAST_ASKS; i++) {
        if (wscast_str_eq(ask, ngx_wscast_asks[i])) {
            a->type = i;
            ngx_wscast_asked_details(m, reason, a);

            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* Of these nothing is so wrong that it could not be obeyed. */

static void
ngx_wscast_asked_details(const wscast_json_member_t *m, wscast_str_t reason,
    ngx_wscast_asked_t *a)
{
    size_t  i;

    a->reason = WSCAST_CLOSE_DISCONNECTED;

    for (i = 0; i < NGX_WSCAST_ENDS; i++) {
        if (wscast_str_eq(reason, ngx_wscast_ends[i].name)) {
            a->reason = ngx_wscast_ends[i].reason;
        }
    }

    if (ngx_wscast_control_number(m[NGX_WSCAST_MEMBER_LIMIT].value, &a->limit)
        != NGX_OK
        || a->limit > NGX_WSCAST_LIST_MAX)
    {
        a->limit = NGX_WSCAST_LIST_MAX;
    }

    a->wanted = ngx_wscast_control_unhex(m[NGX_WSCAST_MEMBER_HOST].value,
                                         &a->host)
                == NGX_OK
                && ngx_wscast_control_unhex(m[NGX_WSCAST_MEMBER_WORKER].value,
                                            &a->worker)
                   == NGX_OK
                && ngx_wscast_control_number(m[NGX_WSCAST_MEMBER_ID].value,
                                             &a->id)
                   == NGX_OK;
}


/* What is not there is empty. */

static ngx_int_t
ngx_wscast_asked_string(wscast_str_t v, wscast_str_t *out)
{
    *out = wscast_str(NULL, 0);

    if (v.len == 0) {
        return NGX_OK;
    }

    /* the caller has a copy of its own, only the scanner's view is const */

    if (!wscast_json_is_string(v)
        || wscast_json_decode((u_char *) v.data, v.len, out) != WSCAST_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_wscast_answer_read(wscast_str_t bytes, ngx_wscast_answer_t *a)
{
    wscast_json_member_t  m[] = {
        { .name = wscast_string("host") },
        { .name = wscast_string("worker") },
        { .name = wscast_string("workers") },
        { .name = wscast_string("id") },
        { .name = wscast_string("count") },
        { .name = wscast_string("channels") },
        { .name = wscast_string("more") }
    };

    ngx_memzero(a, sizeof(ngx_wscast_answer_t));

    if (wscast_json_members(bytes, m, sizeof(m) / sizeof(m[0])) != WSCAST_OK
        || ngx_wscast_control_unhex(m[0].value, &a->host) != NGX_OK
        || ngx_wscast_control_unhex(m[1].value, &a->worker) != NGX_OK
        || ngx_wscast_control_number(m[2].value, &a->workers) != NGX_OK
        || ngx_wscast_control_number(m[3].value, &a->id) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (m[4].value.len
        && ngx_wscast_control_number(m[4].value, &a->count) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (m[5].value.len && m[5].value.data[0] != '[') {
        return NGX_ERROR;
    }

    a->channels = m[5].value;
    a->more = m[6].value.len && m[6].value.data[0] == 't';

    return NGX_OK;
}


void
ngx_wscast_control_hex(wscast_builder_t *b, uint64_t n)
{
    u_char  hex[16];

    ngx_wscast_control_digits(hex, n);

    wscast_builder_lit(b, "\"");
    wscast_builder_put(b, hex, sizeof(hex));
    wscast_builder_lit(b, "\"");
}


ngx_int_t
ngx_wscast_control_unhex(wscast_str_t v, uint64_t *n)
{
    size_t    i;
    unsigned  digit;

    *n = 0;

    if (v.len != 18 || v.data[0] != '"') {
        return NGX_ERROR;
    }

    for (i = 1; i < 17; i++) {
        digit = wscast_json_hex(v.data[i]);

        if (digit > 15) {
            return NGX_ERROR;
        }

        *n = *n << 4 | digit;
    }

    return NGX_OK;
}


ngx_int_t
ngx_wscast_control_number(wscast_str_t v, uint64_t *n)
{
    size_t  i;

    *n = 0;

    if (v.len == 0 || v.len > 18) {
        return NGX_ERROR;
    }

    for (i = 0; i < v.len; i++) {
        if (v.data[i] < '0' || v.data[i] > '9') {
            return NGX_ERROR;
        }

        *n = *n * 10 + (v.data[i] - '0');
    }

    return NGX_OK;
}


void
ngx_wscast_control_reply(u_char *p, uint64_t host, uint64_t worker)
{
    p = ngx_cpymem(p, NGX_WSCAST_REPLY, sizeof(NGX_WSCAST_REPLY) - 1);

    ngx_wscast_control_digits(p, host);
    p[16] = ':';
    ngx_wscast_control_digits(p + 17, worker);
}


static void
ngx_wscast_control_digits(u_char *p, uint64_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < 16; i++) {
        p[i] = "0123456789abcdef"[n >> (60 - 4 * i) & 15];
    }
}
