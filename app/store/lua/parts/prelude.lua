-- What a partition of the store holds, and what every script needs of it: its keys and its rules.
--
-- A partition is all that shares one hash tag, so one script call stays on one cluster slot. A caller declares
-- only its ledger as KEYS[1], for example `tidegate:{0}:2:ledger`. The scripts make the other keys themselves, since
-- only the server's clock says which bucket is open. All begin with P, which is the prefix `tidegate:{0}` and the
-- number of this format, `tidegate:{0}:2`; what gates of other formats do on the same store is said in formats.lua.
--
-- While a Cluster moves the slot from one node to another, key by key, the old node runs a script as long as it has
-- the ledger, and refuses each command on a key that it does not have, moved or never made; the script ends there. The
-- new node would take such a key for one that does not exist, so nothing is asked of it before the slot is its own
-- (app/store/cluster.py). A refusal must not be taken for an answer: what is called by `redis.pcall`, to see whether
-- somebody has another type of value in a key's place, is called by `try`.
--
--   P:ledger             STR   the bookkeeping of all three maps (ledger.lua)
--   P:signatures:<id>    HASH  16-byte hash -> ENTRY (buckets.lua)
--   P:transactions:<id>  HASH  16-byte hash -> ENTRY
--   P:blocks:<id>        HASH  block number -> a head (block_head.lua), and the transactions of a claim, compressed
--   P:observations:<id>  HASH  block number, stretch of it -> who delivered which of it when (observations.lua)
--   P:consumer:<name>    STR   what a consumer has read here, and what it was handed (consumer.lua)
--   P:consumers          ZSET  each consumer -> when it is forgotten; in the first partition only
--   P:rules              STR   the rules in force here
--   P:start              STR   the settings that gates were started with, as they hold for all
--                              (choose_shared_settings.lua); in the first partition only
--   P:settings           STR   the settings changed at run time; in the first partition only
--   P:partitions         STR   how many partitions there are; on a Cluster only
--   P:history            ZSET  each gate that has a history -> when it last grew; in the first partition only
--   P:history:<gate>     LIST  that gate's samples, one a minute, oldest first; in the first partition only
--   P:lock:<name>        STR   held by the gate that does something for all; in the first partition only
--   P:probe              HASH  written by every tick, which shows whether the store takes writes
--   P:bridge             STR   there while the partition stays in format 1 (formats.lua)
--
-- A map is signatures, transactions or observations. Its entries lie in buckets, and <id> is a bucket's: the
-- millisecond in which it was opened. For example, a window of 5 s gives the signatures these buckets:
--
--   id 1700000000000, ends 1700000001000, 800 entries   took them until 1700000001000, goes 5 s later
--   id 1700000001000, ends 1700000002000, 120 entries   takes entries until 1700000002000
--
-- A bucket takes entries for one width, a fifth of the window for signatures, or until it holds its share of
-- the map's limit (`share` in app/store/map_rules.py). It leaves whole, when its youngest is past retention.
--
-- Every key expires, a bucket's when it is due: nothing stays when no gate is left to sweep. Whoever creates a
-- bucket's key sets its expiry, and each write tells whether it created the key (write_fields in key_expiry.lua):
-- one that somebody deleted comes back with an expiry, too.
--
-- Rules can change while entries live. `keep` is how long entries stay after the end of their bucket. For
-- signatures it is their window, which is never shortened, and raised only when a bucket goes on taking entries
-- under a longer one. For the others it is the retention in force (put_in_force.lua). Once a second each gate
-- calls sizes.lua, which puts rules of a higher version in force for all gates. A gate that has newer rules goes by
-- them even before that call.

local FORMAT = 2
local P = string.sub(KEYS[1], 1, -#':ledger' - 1)
local PREFIX = string.sub(P, 1, -#(':' .. FORMAT) - 1)

-- Makes the rule of a map, 8 numbers of 8 bytes, of what stands at a place in the text of rules.
local function map_rule(text, at)
  local retention, emergency, width, interval, limit, limit_bytes, share, share_bytes =
    struct.unpack('>I8I8I8I8I8I8I8I8', text, at)
  return {
    retention = retention, emergency = emergency, width = width, interval = interval,
    limit = limit, limit_bytes = limit_bytes, share = share, share_bytes = share_bytes,
  }
end

-- Makes rules of their text, as `packed_rules` in app/store/map_rules.py makes it: a byte for their format, five numbers
-- of 8 bytes, and the rule of each map. Returns nil for anything else.
local RULES_FORMAT, RULES_BYTES = 2, 233
local function unpack_rules(text)
  if #text ~= RULES_BYTES or string.byte(text) ~= RULES_FORMAT then return nil end
  local version, window, sources, ledger_expiry, settings_expiry = struct.unpack('>I8I8I8I8I8', text, 2)
  return {
    version = version, window = window, sources = sources, ledger_expiry = ledger_expiry,
    settings_expiry = settings_expiry,
    maps = {signatures = map_rule(text, 42), transactions = map_rule(text, 106), observations = map_rule(text, 170)},
  }
end

local rules = unpack_rules(ARGV[1])

-- The name of a key: of the only one of its kind, or of the one with that id.
local function key(kind, id)
  if id then return P .. ':' .. kind .. ':' .. id end
  return P .. ':' .. kind
end

-- A whole number as text; Lua's own way writes large ones as 1e+15.
local function id_text(id)
  return string.format('%d', id)
end

-- The server's clock, in milliseconds.
local function server_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Calls a command, and returns its refusal as {err = text}, unless that says that the key is on another node.
local function try(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err and string.find(answer.err, 'non local key', 1, true) then error(answer) end
  return answer
end

-- Returns P:rules, or nil when there are none, or none that can be read.
local function stored_rules()
  local held = try('GET', key('rules'))
  return type(held) == 'string' and unpack_rules(held) or nil
end
