/*
 * history_deeds.h: each do_*() does the same to a history and to plain arrays,
 * and compares all answers, and the number of free blocks, which tells that the
 * same went.
 *
 * Audience: t/store/history*.c, which have defined `heap` and `history` before,
 * and say with MUST(cond) what they do with a difference.
 */

#ifndef WSCAST_T_HISTORY_DEEDS_H
#define WSCAST_T_HISTORY_DEEDS_H


#include "history_model.h"


static void
do_position(unsigned channel, uint64_t fresh_epoch)
{
    channel_t          *c;
    wscast_status_t     rc;
    wscast_position_t   p;

    c = &channels[channel];

    rc = wscast_history_position(&history, name_of(channel), fresh_epoch,
                                 clock_ms, &p);

    if (!c->exists && fresh_epoch) {
        MUST(model_room(channel, 0, 0) == WSCAST_OK);
        model_add(channel, fresh_epoch, 0);

    } else if (c->exists && c->epoch == 0 && fresh_epoch) {
        c->epoch = fresh_epoch;
        model_touch(c);

    } else if (c->exists && clock_ms - c->time >= 1000) {
        model_touch(c);
    }

    MUST(rc == (c->exists && c->epoch ? WSCAST_OK : WSCAST_MORE));
    MUST(p.epoch == (c->exists ? c->epoch : 0));
    MUST(p.offset == (c->exists ? c->offset : 0));
    same();
}


static void
do_given(unsigned channel, uint64_t epoch, uint64_t offset, uint64_t time)
{
    wscast_end_t  end;

    end.position.epoch = epoch;
    end.position.offset = offset;
    end.time = time;

    MUST(wscast_history_given(&history, name_of(channel), &end, clock_ms)
         == WSCAST_OK);

    if (!channels[channel].exists) {
        MUST(model_room(channel, 0, 0) == WSCAST_OK);
        model_add(channel, 0, 0);
    }

    model_end(&channels[channel], &end);
    same();
}


static void
do_end(unsigned channel)
{
    channel_t       *c;
    wscast_end_t     end;
    wscast_status_t  rc;

    c = &channels[channel];
    rc = wscast_history_end(&history, name_of(channel), clock_ms, &end);

    if (c->exists) {
        MUST(rc == (c->end.position.epoch ? WSCAST_OK : WSCAST_MORE));
        MUST(end.position.epoch == c->end.position.epoch);
        MUST(end.position.offset == c->end.position.offset);
        MUST(end.time == c->end.time);

        if (clock_ms - c->time >= 1000) {
            model_touch(c);
        }

    } else {
        MUST(rc == WSCAST_MORE && end.position.epoch == 0);
    }

    same();
}


/* The message, and the key, as _append() must leave them. */

static void
model_publish(unsigned channel, const wscast_keep_t *k, unsigned key,
    const wscast_position_t *p, uint8_t seed, uint32_t len)
{
    int          first;
    unsigned     i;
    channel_t   *c;
    message_t   *m;

    c = &channels[channel];

    if (k->count) {
        c->offset = p->offset;

        if (model_too_long(len)) {
            model_touch(c);

        } else {
            m = &messages[nmessages++];
            m->channel = channel;
            m->id = ++last_id;
            m->epoch = p->epoch;
            m->offset = p->offset;
            m->time = clock_ms;
            m->expires = clock_ms + k->ttl;
            m->len = len;
            m->seed = seed;
            c->count++;

            for (i = 0; i < 4 && c->count > 1; i++) {
                first = model_first(channel);

                if (messages[first].expires > clock_ms && c->count <= k->count)
                {
                    break;
                }

                model_drop((unsigned) first);
            }
        }
    }

    if (key) {
        for (i = 0; i < nkeys; i++) {
            if (keys[i].channel == channel && keys[i].key == key) {
                model_drop_key(i);
                break;
            }
        }

        keys[nkeys].channel = channel;
        keys[nkeys].key = key;
        keys[nkeys].epoch = p->epoch;
        keys[nkeys].offset = p->offset;
        keys[nkeys].time = clock_ms;
        keys[nkeys].expires = clock_ms + WSCAST_KEY_TIME;
        nkeys++;
    }
}


