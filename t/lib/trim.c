/*
 * Loaded into nginx before the C library (LD_PRELOAD): whenever it waits for
 * events, but once a second at most, what was freed goes back to the kernel.
 * What a process then has to itself is what it holds, not what it held once.
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <malloc.h>
#include <sys/epoll.h>
#include <time.h>


int
epoll_wait(int epoll, struct epoll_event *events, int n, int timeout)
{
    time_t  now;

    static time_t                   last;
    static __typeof__(epoll_wait)  *wait;

    if (wait == NULL) {
        *(void **) &wait = dlsym(RTLD_NEXT, "epoll_wait");
    }

    now = time(NULL);

    if (now != last) {
        last = now;
        malloc_trim(0);
    }

    return wait(epoll, events, n, timeout);
}
