-- Where to begin to read.

-- Returns the position of 'oldest', 'now' or a moment in milliseconds, the number of its block, or -1 where that is not
-- known, and when the one before it was accepted. After the clock was set back the same moment comes twice: then it is
-- one of the two.
local function find_start(start)
  local moment, found = tonumber(start) or 0, nil
  if moment > 0 then
    found = find_block(function(ms) return ms >= moment end)
  elseif start ~= 'now' then
    found = oldest_block()
  end
  if not found then return ledger.signatures.added, -1, ledger.clock end
  return found.ordinal, found.number, found.before_ms
end
