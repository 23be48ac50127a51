-- Publishes on a channel with history: docs/redis.md, "Publish from outside".

local stream, meta, key = KEYS[1], KEYS[2], KEYS[3]
local name, body, count, ttl, fresh, known, seen = unpack(ARGV)
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

local function decimal(n)
    return string.format('%.0f', n)
end

if key then
    local first = redis.call('GET', key)
    if first then
        local e, o = first:match('^(%x*) (%d+)$')
        return { e or '', tonumber(o) or 0, 1, 0 }
    end
end

count, ttl = tonumber(count), tonumber(ttl)

if count == 0 then
    if key then
        redis.call('SET', key, ' 0', 'PX', 300000)
    end
    return { '', 0, 0, redis.call('PUBLISH', name, body) }
end

if body:byte(1) ~= 0 then
    local rest = body
    for _, p in ipairs({ '\240[\144-\191][\128-\191][\128-\191]',
        '[\241-\243][\128-\191][\128-\191][\128-\191]',
        '\244[\128-\143][\128-\191][\128-\191]',
        '\224[\160-\191][\128-\191]',
        '\237[\128-\159][\128-\191]',
        '[\225-\236\238\239][\128-\191][\128-\191]',
        '[\194-\223][\128-\191]' }) do
        rest = rest:gsub(p, 'x')
    end
    body = struct.pack('>BBBBI8I8I8I8', 0, 1, 0,
        rest:find('[\128-\255]') and 1 or 0, now, 0, 0, 0) .. body
elseif #body < 36 then
    return redis.error_reply('ERR not an envelope')
end

local epoch = redis.call('HGET', meta, 'e')

if not epoch then
    epoch = fresh
    redis.call('DEL', stream)
    redis.call('HSET', meta, 'e', epoch, 'o', 0)
elseif epoch == known
    and (tonumber(redis.call('HGET', meta, 'o')) or 0) < tonumber(seen)
then
    epoch = fresh
    redis.call('HSET', meta, 'e', epoch)
end

local offset = redis.call('HINCRBY', meta, 'o', 1)

local function envelope()
    return body:sub(1, 3) .. string.char(bit.bor(body:byte(4), 4))
        .. body:sub(5, 12) .. epoch:gsub('%x%x', function (x)
            return string.char(tonumber(x, 16)) end)
        .. struct.pack('>I8', offset) .. body:sub(29)
end

local function add(m)
    return redis.pcall('XADD', stream, 'MAXLEN', '=', count,
        decimal(offset) .. '-0', decimal(now), m)
end

local m = envelope()
local id = add(m)

if type(id) == 'table' and id.err then
    epoch, offset = fresh, 1
    redis.call('DEL', stream)
    redis.call('HSET', meta, 'e', epoch, 'o', offset)
    m = envelope()
    add(m)
end

local function expired(n)
    local last
    local head = redis.call('XRANGE', stream, '-', '+', 'COUNT', n)
    for _, x in ipairs(head) do
        if tonumber(x[2][1]) >= now - ttl then break end
        last = tonumber(x[1]:match('^%d+')) + 1
    end
    return last
end

local kept = offset % 8 == 0 and expired(1) and expired(16)
if kept then
    redis.call('XTRIM', stream, 'MINID', '=', decimal(kept))
end

redis.call('PEXPIRE', stream, ttl)
redis.call('PEXPIRE', meta, ttl + 604800000)

if key then
    redis.call('SET', key, epoch .. ' ' .. decimal(offset),
        'PX', 300000)
end

return { epoch, offset, 0, redis.call('PUBLISH', name, m) }
