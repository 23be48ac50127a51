#include "load.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>


/*
 * load [OPTIONS] ws://127.0.0.1:PORT/PATH...
 *
 * Opens its connections, tells so, then reads commands, one a line, and
 * answers each with a line of JSON:
 *
 *   run SIZE WINDOW SECONDS          as fast as the window allows
 *   flow SIZE SECONDS                each when somebody has the last one
 *   rate SIZE PER_SECOND SECONDS     on a schedule
 *   burst SIZE MESSAGES TIMES        so many at once, so often
 *   watch PHASE SIZE MESSAGES SECONDS    what another load publishes
 *   echo SIZE SECONDS
 *   cycle CONNECTIONS SECONDS MOST   connects and closes
 *   pump SECONDS                     only answers pings
 *
 * Several urls are used in turn.  It ends with its input.
 */


load_t  load;


static const struct option  load_long_options[] = {
    { "clients",    required_argument, NULL, 'n' },
    { "publishers", required_argument, NULL, 'P' },
    { "publish",    required_argument, NULL, 'u' },
    { "opening",    required_argument, NULL, 'o' },
    { "source",     required_argument, NULL, 'S' },
    { "streams",    required_argument, NULL, 's' },
    { "fan",        required_argument, NULL, 'f' },
    { "join",       required_argument, NULL, 'j' },
    { "ack",        required_argument, NULL, 'a' },
    { "say",        required_argument, NULL, 'w' },
    { "pid",        required_argument, NULL, 'p' },
    { "redis",      required_argument, NULL, 'r' },
    { "deflate",    no_argument,       NULL, 'd' },
    { "spin",       no_argument,       NULL, 'i' },
    { NULL, 0, NULL, 0 }
};


static void load_options(int argc, char **argv);
static void load_parse_url(const char *text, load_url_t *url);
static void load_parse_pids(const char *text, int *pids, int *n);
static void load_limits(void);
static void load_setup(void);
static void load_commands(void);
static void load_command(const char *line);


int
main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);

    load_options(argc, argv);
    load_limits();
    load_inflate_init();

    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load.epoll == -1) {
        load_fail("epoll: %s", strerror(errno));
    }

    load_setup();
    load_commands();

    return 0;
}


static void
load_options(int argc, char **argv)
{
    int              c;
    load_options_t  *o;

    o = &load.options;
    o->opening = 128;

    while ((c = getopt_long(argc, argv, "", load_long_options, NULL)) != -1) {
        switch (c) {
        case 'n': o->clients = atoi(optarg);                          break;
        case 'P': o->publishers = atoi(optarg);                       break;
        case 'u': load_parse_url(optarg, &o->publish);                break;
        case 'o': o->opening = atoi(optarg);                          break;
        case 'S': o->source = atoi(optarg);                           break;
        case 's': o->streams = atoi(optarg);                          break;
        case 'f': o->fan = atoi(optarg);                              break;
        case 'j': o->join = optarg;                                   break;
        case 'a': o->ack = optarg;                                    break;
        case 'w': o->say = optarg;                                    break;
        case 'd': o->deflate = 1;                                     break;
        case 'i': o->spin = 1;                                        break;
        case 'p': load_parse_pids(optarg, o->pids, &o->npids);        break;
        case 'r': load_parse_pids(optarg, o->redis, &o->nredis);      break;
        default:  exit(2);
        }
    }

    while (optind < argc && o->nurls < LOAD_URLS) {
        load_parse_url(argv[optind++], &o->urls[o->nurls++]);
    }

    if (o->nurls == 0) {
        load_fail("no url");
    }

    if (o->publish.path[0] == '\0') {
        o->publish = o->urls[0];
    }

    /* one channel: each publisher's is a stream of its own */

    if (o->streams == 0) {
        o->streams = o->fan || o->publishers == 0 ? 1 : o->publishers;
    }
}


static void
load_parse_url(const char *text, load_url_t *url)
{
    int   port;
    char  host[64];

    if (sscanf(text, "ws://%60[^:/]:%d%500s", host, &port, url->path) != 3
        || inet_pton(AF_INET, host, &url->addr.sin_addr) != 1
        || ntohl(url->addr.sin_addr.s_addr) >> 24 != 127)
    {
        load_fail("\"%s\" is not ws://127.0.0.1:PORT/PATH", text);
    }

    url->addr.sin_family = AF_INET;
    url->addr.sin_port = htons((uint16_t) port);
    snprintf(url->host, sizeof(url->host), "%s:%d", host, port);
}


