#include "load.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>


#define LOAD_EVENTS   512
#define LOAD_SOURCES  8000      /* connections from one loopback address */
#define LOAD_STALL    10        /* seconds without one more client */

/* The key is always the same, and so is the answer to it. */

#define LOAD_KEY      "dGhlIHNhbXBsZSBub25jZQ=="
#define LOAD_ACCEPT   "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


static const load_url_t *load_url(const load_conn_t *c);
static void load_event(load_conn_t *c, unsigned events);
static void load_handshake(load_conn_t *c);
static void load_read(load_conn_t *c, unsigned ended);
static size_t load_response(load_conn_t *c, const uint8_t *data, size_t len);
static void load_flush(load_conn_t *c);


static uint8_t  load_buffer[LOAD_BUFFER + 1];


load_conn_t *
load_conns(int n, load_role_e role)
{
    int           i;
    load_conn_t  *conns;

    conns = calloc((size_t) n + 1, sizeof(load_conn_t));
    if (conns == NULL) {
        load_fail("no memory");
    }

    for (i = 0; i < n; i++) {
        conns[i].fd = -1;
        conns[i].index = (uint32_t) i;
        conns[i].role = (uint8_t) role;
    }

    return conns;
}


static const load_url_t *
load_url(const load_conn_t *c)
{
    if (c->role == LOAD_PUBLISHER) {
        return &load.options.publish;
    }

    return &load.options.urls[c->index % (uint32_t) load.options.nurls];
}


/* Opens all, some at a time; load.ready and load.failed tell how it went. */

void
load_open(load_conn_t *conns, int n, const load_url_t *url)
{
    int       next;
    uint64_t  base, done, before, last;

    next = 0;
    before = 0;
    base = load.ready + load.failed;
    last = load_now();

    for ( ;; ) {
        done = load.ready + load.failed - base;

        if (done >= (uint64_t) n) {
            return;
        }

        if (done != before) {
            before = done;
            last = load_now();

        } else if (load_now() - last > LOAD_STALL * 1000000000ull) {
            load_error("only %d of %d are connected", (int) done, n);
            return;
        }

        while (next < n && (uint64_t) next - done
                           < (uint64_t) load.options.opening)
        {
            load_connect(&conns[next], url ? url : load_url(&conns[next]));
            next++;
        }

        load_turn(100000000);
    }
}


void
load_connect(load_conn_t *c, const load_url_t *url)
{
    int                 on;
    struct sockaddr_in  from;
    struct epoll_event  e;

    c->began = load_now();
    c->opcode = 0;
    c->close_seen = 0;
    c->acks = 0;
    c->rest.len = 0;
    c->message.len = 0;
    c->out.len = 0;
    c->state = LOAD_CONNECTING;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd == -1) {
        load_close(c, strerror(errno));
        return;
    }

    on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));

    /* one address has no ports enough */

    memset(&from, 0, sizeof(from));
    from.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(0x7f000002 + (uint32_t) load.options.source
                                 + (c->role == LOAD_CYCLER ? c->index % 16
                                    : c->index / LOAD_SOURCES));

    if (bind(c->fd, (struct sockaddr *) &from, sizeof(from)) == -1
        || (connect(c->fd, (const struct sockaddr *) &url->addr,
                    sizeof(url->addr)) == -1
            && errno != EINPROGRESS))
    {
        load_close(c, strerror(errno));
        return;
    }

    e.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    e.data.ptr = c;

    if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &e) == -1) {
        load_close(c, strerror(errno));
    }
}


void
load_close(load_conn_t *c, const char *why)
{
    if (c->state == LOAD_DEAD) {
        return;
    }

    if (c->state == LOAD_READY) {
        load.dropped++;
        load_error("client %u was dropped: %s", c->index, why);

    } else if (c->state != LOAD_CLOSING) {
        load.failed++;
        load_error("client %u failed: %s", c->index, why);
    }

    if (c->fd != -1) {
        close(c->fd);
    }

    c->fd = -1;
    c->state = LOAD_DEAD;
}


void
load_send(load_conn_t *c, const uint8_t *data, size_t len)
{
    ssize_t  n;

    if (c->state == LOAD_DEAD) {
        return;
    }

    while (c->out.len == 0 && len) {
        n = send(c->fd, data, len, MSG_NOSIGNAL);

        if (n == -1) {

            if (errno == EINTR) {
                continue;
            }

            if (errno == EAGAIN) {
                break;
            }

            load_close(c, strerror(errno));
            return;
        }

        data += n;
        len -= (size_t) n;
    }

    if (len) {
        load_buf_add(&c->out, data, len);
    }
}


static void
load_flush(load_conn_t *c)
{
    ssize_t  n;

    n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);

    if (n > 0) {
        c->out.len -= (size_t) n;
        memmove(c->out.data, c->out.data + n, c->out.len);
    }
}


