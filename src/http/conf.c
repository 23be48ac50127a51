#include "conf.h"
#include "../base/envelope.h"


#define NGX_HTTP_WSCAST_ZONE      (32 * 1024 * 1024)


static void ngx_http_wscast_merge_part(ngx_conf_t *cf,
    ngx_http_wscast_loc_conf_t *prev, ngx_http_wscast_loc_conf_t *conf);
static void ngx_http_wscast_merge_pairs(ngx_http_wscast_loc_conf_t *prev,
    ngx_http_wscast_loc_conf_t *conf);
static char *ngx_http_wscast_check_handler(ngx_conf_t *cf,
    ngx_http_wscast_loc_conf_t *conf);
static char *ngx_http_wscast_merge_session(ngx_conf_t *cf,
    ngx_http_wscast_loc_conf_t *conf);
static char *ngx_http_wscast_check_channels(ngx_conf_t *cf,
    ngx_http_wscast_loc_conf_t *conf);
static char *ngx_http_wscast_init_heartbeat(ngx_conf_t *cf,
    ngx_http_wscast_loc_conf_t *conf);
static char *ngx_http_wscast_check_token(ngx_conf_t *cf,
    ngx_http_wscast_loc_conf_t *conf);
static char *ngx_http_wscast_check_size(ngx_conf_t *cf,
    ngx_http_wscast_loc_conf_t *conf);
static char *ngx_http_wscast_static_grants(ngx_conf_t *cf,
    ngx_http_wscast_loc_conf_t *conf);
static void ngx_http_wscast_heartbeat_cleanup(void *data);


static ngx_str_t  ngx_http_wscast_ping = ngx_string("{\"type\":\"ping\"}");
static ngx_str_t  ngx_http_wscast_pong = ngx_string("{\"type\":\"pong\"}");


void *
ngx_http_wscast_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_wscast_main_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_wscast_main_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&conf->hubs, cf->pool, 2,
                       sizeof(ngx_http_wscast_hub_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return conf;
}


/* The hub of this name, made if it is named for the first time. */

ngx_http_wscast_hub_t *
ngx_http_wscast_hub_get(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_uint_t                     i;
    ngx_wscast_bus_conf_t         *bus;
    ngx_http_wscast_hub_t         *hub, **hubs;
    ngx_http_wscast_main_conf_t   *wmcf;

    wmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_wscast_module);
    hubs = wmcf->hubs.elts;

    for (i = 0; i < wmcf->hubs.nelts; i++) {
        if (hubs[i]->conf.name.len == name->len
            && ngx_strncmp(hubs[i]->conf.name.data, name->data, name->len)
               == 0)
        {
            return hubs[i];
        }
    }

    hubs = ngx_array_push(&wmcf->hubs);
    hub = ngx_pcalloc(cf->pool, sizeof(ngx_http_wscast_hub_t));

    if (hubs == NULL || hub == NULL) {
        return NULL;
    }

    *hubs = hub;

    hub->file = cf->conf_file->file.name.data;
    hub->line = cf->conf_file->line;

    hub->conf.name = *name;
    hub->conf.channel_length = 200;
    hub->conf.leeway = 5;

    bus = &hub->conf.bus;
    bus->name = *name;
    bus->zone_size = NGX_HTTP_WSCAST_ZONE;
    bus->redis_connect_timeout = 1000;
    bus->redis_timeout = 2000;
    bus->redis_reconnect_min = 100;
    bus->redis_reconnect_max = 5000;

    bus->redis_prefix.data = ngx_pnalloc(cf->pool, name->len + 8);
    if (bus->redis_prefix.data == NULL) {
        return NULL;
    }

    bus->redis_prefix.len = ngx_sprintf(bus->redis_prefix.data, "wscast:%V:",
                                        name)
                            - bus->redis_prefix.data;

    return hub;
}


