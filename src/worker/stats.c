#include "stats.h"


typedef struct {
    const char     *type;
    const char     *name;
    const char     *help;
} ngx_wscast_stat_t;


/* What nobody counts, but is there to be seen. */

#define NGX_WSCAST_HOST_TABLE(X)                                              \
    X(WORKERS,       GAUGE,   "workers",                                      \
      "Workers that share the hub on this host.")                             \
    X(BUS,           GAUGE,   "bus_bytes",                                    \
      "Memory of the log between the workers.")                               \
    X(BACKLOG,       GAUGE,   "bus_backlog_bytes",                            \
      "What the slowest worker has not read of the log.")                     \
    X(ZONE,          GAUGE,   "zone_bytes",                                   \
      "Memory for what outlives a message.")                                  \
    X(USED,          GAUGE,   "zone_used_bytes",                              \
      "Memory of it that is in use.")                                         \
    X(PRESENCE,      GAUGE,   "zone_presence_bytes",                          \
      "Memory of it that members and counted connections use.")               \
    X(MESSAGES,      GAUGE,   "zone_messages",                                \
      "Messages that it keeps for history.")                                  \
    X(KEYS,          GAUGE,   "zone_keys",                                    \
      "Keys of publishes that it keeps.")                                     \
    X(REDIS_UP,      GAUGE,   "redis_up",                                     \
      "Whether this host is subscribed in Redis (hubs with redis only).")


typedef enum {
#define X(name, type, label, help)  NGX_WSCAST_HOST_##name,
    NGX_WSCAST_HOST_TABLE(X)
#undef X
    NGX_WSCAST_HOST_MAX
} ngx_wscast_host_e;


typedef struct {
    ngx_str_t       name;
    uint64_t        sum[WSCAST_COUNTERS];
    uint64_t        host[NGX_WSCAST_HOST_MAX];
    ngx_uint_t      shown;          /* the rows of host that there are */
} ngx_wscast_stats_hub_t;


/* Calls f for each reason's counter once: rows of close.h may share one. */

typedef void (*ngx_wscast_stats_close_pt)(wscast_builder_t *b,
    const ngx_wscast_stats_hub_t *hub, const char *reason, uint64_t n);


static ngx_wscast_stats_hub_t *ngx_wscast_stats_gather(
    ngx_wscast_hub_conf_t **hubs, ngx_uint_t n);
static void ngx_wscast_stats_look(ngx_wscast_stats_hub_t *s,
    ngx_wscast_hub_t *hub);
static void ngx_wscast_stats_host(wscast_builder_t *b,
    const ngx_wscast_stats_hub_t *s, ngx_uint_t n);
static void ngx_wscast_stats_head(wscast_builder_t *b, const char *name,
    const char *type, const char *help);
static void ngx_wscast_stats_line(wscast_builder_t *b, const char *name,
    const ngx_wscast_stats_hub_t *hub, const char *reason, uint64_t n);
static void ngx_wscast_stats_closes(wscast_builder_t *b,
    const ngx_wscast_stats_hub_t *hub, ngx_wscast_stats_close_pt f);
static void ngx_wscast_stats_close_line(wscast_builder_t *b,
    const ngx_wscast_stats_hub_t *hub, const char *reason, uint64_t n);
static void ngx_wscast_stats_close_member(wscast_builder_t *b,
    const ngx_wscast_stats_hub_t *hub, const char *reason, uint64_t n);
static void ngx_wscast_stats_member(wscast_builder_t *b, const char *name,
    uint64_t n);


#define COUNTER  "counter"
#define GAUGE    "gauge"

static const ngx_wscast_stat_t  ngx_wscast_stat_rows[] = {
#define X(name, type, label, help)  { type, label, help },
    WSCAST_COUNTER_TABLE(X)
#undef X
};

static const ngx_wscast_stat_t  ngx_wscast_host_rows[] = {
#define X(name, type, label, help)  { type, label, help },
    NGX_WSCAST_HOST_TABLE(X)
#undef X
};

#undef COUNTER
#undef GAUGE

#define NGX_WSCAST_STATS  WSCAST_COUNT_CLOSES


#define ngx_wscast_stats_text(b, s)  wscast_builder_put(b, s, ngx_strlen(s))


