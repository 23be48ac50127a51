#include "bus_inner.h"


/*
 * A zone is a slab pool of nginx's, of which the ring is the first allocation
 * and all that is left the second: nothing else is ever allocated in it.
 */


ngx_int_t
ngx_wscast_bus_init_zone(ngx_wscast_bus_conf_t *conf, void *old)
{
    size_t             size;
    u_char            *heap;
    uint64_t           id, seed;
    ngx_shm_zone_t    *zone;
    ngx_slab_pool_t   *shpool;
    wscast_ring_sh_t  *sh;

    zone = conf->zone;
    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (old || zone->shm.exists) {
        /* the previous workers are at work in it: nothing to be done */
        return NGX_OK;
    }

    sh = ngx_slab_alloc(shpool, wscast_ring_size(zone->shm.size));

    if (sh == NULL) {
        return NGX_ERROR;
    }

    /* nothing has been freed yet, so that the free pages are contiguous */

    size = shpool->pfree << ngx_pagesize_shift;
    heap = size ? ngx_slab_alloc(shpool, size) : NULL;

    if (heap == NULL) {
        return NGX_ERROR;
    }

#if (NGX_DEBUG_MALLOC || NGX_HAVE_DEBUG_MALLOC)

    /*
     * Such an nginx may have filled the pool with junk.  With any other it
     * still is as the system gave it, and to write zeros would only commit it.
     */

    ngx_memzero(heap, size);

#endif

    id = ((uint64_t) ngx_random() << 33) ^ ((uint64_t) ngx_random() << 2)
         ^ ((uint64_t) ngx_pid << 16) ^ (uint64_t) ngx_time();
    seed = ((uint64_t) ngx_random() << 32) ^ (uint64_t) ngx_random();

    wscast_ring_format(sh, zone->shm.size, id, seed);

    sh->heap = (uint64_t) (heap - (u_char *) sh);
    sh->heap_size = size;

    shpool->data = sh;

    return NGX_OK;
}


void *
ngx_wscast_bus_memory(ngx_wscast_bus_t *bus, size_t *size)
{
    ngx_slab_pool_t   *shpool;
    wscast_ring_sh_t  *sh;

    *size = 0;

    shpool = (ngx_slab_pool_t *) bus->conf->zone->shm.addr;
    sh = shpool->data;

    /* another build may have left it there: one of the next workers says so */

    if (sh == NULL || !wscast_ring_known(sh, bus->conf->zone->shm.size)
        || sh->heap_size == 0)
    {
        return NULL;
    }

    *size = (size_t) sh->heap_size;

    return (u_char *) sh + sh->heap;
}


size_t
ngx_wscast_bus_min(void)
{
    return WSCAST_RING_MIN;
}


size_t
ngx_wscast_bus_max(size_t zone)
{
    return wscast_ring_max(zone);
}


void
ngx_wscast_bus_guard(ngx_wscast_bus_t *bus,
    void (*recover)(void *ctx, uint64_t tail), void *ctx)
{
    bus->local.recover = recover;
    bus->local.recover_ctx = ctx;
}


void
ngx_wscast_bus_lock(ngx_wscast_bus_t *bus)
{
    bus->local.ring.lock(bus->local.ring.ctx);
}


void
ngx_wscast_bus_unlock(ngx_wscast_bus_t *bus)
{
    bus->local.ring.unlock(bus->local.ring.ctx);
}


#ifdef WSCAST_DEBUG


const char *
ngx_wscast_bus_wrong(ngx_wscast_bus_t *bus)
{
    return wscast_ring_wrong(&bus->local.ring);
}


uint64_t *
ngx_wscast_bus_examined(ngx_wscast_bus_t *bus)
{
    return &bus->local.ring.sh->examined;
}


#endif


uint64_t
ngx_wscast_bus_host(ngx_wscast_bus_t *bus)
{
    return bus->local.ring.sh->id;
}


uint64_t
ngx_wscast_bus_nonce(ngx_wscast_bus_t *bus)
{
    return ngx_wscast_local_ready(&bus->local) ? bus->local.ring.nonce : 0;
}


ngx_uint_t
ngx_wscast_bus_alive(ngx_wscast_bus_t *bus, uint64_t nonce)
{
    return (ngx_uint_t) wscast_ring_tenant(&bus->local.ring, nonce);
}


uint64_t
ngx_wscast_bus_seed(ngx_wscast_bus_t *bus)
{
    return bus->local.ring.sh->seed;
}


uint64_t
ngx_wscast_bus_clock(ngx_wscast_bus_t *bus)
{
    return bus->local.ring.now(bus->local.ring.ctx);
}


uint64_t
ngx_wscast_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (uint64_t) tp->sec * 1000 + tp->msec;
}
