-- Which signatures are inside their window: looks for the latest acceptance of each, newest bucket first.

-- Of `hashes` joined to one text, 16 bytes each, makes a list.
local function split_hashes(packed)
  local hashes = {struct.unpack(string.rep('c16', #packed / 16), packed)}
  hashes[#hashes] = nil -- behind the values struct.unpack returns where the next would begin
  return hashes
end

-- Returns the buckets that can hold a signature inside its window, newest first. Returns also the longest
-- window, of those buckets or by the rules.
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

-- Of the first `count` fields, keeps those without a value. Returns them, their positions among all the
-- hashes, and their number. `positions` is nil for fields that are all the hashes, so that position and index
-- are the same.
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

-- Looks for each signature in the buckets of the window. By position in `hashes`, of those found inside their
-- window: returns their ages in milliseconds, the numbers of their blocks, and their places in these; then
-- how many they are, and the longest window of any signature. For example, of three hashes the second was
-- accepted 800 ms ago as the first of block 7: {[2] = 800}, {[2] = 7}, {[2] = 0}, 1, 5000.
--
-- A second call goes back as long as a bucket may hold one of the latest `unchecked` acceptances, or ended
-- after `checked_ms`. It stops at the first bucket for which both are untrue. It asks for both because after
-- a failover the count or the clock may be wrong.
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
