-- Entries that the ledger counts although they are gone: a key of their bucket was evicted, or deleted by somebody.

local SHARES = 8 -- of the older buckets a call looks at one share: with 64 buckets of a map all would take it 1 ms

-- Returns how many entries of a bucket are gone: all, if a key of it is. The newest bucket's hash comes back with the
-- next write, so its fields are counted: an entry each, and the one of write_fields (key_expiry.lua), which those taken
-- over from format 1 lack. What a claim left there when it failed is no entry, and hides as many that are gone.
local function count_lost(map, bucket)
  for _, name in ipairs(data_keys(map, bucket)) do
    if redis.call('EXISTS', name) == 0 then return bucket.entries end
  end
  if bucket ~= map.newest or map.name == 'observations' then return 0 end -- a sighting is no field
  local name = key(map.name, id_text(bucket.id))
  local fields = redis.call('HLEN', name)
  return fields > bucket.entries and 0 or bucket.entries - fields + redis.call('HEXISTS', name, '')
end

-- Returns for each bucket looked at that has lost entries before it is due: the place of its map, from 0, its id, and
-- how many. Looks at the newest bucket of each map, and at those older ones whose turn it is; at all in a full store,
-- where a claim drops a bucket for room and then fails: the caller must know of it before there is room again.
local function lost_entries(maps, now, turn, is_full)
  local lost, step = {}, is_full and 1 or SHARES
  for place, map in ipairs(maps) do
    local count = count_buckets(map)
    for index = count, 1, -1 do
      if index == count or index % step == turn % step then
        local bucket = bucket_at(map, index)
        if bucket.entries > 0 and bucket.ends + bucket.keep > now then
          local gone = count_lost(map, bucket)
          if gone > 0 then lost[#lost + 1], lost[#lost + 2], lost[#lost + 3] = place - 1, bucket.id, gone end
        end
      end
    end
  end
  return lost
end
