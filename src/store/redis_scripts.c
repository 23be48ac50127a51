#include "redis_scripts.h"


/*
 * What is decided in Redis is decided here, atomically, one channel at a time.
 * All keys of a script lie in one slot.  Numbers are doubles: epochs are text.
 *
 * A script with several writes is a MULTI in the append only file.  If Redis is
 * killed inside of it some of its commands may be done later: at the restart
 * after the next one, just before what was written next.  So no command here
 * depends on one before it, what makes others count comes last, and removals of
 * nothing, which are not written, mend nothing.
 */


/*
 * Whether the last entry that the caller knows is another one here: Redis has
 * given its offset out again.
 */

#define ANOTHER                                                               \
    "local function another()\n"                                              \
    "    local x = time\n"                                                    \
    "        and redis.call('XREVRANGE', stream, seen, seen, 'COUNT', 1)[1]\n"\
    "    return x and x[2][2]:sub(5, 12) ~= time\n"                           \
    "end\n"


/*
 * KEYS: stream, meta, and the key's if there is one.  ARGV: name in Pub/Sub,
 * envelope or plain data, messages kept at most, their ttl in ms, an epoch for
 * a channel that has none, and, if the caller knows, epoch and offset that the
 * channel had already: if Redis has less it has lost the end, and another epoch
 * begins; and the time in the envelope that was there, 8 bytes: so if Redis has
 * another there, since it has given the offset out again.  Answers epoch,
 * offset, 1 if the key was known, receivers.
 *
 * An entry of the stream has the id OFFSET-TIME and one field: the time of
 * Redis, ms, with the envelope.  HSET, the last write, is what makes it count:
 * what is behind the offset of meta was never published, and of two entries
 * with one offset the first was not.  A key names the entry, so that one that
 * names what was not published is not believed.
 */

