#include "history.h"
#include "history_inner.h"


static unsigned wscast_history_is_news(const wscast_entry_t *e,
    const wscast_end_t *end);


wscast_status_t
wscast_history_given(wscast_history_t *h, wscast_str_t channel,
    const wscast_end_t *end, uint64_t now)
{
    uint32_t           cell;
    wscast_keep_t      k;
    wscast_entry_t    *e;
    wscast_status_t    rc;
    wscast_position_t  nowhere;

    rc = wscast_history_find(h, channel, &cell);

    if (rc == WSCAST_OK) {
        e = wscast_heap_at(h->heap, cell);

        if (!wscast_history_is_news(e, end)) {
            return WSCAST_OK;
        }

        wscast_heap_begin(h->heap);
        wscast_history_end_at(h, e, end);

        return wscast_history_done(h);
    }

    if (rc == WSCAST_ERROR) {
        return rc;
    }

    memset(&k, 0, sizeof(wscast_keep_t));
    k.channel = channel;
    k.now = now;

    if (wscast_history_room(h, &k, 0) == WSCAST_ERROR) {
        return WSCAST_ERROR;
    }

    nowhere.epoch = 0;
    nowhere.offset = 0;

    wscast_heap_begin(h->heap);
    cell = wscast_history_add_entry(h, channel, &nowhere, now);

    if (cell) {
        wscast_history_end_at(h, wscast_heap_at(h->heap, cell), end);
    }

    rc = wscast_history_done(h);

    return rc == WSCAST_OK && cell == 0 ? WSCAST_NOMEM : rc;
}


wscast_status_t
wscast_history_end(wscast_history_t *h, wscast_str_t channel, uint64_t now,
    wscast_end_t *end)
{
    uint32_t         cell;
    wscast_entry_t  *e;
    wscast_status_t  rc;

    memset(end, 0, sizeof(wscast_end_t));

    rc = wscast_history_find(h, channel, &cell);

    if (rc != WSCAST_OK) {
        return rc;
    }

    e = wscast_heap_at(h->heap, cell);

    end->position.epoch = e->end_epoch;
    end->position.offset = e->end_offset;
    end->time = e->end_time;

    if (e->count == 0 && now - e->aged.time >= WSCAST_TOUCH_TIME) {
        wscast_heap_begin(h->heap);
        wscast_history_touch(h, cell, now);
        rc = wscast_history_done(h);
    }

    return rc == WSCAST_OK && end->position.epoch == 0 ? WSCAST_MORE : rc;
}


void
wscast_history_end_at(wscast_history_t *h, wscast_entry_t *e,
    const wscast_end_t *end)
{
    if (!wscast_history_is_news(e, end)) {
        return;
    }

    wscast_heap_set(h->heap, &e->end_epoch, end->position.epoch);
    wscast_heap_set(h->heap, &e->end_offset, end->position.offset);
    wscast_heap_set(h->heap, &e->end_time, end->time);
}


/* Of two epochs nobody can tell which is the later: the last that was heard. */

static unsigned
wscast_history_is_news(const wscast_entry_t *e, const wscast_end_t *end)
{
    return e->end_epoch != end->position.epoch
           || e->end_offset < end->position.offset
           || (e->end_offset == end->position.offset && e->end_time == 0
               && end->time != 0);
}
