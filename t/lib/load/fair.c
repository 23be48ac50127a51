/*
 * fair: some keep a worker as busy as they can; others of it must not notice.
 *
 *     load fair PORT PID HOT SUBSCRIBERS PUBLISHERS WINDOW SIZE SECONDS
 *               QUIET HTTP
 *
 * HOT and QUIET are locations of the text dialect with a welcome, where all of
 * a location are in one channel and may publish; HTTP is one that answers.
 * SUBSCRIBERS and PUBLISHERS enter HOT.  A second process sends a message to
 * ten clients in QUIET and asks HTTP, each every five milliseconds: for SECONDS
 * while HOT is calm, and for SECONDS while each publisher has WINDOW messages
 * of SIZE bytes under way, or with 0 as many as its socket takes.
 *
 * In between come some single messages to all of HOT; when the first has it,
 * HTTP is asked, and when that has answered it is counted who has it: "least"
 * is the least of these counts.
 *
 * Prints one JSON object; times are in milliseconds, "cpu" is how much of the
 * processor the worker PID has used between question and answer: on a machine
 * that others use too that tells how long one had to stand in the queue.
 */

#define _GNU_SOURCE

#include "client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>


#define HOT      16384
#define QUIET    10
#define ROUNDS   20
#define SAMPLES  200000
#define EVERY    0.005          /* seconds between two questions */
#define QUEUED   (64 * 1024)
#define PATIENCE 30


enum { CALM = 0, BUSY, PHASES, OVER = PHASES, WAIT };


typedef struct {
    double  wall;           /* seconds */
    double  cpu;
} moment_t;


typedef struct {
    int     n;
    float   ms[SAMPLES];
    float   cpu[SAMPLES];
} samples_t;


/* What the two processes share. */

typedef struct {
    volatile int  phase;
    samples_t     http[PHASES];
    samples_t     quiet[PHASES];
    int           failed;
} shared_t;


static int        port, subscribers, publishers, window, welcomed, hot;
static size_t     size;
static long       received, sent, own[HOT];
static clockid_t  worker;
static client_t   client[HOT];
static client_t   listener[QUIET];
static shared_t  *shared;


static moment_t
moment(void)
{
    moment_t         m;
    struct timespec  t;

    if (clock_gettime(worker, &t) == -1) {
        fatal("the worker's clock");
    }

    m.wall = now();
    m.cpu = t.tv_sec + t.tv_nsec / 1e9;

    return m;
}


static void
sample(samples_t *s, moment_t since)
{
    moment_t  m;

    if (s->n < SAMPLES) {
        m = moment();
        s->ms[s->n] = (m.wall - since.wall) * 1000;
        s->cpu[s->n] = (m.cpu - since.cpu) * 1000;
        s->n++;
    }
}


static void
on_hot(client_t *c, char *data, size_t len)
{
    (void) data;
    (void) len;

    if (!c->state) {
        c->state = 1;
        welcomed++;
        return;
    }

    received++;
    own[c->id]++;
}


static void
on_quiet(client_t *c, char *data, size_t len)
{
    moment_t  since;

    if (!c->state) {
        c->state = 1;
        return;
    }

    if (len != sizeof(moment_t)) {
        shared->failed++;

    } else if (shared->phase < PHASES) {
        memcpy(&since, data, sizeof(moment_t));
        sample(&shared->quiet[shared->phase], since);
    }
}


/* Asks and does not wait; -1: cannot. */

static int
ask(const char *path)
{
    int                 fd, n;
    char                text[512];
    struct sockaddr_in  a;

    memset(&a, 0, sizeof(a));
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons(port);

    fd = socket(AF_INET, SOCK_STREAM, 0);
    n = snprintf(text, sizeof(text), "GET %s HTTP/1.0\r\n\r\n", path);

    if (fd == -1 || connect(fd, (struct sockaddr *) &a, sizeof(a)) == -1
        || send(fd, text, n, MSG_NOSIGNAL) != n)
    {
        return -1;
    }

    return fd;
}


static int
answered(int fd)
{
    int   n;
    char  text[4096];

    n = recv(fd, text, sizeof(text), 0);
    close(fd);

    return n > 12 && memcmp(text + 9, "200", 3) == 0 ? 0 : -1;
}


/* The second process. */

static void
probe(const char *quiet, const char *http)
{
    int                  i, n, ep, fd, phase = 0;
    moment_t             asked, said;
    struct epoll_event   e, events[64];

    ep = epoll_create1(0);
    fd = -1;
    asked = said = moment();

    for (i = 0; i < QUIET; i++) {
        if (client_open(&listener[i], ep, port, 0) == -1) {
            fatal("connect");
        }

        client_handshake(&listener[i], quiet, 0);
    }

    while (shared->phase != OVER) {

        /* a question that spans two phases is the former's */

        if (fd == -1 && shared->phase < PHASES && now() - asked.wall > EVERY) {
            phase = shared->phase;
            asked = moment();
            fd = ask(http);
            e.events = EPOLLIN;
            e.data.ptr = NULL;

            if (fd == -1 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == -1) {
                shared->failed++;
                return;
            }
        }

        if (shared->phase < PHASES && now() - said.wall > EVERY) {
            said = moment();
            client_frame(&listener[0], 2, &said, sizeof(moment_t), 0);
            client_write(&listener[0], ep);
        }

        n = epoll_wait(ep, events, 64, 1);

        for (i = 0; i < n; i++) {

            if (events[i].data.ptr == NULL) {
                shared->failed += answered(fd) == -1;
                sample(&shared->http[phase], asked);
                fd = -1;

            } else if (client_read(events[i].data.ptr, on_quiet) != 1
                       || client_write(events[i].data.ptr, ep) == -1)
            {
                shared->failed++;
                return;
            }
        }
    }
}


