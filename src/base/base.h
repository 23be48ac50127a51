/*
 * base.h: what every room may lean on: status codes, string view, allocator.
 *
 * Audience: all rooms.  Pure: libc only.  Nothing here holds state.
 *
 * A pure function that can fail returns a wscast_status_t: WSCAST_OK, one of
 * the negative codes below, or a positive row of close.h: the error *is* the
 * reason for which the connection ends.
 */

#ifndef WSCAST_BASE_H
#define WSCAST_BASE_H


#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>


typedef int  wscast_status_t;

#define WSCAST_OK      0
#define WSCAST_MORE   -1    /* all input used, more is needed */
#define WSCAST_NOMEM  -2    /* an allocation failed; nothing has changed */
#define WSCAST_AGAIN  -3    /* not now: call again, same arguments, later */
#define WSCAST_ERROR  -4    /* malformed; for functions of no connection */


/* A view of bytes that somebody else owns; not terminated by a zero. */

typedef struct {
    size_t                len;
    const unsigned char  *data;
} wscast_str_t;


#define wscast_string(s)   { sizeof(s) - 1, (const unsigned char *) (s) }


static inline wscast_str_t
wscast_str(const void *data, size_t len)
{
    wscast_str_t  s;

    s.len = len;
    s.data = data;

    return s;
}


static inline int
wscast_str_eq(wscast_str_t a, wscast_str_t b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}


/* Memory that will be looked at soon; it need not be valid. */

static inline void
wscast_prefetch(const void *data, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i += 64) {
        __builtin_prefetch((const char *) data + i);
    }

    __builtin_prefetch((const char *) data + len);
}


/*
 * The allocator of the pure rooms.  Unit tests define WSCAST_TEST_ALLOC before
 * they include anything and provide wscast_test_realloc(), which fails when
 * told to: realloc's contract, and size 0 frees and returns NULL.
 */

#ifdef WSCAST_TEST_ALLOC

void *wscast_test_realloc(void *p, size_t size);

static inline void *
wscast_realloc(void *p, size_t size)
{
    return wscast_test_realloc(p, size);
}

static inline void
wscast_free(void *p)
{
    if (p) {
        (void) wscast_test_realloc(p, 0);
    }
}

#else

static inline void *
wscast_realloc(void *p, size_t size)
{
    return realloc(p, size);
}

static inline void
wscast_free(void *p)
{
    free(p);
}

#endif


static inline void *
wscast_alloc(size_t size)
{
    return wscast_realloc(NULL, size);
}


static inline void *
wscast_zalloc(size_t size)
{
    void  *p;

    p = wscast_alloc(size);

    if (p) {
        memset(p, 0, size);
    }

    return p;
}


#define wscast_container(p, type, member)                                     \
    ((type *) (void *) ((char *) (p) - offsetof(type, member)))


#endif /* WSCAST_BASE_H */