/* end: 0: commit, 1: abort, 2: hang and commit, 3: hang and be recovered. */

static void
do_publish(unsigned channel, unsigned key, uint32_t count, uint64_t ttl,
    uint8_t seed, uint32_t len, unsigned end)
{
    unsigned            i;
    channel_t          *c;
    wscast_keep_t       k;
    wscast_status_t     rc;
    wscast_position_t   p;

    memset(&k, 0, sizeof(k));
    k.channel = name_of(channel);
    k.key = key_of(key);
    k.fresh = 1000 + clock_ms + channel;
    k.count = count;
    k.ttl = ttl;
    k.now = clock_ms;
    key = (unsigned) k.key.len;
    c = &channels[channel];

    rc = wscast_history_room(&history, &k, len);
    MUST(rc == model_room(channel, count, len));
    same();

    wscast_heap_begin(&heap);
    rc = wscast_history_next(&history, &k, &p);

    for (i = 0; i < nkeys && key; i++) {
        if (keys[i].channel == channel && keys[i].key == key
            && keys[i].expires > clock_ms)
        {
            MUST(rc == WSCAST_AGAIN);
            MUST(p.epoch == keys[i].epoch && p.offset == keys[i].offset);
            wscast_heap_abort(&heap);
            same();
            return;
        }
    }

    MUST(rc == WSCAST_OK);

    if (count) {
        MUST(p.epoch == (c->exists && c->epoch ? c->epoch : k.fresh));
        MUST(p.offset == (c->exists ? c->offset + 1 : 1));

    } else {
        MUST(p.epoch == 0 && p.offset == 0);
    }

    if (end >= 2) {
        wscast_heap_hang(&heap, 500);
    }

    rc = wscast_history_append(&history, &k, &p, body_of(seed, len));
    MUST(rc == WSCAST_OK);
    MUST(!wscast_heap_failed(&heap));

    if (end == 1) {
        wscast_heap_abort(&heap);
        same();
        return;
    }

    if (end == 3) {
        wscast_heap_recover(&heap, 500);

    } else {
        wscast_heap_commit(&heap);
    }

    if (count && !c->exists) {
        model_add(channel, k.fresh, 0);

    } else if (count && c->epoch == 0) {
        c->epoch = k.fresh;
    }

    model_publish(channel, &k, key, &p, seed, len);
    same();
}


static void
do_mark(unsigned channel, uint64_t epoch, uint64_t ahead)
{
    channel_t          *c;
    wscast_keep_t       k;
    wscast_end_t        end;
    wscast_position_t   p;

    memset(&k, 0, sizeof(k));
    k.channel = name_of(channel);
    k.now = clock_ms;

    MUST(wscast_history_room(&history, &k, 0) == WSCAST_OK);
    MUST(model_room(channel, 0, 0) == WSCAST_OK);

    c = &channels[channel];
    p.epoch = epoch;
    p.offset = (c->exists && c->epoch == epoch ? c->offset : 0) + ahead;
    end.position = p;
    end.time = clock_ms;

    wscast_heap_begin(&heap);
    MUST(wscast_history_mark(&history, k.channel, &end, clock_ms)
         == WSCAST_OK);
    wscast_heap_commit(&heap);

    if (!c->exists) {
        model_add(channel, epoch, p.offset);

    } else {
        c->forgotten = c->epoch == epoch ? c->forgotten : 0;
        c->epoch = epoch;
        c->offset = p.offset;
        model_touch(c);
    }

    model_end(c, &end);
    same();
}


static void
do_forget(unsigned channel)
{
    int  first;

    MUST(wscast_history_forget(&history, name_of(channel)) == WSCAST_OK);

    if (channels[channel].exists) {
        channels[channel].forgotten = channels[channel].offset;

        while ((first = model_first(channel)) != -1) {
            model_drop((unsigned) first);
        }
    }

    same();
}