const wscast_str_t  ngx_wscast_script_publish = wscast_string(
    "local stream, meta, key = KEYS[1], KEYS[2], KEYS[3]\n"
    "local name, body, count, ttl, fresh, known, seen, time = unpack(ARGV)\n"
    "local t = redis.call('TIME')\n"
    "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
    "\n"
    "local function decimal(n)\n"
    "    return string.format('%.0f', n)\n"
    "end\n"
    "\n"
    "local epoch, offset\n"
    "\n"
    "count, ttl = tonumber(count), tonumber(ttl)\n"
    "\n"
    "if count > 0 then\n"
    "    epoch, offset = unpack(redis.call('HMGET', meta, 'e', 'o'))\n"
    "    offset = tonumber(offset) or 0\n"
    "end\n"
    "\n"
    "local function is_there(e, o, id)\n"
    "    local x = redis.call('XREVRANGE', stream, o, o, 'COUNT', 1)[1]\n"
    "    if x and x[1] ~= id then return false end\n"
    "    return e ~= epoch or tonumber(o) <= offset\n"
    "end\n"
    "\n"
    "local first = key and redis.call('GET', key)\n"
    "if first then\n"
    "    local e, id, o = first:match('^(%x*) ((%d+)%-?%d*)$')\n"
    "    if not e or e == '' or is_there(e, o, id) then\n"
    "        return { e or '', tonumber(o) or 0, 1, 0 }\n"
    "    end\n"
    "end\n"
    "\n"
    "if count == 0 then\n"
    "    if key then\n"
    "        redis.call('SET', key, ' 0', 'PX', 300000)\n"
    "    end\n"
    "    return { '', 0, 0, redis.call('PUBLISH', name, body) }\n"
    "end\n"
    "\n"
    "if body:byte(1) ~= 0 then\n"
    "    local rest = body\n"
    "    for _, p in ipairs({ '\\240[\\144-\\191][\\128-\\191][\\128-\\191]',\n"
    "        '[\\241-\\243][\\128-\\191][\\128-\\191][\\128-\\191]',\n"
    "        '\\244[\\128-\\143][\\128-\\191][\\128-\\191]',\n"
    "        '\\224[\\160-\\191][\\128-\\191]',\n"
    "        '\\237[\\128-\\159][\\128-\\191]',\n"
    "        '[\\225-\\236\\238\\239][\\128-\\191][\\128-\\191]',\n"
    "        '[\\194-\\223][\\128-\\191]' }) do\n"
    "        rest = rest:gsub(p, 'x')\n"
    "    end\n"
    "    body = struct.pack('>BBBBI8I8I8I8', 0, 1, 0,\n"
    "        rest:find('[\\128-\\255]') and 1 or 0, now, 0, 0, 0) .. body\n"
    "elseif #body < 36 then\n"
    "    return redis.error_reply('ERR not an envelope')\n"
    "end\n"
    "\n"
    ANOTHER
    "\n"
    "local new = not epoch\n"
    "\n"
    "if new then\n"
    "    epoch, offset = fresh, 0\n"
    "    redis.call('DEL', stream)\n"
    "elseif epoch == known and (offset < tonumber(seen) or another()) then\n"
    "    epoch = fresh\n"
    "end\n"
    "\n"
    "offset = offset + 1\n"
    "\n"
    "local function envelope()\n"
    "    return body:sub(1, 3) .. string.char(bit.bor(body:byte(4), 4))\n"
    "        .. body:sub(5, 12) .. epoch:gsub('%x%x', function (x)\n"
    "            return string.char(tonumber(x, 16)) end)\n"
    "        .. struct.pack('>I8', offset) .. body:sub(29)\n"
    "end\n"
    "\n"
    "local m, id\n"
    "\n"
    "local function add()\n"
    "    m, id = envelope(), decimal(offset) .. '-' .. decimal(now)\n"
    "    local r = redis.pcall('XADD', stream, 'MAXLEN', '=', count, id,\n"
    "        decimal(now), m)\n"
    "    return type(r) ~= 'table' or not r.err\n"
    "end\n"
    "\n"
    "if not add() then\n"
    "    epoch, offset = fresh, 1\n"
    "    redis.call('DEL', stream)\n"
    "    add()\n"
    "end\n"
    "\n"
    "local function expired(n)\n"
    "    local last\n"
    "    local head = redis.call('XRANGE', stream, '-', '+', 'COUNT', n)\n"
    "    for _, x in ipairs(head) do\n"
    "        if tonumber(x[2][1]) >= now - ttl then break end\n"
    "        last = tonumber(x[1]:match('^%d+')) + 1\n"
    "    end\n"
    "    return last\n"
    "end\n"
    "\n"
    "local kept = offset % 8 == 0 and expired(1) and expired(16)\n"
    "if kept then\n"
    "    redis.call('XTRIM', stream, 'MINID', '=', decimal(kept))\n"
    "end\n"
    "\n"
    "redis.call('PEXPIRE', stream, ttl)\n"
    "\n"
    "if key then\n"
    "    redis.call('SET', key, epoch .. ' ' .. id, 'PX', 300000)\n"
    "end\n"
    "\n"
    "local function keep_meta()\n"
    "    redis.call('PEXPIRE', meta, ttl + 604800000)\n"
    "end\n"
    "\n"
    "if not new then keep_meta() end\n"
    "redis.call('HSET', meta, 'e', epoch, 'o', decimal(offset))\n"
    "if new then keep_meta() end\n"
    "\n"
    "return { epoch, offset, 0, redis.call('PUBLISH', name, m) }\n");


/*
 * KEYS: meta, and with a time: stream.  ARGV: a fresh epoch, ttl, and as above
 * epoch and offset that the channel had already, and the time.  Answers epoch,
 * offset.
 */

const wscast_str_t  ngx_wscast_script_position = wscast_string(
    "local meta, stream = KEYS[1], KEYS[2]\n"
    "local fresh, ttl, known, seen, time = unpack(ARGV)\n"
    "local e, o = unpack(redis.call('HMGET', meta, 'e', 'o'))\n"
    "\n"
    "if not e then\n"
    "    e, o = fresh, 0\n"
    "    redis.call('HSET', meta, 'e', e, 'o', o)\n"
    "end\n"
    "\n"
    "redis.call('PEXPIRE', meta, ttl + 604800000)\n"
    "\n"
    ANOTHER
    "\n"
    "if e == known\n"
    "    and ((tonumber(o) or 0) < tonumber(seen) or another())\n"
    "then\n"
    "    e = fresh\n"
    "    redis.call('HSET', meta, 'e', e, 'o', o or 0)\n"
    "end\n"
    "\n"
    "return { e, tonumber(o) or 0 }\n");


