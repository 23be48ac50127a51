#define _GNU_SOURCE

#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


#define KEY  "\x12\x34\x56\x78"


static int client_frames(client_t *c, client_message_pt message);
static void want(client_t *c, int ep, int events);


double
now(void)
{
    struct timespec  t;

    clock_gettime(CLOCK_MONOTONIC, &t);

    return t.tv_sec + t.tv_nsec / 1e9;
}


void
fatal(const char *what)
{
    perror(what);
    exit(2);
}


static void
reserve(char **p, size_t *size, size_t need)
{
    if (need <= *size) {
        return;
    }

    *size = need * 2;
    *p = realloc(*p, *size);

    if (*p == NULL) {
        fatal("realloc");
    }
}


int
client_open(client_t *c, int ep, int port, int source)
{
    int                 on;
    struct epoll_event  e;
    struct sockaddr_in  a;

    memset(c, 0, sizeof(client_t));
    on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK, 0);
    if (c->fd == -1) {
        return -1;
    }

    memset(&a, 0, sizeof(a));
    a.sin_family = AF_INET;

    if (source) {
        /* more source addresses, more free ports */
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK + source);
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on,
                   sizeof(on));

        if (bind(c->fd, (struct sockaddr *) &a, sizeof(a)) == -1) {
            goto failed;
        }
    }

    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons(port);

    if (connect(c->fd, (struct sockaddr *) &a, sizeof(a)) == -1
        && errno != EINPROGRESS)
    {
        goto failed;
    }

    c->events = EPOLLIN|EPOLLOUT;
    e.events = c->events;
    e.data.ptr = c;

    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e) == -1) {
        goto failed;
    }

    return 0;

failed:

    client_end(c, 1);

    return -1;
}


static void
queue(client_t *c, const void *data, size_t len)
{
    if (c->out_pos == c->out_len) {
        c->out_pos = 0;
        c->out_len = 0;
    }

    reserve(&c->out, &c->out_size, c->out_len + len);
    memcpy(c->out + c->out_len, data, len);
    c->out_len += len;
}


void
client_handshake(client_t *c, const char *path, int half)
{
    int   n;
    char  text[1024];

    n = snprintf(text, sizeof(text),
                 "GET %s HTTP/1.1\r\n"
                 "Host: localhost\r\n"
                 "Upgrade: websocket\r\n"
                 "Connection: Upgrade\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                 "Sec-WebSocket-Version: 13\r\n\r\n", path);

    queue(c, text, half ? n * 2 / 3 : n);
}


void
client_frame(client_t *c, int opcode, const void *data, size_t len, int half)
{
    char                  head[14];
    size_t                i, n, from;
    const unsigned char  *key;

    head[0] = 0x80 | opcode;
    n = 2;

    if (len < 126) {
        head[1] = 0x80 | len;

    } else if (len < 65536) {
        head[1] = (char) (0x80 | 126);
        head[2] = len >> 8;
        head[3] = len;
        n = 4;

    } else {
        head[1] = (char) (0x80 | 127);

        for (i = 0; i < 8; i++) {
            head[2 + i] = (uint64_t) len >> (56 - 8 * i);
        }

        n = 10;
    }

    memcpy(head + n, KEY, 4);
    queue(c, head, n + 4);

    if (half) {
        len /= 2;
    }

    queue(c, data, len);

    key = (const unsigned char *) KEY;
    from = c->out_len - len;

    for (i = 0; i < len; i++) {
        c->out[from + i] ^= key[i & 3];
    }
}


int
client_write(client_t *c, int ep)
{
    ssize_t  n;

    while (c->out_pos < c->out_len) {
        n = send(c->fd, c->out + c->out_pos, c->out_len - c->out_pos,
                 MSG_NOSIGNAL);

        if (n == -1) {
            if (errno == EAGAIN || errno == EINTR) {
                want(c, ep, EPOLLIN|EPOLLOUT);
                return 0;
            }

            return -1;
        }

        c->out_pos += n;
    }

    want(c, ep, EPOLLIN);

    return 0;
}


static void
want(client_t *c, int ep, int events)
{
    struct epoll_event  e;

    if (c->events == events) {
        return;
    }

    c->events = events;
    e.events = events;
    e.data.ptr = c;
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}


int
client_read(client_t *c, client_message_pt message)
{
    char     *end;
    size_t    used;
    ssize_t   n;

    for ( ;; ) {
        reserve(&c->in, &c->in_size, c->in_len + 65536);
        n = recv(c->fd, c->in + c->in_len, 65536, 0);

        if (n == -1) {
            return errno == EAGAIN || errno == EINTR ? 1 : -1;
        }

        if (n == 0) {
            return 0;
        }

        c->in_len += n;

        if (!c->upgraded) {
            end = memmem(c->in, c->in_len, "\r\n\r\n", 4);

            if (end == NULL) {
                continue;
            }

            if (memcmp(c->in, "HTTP/1.1 101", 12) != 0) {
                return -1;
            }

            c->upgraded = 1;
            used = end + 4 - c->in;
            c->in_len -= used;
            memmove(c->in, c->in + used, c->in_len);
        }

        if (client_frames(c, message) == -1) {
            return -1;
        }

        if (n < 65536) {
            return 1;
        }
    }
}


/* Yields the messages that have arrived whole. */

static int
client_frames(client_t *c, client_message_pt message)
{
    int             opcode;
    size_t          pos, left, head, len;
    unsigned char  *p;

    pos = 0;

    while (c->in_len - pos >= 2) {
        p = (unsigned char *) c->in + pos;
        left = c->in_len - pos;
        opcode = p[0] & 15;
        len = p[1];
        head = 2;

        if ((p[0] & 0xf0) != 0x80 || len > 127) {
            return -1;
        }

        if (len == 126) {
            if (left < 4) {
                break;
            }

            len = p[2] << 8 | p[3];
            head = 4;

        } else if (len == 127) {
            if (left < 10) {
                break;
            }

            len = (size_t) p[6] << 24 | p[7] << 16 | p[8] << 8 | p[9];
            head = 10;
        }

        if (left < head + len) {
            break;
        }

        if (opcode == 8) {
            c->closed = len >= 2 ? p[head] << 8 | p[head + 1] : 1005;

        } else if (opcode == 9) {
            client_frame(c, 10, p + head, len, 0);

        } else if (opcode < 8) {
            message(c, (char *) p + head, len);
        }

        pos += head + len;
    }

    c->in_len -= pos;
    memmove(c->in, c->in + pos, c->in_len);

    return 0;
}


void
client_end(client_t *c, int reset)
{
    struct linger  l;

    if (c->fd == -1) {
        return;
    }

    if (reset) {
        l.l_onoff = 1;
        l.l_linger = 0;
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
    }

    close(c->fd);
    free(c->in);
    free(c->out);
    c->fd = -1;
    c->in = NULL;
    c->out = NULL;
}
