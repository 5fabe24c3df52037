-- Late duplicates: signatures that are accepted anew although their earlier transaction is still kept. The window
-- was too short for them. They are looked for only in a sample, since each search asks every bucket of transactions.

-- @use all_buckets

-- Searches for the latest earlier transaction of each signature that is accepted now and is in the sample. `sample`
-- holds indices into `hashes`, from 0, 2 bytes each. Returns for each one found its index (2 bytes) and how long ago
-- it was accepted, in milliseconds (4 bytes). For example, the signature at index 3 was accepted 61 s ago too:
-- '\0\3\0\0\238\72'. The new transactions must not be written yet, or each would be found as its own earlier one.
--
-- Only transactions at least one window old count. A younger one is there when an earlier claim failed after it wrote
-- the transactions and before it wrote their signatures (see claim.lua): its retry is no late duplicate.
local function late_duplicates(sample, hashes, codes, transactions, now)
  local fields, indices, left = {}, {}, 0
  for at = 1, #sample, 2 do
    local index = struct.unpack('>I2', sample, at)
    if codes[index + 1] == 0 then
      left = left + 1
      fields[left], indices[left] = hashes[index + 1], index
    end
  end
  if left == 0 then return '' end
  local found = {}
  for _, bucket in ipairs(live_buckets(transactions)) do
    if bucket.id + rules.window <= now then -- else all in it are younger than a window
      local values = redis.call('HMGET', key('transactions', id_text(bucket.id)), unpack(fields, 1, left))
      local hits = 0
      for i = 1, left do
        if values[i] then
          hits = hits + 1
          local age = now - when_accepted(struct.unpack(ENTRY, values[i]), now)
          if age >= rules.window then found[#found + 1] = struct.pack('>I2I4', indices[i], age) end
        end
      end
      if hits > 0 then fields, indices, left = without_value(values, fields, indices, left) end
      if left == 0 then break end
    end
  end
  return table.concat(found)
end
