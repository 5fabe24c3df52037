-- Shared by every script of this folder: put in front of each when it is loaded (`scripts.py`).
--
-- A partition is all that shares one hash tag, so one script call stays on one cluster slot. KEYS[1] is
-- its prefix P; the other keys are named here, because the server's clock decides which bucket is open.
--
--   P:<map>:buckets      LIST  one descriptor a live bucket, oldest first: {id, ends, entries, bytes, blocks, keep}
--   P:<map>:ledger       HASH  entries, bytes, added, one total a removal reason, due, on_time, reported
--   P:signatures:<id>    HASH  16-byte hash -> ENTRY
--   P:transactions:<id>  HASH  16-byte hash -> ENTRY
--   P:blocks:<id>        HASH  block number -> compressed transactions of one flush
--   P:observations:<id>  HASH  block number, stretch of it -> who saw what of it when (sightings.lua)
--   P:rules              STR   the rules in force here, from the first change of the settings at run time on
--   P:settings           STR   the settings changed at run time, in the first partition only
--   P:history            ZSET  the gates that have a history -> when it last grew, in the first partition only
--   P:history:<gate>     LIST  that gate's samples, one a minute, oldest first; the same
--   P:lease:<name>       STR   held by the gate that does something on behalf of all, in the first partition only
--
-- A bucket's id is the millisecond in which it was opened. It takes entries for one width, or until it
-- holds its share of the map's limit, and it leaves whole: when its youngest entry is past retention.
-- Every key has an expiry; that of a bucket is when it is due, for when no gate is left to sweep. It is set
-- with every write, so that a key somebody deleted does not come back without one.
--
-- Rules can change while entries live. `keep` is how long a bucket's entries were promised to stay; of a
-- signature it is the window, which so never changes once the signature was accepted. All calls on a partition
-- change over in the same moment: when a tick first brings rules of a higher version.

local P = KEYS[1]
local SWEEP_BUCKETS = 4
local MOST_BUCKETS = 64
local MOST_BLOCKS = 2 ^ 32
local STRETCH = 32
local ENTRY = '>I4I4I2' -- of signatures and transactions: when accepted, block number, place in that block

local function key(...)
  return P .. ':' .. table.concat({...}, ':')
end

-- The caller's rules; windows, retentions and limits of those in force, if they are of a higher version.
local function rules_in_force()
  local own, held = cmsgpack.unpack(ARGV[1]), redis.pcall('GET', key('rules'))
  if held == ARGV[1] then return own, own.version end
  if type(held) ~= 'string' then return own, 0 end
  local is_whole, theirs = pcall(cmsgpack.unpack, held)
  if not is_whole or type(theirs) ~= 'table' or theirs.format ~= own.format then return own, 0 end
  if theirs.version > own.version then own.window, own.maps = theirs.window, theirs.maps end
  return own, theirs.version
end

local rules, version_in_force = rules_in_force()
local hold = rules.window

local function id_text(id)
  return string.format('%.0f', id)
end

-- The server's clock in milliseconds, held still while it has been set back by less than the longest window
-- of a signature: an entry from the future would otherwise fall out of the window twice.
local function server_ms()
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local held = redis.call('HMGET', key('signatures', 'ledger'), 'clock', 'hold')
  local last = tonumber(held[1] or 0)
  hold = math.max(rules.window, tonumber(held[2] or 0))
  if last > now and last - now < hold then return last end
  return now
end

local function open_map(name)
  local ledger = key(name, 'ledger')
  local sizes = redis.call('HMGET', ledger, 'entries', 'bytes', 'added')
  return {
    name = name, rule = rules.maps[name], ledger = ledger, buckets = key(name, 'buckets'),
    entries = tonumber(sizes[1] or 0), bytes = tonumber(sizes[2] or 0), added = tonumber(sizes[3] or 0),
  }
end

local function decode_bucket(map, raw)
  if not raw then return nil end
  local fields = cmsgpack.unpack(raw)
  return {
    raw = raw, id = fields[1], ends = fields[2], entries = fields[3], bytes = fields[4], blocks = fields[5],
    keep = fields[6] or map.rule.retention,
  }
end

