-- The ledger's rules (ledger.py, metering.py), in one step on the server. Everything is read and
-- worked out before anything is written, so that an unreadable record changes nothing.
--
-- KEYS: the record that all meters share, then one a report.
-- ARGV: the owner; the claim; the length of what the keys of meters begin with; numbers as doubles
-- (redis_script.py packs them); then texts: the claims that reports drop, and what to freeze.

local floor, max, min, format = math.floor, math.max, math.min, string.format
local unpack_ = struct.unpack
local GRANTED, WAIT, FROZEN, STALE, LOST, STEPPED = 0, 1, 2, 3, 4, 5
local CALENDAR, DECAYING = 1, 2
local TOLERANCE, SWEEPS, MOST, MOST_SUBWINDOWS = 50000, 4, 9007199254740992, 1000000
local STATE_KEPT_US = 31 * 86400 * 1000000

local owner, claim, begins = ARGV[1], ARGV[2], tonumber(ARGV[3])
local packed, texts_at = ARGV[4], 5
local mine = '@' .. owner

local function number(value, name)
    if not value then return 0 end
    local n = tonumber(value)
    if not n or n ~= floor(n) or n >= MOST or n <= -MOST then
        error('unreadable record: ' .. name .. ' is no whole number')
    end
    return n
end

local function text(n) return format('%.0f', n) end

local function stamp(value)
    if not value then return 0, 0 end
    local seq, heard = string.match(value, '^(%d+):(%d+)$')
    if not seq then error('unreadable record: an owner is no stamp') end
    return number(seq, 'seq'), number(heard, 'heard')
end

local seq, acked, lease, waited, claim_us, wanted_ahead, grace, latest, known_shift, stepped, is_lost, is_look,
    n_reports, n_asks, n_learned, n_freezes, at = unpack_('<dddddddddddddddd', packed)

-- Time and owners ---------------------------------------------------------------------------------

local time = redis.call('TIME')
local raw = tonumber(time[1]) * 1000000 + tonumber(time[2])
local state = redis.call('HMGET', KEYS[1],
    'last', 'shift', 'anchor', 'lost', 'clean', 'frozen', 'kept', mine, 'born')
local last, shift, anchor = number(state[1], 'last'), number(state[2], 'shift'),
    number(state[3], 'anchor')
local lost, clean, frozen = number(state[4], 'lost'), number(state[5], 'clean'), state[6] or ''
local heard_seq = stamp(state[8])
local was_shift, was_lost, was_frozen = shift, lost, frozen

if seq <= heard_seq then return {STALE, 0, 0, raw, shift, 0} end
if latest ~= 0 and known_shift == shift then
    if stepped ~= 0 then
        shift = shift + stepped
    elseif raw > latest then
        return {STEPPED, 0, 0, raw, shift, 0}
    end
end
if heard_seq < acked and is_lost == 0 then return {LOST, 0, 0, raw, was_shift, 0} end
if raw + shift < last - TOLERANCE then shift = last - raw end
local now = max(raw + shift, last)
local born, was_born, was_anchor = number(state[9], 'born'), number(state[9], 'born'), anchor
if last == 0 then born = now end
if shift ~= anchor and heard_seq == 0 then
    local is_alone, all = true, redis.call('HGETALL', KEYS[1])
    for i = 1, #all, 2 do
        if string.sub(all[i], 1, 1) == '@' then
            local _, heard = stamp(all[i + 1])
            if heard + lease > now then is_alone = false end
        end
    end
    if is_alone then anchor = shift end
end
local is_doubtful = math.abs(shift - anchor) > TOLERANCE
if is_lost ~= 0 then lost = now end

-- One meter: metering.py --------------------------------------------------------------------------

local NAMES = {'grain', 'total', 'first', 'last', 'tat', 'open', 'sweep', 'lost', 'theirs', 'told', mine}
local meters = {}

local function load(key)
    local m = {key = key, was = {}, buckets = {}, deltas = {}, deleted = {}}
    local found = redis.call('HMGET', key, 'grain', 'total', 'first', 'last', 'tat', 'open', 'sweep',
        'lost', 'theirs', 'told', mine, 'claims', 'kept')
    for i = 1, 11 do
        local name = NAMES[i]
        local value = number(found[i], name)
        m[name] = value
        m.was[name] = found[i] and value
    end
    m.claims = found[12] or ''
    m.had_claims = m.claims
    m.kept = number(found[13], 'kept')
    return m
end

local function bucket(m, index)
    if m.is_cleared then return m.deltas[index] or 0 end
    local known = m.buckets[index]
    if known == nil then
        known = number(redis.call('HGET', m.key, '#' .. text(index)), 'a sub-window')
        m.buckets[index] = known
    end
    return known + (m.deltas[index] or 0)
