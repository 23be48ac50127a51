/*
 * churn: connections that come and go, many of them badly.
 *
 *     load churn PORT PATH RATE SECONDS
 *
 * Opens RATE connections a second to PATH?room=N, a location of the text
 * dialect with a welcome, until they are RATE * SECONDS: on a machine that is
 * too slow that takes longer, but not half as long again.  A quarter leave in
 * the middle of the handshake, a quarter in the middle of a frame (every other
 * one by a RST), and half publish a message, await one, and close as they
 * should.  Prints one JSON object; "failed" are those that could not do what
 * they wanted.
 */

#define _GNU_SOURCE

#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>


#define MOST      2000          /* connections at once */
#define PATIENCE  15            /* seconds that one of them may take */
#define LONGER    1.4           /* times the seconds */
#define ROOMS     50


enum { MID_HANDSHAKE = 0, MID_FRAME, POLITE, POLITE_TOO, FATES };

enum { AWAIT_CONNECT = 0, AWAIT_WELCOME, AWAIT_MESSAGE, AWAIT_CLOSE };


static client_t   client[MOST];
static double     since[MOST];
static long       begun, opened, handshakes, frames, closed, failed, heard;
static int        live, most, epfd;


static void
failure(client_t *c, const char *why)
{
    if (failed++ < 5) {
        fprintf(stderr, "churn: %s, fate %d, state %d\n", why, c->fate,
                c->state);
    }
}


static void
leave(client_t *c, long *counter, int reset)
{
    (*counter)++;
    live--;
    client_end(c, reset);
}


static void
on_message(client_t *c, char *data, size_t len)
{
    char  text[64];

    (void) data;
    (void) len;

    if (c->state == AWAIT_WELCOME) {
        if (c->fate == MID_FRAME) {
            memset(text, 'y', sizeof(text));
            client_frame(c, 1, text, sizeof(text), 1);
            c->state = AWAIT_CLOSE;
            return;
        }

        client_frame(c, 1, text, snprintf(text, sizeof(text), "hello %d",
                                          c->id), 0);
        c->state = AWAIT_MESSAGE;

    } else if (c->state == AWAIT_MESSAGE) {
        heard++;
        client_frame(c, 8, "\x03\xe8", 2, 0);
        c->state = AWAIT_CLOSE;
    }
}


/* 0: later, there are too many at the moment. */

static int
begin(int port, const char *path)
{
    int        i;
    char       full[512];
    client_t  *c;

    for (i = 0; i < MOST; i++) {
        if (client[i].fd == -1) {
            break;
        }
    }

    if (i == MOST) {
        return 0;
    }

    c = &client[i];

    if (client_open(c, epfd, port, 1 + rand() % 200) == -1) {
        failure(c, "cannot connect");
        return 1;
    }

    opened++;
    live++;
    most = live > most ? live : most;
    since[i] = now();
    c->id = opened;
    c->fate = rand() % FATES;

    snprintf(full, sizeof(full), "%s?room=%d", path, rand() % ROOMS);
    client_handshake(c, full, c->fate == MID_HANDSHAKE);

    return 1;
}


static void
proceed(client_t *c, unsigned events)
{
    int  rc;

    rc = 1;

    if (events & (EPOLLIN|EPOLLHUP|EPOLLERR)) {
        rc = client_read(c, on_message);
    }

    if (rc != 1) {
        if (c->fate >= POLITE && c->closed == 1000) {
            leave(c, &closed, 0);
            return;
        }

        failure(c, rc ? "broken" : "ended too early");
        live--;
        client_end(c, 1);
        return;
    }

    if (client_write(c, epfd) == -1) {
        failure(c, "cannot write");
        live--;
        client_end(c, 1);
        return;
    }

    if (c->out_pos < c->out_len) {
        return;
    }

    if (c->fate == MID_HANDSHAKE) {
        leave(c, &handshakes, c->id & 1);

    } else if (c->fate == MID_FRAME && c->state == AWAIT_CLOSE) {
        leave(c, &frames, c->id & 1);

    } else if (c->state == AWAIT_CONNECT) {
        c->state = AWAIT_WELCOME;
    }
}


static void
lose_patience(double t)
{
    int  i;

    for (i = 0; i < MOST; i++) {
        if (client[i].fd != -1 && t - since[i] > PATIENCE) {
            failure(&client[i], "no end");
            live--;
            client_end(&client[i], 1);
        }
    }
}


int
churn(int argc, char **argv)
{
    int                  i, n;
    long                 due, all;
    double               rate, seconds, began, t;
    struct epoll_event   events[256];

    if (argc != 4) {
        return -1;
    }

    rate = atof(argv[2]);
    seconds = atof(argv[3]);
    all = (long) (rate * seconds);
    epfd = epoll_create1(0);
    began = now();

    for (i = 0; i < MOST; i++) {
        client[i].fd = -1;
    }

    for ( ;; ) {
        t = now();
        due = (long) ((t - began) * rate);
        due = (due < all ? due : all) - begun;

        if (t - began > LONGER * seconds) {
            due = 0;
        }

        while (due > 0 && begin(atoi(argv[0]), argv[1])) {
            begun++;
            due--;
        }

        if (live == 0 && (begun == all || t - began > LONGER * seconds)) {
            break;
        }

        n = epoll_wait(epfd, events, 256, 1);

        for (i = 0; i < n; i++) {
            if (((client_t *) events[i].data.ptr)->fd != -1) {
                proceed(events[i].data.ptr, events[i].events);
            }
        }

        lose_patience(t);
    }

    printf("{\"opened\":%ld,\"mid_handshake\":%ld,\"mid_frame\":%ld,"
           "\"closed\":%ld,\"failed\":%ld,\"heard\":%ld,\"most\":%d,"
           "\"seconds\":%.2f}\n", opened, handshakes, frames, closed, failed,
           heard, most, now() - began);

    return 0;
}
