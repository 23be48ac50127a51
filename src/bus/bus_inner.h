/*
 * bus_inner.h: what the files of the bus itself share.
 *
 * Audience: bus.c (the facade), zone.c (the shared memory and what it knows),
 * leader.c (who holds Redis), census.c (counting subscribers).
 */

#ifndef NGX_WSCAST_BUS_INNER_H
#define NGX_WSCAST_BUS_INNER_H


#include "bus.h"
#include "local.h"
#include "redis.h"


/* Of this worker towards Redis. */

typedef enum {
    NGX_WSCAST_BUS_FOLLOWER = 0,
    NGX_WSCAST_BUS_HEIR,
    NGX_WSCAST_BUS_LEADER
} ngx_wscast_bus_role_e;


struct ngx_wscast_bus_s {
    ngx_wscast_bus_conf_t             *conf;
    const ngx_wscast_bus_handler_t    *handler;
    void                              *ctx;
    ngx_cycle_t                       *cycle;

    ngx_wscast_local_t                 local;
    ngx_wscast_redis_t                 redis;
    uint64_t                           epoch;       /* of the leader we know */
    ngx_wscast_bus_role_e              role;
    ngx_event_t                        start;       /* posted: first steps */
    ngx_event_t                        hold;        /* timer: a handover */
    ngx_msec_t                         hold_until;
    ngx_uint_t                         late;        /* s of no last word */

    ngx_queue_t                        censuses;
    ngx_event_t                        census_timer;
    uint64_t                           census_number;

    ngx_msec_t                         paused;      /* when nothing was read */

    unsigned                           redis_open:1;
    unsigned                           passed:1;    /* to an heir, as leader */
    unsigned                           exiting:1;
    unsigned                           going:1;     /* being destroyed */
    unsigned                           pausing:1;
};


/* leader.c: follows the leader, or becomes it where there is none. */
void ngx_wscast_bus_leader(ngx_wscast_bus_t *bus);

/*
 * leader.c: gives up what it leads or inherits and forgets what it was told; in
 * a new epoch all workers say anew what they listen to.
 */
void ngx_wscast_bus_anew(ngx_wscast_bus_t *bus);

/* leader.c: once a second. */
void ngx_wscast_bus_leader_tick(ngx_wscast_bus_t *bus);

/* leader.c: this process is about to exit; keeps it for a handover. */
void ngx_wscast_bus_leader_exiting(ngx_wscast_bus_t *bus);

/* leader.c: the timer of that. */
void ngx_wscast_bus_hold_handler(ngx_event_t *ev);

/* leader.c: a wish of this worker, told to the leader and its heir. */
void ngx_wscast_bus_tell(ngx_wscast_bus_t *bus, ngx_uint_t kind,
    wscast_str_t channel);

/* census.c: a question, an answer, and the end of patience. */
void ngx_wscast_bus_asked(ngx_wscast_bus_t *bus, const wscast_record_t *rec);
void ngx_wscast_bus_told(ngx_wscast_bus_t *bus, const wscast_record_t *rec);
void ngx_wscast_bus_census_timer(ngx_event_t *ev);


#endif /* NGX_WSCAST_BUS_INNER_H */
