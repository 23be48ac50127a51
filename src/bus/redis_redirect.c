#include "redis_cluster.h"


/*
 * Commands of one slot keep their order: one that has to be sent again waits
 * until those that were sent behind it have been answered (they were at the
 * wrong server, too), and new ones wait behind it.
 */

static ngx_wscast_cluster_verdict_e ngx_wscast_cluster_verdict(
    ngx_wscast_cluster_t *cluster, ngx_wscast_redis_node_t *node,
    ngx_wscast_redis_command_t *cmd, redisReply *reply);
static ngx_wscast_redis_node_t *ngx_wscast_cluster_told(
    ngx_wscast_cluster_t *cluster, ngx_wscast_redis_link_t *from,
    redisReply *reply, ngx_uint_t *slot);
static void ngx_wscast_cluster_hold(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_command_t *cmd);
static void ngx_wscast_cluster_release(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_command_t *cmd);
static ngx_int_t ngx_wscast_cluster_resend(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_command_t *cmd);
static ngx_int_t ngx_wscast_cluster_asking(ngx_wscast_redis_node_t *node);
static void ngx_wscast_cluster_expire(ngx_wscast_cluster_t *cluster);
static void ngx_wscast_cluster_give_up(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_command_t *cmd);


ngx_int_t
ngx_wscast_cluster_send(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_node_t *node, ngx_wscast_redis_command_t *cmd,
    ngx_uint_t force)
{
    ngx_int_t  rc;

    if (cmd->slot == NGX_WSCAST_ANY_SLOT) {
        return ngx_wscast_redis_node_send(node, cmd, force);
    }

    cmd->number = ++cluster->number;

    /* a server that has just been found is waited for */

    if (cluster->waiting[cmd->slot]
        || ngx_wscast_redis_link_fresh(&node->publisher))
    {
        if (!force && cluster->held_len > NGX_WSCAST_CLUSTER_HELD) {
            return NGX_DECLINED;
        }

        ngx_wscast_cluster_hold(cluster, cmd);
        return NGX_OK;
    }

    rc = ngx_wscast_redis_node_send(node, cmd, force);

    if (rc == NGX_OK) {
        cluster->flying[cmd->slot]++;
    }

    return rc;
}


ngx_int_t
ngx_wscast_cluster_answered(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_node_t *node, ngx_wscast_redis_command_t *cmd,
    redisReply *reply)
{
    ngx_wscast_cluster_verdict_e  verdict;

    if (cmd->slot == NGX_WSCAST_ANY_SLOT) {
        return NGX_OK;
    }

    cluster->flying[cmd->slot]--;

    verdict = ngx_wscast_cluster_verdict(cluster, node, cmd, reply);

    if (verdict == NGX_WSCAST_CLUSTER_FINE) {
        return NGX_OK;
    }

    if (cmd->tries
        && (ngx_msec_int_t) (ngx_current_msec - cmd->deadline) >= 0)
    {
        ngx_wscast_cluster_give_up(cluster, cmd);
        return NGX_DECLINED;
    }

    ngx_wscast_cluster_hold(cluster, cmd);

    /* servers that disagree send it round in circles, but not at full speed */

    if (verdict == NGX_WSCAST_CLUSTER_ELSEWHERE
        && cmd->tries < NGX_WSCAST_CLUSTER_TRIES
        && cluster->flying[cmd->slot] == 0)
    {
        ngx_wscast_cluster_ready(cluster);
    }

    return NGX_DECLINED;
}


static ngx_wscast_cluster_verdict_e
ngx_wscast_cluster_verdict(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_node_t *node, ngx_wscast_redis_command_t *cmd,
    redisReply *reply)
{
    ngx_uint_t                slot;
    ngx_wscast_redis_node_t  *other;

    if (reply->type != REDIS_REPLY_ERROR) {
        return NGX_WSCAST_CLUSTER_FINE;
    }

    if (ngx_wscast_cluster_moved(cluster, &node->publisher, reply, &slot)) {
        return NGX_WSCAST_CLUSTER_ELSEWHERE;
    }

    if (ngx_wscast_cluster_is(reply, "ASK ")) {
        other = ngx_wscast_cluster_told(cluster, &node->publisher, reply,
                                        &slot);
        if (other == NULL) {
            return NGX_WSCAST_CLUSTER_FINE;
        }

        cmd->asked = other->number + 1;
        other->spare = 0;

        return NGX_WSCAST_CLUSTER_ELSEWHERE;
    }

    if (ngx_wscast_cluster_is(reply, "TRYAGAIN ")
        || ngx_wscast_cluster_is(reply, "CLUSTERDOWN ")
        || ngx_wscast_cluster_is(reply, "MASTERDOWN "))
    {
        ngx_wscast_cluster_doubt(cluster);
        return NGX_WSCAST_CLUSTER_LATER;
    }

    return cmd->guarded ? ngx_wscast_guard_verdict(cluster, node, cmd, reply)
                        : NGX_WSCAST_CLUSTER_FINE;
}


