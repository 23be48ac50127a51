/*
 * floor PORT send|coalesce: the least that a WebSocket broadcast server can
 * do, to be measured by the same load as the real ones.
 *
 * One thread; no HTTP, no timers, no queues, nothing per client but its
 * descriptor and a role; a frame that does not fit into a socket's buffer ends
 * it.  No server: a yardstick.
 *
 *   send      one send() per message and subscriber
 *   coalesce  all messages of one read leave in one send() per subscriber
 *
 * /sub subscribes, /pub is broadcast, anything else is echoed.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>


#define FLOOR_FILES   65536
#define FLOOR_EVENTS  512
#define FLOOR_BUFFER  (1 << 21)


typedef enum {
    FLOOR_NEW = 0,
    FLOOR_SUBSCRIBER,
    FLOOR_PUBLISHER,
    FLOOR_ECHO
} floor_role_e;


static void floor_listen(int port);
static void floor_accept(void);
static void floor_read(int fd);
static size_t floor_frame(int fd, uint8_t *p, size_t len);
static void floor_message(int fd, unsigned opcode, const uint8_t *data,
    size_t len);
static size_t floor_header(uint8_t *out, unsigned opcode, size_t len);
static void floor_unmask(uint8_t *data, size_t len, const uint8_t *key);
static void floor_handshake(int fd);
static void floor_cast(void);
static void floor_close(int fd);


/* to the key that the load always sends */

static const char  floor_response[] =
    "HTTP/1.1 101 Switching Protocols\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    "\r\n";

static uint8_t  floor_roles[FLOOR_FILES];
static int      floor_places[FLOOR_FILES];      /* in floor_subscribers */
static int      floor_subscribers[FLOOR_FILES];
static int      floor_count;
static int      floor_coalesce;
static int      floor_epoll;
static int      floor_listener;
static uint8_t  floor_in[FLOOR_BUFFER];
static size_t   floor_kept;             /* of the publisher, not a frame yet */
static uint8_t  floor_out[FLOOR_BUFFER];
static size_t   floor_out_len;


int
main(int argc, char **argv)
{
    int                 i, n;
    struct epoll_event  events[FLOOR_EVENTS];

    if (argc != 3) {
        fprintf(stderr, "usage: floor PORT send|coalesce\n");
        return 2;
    }

    floor_coalesce = strcmp(argv[2], "coalesce") == 0;
    floor_listen(atoi(argv[1]));

    for ( ;; ) {
        n = epoll_wait(floor_epoll, events, FLOOR_EVENTS, -1);

        for (i = 0; i < n; i++) {
            if (events[i].data.fd == floor_listener) {
                floor_accept();

            } else {
                floor_read(events[i].data.fd);
            }
        }
    }
}


static void
floor_listen(int port)
{
    int                 on;
    struct rlimit       limit;
    struct sockaddr_in  addr;
    struct epoll_event  e;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < FLOOR_FILES ? limit.rlim_max
                                                  : FLOOR_FILES;
    setrlimit(RLIMIT_NOFILE, &limit);

    memset(&addr, 0, sizeof(addr));
    addr.sin_family = AF_INET;
    addr.sin_port = htons((uint16_t) port);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    on = 1;
    floor_listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(floor_listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));

    floor_epoll = epoll_create1(0);
    e.events = EPOLLIN;
    e.data.fd = floor_listener;

    if (bind(floor_listener, (struct sockaddr *) &addr, sizeof(addr)) == -1
        || listen(floor_listener, 4096) == -1
        || epoll_ctl(floor_epoll, EPOLL_CTL_ADD, floor_listener, &e) == -1)
    {
        perror("floor");
        exit(1);
    }
}


static void
floor_accept(void)
{
    int                 fd, on;
    struct epoll_event  e;

    on = 1;

    while ((fd = accept4(floor_listener, NULL, NULL, SOCK_NONBLOCK)) != -1) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));

        e.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
        e.data.fd = fd;
        epoll_ctl(floor_epoll, EPOLL_CTL_ADD, fd, &e);
    }
}


static void
floor_read(int fd)
{
    size_t   kept, len, used, n;
    ssize_t  size;

    for ( ;; ) {
        kept = floor_roles[fd] == FLOOR_PUBLISHER ? floor_kept : 0;

        size = recv(fd, floor_in + kept, FLOOR_BUFFER - kept, 0);

        if (size == -1 && errno == EAGAIN) {
            return;
        }

        if (size <= 0) {
            floor_close(fd);
            return;
        }

        if (floor_roles[fd] == FLOOR_NEW) {
            floor_handshake(fd);
            return;
        }

        len = kept + (size_t) size;
        used = 0;
        floor_out_len = 0;

        while ((n = floor_frame(fd, floor_in + used, len - used)) > 0) {
            used += n;
        }

        if (floor_out_len) {
            floor_cast();
        }

        if (floor_roles[fd] == FLOOR_PUBLISHER) {
            floor_kept = len - used;
            memmove(floor_in, floor_in + used, floor_kept);
        }

        if (floor_roles[fd] == FLOOR_NEW) {
            return;                                 /* closed */
        }
    }
}