local function encode_bucket(bucket)
  return cmsgpack.pack({bucket.id, bucket.ends, bucket.entries, bucket.bytes, bucket.blocks, bucket.keep})
end

local function oldest_bucket(map)
  return decode_bucket(map, redis.call('LINDEX', map.buckets, 0))
end

-- Newest first: what is asked for is most often recent.
local function live_buckets(map)
  local raw = redis.call('LRANGE', map.buckets, 0, -1)
  local buckets = {}
  for i = #raw, 1, -1 do buckets[#buckets + 1] = decode_bucket(map, raw[i]) end
  return buckets
end

local function data_keys(map, bucket)
  local id = id_text(bucket.id)
  if map.name == 'transactions' then return {key('transactions', id), key('blocks', id)} end
  return {key(map.name, id)}
end

local function set_expiry(map, bucket)
  local expires = id_text(bucket.ends + bucket.keep)
  for _, name in ipairs(data_keys(map, bucket)) do redis.call('PEXPIREAT', name, expires) end
end

local function drop(map, bucket, reason, now)
  redis.call('LREM', map.buckets, 1, bucket.raw)
  redis.call('UNLINK', unpack(data_keys(map, bucket)))
  map.entries = map.entries - bucket.entries
  map.bytes = map.bytes - bucket.bytes
  map.blocks = bucket.blocks
  redis.call('HSET', map.ledger, 'entries', id_text(map.entries), 'bytes', id_text(map.bytes))
  redis.call('HINCRBY', map.ledger, reason, bucket.entries)
  local due_ms = bucket.ends + bucket.keep
  if now < due_ms then return end
  redis.call('HINCRBY', map.ledger, 'due', bucket.entries)
  if reason == 'expired' and now <= due_ms + map.rule.interval then
    redis.call('HINCRBY', map.ledger, 'on_time', bucket.entries)
  end
end

-- Past retention, which may cut what was promised, but never of a signature; or from a future that lasted
-- longer than a window, since the clock has been set back: it would keep everything behind it from being swept.
local function is_due(map, bucket, retention, now)
  local keep = map.name == 'signatures' and bucket.keep or math.min(bucket.keep, retention)
  return bucket.ends + keep <= now or bucket.id > now + hold
end

-- Drops at most `most` buckets whose youngest entry is older than retention; returns the entries
-- removed, and whether some are left. The oldest is due first, but of signatures: older ones may have a longer window.
local function sweep(map, now, retention, reason, most)
  local is_ordered = map.name ~= 'signatures'
  local removed, dropped = 0, 0
  for _, raw in ipairs(redis.call('LRANGE', map.buckets, 0, is_ordered and most or -1)) do
    local bucket = decode_bucket(map, raw)
    if is_due(map, bucket, retention, now) then
      if dropped == most then return removed, true end
      drop(map, bucket, reason, now)
      removed, dropped = removed + bucket.entries, dropped + 1
    elseif is_ordered then
      break
    end
  end
  return removed, false
end

local function sweep_due(map, now)
  return sweep(map, now, map.rule.retention, 'expired', SWEEP_BUCKETS)
end

local function make_room(map, entries, bytes, now)
  local rule = map.rule
  while map.entries + entries > rule.limit or map.bytes + bytes > rule.limit_bytes do
    local bucket = oldest_bucket(map)
    if not bucket then return end
    drop(map, bucket, 'capacity', now)
  end
end

-- Whether the newest bucket, opened under other rules, may be ended now; many changes must not make many buckets.
local function may_end(map, bucket, now)
  return bucket.id <= now and now < bucket.ends and redis.call('LLEN', map.buckets) < MOST_BUCKETS
end