ngx_uint_t
ngx_wscast_cluster_is(redisReply *reply, const char *word)
{
    size_t  len;

    len = ngx_strlen(word);

    return (size_t) reply->len > len
           && ngx_memcmp(reply->str, word, len) == 0;
}


ngx_uint_t
ngx_wscast_cluster_moved(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_link_t *from, redisReply *reply, ngx_uint_t *slot)
{
    ngx_wscast_redis_node_t  *node;

    if (!ngx_wscast_cluster_is(reply, "MOVED ")) {
        return 0;
    }

    node = ngx_wscast_cluster_told(cluster, from, reply, slot);

    if (node == NULL) {
        return 0;
    }

    ngx_wscast_cluster_own(cluster, *slot, node);

    return 1;
}


/* A word, the slot, and where it is. */

static ngx_wscast_redis_node_t *
ngx_wscast_cluster_told(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_link_t *from, redisReply *reply, ngx_uint_t *slot)
{
    u_char     *p, *last, *space;
    ngx_int_t   n;

    p = (u_char *) reply->str;
    last = p + reply->len;

    p = ngx_strlchr(p, last, ' ');
    space = p ? ngx_strlchr(p + 1, last, ' ') : NULL;

    if (space == NULL) {
        return NULL;
    }

    n = ngx_atoi(p + 1, space - p - 1);

    if (n < 0 || n >= NGX_WSCAST_REDIS_SLOTS) {
        return NULL;
    }

    *slot = (ngx_uint_t) n;

    p = space + 1;
    space = ngx_strlchr(p, last, ' ');

    return ngx_wscast_cluster_at(cluster, from, (char *) p,
                                 (space ? space : last) - p);
}


void
ngx_wscast_cluster_unanswered(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_command_t *cmd)
{
    if (cmd->slot != NGX_WSCAST_ANY_SLOT) {
        cluster->flying[cmd->slot]--;
    }
}


/* In the order in which they were first given. */

static void
ngx_wscast_cluster_hold(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_command_t *cmd)
{
    wscast_list_t               *l;
    ngx_wscast_redis_command_t  *other;

    if (cmd->tries++ == 0) {
        cmd->deadline = ngx_current_msec + cluster->redis->conf->redis_timeout;
    }

    for (l = cluster->held.prev; l != &cluster->held; l = l->prev) {
        other = wscast_container(l, ngx_wscast_redis_command_t, link);

        if (other->number < cmd->number) {
            break;
        }
    }

    wscast_list_append(l->next, &cmd->link);        /* that is, before it */

    cluster->held_len += cmd->len;
    cluster->waiting[cmd->slot]++;

    if (!cluster->timer.timer_set) {
        ngx_add_timer(&cluster->timer, NGX_WSCAST_CLUSTER_AGAIN);
    }
}


static void
ngx_wscast_cluster_release(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_command_t *cmd)
{
    wscast_list_remove(&cmd->link);

    cluster->held_len -= cmd->len;
    cluster->waiting[cmd->slot]--;
}


/* Sends what is held, as far as that can be. */

void
ngx_wscast_cluster_ready(ngx_wscast_cluster_t *cluster)
{
    uint8_t                     *state;
    wscast_list_t               *l, *tmp;
    ngx_wscast_redis_command_t  *cmd;

    uint8_t  states[NGX_WSCAST_REDIS_SLOTS];    /* 1: may go; 2: may not */

    if (wscast_list_empty(&cluster->held)) {
        return;
    }

    ngx_memzero(states, sizeof(states));

    wscast_list_each(l, tmp, &cluster->held) {
        cmd = wscast_container(l, ngx_wscast_redis_command_t, link);
        state = &states[cmd->slot];

        if (*state == 0) {
            *state = cluster->flying[cmd->slot] ? 2 : 1;
        }

        if (*state == 1) {
            *state = ngx_wscast_cluster_resend(cluster, cmd) == NGX_OK ? 1 : 2;
        }
    }
}


