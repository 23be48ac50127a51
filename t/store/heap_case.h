/*
 * heap_case.h: a heap in memory that ends at a guard page, and a process that
 * dies between any two stores.
 *
 * Audience: t/store/heap*.c, t/store/history*.c.
 *
 *   fresh(size)        formats memory full of garbage and opens it
 *   dies_at(n, f)      runs f(), which dies before its n-th store; 1: it died,
 *                      and the view is a new process's; 0: f() came to its end
 *   save(), restore()  all of the memory
 */

#ifndef WSCAST_T_HEAP_CASE_H
#define WSCAST_T_HEAP_CASE_H


#include "../lib/unit.h"

#include "../../src/base/map.c"
#include "../../src/store/heap.c"
#include "../../src/store/heap_blocks.c"

#include <setjmp.h>


#define SMALL  WSCAST_HEAP_MIN


static wscast_heap_sh_t  *sh;
static size_t             size;
static wscast_heap_t      heap;
static unsigned char      saved[UNIT_GUARD_SIZE];

static jmp_buf            death;
static unsigned           steps_left;


static void
view(void)
{
    if (wscast_heap_open(&heap, sh, size) != WSCAST_OK) {
        abort();
    }
}


static void
fresh(size_t n)
{
    size = n;
    sh = (wscast_heap_sh_t *) (void *) unit_guard(size);

    memset((void *) sh, 0x5a, size);
    wscast_heap_format(sh, size);
    view();
}


TAP_UNUSED static void
save(void)
{
    memcpy(saved, sh, size);
}


TAP_UNUSED static void
restore(void)
{
    memcpy((void *) sh, saved, size);
    view();
}


static void
die(void)
{
    if (--steps_left == 0) {
        longjmp(death, 1);
    }
}


TAP_UNUSED static int
dies_at(unsigned n, void (*f)(void))
{
    steps_left = n;
    wscast_heap_hook = die;

    if (setjmp(death) == 0) {
        f();
        wscast_heap_hook = NULL;
        return 0;
    }

    wscast_heap_hook = NULL;
    view();

    return 1;
}


#endif /* WSCAST_T_HEAP_CASE_H */
