
-- What the call says: ledger.py -------------------------------------------------------------------

-- Made as long as they mostly are: tables that grow are slow.
local meters, asked = {nil, nil, nil, nil}, {nil, nil, nil, nil}

-- What dead owners had open has left.
local function sweep(m)
    m.sweep = now + floor(lease / SWEEPS)
    if m.others == '' then return end
    local alive, length = {}, 0
    for name, amount in gmatch(m.others, '(%w+)=(%d+);') do
        length = length + #name + #amount + 2
        amount = whole(amount, 'what an owner has')
        local _, heard = stamp(call('HGET', KEYS[1], '@' .. name))
        if heard + lease <= now then
            m.open = m.open - amount
            date(m, now, amount)
        else
            alive[#alive + 1] = name .. '=' .. text(amount) .. ';'
        end
    end
    if length ~= #m.others then unreadable('what owners have') end
    m.others = table.concat(alive)
end

local records = n_reports > 0 and call('MGET', unpack(KEYS, 2)) or {}
for i = 1, n_reports do
    local m, n_departures, n_dropped = load(KEYS[i + 1], records[i])
    meters[i] = m
    if m.grain ~= m.grain_us then regrain(m) end
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
    if n_dropped > 0 then
        local dropped = {}
        for _ = 1, n_dropped do
            dropped[ARGV[texts_at]] = true
            texts_at = texts_at + 1
        end
        if m.claims ~= '' then drop_claims(m, dropped) end
    end
    if now >= m.sweep then sweep(m) end
end

for i = 1, n_asks do
    local index, amount, spare
    index, amount, spare, at = unpack_('<ddd', packed, at)
    local m = meters[index + 1]
    m.amount = amount
    if spare >= 0 then m.spare = meters[spare + 1] end
    asked[i] = m
end

for _ = 1, n_learned do
    local index, spare, theirs, age
    index, spare, theirs, age, at = unpack_('<dddd', packed, at)
    local m, wall = meters[index + 1], now - shift
    if m.kind ~= CALENDAR or is_doubtful or floor((wall - age - 2 * m.jitter) / m.length)
        == floor((wall + m.jitter) / m.length) then
        local ours = used(m)
        if spare >= 0 then ours = ours + used(meters[spare + 1]) end
        m.theirs, m.told = theirs, now + m.length
        if theirs > ours then date(m, now, theirs - ours) end
    end
end

if n_freezes > 0 then freeze() end

-- The question ------------------------------------------------------------------------------------

-- Grant all that is asked for, or claim what there is no room for.
local function grant()
    local ticket, due, spared, blocked, bit_, is_claimed = now - waited, now, 0, 0, 1, false
    for i = 1, n_asks do
        local m = asked[i]
        local wanted = m.amount
        if m.claims ~= '' then
            is_claimed, wanted = true, wanted + ahead(m, ticket)
        end
        if m.amount == 0 or lacking(m, wanted) <= 0 then
            m.lane = m
        elseif m.spare and lacking(m.spare, m.amount) <= 0 then
            m.lane = m.spare
            spared = spared + bit_
        else
            blocked = blocked + bit_
            due = max(due, when(m, wanted))
        end
        bit_ = bit_ * 2
    end
    if blocked > 0 or is_claimed then
        for i = 1, n_asks do
            local m = asked[i]
            if not m.lane or m.claims ~= '' then
                put_claim(m, ticket, due, not m.lane, blocked == 0)
            end
        end
    end
    if blocked > 0 then return WAIT, due - now, blocked end
    for i = 1, n_asks do
        local lane, amount = asked[i].lane, asked[i].amount
        lane.open, lane.mine = lane.open + amount, lane.mine + amount
    end
    return GRANTED, 0, spared
end

local function answered()
    if n_asks == 0 then return GRANTED, 0, 0 end
    if frozen ~= '' then
        local till, bits, bit_ = 0, 0, 1
        for i = 1, n_asks do
            local ends = frozen_until(asked[i].key)
            till = max(till, ends)
            if ends > now then bits = bits + bit_ end
            bit_ = bit_ * 2
        end
        if till > now then return FROZEN, till - now, bits end
    end
    if grace > 0 and born + grace > now then return WAIT, born + grace - now, 2 ^ n_asks - 1 end
    return grant()
end

-- The same some more times, of a part of what is free, while nobody waits.
local function grant_ahead()
    local times, is_any = wanted_ahead, false
    for i = 1, n_asks do
        local m = asked[i]
        if m.amount > 0 then
            is_any = true
            if m.claims ~= '' or m.grain_us == 0 then return 0 end
            local free = max(m.size - m.total - m.open, 0)
            times = min(times, floor(floor(free / AHEAD_PART) / m.amount))
        end
    end
    if not is_any then return 0 end
    for i = 1, n_asks do
        local m = asked[i]
        m.open, m.mine = m.open + times * m.amount, m.mine + times * m.amount
    end
    return times
end

local status, wait, bits = answered()
local granted_ahead = 0
if status == GRANTED and bits == 0 and wanted_ahead > 0 then granted_ahead = grant_ahead() end

local answer = said(status, wait, bits, raw, shift, granted_ahead)
if is_look ~= 0 then
    for _, m in ipairs(meters) do
        local waiting = 0
        for _, c in ipairs(claims(m)) do
            if c.till >= now then waiting = waiting + 1 end
        end
        answer = answer .. pack('<i8i8i8i8i8', used(m), m.open, waiting,
            m.told > now and m.theirs or 0, max(frozen_until(m.key) - now, 0))
    end
end

-- Everything is written ---------------------------------------------------------------------------

if now >= clean then
    clean = now + lease
    local all = call('HGETALL', KEYS[1])
    local dead = {}
    for i = 1, #all, 2 do
        if sub(all[i], 1, 1) == '@' and all[i] ~= mine then
            local _, heard = stamp(all[i + 1])
            if heard + 2 * lease <= now then dead[#dead + 1] = all[i] end
        end
    end
    for _, name in ipairs(dead) do call('HDEL', KEYS[1], name) end
end
local is_kept = kept_till - now >= STATE_KEPT_US * 0.75
if not is_kept then kept_till = now + STATE_KEPT_US end
call('HSET', KEYS[1], 'ledger',
    pack('<i8i8i8i8i8i8i8i8', now, shift, anchor, lost, jumped, born, clean, kept_till),
    mine, pack('<i8i8', seq, now))
if not is_kept then call('PEXPIRE', KEYS[1], floor(STATE_KEPT_US / 1000)) end
if frozen ~= was_frozen then call('HSET', KEYS[1], 'frozen', frozen) end
for i = 1, n_reports do save(meters[i]) end
return answer