static ngx_int_t
ngx_wscast_cluster_resend(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_command_t *cmd)
{
    ngx_int_t                 rc;
    ngx_wscast_redis_node_t  *node;

    node = cmd->asked ? cluster->redis->nodes[cmd->asked - 1]
                      : ngx_wscast_redis_owner(cluster->redis, cmd->slot);

    if (node == NULL || !ngx_wscast_redis_link_ready(&node->publisher)) {
        return NGX_DECLINED;
    }

    if (cmd->asked && ngx_wscast_cluster_asking(node) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_wscast_cluster_release(cluster, cmd);

    rc = ngx_wscast_redis_node_send(node, cmd, 1);

    if (rc != NGX_OK) {
        ngx_wscast_cluster_hold(cluster, cmd);
        return rc;
    }

    cmd->asked = 0;
    cluster->flying[cmd->slot]++;

    return NGX_OK;
}


/* The next command may be of a slot that is only just coming there. */

static ngx_int_t
ngx_wscast_cluster_asking(ngx_wscast_redis_node_t *node)
{
    size_t                       len;
    const char                  *asking;
    ngx_wscast_redis_command_t   as;

    ngx_memzero(&as, sizeof(ngx_wscast_redis_command_t));
    as.slot = NGX_WSCAST_ANY_SLOT;

    asking = "ASKING";
    len = 6;

    return ngx_wscast_redis_send(node, &as, 1, &asking, &len, 1);
}


void
ngx_wscast_cluster_timer(ngx_event_t *ev)
{
    ngx_wscast_cluster_t  *cluster;

    cluster = ev->data;

    ngx_wscast_cluster_expire(cluster);
    ngx_wscast_cluster_ready(cluster);

    if (cluster->waited) {
        cluster->waited = 0;
        cluster->redis->handler->writable(cluster->redis->ctx);
    }

    if (!wscast_list_empty(&cluster->held) && !ev->timer_set) {
        ngx_add_timer(ev, NGX_WSCAST_CLUSTER_AGAIN);
    }
}


/* Nobody wants them any more. */

static void
ngx_wscast_cluster_expire(ngx_wscast_cluster_t *cluster)
{
    wscast_list_t               *l, *tmp, expired;
    ngx_wscast_redis_command_t  *cmd;

    wscast_list_init(&expired);

    wscast_list_each(l, tmp, &cluster->held) {
        cmd = wscast_container(l, ngx_wscast_redis_command_t, link);

        if ((ngx_msec_int_t) (ngx_current_msec - cmd->deadline) >= 0) {
            ngx_wscast_cluster_release(cluster, cmd);
            wscast_list_append(&expired, &cmd->link);
        }
    }

    while (!wscast_list_empty(&expired)) {
        cmd = wscast_list_first(&expired, ngx_wscast_redis_command_t, link);
        wscast_list_remove(&cmd->link);
        ngx_wscast_cluster_give_up(cluster, cmd);
    }
}


static void
ngx_wscast_cluster_give_up(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_command_t *cmd)
{
    ngx_log_error((cluster->given_up ? NGX_LOG_INFO : NGX_LOG_ERR),
                  cluster->redis->log, 0,
                  "wscast: redis cluster: a command was answered by no server "
                  "in time");

    cluster->given_up = 1;

    /* what was to be told once, such as who has left, is told anew */

    cluster->redis->complete = 0;

    ngx_wscast_redis_answer(cluster->redis, cmd, NULL);
}


void
ngx_wscast_cluster_forget(ngx_wscast_cluster_t *cluster, ngx_uint_t i)
{
    wscast_list_t               *l, *tmp;
    ngx_wscast_redis_command_t  *cmd;

    wscast_list_each(l, tmp, &cluster->held) {
        cmd = wscast_container(l, ngx_wscast_redis_command_t, link);

        if (cmd->asked == i + 1) {
            cmd->asked = 0;
        }
    }
}
