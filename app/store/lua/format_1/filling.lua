-- How entries come into a map: find the bucket that takes them, write them there, and book them.

local MOST_BLOCKS = 2 ^ 32
local BLOCKS_A_MILLISECOND = 4

-- The number of the last block before those of a new bucket of transactions. It is that of the newest bucket;
-- if none is left, that of the bucket this call dropped last; else it is made from the clock, higher than any
-- given so far, since a partition takes fewer than four blocks a millisecond. So numbers begin again only
-- after 2^32: sightings outlive their block, and must not be taken for those of another one with its number.
local function last_block(map, newest, id)
  if map.name ~= 'transactions' then return 0 end
  return newest and newest.latest_block or map.dropped_block or BLOCKS_A_MILLISECOND * id % MOST_BLOCKS
end

-- Returns the bucket that takes so many entries and bytes now: the newest one, or a new one when the newest
-- has ended, would pass its share of the limit, was to take entries for longer than the rules say, or was
-- opened more than `hold` after `now`. A `keep` below the retention in force is raised, and never lowered.
local function open_bucket(map, clock, entries, bytes)
  local now, rule = clock.now, map.rule
  local newest = decode_bucket(map, redis.call('LINDEX', map.buckets, -1))
  if newest and newest.ends > now + rule.width and may_end(map, newest, now) then
    newest.ends = now
    redis.call('LSET', map.buckets, -1, encode_bucket(newest))
  end
  local is_from_future = newest and newest.id > now + clock.hold
  if newest and now < newest.ends and not is_from_future
    and newest.entries + entries <= rule.share and newest.bytes + bytes <= rule.share_bytes then
    newest.keep = math.max(newest.keep, rule.retention)
    return newest
  end
  local id = now -- two buckets may be opened in one millisecond: the second takes the next id
  if newest and newest.id >= now and not is_from_future then id = newest.id + 1 end
  return {
    id = id, ends = now + rule.width, entries = 0, bytes = 0,
    latest_block = last_block(map, newest, id), keep = rule.retention, is_new = true,
  }
end

-- Adds what was written into a bucket to its descriptor and the ledger. Only now a new bucket is listed.
local function book(map, bucket, entries, bytes)
  bucket.entries = bucket.entries + entries
  bucket.bytes = bucket.bytes + bytes
  map.entries = map.entries + entries
  map.bytes = map.bytes + bytes
  map.added = map.added + entries
  redis.call(
    'HSET', map.ledger, 'entries', id_text(map.entries), 'bytes', id_text(map.bytes),
    'added', id_text(map.added)
  )
  set_expiry(map, bucket)
  if not bucket.is_new then
    redis.call('LSET', map.buckets, -1, encode_bucket(bucket))
    return
  end
  redis.call('RPUSH', map.buckets, encode_bucket(bucket))
  redis.call('PEXPIRE', map.ledger, rules.ledger_expiry)
  redis.call('PEXPIRE', map.buckets, rules.ledger_expiry)
end
