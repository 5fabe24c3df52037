-- Finds one transaction by the hash of its signature, the latest acceptance first, with its sightings.
--
-- ARGV: rules, hash. Returns {} or {first_seen_ms, place in its block, place in its stretch of that, block, {bucket
-- id, record of the stretch, …}}.

local hash, now = ARGV[2], server_ms()
for _, bucket in ipairs(live_buckets(open_map('transactions'))) do
  local id = id_text(bucket.id)
  local entry = redis.call('HGET', key('transactions', id), hash)
  if entry then
    local low, number, place = struct.unpack(ENTRY, entry)
    local first_seen = when_accepted(low, now)
    local stretch, sightings = struct.pack('>I4I2', number, math.floor(place / STRETCH)), {}
    for _, noted in ipairs(live_buckets(open_map('observations'))) do
      if noted.ends < first_seen then break end
      local record = redis.call('HGET', key('observations', id_text(noted.id)), stretch)
      if record then
        sightings[#sightings + 1] = noted.id
        sightings[#sightings + 1] = record
      end
    end
    local block = redis.call('HGET', key('blocks', id), number)
    return block and {first_seen, place, place % STRETCH, block, sightings} or {}
  end
end
return {}
