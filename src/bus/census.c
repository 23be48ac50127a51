#include "bus_inner.h"


#define NGX_WSCAST_CENSUS_TIME  200     /* ms */


ngx_int_t
ngx_wscast_bus_count(ngx_wscast_bus_t *bus, wscast_str_t channel,
    ngx_wscast_census_t *census)
{
    ngx_uint_t        i;
    wscast_record_t   rec;
    wscast_slotset_t  targets;

    ngx_memzero(&rec, sizeof(wscast_record_t));

    rec.kind = WSCAST_REC_ASK;
    rec.to = WSCAST_NO_SLOT;
    rec.arg = ++bus->census_number;
    rec.channel = channel;

    if (ngx_wscast_local_append(&bus->local, &rec, NULL, &targets)
        != WSCAST_OK)
    {
        return NGX_ERROR;
    }

    census->number = rec.arg;
    census->count = 0;
    census->awaited = 0;
    census->deadline = ngx_current_msec + NGX_WSCAST_CENSUS_TIME;

    for (i = 0; i < WSCAST_SLOTS; i++) {
        census->awaited += wscast_slotset_has(&targets, i);
    }

    if (census->awaited == 0) {
        return NGX_DONE;
    }

    ngx_queue_insert_tail(&bus->censuses, &census->queue);

    if (!bus->census_timer.timer_set) {
        ngx_add_timer(&bus->census_timer, NGX_WSCAST_CENSUS_TIME);
    }

    return NGX_OK;
}


void
ngx_wscast_bus_uncount(ngx_wscast_census_t *census)
{
    ngx_queue_remove(&census->queue);
}


void
ngx_wscast_bus_asked(ngx_wscast_bus_t *bus, const wscast_record_t *rec)
{
    uint64_t         count;
    wscast_record_t  answer;

    count = bus->handler->count(bus->ctx, rec->channel);

    ngx_memzero(&answer, sizeof(wscast_record_t));

    answer.kind = WSCAST_REC_TELL;
    answer.to = rec->from;
    answer.arg = rec->arg;
    answer.body = wscast_str(&count, sizeof(uint64_t));

    ngx_wscast_local_send(&bus->local, &answer);
}


void
ngx_wscast_bus_told(ngx_wscast_bus_t *bus, const wscast_record_t *rec)
{
    uint64_t              count;
    ngx_queue_t          *q;
    ngx_wscast_census_t  *census;

    if (rec->body.len != sizeof(uint64_t)) {
        return;
    }

    ngx_memcpy(&count, rec->body.data, sizeof(uint64_t));

    for (q = ngx_queue_head(&bus->censuses);
         q != ngx_queue_sentinel(&bus->censuses);
         q = ngx_queue_next(q))
    {
        census = ngx_queue_data(q, ngx_wscast_census_t, queue);

        if (census->number != rec->arg) {
            continue;
        }

        census->count += count;

        if (--census->awaited == 0) {
            ngx_queue_remove(q);
            census->done(census);
        }

        return;
    }
}


/* Who has not told by now will not: its worker is busy or dead. */

void
ngx_wscast_bus_census_timer(ngx_event_t *ev)
{
    ngx_queue_t          *q;
    ngx_wscast_bus_t     *bus;
    ngx_wscast_census_t  *census;

    bus = ev->data;

    while (!ngx_queue_empty(&bus->censuses)) {
        q = ngx_queue_head(&bus->censuses);
        census = ngx_queue_data(q, ngx_wscast_census_t, queue);

        if ((ngx_msec_int_t) (census->deadline - ngx_current_msec) > 0) {
            ngx_add_timer(&bus->census_timer,
                          census->deadline - ngx_current_msec);
            return;
        }

        ngx_queue_remove(q);
        census->done(census);
    }
}
