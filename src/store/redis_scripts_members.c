#include "redis_scripts.h"


/*
 * For the scripts of presence.  KEYS: M members, by the id known to the others;
 * C that id of connections with another; O order of joining; L lost members, by
 * deadline; U the same by user; W members by lease.  A member is an array of
 * connection, lease, order, user, info, deadline (0: it is not lost).
 *
 * What finds a member is written before it, and removed after it: if only a
 * part is done (see redis_scripts.c) there are names of no member, removed by
 * whoever finds them, but no member whom nobody finds.
 */

#define HEAD                                                                  \
    "local M, C, O, L, U, W = unpack(KEYS)\n" \
    "local name = ARGV[1]\n" \
    "local t = redis.call('TIME')\n" \
    "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n" \
    "\n" \
    "local function of_user(user, known)\n" \
    "    return struct.pack('>I4', #user) .. user .. known\n" \
    "end\n" \
    "\n" \
    "local function member(known)\n" \
    "    local v = redis.call('HGET', M, known)\n" \
    "    return v and cmsgpack.unpack(v)\n" \
    "end\n" \
    "\n" \
    "local function find(conn)\n" \
    "    local known = redis.call('HGET', C, conn) or conn\n" \
    "    local r = member(known)\n" \
    "    if r and r[1] == conn then\n" \
    "        return known, r\n" \
    "    end\n" \
    "end\n" \
    "\n" \
    "local function keep(known, r)\n" \
    "    if r[1] ~= known then\n" \
    "        redis.call('HSET', C, r[1], known)\n" \
    "    end\n" \
    "    redis.call('HSET', M, known, cmsgpack.pack(r))\n" \
    "end\n" \
    "\n" \
    "local function release(known, r, conn, lease)\n" \
    "    redis.call('ZREM', L, known)\n" \
    "    redis.call('ZREM', U, of_user(r[4], known))\n" \
    "    if r[1] ~= conn then\n" \
    "        redis.call('HDEL', C, r[1])\n" \
    "    end\n" \
    "    if r[2] ~= lease then\n" \
    "        redis.call('ZREM', W, r[2] .. '\\0' .. known)\n" \
    "    end\n" \
    "end\n" \
    "\n" \
    "local function tell(kind, known, r)\n" \
    "    local x = r[1] ~= known and r[1] or ''\n" \
    "    redis.call('PUBLISH', name, struct.pack('>BBBBI8I8I8BBI2I4',\n" \
    "        0, 1, kind, 8, now, 0, 0, #known, #x, #r[4], #r[5])\n" \
    "        .. known .. x .. r[4] .. r[5])\n" \
    "end\n" \
    "\n" \
    "local function remove(known, r)\n" \
    "    redis.call('HDEL', M, known)\n" \
    "    redis.call('ZREM', O, known)\n" \
    "    release(known, r)\n" \
    "    tell(2, known, r)\n" \
    "end\n" \
    "\n" \
    "local function lose(known, r, grace)\n" \
    "    local held = r[2] .. '\\0' .. known\n" \
    "    r[2], r[6] = '', now + grace\n" \
    "    redis.call('ZADD', L, string.format('%.0f', r[6]), known)\n" \
    "    if r[4] ~= '' then\n" \
    "        redis.call('ZADD', U, 0, of_user(r[4], known))\n" \
    "    end\n" \
    "    keep(known, r)\n" \
    "    redis.call('ZREM', W, held)\n" \
    "end\n"


/*
 * ARGV: name, connection, its id before or "", user, info, lease.  Answers the
 * id known to the others, the connection that was replaced or "", 1 if the
 * others were told.
 */

const wscast_str_t  ngx_wscast_script_join = wscast_string(
    HEAD
    "local conn, former, user, info, lease = unpack(ARGV, 2)\n"
    "local known, r = find(conn)\n"
    "local replaced, joined = '', 0\n"
    "\n"
    "if not known and former ~= '' then\n"
    "    local k, o = find(former)\n"
    "    if k and o[4] == user and (o[6] > 0 or user ~= '') then\n"
    "        known, r = k, o\n"
    "        if o[6] == 0 then\n"
    "            replaced = o[1]\n"
    "        end\n"
    "    end\n"
    "end\n"
    "\n"
    "if not known and user ~= '' then\n"
    "    local p = of_user(user, '')\n"
    "    local k = redis.call('ZRANGEBYLEX', U, '[' .. p,\n"
    "        '(' .. p .. '\\255', 'LIMIT', 0, 1)[1]\n"
    "    if k then\n"
    "        known = k:sub(#p + 1)\n"
    "        r = member(known)\n"
    "        if not r or r[6] == 0 then\n"
    "            redis.call('ZREM', U, k)\n"
    "            r = nil\n"
    "        end\n"
    "    end\n"
    "end\n"
    "\n"
    "local seq, before = nil, r\n"
    "\n"
    "if r then\n"
    "    seq = r[3]\n"
    "else\n"
    "    local last = redis.call('ZREVRANGE', O, 0, 0, 'WITHSCORES')[2]\n"
    "    seq = math.max(t[1] * 1000000 + t[2], (last or 0) + 1)\n"
    "    known = conn\n"
    "    while redis.call('HEXISTS', M, known) == 1 do\n"
    "        known = redis.sha1hex(known):sub(1, 16)\n"
    "    end\n"
    "    joined = 1\n"
    "end\n"
    "\n"
    "r = { conn, lease, seq, user, info, 0 }\n"
    "redis.call('ZADD', W, 0, lease .. '\\0' .. known)\n"
    "keep(known, r)\n"
    "redis.call('ZADD', O, string.format('%.0f', seq), known)\n"
    "\n"
    "if before then\n"
    "    release(known, before, conn, lease)\n"
    "end\n"
    "\n"
    "if joined == 1 then\n"
    "    tell(1, known, r)\n"
    "end\n"
    "\n"
    "return { known, replaced, joined }\n");


