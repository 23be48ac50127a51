#include "load.h"

#include <stdarg.h>


void
load_begin(const char *command)
{
    printf("{\"command\":\"%s\"", command);
}


void
load_number(const char *key, double value)
{
    printf(",\"%s\":%.12g", key, value);
}


void
load_text(const char *key, const char *value)
{
    printf(",\"%s\":\"%s\"", key, value);
}


/* What the checker found; all but the first two must be zero. */

void
load_checked(uint64_t lost)
{
    load_number("delivered", (double) load.count.delivered);
    load_number("own", (double) load.count.own);
    load_number("lost", (double) lost);
    load_number("duplicates", (double) load.count.duplicates);
    load_number("disordered", (double) load.count.disordered);
    load_number("corrupt", (double) load.count.corrupt);
    load_number("stale", (double) load.count.stale);
    load_number("dropped", (double) load.dropped);
    load_number("foreign", (double) load.count.foreign);
}


void
load_latencies(void)
{
    load_number("p50", load_latency(0.5));
    load_number("p99", load_latency(0.99));
    load_number("max", load_latency(1));
}


/* Microseconds of CPU of the server, its user part, Redis and this process. */

void
load_cost(const load_snap_t *from, const load_snap_t *to, double per)
{
    double  elapsed;

    elapsed = (double) (to->at - from->at) / 1e9;
    per = per > 0 ? per : 1;

    load_number("cpu", (to->cpu - from->cpu) * 1e6 / per);
    load_number("user", (to->user - from->user) * 1e6 / per);
    load_number("redis", (to->redis - from->redis) * 1e6 / per);
    load_number("load", (to->self - from->self) * 1e6 / per);
    load_number("busy", (to->cpu - from->cpu) / elapsed);
    load_number("load_busy", (to->self - from->self) / elapsed);
}


void
load_end(void)
{
    load_text("error", load.error);
    printf("}\n");
    fflush(stdout);
}


void
load_error(const char *fmt, ...)
{
    char     *p;
    va_list   args;

    if (load.error[0]) {
        return;
    }

    va_start(args, fmt);
    vsnprintf(load.error, sizeof(load.error), fmt, args);
    va_end(args);

    for (p = load.error; *p; p++) {
        if ((unsigned char) *p < ' ' || *p == '"' || *p == '\\') {
            *p = ' ';
        }
    }
}


void
load_fail(const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    fprintf(stderr, "load: ");
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\n");
    va_end(args);

    exit(1);
}
