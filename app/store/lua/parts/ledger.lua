-- The ledger: all bookkeeping of a partition in one value. A call reads it once and, if anything changed, writes it
-- once, at its end: a command costs the script ten times as much as the server's own work on it.
--
-- P:ledger begins with the version of the rules in force (that of P:rules, or 0), `clock` and `hold` (clock.lua),
-- and `born`, the millisecond in which it was begun: after a ledger was lost, ordinals (block_head.lua) begin again,
-- so that a position counts only under the ledger it was made under. Then comes for each map, in the order of MAPS
-- (MAP): how many entries and bytes it holds, how many entries were ever added, a moment before which none of its
-- buckets is due, seven totals (totals.lua), how many buckets it has, and the newest of them, or zeros: id, ends,
-- entries, bytes, number of the latest block, keep. Behind that are the older buckets (BUCKET), those of signatures
-- first, each map's oldest first. Numbers have 7 bytes: all are whole and below 2^53. For example, a partition with 5
-- buckets of signatures and 24 of each other map has 382 + 50 * 39 = 2,332 bytes.
--
-- Only the newest bucket of a map is decoded in every call, since it takes the entries. The older ones change when one
-- is opened or leaves, once in a second or less; in all other calls their text is handed on as it is.

local MAPS = {'signatures', 'transactions', 'observations'}
local HEAD, HEAD_BYTES = '>I7I7I7I7', 28
local MAP, MAP_BYTES = '>I7I7I7I7c49I2I7I7I7I7I4I7', 118
local OLDER_AT = HEAD_BYTES + #MAPS * MAP_BYTES + 1
local BUCKET, BUCKET_BYTES = '>I7I7I7I7I4I7', 39

local ledger -- what open_ledger or begin_ledger has made

local function decode_bucket(text, at)
  local id, ends, entries, bytes, latest_block, keep = struct.unpack(BUCKET, text, at)
  return {id = id, ends = ends, entries = entries, bytes = bytes, latest_block = latest_block, keep = keep}
end

local function encode_bucket(bucket)
  local id, ends, entries, bytes = bucket.id, bucket.ends, bucket.entries, bucket.bytes
  return struct.pack(BUCKET, id, ends, entries, bytes, bucket.latest_block, bucket.keep)
end

local function count_buckets(map)
  return map.older_bytes / BUCKET_BYTES + (map.newest and 1 or 0)
end

-- Returns a text, and where in it the older bucket at an index begins; the oldest is at 1.
local function place_of_older(map, index)
  local at = (index - 1) * BUCKET_BYTES
  if map.older then return map.older, at + 1 end
  return ledger.text, map.older_at + at
end

-- Returns the text of a map's older buckets.
local function older_of(map)
  return map.older or string.sub(ledger.text, map.older_at, map.older_at + map.older_bytes - 1)
end

local function set_older(map, text)
  map.older, map.older_bytes, ledger.is_relisted = text, #text, true
end

-- Adds a bucket as the newest.
local function list_bucket(map, bucket)
  local due_ms = bucket.ends + bucket.keep
  map.due_ms = map.newest and math.min(map.due_ms, due_ms) or due_ms
  if map.newest then set_older(map, older_of(map) .. encode_bucket(map.newest)) end
  map.newest = bucket
  if map.list then map.list[#map.list + 1] = bucket end
end

-- Makes the table of a map of what stands at a place in the ledger's text. Returns also where its older buckets end.
local function decode_map(name, text, at, older_at)
  local entries, bytes, added, due_ms, packed_totals, count, id, ends, held, held_bytes, latest_block, keep =
    struct.unpack(MAP, text, at)
  local older_bytes = math.max(count - 1, 0) * BUCKET_BYTES
  return {
    name = name, rule = rules.maps[name], entries = entries, bytes = bytes, added = added, due_ms = due_ms,
    packed_totals = packed_totals, older_at = older_at, older_bytes = older_bytes,
    newest = count > 0 and {
      id = id, ends = ends, entries = held, bytes = held_bytes, latest_block = latest_block, keep = keep,
    } or nil,
  }, older_at + older_bytes
end

-- Makes the tables of a ledger's text; returns nil when it is none, as when somebody else wrote there.
local function decode_ledger(text)
  if #text < OLDER_AT - 1 then return nil end
  local version, clock, hold, born = struct.unpack(HEAD, text)
  local opened = {text = text, version = version, clock = clock, hold = hold, born = born}
  local at, older_at = HEAD_BYTES + 1, OLDER_AT
  for index, name in ipairs(MAPS) do
    opened[name], older_at = decode_map(name, text, at + (index - 1) * MAP_BYTES, older_at)
  end
  return older_at == #text + 1 and opened or nil
end

local NO_BUCKET = string.rep('\0', BUCKET_BYTES)
local function encode_map(map)
  return struct.pack(
    '>I7I7I7I7c49I2', map.entries, map.bytes, map.added, map.due_ms, map.packed_totals, count_buckets(map)
  ) .. (map.newest and encode_bucket(map.newest) or NO_BUCKET)
end

-- Begins a ledger. Whoever saves one afterwards saves this, even if nothing else has changed: the moment of its
-- beginning has to stay.
local function begin_ledger()
  local theirs = stored_rules()
  ledger = decode_ledger(string.rep('\0', OLDER_AT - 1))
  ledger.version, ledger.born, ledger.is_changed = theirs and theirs.version or 0, server_ms(), true
end

-- Reads the ledger. One that is missing begins anew, as in an empty store, unless a gate of another format is at work
-- here; buckets of a ledger that was lost expire by themselves. When another gate has put rules of a higher version in
-- force, their windows, retentions and limits are taken over: a gate that has not heard of a change follows it too.
local function open_ledger()
  local text = redis.call('GET', key('ledger'))
  ledger = text and decode_ledger(text)
  if not ledger then
    -- @use formats
    refuse_other_formats()
    begin_ledger()
  end
  if ledger.version <= rules.version then return end
  local theirs = stored_rules()
  if not theirs or theirs.version <= rules.version then return end
  rules.window, rules.maps = theirs.window, theirs.maps
  for _, name in ipairs(MAPS) do ledger[name].rule = rules.maps[name] end
end

-- Writes the ledger, if anything in it has changed. Whoever changes it or a map in it sets `is_changed`. A store that
-- is full takes the write from a call that has written or removed something before. Others may be refused: where that
-- is no failure, `may_be_refused` is true, and false is returned.
local function save_ledger(may_be_refused)
  if not ledger.is_changed then return true end
  local signatures, transactions, observations = ledger.signatures, ledger.transactions, ledger.observations
  local older = ledger.is_relisted and older_of(signatures) .. older_of(transactions) .. older_of(observations)
    or string.sub(ledger.text, OLDER_AT)
  local text = struct.pack(HEAD, ledger.version, ledger.clock, ledger.hold, ledger.born)
    .. encode_map(signatures) .. encode_map(transactions) .. encode_map(observations) .. older
  local call = may_be_refused and redis.pcall or redis.call
  local saved = call('SET', key('ledger'), text, 'PX', rules.ledger_expiry)
  return not saved.err
end
