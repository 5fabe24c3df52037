-- Shared by every script of this folder: put in front of each when it is loaded.
--
-- A partition is all that shares one hash tag, so one script call stays on one cluster slot. KEYS[1] is
-- its prefix P; the other keys are named here, because the server's clock decides which bucket is open.
--
--   P:<map>:buckets      LIST  one descriptor a live bucket, oldest first: {id, ends, entries, bytes, blocks}
--   P:<map>:ledger       HASH  entries, bytes, added, one total a removal reason, due, on_time, reported
--   P:signatures:<id>    HASH  16-byte hash of the signature -> milliseconds from <id> to its acceptance
--   P:transactions:<id>  HASH  16-byte hash -> block number, position in it, milliseconds from <id>
--   P:blocks:<id>        HASH  block number -> compressed transactions of one flush
--   P:observations:<id>  HASH  16-byte hash -> ";source=milliseconds from <id>", one a source
--
-- A bucket's id is the millisecond in which it was opened. It takes entries for one width, or until it
-- holds its share of the map's limit, and it leaves whole: when its youngest entry is past retention.
-- Every key has an expiry; that of a bucket is when it is due, for when no gate is left to sweep. It is set
-- with every write, so that a key somebody deleted does not come back without one.

local P = KEYS[1]
local rules = cmsgpack.unpack(ARGV[1])
local SWEEP_BUCKETS = 4

local function key(...)
  return P .. ':' .. table.concat({...}, ':')
end

local function id_text(id)
  return string.format('%.0f', id)
end

-- The server's clock in milliseconds, held still while it has been set back by less than the window:
-- an entry from the future would otherwise fall out of the window twice.
local function server_ms()
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local last = tonumber(redis.call('HGET', key('signatures', 'ledger'), 'clock') or 0)
  if last > now and last - now < rules.window then return last end
  return now
end

local function open_map(name)
  local ledger = key(name, 'ledger')
  local sizes = redis.call('HMGET', ledger, 'entries', 'bytes')
  return {
    name = name, rule = rules.maps[name], ledger = ledger, buckets = key(name, 'buckets'),
    entries = tonumber(sizes[1] or 0), bytes = tonumber(sizes[2] or 0),
  }
end

local function decode_bucket(raw)
  if not raw then return nil end
  local fields = cmsgpack.unpack(raw)
  return {id = fields[1], ends = fields[2], entries = fields[3], bytes = fields[4], blocks = fields[5]}
end

local function encode_bucket(bucket)
  return cmsgpack.pack({bucket.id, bucket.ends, bucket.entries, bucket.bytes, bucket.blocks})
end

local function oldest_bucket(map)
  return decode_bucket(redis.call('LINDEX', map.buckets, 0))
end

-- Newest first: what is asked for is most often recent.
local function live_buckets(map)
  local raw = redis.call('LRANGE', map.buckets, 0, -1)
  local buckets = {}
  for i = #raw, 1, -1 do buckets[#buckets + 1] = decode_bucket(raw[i]) end
  return buckets
end

local function data_keys(map, bucket)
  local id = id_text(bucket.id)
  if map.name == 'transactions' then return {key('transactions', id), key('blocks', id)} end
  return {key(map.name, id)}
end

local function drop_oldest(map, bucket, reason, now)
  redis.call('LPOP', map.buckets)
  redis.call('UNLINK', unpack(data_keys(map, bucket)))
  map.entries = map.entries - bucket.entries
  map.bytes = map.bytes - bucket.bytes
  redis.call('HSET', map.ledger, 'entries', id_text(map.entries), 'bytes', id_text(map.bytes))
  redis.call('HINCRBY', map.ledger, reason, bucket.entries)
  local due_ms = bucket.ends + map.rule.retention
  if now < due_ms then return end
  redis.call('HINCRBY', map.ledger, 'due', bucket.entries)
  if reason == 'expired' and now <= due_ms + map.rule.interval then
    redis.call('HINCRBY', map.ledger, 'on_time', bucket.entries)
  end
end