static ngx_wscast_stats_hub_t *
ngx_wscast_stats_gather(ngx_wscast_hub_conf_t **hubs, ngx_uint_t n)
{
    ngx_uint_t               i;
    ngx_wscast_stats_hub_t  *s;

    s = wscast_zalloc((n + 1) * sizeof(ngx_wscast_stats_hub_t));
    if (s == NULL) {
        return NULL;
    }

    for (i = 0; i < n; i++) {
        s[i].name = hubs[i]->name;

        /* the last row is only of those with Redis */
        s[i].shown = NGX_WSCAST_HOST_MAX - (hubs[i]->bus.redis == NULL);

        if (hubs[i]->hub) {
            ngx_wscast_stats_look(&s[i], hubs[i]->hub);
        }
    }

    return s;
}


static void
ngx_wscast_stats_look(ngx_wscast_stats_hub_t *s, ngx_wscast_hub_t *hub)
{
    ngx_uint_t          workers, redis_up;
    ngx_wscast_usage_t  usage;

    ngx_wscast_bus_sums(hub->bus, s->sum, &workers, &redis_up);
    ngx_wscast_bus_backlog(hub->bus, &s->host[NGX_WSCAST_HOST_BUS],
                           &s->host[NGX_WSCAST_HOST_BACKLOG]);
    ngx_wscast_store_usage(hub->store, &usage);

    s->host[NGX_WSCAST_HOST_WORKERS] = workers;
    s->host[NGX_WSCAST_HOST_REDIS_UP] = redis_up;
    s->host[NGX_WSCAST_HOST_ZONE] = usage.size;
    s->host[NGX_WSCAST_HOST_USED] = usage.used;
    s->host[NGX_WSCAST_HOST_PRESENCE] = usage.presence;
    s->host[NGX_WSCAST_HOST_MESSAGES] = usage.messages;
    s->host[NGX_WSCAST_HOST_KEYS] = usage.keys;
}


void
ngx_wscast_stats_prometheus(wscast_builder_t *b,
    ngx_wscast_hub_conf_t **hubs, ngx_uint_t n)
{
    char                      name[64];
    ngx_uint_t                i, j;
    ngx_wscast_stats_hub_t   *s;
    const ngx_wscast_stat_t  *row;

    s = ngx_wscast_stats_gather(hubs, n);

    if (s == NULL) {
        b->failed = 1;
        return;
    }

    for (j = 0; j < NGX_WSCAST_STATS; j++) {
        row = &ngx_wscast_stat_rows[j];

        (void) ngx_snprintf((u_char *) name, sizeof(name), "wscast_%s%Z",
                            row->name);

        ngx_wscast_stats_head(b, name, row->type, row->help);

        for (i = 0; i < n; i++) {
            ngx_wscast_stats_line(b, name, &s[i], NULL, s[i].sum[j]);
        }
    }

    ngx_wscast_stats_head(b, "wscast_closes_total", "counter",
                          "Connections that ended, by reason.");

    for (i = 0; i < n; i++) {
        ngx_wscast_stats_closes(b, &s[i], ngx_wscast_stats_close_line);
    }

    ngx_wscast_stats_host(b, s, n);

    wscast_free(s);
}


static void
ngx_wscast_stats_host(wscast_builder_t *b, const ngx_wscast_stats_hub_t *s,
    ngx_uint_t n)
{
    char                      name[64];
    ngx_uint_t                i, j;
    const ngx_wscast_stat_t  *row;

    for (j = 0; j < NGX_WSCAST_HOST_MAX; j++) {
        row = &ngx_wscast_host_rows[j];

        (void) ngx_snprintf((u_char *) name, sizeof(name), "wscast_%s%Z",
                            row->name);

        ngx_wscast_stats_head(b, name, row->type, row->help);

        for (i = 0; i < n; i++) {
            if (j < s[i].shown) {
                ngx_wscast_stats_line(b, name, &s[i], NULL, s[i].host[j]);
            }
        }
    }
}


static void
ngx_wscast_stats_head(wscast_builder_t *b, const char *name, const char *type,
    const char *help)
{
    wscast_builder_lit(b, "# HELP ");
    ngx_wscast_stats_text(b, name);
    wscast_builder_lit(b, " ");
    ngx_wscast_stats_text(b, help);
    wscast_builder_lit(b, "\n# TYPE ");
    ngx_wscast_stats_text(b, name);
    wscast_builder_lit(b, " ");
    ngx_wscast_stats_text(b, type);
    wscast_builder_lit(b, "\n");
}


