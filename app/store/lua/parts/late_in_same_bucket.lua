-- Late duplicates whose earlier transaction is in the very bucket that takes the new one. The new entry replaces it,
-- so that only the claim can tell; of all others late.lua tells afterwards. A bucket takes entries for a 24th of the
-- retention, so this concerns shorter windows only: with a window of 1 s, what was accepted 3 s ago is in a bucket
-- that takes entries for 5 s. With the default settings, both 5 s, nothing is looked for here.

-- Of the signatures that are accepted now and are in the sample, returns those that `bucket` holds: for each its index
-- (2 bytes) and how long ago it was accepted, in milliseconds (4 bytes). `sample` holds indices into `hashes`, from 0,
-- 2 bytes each. For example, the signature at index 3 was accepted 3 s ago too: '\0\3\0\0\11\184'.
--
-- An entry younger than a window is there when an earlier claim failed after it wrote the transactions and before it
-- wrote their signatures (see claim.lua): its retry is no late duplicate.
local function replaced_in(bucket, sample, hashes, codes, now)
  local fields, indices = {}, {}
  for at = 1, #sample, 2 do
    local index = struct.unpack('>I2', sample, at)
    if codes[index + 1] == 0 then
      fields[#fields + 1], indices[#indices + 1] = hashes[index + 1], index
    end
  end
  if #fields == 0 then return '' end
  local found = {}
  for i, value in ipairs(redis.call('HMGET', key('transactions', id_text(bucket.id)), unpack(fields))) do
    local age = value and now - when_accepted(struct.unpack(ENTRY, value), now)
    if age and age >= rules.window then found[#found + 1] = struct.pack('>I2I4', indices[i], age) end
  end
  return table.concat(found)
end