char *
ngx_http_wscast_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_wscast_main_conf_t  *wmcf = conf;

    ngx_uint_t               i;
    ngx_http_wscast_hub_t  **hubs;

    hubs = wmcf->hubs.elts;

    wmcf->confs = ngx_palloc(cf->pool, (wmcf->hubs.nelts + 1)
                                       * sizeof(ngx_wscast_hub_conf_t *));
    if (wmcf->confs == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < wmcf->hubs.nelts; i++) {
        wmcf->confs[i] = &hubs[i]->conf;

        if (!hubs[i]->defined) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "unknown hub \"%V\" in %s:%ui: define it with "
                          "\"wscast_hub %V { }\" in http",
                          &hubs[i]->conf.name, hubs[i]->file, hubs[i]->line,
                          &hubs[i]->conf.name);
            return NGX_CONF_ERROR;
        }

        if (ngx_http_wscast_hub_zone(cf, hubs[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


void *
ngx_http_wscast_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_wscast_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_wscast_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->conn.message_size = NGX_CONF_UNSET_SIZE;
    conf->conn.send_buffer = NGX_CONF_UNSET_SIZE;
    conf->conn.send_drop = NGX_CONF_UNSET;
    conf->conn.ping_interval = NGX_CONF_UNSET_MSEC;
    conf->conn.ping_timeout = NGX_CONF_UNSET_MSEC;
    conf->conn.drain = NGX_CONF_UNSET_MSEC;
    conf->conn.rate.ahead = NGX_HTTP_WSCAST_RATE_UNSET;

    conf->channels = NGX_CONF_UNSET_PTR;
    conf->allow = NGX_CONF_UNSET_PTR;
    conf->origins = NGX_CONF_UNSET_PTR;
    conf->any_origin = NGX_CONF_UNSET;
    conf->token = NGX_CONF_UNSET_PTR;
    conf->user = NGX_CONF_UNSET_PTR;
    conf->info = NGX_CONF_UNSET_PTR;
    conf->welcome = NGX_CONF_UNSET_PTR;
    conf->heartbeat = NGX_CONF_UNSET;
    conf->deflate = NGX_CONF_UNSET_UINT;
    conf->subscriptions = NGX_CONF_UNSET_UINT;
    conf->connections_key = NGX_CONF_UNSET_PTR;
    conf->hold = NGX_CONF_UNSET_UINT;

    return conf;
}


char *
ngx_http_wscast_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_wscast_loc_conf_t  *prev = parent;
    ngx_http_wscast_loc_conf_t  *conf = child;

    ngx_conf_merge_size_value(conf->conn.message_size,
                              prev->conn.message_size, 64 * 1024);
    ngx_conf_merge_size_value(conf->conn.send_buffer, prev->conn.send_buffer,
                              1024 * 1024);
    ngx_conf_merge_value(conf->conn.send_drop, prev->conn.send_drop, 0);
    ngx_conf_merge_msec_value(conf->conn.ping_interval,
                              prev->conn.ping_interval, 25000);
    ngx_conf_merge_msec_value(conf->conn.ping_timeout,
                              prev->conn.ping_timeout, 10000);
    ngx_conf_merge_msec_value(conf->conn.drain, prev->conn.drain, 10000);

    if (conf->conn.rate.ahead == NGX_HTTP_WSCAST_RATE_UNSET) {
        conf->conn.rate = prev->conn.rate;
    }

    if (conf->conn.rate.ahead == NGX_HTTP_WSCAST_RATE_UNSET) {
        ngx_memzero(&conf->conn.rate, sizeof(wscast_rate_t));
    }

    ngx_conf_merge_ptr_value(conf->channels, prev->channels, NULL);
    ngx_conf_merge_ptr_value(conf->allow, prev->allow, NULL);
    ngx_conf_merge_ptr_value(conf->token, prev->token, NULL);
    ngx_conf_merge_ptr_value(conf->user, prev->user, NULL);
    ngx_conf_merge_ptr_value(conf->info, prev->info, NULL);
    ngx_conf_merge_ptr_value(conf->welcome, prev->welcome, NULL);
    ngx_conf_merge_uint_value(conf->subscriptions, prev->subscriptions, 128);

    if (conf->connections_key == NGX_CONF_UNSET_PTR) {
        conf->connections = prev->connections;
    }

    ngx_conf_merge_ptr_value(conf->connections_key, prev->connections_key,
                             NULL);
    ngx_conf_merge_uint_value(conf->hold, prev->hold, NGX_HTTP_WSCAST_RELEASE);

    ngx_http_wscast_merge_part(cf, prev, conf);
    ngx_http_wscast_merge_pairs(prev, conf);
    ngx_http_wscast_merge_deflate(prev, conf);

    if (ngx_http_wscast_check_handler(cf, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (conf->hub == NULL) {
        return NGX_CONF_OK;
    }

    return ngx_http_wscast_merge_session(cf, conf);
}


/*
 * The block of an "if" or a "limit_except" is a configuration of its own, with
 * which nginx calls the handler of the location around it, or none at all: what
 * serves that one serves this, unless it names something else.
 */

static void
ngx_http_wscast_merge_part(ngx_conf_t *cf, ngx_http_wscast_loc_conf_t *prev,
    ngx_http_wscast_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (!clcf->noname || clcf->handler) {
        return;
    }

    if (prev->hub) {
        conf->hub = prev->hub;
        conf->conn.session.dialect = prev->conn.session.dialect;
        clcf->handler = ngx_http_wscast_upgrade_handler;

    } else if (prev->api) {
        conf->api = prev->api;
        clcf->handler = ngx_http_wscast_api_handler;

    } else if (prev->status) {
        conf->status = 1;
        clcf->handler = ngx_http_wscast_status_handler;
    }
}


/* What one directive sets together is inherited together. */

static void
ngx_http_wscast_merge_pairs(ngx_http_wscast_loc_conf_t *prev,
    ngx_http_wscast_loc_conf_t *conf)
{
    if (conf->origins == NGX_CONF_UNSET_PTR
        && conf->any_origin == NGX_CONF_UNSET)
    {
        conf->origins = prev->origins;
        conf->any_origin = prev->any_origin;
    }

    if (conf->origins == NGX_CONF_UNSET_PTR) {
        conf->origins = NULL;
    }

    if (conf->any_origin == NGX_CONF_UNSET) {
        conf->any_origin = 0;
    }

    if (conf->heartbeat == NGX_CONF_UNSET) {
        conf->heartbeat = prev->heartbeat;
        conf->heartbeat_in = prev->heartbeat_in;
        conf->heartbeat_out = prev->heartbeat_out;
    }

    if (conf->heartbeat == NGX_CONF_UNSET) {
        conf->heartbeat = 1;
        conf->heartbeat_in = ngx_http_wscast_ping;
        conf->heartbeat_out = ngx_http_wscast_pong;
    }
}


/* A directive behind ours, such as proxy_pass, may have taken the location. */

static char *
ngx_http_wscast_check_handler(ngx_conf_t *cf,
    ngx_http_wscast_loc_conf_t *conf)
{
    ngx_str_t                 *hub;
    const char                *name;
    ngx_http_core_loc_conf_t  *clcf;

    static ngx_str_t  none = ngx_null_string;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (conf->hub && clcf->handler != ngx_http_wscast_upgrade_handler) {
        name = "wscast ";
        hub = &conf->hub->conf.name;

    } else if (conf->api && clcf->handler != ngx_http_wscast_api_handler) {
        name = "wscast_api ";
        hub = &conf->api->conf.name;

    } else if (conf->status
               && clcf->handler != ngx_http_wscast_status_handler)
    {
        name = "wscast_status";
        hub = &none;

    } else {
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%s%V\" in location \"%V\", which another "
                       "directive serves, too: give it a location of its own",
                       name, hub, &clcf->name);

    return NGX_CONF_ERROR;
}


/* Of a location with `wscast`: what its sessions need to know. */

static char *
ngx_http_wscast_merge_session(ngx_conf_t *cf,
    ngx_http_wscast_loc_conf_t *conf)
{
    wscast_session_conf_t  *s;

    s = &conf->conn.session;

    s->channel_length = conf->hub->conf.channel_length;
    s->subscriptions = (unsigned) conf->subscriptions;
    s->ping = (unsigned) ((conf->conn.ping_interval + 999) / 1000);
    s->deflate_level = (int) conf->deflate;
    s->deflate_min = conf->deflate_min;

    if (conf->subscriptions == 0 || conf->subscriptions > 65536) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"wscast_subscriptions %ui\": use 1 to "
                           "65536", conf->subscriptions);
        return NGX_CONF_ERROR;
    }

    if (conf->channels && conf->channels->nelts > conf->subscriptions) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"wscast_channel\" names %ui channels, but "
                           "\"wscast_subscriptions %ui\" allows fewer",
                           conf->channels->nelts, conf->subscriptions);
        return NGX_CONF_ERROR;
    }

    if (conf->channels == NULL && !s->dialect->answers) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"wscast %V %s\" needs \"wscast_channel\": in this "
                           "dialect a client cannot choose one",
                           &conf->hub->conf.name, s->dialect->name);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_wscast_check_channels(cf, conf) != NGX_CONF_OK
        || ngx_http_wscast_init_heartbeat(cf, conf) != NGX_CONF_OK
        || ngx_http_wscast_check_token(cf, conf) != NGX_CONF_OK
        || ngx_http_wscast_check_size(cf, conf) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    return ngx_http_wscast_static_grants(cf, conf);
}


