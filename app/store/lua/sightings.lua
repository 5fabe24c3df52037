-- Who delivered what, when: put in front of the script that notes it.
--
-- ARGV[3] is one byte a hash, the place of its source in the msgpack list ARGV[5]. ARGV[4] is three bytes for each
-- hash that was delivered again in the same flush: its place among the hashes, and that of the source.
--
-- The source whose delivery was accepted is named with the signature and in the transaction, so its sighting is
-- counted, in the bucket's `blocks`, and not written: that would be a quarter of what an acceptance costs.

local names = cmsgpack.unpack(ARGV[5])

-- By place of a hash: the places of the sources that delivered it again.
local function later_sources()
  local later = {}
  for at = 1, #ARGV[4], 3 do
    local place, source = struct.unpack('>HB', ARGV[4], at)
    local sources = later[place + 1] or {}
    later[place + 1] = sources
    sources[#sources + 1] = source + 1
  end
  return later
end

-- `record` with one more sighting, `mark .. offset`: nil when its source is noted already, false when it is full.
-- What was noted before `since` belongs to an earlier acceptance of the signature, and does not count.
local function with_sighting(record, mark, sighting, since)
  local most = rules.sources - 1 -- besides the one whose delivery was accepted
  local is_short = #record < 4 * most
  if is_short and not string.find(record, mark, 1, true) then return record .. sighting end
  local sources = 0
  for noted_mark, noted in string.gmatch(record, '(;[^=]+=)(%-?%d+)') do
    if tonumber(noted) >= since then
      if noted_mark == mark then return nil end
      sources = sources + 1
    end
  end
  if sources >= most then return false end
  return record .. sighting
end

-- Of hashes[at], accepted now (code 0) or ages[at] milliseconds ago: which have a sighting to be written?
local function with_something_to_write(codes, ages, later)
  local seen, n = {}, 0
  for at = 1, #codes do
    if ages[at] or (codes[at] == 0 and later[at]) then
      n = n + 1
      seen[n] = at
    end
  end
  return seen
end

-- Notes who delivered what is inside the window: a source once a bucket, and at most rules.sources of them; one
-- more is booked as added and at once removed for capacity.
local function note_sightings(hashes, codes, ages, accepted_from, accepted, now)
  local map, later = open_map('observations'), later_sources()
  sweep_due(map, now)
  local seen = with_something_to_write(codes, ages, later)
  local most = accepted + #seen + #ARGV[4] / 3
  make_room(map, most, 0, now)
  local bucket = open_bucket(map, now, most, 0)
  local name, offset = key('observations', id_text(bucket.id)), id_text(now - bucket.id)
  local marks, sightings = {}, {}
  for i = 1, #names do
    marks[i] = ';' .. names[i] .. '='
    sightings[i] = marks[i] .. offset
  end
  local records, fields = {}, hashes
  if #seen < #hashes then
    fields = {}
    for i = 1, #seen do fields[i] = hashes[seen[i]] end
  end
  local noted, sources = #seen > 0 and redis.call('HMGET', name, unpack(fields)), ARGV[3]
  local added, bytes, over, filled = 0, 0, 0, 0
  for i = 1, #seen do
    local at = seen[i]
    local record, again, n = noted[i] or '', later[at], 0
    local since, length, source = now - (ages[at] or 0) - bucket.id, #record, string.byte(sources, at) + 1
    if not ages[at] then n, source = 1, again[1] end
    repeat
      local longer
      if names[source] ~= accepted_from[at] then
        longer = with_sighting(record, marks[source], sightings[source], since)
      end
      if longer then
        record, added = longer, added + 1
      elseif longer == false then
        over = over + 1
      end
      n = n + 1
      source = again and again[n]
    until not source
    if #record > length then
      bytes = bytes + #record - length
      records[filled + 1], records[filled + 2] = fields[i], record
      filled = filled + 2
    end
  end
  if filled > 0 then redis.call('HSET', name, unpack(records)) end
  if accepted + added > 0 then
    bucket.blocks = bucket.blocks + accepted
    book(map, bucket, accepted + added, bytes)
  end
  if over > 0 then
    redis.call('HINCRBY', map.ledger, 'added', over)
    redis.call('HINCRBY', map.ledger, 'capacity', over)
  end
end
