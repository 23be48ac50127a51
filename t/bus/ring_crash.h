/*
 * ring_crash.h: a ring that processes share, and that may die.
 *
 * Audience: t/bus/ring_crash*.c.  The lock is a word that holds the pid of its
 * owner; the parent frees it when it has reaped that child, as nginx's master
 * does.
 */

#ifndef WSCAST_T_RING_CRASH_H
#define WSCAST_T_RING_CRASH_H


#include "../lib/unit.h"

#include "../../src/base/map.c"
#include "../../src/bus/ring.c"
#include "../../src/bus/ring_leader.c"
#include "../../src/bus/ring_read.c"
#include "../../src/bus/ring_slots.c"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>


static uint64_t          *lock_owner;       /* shared */
static wscast_ring_sh_t  *sh;               /* shared */
static size_t             zone;
static void             (*recover)(void);   /* whoever got the lock */


static void
lock(void *ctx)
{
    uint64_t  none;

    (void) ctx;

    for ( ;; ) {
        none = 0;

        if (__atomic_compare_exchange_n(lock_owner, &none, getpid(), 0,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        {
            if (recover) {
                recover();
            }

            return;
        }

        sched_yield();
    }
}


static void
unlock_of(uint64_t pid)
{
    (void) __atomic_compare_exchange_n(lock_owner, &pid, 0, 0,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}


static void
unlock(void *ctx)
{
    (void) ctx;

    unlock_of(getpid());
}


static int
alive(void *ctx, uint64_t pid)
{
    (void) ctx;

    return kill((pid_t) pid, 0) == 0 || errno != ESRCH;
}


static uint64_t
now(void *ctx)
{
    struct timespec  ts;

    (void) ctx;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


static void *
shared(size_t size)
{
    void  *p;

    p = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS,
             -1, 0);

    if (p == MAP_FAILED) {
        perror("# mmap");
        abort();
    }

    return p;
}


static void
fresh(size_t size)
{
    if (lock_owner == NULL) {
        lock_owner = shared(4096);
    }

    if (zone != size) {
        sh = shared(wscast_ring_size(size));
        zone = size;
    }

    *lock_owner = 0;
    wscast_ring_format(sh, zone, 1, 7);
}


/* This process's view, with a slot; -1: there is none. */

static int
enter(wscast_ring_t *r)
{
    memset(r, 0, sizeof(wscast_ring_t));
    r->lock = lock;
    r->unlock = unlock;
    r->alive = alive;
    r->now = now;

    if (wscast_ring_open(r, sh, zone) != WSCAST_OK) {
        abort();
    }

    return wscast_ring_claim(r, getpid(), getpid()) == WSCAST_OK ? 0 : -1;
}


static pid_t
spawn(void (*run)(void *arg), void *arg)
{
    pid_t  pid;

    fflush(stdout);
    pid = fork();

    if (pid == -1) {
        perror("# fork");
        abort();
    }

    if (pid == 0) {
        run(arg);
        _exit(0);
    }

    return pid;
}


/* Waits for a child and frees what it held; its exit status, -1: killed. */

static int
reap(pid_t pid)
{
    int  status;

    while (waitpid(pid, &status, 0) == -1 && errno == EINTR) { /* void */ }

    unlock_of(pid);

    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}


#endif /* WSCAST_T_RING_CRASH_H */