/* The names of hubs are checked in nginx.conf: nothing needs escaping. */

static void
ngx_wscast_stats_line(wscast_builder_t *b, const char *name,
    const ngx_wscast_stats_hub_t *hub, const char *reason, uint64_t n)
{
    ngx_wscast_stats_text(b, name);
    wscast_builder_lit(b, "{hub=\"");
    wscast_builder_put(b, hub->name.data, hub->name.len);

    if (reason) {
        wscast_builder_lit(b, "\",reason=\"");
        ngx_wscast_stats_text(b, reason);
    }

    wscast_builder_lit(b, "\"} ");
    wscast_builder_uint(b, n);
    wscast_builder_lit(b, "\n");
}


static void
ngx_wscast_stats_closes(wscast_builder_t *b,
    const ngx_wscast_stats_hub_t *hub, ngx_wscast_stats_close_pt f)
{
    int          i, j;
    uint64_t     n;
    const char  *reason;

    for (i = 1; i < WSCAST_CLOSE_MAX; i++) {
        reason = wscast_close_row(i)->counter;
        n = 0;

        for (j = 1; j < WSCAST_CLOSE_MAX; j++) {
            if (strcmp(wscast_close_row(j)->counter, reason) != 0) {
                continue;
            }

            if (j < i) {
                break;          /* told already */
            }

            n += hub->sum[WSCAST_COUNT_CLOSES + j];
        }

        if (j == WSCAST_CLOSE_MAX) {
            f(b, hub, reason, n);
        }
    }
}


static void
ngx_wscast_stats_close_line(wscast_builder_t *b,
    const ngx_wscast_stats_hub_t *hub, const char *reason, uint64_t n)
{
    ngx_wscast_stats_line(b, "wscast_closes_total", hub, reason, n);
}


void
ngx_wscast_stats_json(wscast_builder_t *b, ngx_wscast_hub_conf_t **hubs,
    ngx_uint_t n)
{
    ngx_uint_t               i, j;
    ngx_wscast_stats_hub_t  *s;

    s = ngx_wscast_stats_gather(hubs, n);

    if (s == NULL) {
        b->failed = 1;
        return;
    }

    wscast_builder_lit(b, "{\"hubs\":{");

    for (i = 0; i < n; i++) {

        if (i) {
            wscast_builder_lit(b, ",");
        }

        wscast_builder_lit(b, "\"");
        wscast_builder_put(b, s[i].name.data, s[i].name.len);
        wscast_builder_lit(b, "\":{");

        for (j = 0; j < NGX_WSCAST_STATS; j++) {
            ngx_wscast_stats_member(b, ngx_wscast_stat_rows[j].name,
                                    s[i].sum[j]);
            wscast_builder_lit(b, ",");
        }

        for (j = 0; j < s[i].shown; j++) {
            ngx_wscast_stats_member(b, ngx_wscast_host_rows[j].name,
                                    s[i].host[j]);
            wscast_builder_lit(b, ",");
        }

        wscast_builder_lit(b, "\"closes\":{");
        ngx_wscast_stats_closes(b, &s[i], ngx_wscast_stats_close_member);
        wscast_builder_lit(b, "}}");
    }

    wscast_builder_lit(b, "}}\n");

    wscast_free(s);
}


static void
ngx_wscast_stats_close_member(wscast_builder_t *b,
    const ngx_wscast_stats_hub_t *hub, const char *reason, uint64_t n)
{
    wscast_str_t  sofar;

    sofar = wscast_builder_payload(b);

    if (sofar.len && sofar.data[sofar.len - 1] != '{') {
        wscast_builder_lit(b, ",");
    }

    ngx_wscast_stats_member(b, reason, n);
}


static void
ngx_wscast_stats_member(wscast_builder_t *b, const char *name, uint64_t n)
{
    wscast_builder_lit(b, "\"");
    ngx_wscast_stats_text(b, name);
    wscast_builder_lit(b, "\":");
    wscast_builder_uint(b, n);
}
