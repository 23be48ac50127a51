#include "store_inner.h"
#include "zone_check.h"


#ifdef WSCAST_DEBUG


#define NGX_WSCAST_EXAMINE_EVERY  1000    /* ms, on the whole host */
#define NGX_WSCAST_EXAMINE_SHARE  50      /* of so much time it may take one */


/*
 * Debug builds walk the whole zone under its lock: at the start of each worker,
 * and then one of them once a second, or as often as a large zone allows.  An
 * alert makes every test fail.
 */

void
ngx_wscast_store_examine(ngx_wscast_store_t *store, ngx_uint_t now)
{
    uint64_t     begun, took, *due;
    const char  *what;

    if (ngx_wscast_bus_nonce(store->bus) == 0) {
        return;
    }

    ngx_wscast_store_lock(store);

    begun = ngx_wscast_bus_clock(store->bus);
    due = ngx_wscast_bus_examined(store->bus);

    if (!now && begun < *due) {
        ngx_wscast_store_unlock(store);
        return;
    }

    what = ngx_wscast_bus_wrong(store->bus);

    if (what == NULL && store->ready) {
        what = wscast_zone_wrong(&store->heap, &store->history,
                                 &store->presence);
    }

    took = (ngx_wscast_bus_clock(store->bus) - begun)
           * NGX_WSCAST_EXAMINE_SHARE;
    *due = begun + ngx_max(took, NGX_WSCAST_EXAMINE_EVERY);

    ngx_wscast_store_unlock(store);

    if (what) {
        ngx_log_error(NGX_LOG_ALERT, store->log, 0,
                      "wscast: the zone of hub \"%V\" is not consistent: %s",
                      &store->conf->name, what);
    }
}


#endif
