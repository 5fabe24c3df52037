-- Which signatures are inside their window: looks for the latest acceptance of each, newest bucket first.

-- Of `hashes` joined to one text, 16 bytes each, makes a list.
local function split_hashes(packed)
  local hashes = {struct.unpack(string.rep('c16', #packed / 16), packed)}
  hashes[#hashes] = nil -- behind the values struct.unpack returns where the next would begin
  return hashes
end

-- Returns the numbers of the bucket at an index, for whoever wants no table of them.
local function bucket_numbers(map, index)
  local newest = map.newest
  if index < count_buckets(map) then return struct.unpack(BUCKET, place_of_older(map, index)) end
  return newest.id, newest.ends, newest.entries, newest.bytes, newest.latest_block, newest.keep
end

-- Of the first `count` fields, keeps those without a value. Returns them, their indices among all the
-- hashes, and their number. `indices` is nil for fields that are all the hashes, so that both indices
-- are the same.
local function without_value(values, fields, indices, count)
  local left, left_indices, n = {}, {}, 0
  for i = 1, count do
    if not values[i] then
      n = n + 1
      left[n], left_indices[n] = fields[i], indices and indices[i] or i
    end
  end
  return left, left_indices, n
end

-- Looks for each signature in the buckets of the window. By index in `hashes`, of those found inside their
-- window: returns their ages in milliseconds, the numbers of their blocks, and their places in these; then
-- how many they are, and the longest window of any signature. For example, of three hashes the second was
-- accepted 800 ms ago as the first of block 7: {[2] = 800}, {[2] = 7}, {[2] = 0}, 1, 5000.
--
-- A second call goes back as long as a bucket may hold one of the latest `unchecked` acceptances, or ended
-- after `checked_ms`. It stops at the first bucket for which both are untrue. It asks for both because after
-- a failover the count or the clock may be wrong.
local function acceptances_in_window(signatures, hashes, now, checked_ms, unchecked)
  local ages, blocks, places, found, longest = {}, {}, {}, 0, rules.window
  local fields, indices, left = hashes, nil, #hashes
  local function look_into(id, keep)
    local values = redis.call('HMGET', key('signatures', id_text(id)), unpack(fields, 1, left))
    local hits, last, age = 0, nil, nil
    for i = 1, left do
      local value = values[i]
      if value then
        hits = hits + 1
        local low, block, place = struct.unpack(ENTRY, value)
        -- Neighbours were mostly accepted together, so their age is mostly that of the one before.
        if low ~= last then last, age = low, math.max(now - when_accepted(low, now), 0) end
        if age < keep then
          local index = indices and indices[i] or i
          ages[index], blocks[index], places[index] = age, block, place
          found = found + 1
        end
      end
    end
    if hits > 0 then fields, indices, left = without_value(values, fields, indices, left) end
  end
  for index = count_buckets(signatures), 1, -1 do
    local id, ends, entries, _, _, keep = bucket_numbers(signatures, index)
    if ends + keep > now then -- else everything in it is past its window
      if left > 0 and (unchecked > 0 or ends > checked_ms) then
        unchecked = unchecked - entries
        look_into(id, keep)
      else
        left = 0
      end
      longest = math.max(longest, keep)
    end
  end
  return ages, blocks, places, found, longest
end
