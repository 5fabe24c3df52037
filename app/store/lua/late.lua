-- Tells which of several transactions are late duplicates: accepted although an earlier transaction of their signature
-- is still kept, since the window was too short for them. One call looks for all that were sampled since the last look
-- (app/ingest/late_duplicates.py), since it asks every bucket that is older than the window, whether for one or for many.
--
-- KEYS: the partition's ledger. ARGV:
--   1   rules (`packed_rules` in app/store/map_rules.py)
--   2   the hashes of the signatures, 16 bytes each
--   3   when each was accepted: the last 32 bits of the millisecond, 4 bytes each
-- Returns 4 bytes for each: how many milliseconds earlier it had been accepted the last time before, or 0 if it is no
-- late duplicate. For example, of two the second was accepted 61 s earlier too: '\0\0\0\0\0\0\238\72'.
--
-- Its own entry and later ones of its signature may be stored, too. They do not count, since only what is at least a
-- window earlier does. An entry that it has replaced in its bucket was told of by the claim (late_in_same_bucket.lua).

-- @use ledger
-- @use clock
-- @use all_buckets
-- @use buckets
-- @use in_window

open_ledger()
local hashes, now = split_hashes(ARGV[2]), read_clock().now
local moments, ages, latest = {}, {}, 0 -- by index in `hashes`
for i = 1, #hashes do
  moments[i], ages[i] = when_accepted(struct.unpack('>I4', ARGV[3], 4 * i - 3), now), 0
  latest = math.max(latest, moments[i])
end

local fields, indices, left = hashes, nil, #hashes
for _, bucket in ipairs(live_buckets(ledger.transactions)) do
  if left == 0 then break end
  if bucket.id + rules.window <= latest then -- else nothing in it is a window earlier
    local values = redis.call('HMGET', key('transactions', id_text(bucket.id)), unpack(fields, 1, left))
    local hits = 0
    for i = 1, left do
      local index = indices and indices[i] or i
      local age = values[i] and moments[index] - when_accepted(struct.unpack(ENTRY, values[i]), now)
      if age and age >= rules.window then
        ages[index], hits = age, hits + 1
      else
        values[i] = false -- not there, or no earlier one: looked for in the older buckets
      end
    end
    if hits > 0 then fields, indices, left = without_value(values, fields, indices, left) end
  end
end
for i = 1, #hashes do ages[i] = struct.pack('>I4', ages[i]) end
return table.concat(ages)
