#include "conf.h"


static ngx_int_t ngx_http_wscast_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_wscast_init_process(ngx_cycle_t *cycle);
static void ngx_http_wscast_exit_process(ngx_cycle_t *cycle);
static void ngx_http_wscast_start(ngx_cycle_t *cycle);


#define NGX_HTTP_WSCAST_ANYWHERE                                              \
    (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF)


static ngx_conf_enum_t  ngx_http_wscast_request_modes[] = {
    { ngx_string("release"), NGX_HTTP_WSCAST_RELEASE },
    { ngx_string("hold"), NGX_HTTP_WSCAST_HOLD },
    { ngx_null_string, 0 }
};


static ngx_http_wscast_slot_t  ngx_http_wscast_size_slot = {
    ngx_conf_set_size_slot, NULL,
    "a size such as 64k"
};


static ngx_http_wscast_slot_t  ngx_http_wscast_number_slot = {
    ngx_conf_set_num_slot, NULL,
    "a number from 1 to 65536"
};


static ngx_http_wscast_slot_t  ngx_http_wscast_time_slot = {
    ngx_conf_set_msec_slot, NULL,
    "a time such as 10s"
};


static ngx_http_wscast_slot_t  ngx_http_wscast_request_slot = {
    ngx_conf_set_enum_slot, ngx_http_wscast_request_modes,
    "\"release\" or \"hold\""
};