-- The bucket that takes the next entries; a new one when the newest is over, holds its share, or was opened to
-- take entries for longer than the rules have it. What it holds already stays as long as what comes now.
local function open_bucket(map, now, entries, bytes)
  local newest = decode_bucket(map, redis.call('LINDEX', map.buckets, -1))
  if newest and newest.ends > now + map.rule.width and may_end(map, newest, now) then
    newest.ends = now
    redis.call('LSET', map.buckets, -1, encode_bucket(newest))
  end
  if newest and now < newest.ends and newest.id <= now + hold
    and newest.entries + entries <= map.rule.share and newest.bytes + bytes <= map.rule.share_bytes then
    newest.keep = math.max(newest.keep, map.rule.retention)
    return newest
  end
  local id = now
  if newest and newest.id >= now and newest.id <= now + hold then id = newest.id + 1 end
  -- Blocks are numbered on from bucket to bucket, also from one dropped in this call, and else from the clock:
  -- sightings outlive what they tell of.
  local blocks = 0
  if map.name == 'transactions' then blocks = newest and newest.blocks or map.blocks or 4 * id % MOST_BLOCKS end
  return {
    id = id, ends = now + map.rule.width, entries = 0, bytes = 0, blocks = blocks, keep = map.rule.retention,
    is_new = true,
  }
end

local function book(map, bucket, entries, bytes)
  bucket.entries = bucket.entries + entries
  bucket.bytes = bucket.bytes + bytes
  map.entries = map.entries + entries
  map.bytes = map.bytes + bytes
  map.added = map.added + entries
  redis.call(
    'HSET', map.ledger, 'entries', id_text(map.entries), 'bytes', id_text(map.bytes), 'added', id_text(map.added)
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

local function split_hashes(packed)
  local hashes = {struct.unpack(string.rep('c16', #packed / 16), packed)}
  hashes[#hashes] = nil -- where the next would begin
  return hashes
end

-- The buckets in which a signature may be that is inside its window, newest first; and the longest window of any.
local function buckets_in_window(signatures, now)
  local buckets, longest = {}, rules.window
  for _, bucket in ipairs(live_buckets(signatures)) do
    if bucket.ends + bucket.keep > now then
      buckets[#buckets + 1] = bucket
      longest = math.max(longest, bucket.keep)
    end
  end
  return buckets, longest
end

-- What is not in `found`: the fields, their places, and how many.
local function without(found, fields, places, count)
  local left, left_places, n = {}, {}, 0
  for i = 1, count do
    if not found[i] then
      n = n + 1
      left[n], left_places[n] = fields[i], places and places[i] or i
    end
  end
  return left, left_places, n
end

-- Of the millisecond of an acceptance 32 bits are kept: enough to tell 24 days to either side of now.
local function when_accepted(low, now)
  local age = (now - low) % 2 ^ 32
  return now - (age < 2 ^ 31 and age or age - 2 ^ 32)
end

-- Of each signature that is inside its window, by position in `hashes`: its age in milliseconds, the number of its
-- block, and its place there; how many there are; and the longest window of any signature. Of the buckets only those
-- are looked at that hold the latest `most` acceptances, or took some at `since` or later: after a failover alone
-- neither says enough.
local function acceptances_in_window(signatures, hashes, now, since, most)
  local ages, blocks, in_block, found, fields, at, left = {}, {}, {}, 0, hashes, nil, #hashes
  local buckets, longest = buckets_in_window(signatures, now)
  for _, bucket in ipairs(buckets) do
    if left == 0 or (most <= 0 and bucket.ends <= since) then break end
    most = most - bucket.entries
    local values = redis.call('HMGET', key('signatures', id_text(bucket.id)), unpack(fields, 1, left))
    local hits, keep, last, age = 0, bucket.keep, nil, nil
    for i = 1, left do
      local value = values[i]
      if value then
        hits = hits + 1
        local low, block, place = struct.unpack(ENTRY, value)
        if low ~= last then last, age = low, math.max(now - when_accepted(low, now), 0) end
        if age < keep then
          local position = at and at[i] or i
          ages[position], blocks[position], in_block[position] = age, block, place
          found = found + 1
        end
      end
    end
    if hits > 0 then fields, at, left = without(values, fields, at, left) end
  end
  return ages, blocks, in_block, found, longest
end

-- One answer an item, packed.
local function pack_codes(codes)
  local text_of, texts = {}, {}
  for i = 1, #codes do
    local code = codes[i]
    local text = text_of[code]
    if not text then
      text = struct.pack('>I4', code)
      text_of[code] = text
    end
    texts[i] = text
  end
  return table.concat(texts)
end
