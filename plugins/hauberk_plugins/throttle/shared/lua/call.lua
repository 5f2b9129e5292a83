-- One call on the ledger, in one step on the server: the rules of ledger.py and metering.py. The
-- files of this folder are one script, in the order that redis_script.py gives. Everything is read
-- and worked out before anything is written, so that an unreadable record changes nothing.
--
-- KEYS: the record that all meters share, then one a report.
-- ARGV: the owner; the claim; numbers as doubles (redis_script.py packs them); then texts: the
-- claims that reports drop, and what to freeze.
--
-- A command costs more here than arithmetic does, so that a meter is one string: it is read and
-- written whole.

local floor, max, min, format = math.floor, math.max, math.min, string.format
local sub, find, gmatch, rep = string.sub, string.find, string.gmatch, string.rep
local pack, unpack_, call = struct.pack, struct.unpack, redis.call
local GRANTED, WAIT, FROZEN, STALE, LOST, STEPPED = 0, 1, 2, 3, 4, 5
local CALENDAR = 1
local TOLERANCE, SWEEPS, AHEAD_PART = 50000, 4, 8
local MOST, MOST_SUBWINDOWS = 9007199254740992, 1000000
local STATE_KEPT_US = 31 * 86400 * 1000000

local owner, claim, packed, texts_at = ARGV[1], ARGV[2], ARGV[3], 4
local seq, acked, lease, waited, claim_us, wanted_ahead, grace, latest, known_shift, stepped,
    is_lost, is_look, n_reports, n_asks, n_learned, n_freezes, begins, at =
    unpack_('<ddddddddddddddddd', packed)

local function unreadable(why) error('unreadable record: ' .. why) end

local function whole(text, name)
    local n = tonumber(text)
    if not n or n ~= floor(n) or n >= MOST or n <= -MOST then
        unreadable(name .. ' is no whole number')
    end
    return n
end

local function text(n) return format('%.0f', n) end

local function said(status, wait, bits, raw, shift, ahead)
    return pack('<i8i8i8i8i8i8', status, wait, bits, raw, shift, ahead)
end

-- Time and owners ---------------------------------------------------------------------------------

-- What an owner's last call was, and when it was heard of.
local function stamp(value)
    if not value then return 0, 0 end
    if #value ~= 16 then unreadable('an owner is no stamp') end
    local last_seq, heard = unpack_('<i8i8', value)
    if max(last_seq, heard) >= MOST or min(last_seq, heard) < 0 then
        unreadable('an owner is no stamp')
    end
    return last_seq, heard
end

local time = call('TIME')
local raw = tonumber(time[1]) * 1000000 + tonumber(time[2])
local mine = '@' .. owner
local state = call('HMGET', KEYS[1], 'ledger', mine, 'frozen')
local last, shift, anchor, lost, jumped, born, clean, kept_till = 0, 0, 0, 0, 0, 0, 0, 0
if state[1] then
    if #state[1] ~= 64 then unreadable('the state') end
    last, shift, anchor, lost, jumped, born, clean, kept_till =
        unpack_('<i8i8i8i8i8i8i8i8', state[1])
    if max(last, shift, anchor, lost, jumped, born, clean, kept_till) >= MOST
        or min(last, lost, jumped, born, clean, kept_till) < 0 or min(shift, anchor) <= -MOST then
        unreadable('the state')
    end
end
local heard_seq = stamp(state[2])
local frozen = state[3] or ''
local was_frozen, was_shift = frozen, shift

if seq <= heard_seq then return said(STALE, 0, 0, raw, shift, 0) end
if latest ~= 0 and known_shift == shift then
    if stepped ~= 0 then
        shift = shift + stepped
    elseif raw > latest then
        return said(STEPPED, 0, 0, raw, shift, 0)
    end
end
if heard_seq < acked and is_lost == 0 then return said(LOST, 0, 0, raw, was_shift, 0) end
if raw + shift < last - TOLERANCE then shift = last - raw end
local now = max(raw + shift, last)
if last == 0 then born = now end
if shift ~= anchor and heard_seq == 0 then
    local is_alone, all = true, call('HGETALL', KEYS[1])
    for i = 1, #all, 2 do
        if sub(all[i], 1, 1) == '@' then
            local _, heard = stamp(all[i + 1])
            if heard + lease > now then is_alone = false end
        end
    end
    if is_alone then anchor = shift end
end
local is_doubtful = math.abs(shift - anchor) > TOLERANCE
if is_lost ~= 0 then lost = now end
if shift - was_shift <= -2 * lease then jumped = now end
