-- Who delivered what, when: put in front of the script that notes it.
--
-- ARGV[3] is one byte a hash, the place of its source in the msgpack list ARGV[5]. ARGV[4] is three bytes for each
-- hash that was delivered again in the same flush: its place among the hashes, and that of the source.
--
-- Feeds deliver together what belongs together, so sightings are noted a stretch of a block at a time: of 32
-- neighbours, for each source, ";source=milliseconds from <id>,a bit a place", behind the number of sources. Noted for
-- each signature by itself they took two thirds of the time of a duplicate.

local names = cmsgpack.unpack(ARGV[5])
local marks = {}
for source, name in ipairs(names) do marks[source], marks[source + #names] = ';' .. name .. '=', ';' .. name .. '=' end
local band, bor, bnot, lshift, rshift = bit.band, bit.bor, bit.bnot, bit.lshift, bit.rshift

-- How many of 32 bits are set, by sums of neighbours (Warren, Hacker's Delight, 5-1).
local function count_bits(bits)
  bits = bits - band(rshift(bits, 1), 0x55555555)
  bits = band(bits, 0x33333333) + band(rshift(bits, 2), 0x33333333)
  return band(bits + rshift(bits, 4), 0x0F0F0F0F) % 255
end

-- What was delivered now, by stretches: for each mark a bit a place; the fields of these stretches, since when counts
-- what is noted there, and the most sightings there can be. What was delivered again comes behind all that was
-- delivered first. Neighbours mostly come together, so they are taken in runs.
local function delivered_stretches(ages, blocks, in_block, count, now)
  local of_block, stretches, fields, since, most = {}, {}, {}, {}, 0
  local function deliver(mark, block, first, last, age)
    most = most + last - first + 1
    local of_number = of_block[block] or {}
    of_block[block] = of_number
    local from = first % STRETCH
    for number = (first - from) / STRETCH, math.floor(last / STRETCH) do
      local stretch = of_number[number]
      if not stretch then
        stretch = {}
        local n = #stretches + 1
        of_number[number], stretches[n] = stretch, stretch
        fields[n], since[n] = struct.pack('>I4I2', block, number), now - age
      end
      local to = math.min(last - number * STRETCH + 1, STRETCH)
      stretch[mark] = bor(stretch[mark] or 0, 2 ^ to - 2 ^ from)
      from = 0
    end
  end
  local sources, at = {string.byte(ARGV[3], 1, count)}, 1
  while at <= count do
    local block, first, source = blocks[at], in_block[at], sources[at]
    local begins = at
    at = at + 1
    if block then
      while blocks[at] == block and in_block[at] == first + at - begins and sources[at] == source do at = at + 1 end
      deliver(source + 1, block, first, first + at - begins - 1, ages[begins])
    end
  end
  for again = 1, #ARGV[4], 3 do
    local place, source = struct.unpack('>HB', ARGV[4], again)
    local seen = place + 1
    if blocks[seen] then
      deliver(#names + source + 1, blocks[seen], in_block[seen], in_block[seen], ages[seen])
    end
  end
  return stretches, fields, since, most
end

-- The places of which `record` says since `since` that the source of `mark` saw them. What was noted before belongs to
-- a block that had the same number, and does not count.
local function noted_places(record, mark, since)
  local noted, _, at = 0, string.find(record, mark, 1, true)
  while at do
    local offset, bits, after = string.match(record, '^(%-?%d+),(%-?%d+)()', at + 1)
    if tonumber(offset) >= since then noted = bor(noted, bits) end
    _, at = string.find(record, mark, after, true)
  end
  return noted
end

-- Of `places` those that rules.sources have seen.
local function full_places(record, places, since)
  local seen, full = {}, 0
  for offset, bits in string.gmatch(record, '=(%-?%d+),(%-?%d+)') do
    if tonumber(offset) >= since then seen[#seen + 1] = bits end
  end
  for place = 0, STRETCH - 1 do
    local sources = 0
    for i = 1, band(1, rshift(places, place)) * #seen do sources = sources + band(1, rshift(seen[i], place)) end
    if sources >= rules.sources then full = bor(full, lshift(1, place)) end
  end
  return full
end

-- `record` with what was delivered now; how many sightings that is, and how many more if no place were full. It
-- begins with the number of its sources, since only many make a place full. Each source's own places are found by its
-- mark alone: a record has up to 32 entries a source, when neighbours come one by one.
local function with_sightings(record, stretch, since, offset)
  local sources, added, over = 0, 0, 0
  if record ~= '' then
    sources, record = string.match(record, '^(%d+)(.*)$')
    sources = tonumber(sources)
  end
  for at = 1, #marks do
    local bits, mark = stretch[at], marks[at]
    local noted = bits and record ~= '' and noted_places(record, mark, since) or 0
    local new = bits and band(bits, bnot(noted)) or 0
    if new ~= 0 and sources >= rules.sources then
      local full = full_places(record, new, since)
      over, new = over + count_bits(band(new, full)), band(new, bnot(full))
    end
    if new ~= 0 then
      if noted == 0 then sources = sources + 1 end
      added = added + count_bits(new)
      record = record .. mark .. offset .. ',' .. new
    end
  end
  return sources .. record, added, over
end

-- Notes who delivered what is inside the window: a source once a bucket, and at most rules.sources of them; one
-- more is booked as added and at once removed for capacity.
local function note_sightings(ages, blocks, in_block, count, now)
  local map = open_map('observations')
  sweep_due(map, now)
  local stretches, fields, since, most = delivered_stretches(ages, blocks, in_block, count, now)
  make_room(map, most, 0, now)
  local bucket = open_bucket(map, now, most, 0)
  local name, offset = key('observations', id_text(bucket.id)), id_text(now - bucket.id)
  local noted = redis.call('HMGET', name, unpack(fields))
  local records, added, bytes, over = {}, 0, 0, 0
  for i = 1, #stretches do
    local before = noted[i] or ''
    local record, new, refused = with_sightings(before, stretches[i], since[i] - bucket.id, offset)
    added, over, bytes = added + new, over + refused, bytes + #record - #before
    if new > 0 then
      records[#records + 1] = fields[i]
      records[#records + 1] = record
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
