-- Publishes on a channel with history: docs/redis.md, "Publish from outside".

local stream, meta, key = KEYS[1], KEYS[2], KEYS[3]
local name, body, count, ttl, fresh, known, seen, time = unpack(ARGV)
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

local function decimal(n)
    return string.format('%.0f', n)
end

local epoch, offset

count, ttl = tonumber(count), tonumber(ttl)

if count > 0 then
    epoch, offset = unpack(redis.call('HMGET', meta, 'e', 'o'))
    offset = tonumber(offset) or 0
end

local function is_there(e, o, id)
    local x = redis.call('XREVRANGE', stream, o, o, 'COUNT', 1)[1]
    if x and x[1] ~= id then return false end
    return e ~= epoch or tonumber(o) <= offset
end

local first = key and redis.call('GET', key)
if first then
    local e, id, o = first:match('^(%x*) ((%d+)%-?%d*)$')
    if not e or e == '' or is_there(e, o, id) then
        return { e or '', tonumber(o) or 0, 1, 0 }
    end
end

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

local function another()
    local x = time
        and redis.call('XREVRANGE', stream, seen, seen, 'COUNT', 1)[1]
    return x and x[2][2]:sub(5, 12) ~= time
end

local new = not epoch

if new then
    epoch, offset = fresh, 0
    redis.call('DEL', stream)
elseif epoch == known and (offset < tonumber(seen) or another()) then
    epoch = fresh
end

offset = offset + 1

local function envelope()
    return body:sub(1, 3) .. string.char(bit.bor(body:byte(4), 4))
        .. body:sub(5, 12) .. epoch:gsub('%x%x', function (x)
            return string.char(tonumber(x, 16)) end)
        .. struct.pack('>I8', offset) .. body:sub(29)
end

local m, id

local function add()
    m, id = envelope(), decimal(offset) .. '-' .. decimal(now)
    local r = redis.pcall('XADD', stream, 'MAXLEN', '=', count, id,
        decimal(now), m)
    return type(r) ~= 'table' or not r.err
end

if not add() then
    epoch, offset = fresh, 1
    redis.call('DEL', stream)
    add()
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

if key then
    redis.call('SET', key, epoch .. ' ' .. id, 'PX', 300000)
end

local function keep_meta()
    redis.call('PEXPIRE', meta, ttl + 604800000)
end

if not new then keep_meta() end
redis.call('HSET', meta, 'e', epoch, 'o', decimal(offset))
if new then keep_meta() end

return { epoch, offset, 0, redis.call('PUBLISH', name, m) }