/* What has variables is looked at in each handshake. */

static char *
ngx_http_wscast_check_channels(ngx_conf_t *cf,
    ngx_http_wscast_loc_conf_t *conf)
{
    size_t                     max;
    ngx_uint_t                 i;
    ngx_http_complex_value_t  *cv;

    if (conf->channels == NULL) {
        return NGX_CONF_OK;
    }

    max = conf->hub->conf.channel_length;
    cv = conf->channels->elts;

    for (i = 0; i < conf->channels->nelts; i++) {

        if (cv[i].lengths == NULL && cv[i].value.len > max) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"wscast_channel %V\" is too long for hub "
                               "\"%V\": use a name of up to %uz bytes, or a "
                               "larger \"channel_length\"", &cv[i].value,
                               &conf->hub->conf.name, max);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_wscast_init_heartbeat(ngx_conf_t *cf,
    ngx_http_wscast_loc_conf_t *conf)
{
    ngx_pool_cleanup_t     *cln;
    wscast_session_conf_t  *s;

    if (!conf->heartbeat) {
        return NGX_CONF_OK;
    }

    s = &conf->conn.session;

    if (wscast_heartbeat_init(&s->heartbeat,
                              wscast_str(conf->heartbeat_in.data,
                                         conf->heartbeat_in.len),
                              wscast_str(conf->heartbeat_out.data,
                                         conf->heartbeat_out.len))
        != WSCAST_OK)
    {
        return NGX_CONF_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_wscast_heartbeat_cleanup;
    cln->data = &s->heartbeat;

    return NGX_CONF_OK;
}


static void
ngx_http_wscast_heartbeat_cleanup(void *data)
{
    wscast_heartbeat_done(data);
}


/* An empty value takes back what stands above; without keys none is good. */

static char *
ngx_http_wscast_check_token(ngx_conf_t *cf, ngx_http_wscast_loc_conf_t *conf)
{
    if (conf->token && conf->token->lengths == NULL
        && conf->token->value.len == 0)
    {
        conf->token = NULL;
    }

    if (conf->token == NULL || conf->hub->conf.keys) {
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"wscast_token\" in a location of hub \"%V\", which "
                       "has no key: give it a \"token_key ALG FILE\"",
                       &conf->hub->conf.name);

    return NGX_CONF_ERROR;
}


/* Every message that a location takes must fit the bus of its hub. */

static char *
ngx_http_wscast_check_size(ngx_conf_t *cf, ngx_http_wscast_loc_conf_t *conf)
{
    size_t                 max, other, zone;
    ngx_http_wscast_hub_t  *hub;

    hub = conf->hub;

    other = WSCAST_ENVELOPE_HEADER + 2 * WSCAST_CLIENT_ID
            + NGX_HTTP_WSCAST_USER_MAX + hub->conf.channel_length;
    max = ngx_wscast_bus_max(hub->conf.bus.zone_size);

    if (conf->conn.message_size && conf->conn.message_size <= max - other) {
        return NGX_CONF_OK;
    }

    if (conf->conn.message_size == 0
        || conf->conn.message_size > 512 * 1024 * 1024)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"wscast_message_size %uz\": use 1 to 512m",
                           conf->conn.message_size);
        return NGX_CONF_ERROR;
    }

    zone = hub->conf.bus.zone_size;

    while (ngx_wscast_bus_max(zone) < conf->conn.message_size + other) {
        zone *= 2;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"wscast_message_size %uz\" does not fit hub \"%V\", "
                       "whose \"zone %uz\" takes messages of up to %uz bytes: "
                       "use \"zone %uzm\"",
                       conf->conn.message_size, &hub->conf.name,
                       hub->conf.bus.zone_size, max - other,
                       (zone + 1024 * 1024 - 1) / (1024 * 1024));

    return NGX_CONF_ERROR;
}


/* Grants without variables are the same for all clients: made once. */

static char *
ngx_http_wscast_static_grants(ngx_conf_t *cf,
    ngx_http_wscast_loc_conf_t *conf)
{
    ngx_uint_t                i;
    wscast_grant_t           *g;
    ngx_http_wscast_allow_t  *a;

    if (conf->allow == NULL) {
        return NGX_CONF_OK;
    }

    a = conf->allow->elts;

    for (i = 0; i < conf->allow->nelts; i++) {
        if (a[i].pattern.lengths) {
            return NGX_CONF_OK;
        }
    }

    conf->grants = ngx_palloc(cf->pool, sizeof(wscast_grants_t)
                                        + i * sizeof(wscast_grant_t));
    if (conf->grants == NULL) {
        return NGX_CONF_ERROR;
    }

    conf->grants->n = i;
    g = conf->grants->grant;

    for (i = 0; i < conf->allow->nelts; i++) {
        g[i].ops = a[i].ops;
        g[i].pattern = wscast_str(a[i].pattern.value.data,
                                  a[i].pattern.value.len);
    }

    return NGX_CONF_OK;
}
