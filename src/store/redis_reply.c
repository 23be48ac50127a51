#include "redis_remote.h"

#include <hiredis/hiredis.h>


ngx_int_t
ngx_wscast_reply_number(redisReply *reply, size_t i, uint64_t *n)
{
    redisReply  *r;

    if (reply->type != REDIS_REPLY_ARRAY || i >= reply->elements) {
        return NGX_ERROR;
    }

    r = reply->element[i];

    if (r->type != REDIS_REPLY_INTEGER || r->integer < 0) {
        return NGX_ERROR;
    }

    *n = r->integer;

    return NGX_OK;
}


ngx_int_t
ngx_wscast_reply_string(redisReply *reply, size_t i, wscast_str_t *s)
{
    redisReply  *r;

    if (reply->type != REDIS_REPLY_ARRAY || i >= reply->elements) {
        return NGX_ERROR;
    }

    r = reply->element[i];

    if (r->type != REDIS_REPLY_STRING) {
        return NGX_ERROR;
    }

    *s = wscast_str(r->str, r->len);

    return NGX_OK;
}


/* At 0 the epoch, 16 hexadecimal digits or nothing, at 1 the offset. */

ngx_int_t
ngx_wscast_reply_position(redisReply *reply, wscast_position_t *position)
{
    size_t        i;
    u_char        c;
    wscast_str_t  e;

    if (ngx_wscast_reply_string(reply, 0, &e) != NGX_OK
        || ngx_wscast_reply_number(reply, 1, &position->offset) != NGX_OK
        || (e.len != 16 && e.len != 0))
    {
        return NGX_ERROR;
    }

    position->epoch = 0;

    for (i = 0; i < e.len; i++) {
        c = ngx_tolower(e.data[i]);

        if (c >= '0' && c <= '9') {
            c -= '0';

        } else if (c >= 'a' && c <= 'f') {
            c -= 'a' - 10;

        } else {
            return NGX_ERROR;
        }

        position->epoch = position->epoch << 4 | c;
    }

    if (position->epoch == 0) {
        position->offset = 0;
    }

    return NGX_OK;
}
