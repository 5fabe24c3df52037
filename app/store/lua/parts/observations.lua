-- Who delivered what, and when: notes it in the map of observations, each a sighting. They are kept by the block of a
-- transaction and its place there, not by its signature. A field of P:observations:<id> (see prelude.lua) is a
-- stretch of 32 neighbouring places of one block: (block number, place/32). A feed mostly delivers neighbours
-- together, and these then are one entry. Sightings noted for each signature by itself took two thirds of the
-- time that the store spends on a duplicate.
--
-- The value of a field is a record. It begins with how many sources it has: while that is below rules.sources no place
-- can be full, and nobody has to look. It may be too high, never too low: should block numbers begin again (after 2^32
-- of them) within one bucket, a source that delivered for the earlier block of a number is counted twice. Then follows,
-- for each source and moment, ";source=milliseconds since <id>,a bit for each place". The bits are a signed number; the
-- milliseconds are negative if the clock was set back behind <id>. For example, in a bucket with the id 1700000000000
--
--   2;helius-a=120,7;quick-b=180,3;quick-b=950,4
--
-- says that helius-a delivered the places 0, 1 and 2 at 1700000000120, and quick-b the first two of them 60
-- ms later and place 2 at 1700000000950. In one bucket a place has at most one sighting of each source, and
-- at most rules.sources in all.
--
-- What was delivered comes in three arguments, all about the hashes of ARGV[2]:
--   ARGV[3]  one byte for each hash: who delivered it, by index, from 0, in the list of sources
--   ARGV[4]  three bytes for each time that a hash was delivered again in the same flush: its index among the
--            hashes, from 0 (2 bytes), and that of the source (1 byte)
--   ARGV[5]  the list of sources, in msgpack

