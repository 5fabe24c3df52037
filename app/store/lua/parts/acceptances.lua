-- Which signatures are inside their window: the latest acceptance of each, looked for from the newest bucket back.

-- Of `hashes` joined to one text, 16 bytes each, makes a list.
local function split_hashes(packed)
  local hashes = {struct.unpack(string.rep('c16', #packed / 16), packed)}
  hashes[#hashes] = nil -- behind the values struct.unpack returns where the next would begin
  return hashes
end

-- Returns the buckets in which a signature may be that is inside its window, newest first; and the longest window of
-- any signature there, or by the rules.
local function buckets_in_window(signatures, now)
  local buckets, longest = {}, rules.window
  for _, bucket in ipairs(live_buckets(signatures)) do
    if bucket.ends + bucket.keep > now then
      buckets[#buckets + 1] = bucket
      longest = math.max(longest, bucket.keep)
    end
  end
  return buckets, longest
end

-- Returns the first `count` of `fields` that have no value, the positions these have among all the hashes, and how many
-- they are. `positions` is nil for fields that are all the hashes, so that position and index are the same.
local function without_value(values, fields, positions, count)
  local left, left_positions, n = {}, {}, 0
  for i = 1, count do
    if not values[i] then
      n = n + 1
      left[n], left_positions[n] = fields[i], positions and positions[i] or i
    end
  end
  return left, left_positions, n
end

-- Looks for each signature in the buckets of the window. By position in `hashes`, of those found inside their window:
-- returns their ages in milliseconds, the numbers of their blocks, and their places in these; then how many they are,
-- and the longest window of any signature. For example, of three hashes the second was accepted 800 ms ago as the
-- first of block 7: {[2] = 800}, {[2] = 7}, {[2] = 0}, 1, 5000.
--
-- After an earlier call on the same hashes only newer acceptances are of interest: the latest `unchecked` ones, and
-- what was accepted at `checked_ms` or later. Usually either says enough. After a failover neither does, since the new
-- master may have lost acceptances, and its clock may differ.
local function acceptances_in_window(signatures, hashes, now, checked_ms, unchecked)
  local ages, blocks, places, found = {}, {}, {}, 0
  local fields, positions, left = hashes, nil, #hashes
  local buckets, longest = buckets_in_window(signatures, now)
  for _, bucket in ipairs(buckets) do
    if left == 0 or (unchecked <= 0 and bucket.ends <= checked_ms) then break end
    unchecked = unchecked - bucket.entries
    local values = redis.call('HMGET', key('signatures', id_text(bucket.id)), unpack(fields, 1, left))
    local hits, keep, last, age = 0, bucket.keep, nil, nil
    for i = 1, left do
      local value = values[i]
      if value then
        hits = hits + 1
        local low, block, place = struct.unpack(ENTRY, value)
        -- Neighbours were mostly accepted together, so their age is mostly that of the one before.
        if low ~= last then last, age = low, math.max(now - when_accepted(low, now), 0) end
        if age < keep then
          local position = positions and positions[i] or i
          ages[position], blocks[position], places[position] = age, block, place
          found = found + 1
        end
      end
    end
    if hits > 0 then fields, positions, left = without_value(values, fields, positions, left) end
  end
  return ages, blocks, places, found, longest
end
