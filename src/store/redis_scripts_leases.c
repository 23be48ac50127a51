#include "redis_scripts.h"


/* For the scripts of leases: Redis' time, ms. */

#define NOW                                                                   \
    "local t = redis.call('TIME')\n" \
    "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n" \
    "local function ms(n)\n" \
    "    return string.format('%.0f', n)\n" \
    "end\n"


/* KEYS: leases, owned.  ARGV: lease, life, create.  Answers 0: it is dead. */

const wscast_str_t  ngx_wscast_script_renew = wscast_string(
    NOW
    "local leases, owned = KEYS[1], KEYS[2]\n"
    "local lease, life, create = ARGV[1], tonumber(ARGV[2]), ARGV[3]\n"
    "\n"
    "if create == '1' then\n"
    "    redis.call('SADD', owned, lease)\n"
    "elseif redis.call('SISMEMBER', owned, lease) == 0 then\n"
    "    return 0\n"
    "end\n"
    "\n"
    "redis.call('ZADD', leases, ms(now + life), lease)\n"
    "\n"
    "return 1\n");


/*
 * Before each join: even if a worker's last commands come in after its lease
 * was purged, the lease is found again.  KEYS: leases, the lease's channels.
 * ARGV: lease, life, channel.
 */

const wscast_str_t  ngx_wscast_script_note = wscast_string(
    NOW
    "local leases, channels = KEYS[1], KEYS[2]\n"
    "local lease, life, channel = ARGV[1], tonumber(ARGV[2]), ARGV[3]\n"
    "\n"
    "redis.call('ZADD', leases, 'NX', ms(now + life), lease)\n"
    "\n"
    "return redis.call('SADD', channels, channel)\n");


/*
 * When none of the lease is on a channel any more.  KEYS: the lease's channels.
 * ARGV: channel.
 */

const wscast_str_t  ngx_wscast_script_unnote = wscast_string(
    "return redis.call('SREM', KEYS[1], ARGV[1])\n");


/* Before members are lost.  KEYS: lost, version.  ARGV: channel, grace. */

const wscast_str_t  ngx_wscast_script_miss = wscast_string(
    NOW
    "local lost, version = KEYS[1], KEYS[2]\n"
    "local channel, grace = ARGV[1], tonumber(ARGV[2])\n"
    "\n"
    "redis.call('ZADD', lost, 'LT', ms(now + grace), channel)\n"
    "redis.call('HSET', version, channel,\n"
    "    redis.call('HINCRBY', version, '', 1))\n"
    "\n"
    "return 1\n");


/*
 * Who asks gets, for `hold` ms, work that is due: a dead lease (or ""), then
 * channels with lost members whose time is up, each with its version.  KEYS:
 * leases, owned, dead, lost, version.  ARGV: hold, limit, 1 if a lease is
 * wanted.
 */

const wscast_str_t  ngx_wscast_script_poll = wscast_string(
    NOW
    "local leases, owned, dead, lost, version = unpack(KEYS)\n"
    "local hold, max, lease = tonumber(ARGV[1]), ARGV[2], nil\n"
    "\n"
    "if ARGV[3] == '1' then\n"
    "    lease = redis.call('ZRANGEBYSCORE', dead, '-inf', now,\n"
    "        'LIMIT', 0, 1)[1]\n"
    "    if not lease then\n"
    "        lease = redis.call('ZRANGEBYSCORE', leases, '-inf', now,\n"
    "            'LIMIT', 0, 1)[1]\n"
    "    end\n"
    "    if lease then\n"
    "        redis.call('ZADD', dead, ms(now + hold), lease)\n"
    "        redis.call('ZREM', leases, lease)\n"
    "        redis.call('SREM', owned, lease)\n"
    "    end\n"
    "end\n"
    "\n"
    "local answer = { lease or '' }\n"
    "\n"
    "for _, c in ipairs(redis.call('ZRANGEBYSCORE', lost, '-inf', now,\n"
    "    'LIMIT', 0, max)) do\n"
    "    redis.call('ZADD', lost, ms(now + hold), c)\n"
    "    answer[#answer + 1] = c\n"
    "    answer[#answer + 1] = redis.call('HGET', version, c) or ''\n"
    "end\n"
    "\n"
    "return answer\n");


/*
 * After an expiry, unless somebody was lost meanwhile.  KEYS: lost, version.
 * ARGV: channel, its version, the next deadline or 0.
 */

const wscast_str_t  ngx_wscast_script_settle = wscast_string(
    "local lost, version = KEYS[1], KEYS[2]\n"
    "local channel, seen, next = unpack(ARGV)\n"
    "\n"
    "if (redis.call('HGET', version, channel) or '') ~= seen then\n"
    "    return 0\n"
    "end\n"
    "\n"
    "if next == '0' then\n"
    "    redis.call('ZREM', lost, channel)\n"
    "    redis.call('HDEL', version, channel)\n"
    "else\n"
    "    redis.call('ZADD', lost, next, channel)\n"
    "end\n"
    "\n"
    "return 1\n");


/*
 * Declares a lease dead, the first whose name begins so, and answers it, or "".
 * KEYS: leases, owned, dead.  ARGV: beginning, hold.
 */

const wscast_str_t  ngx_wscast_script_bury = wscast_string(
    NOW
    "local leases, owned, dead = unpack(KEYS)\n"
    "local whose, hold = ARGV[1], tonumber(ARGV[2])\n"
    "\n"
    "for _, lease in ipairs(redis.call('ZRANGE', leases, 0, -1)) do\n"
    "    if lease:sub(1, #whose) == whose then\n"
    "        redis.call('ZADD', dead, ms(now + hold), lease)\n"
    "        redis.call('ZREM', leases, lease)\n"
    "        redis.call('SREM', owned, lease)\n"
    "        return lease\n"
    "    end\n"
    "end\n"
    "\n"
    "return ''\n");


/*
 * Answers channels of a dead lease; none: all is done, and it is forgotten.
 * KEYS: dead, the lease's channels.  ARGV: lease, hold, limit, and channels
 * that are done.
 */

const wscast_str_t  ngx_wscast_script_channels = wscast_string(
    NOW
    "local dead, channels = KEYS[1], KEYS[2]\n"
    "local lease, hold, max = ARGV[1], tonumber(ARGV[2]), ARGV[3]\n"
    "\n"
    "for i = 4, #ARGV do\n"
    "    redis.call('SREM', channels, ARGV[i])\n"
    "end\n"
    "\n"
    "local left = redis.call('SRANDMEMBER', channels, max)\n"
    "\n"
    "if #left == 0 then\n"
    "    redis.call('ZREM', dead, lease)\n"
    "else\n"
    "    redis.call('ZADD', dead, ms(now + hold), lease)\n"
    "end\n"
    "\n"
    "return left\n");
