-- Where to begin to read.

-- Tells whether a transaction is kept that is just before a block, or before the end where `number` is -1.
local function is_kept_before(ordinal, number)
  local found = find_ordinal(ordinal - 1, number >= 0 and (number - 1) % MOST_BLOCKS or -1)
  return found and found.ordinal < ordinal
end

-- Returns the position of 'oldest', 'now' or a moment in milliseconds, the number of its block, or -1 where that is not
-- known, when the one before it was accepted, and whether some have left that were accepted from that moment on, nobody
-- knows how many. From before the ledger was begun, all that have left are such: then the position is 0, and they are
-- counted as any others that left behind a position. After the clock was set back the same moment comes twice: then it
-- is one of the two.
--
-- For example, a ledger was begun at 09:00:00 and has accepted 300, of which the last 50 are kept, those from 09:04:58
-- on; the one before these came at 09:04:50. Who begins at 09:04:55 has missed none, at 09:04:40 some, at 08:00:00 250.
local function find_start(start)
  local moment, found = tonumber(start) or 0, nil
  if moment > 0 then
    found = find_block(function(ms) return ms >= moment end)
  elseif start ~= 'now' then
    found = oldest_block()
  end
  local ordinal, number, before_ms = ledger.signatures.added, -1, ledger.clock
  if found then ordinal, number, before_ms = found.ordinal, found.number, found.before_ms end
  local has_left = moment > 0 and ordinal > 0 and before_ms >= moment and not is_kept_before(ordinal, number)
  if has_left and moment <= ledger.born then return 0, -1, 0, false end
  return ordinal, number, before_ms, has_left
end