static void
model_walk(unsigned n)
{
    unsigned  at, seen, next;

    for (at = 0; at < nmessages && swept && messages[at].id != swept; at++) {
        /* void */
    }

    next = at < nmessages ? messages[at].id : 0;

    for (seen = 4 * n; seen && n && at < nmessages; seen--) {
        next = at + 1 < nmessages ? messages[at + 1].id : 0;

        if (messages[at].expires <= clock_ms
            && model_first(messages[at].channel) == (int) at)
        {
            model_drop(at);
            n--;

        } else {
            at++;
        }
    }

    swept = next;
}


static void
do_sweep(unsigned n)
{
    unsigned  left;

    MUST(wscast_history_sweep(&history, clock_ms, n) == WSCAST_OK);

    for (left = n; left; left--) {
        if (nkeys && keys[0].expires <= clock_ms) {
            model_drop_key(0);

        } else if (nmessages && messages[0].expires <= clock_ms) {
            model_drop(0);

        } else {
            break;
        }
    }

    if (left) {
        model_walk(left);
    }

    same();
}


static void
do_read(unsigned channel, uint64_t after, uint64_t upto, unsigned newest,
    uint32_t limit, size_t bytes, uint64_t since)
{
    size_t              total, at;
    uint32_t            len;
    unsigned            i, n, from, to, more, expected_more;
    unsigned            in[OBJECTS];
    channel_t          *c;
    wscast_range_t      range;
    wscast_position_t   p;

    c = &channels[channel];

    memset(&range, 0, sizeof(range));
    range.channel = name_of(channel);
    range.after = after;
    range.upto = upto;
    range.newest = newest;
    range.limit = limit;
    range.bytes = bytes;
    range.since = since;

    MUST(wscast_history_read(&history, &range, &packed, &p, &more)
         == WSCAST_OK);
    MUST(p.epoch == (c->exists ? c->epoch : 0));
    MUST(p.offset == (c->exists ? c->offset : 0));

    for (i = 0, n = 0; i < nmessages && c->exists && limit; i++) {
        if (messages[i].channel == channel && messages[i].epoch == c->epoch
            && messages[i].offset > after
            && messages[i].offset > c->forgotten
            && (upto == 0 || messages[i].offset <= upto)
            && messages[i].time >= since)
        {
            in[n++] = i;
        }
    }

    from = newest ? n : 0;
    to = from;
    total = 0;
    expected_more = 0;

    while (newest ? from > 0 : to < n) {
        i = newest ? in[from - 1] : in[to];
        total += messages[i].len;

        if (to - from == limit || (to > from && total > bytes)) {
            expected_more = 1;
            break;
        }

        from -= newest;
        to += !newest;
    }

    MUST(more == expected_more);

    for (at = 0; from < to; from++) {
        MUST(at + 4 <= packed.len);
        memcpy(&len, packed.data + at, 4);
        at += 4;

        MUST(len == messages[in[from]].len && at + len <= packed.len);
        MUST(len == 0
             || memcmp(packed.data + at, body_of(messages[in[from]].seed,
                                                 len).data, len) == 0);
        at += len;
    }

    MUST(at == packed.len);
    same();
}


static void
model_clear(void)
{
    memset(channels, 0, sizeof(channels));
    nmessages = 0;
    last_id = 0;
    swept = 0;
    nkeys = 0;
    seq = 0;
    evicted = 0;
    clock_ms = 1000000;
}


/* All messages of all channels. */

static void
read_all(void)
{
    unsigned  i;

    for (i = 0; i < CHANNELS; i++) {
        do_read(i, 0, 0, 0, UINT32_MAX, SIZE_MAX, 0);
        do_read(i, 0, 0, 1, UINT32_MAX, SIZE_MAX, 0);
    }
}


#endif /* WSCAST_T_HISTORY_DEEDS_H */
