-- What every call does before it adds to a map, so that entries leave also when no cleanup comes. How they leave is
-- said in remove_buckets.lua, which is built only when something does.

local SWEEP_BUCKETS = 4

-- Whether no bucket can be due, as in most calls: the moment that the ledger notes for that is to come, and so is the
-- end of the oldest one's retention by the rules of this call, which may be shorter than what it was promised.
local function is_nothing_due(map, clock)
  if not map.newest then return true end
  if clock.now >= map.due_ms or clock.is_set_back then return false end
  if map.name == 'signatures' then return true end
  local oldest_ends = map.newest.ends
  if map.older_bytes > 0 then
    local text, at = place_of_older(map, 1)
    oldest_ends = struct.unpack('>I7', text, at + 7)
  end
  return clock.now < oldest_ends + map.rule.retention
end

-- Drops the oldest buckets that are due, four at most.
local function sweep_due(map, clock)
  if is_nothing_due(map, clock) then return end
  -- @use remove_buckets
  sweep(map, clock, map.rule.retention, 'expired', SWEEP_BUCKETS)
end

-- Drops the oldest buckets until so many entries and bytes fit below the map's limits.
local function make_room(map, entries, bytes, now)
  local limit, limit_bytes = map.rule.limit, map.rule.limit_bytes
  if map.entries + entries <= limit and map.bytes + bytes <= limit_bytes then return end
  -- @use remove_buckets
  while map.newest and (map.entries + entries > limit or map.bytes + bytes > limit_bytes) do
    drop(map, 1, 'capacity', now)
  end
end
