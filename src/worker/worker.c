#include "worker_inner.h"
#include "control.h"


typedef struct {
    ngx_wscast_hub_t   **hubs;
    ngx_uint_t           n;
    wscast_deflate_t    *deflate;
} ngx_wscast_worker_t;


static ngx_wscast_hub_t *ngx_wscast_hub_create(ngx_cycle_t *cycle,
    ngx_wscast_hub_conf_t *conf);
static ngx_int_t ngx_wscast_hub_open(ngx_cycle_t *cycle,
    ngx_wscast_hub_t *hub);
static void ngx_wscast_hub_destroy(ngx_wscast_hub_t *hub);
static void ngx_wscast_hub_close(ngx_wscast_hub_t *hub);
static void ngx_wscast_hub_settle(void *ctx);


/* The one mutable global: the root of everything in this process. */

static ngx_wscast_worker_t  ngx_wscast_worker;


void
ngx_wscast_worker_init(ngx_cycle_t *cycle, ngx_wscast_hub_conf_t **confs,
    ngx_uint_t n)
{
    ngx_uint_t          i;
    ngx_wscast_hub_t  **hubs;

    hubs = ngx_calloc((n ? n : 1) * sizeof(ngx_wscast_hub_t *), cycle->log);
    if (hubs == NULL) {
        return;
    }

    ngx_wscast_worker.deflate = wscast_deflate_create();

    for (i = 0; i < n; i++) {
        hubs[i] = ngx_wscast_hub_create(cycle, confs[i]);
        confs[i]->hub = hubs[i];

        if (hubs[i] == NULL) {
            ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                          "wscast: hub \"%V\" could not be started",
                          &confs[i]->name);
        }
    }

    ngx_wscast_worker.hubs = hubs;
    ngx_wscast_worker.n = n;
}


void
ngx_wscast_worker_exit(void)
{
    ngx_uint_t  i;

    for (i = 0; i < ngx_wscast_worker.n; i++) {
        if (ngx_wscast_worker.hubs[i]) {
            ngx_wscast_hub_destroy(ngx_wscast_worker.hubs[i]);
        }
    }

    ngx_free(ngx_wscast_worker.hubs);
    wscast_deflate_destroy(ngx_wscast_worker.deflate);

    ngx_wscast_worker.hubs = NULL;
    ngx_wscast_worker.deflate = NULL;
    ngx_wscast_worker.n = 0;
}


ngx_uint_t
ngx_wscast_worker_running(void)
{
    return ngx_wscast_worker.hubs != NULL;
}


static ngx_wscast_hub_t *
ngx_wscast_hub_create(ngx_cycle_t *cycle, ngx_wscast_hub_conf_t *conf)
{
    ngx_uint_t         i;
    ngx_wscast_hub_t  *hub;

    hub = ngx_calloc(sizeof(ngx_wscast_hub_t), cycle->log);
    if (hub == NULL) {
        return NULL;
    }

    hub->conf = conf;
    hub->log = cycle->log;

    wscast_list_init(&hub->waiters);
    wscast_list_init(&hub->crowd);
    ngx_wscast_hub_fan_init(hub);

    for (i = 0; i < sizeof(hub->client_tag); i++) {
        hub->client_tag[i] = (u_char) (ngx_random() >> (i & 15));
    }

    wscast_fanout_init(&hub->fanout, ((uint64_t) ngx_random() << 32)
                                     ^ (uint64_t) ngx_random(),
                       &ngx_wscast_hub_fanout_handler, hub);

    if (ngx_wscast_hub_open(cycle, hub) != NGX_OK) {
        ngx_wscast_hub_close(hub);
        return NULL;
    }

    hub->conns.deflate = ngx_wscast_worker.deflate;
    ngx_wscast_hub_engine(hub);

    return hub;
}


static ngx_int_t
ngx_wscast_hub_open(ngx_cycle_t *cycle, ngx_wscast_hub_t *hub)
{
    ngx_wscast_hub_conf_t  *conf;

    conf = hub->conf;

    if (ngx_wscast_worker.deflate == NULL) {
        return NGX_ERROR;
    }

    hub->bus = ngx_wscast_bus_create(cycle, &conf->bus,
                                     &ngx_wscast_hub_bus_handler, hub);
    if (hub->bus == NULL) {
        return NGX_ERROR;
    }

    hub->store = ngx_wscast_store_create(cycle, hub->bus, &conf->bus,
                                         conf->rules ? conf->rules->elts
                                                     : NULL,
                                         conf->rules ? conf->rules->nelts : 0,
                                         &ngx_wscast_hub_store_handler, hub);
    if (hub->store == NULL) {
        return NGX_ERROR;
    }

    hub->control = ngx_wscast_control_create(hub);
    if (hub->control == NULL) {
        return NGX_ERROR;
    }

    return ngx_wscast_conns_init(&hub->conns,
                                 ngx_wscast_bus_counters(hub->bus),
                                 ngx_wscast_hub_settle, hub, cycle->log);
}


static void
ngx_wscast_hub_destroy(ngx_wscast_hub_t *hub)
{
    hub->conf->hub = NULL;

    ngx_wscast_conns_done(&hub->conns);
    ngx_wscast_hub_close(hub);
}


static void
ngx_wscast_hub_close(ngx_wscast_hub_t *hub)
{
    if (hub->control) {
        ngx_wscast_control_destroy(hub->control);
    }

    if (hub->store) {
        ngx_wscast_store_destroy(hub->store);
    }

    if (hub->bus) {
        ngx_wscast_bus_destroy(hub->bus);
    }

    ngx_wscast_hub_fan_done(hub);
    wscast_fanout_done(&hub->fanout);

    ngx_free(hub->scratch);
    ngx_free(hub);
}


ngx_uint_t
ngx_wscast_hub_ready(ngx_wscast_hub_t *hub)
{
    if (!ngx_wscast_bus_ready(hub->bus)) {
        return 0;
    }

    /* the slot may have been had later than the hub */
    hub->conns.counters = ngx_wscast_bus_counters(hub->bus);

    return 1;
}


void
ngx_wscast_hub_client_id(ngx_wscast_hub_t *hub, char id[WSCAST_CLIENT_ID])
{
    u_char     bytes[sizeof(hub->client_tag) + sizeof(uint32_t)];
    ngx_str_t  src, dst;

    ngx_memcpy(bytes, hub->client_tag, sizeof(hub->client_tag));
    ngx_memcpy(bytes + sizeof(hub->client_tag), &hub->client_count,
               sizeof(uint32_t));

    hub->client_count++;

    src.data = bytes;
    src.len = sizeof(bytes);
    dst.data = (u_char *) id;

    ngx_encode_base64url(&dst, &src);
}


static void
ngx_wscast_hub_settle(void *ctx)
{
    ngx_wscast_hub_t  *hub;

    hub = ctx;
    ngx_wscast_bus_settle(hub->bus);
}
