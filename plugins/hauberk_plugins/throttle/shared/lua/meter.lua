
-- One meter: metering.py --------------------------------------------------------------------------

-- Its record: fourteen whole numbers, the last two of them the lengths of what follows: what each
-- owner has open, and the claims, both texts; then a number for each sub-window from `first` to the
-- one before `last`, which is what most calls change, and so among the fourteen.
local HEAD, HEAD_LENGTH = '<i8i8i8i8i8i8i8i8i8i8i8i8i8i8', 112
local my_part = '%f[%w]' .. owner .. '=(%d+);'

-- A meter as a call reports it, from its record. All its fields at once: a table that grows is slow.
local function load(key, record)
    local kind, length, jitter, size, grain_us, open_now, n_departures, n_dropped
    kind, length, jitter, size, grain_us, open_now, n_departures, n_dropped, at =
        unpack_('<dddddddd', packed, at)
    local grain, total, first, last_, newest, tat, open, sweep, lost_, theirs, told, kept_till,
        n_owners, n_claims = nil, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    local mine_, others, claims, buckets = 0, '', '', ''
    if record then
        if #record < HEAD_LENGTH then unreadable('a meter') end
        grain, total, first, last_, newest, tat, open, sweep, lost_, theirs, told, kept_till,
            n_owners, n_claims = unpack_(HEAD, record)
        local claims_at = HEAD_LENGTH + n_owners
        local buckets_at = claims_at + n_claims
        local n_buckets = total ~= 0 and last_ - first or 0
        if max(grain, total, first, last_, newest, tat, open, sweep, lost_, theirs, told,
                kept_till) >= MOST
            or min(grain, total, first, last_, newest, tat, open, sweep, lost_, theirs, told,
                kept_till, n_owners, n_claims, n_buckets) < 0
            or n_buckets > MOST_SUBWINDOWS or #record ~= buckets_at + 8 * n_buckets then
            unreadable('a meter')
        end
        buckets = sub(record, buckets_at + 1)
        if n_owners > 0 then
            others = sub(record, HEAD_LENGTH + 1, claims_at)
            local from, to, amount = find(others, my_part)
            if from then
                mine_ = whole(amount, 'what an owner has')
                others = sub(others, 1, from - 1) .. sub(others, to + 1)
            end
        end
        if n_claims > 0 then claims = sub(record, claims_at + 1, buckets_at) end
    else
        call('GET', key)  -- what is there and no text is an error, not a meter without a past
    end
    return {
        key = key, kind = kind, length = length, jitter = jitter, size = size,
        grain_us = grain_us, grain = grain, total = total, first = first, last = last_,
        newest = newest, tat = tat, open = open - mine_ + open_now, sweep = sweep, lost = lost_,
        theirs = theirs, told = told, kept_till = kept_till, mine = open_now, others = others, claims = claims,
        buckets = buckets, amount = 0, spare = false, lane = false,
    }, n_departures, n_dropped
end

-- It is forgotten when nothing in it can matter any more, twice over.
local function save(m)
    local owners = m.others
    if m.mine ~= 0 then owners = owners .. owner .. '=' .. text(m.mine) .. ';' end
    local keep_us = 2 * (m.length + 2 * m.jitter + m.grain_us + 2 * lease)
    local is_kept = m.kept_till - now >= keep_us * 0.75
    if not is_kept then m.kept_till = now + keep_us end
    local record = pack(HEAD, m.grain, m.total, m.first, m.last, m.newest, m.tat, m.open, m.sweep,
        m.lost, m.theirs, m.told, m.kept_till, #owners, #m.claims) .. owners .. m.claims .. m.buckets
    if is_kept then
        call('SET', m.key, record, 'KEEPTTL')
    else
        call('SET', m.key, record, 'PX', floor(keep_us / 1000))
    end
end

local function bucket(m, index)
    if index == m.last then return m.newest end
    return (unpack_('<i8', m.buckets, 8 * (index - m.first) + 1))
end

local function expiry(m, index)
    local ends = (index + 1) * m.grain_us
    if m.kind ~= CALENDAR then return ends + m.length + m.jitter end
    if is_doubtful then return ends + m.length + 2 * m.jitter end
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
        m.first, m.last, m.newest = index, index, amount
    elseif index == m.last then
        m.newest = m.newest + amount
    elseif index > m.last then
        m.buckets = m.buckets .. pack('<i8', m.newest) .. rep('\0', 8 * (index - m.last - 1))
        m.last, m.newest = index, amount
    elseif index < m.first then
        m.buckets = pack('<i8', amount) .. rep('\0', 8 * (m.first - index - 1)) .. m.buckets
        m.first = index
    else
        local offset = 8 * (index - m.first)
        m.buckets = sub(m.buckets, 1, offset) .. pack('<i8', bucket(m, index) + amount)
            .. sub(m.buckets, offset + 9)
    end
    m.total = m.total + amount
end

local function regrain(m)
    local was = m.grain
    m.grain = m.grain_us
    if was then
        local counted = m.size
        if was ~= 0 and m.grain_us ~= 0 then counted = m.total end
        m.buckets, m.newest, m.total, m.tat = '', 0, 0, 0
        date(m, now, counted)
    elseif jumped ~= 0 then
        date(m, jumped, m.size)
    end
end

local function expire(m)
    local first, total = m.first, m.total
    if total == 0 or expiry(m, first) > now then return end
    while total > 0 and expiry(m, first) <= now do
        total = total - bucket(m, first)
        first = first + 1
        if total > 0 and first > m.last then unreadable('sub-windows that do not add up') end
    end
    m.buckets = sub(m.buckets, 8 * (first - m.first) + 1)
    if total <= 0 then m.buckets, m.newest = '', 0 end
    m.first, m.total = first, total
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