/* Returns the length of the first frame, 0 if it is not there. */

static size_t
floor_frame(int fd, uint8_t *p, size_t len)
{
    size_t    head, n, i;
    unsigned  opcode;

    if (len < 6 || floor_roles[fd] == FLOOR_NEW) {
        return 0;
    }

    n = p[1] & 127;
    head = n < 126 ? 2 : n == 126 ? 4 : 10;

    if (len < head + 4) {
        return 0;
    }

    if (head > 2) {
        for (n = 0, i = 2; i < head; i++) {
            n = n << 8 | p[i];
        }
    }

    if (len - head - 4 < n) {
        return 0;
    }

    opcode = p[0] & 15;
    floor_unmask(p + head + 4, n, p + head);

    if (opcode == 8) {
        i = floor_header(floor_out, opcode, n);
        memcpy(floor_out + i, p + head + 4, n);
        send(fd, floor_out, i + n, MSG_NOSIGNAL);
        floor_close(fd);

    } else if (opcode == 1 || opcode == 2) {
        floor_message(fd, opcode, p + head + 4, n);
    }

    return head + 4 + n;
}


static void
floor_message(int fd, unsigned opcode, const uint8_t *data, size_t len)
{
    floor_out_len += floor_header(floor_out + floor_out_len, opcode, len);
    memcpy(floor_out + floor_out_len, data, len);
    floor_out_len += len;

    if (floor_roles[fd] != FLOOR_PUBLISHER) {
        send(fd, floor_out, floor_out_len, MSG_NOSIGNAL);
        floor_out_len = 0;

    } else if (!floor_coalesce) {
        floor_cast();
    }
}


static size_t
floor_header(uint8_t *out, unsigned opcode, size_t len)
{
    int     i;
    size_t  n;

    n = 0;
    out[n++] = (uint8_t) (0x80 | opcode);

    if (len < 126) {
        out[n++] = (uint8_t) len;

    } else if (len < 65536) {
        out[n++] = 126;
        out[n++] = (uint8_t) (len >> 8);
        out[n++] = (uint8_t) len;

    } else {
        out[n++] = 127;

        for (i = 7; i >= 0; i--) {
            out[n++] = (uint8_t) ((uint64_t) len >> (8 * i));
        }
    }

    return n;
}


static void
floor_unmask(uint8_t *data, size_t len, const uint8_t *key)
{
    size_t    i;
    uint64_t  word, mask;

    for (mask = 0, i = 0; i < 8; i++) {
        ((uint8_t *) &mask)[i] = key[i & 3];
    }

    for (i = 0; i + 8 <= len; i += 8) {
        memcpy(&word, data + i, 8);
        word ^= mask;
        memcpy(data + i, &word, 8);
    }

    for ( /* void */ ; i < len; i++) {
        data[i] ^= key[i & 3];
    }
}


static void
floor_handshake(int fd)
{
    if (memcmp(floor_in, "GET /sub", 8) == 0) {
        floor_roles[fd] = FLOOR_SUBSCRIBER;
        floor_places[fd] = floor_count;
        floor_subscribers[floor_count++] = fd;

    } else if (memcmp(floor_in, "GET /pub", 8) == 0) {
        floor_roles[fd] = FLOOR_PUBLISHER;
        floor_kept = 0;

    } else {
        floor_roles[fd] = FLOOR_ECHO;
    }

    send(fd, floor_response, sizeof(floor_response) - 1, MSG_NOSIGNAL);
}


static void
floor_cast(void)
{
    int      i;
    ssize_t  n;

    for (i = 0; i < floor_count; i++) {
        n = send(floor_subscribers[i], floor_out, floor_out_len,
                 MSG_NOSIGNAL);

        if (n != (ssize_t) floor_out_len) {
            fprintf(stderr, "floor: %zd of %zu bytes sent: %s\n", n,
                    floor_out_len, strerror(errno));
            exit(1);
        }
    }

    floor_out_len = 0;
}


static void
floor_close(int fd)
{
    int  place;

    if (floor_roles[fd] == FLOOR_SUBSCRIBER) {
        place = floor_places[fd];
        floor_subscribers[place] = floor_subscribers[--floor_count];
        floor_places[floor_subscribers[place]] = place;
    }

    floor_roles[fd] = FLOOR_NEW;
    close(fd);
}
