#include "prepared.h"


#define WSCAST_BUILDER_LEAST  16    /* bytes of payload of the first try */
#define WSCAST_BUILDER_MOST                                                   \
    (SIZE_MAX / 2 - sizeof(wscast_prepared_t) - WSCAST_FRAME_HEADER)


static void wscast_builder_grow(wscast_builder_t *b, size_t size);


void
wscast_builder_init(wscast_builder_t *b, size_t hint)
{
    b->frame = NULL;
    b->used = 0;
    b->size = 0;
    b->failed = 0;

    wscast_builder_grow(b, hint < WSCAST_BUILDER_LEAST ? WSCAST_BUILDER_LEAST
                                                       : hint);
}


static void
wscast_builder_grow(wscast_builder_t *b, size_t size)
{
    wscast_prepared_t  *frame;

    frame = NULL;

    if (size <= WSCAST_BUILDER_MOST) {
        frame = wscast_realloc(b->frame, sizeof(wscast_prepared_t)
                                         + WSCAST_FRAME_HEADER + size);
    }

    if (frame == NULL) {
        wscast_builder_drop(b);
        b->failed = 1;
        return;
    }

    b->frame = frame;
    b->size = size;
}


unsigned char *
wscast_builder_reserve(wscast_builder_t *b, size_t len)
{
    size_t          size;
    unsigned char  *p;

    if (b->failed) {
        return NULL;
    }

    if (len > b->size - b->used) {

        /* twice as much, so that many small writes stay linear */

        size = b->size < WSCAST_BUILDER_MOST / 2 ? b->size * 2 : b->size;

        if (len > size - b->used) {
            size = len < WSCAST_BUILDER_MOST - b->used ? b->used + len
                                                       : SIZE_MAX;
        }

        wscast_builder_grow(b, size);

        if (b->failed) {
            return NULL;
        }
    }

    p = b->frame->bytes + WSCAST_FRAME_HEADER + b->used;
    b->used += len;

    return p;
}


void
wscast_builder_put(wscast_builder_t *b, const void *data, size_t len)
{
    unsigned char  *p;

    if (len == 0) {
        return;
    }

    p = wscast_builder_reserve(b, len);

    if (p) {
        memcpy(p, data, len);
    }
}


void
wscast_builder_uint(wscast_builder_t *b, uint64_t n)
{
    unsigned char  *p, digits[20];

    p = digits + sizeof(digits);

    do {
        *--p = '0' + n % 10;
        n /= 10;
    } while (n);

    wscast_builder_put(b, p, digits + sizeof(digits) - p);
}


wscast_str_t
wscast_builder_payload(const wscast_builder_t *b)
{
    if (b->frame == NULL) {
        return wscast_str(NULL, 0);
    }

    return wscast_str(b->frame->bytes + WSCAST_FRAME_HEADER, b->used);
}


wscast_prepared_t *
wscast_builder_finish(wscast_builder_t *b, const unsigned char *header,
    size_t len)
{
    wscast_prepared_t  *frame;

    frame = b->frame;

    if (frame) {
        frame->refs = 1;
        frame->offset = WSCAST_FRAME_HEADER - len;
        frame->len = len + b->used;
        memcpy(frame->bytes + frame->offset, header, len);
    }

    b->frame = NULL;
    wscast_builder_drop(b);

    return frame;
}


void
wscast_builder_drop(wscast_builder_t *b)
{
    wscast_free(b->frame);
    b->frame = NULL;
    b->used = 0;
    b->size = 0;
}
