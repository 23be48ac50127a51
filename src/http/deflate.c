#include "conf.h"


#define NGX_HTTP_WSCAST_DEFLATE_LEVEL  1
#define NGX_HTTP_WSCAST_DEFLATE_MIN    256      /* bytes */


static char *ngx_http_wscast_deflate_parameter(ngx_conf_t *cf,
    ngx_http_wscast_loc_conf_t *wlcf, ngx_str_t *value);


/* on [level=L] [min=SIZE] | off */

char *
ngx_http_wscast_set_deflate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wscast_loc_conf_t  *wlcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    if (wlcf->deflate != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    if (ngx_strcmp(value[1].data, "off") == 0 && cf->args->nelts == 2) {
        wlcf->deflate = 0;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "on") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"wscast_deflate %V%s\": use \"on\", "
                           "perhaps with level=1 to level=9 and min=SIZE, or "
                           "\"off\" alone", &value[1],
                           cf->args->nelts > 2 ? " ..." : "");
        return NGX_CONF_ERROR;
    }

    wlcf->deflate = NGX_HTTP_WSCAST_DEFLATE_LEVEL;
    wlcf->deflate_min = NGX_HTTP_WSCAST_DEFLATE_MIN;

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_wscast_deflate_parameter(cf, wlcf, &value[i])
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_wscast_deflate_parameter(ngx_conf_t *cf,
    ngx_http_wscast_loc_conf_t *wlcf, ngx_str_t *value)
{
    ssize_t      size;
    ngx_int_t    level;
    ngx_str_t    s;
    const char  *cure;

    if (ngx_strncmp(value->data, "level=", 6) == 0) {
        level = ngx_atoi(value->data + 6, value->len - 6);

        if (level >= 1 && level <= 9) {
            wlcf->deflate = level;
            return NGX_CONF_OK;
        }

        cure = "level=1 (quick) to level=9 (small)";

    } else if (ngx_strncmp(value->data, "min=", 4) == 0) {
        s.data = value->data + 4;
        s.len = value->len - 4;
        size = ngx_parse_size(&s);

        if (size != NGX_ERROR) {
            wlcf->deflate_min = size;
            return NGX_CONF_OK;
        }

        cure = "min= and a size such as 256 or 1k";

    } else {
        cure = "level=1 to level=9 or min=SIZE";
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid \"%V\" in \"wscast_deflate\": use %s", value,
                       cure);

    return NGX_CONF_ERROR;
}


/* What one directive sets together is inherited together. */

void
ngx_http_wscast_merge_deflate(ngx_http_wscast_loc_conf_t *prev,
    ngx_http_wscast_loc_conf_t *conf)
{
    if (conf->deflate == NGX_CONF_UNSET_UINT) {
        conf->deflate = prev->deflate;
        conf->deflate_min = prev->deflate_min;
    }

    if (conf->deflate == NGX_CONF_UNSET_UINT) {
        conf->deflate = 0;
    }
}
