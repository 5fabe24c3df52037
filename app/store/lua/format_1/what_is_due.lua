-- How entries leave a map: a whole bucket at a time, because it is due or because the map needs room.

local SWEEP_BUCKETS = 4

-- Removes a bucket, and counts its entries under `reason`. If they were due they count under `due`, too; and
-- under `on_time` if they expire at most one cleanup interval late. The efficiency ratio compares these two.
local function drop(map, bucket, reason, now)
  redis.call('LREM', map.buckets, 1, bucket.raw)
  redis.call('UNLINK', unpack(data_keys(map, bucket)))
  map.entries = map.entries - bucket.entries
  map.bytes = map.bytes - bucket.bytes
  map.dropped_block = bucket.latest_block -- the next bucket numbers its blocks on from there: last_block
  redis.call('HSET', map.ledger, 'entries', id_text(map.entries), 'bytes', id_text(map.bytes))
  redis.call('HINCRBY', map.ledger, reason, bucket.entries)
  local due_ms = bucket.ends + bucket.keep
  if now < due_ms then return end
  redis.call('HINCRBY', map.ledger, 'due', bucket.entries)
  if reason == 'expired' and now <= due_ms + map.rule.interval then
    redis.call('HINCRBY', map.ledger, 'on_time', bucket.entries)
  end
end

-- Whether a bucket may leave, when entries are to be kept for `retention`. An emergency's shorter retention
-- cuts what was promised to transactions and observations. A signature always keeps its window, or a
-- duplicate would be admitted. A bucket opened more than `hold` after `now` (the clock was set back) leaves,
-- too: it would keep everything behind it from being swept.
local function is_due(map, bucket, retention, clock)
  local keep = map.name == 'signatures' and bucket.keep or math.min(bucket.keep, retention)
  return bucket.ends + keep <= clock.now or bucket.id > clock.now + clock.hold
end

-- Drops at most `most` buckets that are due. Returns how many entries left, and whether more buckets are due.
-- Of signatures an older bucket may have a longer window. Else the oldest bucket is due first, so the search
-- ends at one that is not.
local function sweep(map, clock, retention, reason, most)
  local is_ordered = map.name ~= 'signatures'
  local removed, dropped = 0, 0
  for _, raw in ipairs(redis.call('LRANGE', map.buckets, 0, is_ordered and most or -1)) do
    local bucket = decode_bucket(map, raw)
    if is_due(map, bucket, retention, clock) then
      if dropped == most then return removed, true end
      drop(map, bucket, reason, clock.now)
      removed, dropped = removed + bucket.entries, dropped + 1
    elseif is_ordered then
      break
    end
  end
  return removed, false
end

-- What every call on a map does first, so that entries leave also when no cleanup comes.
local function sweep_due(map, clock)
  return sweep(map, clock, map.rule.retention, 'expired', SWEEP_BUCKETS)
end

-- Drops the oldest buckets until so many entries and bytes fit below the map's limits.
local function make_room(map, entries, bytes, now)
  local rule = map.rule
  while map.entries + entries > rule.limit or map.bytes + bytes > rule.limit_bytes do
    local bucket = oldest_bucket(map)
    if not bucket then return end
    drop(map, bucket, 'capacity', now)
  end
end
