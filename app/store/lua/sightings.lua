-- Who delivered what, when: put in front of the scripts that note it.
--
-- ARGV[3] is one byte a hash, the place of its source in the msgpack list ARGV[5]. ARGV[4] is three bytes for each
-- hash that was delivered again in the same flush: its place among the hashes, and that of the source.

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
  local is_short = #record < 4 * rules.sources
  if is_short and not string.find(record, mark, 1, true) then return record .. sighting end
  local sources = 0
  for noted_mark, noted in string.gmatch(record, '(;[^=]+=)(%-?%d+)') do
    if tonumber(noted) >= since then
      if noted_mark == mark then return nil end
      sources = sources + 1
    end
  end
  if sources >= rules.sources then return false end
  return record .. sighting
end

-- Notes who delivered hashes[at], accepted ages[at] milliseconds ago, for every `at` in `seen`: a source once
-- a bucket, and at most rules.sources of them; one more is booked as added and at once removed for capacity.
local function observe(hashes, seen, ages, now)
  if #seen == 0 then return end
  local map, later = open_map('observations'), later_sources()
  sweep_due(map, now)
  local most = #seen + #ARGV[4] / 3
  make_room(map, most, 0, now)
  local bucket = open_bucket(map, now, most, 0)
  local name, offset = key('observations', id_text(bucket.id)), id_text(now - bucket.id)
  local marks, sightings = cmsgpack.unpack(ARGV[5]), {}
  for i = 1, #marks do
    marks[i] = ';' .. marks[i] .. '='
    sightings[i] = marks[i] .. offset
  end
  local records, fields = {}, hashes
  if #seen < #hashes then
    fields = {}
    for i = 1, #seen do fields[i] = hashes[seen[i]] end
  end
  local noted, sources = redis.call('HMGET', name, unpack(fields)), ARGV[3]
  local added, bytes, over, filled = 0, 0, 0, 0
  for i = 1, #seen do
    local at = seen[i]
    local record, source = noted[i] or '', string.byte(sources, at) + 1
    local again, since = later[at], now - ages[at] - bucket.id
    local length, n = #record, 0
    repeat
      local longer = with_sighting(record, marks[source], sightings[source], since)
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
  if added > 0 then
    redis.call('HSET', name, unpack(records))
    book(map, bucket, added, bytes)
  end
  if over > 0 then
    redis.call('HINCRBY', map.ledger, 'added', over)
    redis.call('HINCRBY', map.ledger, 'capacity', over)
  end
end