static ngx_command_t  ngx_http_wscast_commands[] = {

    { ngx_string("wscast_hub"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_wscast_hub_block,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    /* inside the hub, and inside its channel { } */

    { ngx_string("zone"),
      NGX_HTTP_WSCAST_HUB_CONF|NGX_CONF_TAKE1,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_HUB_ZONE,
      NULL },

    { ngx_string("redis"),
      NGX_HTTP_WSCAST_HUB_CONF|NGX_CONF_TAKE1,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_HUB_REDIS,
      NULL },

    { ngx_string("redis_prefix"),
      NGX_HTTP_WSCAST_HUB_CONF|NGX_CONF_TAKE1,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_HUB_PREFIX,
      NULL },

    { ngx_string("redis_password_file"),
      NGX_HTTP_WSCAST_HUB_CONF|NGX_CONF_TAKE1,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_HUB_PASSWORD_FILE,
      NULL },

    { ngx_string("redis_sentinel_user"),
      NGX_HTTP_WSCAST_HUB_CONF|NGX_CONF_TAKE1,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_HUB_SENTINEL_USER,
      NULL },

    { ngx_string("redis_sentinel_password"),
      NGX_HTTP_WSCAST_HUB_CONF|NGX_CONF_TAKE1,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_HUB_SENTINEL_PASSWORD,
      NULL },

    { ngx_string("redis_sentinel_password_file"),
      NGX_HTTP_WSCAST_HUB_CONF|NGX_CONF_TAKE1,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_HUB_SENTINEL_PASSWORD_FILE,
      NULL },

    { ngx_string("redis_timeout"),
      NGX_HTTP_WSCAST_HUB_CONF|NGX_CONF_TAKE12,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_HUB_TIMEOUT,
      NULL },

    { ngx_string("redis_reconnect"),
      NGX_HTTP_WSCAST_HUB_CONF|NGX_CONF_TAKE2,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_HUB_RECONNECT,
      NULL },

    { ngx_string("redis_fallback"),
      NGX_HTTP_WSCAST_HUB_CONF|NGX_CONF_TAKE1,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_HUB_FALLBACK,
      NULL },

    { ngx_string("redis_ssl_trusted_certificate"),
      NGX_HTTP_WSCAST_HUB_CONF|NGX_CONF_TAKE1,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_HUB_SSL_TRUSTED,
      NULL },

    { ngx_string("redis_ssl_certificate"),
      NGX_HTTP_WSCAST_HUB_CONF|NGX_CONF_TAKE1,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_HUB_SSL_CERTIFICATE,
      NULL },

    { ngx_string("redis_ssl_certificate_key"),
      NGX_HTTP_WSCAST_HUB_CONF|NGX_CONF_TAKE1,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_HUB_SSL_KEY,
      NULL },

    { ngx_string("redis_ssl_verify"),
      NGX_HTTP_WSCAST_HUB_CONF|NGX_CONF_TAKE1,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_HUB_SSL_VERIFY,
      NULL },

    { ngx_string("redis_ssl_name"),
      NGX_HTTP_WSCAST_HUB_CONF|NGX_CONF_TAKE1,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_HUB_SSL_NAME,
      NULL },

    { ngx_string("channel_length"),
      NGX_HTTP_WSCAST_HUB_CONF|NGX_CONF_TAKE1,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_HUB_LENGTH,
      NULL },

    { ngx_string("token_key"),
      NGX_HTTP_WSCAST_HUB_CONF|NGX_CONF_TAKE2,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_HUB_TOKEN_KEY,
      NULL },

    { ngx_string("token_leeway"),
      NGX_HTTP_WSCAST_HUB_CONF|NGX_CONF_TAKE1,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_HUB_TOKEN_LEEWAY,
      NULL },

    { ngx_string("channel"),
      NGX_HTTP_WSCAST_HUB_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_HUB_CHANNEL,
      NULL },

    { ngx_string("echo"),
      NGX_HTTP_WSCAST_RULE_CONF|NGX_CONF_TAKE1,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_RULE_ECHO,
      NULL },

    { ngx_string("history"),
      NGX_HTTP_WSCAST_RULE_CONF|NGX_CONF_TAKE12,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_RULE_HISTORY,
      NULL },

    { ngx_string("presence"),
      NGX_HTTP_WSCAST_RULE_CONF|NGX_CONF_TAKE12,
      ngx_http_wscast_block_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      NGX_HTTP_WSCAST_RULE_PRESENCE,
      NULL },

    /* of servers and locations */

    { ngx_string("wscast"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_wscast_set,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wscast_channel"),
      NGX_HTTP_WSCAST_ANYWHERE|NGX_CONF_1MORE,
      ngx_http_wscast_set_channel,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wscast_allow"),
      NGX_HTTP_WSCAST_ANYWHERE|NGX_CONF_2MORE,
      ngx_http_wscast_set_allow,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wscast_token"),
      NGX_HTTP_WSCAST_ANYWHERE|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wscast_loc_conf_t, token),
      NULL },

    { ngx_string("wscast_user"),
      NGX_HTTP_WSCAST_ANYWHERE|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wscast_loc_conf_t, user),
      NULL },

    { ngx_string("wscast_info"),
      NGX_HTTP_WSCAST_ANYWHERE|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wscast_loc_conf_t, info),
      NULL },

    { ngx_string("wscast_origin"),
      NGX_HTTP_WSCAST_ANYWHERE|NGX_CONF_1MORE,
      ngx_http_wscast_set_origin,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wscast_welcome"),
      NGX_HTTP_WSCAST_ANYWHERE|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wscast_loc_conf_t, welcome),
      NULL },

    { ngx_string("wscast_heartbeat"),
      NGX_HTTP_WSCAST_ANYWHERE|NGX_CONF_TAKE12,
      ngx_http_wscast_set_heartbeat,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wscast_ping"),
      NGX_HTTP_WSCAST_ANYWHERE|NGX_CONF_TAKE12,
      ngx_http_wscast_set_ping,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wscast_message_size"),
      NGX_HTTP_WSCAST_ANYWHERE|NGX_CONF_TAKE1,
      ngx_http_wscast_set_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wscast_loc_conf_t, conn.message_size),
      &ngx_http_wscast_size_slot },

    { ngx_string("wscast_message_rate"),
      NGX_HTTP_WSCAST_ANYWHERE|NGX_CONF_TAKE12,
      ngx_http_wscast_set_rate,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wscast_send_buffer"),
      NGX_HTTP_WSCAST_ANYWHERE|NGX_CONF_TAKE12,
      ngx_http_wscast_set_send_buffer,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wscast_subscriptions"),
      NGX_HTTP_WSCAST_ANYWHERE|NGX_CONF_TAKE1,
      ngx_http_wscast_set_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wscast_loc_conf_t, subscriptions),
      &ngx_http_wscast_number_slot },

    { ngx_string("wscast_deflate"),
      NGX_HTTP_WSCAST_ANYWHERE|NGX_CONF_TAKE123,
      ngx_http_wscast_set_deflate,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wscast_connections"),
      NGX_HTTP_WSCAST_ANYWHERE|NGX_CONF_TAKE12,
      ngx_http_wscast_set_connections,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wscast_drain"),
      NGX_HTTP_WSCAST_ANYWHERE|NGX_CONF_TAKE1,
      ngx_http_wscast_set_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wscast_loc_conf_t, conn.drain),
      &ngx_http_wscast_time_slot },

    { ngx_string("wscast_request"),
      NGX_HTTP_WSCAST_ANYWHERE|NGX_CONF_TAKE1,
      ngx_http_wscast_set_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_wscast_loc_conf_t, hold),
      &ngx_http_wscast_request_slot },

    { ngx_string("wscast_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_wscast_set_api,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("wscast_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_wscast_set_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_wscast_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    ngx_http_wscast_create_main_conf,      /* create main configuration */
    ngx_http_wscast_init_main_conf,        /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_wscast_create_loc_conf,       /* create location configuration */
    ngx_http_wscast_merge_loc_conf         /* merge location configuration */
};


ngx_module_t  ngx_http_wscast_module = {
    NGX_MODULE_V1,
    &ngx_http_wscast_module_ctx,           /* module context */
    ngx_http_wscast_commands,              /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_wscast_init_module,           /* init module */
    ngx_http_wscast_init_process,          /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_wscast_exit_process,          /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/*
 * Without a master process a reload does not call init_process: the hubs would
 * go on with a configuration that nginx frees.  They begin anew instead, and
 * their clients reconnect.
 */

static ngx_int_t
ngx_http_wscast_init_module(ngx_cycle_t *cycle)
{
    ngx_http_wscast_main_conf_t  *wmcf;

    wmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_wscast_module);

    if (wmcf) {
        ngx_http_wscast_zones_tell(cycle, wmcf);
    }

    if (ngx_process == NGX_PROCESS_SINGLE && ngx_wscast_worker_running()) {
        ngx_wscast_worker_exit();
        ngx_http_wscast_start(cycle);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_wscast_init_process(ngx_cycle_t *cycle)
{
    /* cache managers and the like run this too */

    if (ngx_process == NGX_PROCESS_WORKER
        || ngx_process == NGX_PROCESS_SINGLE)
    {
        ngx_http_wscast_start(cycle);
    }

    /* an error here would keep the worker from ever being respawned */

    return NGX_OK;
}


static void
ngx_http_wscast_start(ngx_cycle_t *cycle)
{
    ngx_http_conf_ctx_t          *ctx;
    ngx_http_wscast_main_conf_t  *wmcf;

    ctx = (ngx_http_conf_ctx_t *) ngx_get_conf(cycle->conf_ctx,
                                               ngx_http_module);
    if (ctx == NULL) {
        return;                            /* no http { } */
    }

    wmcf = ctx->main_conf[ngx_http_wscast_module.ctx_index];

    if (wmcf->hubs.nelts) {
        ngx_wscast_worker_init(cycle, wmcf->confs, wmcf->hubs.nelts);
    }
}


static void
ngx_http_wscast_exit_process(ngx_cycle_t *cycle)
{
    ngx_wscast_worker_exit();
}