void
load_turn(int64_t ns)
{
    int                 i, n;
    load_conn_t        *c;
    struct timespec     t;
    struct epoll_event  events[LOAD_EVENTS];

    ns = ns < 0 ? 0 : ns;
    t.tv_sec = ns / 1000000000;
    t.tv_nsec = ns % 1000000000;

    n = epoll_pwait2(load.epoll, events, LOAD_EVENTS, &t, NULL);

    for (i = 0; i < n; i++) {
        c = events[i].data.ptr;

        if (c == NULL) {
            continue;           /* a command */
        }

        load_event(c, events[i].events);

        if (c->role == LOAD_CYCLER) {
            load_cycle_step(c);
        }
    }
}


void
load_pump(double seconds)
{
    int64_t   left;
    uint64_t  end;

    end = load_now() + (uint64_t) (seconds * 1e9);

    while ((left = (int64_t) (end - load_now())) > 0) {
        load_turn(left);
    }
}


int
load_alive(void)
{
    int  i, n;

    n = 0;

    for (i = 0; i < load.options.clients; i++) {
        n += load.clients[i].state == LOAD_READY;
    }

    return n;
}


static void
load_event(load_conn_t *c, unsigned events)
{
    int        error;
    socklen_t  len;

    if (c->state == LOAD_DEAD) {
        return;
    }

    if (c->state == LOAD_CONNECTING) {

        if (events & (EPOLLERR | EPOLLHUP)) {
            len = sizeof(error);
            error = 0;
            getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
            load_close(c, strerror(error));
            return;
        }

        if (!(events & EPOLLOUT)) {
            return;
        }

        load_handshake(c);

    } else if (c->out.len && (events & EPOLLOUT)) {
        load_flush(c);
    }

    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        load_read(c, events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
    }
}


static void
load_handshake(load_conn_t *c)
{
    int                n;
    char               path[600], request[1200];
    const load_url_t  *url;

    url = load_url(c);
    c->state = LOAD_HANDSHAKE;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(path, sizeof(path), url->path, (int) c->index);
#pragma GCC diagnostic pop

    n = snprintf(request, sizeof(request),
                 "GET %s HTTP/1.1\r\n"
                 "Host: %s\r\n"
                 "Upgrade: websocket\r\n"
                 "Connection: Upgrade\r\n"
                 "Sec-WebSocket-Key: " LOAD_KEY "\r\n"
                 "Sec-WebSocket-Version: 13\r\n"
                 "%s\r\n", path, url->host, load.options.deflate
                 ? "Sec-WebSocket-Extensions: permessage-deflate; "
                   "server_no_context_takeover; client_no_context_takeover\r\n"
                 : "");

    load_send(c, (uint8_t *) request, (size_t) n);
}


/* Edge triggered: a short read has read all there was, but for the end. */

static void
load_read(load_conn_t *c, unsigned ended)
{
    size_t    len, used, room;
    ssize_t   n;
    uint64_t  now;

    for ( ;; ) {
        len = c->rest.len;
        room = LOAD_BUFFER - len;

        if (room == 0) {
            load_close(c, "a frame that is too long");
            return;
        }

        n = recv(c->fd, load_buffer + len, room, 0);
        load.count.reads++;

        if (n == -1 && errno == EINTR) {
            continue;
        }

        if (n == -1 && errno == EAGAIN) {
            return;
        }

        if (n <= 0) {
            load_close(c, n == 0 ? "end of stream" : strerror(errno));
            return;
        }

        if (len) {
            memcpy(load_buffer, c->rest.data, len);
        }

        len += (size_t) n;
        now = load_now();
        load.count.bytes += (uint64_t) n;

        used = c->state == LOAD_HANDSHAKE ? load_response(c, load_buffer, len)
                                          : 0;

        if (c->state > LOAD_HANDSHAKE) {
            used += load_frames(c, load_buffer + used, len - used, now);
        }

        if (c->state == LOAD_DEAD) {
            return;
        }

        c->rest.len = 0;

        if (used < len) {
            load_buf_add(&c->rest, load_buffer + used, len - used);
        }

        if ((size_t) n < room && !ended) {
            return;
        }
    }
}


/* Returns the length of the response, 0 as long as it is not complete. */

static size_t
load_response(load_conn_t *c, const uint8_t *data, size_t len)
{
    char  head[2048], *end;

    if (len >= sizeof(head)) {
        len = sizeof(head) - 1;
    }

    memcpy(head, data, len);
    head[len] = '\0';

    end = strstr(head, "\r\n\r\n");

    if (end == NULL) {

        if (len == sizeof(head) - 1) {
            load_close(c, "a response that is too long");
        }

        return 0;
    }

    end[2] = '\0';

    if (strncmp(head, "HTTP/1.1 101", 12) != 0
        || strstr(head, LOAD_ACCEPT) == NULL)
    {
        load_close(c, head);
        return 0;
    }

    if (strcasestr(head, "permessage-deflate")) {

        if (!load.options.deflate
            || !strcasestr(head, "server_no_context_takeover"))
        {
            load_close(c, "an extension that was not offered");
            return 0;
        }

        load.agreed = 1;
    }

    c->state = LOAD_JOINING;
    load_join(c);

    return (size_t) (end - head) + 4;
}
