#include "catchup_inner.h"


static void ngx_wscast_catchup_ask(ngx_wscast_behind_t *b);
static ngx_int_t ngx_wscast_catchup_drain(ngx_wscast_behind_t *b,
    uint64_t upto);
static void ngx_wscast_catchup_later(ngx_wscast_behind_t *b);
static void ngx_wscast_catchup_located(ngx_wscast_fetch_t *fetch,
    const wscast_position_t *top, ngx_uint_t more);
static void ngx_wscast_catchup_entry(ngx_wscast_fetch_t *fetch,
    wscast_str_t bytes, const wscast_pub_fields_t *f);
static void ngx_wscast_catchup_fetched(ngx_wscast_fetch_t *fetch,
    const wscast_position_t *top, ngx_uint_t more);
static ngx_int_t ngx_wscast_catchup_gone(ngx_wscast_behind_t *b,
    const wscast_position_t *upto);


void
ngx_wscast_catchup_advance(ngx_wscast_behind_t *b)
{
    wscast_str_t         name;
    ngx_wscast_store_t  *store;

    store = b->store;

    if (b->fetch.ask) {
        return;
    }

    if (!b->locate) {

        if (ngx_wscast_store_position(store, b->node.key, &b->mark)
            != WSCAST_OK)
        {
            b->mark.epoch = 0;
            b->mark.offset = 0;
        }

        if (!b->behind) {

            if (ngx_wscast_catchup_drain(b, NGX_WSCAST_OFFSET_MAX) != NGX_OK) {
                b->full = 1;
                ngx_wscast_catchup_later(b);
                return;
            }

            b->behind = !b->locate && !wscast_list_empty(&b->held);
        }

        if (!b->behind && b->dropped) {
            b->dropped = 0;
            b->locate = 1;
            b->missed = 1;
        }
    }

    if (b->locate || b->behind) {
        ngx_wscast_catchup_ask(b);
        return;
    }

    if (b->confirm) {
        name = b->node.key;
        ngx_wscast_bus_announce(store->bus, name);
    }

    ngx_wscast_catchup_remove(b);
}


static void
ngx_wscast_catchup_ask(ngx_wscast_behind_t *b)
{
    ngx_int_t           rc;
    wscast_list_t      *l, *tmp;
    ngx_wscast_held_t  *h;

    b->full = 0;

    if (b->locate) {
        b->fetch.done = ngx_wscast_catchup_located;

        wscast_list_each(l, tmp, &b->held) {
            h = wscast_container(l, ngx_wscast_held_t, link);
            h->asked = 1;
        }

        rc = ngx_wscast_remote_locate(b->store, b->rule, b->node.key,
                                      &b->fetch);
    } else {
        b->fetch.entry = ngx_wscast_catchup_entry;
        b->fetch.done = ngx_wscast_catchup_fetched;

        b->tries = (b->asked == b->mark.offset) ? b->tries + 1 : 0;
        b->asked = b->mark.offset;

        rc = ngx_wscast_remote_fetch(b->store, b->rule, b->node.key,
                                     b->mark.offset, &b->fetch);
    }

    if (rc != NGX_OK) {
        ngx_wscast_catchup_later(b);
    }
}


/*
 * Puts on the ring, up to an offset, what is held and follows the mark.
 * NGX_AGAIN: the ring is full.
 *
 * What belongs to another count than Redis itself named later was said by a
 * server that had been replaced already: a master of a cluster that stood still
 * does what it was told before, and its successor hands it on.
 */

static ngx_int_t
ngx_wscast_catchup_drain(ngx_wscast_behind_t *b, uint64_t upto)
{
    wscast_str_t        bytes;
    wscast_position_t   before;
    ngx_wscast_held_t  *h;

    while (!wscast_list_empty(&b->held)) {

        h = wscast_list_first(&b->held, ngx_wscast_held_t, link);

        if (h->position.epoch != b->mark.epoch) {

            if (upto != NGX_WSCAST_OFFSET_MAX) {
                return NGX_OK;
            }

            if (b->mark.epoch && h->asked) {
                ngx_wscast_catchup_unhold(b, h);
                continue;
            }

            if (b->mark.epoch) {
                b->locate = 1;
                return NGX_OK;
            }

            before = h->position;       /* the zone had no room for a mark */
            before.offset--;

            if (ngx_wscast_catchup_broken(b->store, b->node.key, &before)
                != NGX_OK)
            {
                return NGX_AGAIN;
            }

            b->mark = before;
        }

        if (h->position.offset > b->mark.offset + 1
            || h->position.offset > upto)
        {
            return NGX_OK;
        }

        if (h->position.offset == b->mark.offset + 1) {

            bytes = wscast_str(h + 1, h->len);

            if (ngx_wscast_catchup_append(b->store, b->node.key, bytes,
                                          &h->position)
                != NGX_OK)
            {
                return NGX_AGAIN;
            }

            b->mark = h->position;
        }

        ngx_wscast_catchup_unhold(b, h);
    }

    return NGX_OK;
}


static void
ngx_wscast_catchup_later(ngx_wscast_behind_t *b)
{
    ngx_event_t  *ev;

    ev = &b->store->catchup->timer;
    b->again = 1;

    if (b->full || !ev->timer_set) {
        ngx_add_timer(ev, b->full ? NGX_WSCAST_CATCHUP_ROOM
                                  : NGX_WSCAST_CATCHUP_AWAY);
    }
}


