-- The totals of a map, as the ledger has them: how many entries left for each reason, how many were due when they
-- left and how many of these left in time (drop in remove_buckets.lua), and how many periodic cleanups have reported.

local TOTALS = {'expired', 'emergency', 'manual', 'capacity', 'due', 'on_time', 'reported'}

-- Returns the totals of a map by their names.
local function totals_of(map)
  local totals = {}
  for index, name in ipairs(TOTALS) do
    totals[name] = struct.unpack('>I7', map.packed_totals, 7 * index - 6)
  end
  return totals
end

local function set_totals(map, totals)
  local texts = {}
  for index, name in ipairs(TOTALS) do texts[index] = struct.pack('>I7', totals[name]) end
  map.packed_totals, ledger.is_changed = table.concat(texts), true
end