end

local function expiry(m, index)
    local ends = (index + 1) * m.grain_us
    if m.kind ~= CALENDAR then return ends + m.length + m.jitter end
    if is_doubtful then
        return ends + m.length + 2 * m.jitter
    end
    local boundary = -floor(-(ends + m.jitter - shift) / m.length) * m.length
    return boundary + m.jitter + shift
end

local function cost(m, amount)
    return amount * floor(m.length / m.size) - floor(-(amount * (m.length % m.size)) / m.size)
end

local function date(m, left, amount)
    if amount == 0 then return end
    if m.grain_us == 0 then
        m.tat = max(m.tat, left) + cost(m, amount)
        return
    end
    local index = floor(left / m.grain_us)
    if expiry(m, index) <= now then return end
    if m.total == 0 then
        m.first, m.last = index, index
    else
        m.first, m.last = min(m.first, index), max(m.last, index)
    end
    m.total = m.total + amount
    m.deltas[index] = (m.deltas[index] or 0) + amount
end

local function regrain(m)
    if m.was.grain then
        local counted = m.size
        if m.grain ~= 0 and m.grain_us ~= 0 then counted = m.total end
        -- Their fields go when everything is written.
        m.is_cleared, m.total, m.tat = true, 0, 0
        date(m, now, counted)
    end
    m.grain = m.grain_us
end