void
ngx_wscast_catchup_timer(ngx_event_t *ev)
{
    wscast_map_node_t     *node, *next;
    ngx_wscast_behind_t   *b;
    ngx_wscast_catchup_t  *catchup;

    catchup = ev->data;

    for (node = wscast_map_next(&catchup->channels, NULL); node; node = next) {
        next = wscast_map_next(&catchup->channels, node);
        b = wscast_container(node, ngx_wscast_behind_t, node);

        if (b->again) {
            b->again = 0;
            b->full = 0;
            ngx_wscast_catchup_advance(b);
        }
    }
}


static void
ngx_wscast_catchup_located(ngx_wscast_fetch_t *fetch,
    const wscast_position_t *top, ngx_uint_t more)
{
    wscast_position_t     mark;
    ngx_wscast_behind_t  *b;

    b = wscast_container(fetch, ngx_wscast_behind_t, fetch);

    if (top == NULL) {
        ngx_wscast_catchup_later(b);
        return;
    }

    b->behind = 0;

    if (!b->missed) {
        (void) ngx_wscast_store_mark(b->store, b->node.key, top);

    } else if (ngx_wscast_store_position(b->store, b->node.key, &mark)
               == WSCAST_OK
               && mark.epoch == top->epoch && mark.offset <= top->offset)
    {
        b->behind = (mark.offset < top->offset);

    } else {

        /* another count, or Redis has lost the end of this one */

        if (ngx_wscast_catchup_gone(b, top) != NGX_OK) {
            b->full = 1;
            ngx_wscast_catchup_later(b);
            return;
        }
    }

    b->locate = 0;
    b->missed = 1;

    ngx_wscast_catchup_advance(b);
}


static void
ngx_wscast_catchup_entry(ngx_wscast_fetch_t *fetch, wscast_str_t bytes,
    const wscast_pub_fields_t *f)
{
    wscast_position_t     position;
    ngx_wscast_behind_t  *b;

    b = wscast_container(fetch, ngx_wscast_behind_t, fetch);

    position.epoch = f->epoch;
    position.offset = f->offset;

    if (b->full || f->epoch != b->mark.epoch) {
        return;
    }

    /* what the stream has lost may have been held */

    while (b->mark.offset + 1 < f->offset) {

        if (ngx_wscast_catchup_drain(b, f->offset - 1) != NGX_OK) {
            b->full = 1;
            return;
        }

        if (b->mark.offset + 1 < f->offset) {
            position.offset = f->offset - 1;

            if (ngx_wscast_catchup_gone(b, &position) != NGX_OK) {
                b->full = 1;
                return;
            }

            position.offset = f->offset;
        }
    }

    if (f->offset <= b->mark.offset) {
        return;
    }

    if (ngx_wscast_catchup_append(b->store, b->node.key, bytes, &position)
        != NGX_OK)
    {
        b->full = 1;
        return;
    }

    b->mark = position;
    ngx_wscast_bus_counters(b->store->bus)[WSCAST_COUNT_CAUGHT_UP]++;
}


static void
ngx_wscast_catchup_fetched(ngx_wscast_fetch_t *fetch,
    const wscast_position_t *top, ngx_uint_t more)
{
    ngx_int_t             rc;
    wscast_position_t     end;
    ngx_wscast_behind_t  *b;

    b = wscast_container(fetch, ngx_wscast_behind_t, fetch);

    if (top == NULL || b->full) {
        ngx_wscast_catchup_later(b);
        return;
    }

    if (top->epoch != b->mark.epoch || top->offset < b->mark.offset) {
        b->locate = 1;                  /* this begins another count */

    } else if (!more) {
        b->behind = 0;
        rc = NGX_OK;

        /* what the stream should have and has not is gone for good */

        while (rc == NGX_OK && b->mark.offset < top->offset) {
            rc = ngx_wscast_catchup_drain(b, top->offset);

            if (rc == NGX_OK && b->mark.offset < top->offset) {
                rc = ngx_wscast_catchup_gone(b, top);
            }
        }

        /* Redis has announced what it has lost since */

        if (rc == NGX_OK && b->tries >= NGX_WSCAST_CATCHUP_TRIES
            && !wscast_list_empty(&b->held))
        {
            end = wscast_list_first(&b->held, ngx_wscast_held_t, link)
                      ->position;
            b->tries = 0;

            if (end.epoch == b->mark.epoch && end.offset > b->mark.offset) {
                rc = ngx_wscast_catchup_gone(b, &end);
            }
        }

        if (rc != NGX_OK) {
            b->behind = 1;
            b->full = 1;
            ngx_wscast_catchup_later(b);
            return;
        }
    }

    ngx_wscast_catchup_advance(b);
}


/*
 * Messages after the mark are gone for good: up to the next that is held, or up
 * to here.
 */

static ngx_int_t
ngx_wscast_catchup_gone(ngx_wscast_behind_t *b, const wscast_position_t *upto)
{
    wscast_position_t   last;
    ngx_wscast_held_t  *h;

    last = *upto;

    if (!wscast_list_empty(&b->held)) {
        h = wscast_list_first(&b->held, ngx_wscast_held_t, link);

        if (h->position.epoch == last.epoch
            && h->position.offset <= last.offset)
        {
            last.offset = h->position.offset - 1;
        }
    }

    if (ngx_wscast_catchup_broken(b->store, b->node.key, &last) != NGX_OK) {
        return NGX_AGAIN;
    }

    b->mark = last;

    return NGX_OK;
}
