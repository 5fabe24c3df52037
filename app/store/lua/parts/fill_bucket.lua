-- How entries come into a map: find the bucket that takes them, write them there, and book them.

local BLOCKS_A_MILLISECOND = 4

-- Returns a new bucket, with the number of the last block before those it will have. It is that of the newest bucket;
-- if none is left, that of the bucket this call dropped last; else it is made from the clock, higher than any given so
-- far, since a partition takes fewer than four blocks a millisecond. So numbers begin again only after 2^32: sightings
-- outlive their block, and must not be taken for those of another one with its number.
local function new_bucket(map, now, is_newest_from_future)
  local id, newest, latest_block = now, map.newest, 0
  -- Two buckets may be opened in one millisecond: the second takes the next id.
  if newest and newest.id >= now and not is_newest_from_future then id = newest.id + 1 end
  if map.name == 'transactions' then
    latest_block = newest and newest.latest_block or map.dropped_block or BLOCKS_A_MILLISECOND * id % MOST_BLOCKS
  end
  local rule = map.rule
  return {
    id = id, ends = now + rule.width, entries = 0, bytes = 0, latest_block = latest_block, keep = rule.retention,
    is_new = true,
  }
end

-- Returns the bucket that takes so many entries and bytes now: the newest one, or a new one when the newest
-- has ended, would pass its share of the limit, was to take entries for longer than the rules say, or was
-- opened more than `hold` after `now`. A `keep` below the retention in force is raised, and never lowered.
local function open_bucket(map, clock, entries, bytes)
  local now, rule, newest = clock.now, map.rule, map.newest
  if newest and newest.ends > now + rule.width then
    -- @use end_bucket_early
    if may_end(map, newest, now) then
      newest.ends, ledger.is_changed = now, true
      map.due_ms = math.min(map.due_ms, now + newest.keep)
    end
  end
  local is_from_future = newest and newest.id > now + clock.hold
  if newest and now < newest.ends and not is_from_future
    and newest.entries + entries <= rule.share and newest.bytes + bytes <= rule.share_bytes then
    if newest.keep < rule.retention then
      -- @use all_buckets
      newest.keep, ledger.is_changed = rule.retention, true
      set_expiry(map, newest)
    end
    return newest
  end
  return new_bucket(map, now, is_from_future)
end

-- @use key_expiry

-- Adds what was written into a bucket to its map. Only now a new bucket is listed.
local function book(map, bucket, entries, bytes)
  bucket.entries = bucket.entries + entries
  bucket.bytes = bucket.bytes + bytes
  map.entries = map.entries + entries
  map.bytes = map.bytes + bytes
  map.added = map.added + entries
  if bucket.is_new then list_bucket(map, bucket) end
  bucket.is_new, ledger.is_changed = false, true
end
