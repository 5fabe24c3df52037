-- How entries leave a map: a whole bucket at a time, because it is due or because the map needs room. Claims and ticks
-- come here by sweep_and_make_room.lua, and cleanups by cleanup.lua.

-- @use all_buckets
-- @use totals

-- Removes the bucket at an index, and counts its entries under `reason`. If they were due they count under `due`,
-- too; and under `on_time` if they expire at most one cleanup interval late. The efficiency ratio compares these two.
local function drop(map, index, reason, now)
  local bucket, totals = bucket_at(map, index), totals_of(map)
  redis.call('UNLINK', unpack(data_keys(map, bucket)))
  unlist_bucket(map, index)
  map.entries = map.entries - bucket.entries
  map.bytes = map.bytes - bucket.bytes
  map.dropped_block = bucket.latest_block -- the next bucket numbers its blocks on from there: new_bucket
  totals[reason] = totals[reason] + bucket.entries
  local due_ms = bucket.ends + bucket.keep
  if now >= due_ms then
    totals.due = totals.due + bucket.entries
    if reason == 'expired' and now <= due_ms + map.rule.interval then
      totals.on_time = totals.on_time + bucket.entries
    end
  end
  set_totals(map, totals)
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
-- Of signatures an older bucket may have a longer window, so all are looked at. Else the oldest bucket is due
-- first, so the search ends at one that is not.
local function sweep(map, clock, retention, reason, most)
  local is_ordered = map.name ~= 'signatures'
  local removed, dropped, index, due_ms = 0, 0, 1, math.huge
  local bucket = bucket_at(map, 1)
  map.due_ms = 0 -- should this end before it has looked at all that may be due
  while bucket do
    if is_due(map, bucket, retention, clock) then
      if dropped == most then return removed, true end
      drop(map, index, reason, clock.now)
      removed, dropped = removed + bucket.entries, dropped + 1
    else
      due_ms = math.min(due_ms, bucket.ends + bucket.keep)
      if is_ordered then break end
      index = index + 1
    end
    bucket = bucket_at(map, index)
  end
  map.due_ms = due_ms < math.huge and due_ms or 0
  return removed, false
end
