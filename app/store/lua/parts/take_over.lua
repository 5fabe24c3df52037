-- Takes over what a gate of format 1 has left, in one step: its bookkeeping goes into the ledger, and its keys get
-- the names of this format. So a signature accepted by the older gate stays a duplicate, and its transaction is kept.
--
-- In format 1 a map <map> has the hash <map>:ledger, with the totals by the names they have here (of signatures
-- also clock and hold), and the list <map>:buckets, one descriptor a live bucket, oldest first, in msgpack:
-- {id, ends, entries, bytes, latest block, keep}. Its other keys are those of this format without its number.

-- @use format_1_key
-- @use fill_bucket

local function rename(...)
  if exists(old_key(...)) then redis.call('RENAME', old_key(...), key(...)) end
end

-- Gives the hash of a bucket the field that those of this format have from the beginning, too: by it a write knows that
-- the hash was there before, and so which of its fields are new (write_fields in key_expiry.lua).
local function take_over_bucket(kind, id)
  local name = id_text(id)
  rename(kind, name)
  if exists(key(kind, name)) then redis.call('HSET', key(kind, name), '', WITH_EXPIRY) end
end

local function take_over_map(map)
  local fields, totals = {'entries', 'bytes', 'added', unpack(TOTALS)}, totals_of(map)
  local numbers = redis.call('HMGET', old_key(map.name, 'ledger'), unpack(fields))
  map.entries, map.bytes, map.added = tonumber(numbers[1] or 0), tonumber(numbers[2] or 0), tonumber(numbers[3] or 0)
  for index, name in ipairs(TOTALS) do totals[name] = tonumber(numbers[index + 3] or 0) end
  set_totals(map, totals)
  for _, raw in ipairs(redis.call('LRANGE', old_key(map.name, 'buckets'), 0, -1)) do
    local id, ends, entries, bytes, latest_block, keep = unpack(cmsgpack.unpack(raw))
    list_bucket(map, {
      id = id, ends = ends, entries = entries, bytes = bytes, latest_block = latest_block,
      keep = keep or map.rule.retention,
    })
    take_over_bucket(map.name, id)
    if map.name == 'transactions' then take_over_bucket('blocks', id) end
  end
  redis.call('UNLINK', old_key(map.name, 'ledger'), old_key(map.name, 'buckets'))
end

-- The ledger was begun when a gate of this format first looked: what its ticks have told since then is of this ledger.
local function take_over_format_1()
  begin_ledger()
  ledger.born = read_bridge() or ledger.born
  redis.call('UNLINK', BRIDGE)
  local noted = redis.call('HMGET', old_key('signatures', 'ledger'), 'clock', 'hold')
  ledger.clock, ledger.hold, ledger.is_changed = tonumber(noted[1] or 0), tonumber(noted[2] or 0), true
  for _, name in ipairs(MAPS) do take_over_map(ledger[name]) end
  for _, gate in ipairs(redis.call('ZRANGE', old_key('history'), 0, -1)) do rename('history', gate) end
  rename('history')
  rename('settings')
end
