#include "api_batch.h"


static ngx_http_wscast_bad_e ngx_http_wscast_items_message(
    ngx_http_wscast_api_t *api, wscast_str_t json, ngx_uint_t index,
    ngx_array_t *items);
static ngx_http_wscast_bad_e ngx_http_wscast_message_read(wscast_str_t json,
    ngx_http_wscast_message_t *m);
static ngx_http_wscast_bad_e ngx_http_wscast_items_channel(
    ngx_http_wscast_api_t *api, ngx_http_wscast_item_t *like,
    wscast_str_t json, ngx_array_t *items);
static ngx_http_wscast_bad_e ngx_http_wscast_items_add(ngx_array_t *items,
    const ngx_http_wscast_item_t *item);
static ngx_int_t ngx_http_wscast_message_string(wscast_str_t json,
    wscast_str_t *out);


ngx_http_wscast_bad_e
ngx_http_wscast_items_read(ngx_http_wscast_api_t *api, wscast_str_t body,
    ngx_array_t *items)
{
    ngx_uint_t              n;
    wscast_str_t            rest, json;
    wscast_json_member_t    m = { .name = wscast_string("messages") };
    ngx_http_wscast_bad_e   bad;

    if (wscast_json_members(body, &m, 1) != WSCAST_OK
        || m.value.len == 0 || m.value.data[0] != '[')
    {
        return NGX_HTTP_WSCAST_BAD_BATCH;
    }

    rest = m.value;

    for (n = 0; wscast_json_element(&rest, &json); n++) {

        if (n == NGX_HTTP_WSCAST_MESSAGES_MAX) {
            return NGX_HTTP_WSCAST_BAD_MESSAGES;
        }

        bad = ngx_http_wscast_items_message(api, json, n, items);

        if (bad != NGX_HTTP_WSCAST_FINE) {
            return bad;
        }
    }

    return NGX_HTTP_WSCAST_FINE;
}


/* Adds one item for each of its channels; or one, if these are not known. */

static ngx_http_wscast_bad_e
ngx_http_wscast_items_message(ngx_http_wscast_api_t *api, wscast_str_t json,
    ngx_uint_t index, ngx_array_t *items)
{
    wscast_str_t                rest, channel;
    ngx_http_wscast_bad_e       bad;
    ngx_http_wscast_item_t      item;
    ngx_http_wscast_message_t  *m;

    m = ngx_pcalloc(api->request->pool, sizeof(ngx_http_wscast_message_t));
    if (m == NULL) {
        return NGX_HTTP_WSCAST_BAD_MEMORY;
    }

    ngx_memzero(&item, sizeof(ngx_http_wscast_item_t));

    item.index = index;
    item.message = m;
    item.bad = ngx_http_wscast_message_read(json, m);

    if (m->channel.len && m->channels.len == 0) {
        return ngx_http_wscast_items_channel(api, &item, m->channel, items);
    }

    if (m->channel.len) {
        item.bad = NGX_HTTP_WSCAST_BAD_BOTH;
        return ngx_http_wscast_items_add(items, &item);
    }

    rest = m->channels;

    if (rest.len && rest.data[0] == '['
        && wscast_json_element(&rest, &channel))
    {
        do {
            bad = ngx_http_wscast_items_channel(api, &item, channel, items);

            if (bad != NGX_HTTP_WSCAST_FINE) {
                return bad;
            }

        } while (wscast_json_element(&rest, &channel));

        return NGX_HTTP_WSCAST_FINE;
    }

    if (item.bad != NGX_HTTP_WSCAST_BAD_MESSAGE) {
        item.bad = m->channels.len ? NGX_HTTP_WSCAST_BAD_CHANNELS
                                   : NGX_HTTP_WSCAST_BAD_NOWHERE;
    }

    return ngx_http_wscast_items_add(items, &item);
}


static ngx_http_wscast_bad_e
ngx_http_wscast_message_read(wscast_str_t json, ngx_http_wscast_message_t *m)
{
    wscast_json_member_t  members[] = {
        { .name = wscast_string("channel") },
        { .name = wscast_string("channels") },
        { .name = wscast_string("data") },
        { .name = wscast_string("key") },
        { .name = wscast_string("exclude") }
    };

    if (wscast_json_members(json, members, 5) != WSCAST_OK) {
        return NGX_HTTP_WSCAST_BAD_MESSAGE;
    }

    m->channel = members[0].value;
    m->channels = members[1].value;
    m->data = members[2].value;

    if (m->data.len == 0) {
        return NGX_HTTP_WSCAST_BAD_DATA;
    }

    if (members[3].value.len
        && (ngx_http_wscast_message_string(members[3].value, &m->key)
            != NGX_OK
            || m->key.len == 0 || m->key.len > NGX_HTTP_WSCAST_KEY_MAX))
    {
        return NGX_HTTP_WSCAST_BAD_KEY;
    }

    if (members[4].value.len
        && (ngx_http_wscast_message_string(members[4].value, &m->exclude)
            != NGX_OK
            || m->exclude.len > NGX_HTTP_WSCAST_CLIENT_MAX))
    {
        return NGX_HTTP_WSCAST_BAD_EXCLUDE;
    }

    return NGX_HTTP_WSCAST_FINE;
}


static ngx_http_wscast_bad_e
ngx_http_wscast_items_channel(ngx_http_wscast_api_t *api,
    ngx_http_wscast_item_t *like, wscast_str_t json, ngx_array_t *items)
{
    ngx_http_wscast_item_t  item;

    item = *like;

    if (ngx_http_wscast_message_string(json, &item.channel) != NGX_OK
        || !wscast_channel_valid(item.channel, api->channel_length))
    {
        item.bad = NGX_HTTP_WSCAST_BAD_CHANNEL;
    }

    return ngx_http_wscast_items_add(items, &item);
}


static ngx_http_wscast_bad_e
ngx_http_wscast_items_add(ngx_array_t *items,
    const ngx_http_wscast_item_t *item)
{
    ngx_http_wscast_item_t  *new;

    if (items->nelts == NGX_HTTP_WSCAST_ITEMS_MAX) {
        return NGX_HTTP_WSCAST_BAD_ITEMS;
    }

    new = ngx_array_push(items);
    if (new == NULL) {
        return NGX_HTTP_WSCAST_BAD_MEMORY;
    }

    *new = *item;

    return NGX_HTTP_WSCAST_FINE;
}


/* The body is ours and writable, only the scanner's view of it is const. */

static ngx_int_t
ngx_http_wscast_message_string(wscast_str_t json, wscast_str_t *out)
{
    *out = wscast_str(NULL, 0);

    if (!wscast_json_is_string(json)
        || wscast_json_decode((u_char *) json.data, json.len, out)
           != WSCAST_OK)
    {
        *out = wscast_str(NULL, 0);
        return NGX_ERROR;
    }

    return NGX_OK;
}
