-- What a partition of the store holds, and what every script needs of it: its keys, rules and clock.
--
-- A script is the text of this part, of the other parts it uses and of its own file, put together by
-- scripts.py. They share one scope: a part can use what stands in the parts before it.
--
-- A partition is all that shares one hash tag, so one script call stays on one cluster slot. A caller passes
-- only its prefix P as KEYS[1], for example `tidegate:{0}`. The scripts make the other keys themselves, since
-- only the server's clock says which bucket is open.
--
--   P:<map>:buckets      LIST  one descriptor a live bucket, oldest first: {id, ends, entries, bytes,
--                              number of the latest block, keep}
--   P:<map>:ledger       HASH  entries, bytes, added, one total a removal reason, due and on_time
--                              (what_is_due.lua), reported (cleanup.lua); of signatures also clock and hold
--   P:signatures:<id>    HASH  16-byte hash -> ENTRY (buckets.lua)
--   P:transactions:<id>  HASH  16-byte hash -> ENTRY
--   P:blocks:<id>        HASH  block number -> compressed transactions of one flush
--   P:observations:<id>  HASH  block number, stretch of it -> who delivered which of it when (sightings.lua)
--   P:rules              STR   the rules in force here, from the first change of the settings at run time on
--   P:settings           STR   the settings changed at run time; in the first partition only
--   P:history            ZSET  each gate that has a history -> when it last grew; in the first partition only
--   P:history:<gate>     LIST  that gate's samples, one a minute, oldest first; in the first partition only
--   P:lease:<name>       STR   held by the gate that does something for all; in the first partition only
--
-- <map> is signatures, transactions or observations, and <id> a bucket's. The id is the millisecond in which
-- the bucket was opened. For example, a window of 5 s gives P:signatures:buckets
--
--   {1700000000000, 1700000001000, 800, 20800, 0, 5000}  took 800 entries until 1700000001000, goes 5 s later
--   {1700000001000, 1700000002000, 120, 3120, 0, 5000}   takes entries until 1700000002000
--
-- A bucket takes entries for one width, a fifth of the window for signatures, or until it holds its share of
-- the map's limit (`share` in app/store/layout.py). It leaves whole, when its youngest is past retention.
-- Every key expires, a bucket's when it is due: nothing stays when no gate is left to sweep. The expiry
-- is set anew with every write: a key that somebody deleted would come back without one.
--
-- Rules can change while entries live. `keep` is how long entries stay after the end of their bucket. For
-- signatures it is their window, which is never shortened. `keep` is raised when a bucket goes on taking
-- entries under rules with a longer retention. Once a second each gate calls sizes.lua, which puts rules of a
-- higher version in force for all gates. A gate that has newer rules goes by them even before that call.

local P = KEYS[1]

local function key(...)
  return P .. ':' .. table.concat({...}, ':')
end

-- A whole number as text; Lua's own way writes large ones as 1e+15.
local function id_text(id)
  return string.format('%.0f', id)
end

-- Returns the rules for this call, and the version of P:rules, which may be lower than theirs. They are the
-- caller's, except that windows, retentions and limits are those of P:rules when that has a higher version: a
-- gate that has not heard of a change follows it nevertheless. The version is 0 when P:rules is missing,
-- unreadable or of another format.
local function rules_in_force()
  local own, held = cmsgpack.unpack(ARGV[1]), redis.pcall('GET', key('rules'))
  if held == ARGV[1] then return own, own.version end
  if type(held) ~= 'string' then return own, 0 end
  local is_read, theirs = pcall(cmsgpack.unpack, held)
  if not is_read or type(theirs) ~= 'table' or theirs.format ~= own.format then return own, 0 end
  if theirs.version > own.version then own.window, own.maps = theirs.window, theirs.maps end
  return own, theirs.version
end

local rules, version_in_force = rules_in_force()

-- Returns the server's clock: `now` in milliseconds, and `hold`, the longest window of any signature. While
-- the clock has been set back by less than `hold`, `now` stands still at the last acceptance. Say the window
-- is 5 s, a bucket takes entries until 11 s, and the clock goes back from 10 s to 5.5 s. If `now` went back,
-- too, a signature accepted at 5.5 s could be accepted again at 10.6 s in that same bucket: one field of the
-- hash, but two entries in the ledger. If the clock was set back by `hold` or more, `now` follows it instead
-- of standing still for so long, and buckets opened more than `hold` after `now` are swept (what_is_due.lua).
local function read_clock()
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local noted = redis.call('HMGET', key('signatures', 'ledger'), 'clock', 'hold')
  local last, hold = tonumber(noted[1] or 0), math.max(rules.window, tonumber(noted[2] or 0))
  if last > now and last - now < hold then now = last end
  return {now = now, hold = hold}
end