-- Past retention; or from a future that lasted longer than a window, since the clock has been set back: it
-- would keep everything behind it from being swept until that future comes.
local function is_due(bucket, retention, now)
  return bucket.ends + retention <= now or bucket.id > now + rules.window
end

-- Drops at most `most` buckets whose youngest entry is older than retention; returns the entries
-- removed, and whether some are left.
local function sweep(map, now, retention, reason, most)
  local removed = 0
  for _ = 1, most do
    local bucket = oldest_bucket(map)
    if not bucket or not is_due(bucket, retention, now) then return removed, false end
    drop_oldest(map, bucket, reason, now)
    removed = removed + bucket.entries
  end
  local next_bucket = oldest_bucket(map)
  return removed, next_bucket ~= nil and is_due(next_bucket, retention, now)
end

local function sweep_due(map, now)
  return sweep(map, now, map.rule.retention, 'expired', SWEEP_BUCKETS)
end

local function make_room(map, entries, bytes, now)
  local rule = map.rule
  while map.entries + entries > rule.limit or map.bytes + bytes > rule.limit_bytes do
    local bucket = oldest_bucket(map)
    if not bucket then return end
    drop_oldest(map, bucket, 'capacity', now)
  end
end

-- The bucket that takes the next entries; a new one when the newest is over, or holds its share.
local function open_bucket(map, now, entries, bytes)
  local newest = decode_bucket(redis.call('LINDEX', map.buckets, -1))
  if newest and now < newest.ends and newest.id <= now + rules.window
    and newest.entries + entries <= map.rule.share and newest.bytes + bytes <= map.rule.share_bytes then
    return newest
  end
  local id = now
  if newest and newest.id >= now and newest.id <= now + rules.window then id = newest.id + 1 end
  return {id = id, ends = now + map.rule.width, entries = 0, bytes = 0, blocks = 0, is_new = true}
end

local function book(map, bucket, entries, bytes)
  bucket.entries = bucket.entries + entries
  bucket.bytes = bucket.bytes + bytes
  map.entries = map.entries + entries
  map.bytes = map.bytes + bytes
  redis.call('HSET', map.ledger, 'entries', id_text(map.entries), 'bytes', id_text(map.bytes))
  redis.call('HINCRBY', map.ledger, 'added', entries)
  local expires = id_text(bucket.ends + map.rule.retention)
  for _, name in ipairs(data_keys(map, bucket)) do redis.call('PEXPIREAT', name, expires) end
  if not bucket.is_new then
    redis.call('LSET', map.buckets, -1, encode_bucket(bucket))
    return
  end
  redis.call('RPUSH', map.buckets, encode_bucket(bucket))
  redis.call('PEXPIRE', map.ledger, rules.ledger_expiry)
  redis.call('PEXPIRE', map.buckets, rules.ledger_expiry)
end

local function split_hashes(packed)
  local hashes = {}
  for at = 1, #packed, 16 do hashes[#hashes + 1] = string.sub(packed, at, at + 15) end
  return hashes
end

-- Age in milliseconds, by position in `hashes`, of each signature that is inside the window.
local function ages_in_window(signatures, hashes, now)
  local ages, pending = {}, {}
  for i = 1, #hashes do pending[i] = i end
  for _, bucket in ipairs(live_buckets(signatures)) do
    if #pending == 0 or bucket.ends + rules.window <= now then break end
    local fields = {}
    for i, at in ipairs(pending) do fields[i] = hashes[at] end
    local offsets = redis.call('HMGET', key('signatures', id_text(bucket.id)), unpack(fields))
    local missing = {}
    for i, at in ipairs(pending) do
      if offsets[i] then
        local age = now - bucket.id - offsets[i]
        if age < rules.window then ages[at] = math.max(age, 0) end
      else
        missing[#missing + 1] = at
      end
    end
    pending = missing
  end
  return ages
end

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

-- One answer an item, packed: 0 stands for "not seen", otherwise one more than the age in milliseconds.
local function pack_codes(codes)
  for i = 1, #codes do codes[i] = struct.pack('>I4', codes[i]) end
  return table.concat(codes)
end