local function expire(m)
    if m.total ~= 0 and (m.last < m.first or m.last - m.first > MOST_SUBWINDOWS) then
        error('unreadable record: its sub-windows have no order')
    end
    while m.total > 0 and expiry(m, m.first) <= now do
        m.total = m.total - bucket(m, m.first)
        if m.deltas[m.first] then m.deltas[m.first] = nil end
        m.deleted[#m.deleted + 1] = '#' .. text(m.first)
        m.buckets[m.first] = 0
        m.first = m.first + 1
        if m.total > 0 and m.first > m.last then
            error('unreadable record: its sub-windows do not add up')
        end
    end
end

local function debt(m) return max(0, m.tat + m.jitter - now) end

local function lacking(m, wanted)
    if m.grain_us == 0 then return debt(m) + cost(m, m.open + wanted) - m.length end
    return m.total + m.open + wanted - m.size
end

local function when(m, wanted)
    local lack = lacking(m, wanted)
    if m.grain_us == 0 then return now + lack end
    if m.total > 0 then
        for index = m.first, m.last do
            lack = lack - bucket(m, index)
            if lack <= 0 then return expiry(m, index) end
        end
    end
    local turns = floor(max(lack - m.open - 1, 0) / m.size)
    return expiry(m, floor(now / m.grain_us)) + turns * m.length
end

local function used(m)
    if m.grain_us == 0 then return m.open - floor(-debt(m) * m.size / m.length) end
    return m.total + m.open
end

-- Claims and freezes: texts -----------------------------------------------------------------------

local function claims(m)
    local found = {}
    for item in string.gmatch(m.claims, '([^;]*);') do
        local name, ticket, amount, till = string.match(item, '^(%w+)=(%-?%d+):(%d+):(%d+)$')
        if not name then error('unreadable record: claims') end
        found[#found + 1] = {name = name, ticket = number(ticket, 'a claim'),
            amount = number(amount, 'a claim'), till = number(till, 'a claim')}
    end
    return found
end

local function comes_before(a, b)
    return a.ticket < b.ticket or (a.ticket == b.ticket and a.name < b.name)
end

local function put_claims(m, kept)
    table.sort(kept, comes_before)
    local parts = {}
    for i, c in ipairs(kept) do
        parts[i] = c.name .. '=' .. text(c.ticket) .. ':' .. text(c.amount) .. ':' .. text(c.till) .. ';'
    end
    m.claims = table.concat(parts)
end

local function frozen_until(key)
    local till = 0
    for prefix, ends in string.gmatch(frozen, '([^=;]*)=(%d+);') do
        if string.sub(key, begins + 1, begins + #prefix) == prefix then
            till = max(till, number(ends, 'frozen'))
        end
    end
    return till
end

-- What the call says ------------------------------------------------------------------------------

local function sweep(m)
    m.sweep = now + floor(lease / SWEEPS)
    local all = redis.call('HGETALL', m.key)
    for i = 1, #all, 2 do
        local name = all[i]
        if string.sub(name, 1, 1) == '@' and name ~= mine then
            local _, heard = stamp(redis.call('HGET', KEYS[1], name))
            if heard + lease <= now then
                local amount = number(all[i + 1], name)
                m.deleted[#m.deleted + 1] = name
                m.open = m.open - amount
                date(m, now, amount)
            end
        end
    end
end

for i = 1, n_reports do
    local m = load(KEYS[i + 1])
    meters[i] = m
    local open, n_departures, n_dropped
    m.kind, m.length, m.jitter, m.size, m.grain_us, open, n_departures, n_dropped, at =
        unpack_('<dddddddd', packed, at)
    if not m.was.grain or m.grain ~= m.grain_us then regrain(m) end
    expire(m)
    if m.lost < lost then
        m.lost = lost
        date(m, lost, m.size)
    end
    for _ = 1, n_departures do
        local first_told, age, amount
        first_told, age, amount, at = unpack_('<ddd', packed, at)
        if first_told > heard_seq then date(m, now - age, amount) end
    end
    m.open = m.open - m[mine] + open
    m[mine] = open
    if n_dropped > 0 then
        local dropped = {}
        for _ = 1, n_dropped do
            dropped[ARGV[texts_at]] = true
            texts_at = texts_at + 1
        end
        if m.claims ~= '' then
            local kept = {}
            for _, c in ipairs(claims(m)) do
                if not dropped[c.name] then kept[#kept + 1] = c end
            end
            put_claims(m, kept)
        end
    end
    if now >= m.sweep then sweep(m) end
end

local asks = {}
for i = 1, n_asks do
    local a = {}
    a.meter, a.amount, a.spare, at = unpack_('<ddd', packed, at)
    asks[i] = a
end

for _ = 1, n_learned do
    local index, spare, theirs, age
    index, spare, theirs, age, at = unpack_('<dddd', packed, at)
    local m = meters[index + 1]
    local wall = now - shift
    if m.kind ~= CALENDAR or is_doubtful or floor((wall - age - 2 * m.jitter) / m.length)
        == floor((wall + m.jitter) / m.length) then
        local ours = used(m)
        if spare >= 0 then ours = ours + used(meters[spare + 1]) end
        m.theirs, m.told = theirs, now + m.length
        if theirs > ours then date(m, now, theirs - ours) end
    end
end

if n_freezes > 0 then
    local order, till = {}, {}
    for prefix, ends in string.gmatch(frozen, '([^=;]*)=(%d+);') do
        if number(ends, 'frozen') > now then
            order[#order + 1] = prefix
            till[prefix] = number(ends, 'frozen')
        end
    end
    for _ = 1, n_freezes do
        local length
        length, at = unpack_('<d', packed, at)
        local prefix = ARGV[texts_at]
        texts_at = texts_at + 1
        if not till[prefix] then order[#order + 1] = prefix end
        till[prefix] = max(till[prefix] or 0, now + length)
    end
    local parts = {}
    for i, prefix in ipairs(order) do parts[i] = prefix .. '=' .. text(till[prefix]) .. ';' end
    frozen = table.concat(parts)
end

-- The question ------------------------------------------------------------------------------------

local function ahead(m, ticket)
    if m.claims == '' then return 0 end
    local sum, me = 0, {ticket = ticket, name = claim}
    for _, c in ipairs(claims(m)) do
        if comes_before(c, me) and c.till >= now and c.name ~= claim then sum = sum + c.amount end
    end
    return sum
end

local function put_claim(m, a, ticket, due, is_blocked, is_over)
    if not is_blocked and m.claims == '' then return end
    local kept, was_there = {}, false
    for _, c in ipairs(claims(m)) do
        if c.name == claim then
            was_there = true
        elseif c.till >= now then
            kept[#kept + 1] = c
        end
    end
    if is_blocked or (was_there and not is_over) then
        kept[#kept + 1] = {name = claim, ticket = ticket, amount = a.amount, till = due + claim_us}
    end
    put_claims(m, kept)
end

local status, wait, bits = GRANTED, 0, 0
if n_asks > 0 then
    local till, bit_ = 0, 1
    if frozen ~= '' then
        for _, a in ipairs(asks) do
            local ends = frozen_until(KEYS[a.meter + 2])
            till = max(till, ends)
            if ends > now then bits = bits + bit_ end
            bit_ = bit_ * 2
        end
    end
    if till > now then
        status, wait = FROZEN, till - now
    elseif grace > 0 and born + grace > now then
        status, wait, bits = WAIT, born + grace - now, 2 ^ n_asks - 1
    else
        local ticket, due, spared, blocked = now - waited, now, 0, 0
        bit_ = 1
        for _, a in ipairs(asks) do
            local m = meters[a.meter + 1]
            local wanted = ahead(m, ticket) + a.amount
            if a.amount == 0 or lacking(m, wanted) <= 0 then
                a.lane = m
            elseif a.spare >= 0 and lacking(meters[a.spare + 1], a.amount) <= 0 then
                a.lane = meters[a.spare + 1]
                spared = spared + bit_
            else
                blocked = blocked + bit_
                due = max(due, when(m, wanted))
            end
            bit_ = bit_ * 2
        end
        for _, a in ipairs(asks) do
            put_claim(meters[a.meter + 1], a, ticket, due, not a.lane, blocked == 0)
        end
        if blocked > 0 then
            status, wait, bits = WAIT, due - now, blocked
        else
            bits = spared
            for _, a in ipairs(asks) do
                a.lane.open = a.lane.open + a.amount
                a.lane[mine] = a.lane[mine] + a.amount
            end
        end
    end
end

local granted_ahead = 0
if status == GRANTED and bits == 0 and wanted_ahead > 0 then
    local times, is_any = wanted_ahead, false
    for _, a in ipairs(asks) do
        if a.amount > 0 then
            local m = meters[a.meter + 1]
            is_any = true
            if m.claims ~= '' or m.grain_us == 0 then
                times = 0
            else
                times = min(times, floor(max(floor(m.size / 2) - m.total - m.open, 0) / a.amount))
            end
        end
    end
    if is_any then granted_ahead = times end
    for _, a in ipairs(asks) do
        local m = meters[a.meter + 1]
        m.open = m.open + granted_ahead * a.amount
        m[mine] = m[mine] + granted_ahead * a.amount
    end
end

-- Everything is written ---------------------------------------------------------------------------

local function keep(key, kept, us)
    if now - kept > us / 4 then
        redis.call('HSET', key, 'kept', now)
        redis.call('PEXPIRE', key, floor(us / 1000))
    end
end

local dead = {}
if now >= clean then
    clean = now + lease
    local all = redis.call('HGETALL', KEYS[1])
    for i = 1, #all, 2 do
        if string.sub(all[i], 1, 1) == '@' and all[i] ~= mine then
            local _, heard = stamp(all[i + 1])
            if heard + 2 * lease <= now then dead[#dead + 1] = all[i] end
        end
    end
end
redis.call('HSET', KEYS[1], 'last', now, 'clean', clean, mine, text(seq) .. ':' .. text(now))
if shift ~= was_shift then redis.call('HSET', KEYS[1], 'shift', shift) end
if born ~= was_born then redis.call('HSET', KEYS[1], 'born', born) end
if anchor ~= was_anchor then redis.call('HSET', KEYS[1], 'anchor', anchor) end
if lost ~= was_lost then redis.call('HSET', KEYS[1], 'lost', lost) end
if frozen ~= was_frozen then redis.call('HSET', KEYS[1], 'frozen', frozen) end
for _, name in ipairs(dead) do redis.call('HDEL', KEYS[1], name) end
keep(KEYS[1], number(state[7], 'kept'), STATE_KEPT_US)

for i = 1, n_reports do
    local m = meters[i]
    if m.is_cleared then
        local all = redis.call('HKEYS', m.key)
        for _, name in ipairs(all) do
            if string.sub(name, 1, 1) == '#' then redis.call('HDEL', m.key, name) end
        end
    end
    for _, name in ipairs(m.deleted) do redis.call('HDEL', m.key, name) end
    local set = {}
    for j = 1, 11 do
        local name = NAMES[j]
        if m[name] ~= m.was[name] then
            set[#set + 1] = name
            set[#set + 1] = m[name]
        end
    end
    if m.claims ~= m.had_claims then
        set[#set + 1] = 'claims'
        set[#set + 1] = m.claims
    end
    if #set > 0 then redis.call('HSET', m.key, unpack(set)) end
    for index, amount in pairs(m.deltas) do
        redis.call('HINCRBY', m.key, '#' .. text(index), amount)
    end
    keep(m.key, m.kept, 2 * (m.length + 2 * m.jitter + m.grain_us + 2 * lease))
end

local answer = {status, wait, bits, raw, shift, granted_ahead}
if is_look ~= 0 then
    for i = 1, n_reports do
        local m, waiting = meters[i], 0
        for _, c in ipairs(claims(m)) do
            if c.till >= now then waiting = waiting + 1 end
        end
        local theirs = 0
        if m.told > now then theirs = m.theirs end
        for _, value in ipairs({used(m), m.open, waiting, theirs, max(frozen_until(m.key) - now, 0)}) do
            answer[#answer + 1] = value
        end
    end
end
return answer