/*
 * KEYS: stream, meta.  ARGV: after, upto, newest, limit, bytes, ttl.  Answers
 * epoch ("": unknown), offset, 1 if there is more, and the envelopes, which
 * belong to this epoch even if they were published in one before.
 */

const wscast_str_t  ngx_wscast_script_range = wscast_string(
    "local stream, meta = KEYS[1], KEYS[2]\n"
    "local after, upto, newest, limit, bytes, ttl = unpack(ARGV)\n"
    "local t = redis.call('TIME')\n"
    "local old = t[1] * 1000 + math.floor(t[2] / 1000) - ttl\n"
    "\n"
    "local function id(n)\n"
    "    return string.format('%.0f', n)\n"
    "end\n"
    "\n"
    "while true do\n"
    "    local head = redis.call('XRANGE', stream, '-', '+', 'COUNT', 32)\n"
    "    local kept\n"
    "    for _, x in ipairs(head) do\n"
    "        if tonumber(x[2][1]) >= old then break end\n"
    "        kept = tonumber(x[1]:match('^%d+')) + 1\n"
    "    end\n"
    "    if not kept then break end\n"
    "    redis.call('XTRIM', stream, 'MINID', '=', id(kept))\n"
    "end\n"
    "\n"
    "local e, o = unpack(redis.call('HMGET', meta, 'e', 'o'))\n"
    "local out, found, size, more = {}, 0, 0, 0\n"
    "\n"
    "if not e then\n"
    "    return { '', 0, 0 }\n"
    "end\n"
    "\n"
    "local stamp = e:gsub('%x%x', function (x)\n"
    "    return string.char(tonumber(x, 16)) end)\n"
    "\n"
    "limit, bytes, newest = tonumber(limit), tonumber(bytes), newest == '1'\n"
    "\n"
    "local lo, hi = id(after + 1), tonumber(o) or 0\n"
    "if upto ~= '0' then hi = math.min(hi, tonumber(upto)) end\n"
    "hi = id(hi)\n"
    "local n, last\n"
    "\n"
    "repeat\n"
    "    n = 0\n"
    "    for _, x in ipairs(newest\n"
    "        and redis.call('XREVRANGE', stream, hi, lo, 'COUNT', 32)\n"
    "        or redis.call('XRANGE', stream, lo, hi, 'COUNT', 32)) do\n"
    "        local m, offset = x[2][2], x[1]:match('^%d+')\n"
    "        local twin = offset == last\n"
    "        if not twin then\n"
    "            if found == limit or (found > 0 and size + #m > bytes) then\n"
    "                more = 1\n"
    "                break\n"
    "            end\n"
    "            found = found + 1\n"
    "        end\n"
    "        if not (twin and newest) then\n"
    "            size = size + #m\n"
    "            out[found] = m:sub(1, 12) .. stamp .. m:sub(21)\n"
    "        end\n"
    "        n, last = n + 1, offset\n"
    "        if newest then\n"
    "            hi = '(' .. x[1]\n"
    "        else\n"
    "            lo = '(' .. x[1]\n"
    "        end\n"
    "    end\n"
    "until n < 32 or more == 1\n"
    "\n"
    "local answer = { e, tonumber(o) or 0, more }\n"
    "for i = 1, found do\n"
    "    answer[3 + i] = out[newest and found + 1 - i or i]\n"
    "end\n"
    "\n"
    "return answer\n");


/* KEYS: stream, meta.  Answers epoch ("": unknown), offset. */

const wscast_str_t  ngx_wscast_script_forget = wscast_string(
    "redis.call('DEL', KEYS[1])\n"
    "\n"
    "local e, o = unpack(redis.call('HMGET', KEYS[2], 'e', 'o'))\n"
    "\n"
    "return { e or '', tonumber(o) or 0 }\n");


#define X(name, lower)  &ngx_wscast_script_##lower,

static const wscast_str_t *const  ngx_wscast_script_table[] = {
    NGX_WSCAST_SCRIPT_TABLE(X)
};

#undef X


wscast_str_t
ngx_wscast_script(ngx_wscast_script_e script)
{
    return *ngx_wscast_script_table[script];
}
