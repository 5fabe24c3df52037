-- What every call does before it adds to a map, so that entries leave also when no cleanup comes. How they leave is
-- said in what_is_due.lua, which is built only when something does.

local SWEEP_BUCKETS = 4

-- Drops the oldest buckets that are due, four at most.
local function sweep_due(map, clock)
  if clock.now < map.due_ms and not clock.is_set_back then return end
  -- @use what_is_due
  sweep(map, clock, map.rule.retention, 'expired', SWEEP_BUCKETS)
end

-- Drops the oldest buckets until so many entries and bytes fit below the map's limits.
local function make_room(map, entries, bytes, now)
  local limit, limit_bytes = map.rule.limit, map.rule.limit_bytes
  if map.entries + entries <= limit and map.bytes + bytes <= limit_bytes then return end
  -- @use what_is_due
  while map.newest and (map.entries + entries > limit or map.bytes + bytes > limit_bytes) do
    drop(map, 1, 'capacity', now)
  end
end
