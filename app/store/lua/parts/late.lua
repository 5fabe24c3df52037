-- Late duplicates: signatures accepted anew although their earlier transaction is still kept. The window was too
-- short for them. Only a sample is looked for, since each look asks every bucket of transactions.

-- Looks for the latest earlier transaction of each accepted signature of the sample. `sample` holds places among
-- `hashes`, from 0, 2 bytes each. It has to be called before the new transactions are written. Returns of each one
-- found its place (2 bytes) and its age in milliseconds (4 bytes). For example, the signature at place 3 was
-- accepted 61 s ago: '\0\3\0\0\238\72'.
--
-- An age below the window is none: after a failure in the middle of a claim its transactions may be stored without
-- their signatures, and a retry is no late duplicate.
local function late_duplicates(sample, hashes, codes, transactions, now)
  local fields, places, left = {}, {}, 0
  for at = 1, #sample, 2 do
    local place = struct.unpack('>I2', sample, at)
    if codes[place + 1] == 0 then
      left = left + 1
      fields[left], places[left] = hashes[place + 1], place
    end
  end
  local found = {}
  if left == 0 then return '' end
  for _, bucket in ipairs(live_buckets(transactions)) do
    if bucket.id + rules.window <= now then
      local values = redis.call('HMGET', key('transactions', id_text(bucket.id)), unpack(fields, 1, left))
      local hits = 0
      for i = 1, left do
        if values[i] then
          hits = hits + 1
          local age = now - when_accepted(struct.unpack(ENTRY, values[i]), now)
          if age >= rules.window then found[#found + 1] = struct.pack('>I2I4', places[i], age) end
        end
      end
      if hits > 0 then fields, places, left = without_value(values, fields, places, left) end
      if left == 0 then break end
    end
  end
  return table.concat(found)
end