-- A delivery number says who delivered, and whether again: n for the source n of `names`, from 1, and #names + n for
-- its repeats in the same flush. Deliveries are noted in the order of these numbers, so whoever was first at a place
-- stands before the repeats; otherwise the order says nothing of time. A number's mark is how an entry of its source
-- begins in a record.
local names = cmsgpack.unpack(ARGV[5])
local marks = {}
for source, name in ipairs(names) do
  local mark = ';' .. name .. '='
  marks[source], marks[#names + source] = mark, mark
end
local band, bor, bnot, lshift, rshift = bit.band, bit.bor, bit.bnot, bit.lshift, bit.rshift

-- How many of 32 bits are set, by sums of neighbours (Warren, Hacker's Delight, 5-1).
local function count_bits(bits)
  bits = bits - band(rshift(bits, 1), 0x55555555)
  bits = band(bits, 0x33333333) + band(rshift(bits, 2), 0x33333333)
  return band(bits + rshift(bits, 4), 0x0F0F0F0F) % 255
end

-- Sorts what was delivered now by stretches. Returns three lists, one item a stretch: which places each
-- delivery number brought, as bits; the field; when the block was accepted. Returns fourth the most sightings
-- that these can add. For example, places 30 to 33 of block 7, accepted 60 ms ago, by delivery number 1:
-- {{[1] = bits 30 and 31}, {[1] = bits 0 and 1}}, the fields (7, 0) and (7, 1), {now - 60, now - 60}, and 4.
-- A run, neighbours of one block from one source, is taken at once; all of a block were accepted at one moment.
local function delivered_stretches(ages, blocks, places, count, now)
  local of_block, stretches, fields, accepted_ms, most = {}, {}, {}, {}, 0
  local function deliver(delivery, block, first, last, age)
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
        fields[n], accepted_ms[n] = struct.pack('>I4I2', block, number), now - age
      end
      local to = math.min(last - number * STRETCH + 1, STRETCH)
      stretch[delivery] = bor(stretch[delivery] or 0, 2 ^ to - 2 ^ from) -- the bits from..to-1, signed
      from = 0
    end
  end
  local sources, at = {string.byte(ARGV[3], 1, count)}, 1
  while at <= count do
    local block, first, source = blocks[at], places[at], sources[at]
    local begins = at
    at = at + 1
    if block then
      while blocks[at] == block and places[at] == first + at - begins and sources[at] == source do
        at = at + 1
      end
      deliver(source + 1, block, first, first + at - begins - 1, ages[begins])
    end
  end
  for again = 1, #ARGV[4], 3 do
    local from_0, source = struct.unpack('>HB', ARGV[4], again)
    local index = from_0 + 1
    local block, place = blocks[index], places[index]
    if block then deliver(#names + source + 1, block, place, place, ages[index]) end
  end
  return stretches, fields, accepted_ms, most
end

-- Returns, as bits, the places that the source of `mark` has delivered, according to `record`. What was noted
-- before `earliest` (milliseconds since the bucket's id, as in the record) belongs to an earlier block that had
-- the same number, and is passed over. Entries of other sources are not looked at: when neighbours come one by
-- one, a record has up to 32 entries for each source.
local function noted_places(record, mark, earliest)
  local noted, _, at = 0, string.find(record, mark, 1, true)
  while at do
    local offset, bits, after = string.match(record, '^(%-?%d+),(%-?%d+)()', at + 1)
    if tonumber(offset) >= earliest then noted = bor(noted, bits) end
    _, at = string.find(record, mark, after, true)
  end
  return noted
end

-- Of `places` (bits), returns the full ones: `record` has sightings of them by rules.sources sources or more
-- since `earliest`.
local function full_places(record, places, earliest)
  local noted, full = {}, 0
  for offset, bits in string.gmatch(record, '=(%-?%d+),(%-?%d+)') do
    if tonumber(offset) >= earliest then noted[#noted + 1] = bits end
  end
  for place = 0, STRETCH - 1 do
    if band(1, rshift(places, place)) == 1 then
      local sources = 0
      for i = 1, #noted do sources = sources + band(1, rshift(noted[i], place)) end
      if sources >= rules.sources then full = bor(full, lshift(1, place)) end
    end
  end
  return full
end

-- Returns the record with the new sightings, made at `offset`; how many those are; and how many were left out
-- because their place was full. Only a record that begins with rules.sources or more can have a full place.
local function with_sightings(record, stretch, earliest, offset)
  local sources, added, left_out = 0, 0, 0
  if record ~= '' then
    sources, record = string.match(record, '^(%d+)(.*)$')
    sources = tonumber(sources)
  end
  for delivery = 1, #marks do
    local bits, mark = stretch[delivery], marks[delivery]
    local noted = bits and record ~= '' and noted_places(record, mark, earliest) or 0
    local new = bits and band(bits, bnot(noted)) or 0
    if new ~= 0 and sources >= rules.sources then
      local full = full_places(record, new, earliest)
      left_out, new = left_out + count_bits(band(new, full)), band(new, bnot(full))
    end
    if new ~= 0 then
      if noted == 0 then sources = sources + 1 end
      added = added + count_bits(new)
      record = record .. mark .. offset .. ',' .. new
    end
  end
  return sources .. record, added, left_out
end

-- Reads what is noted of the hashes that are inside their window, and returns which sightings are new, for
-- note_sightings to write. It sweeps what is due and makes room, and writes no sighting itself.
-- `ages`, `blocks` and `places` are by index among `count` hashes, and nil for the others.
-- Room is made for the most sightings there can be, before it is known how many are new.
local function sightings_to_note(ages, blocks, places, count, clock)
  local map = ledger.observations
  sweep_due(map, clock)
  local stretches, fields, accepted_ms, most = delivered_stretches(ages, blocks, places, count, clock.now)
  make_room(map, most, 0, clock.now)
  local bucket = open_bucket(map, clock, most, 0)
  local offset = id_text(clock.now - bucket.id)
  local noted = redis.call('HMGET', key('observations', id_text(bucket.id)), unpack(fields))
  local records, added, bytes, left_out = {}, 0, 0, 0
  for i = 1, #stretches do
    local before = noted[i] or ''
    local record, new, new_left_out = with_sightings(before, stretches[i], accepted_ms[i] - bucket.id, offset)
    added, left_out, bytes = added + new, left_out + new_left_out, bytes + #record - #before
    if new > 0 then
      records[#records + 1] = fields[i]
      records[#records + 1] = record
    end
  end
  return {bucket = bucket, records = records, added = added, bytes = bytes, left_out = left_out}
end

-- Writes them. A sighting that is left out counts as added and as removed for capacity.
local function note_sightings(new)
  local map = ledger.observations
  if new.added > 0 then
    write_fields('observations', new.bucket, new.records)
    book(map, new.bucket, new.added, new.bytes)
  end
  if new.left_out > 0 then
    -- @use totals
    local totals = totals_of(map)
    map.added, totals.capacity = map.added + new.left_out, totals.capacity + new.left_out
    set_totals(map, totals)
  end
end
