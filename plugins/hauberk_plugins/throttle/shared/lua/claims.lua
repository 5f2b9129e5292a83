
-- Claims and freezes: texts (fields.py) -----------------------------------------------------------

local function claims(m)
    local found = {}
    if m.claims == '' then return found end
    for item in gmatch(m.claims, '([^;]*);') do
        local name, ticket, amount, till = string.match(item, '^(%w+)=(%-?%d+):(%d+):(%d+)$')
        if not name then unreadable('claims') end
        found[#found + 1] = {name = name, ticket = whole(ticket, 'a claim'),
            amount = whole(amount, 'a claim'), till = whole(till, 'a claim')}
    end
    return found
end

local function comes_before(a, b)
    return a.ticket < b.ticket or (a.ticket == b.ticket and a.name < b.name)
end

local function put_claims(m, kept_claims)
    table.sort(kept_claims, comes_before)
    local parts = {}
    for i, c in ipairs(kept_claims) do
        parts[i] = c.name .. '=' .. text(c.ticket) .. ':' .. text(c.amount) .. ':' .. text(c.till) .. ';'
    end
    m.claims = table.concat(parts)
end

-- What is kept for those who have waited longer.
local function ahead(m, ticket)
    local sum, me = 0, {ticket = ticket, name = claim}
    for _, c in ipairs(claims(m)) do
        if comes_before(c, me) and c.till >= now and c.name ~= claim then sum = sum + c.amount end
    end
    return sum
end

local function put_claim(m, ticket, due, is_blocked, is_over)
    local kept_claims, was_there = {}, false
    for _, c in ipairs(claims(m)) do
        if c.name == claim then
            was_there = true
        elseif c.till >= now then
            kept_claims[#kept_claims + 1] = c
        end
    end
    if is_blocked or (was_there and not is_over) then
        kept_claims[#kept_claims + 1] =
            {name = claim, ticket = ticket, amount = m.amount, till = due + claim_us}
    end
    put_claims(m, kept_claims)
end

local function drop_claims(m, dropped)
    local kept_claims = {}
    for _, c in ipairs(claims(m)) do
        if not dropped[c.name] then kept_claims[#kept_claims + 1] = c end
    end
    put_claims(m, kept_claims)
end

local function frozen_until(key)
    local till = 0
    for prefix, ends in gmatch(frozen, '([^=;]*)=(%d+);') do
        if sub(key, begins + 1, begins + #prefix) == prefix then
            till = max(till, whole(ends, 'frozen'))
        end
    end
    return till
end

local function freeze()
    local order, till = {}, {}
    for prefix, ends in gmatch(frozen, '([^=;]*)=(%d+);') do
        if whole(ends, 'frozen') > now then
            order[#order + 1] = prefix
            till[prefix] = whole(ends, 'frozen')
        end
    end
    for _ = 1, n_freezes do
        local length, prefix
        length, at = unpack_('<d', packed, at)
        prefix, texts_at = ARGV[texts_at], texts_at + 1
        if not till[prefix] then order[#order + 1] = prefix end
        till[prefix] = max(till[prefix] or 0, now + length)
    end
    local parts = {}
    for i, prefix in ipairs(order) do parts[i] = prefix .. '=' .. text(till[prefix]) .. ';' end
    frozen = table.concat(parts)
end
