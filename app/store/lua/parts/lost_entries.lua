-- Entries that the ledger counts although they are gone: a key of their bucket was evicted, or deleted by somebody.

-- Returns how many entries of a bucket are gone: all, if a key of it is. The newest bucket's hash comes back with the
-- next write, so its fields are counted: an entry each, and the one of write_fields (filling.lua), which those taken
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

-- Returns for each bucket that has lost entries before it is due: the place of its map, from 0, its id, and how many.
-- Asks for all keys of older buckets in one command, and for each only if one is gone.
local function lost_entries(maps, now)
  local names, older, newest, lost = {}, {}, {}, {}
  for place, map in ipairs(maps) do
    for _, bucket in ipairs(all_buckets(map)) do
      if bucket.entries > 0 and bucket.ends + bucket.keep > now then
        local found = {place = place - 1, map = map, bucket = bucket}
        if bucket == map.newest then
          newest[#newest + 1] = found
        else
          older[#older + 1] = found
          for _, name in ipairs(data_keys(map, bucket)) do names[#names + 1] = name end
        end
      end
    end
  end
  local is_whole = #names == 0 or redis.call('EXISTS', unpack(names)) == #names
  for _, list in ipairs({newest, is_whole and {} or older}) do
    for _, found in ipairs(list) do
      local count = count_lost(found.map, found.bucket)
      if count > 0 then
        lost[#lost + 1], lost[#lost + 2], lost[#lost + 3] = found.place, found.bucket.id, count
      end
    end
  end
  return lost
end
