/*
 * worker.h: owns everything in one process and introduces the rooms to each
 * other: first and last subscribers become interest on the bus, what comes off
 * the bus is delivered, publishers wait for room.
 *
 * Audience: http.
 */

#ifndef NGX_WSCAST_WORKER_H
#define NGX_WSCAST_WORKER_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "../auth/token.h"
#include "../bus/bus.h"
#include "../conn/conn.h"
#include "../store/store.h"


typedef struct ngx_wscast_hub_s      ngx_wscast_hub_t;

struct ngx_wscast_control_s;


/* Of a hub; filled by http/conf, lives as long as the configuration. */

typedef struct {
    ngx_str_t                name;
    ngx_wscast_bus_conf_t    bus;
    ngx_array_t             *rules;             /* wscast_rule_t */
    size_t                   channel_length;
    wscast_keys_t           *keys;              /* of tokens; or NULL */
    time_t                   leeway;            /* s */

    ngx_wscast_hub_t        *hub;               /* of this process, or NULL */
} ngx_wscast_hub_conf_t;


/* A hub in one process. */

struct ngx_wscast_hub_s {
    ngx_wscast_hub_conf_t   *conf;
    ngx_wscast_bus_t        *bus;
    ngx_wscast_store_t      *store;
    struct ngx_wscast_control_s  *control;
    wscast_fanout_t          fanout;
    ngx_wscast_conns_t       conns;
    wscast_engine_t          engine;
    wscast_list_t            waiters;           /* publishers without room */
    wscast_list_t            crowd;             /* the same, to many */
    ngx_event_t              fan;               /* posted: delivers on */
    uint64_t                 flying;            /* deliveries of what is on
                                                   the bus, to a few each */
    uint64_t                 coming;            /* the same, to many */
    u_char                  *scratch;           /* for encoding envelopes */
    size_t                   scratch_size;
    u_char                   client_tag[8];     /* of the ids of clients */
    uint32_t                 client_count;
    ngx_log_t               *log;
    unsigned                 alone:1;           /* redis_fallback is told */
};


/*
 * In a worker: brings the hubs to life.  A hub that fails is told in the log
 * and left NULL, so that nginx serves on without it.
 */
void ngx_wscast_worker_init(ngx_cycle_t *cycle, ngx_wscast_hub_conf_t **confs,
    ngx_uint_t n);

/* Ends them: clients are closed, the shared memory is left. */
void ngx_wscast_worker_exit(void);

/* 1 between the two. */
ngx_uint_t ngx_wscast_worker_running(void);

/* 1 if clients can be taken. */
ngx_uint_t ngx_wscast_hub_ready(ngx_wscast_hub_t *hub);

/* A new id for a client, unique in the whole deployment. */
void ngx_wscast_hub_client_id(ngx_wscast_hub_t *hub,
    char id[WSCAST_CLIENT_ID]);

/* The rule of a channel; NULL: it has none. */
const wscast_rule_t *ngx_wscast_hub_rule(ngx_wscast_hub_t *hub,
    wscast_str_t channel);

/*
 * As wscast_engine_t.publish(); receipt is required, and its position is set
 * when the message has been taken.
 */
wscast_status_t ngx_wscast_hub_publish(ngx_wscast_hub_t *hub,
    const wscast_pub_fields_t *f, wscast_receipt_t *receipt,
    wscast_waiter_t *waiter);


#endif /* NGX_WSCAST_WORKER_H */
