#include "redis_cluster.h"

#include <ngx_sha1.h>


/*
 * A master that has become a replica goes on taking SPUBLISH, and hands it to
 * the others: what comes that way is in no order with what its successor says,
 * and is heard twice.  A script that may write is refused by a replica, with
 * READONLY.  It names no key, so that it is taken wherever SPUBLISH is: also
 * for a slot that is just being moved, and while slots of others have no owner.
 */

static const char  ngx_wscast_guard_script[] =
    "#!lua flags=allow-oom\n"
    "return redis.call('SPUBLISH', ARGV[1], ARGV[2])";

static const char  ngx_wscast_guard_sharded[] = "*3\r\n$8\r\nSPUBLISH\r\n";

/* Of the guarded command; then come the same name and payload. */
#define NGX_WSCAST_GUARD_LEN                                                  \
    (sizeof("*5\r\n$7\r\nEVALSHA\r\n$40\r\n") - 1 + 40                        \
     + sizeof("\r\n$1\r\n0\r\n") - 1)


static void ngx_wscast_guard_enquire(ngx_wscast_redis_node_t *node,
    const ngx_wscast_redis_command_t *cmd);
static void ngx_wscast_guard_open(ngx_wscast_redis_command_t *cmd);


void
ngx_wscast_guard_init(ngx_wscast_cluster_t *cluster)
{
    ngx_sha1_t  sha1;
    u_char      hash[20];

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, ngx_wscast_guard_script,
                    sizeof(ngx_wscast_guard_script) - 1);
    ngx_sha1_final(hash, &sha1);

    (void) ngx_hex_dump(cluster->guard, hash, sizeof(hash));
}


int
ngx_wscast_guard_words(ngx_wscast_redis_t *redis, const char **argv,
    size_t *lens)
{
    argv[0] = "EVALSHA";
    lens[0] = 7;
    argv[1] = (const char *) redis->cluster->guard;
    lens[1] = sizeof(redis->cluster->guard);
    argv[2] = "0";
    lens[2] = 1;

    return 3;
}


void
ngx_wscast_guard_load(ngx_wscast_redis_node_t *node)
{
    size_t                       lens[3];
    const char                  *argv[3];
    ngx_wscast_redis_command_t   as;

    ngx_memzero(&as, sizeof(ngx_wscast_redis_command_t));
    as.slot = NGX_WSCAST_ANY_SLOT;

    argv[0] = "SCRIPT";
    lens[0] = 6;
    argv[1] = "LOAD";
    lens[1] = 4;
    argv[2] = ngx_wscast_guard_script;
    lens[2] = sizeof(ngx_wscast_guard_script) - 1;

    (void) ngx_wscast_redis_send(node, &as, 3, argv, lens, 1);
}


ngx_wscast_cluster_verdict_e
ngx_wscast_guard_verdict(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_node_t *node, ngx_wscast_redis_command_t *cmd,
    redisReply *reply)
{
    if (ngx_wscast_cluster_is(reply, "READONLY ")) {
        ngx_wscast_cluster_doubt(cluster);

        if (cluster->waiting[cmd->slot] == 0) {
            ngx_wscast_guard_enquire(node, cmd);
        }

        return NGX_WSCAST_CLUSTER_LATER;
    }

    if (ngx_wscast_cluster_is(reply, "NOSCRIPT ") && cmd->tries == 0) {
        ngx_wscast_guard_load(node);
        return NGX_WSCAST_CLUSTER_ELSEWHERE;
    }

    /*
     * This is no replica: it has another slot, no replicas, a full disk, or
     * does not let us call scripts.  What SPUBLISH says to that is the answer.
     */

    ngx_wscast_guard_open(cmd);

    return NGX_WSCAST_CLUSTER_ELSEWHERE;
}


/*
 * A replica says at once, and knows best, who its master is: MOVED is the
 * answer to whatever has a key.  This one is of the slot, and the user may
 * read it.
 */

static void
ngx_wscast_guard_enquire(ngx_wscast_redis_node_t *node,
    const ngx_wscast_redis_command_t *cmd)
{
    char                        *name;
    size_t                       len, lens[2];
    u_char                      *key;
    const char                  *argv[2];
    ngx_wscast_redis_command_t   as;

    len = (size_t) strtol(cmd->bytes + NGX_WSCAST_GUARD_LEN + 1, &name, 10);
    name += 2;

    key = wscast_alloc(len + sizeof("{}:meta"));
    if (key == NULL) {
        return;                         /* the scout has been sent out, too */
    }

    ngx_memzero(&as, sizeof(ngx_wscast_redis_command_t));
    as.slot = cmd->slot;

    argv[0] = "HLEN";
    lens[0] = 4;
    argv[1] = (const char *) key;
    lens[1] = ngx_sprintf(key, "{%*s}:meta", len, name) - key;

    (void) ngx_wscast_redis_send(node, &as, 2, argv, lens, 1);

    wscast_free(key);
}


static void
ngx_wscast_guard_open(ngx_wscast_redis_command_t *cmd)
{
    size_t  len;

    len = sizeof(ngx_wscast_guard_sharded) - 1;

    ngx_memcpy(cmd->bytes, ngx_wscast_guard_sharded, len);
    ngx_memmove(cmd->bytes + len, cmd->bytes + NGX_WSCAST_GUARD_LEN,
                cmd->len - NGX_WSCAST_GUARD_LEN);

    cmd->len -= NGX_WSCAST_GUARD_LEN - len;
    cmd->guarded = 0;
}
