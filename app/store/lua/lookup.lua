-- Finds one transaction by the hash of its signature, the latest acceptance first, with its sightings.
--
-- ARGV: rules, hash. Returns {} or {first_seen_ms, position, block, {bucket id, record, …}}.

local hash = ARGV[2]
for _, bucket in ipairs(live_buckets(open_map('transactions'))) do
  local id = id_text(bucket.id)
  local entry = redis.call('HGET', key('transactions', id), hash)
  if entry then
    local number, position, offset = struct.unpack('>I4I2i4', entry)
    local first_seen = bucket.id + offset
    local sightings = {}
    for _, noted in ipairs(live_buckets(open_map('observations'))) do
      if noted.ends < first_seen then break end
      local record = redis.call('HGET', key('observations', id_text(noted.id)), hash)
      if record then
        sightings[#sightings + 1] = noted.id
        sightings[#sightings + 1] = record
      end
    end
    local block = redis.call('HGET', key('blocks', id), number)
    return block and {first_seen, position, block, sightings} or {}
  end
end
return {}
