-- The tick of a partition that stays in format 1 for now (formats.lua): reads what sizes.lua does, and changes nothing.
-- What is due is swept by the claims, and by the ticks of the older gates.

-- @use format_1_key

local FIGURES = {'entries', 'bytes', 'added', unpack(TOTALS, 1, 6)} -- all but what periodic cleanups have reported

-- Returns what sizes.lua does, without the shared settings. The ledger that takes the partition over will say that it was
-- begun at the first look.
local function sizes_of_format_1(is_full)
  local born = read_bridge() or 0
  local answer = {server_ms(), is_full, read_settings(old_key('settings')), false, 'older', born, {}}
  for _, map in ipairs(MAPS) do
    local oldest = redis.call('LINDEX', old_key(map, 'buckets'), 0)
    answer[#answer + 1] = oldest and cmsgpack.unpack(oldest)[1] or 0
    for _, number in ipairs(redis.call('HMGET', old_key(map, 'ledger'), unpack(FIGURES))) do
      answer[#answer + 1] = tonumber(number or 0)
    end
  end
  return answer
end
