-- A map and its buckets: reads them, and says what a bucket consists of.

local MOST_BUCKETS = 64
-- A signature or a transaction: the last 32 bits of the millisecond it was accepted in, its block's number,
-- and its place in it, in 10 bytes. Accepted at 1700000000123 as the third of block 7: (3487918203, 7, 2).
local ENTRY = '>I4I4I2'
local STRETCH = 32 -- neighbouring places of a block whose sightings are noted together (sightings.lua)

-- Of the millisecond of an acceptance 32 bits are kept: enough to tell 24 days to either side of now.
local function when_accepted(low, now)
  local age = (now - low) % 2 ^ 32
  return now - (age < 2 ^ 31 and age or age - 2 ^ 32)
end

-- Returns a map with its rule and what its ledger has of its size. Whoever adds or removes entries changes
-- this table and the ledger together.
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
    raw = raw, id = fields[1], ends = fields[2], entries = fields[3], bytes = fields[4], latest_block = fields[5],
    keep = fields[6] or map.rule.retention,
  }
end

local function encode_bucket(bucket)
  local id, ends, entries, bytes = bucket.id, bucket.ends, bucket.entries, bucket.bytes
  return cmsgpack.pack({id, ends, entries, bytes, bucket.latest_block, bucket.keep})
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

-- The keys in which a bucket's entries are; transactions have their blocks beside them.
local function data_keys(map, bucket)
  local id = id_text(bucket.id)
  if map.name == 'transactions' then return {key('transactions', id), key('blocks', id)} end
  return {key(map.name, id)}
end

local function set_expiry(map, bucket)
  local expires = id_text(bucket.ends + bucket.keep)
  for _, name in ipairs(data_keys(map, bucket)) do redis.call('PEXPIREAT', name, expires) end
end

-- Whether a bucket opened under other rules may be ended early: when it takes entries now, and fewer
-- than 64 buckets live. Many changes of the rules must not make many buckets.
local function may_end(map, bucket, now)
  return bucket.id <= now and now < bucket.ends and redis.call('LLEN', map.buckets) < MOST_BUCKETS
end
