/*
 * counter.h: what is counted, one row each.
 *
 * Audience: conn, bus and worker count; worker/stats adds up; http/status and
 * docs/operations.md name them.  Each worker writes its own array, which lies
 * in its slot of the hub's shared memory, so that any worker can answer for
 * the host.  Behind the rows of this table come those of close.h.
 *
 * WSCAST_COUNTER(NAME, type, name, help): type is COUNTER (only grows; its
 * sum outlives the worker) or GAUGE (of living workers).  The Prometheus name
 * is "wscast_" name, and the JSON member is name.
 */

#ifndef WSCAST_COUNTER_H
#define WSCAST_COUNTER_H


#include "close.h"


#define WSCAST_COUNTER_TABLE(X)                                               \
    X(CONNECTIONS,   GAUGE,   "connections",                                  \
      "Open WebSocket connections.")                                          \
    X(SUBSCRIPTIONS, GAUGE,   "subscriptions",                                \
      "Subscriptions of open connections.")                                   \
    X(CHANNELS,      GAUGE,   "channels",                                     \
      "Channels with a subscriber, once per worker that has one.")            \
    X(QUEUED,        GAUGE,   "queued_bytes",                                 \
      "Bytes that wait for slow clients.")                                    \
    X(ACCEPTED,      COUNTER, "connections_total",                            \
      "Connections accepted.")                                                \
    X(REFUSED,       COUNTER, "handshakes_refused_total",                     \
      "Opening handshakes refused.")                                          \
    X(MSG_IN,        COUNTER, "messages_received_total",                      \
      "Messages received from clients.")                                      \
    X(MSG_OUT,       COUNTER, "messages_sent_total",                          \
      "Messages queued to clients.")                                          \
    X(BYTES_IN,      COUNTER, "bytes_received_total",                         \
      "Bytes received from clients, frame headers included.")                 \
    X(BYTES_OUT,     COUNTER, "bytes_sent_total",                             \
      "Bytes sent to clients, frame headers included.")                       \
    X(DEFLATED,      COUNTER, "deflated_total",                               \
      "Messages compressed, once however many clients receive them.")         \
    X(DEFLATE_IN,    COUNTER, "deflate_bytes_in_total",                       \
      "Bytes of these messages before they were compressed.")                 \
    X(DEFLATE_OUT,   COUNTER, "deflate_bytes_out_total",                      \
      "Bytes of these messages as they are sent.")                            \
    X(INFLATED,      COUNTER, "inflated_total",                               \
      "Compressed messages received from clients.")                           \
    X(INFLATE_IN,    COUNTER, "inflate_bytes_in_total",                       \
      "Bytes of these messages as they came.")                                \
    X(INFLATE_OUT,   COUNTER, "inflate_bytes_out_total",                      \
      "Bytes of these messages uncompressed.")                                \
    X(DROPPED,       COUNTER, "messages_dropped_total",                       \
      "Messages not queued to slow clients (wscast_send_buffer ... drop).")   \
    X(PUBLISHED,     COUNTER, "publishes_total",                              \
      "Messages published through this host.")                                \
    X(PUBLISH_FAILED, COUNTER, "publish_failures_total",                      \
      "Publishes that were answered with an error.")                          \
    X(PUBLISH_WAITS, COUNTER, "publish_waits_total",                          \
      "Times that a publisher had to wait for room on the bus.")              \
    X(FALLBACK,      COUNTER, "fallback_publishes_total",                     \
      "Messages delivered on this host alone while Redis was away.")          \
    X(DUPLICATES,    COUNTER, "publish_duplicates_total",                     \
      "Publishes whose key was known, so that nothing was published.")        \
    X(RECOVERED,     COUNTER, "recoveries_total",                             \
      "Subscriptions that got exactly what they had missed.")                 \
    X(UNRECOVERED,   COUNTER, "recoveries_failed_total",                      \
      "Subscriptions whose position could not be resumed.")                   \
    X(EVICTED,       COUNTER, "history_evicted_total",                        \
      "Messages dropped from a history because the zone was full.")           \
    X(JOINS,         COUNTER, "presence_joins_total",                         \
      "Members who joined, through this host.")                               \
    X(LEAVES,        COUNTER, "presence_leaves_total",                        \
      "Members who left, told by this host.")                                 \
    X(PRESENCE_FULL, COUNTER, "presence_refused_total",                       \
      "Members not taken because the zone was full.")                         \
    X(WAKES,         COUNTER, "bus_wakes_total",                              \
      "Wake-ups sent to other workers.")                                      \
    X(LAPPED,        COUNTER, "bus_lapped_total",                             \
      "Times that a worker was cut loose from the bus.")                      \
    X(ZONE_RESETS,   COUNTER, "zone_resets_total",                            \
      "Times that a zone was damaged, and all in it was forgotten.")          \
    X(WORKERS_LOST,  COUNTER, "workers_lost_total",                           \
      "Workers that ended without a word; their slots were released.")        \
    X(REDIS_IN,      COUNTER, "redis_messages_total",                         \
      "Messages received from Redis.")                                        \
    X(REDIS_RECONNECTS, COUNTER, "redis_reconnects_total",                    \
      "Connections to Redis that were lost or failed.")                       \
    X(LEADERS,       COUNTER, "redis_leaders_total",                          \
      "Times that a worker began to subscribe in Redis for this host.")       \
    X(HANDOVERS,     COUNTER, "redis_handovers_total",                        \
      "Of them, those that took over from another without a gap.")            \
    X(DEPOSED,       COUNTER, "redis_leaders_deposed_total",                  \
      "Of them, those that took over from one that hung.")                    \
    X(CAUGHT_UP,     COUNTER, "caught_up_total",                              \
      "Messages fetched from history after a loss of the subscription.")      \
    X(GAPS,          COUNTER, "gaps_total",                                   \
      "Channels whose messages may have been missed while Redis was away.")   \
    X(REDIS_LINKS,   GAUGE,   "redis_links",                                  \
      "Connections to Redis that are ready.")


typedef enum {
#define X(name, type, label, help)  WSCAST_COUNT_##name,
    WSCAST_COUNTER_TABLE(X)
#undef X
    WSCAST_COUNT_CLOSES,            /* + a row of close.h */
    WSCAST_COUNTERS = WSCAST_COUNT_CLOSES + WSCAST_CLOSE_MAX
} wscast_counter_e;


#endif /* WSCAST_COUNTER_H */
