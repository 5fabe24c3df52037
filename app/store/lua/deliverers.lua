-- Tells who delivered each of several transactions, for the statistics of what a source missed. One call looks all of
-- them up, since it takes most of its time to go through the buckets, whether for one or for many.
--
-- KEYS: the partition's ledger. ARGV: rules, the hashes of the signatures, 16 bytes each, all different.
-- Returns for each hash nil when its transaction is not kept, else {when it was accepted, its place in its stretch,
-- {a bucket's id, the record of that stretch there, …}}, records being those of observations.lua. For example, for
-- two hashes, the first of them not kept and the second that of the third transaction of a block:
-- {nil, {1700000000123, 2, {1700000000000, '2;helius-a=123,7;quick-b=180,4'}}}.

-- @use ledger
-- @use clock
-- @use all_buckets
-- @use buckets
-- @use in_window

open_ledger()
local hashes, now = split_hashes(ARGV[2]), read_clock().now
local answers, stretches, earliest = {}, {}, now -- the first two by index in `hashes`
for i = 1, #hashes do answers[i] = false end

-- First the transactions: when each was accepted, and the field of its stretch in the map of observations.
local fields, indices, left = hashes, nil, #hashes
for _, bucket in ipairs(live_buckets(ledger.transactions)) do
  if left == 0 then break end
  local values = redis.call('HMGET', key('transactions', id_text(bucket.id)), unpack(fields, 1, left))
  for i = 1, left do
    if values[i] then
      local low, number, place = struct.unpack(ENTRY, values[i])
      local index, first_seen = indices and indices[i] or i, when_accepted(low, now)
      answers[index] = {first_seen, place % STRETCH, {}}
      stretches[index] = struct.pack('>I4I2', number, math.floor(place / STRETCH))
      earliest = math.min(earliest, first_seen)
    end
  end
  fields, indices, left = without_value(values, fields, indices, left)
end

-- Then the records of these stretches, from every bucket that took some since the acceptance.
local kept, names = {}, {}
for i = 1, #hashes do
  if answers[i] then
    kept[#kept + 1] = answers[i]
    names[#names + 1] = stretches[i]
  end
end
if #kept == 0 then return answers end
for _, bucket in ipairs(live_buckets(ledger.observations)) do
  if bucket.ends < earliest then break end
  local records = redis.call('HMGET', key('observations', id_text(bucket.id)), unpack(names))
  for i, answer in ipairs(kept) do
    local first_seen, flat = answer[1], answer[3]
    if records[i] and bucket.ends >= first_seen then
      flat[#flat + 1] = bucket.id
      flat[#flat + 1] = records[i]
    end
  end
end
return answers
