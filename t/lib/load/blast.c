/*
 * blast: publishers at full speed, and everybody receives.
 *
 *     load blast PORT PATH PUBLISHERS MESSAGES SUBSCRIBERS SIZE IDLE
 *
 * PATH is a location of the text dialect with a welcome, after which its
 * channel is live.  Every client, the publishers too, must receive all
 * PUBLISHERS * MESSAGES messages, each publisher's in the order of its
 * sending, and all the clients the same order.  Gives up when nothing has
 * come for IDLE seconds.  Prints one JSON object.
 */

#define _GNU_SOURCE

#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>


#define CLIENTS     1024
#define PUBLISHERS  64
#define QUEUED      (256 * 1024)


typedef struct {
    long       received;
    long       disorder;
    int        welcomed;
    uint64_t   hash;
    long       sent;
    long       next[PUBLISHERS];
} tally_t;


static int       publishers, clients, welcomed;
static long      messages, total;
static size_t    size;
static tally_t   tally[CLIENTS];
static client_t  client[CLIENTS];
static double    last;


static void
on_message(client_t *c, char *data, size_t len)
{
    long      p, i;
    char     *end;
    tally_t  *t;

    t = c->data;
    last = now();

    if (!t->welcomed) {
        t->welcomed = 1;
        welcomed++;
        return;
    }

    t->received++;

    if (len != size) {
        t->disorder++;
        return;
    }

    p = strtol(data, &end, 10);
    i = strtol(end, NULL, 10);

    if (p < 0 || p >= publishers || i != t->next[p]) {
        t->disorder++;
        p = p < 0 || p >= publishers ? 0 : p;
    }

    t->next[p] = i + 1;
    t->hash = (t->hash ^ (uint64_t) (p * messages + i)) * 1099511628211ULL;
}


static void
publish(client_t *c, int ep)
{
    int       n;
    char      text[65536];
    tally_t  *t;

    t = c->data;

    while (t->sent < messages && c->out_len - c->out_pos < QUEUED) {
        n = snprintf(text, sizeof(text), "%d %ld ", c->id, t->sent++);
        memset(text + n, 'x', size - n);
        client_frame(c, 1, text, size, 0);
    }

    if (client_write(c, ep) == -1) {
        client_end(c, 1);
    }
}


static void
report(double began)
{
    int   i, ended;
    long  lost, disorder;

    lost = 0;
    disorder = 0;
    ended = 0;

    for (i = 0; i < clients; i++) {
        lost += total - tally[i].received;
        disorder += tally[i].disorder;
        ended += client[i].fd == -1;
    }

    printf("{\"clients\":%d,\"welcomed\":%d,\"expected\":%ld,\"lost\":%ld,"
           "\"disorder\":%ld,\"ended\":%d,\"seconds\":%.2f,\"orders\":[",
           clients, welcomed, total, lost, disorder, ended, last - began);

    for (i = 0; i < clients; i++) {
        printf("%s\"%016llx\"", i ? "," : "",
               (unsigned long long) tally[i].hash);
    }

    printf("],\"codes\":[");

    for (i = 0; i < clients; i++) {
        printf("%s%d", i ? "," : "", client[i].closed);
    }

    printf("]}\n");
}


static int
finished(void)
{
    int  i;

    for (i = 0; i < clients; i++) {
        if (client[i].fd != -1 && tally[i].received < total) {
            return 0;
        }
    }

    return 1;
}


int
blast(int argc, char **argv)
{
    int                  i, n, ep, began_all;
    double               began, idle;
    client_t            *c;
    struct epoll_event   events[256];

    if (argc != 7) {
        return -1;
    }

    publishers = atoi(argv[2]);
    messages = atol(argv[3]);
    clients = publishers + atoi(argv[4]);
    size = atol(argv[5]);
    idle = atof(argv[6]);
    total = publishers * messages;

    if (publishers > PUBLISHERS || clients > CLIENTS || size < 24
        || size > 65536)
    {
        return -1;
    }

    ep = epoll_create1(0);

    for (i = 0; i < clients; i++) {
        if (client_open(&client[i], ep, atoi(argv[0]), 0) == -1) {
            fatal("connect");
        }

        client[i].id = i;
        client[i].data = &tally[i];
        client_handshake(&client[i], argv[1], 0);
    }

    began_all = 0;
    began = last = now();

    while (!finished() && now() - last < idle) {
        n = epoll_wait(ep, events, 256, 100);

        for (i = 0; i < n; i++) {
            c = events[i].data.ptr;

            if (c->fd == -1) {
                continue;
            }

            if (events[i].events & (EPOLLIN|EPOLLHUP|EPOLLERR)
                && client_read(c, on_message) != 1)
            {
                client_end(c, 1);
                continue;
            }

            if (began_all && c->id < publishers) {
                publish(c, ep);

            } else if (client_write(c, ep) == -1) {
                client_end(c, 1);
            }
        }

        if (!began_all && welcomed == clients) {
            began_all = 1;
            began = now();

            for (i = 0; i < publishers; i++) {
                publish(&client[i], ep);
            }
        }
    }

    report(began);

    return 0;
}
