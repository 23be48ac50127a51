#include "conf.h"


static ngx_shm_zone_t *ngx_http_wscast_zone_before(ngx_cycle_t *cycle,
    ngx_str_t *hub);


/*
 * A zone is kept over a reload while its size and its Redis stay.  Another one
 * is another memory, and a binary that replaces a running one has none of that
 * one's: what that means must not have to be guessed.
 */

void
ngx_http_wscast_zones_tell(ngx_cycle_t *cycle,
    ngx_http_wscast_main_conf_t *wmcf)
{
    ngx_uint_t               i;
    ngx_shm_zone_t          *zone, *before;
    ngx_wscast_hub_conf_t   *hub;

    if (cycle->old_cycle == NULL || ngx_test_config) {
        return;
    }

    for (i = 0; i < wmcf->hubs.nelts; i++) {
        hub = wmcf->confs[i];
        zone = hub->bus.zone;
        before = ngx_http_wscast_zone_before(cycle->old_cycle, &hub->name);

        if (before && before->shm.size != zone->shm.size) {
            ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                          "wscast: the zone of hub \"%V\" has %uz bytes now, "
                          "not %uz: it begins empty, and workers of before do "
                          "not share it", &hub->name, zone->shm.size,
                          before->shm.size);

        } else if (before && before->shm.addr != zone->shm.addr) {
            ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                          "wscast: hub \"%V\" has another redis now, or none: "
                          "its zone begins empty, and workers of before do not "
                          "share it", &hub->name);

        } else if (ngx_inherited && ngx_is_init_cycle(cycle->old_cycle)
                   && hub->bus.redis == NULL)
        {
            ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                          "wscast: hub \"%V\" is without redis: its clients do "
                          "not hear those of the nginx that this one replaces, "
                          "until that one has quit", &hub->name);
        }
    }
}


/* The zone that a hub of this name had. */

static ngx_shm_zone_t *
ngx_http_wscast_zone_before(ngx_cycle_t *cycle, ngx_str_t *hub)
{
    ngx_uint_t              i;
    ngx_list_part_t        *part;
    ngx_shm_zone_t         *zones;
    ngx_wscast_bus_conf_t  *bus;

    for (part = &cycle->shared_memory.part; part; part = part->next) {
        zones = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (zones[i].tag != &ngx_http_wscast_module) {
                continue;
            }

            bus = zones[i].data;

            if (bus->name.len == hub->len
                && ngx_memcmp(bus->name.data, hub->data, hub->len) == 0)
            {
                return &zones[i];
            }
        }
    }

    return NULL;
}