static void
load_parse_pids(const char *text, int *pids, int *n)
{
    char  *end;

    while (*text && *n < LOAD_PIDS) {
        pids[(*n)++] = (int) strtol(text, &end, 10);
        text = *end ? end + 1 : end;
    }
}


static void
load_limits(void)
{
    rlim_t         need;
    struct rlimit  limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);

    need = (rlim_t) load.options.clients + (rlim_t) load.options.publishers
           + 50;

    if (limit.rlim_cur < need) {
        load_fail("%d clients, but only %lu files may be open",
                  load.options.clients, (unsigned long) limit.rlim_cur);
    }
}


static void
load_setup(void)
{
    int              groups;
    uint64_t         began;
    load_options_t  *o;

    o = &load.options;

    groups = o->fan ? (o->clients + o->fan - 1) / o->fan : 1;
    load.nstreams = (groups ? groups : 1) * o->streams;

    if (load.nstreams > LOAD_STREAMS) {
        load_fail("%d streams are too many", load.nstreams);
    }

    load.clients = load_conns(o->clients, LOAD_SUBSCRIBER);
    load.publishers = load_conns(o->publishers, LOAD_PUBLISHER);
    load.published = calloc((size_t) load.nstreams, sizeof(uint32_t));
    load.tracks = calloc((size_t) o->clients * (size_t) o->streams + 1,
                         sizeof(load_track_t));

    if (load.published == NULL || load.tracks == NULL) {
        load_fail("no memory");
    }

    began = load_now();

    load_open(load.clients, o->clients, NULL);
    load_open(load.publishers, o->publishers, &o->publish);

    load_begin("open");
    load_number("ready", load_alive());
    load_number("failed", (double) load.failed);
    load_number("seconds", (double) (load_now() - began) / 1e9);
    load_number("agreed", load.agreed);
    load_end();
}


/* Between commands the clients go on to answer pings. */

static void
load_commands(void)
{
    char                line[200];
    size_t              len;
    ssize_t             n;
    struct epoll_event  e;

    len = 0;
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);

    /* once: an end that has come must not keep a command from sleeping */

    e.events = EPOLLIN | EPOLLET;
    e.data.ptr = NULL;

    if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &e) == -1) {
        load_fail("commands must come through a pipe");
    }

    for ( ;; ) {
        n = read(STDIN_FILENO, line + len, 1);

        if (n == 0) {
            return;
        }

        if (n == -1) {
            load_turn(1000000000);
            continue;
        }

        if (line[len] != '\n') {
            len += len < sizeof(line) - 1;
            continue;
        }

        line[len] = '\0';
        len = 0;
        load_command(line);
    }
}


static void
load_command(const char *line)
{
    int       window, times;
    double    seconds, rate;
    unsigned  size, phase;

    if (sscanf(line, "run %u %d %lf", &size, &window, &seconds) == 3) {
        load_run(size, window, 0, seconds);

    } else if (sscanf(line, "flow %u %lf", &size, &seconds) == 2) {
        load_run(size, LOAD_FLOW, 0, seconds);

    } else if (sscanf(line, "rate %u %lf %lf", &size, &rate, &seconds) == 3) {
        load_run(size, 0, rate, seconds);

    } else if (sscanf(line, "burst %u %d %d", &size, &window, &times) == 3) {
        load_burst(size, window, times);

    } else if (sscanf(line, "watch %u %u %d %lf", &phase, &size, &window,
                      &seconds) == 4)
    {
        load_watch(phase, size, (uint32_t) window, seconds);

    } else if (sscanf(line, "echo %u %lf", &size, &seconds) == 2) {
        load_echo(size, seconds);

    } else if (sscanf(line, "cycle %d %lf %d", &window, &seconds, &times)
               == 3)
    {
        load_cycle(window, seconds, (uint64_t) times);

    } else if (sscanf(line, "pump %lf", &seconds) == 1) {
        load_pump(seconds);
        load_begin("pump");
        load_number("dropped", (double) load.dropped);
        load_number("ready", load_alive());
        load_end();

    } else {
        load_fail("no such command: %s", line);
    }
}
