-- Who delivered what, when: put in front of the scripts that note it.

-- A function from an item's position to how a sighting by its source begins. ARGV[3] is one byte an item,
-- the place of its source in the msgpack list ARGV[4].
local function marks_by_item()
  local marks = cmsgpack.unpack(ARGV[4])
  for i = 1, #marks do marks[i] = ';' .. marks[i] .. '=' end
  return function(at) return marks[string.byte(ARGV[3], at) + 1] end
end

-- `record` with one more sighting: nil when its source is noted already, false when it is full. What was
-- noted before `since` belongs to an earlier acceptance of the signature, and does not count.
local function with_sighting(record, mark, offset, since)
  local is_short = #record < 4 * rules.sources
  if is_short and not string.find(record, mark, 1, true) then return record .. mark .. offset end
  local sources = 0
  for noted_mark, noted in string.gmatch(record, '(;[^=]+=)(%-?%d+)') do
    if tonumber(noted) >= since then
      if noted_mark == mark then return nil end
      sources = sources + 1
    end
  end
  if sources >= rules.sources then return false end
  return record .. mark .. offset
end

-- Notes who delivered hashes[at], accepted ages[at] milliseconds ago, for every `at` in `seen`: a source once
-- a bucket, and at most rules.sources of them; one more is booked as added and at once removed for capacity.
local function observe(hashes, seen, ages, mark_of, now)
  if #seen == 0 then return end
  local map = open_map('observations')
  sweep_due(map, now)
  make_room(map, #seen, 0, now)
  local bucket = open_bucket(map, now, #seen, 0)
  local name, offset = key('observations', id_text(bucket.id)), id_text(now - bucket.id)
  local fields = {}
  for i, at in ipairs(seen) do fields[i] = hashes[at] end
  local noted = redis.call('HMGET', name, unpack(fields))
  local changed, added, bytes, over = {}, 0, 0, 0
  for i, at in ipairs(seen) do
    local hash = hashes[at]
    local record = changed[hash] or noted[i] or ''
    local longer = with_sighting(record, mark_of(at), offset, now - ages[at] - bucket.id)
    if longer then
      changed[hash] = longer
      added, bytes = added + 1, bytes + #longer - #record
    elseif longer == false then
      over = over + 1
    end
  end
  if added > 0 then
    local records = {}
    for hash, record in pairs(changed) do
      records[#records + 1] = hash
      records[#records + 1] = record
    end
    redis.call('HSET', name, unpack(records))
    book(map, bucket, added, bytes)
  end
  if over > 0 then
    redis.call('HINCRBY', map.ledger, 'added', over)
    redis.call('HINCRBY', map.ledger, 'capacity', over)
  end
end
