#include "conf.h"


/* Keys of tokens, read while the configuration is. */


#define NGX_HTTP_WSCAST_KEY_FILE  (1024 * 1024)     /* bytes, at most */


static ngx_int_t ngx_http_wscast_key_file(ngx_conf_t *cf, ngx_str_t *value,
    ngx_str_t *name, ngx_str_t *bytes);
static void ngx_http_wscast_keys_cleanup(void *data);


char *
ngx_http_wscast_hub_set_token_key(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value, ngx_uint_t n)
{
    ngx_str_t            name, bytes;
    wscast_str_t         alg;
    const char          *reason;
    wscast_status_t      rc;
    ngx_pool_cleanup_t  *cln;

    alg = wscast_str(value[1].data, value[1].len);

    if (!wscast_key_alg_known(alg)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown algorithm \"%V\" in \"token_key\": use "
                           WSCAST_KEY_ALGS, &value[1]);
        return NGX_CONF_ERROR;
    }

    if (b->hub->conf.keys == NULL) {
        cln = ngx_pool_cleanup_add(cf->pool, 0);
        if (cln == NULL) {
            return NGX_CONF_ERROR;
        }

        b->hub->conf.keys = wscast_keys_create();
        if (b->hub->conf.keys == NULL) {
            return NGX_CONF_ERROR;
        }

        cln->handler = ngx_http_wscast_keys_cleanup;
        cln->data = b->hub->conf.keys;
    }

    name = value[2];

    if (ngx_conf_full_name(cf->cycle, &name, 1) != NGX_OK
        || ngx_http_wscast_key_file(cf, value, &name, &bytes) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    rc = wscast_keys_add(b->hub->conf.keys, alg,
                         wscast_str(bytes.data, bytes.len), &reason);

    ngx_explicit_memzero(bytes.data, NGX_HTTP_WSCAST_KEY_FILE + 1);
    ngx_free(bytes.data);

    if (rc == WSCAST_OK) {
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid \"token_key %V %V\": the file %s", &value[1],
                       &value[2], rc == WSCAST_ERROR ? reason
                                                     : "needs more memory");
    return NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_wscast_key_file(ngx_conf_t *cf, ngx_str_t *value, ngx_str_t *name,
    ngx_str_t *bytes)
{
    u_char    *p;
    size_t     room;
    ssize_t    n;
    ngx_fd_t   fd;
    ngx_err_t  err;

    fd = ngx_open_file(name->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "cannot open the file of \"token_key %V %V\"",
                           &value[1], &value[2]);
        return NGX_ERROR;
    }

    room = NGX_HTTP_WSCAST_KEY_FILE + 1;
    bytes->len = 0;
    bytes->data = ngx_calloc(room, cf->log);
    n = -1;

    if (bytes->data) {
        do {
            p = bytes->data + bytes->len;
            n = ngx_read_fd(fd, p, room - bytes->len);
            bytes->len += (n > 0) ? n : 0;
        } while (n > 0 && bytes->len < room);
    }

    err = ngx_errno;

    (void) ngx_close_file(fd);

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, err,
                           "cannot read the file of \"token_key %V %V\"",
                           &value[1], &value[2]);

    } else if (bytes->len == room) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"token_key %V %V\": the file is larger "
                           "than 1m", &value[1], &value[2]);

    } else {
        return NGX_OK;
    }

    ngx_free(bytes->data);

    return NGX_ERROR;
}


static void
ngx_http_wscast_keys_cleanup(void *data)
{
    wscast_keys_free(data);
}


char *
ngx_http_wscast_hub_set_leeway(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value, ngx_uint_t n)
{
    ngx_int_t  s;

    s = ngx_parse_time(&value[1], 1);

    if (s == NGX_ERROR || s > 3600) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"token_leeway %V\": use whole seconds, at "
                           "most an hour, such as 5s", &value[1]);
        return NGX_CONF_ERROR;
    }

    b->hub->conf.leeway = s;

    return NGX_CONF_OK;
}
