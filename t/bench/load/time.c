#include "load.h"

#include <time.h>


#define LOAD_STEPS  64          /* of a histogram's octave */


static double load_cpu(const int *pids, int n, double *user);


static uint64_t  load_histogram[64 * LOAD_STEPS];
static uint64_t  load_histogram_count;
static uint64_t  load_histogram_max;


uint64_t
load_now(void)
{
    struct timespec  t;

    clock_gettime(CLOCK_MONOTONIC, &t);

    return (uint64_t) t.tv_sec * 1000000000 + (uint64_t) t.tv_nsec;
}


load_snap_t
load_snap(void)
{
    double           ignored;
    load_snap_t      s;
    struct timespec  t;

    s.cpu = load_cpu(load.options.pids, load.options.npids, &s.user);
    s.redis = load_cpu(load.options.redis, load.options.nredis, &ignored);

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);

    s.self = (double) t.tv_sec + (double) t.tv_nsec / 1e9;
    s.at = load_now();

    return s;
}


/*
 * The clock of a process is exact.  What part of it was user time is sampled
 * by the kernel's tick, so that a figure of it needs a second or more.
 */

static double
load_cpu(const int *pids, int n, double *user)
{
    int                 i;
    char                path[64], line[1024], *p;
    FILE               *f;
    size_t              len;
    double              sum;
    clockid_t           clock;
    unsigned long       ticks;
    struct timespec     t;

    sum = 0;
    *user = 0;

    for (i = 0; i < n; i++) {

        if (clock_getcpuclockid(pids[i], &clock) != 0
            || clock_gettime(clock, &t) != 0)
        {
            load_fail("no process %d", pids[i]);
        }

        sum += (double) t.tv_sec + (double) t.tv_nsec / 1e9;

        snprintf(path, sizeof(path), "/proc/%d/stat", pids[i]);

        f = fopen(path, "r");
        if (f == NULL) {
            continue;
        }

        len = fread(line, 1, sizeof(line) - 1, f);
        line[len] = '\0';
        fclose(f);

        p = strrchr(line, ')');

        if (p && sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u"
                        " %lu", &ticks) == 1)
        {
            *user += (double) ticks / (double) sysconf(_SC_CLK_TCK);
        }
    }

    return sum;
}


void
load_latency_reset(void)
{
    memset(load_histogram, 0, sizeof(load_histogram));
    load_histogram_count = 0;
    load_histogram_max = 0;
}


void
load_latency_add(uint64_t ns)
{
    unsigned  octave;
    uint64_t  i;

    if ((int64_t) ns < 0) {
        ns = 0;
    }

    if (ns > load_histogram_max) {
        load_histogram_max = ns;
    }

    i = ns;

    if (ns >= LOAD_STEPS) {
        octave = 57 - (unsigned) __builtin_clzll(ns);
        i = (octave + 1) * LOAD_STEPS + ((ns >> octave) & (LOAD_STEPS - 1));
    }

    load_histogram[i]++;
    load_histogram_count++;
}


/* The upper edge of the step. */

double
load_latency(double quantile)
{
    uint64_t  want, sum, i, ns;

    want = (uint64_t) (quantile * (double) load_histogram_count + 0.5);
    want = want ? want : 1;
    sum = 0;
    ns = load_histogram_max;

    for (i = 0; i < 64 * LOAD_STEPS; i++) {
        sum += load_histogram[i];

        if (sum >= want) {
            ns = i < LOAD_STEPS ? i
                 : (LOAD_STEPS + i % LOAD_STEPS + 1) << (i / LOAD_STEPS - 1);
            break;
        }
    }

    ns = ns < load_histogram_max ? ns : load_histogram_max;

    return (double) ns / 1000;
}