static void
publish(client_t *c, int ep)
{
    static char  text[65536];

    while (window ? c->fate - own[c->id] / publishers < window
                  : c->out_len - c->out_pos < QUEUED)
    {
        memset(text, 'x', size);
        client_frame(c, 1, text, size, 0);
        c->fate++;
        sent++;
    }

    if (client_write(c, ep) == -1) {
        fatal("a publisher");
    }
}


/* Reads for some time, or until all are welcome or have count messages. */

static void
turn(int ep, double until, long count, int busy)
{
    int                  i, n;
    client_t            *c;
    struct epoll_event   events[256];

    while (now() < until
           && (count ? received < count : busy || welcomed < hot))
    {
        n = epoll_wait(ep, events, 256, busy ? 1 : 50);

        for (i = 0; i < n; i++) {
            c = events[i].data.ptr;

            if (client_read(c, on_hot) != 1 || client_write(c, ep) == -1) {
                fprintf(stderr, "fair: client %d is gone, code %d\n", c->id,
                        c->closed);
                exit(2);
            }
        }

        for (i = 0; busy && i < publishers; i++) {
            publish(&client[i], ep);
        }
    }
}


/* One message to all of HOT; how many have it when HTTP has answered. */

static int
round_of(int ep, const char *http)
{
    int                 i, fd, have;
    struct pollfd       p;
    struct epoll_event  event;

    client_frame(&client[0], 1, "one", 3, 0);
    client_write(&client[0], ep);
    epoll_wait(ep, &event, 1, PATIENCE * 1000);

    fd = ask(http);

    if (fd == -1 || answered(fd) == -1) {
        fatal("http");
    }

    for (have = 0, i = 0; i < hot; i++) {
        p.fd = client[i].fd;
        p.events = POLLIN;
        have += poll(&p, 1, 0) == 1;
    }

    turn(ep, now() + PATIENCE, received + hot, 0);

    return have;
}


static int
ascending(const void *a, const void *b)
{
    float  x, y;

    x = *(const float *) a;
    y = *(const float *) b;

    return x < y ? -1 : x > y;
}


static void
print_samples(const char *name, samples_t *s)
{
    if (s->n == 0) {
        return;
    }

    qsort(s->ms, s->n, sizeof(float), ascending);
    qsort(s->cpu, s->n, sizeof(float), ascending);

    printf(",\"%s\":{\"n\":%d,\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f,"
           "\"cpu50\":%.3f,\"cpu99\":%.3f}", name, s->n, s->ms[s->n / 2],
           s->ms[s->n * 99 / 100], s->ms[s->n - 1], s->cpu[s->n / 2],
           s->cpu[s->n * 99 / 100]);
}


/* A backlog of handshakes is kept small: that is not what is measured. */

static void
open_all(int ep, const char *path, int all)
{
    while (hot < all) {
        if (client_open(&client[hot], ep, port, 0) == -1) {
            fatal("connect");
        }

        client[hot].id = hot;
        client_handshake(&client[hot], path, 0);
        hot++;

        if (hot % 64 == 0 || hot == all) {
            turn(ep, now() + PATIENCE, 0, 0);
        }
    }
}


int
fair(int argc, char **argv)
{
    int            i, ep, have, least;
    long           before;
    pid_t          pid;
    double         seconds;
    struct rlimit  limit;

    if (argc != 10) {
        return -1;
    }

    port = atoi(argv[0]);
    subscribers = atoi(argv[3]);
    publishers = atoi(argv[4]);
    window = atoi(argv[5]);
    size = atol(argv[6]);
    seconds = atof(argv[7]);

    if (publishers < 1 || subscribers + publishers > HOT || size > 65536) {
        return -1;
    }

    if (clock_getcpuclockid(atoi(argv[1]), &worker) != 0) {
        fatal("the worker's clock");
    }

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);

    shared = mmap(NULL, sizeof(shared_t), PROT_READ|PROT_WRITE,
                  MAP_SHARED|MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        fatal("mmap");
    }

    shared->phase = WAIT;
    pid = fork();

    if (pid == 0) {
        probe(argv[8], argv[9]);
        exit(shared->failed ? 2 : 0);
    }

    ep = epoll_create1(0);

    open_all(ep, argv[2], subscribers + publishers);
    least = hot;

    for (i = 0; i < ROUNDS; i++) {
        have = round_of(ep, argv[9]);
        least = have < least ? have : least;
    }

    memset(own, 0, sizeof(own));
    before = received;

    shared->phase = CALM;
    usleep(seconds * 1e6);
    shared->phase = BUSY;
    turn(ep, now() + seconds, 0, 1);
    shared->phase = OVER;
    waitpid(pid, &i, 0);

    printf("{\"clients\":%d,\"welcomed\":%d,\"least\":%d,\"sent\":%ld,"
           "\"received\":%ld,\"failed\":%d", hot, welcomed, least, sent,
           received - before, shared->failed + (i != 0));

    print_samples("calm_http", &shared->http[CALM]);
    print_samples("calm_quiet", &shared->quiet[CALM]);
    print_samples("busy_http", &shared->http[BUSY]);
    print_samples("busy_quiet", &shared->quiet[BUSY]);
    printf("}\n");

    return 0;
}
