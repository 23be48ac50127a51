#include "conf.h"


/* Rules of channels: what is inside of `channel PATTERN { }`. */


#define NGX_HTTP_WSCAST_TTL_MAX  (365 * 86400 * (int64_t) 1000)     /* ms */


char *
ngx_http_wscast_rule_set_channel(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value, ngx_uint_t n)
{
    char           *rv;
    wscast_rule_t  *rule;

    if (value[1].len == 0
        || wscast_pattern_compile(value[1].data, value[1].len) < 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid pattern of \"channel\": use a channel's "
                           "name, in which \"*\" stands for anything");
        return NGX_CONF_ERROR;
    }

    if (b->hub->conf.rules == NULL) {
        b->hub->conf.rules = ngx_array_create(cf->pool, 4,
                                              sizeof(wscast_rule_t));
        if (b->hub->conf.rules == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    rule = ngx_array_push(b->hub->conf.rules);
    if (rule == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(rule, sizeof(wscast_rule_t));

    rule->pattern = wscast_str(value[1].data, value[1].len);
    rule->grace = WSCAST_GRACE;

    b->rule = rule;
    b->seen &= ((ngx_uint_t) 1 << NGX_HTTP_WSCAST_RULE_ECHO) - 1;

    rv = ngx_http_wscast_block(cf, NGX_HTTP_WSCAST_RULE_CONF);

    b->rule = NULL;

    return rv;
}


char *
ngx_http_wscast_rule_set_echo(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value, ngx_uint_t n)
{
    if (ngx_strcasecmp(value[1].data, (u_char *) "on") == 0) {
        b->rule->no_echo = 0;

    } else if (ngx_strcasecmp(value[1].data, (u_char *) "off") == 0) {
        b->rule->no_echo = 1;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"echo %V\": it is \"on\" or \"off\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_wscast_rule_set_history(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value, ngx_uint_t n)
{
    ngx_int_t  count, ttl;

    if (n == 1) {

        if (ngx_strcmp(value[1].data, "off") == 0) {
            return NGX_CONF_OK;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"history %V\": use how many messages are "
                           "kept and for how long, such as 100 10m, or "
                           "\"off\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    count = ngx_atoi(value[1].data, value[1].len);

    if (count == NGX_ERROR || count < 1 || count > 100000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"history %V %V\": the first is a number "
                           "of messages from 1 to 100000", &value[1],
                           &value[2]);
        return NGX_CONF_ERROR;
    }

    ttl = ngx_parse_time(&value[2], 0);

    if (ttl == NGX_ERROR || ttl < 1000 || ttl > NGX_HTTP_WSCAST_TTL_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"history %V %V\": the second is a time "
                           "from 1s to 365d, such as 10m", &value[1],
                           &value[2]);
        return NGX_CONF_ERROR;
    }

    b->rule->history = (uint32_t) count;
    b->rule->ttl = (uint64_t) ttl;

    return NGX_CONF_OK;
}


char *
ngx_http_wscast_rule_set_presence(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value, ngx_uint_t n)
{
    ngx_int_t  ms;
    ngx_str_t  time;

    if (n == 1 && ngx_strcasecmp(value[1].data, (u_char *) "off") == 0) {
        return NGX_CONF_OK;
    }

    if (ngx_strcasecmp(value[1].data, (u_char *) "on") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"presence %V\": use \"on\", \"on "
                           "grace=TIME\" or \"off\" alone", &value[1]);
        return NGX_CONF_ERROR;
    }

    b->rule->presence = 1;

    if (n == 1) {
        return NGX_CONF_OK;
    }

    ms = NGX_ERROR;

    if (ngx_strncmp(value[2].data, "grace=", 6) == 0) {
        time.data = value[2].data + 6;
        time.len = value[2].len - 6;
        ms = ngx_parse_time(&time, 0);
    }

    if (ms == NGX_ERROR || ms > 60000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"%V\" in \"presence\": use grace=TIME, "
                           "from 0s to 60s, such as grace=3s", &value[2]);
        return NGX_CONF_ERROR;
    }

    b->rule->grace = (uint32_t) ms;

    return NGX_CONF_OK;
}
