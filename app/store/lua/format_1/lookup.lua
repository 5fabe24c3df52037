-- Finds one transaction by the hash of its signature, the latest acceptance first, and who delivered it.
--
-- KEYS: the partition's prefix. ARGV: rules, the hash.
-- Returns {} when it is not kept, or {when it was accepted, its place in its block, its place in the stretch of that,
-- the block, {a bucket's id, the record of the stretch there, …}}, records being those of sightings.lua. For example,
-- the third transaction of a block: {1700000000123, 2, 2, <block>, {1700000000000, '2;helius-a=123,7;quick-b=180,4'}}.

local hash, now = ARGV[2], read_clock().now

-- The records of a stretch in every bucket of observations that took some since the acceptance.
local function records_since(first_seen, stretch)
  local records = {}
  for _, bucket in ipairs(live_buckets(open_map('observations'))) do
    if bucket.ends < first_seen then break end
    local record = redis.call('HGET', key('observations', id_text(bucket.id)), stretch)
    if record then
      records[#records + 1] = bucket.id
      records[#records + 1] = record
    end
  end
  return records
end

for _, bucket in ipairs(live_buckets(open_map('transactions'))) do
  local id = id_text(bucket.id)
  local entry = redis.call('HGET', key('transactions', id), hash)
  if entry then
    local low, number, place = struct.unpack(ENTRY, entry)
    local first_seen = when_accepted(low, now)
    local records = records_since(first_seen, struct.pack('>I4I2', number, math.floor(place / STRETCH)))
    local block = redis.call('HGET', key('blocks', id), number)
    return block and {first_seen, place, place % STRETCH, block, records} or {} -- somebody deleted the block's key
  end
end
return {}
