/*
 * unit.h: hostile surroundings for unit tests of pure rooms.
 *
 * Audience: t/<room>/<file>.c, which include it before anything of src/: it
 * defines WSCAST_TEST_ALLOC and the allocator that goes with it.
 *
 *   allocations   unit_live counts what is not yet freed, unit_calls the
 *                 allocations since unit_alloc_reset(); the unit_fail_at-th
 *                 of them fails (0: none), unit_largest is the greatest size
 *   guard page    unit_guard(n) is room for n bytes, and byte n is not mapped;
 *                 unit_guard_start(n) has the unmapped byte at -1.  Valid
 *                 until the next call of the same function
 *   random        unit_random(), unit_below(n): the same numbers every run
 */

#ifndef WSCAST_T_UNIT_H
#define WSCAST_T_UNIT_H


#define WSCAST_TEST_ALLOC

#include "../../src/base/base.h"
#include "tap.h"

#include <sys/mman.h>
#include <unistd.h>


#define UNIT_GUARD_SIZE  (1024 * 1024)


static size_t    unit_live;
static size_t    unit_calls;
static size_t    unit_fail_at;
static size_t    unit_largest;
static uint64_t  unit_seed = 0x9e3779b97f4a7c15ull;


/*
 * Always moves, so that the sanitizer sees a stale pointer.  The size stands
 * in 16 bytes before what is handed out, which keeps malloc's alignment.
 */

void *
wscast_test_realloc(void *p, size_t size)
{
    size_t          old;
    unsigned char  *base, *fresh;

    base = p ? (unsigned char *) p - 16 : NULL;

    if (size == 0) {
        unit_live -= (p != NULL);
        free(base);
        return NULL;
    }

    unit_calls++;

    if (unit_calls == unit_fail_at) {
        return NULL;
    }

    if (size > unit_largest) {
        unit_largest = size;
    }

    fresh = malloc(size + 16);

    if (fresh == NULL) {
        abort();
    }

    memcpy(fresh, &size, sizeof(size));
    memset(fresh + 16, 0xa5, size);

    if (base) {
        memcpy(&old, base, sizeof(old));
        memcpy(fresh + 16, p, old < size ? old : size);
        free(base);

    } else {
        unit_live++;
    }

    return fresh + 16;
}


TAP_UNUSED static void
unit_alloc_reset(size_t fail_at)
{
    unit_calls = 0;
    unit_largest = 0;
    unit_fail_at = fail_at;
}


TAP_UNUSED static unsigned char *
unit_guard_area(void)
{
    size_t                 page;
    static unsigned char  *area;

    if (area) {
        return area;
    }

    page = (size_t) sysconf(_SC_PAGESIZE);

    area = mmap(NULL, UNIT_GUARD_SIZE + 2 * page, PROT_NONE,
                MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);

    if (area == MAP_FAILED
        || mprotect(area + page, UNIT_GUARD_SIZE, PROT_READ|PROT_WRITE) != 0)
    {
        perror("# guard page");
        abort();
    }

    area += page;

    return area;
}


TAP_UNUSED static unsigned char *
unit_guard(size_t n)
{
    if (n > UNIT_GUARD_SIZE) {
        abort();
    }

    return unit_guard_area() + UNIT_GUARD_SIZE - n;
}


TAP_UNUSED static unsigned char *
unit_guard_start(size_t n)
{
    if (n > UNIT_GUARD_SIZE) {
        abort();
    }

    return unit_guard_area();
}


/* xorshift64* */

TAP_UNUSED static uint64_t
unit_random(void)
{
    unit_seed ^= unit_seed >> 12;
    unit_seed ^= unit_seed << 25;
    unit_seed ^= unit_seed >> 27;

    return unit_seed * 0x2545f4914f6cdd1dull;
}


TAP_UNUSED static size_t
unit_below(size_t n)
{
    return (size_t) ((unit_random() >> 16) % n);
}


TAP_UNUSED static void
unit_fill(void *p, size_t len)
{
    size_t          i;
    unsigned char  *b;

    b = p;

    for (i = 0; i < len; i++) {
        b[i] = (unsigned char) (unit_random() >> 32);
    }
}


#endif /* WSCAST_T_UNIT_H */