/*
 * ARGV: name, connection, grace in ms or "": at once.  Answers 1 if it was a
 * member.
 */

const wscast_str_t  ngx_wscast_script_leave = wscast_string(
    HEAD
    "local conn, grace = ARGV[2], ARGV[3]\n"
    "local known, r = find(conn)\n"
    "\n"
    "if not known then\n"
    "    return 0\n"
    "end\n"
    "\n"
    "if grace == '' then\n"
    "    remove(known, r)\n"
    "elseif r[6] == 0 then\n"
    "    lose(known, r, tonumber(grace))\n"
    "else\n"
    "    return 0\n"
    "end\n"
    "\n"
    "return 1\n");


/* ARGV: name, limit.  Answers how many have left, and a deadline or 0. */

const wscast_str_t  ngx_wscast_script_expire = wscast_string(
    HEAD
    "local n = 0\n"
    "\n"
    "for _, known in ipairs(redis.call('ZRANGEBYSCORE', L, '-inf', now,\n"
    "    'LIMIT', 0, ARGV[2])) do\n"
    "    local r = member(known)\n"
    "    if r and r[6] > 0 then\n"
    "        remove(known, r)\n"
    "        n = n + 1\n"
    "    else\n"
    "        redis.call('ZREM', L, known)\n"
    "    end\n"
    "end\n"
    "\n"
    "local next = redis.call('ZRANGE', L, 0, 0, 'WITHSCORES')[2]\n"
    "\n"
    "return { n, tonumber(next or 0) }\n");


/*
 * ARGV: name, the beginning of a lease, grace or "", limit.  Answers how many
 * have left, 1 if there may be others.
 */

const wscast_str_t  ngx_wscast_script_purge = wscast_string(
    HEAD
    "local lease, grace, max = ARGV[2], ARGV[3], tonumber(ARGV[4])\n"
    "local found = redis.call('ZRANGEBYLEX', W, '[' .. lease,\n"
    "    '(' .. lease .. '\\255', 'LIMIT', 0, max)\n"
    "local n = 0\n"
    "\n"
    "for _, x in ipairs(found) do\n"
    "    local known = x:match('%z(.*)')\n"
    "    local r = member(known)\n"
    "    if not r or r[2] .. '\\0' .. known ~= x then\n"
    "        redis.call('ZREM', W, x)\n"
    "    elseif grace == '' then\n"
    "        remove(known, r)\n"
    "        n = n + 1\n"
    "    else\n"
    "        lose(known, r, tonumber(grace))\n"
    "    end\n"
    "end\n"
    "\n"
    "return { n, #found == max and 1 or 0 }\n");


/*
 * KEYS: presence, order.  ARGV: cursor, limit, bytes.  Answers total, next
 * cursor or 0, and of each member the id, the user and the info.
 */

const wscast_str_t  ngx_wscast_script_page = wscast_string(
    "local M, O = KEYS[1], KEYS[2]\n"
    "local cursor = ARGV[1]\n"
    "local limit, bytes = tonumber(ARGV[2]), tonumber(ARGV[3])\n"
    "local at = redis.call('ZRANGEBYSCORE', O, '(' .. cursor, '+inf',\n"
    "    'WITHSCORES', 'LIMIT', 0, limit + 1)\n"
    "local answer = { redis.call('ZCARD', O), 0 }\n"
    "local size, last = 0, 0\n"
    "\n"
    "for i = 1, #at, 2 do\n"
    "    local v = redis.call('HGET', M, at[i])\n"
    "    if (i + 1) / 2 > limit\n"
    "        or (size > 0 and size + #(v or '') > bytes) then\n"
    "        answer[2] = last\n"
    "        break\n"
    "    end\n"
    "    last = tonumber(at[i + 1])\n"
    "    if v then\n"
    "        local r = cmsgpack.unpack(v)\n"
    "        size = size + #v\n"
    "        answer[#answer + 1] = at[i]\n"
    "        answer[#answer + 1] = r[4]\n"
    "        answer[#answer + 1] = r[5]\n"
    "    end\n"
    "end\n"
    "\n"
    "return answer\n");
