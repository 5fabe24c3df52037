-- Tells who delivered each of several transactions, for the statistics of what a source missed: one call for all of
-- them, since most of the time of a call goes into the buckets, which are the same for all.
--
-- KEYS: the partition's prefix. ARGV: rules, the hashes of the signatures, 16 bytes each, all different.
-- Returns for each hash nil when its transaction is not kept, or {when it was accepted, its place in the stretch of
-- its block, {a bucket's id, the record of the stretch there, …}}, as lookup.lua does for one.

local hashes, now = split_hashes(ARGV[2]), read_clock().now
local found, stretches, earliest = {}, {}, now

local fields, positions, left = hashes, nil, #hashes
for _, bucket in ipairs(live_buckets(open_map('transactions'))) do
  if left == 0 then break end
  local values = redis.call('HMGET', key('transactions', id_text(bucket.id)), unpack(fields, 1, left))
  for i = 1, left do
    if values[i] then
      local low, number, place = struct.unpack(ENTRY, values[i])
      local position, first_seen = positions and positions[i] or i, when_accepted(low, now)
      found[position] = {first_seen, place % STRETCH, {}}
      stretches[position] = struct.pack('>I4I2', number, math.floor(place / STRETCH))
      earliest = math.min(earliest, first_seen)
    end
  end
  fields, positions, left = without_value(values, fields, positions, left)
end

local answers, kept, names = {}, {}, {}
for i = 1, #hashes do
  answers[i] = found[i] or false
  if found[i] then
    kept[#kept + 1] = found[i]
    names[#names + 1] = stretches[i]
  end
end
if #kept == 0 then return answers end
for _, bucket in ipairs(live_buckets(open_map('observations'))) do
  if bucket.ends < earliest then break end
  local records = redis.call('HMGET', key('observations', id_text(bucket.id)), unpack(names))
  for i, one in ipairs(kept) do
    if records[i] and bucket.ends >= one[1] then
      one[3][#one[3] + 1] = bucket.id
      one[3][#one[3] + 1] = records[i]
    end
  end
end
return answers
