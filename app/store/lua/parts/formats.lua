-- Other formats: what gates do when one of another format is at work on the same store. docs/upgrading.md says it to
-- operators; the next format does to this one as this one does to format 1, that before the number in the keys.
--
-- A partition is in one format at a time. While gates of format 1 may be at work on it, gates of this format write in
-- format 1 too (format_1_sizes.lua), so that each finds what the other has accepted. When gates of format 1 have been
-- silent for SILENCE_MS in which they could have shown themselves, a tick takes the partition over in one step
-- (take_over.lua), and sets the mark.
--
-- Keys that gates of all formats from 2 on agree on:
--   PREFIX:at-work:<format>       STR  there while a gate of that format is at work: each tick sets it for SILENCE_MS
--   PREFIX:transactions:ledger    STR  the mark: the format of the partition, in a sentence for whoever looks why
-- A gate of format 1 needs a hash in the place of the mark for every tick, lookup and acceptance. So it gets WRONGTYPE
-- before it has written anything, and counts the store as failed; one of a later format finds that the mark is not its
-- own. Gates of format 1 show that they are at work by PREFIX:probe, which each of their ticks sets for a second.

local MARK_KEY = PREFIX .. ':transactions:ledger'
local MARK = 'Tidegate keeps this partition in format ' .. FORMAT .. '; a gate of another format must not use it.'
local PROBE_OF_FORMAT_1 = PREFIX .. ':probe'
local SILENCE_MS = 3000 -- of three ticks

-- What gates of this format know of a partition that is in format 1, three numbers of milliseconds: when one of them
-- first found it so, for how long no gate of format 1 has shown itself since, and when one of them last looked. For
-- example '1700000000000 2000 1700000009000': found at ...000000, and silent for 2 s when it was looked at in ...009000.
local BRIDGE = key('bridge')

-- While the store was away, no gate could show itself. So a look counts for no more of the silence than the time between
-- two ticks, and the silence begins anew with a look of a gate for which the store was away, or after LONGEST_PAUSE_MS
-- without one. Say a gate looks at 1 s, 2 s and, after an outage, 9 s: it is silent for 0 s then, not for 7.
local TICK_MS, LONGEST_PAUSE_MS = 1000, 5000

local function exists(name)
  return redis.call('EXISTS', name) == 1
end

local function at_work(format)
  return PREFIX .. ':at-work:' .. format
end

-- Returns the mark, or nil; and whether there is a ledger of format 1 in its place or beside it.
local function read_mark()
  local mark = redis.pcall('GET', MARK_KEY)
  if type(mark) == 'string' then return mark, false end
  local is_hash = type(mark) == 'table' and string.find(mark.err, 'WRONGTYPE') ~= nil
  if type(mark) == 'table' and not is_hash then redis.call('GET', MARK_KEY) end -- raises whatever else is wrong
  return nil, is_hash or exists(PREFIX .. ':signatures:ledger')
end

-- Tells whether this partition is in format 1; raises an error when it is in a later format than this one.
local function is_in_format_1()
  local mark, has_ledger_of_format_1 = read_mark()
  if mark and mark ~= MARK then error({err = 'OTHERFORMAT the store says: ' .. mark}) end
  if mark or exists(key('ledger')) then return false end
  return has_ledger_of_format_1 or exists(BRIDGE) or exists(PROBE_OF_FORMAT_1)
end

-- Raises an error when this partition is in another format: the gate must not mix what it stores with that.
local function refuse_other_formats()
  if is_in_format_1() then error({err = 'OLDERFORMAT the store is in format 1 until the older gates have ended'}) end
end

-- Returns the three numbers of BRIDGE, or nil when there are none yet.
local function read_bridge()
  local held = try('GET', BRIDGE)
  local found_ms, silent_ms, looked_ms = string.match(type(held) == 'string' and held or '', '^(%d+) (%d+) (%d+)$')
  return tonumber(found_ms), tonumber(silent_ms), tonumber(looked_ms)
end

-- Tells whether a partition that is in format 1 stays so, and notes this look. At the first one nobody knows how long
-- ago a gate of format 1 was at work, so it counts as one that is. A store without room notes nothing, and stays as it is.
local function stays_in_format_1(is_full, was_away)
  local now, found_ms, silent_ms, looked_ms = server_ms(), read_bridge()
  local passed_ms = looked_ms and math.max(now - looked_ms, 0)
  if not passed_ms or passed_ms > LONGEST_PAUSE_MS or was_away or exists(PROBE_OF_FORMAT_1) then
    silent_ms = 0
  else
    silent_ms = silent_ms + math.min(passed_ms, TICK_MS)
  end
  redis.pcall('SET', BRIDGE, string.format('%d %d %d', found_ms or now, silent_ms, now), 'PX', rules.ledger_expiry)
  return is_full == 1 or silent_ms < SILENCE_MS
end

-- Shows gates of other formats that one of this format is at work.
local function show_at_work()
  redis.pcall('SET', at_work(FORMAT), 1, 'PX', SILENCE_MS)
end

-- Sets the mark, whatever is in its place, and for as long as the ledger lasts.
local function set_mark()
  redis.pcall('SET', MARK_KEY, MARK, 'PX', rules.ledger_expiry) -- a full store may refuse it, until the next tick
end

-- Returns which other gates are at work on a partition that is in this format: 'refused' for one of format 1, which
-- sets its probe before it comes to the mark; 'newer' for one of the next format; '' for none.
local function other_gates()
  return exists(PROBE_OF_FORMAT_1) and 'refused' or exists(at_work(FORMAT + 1)) and 'newer' or ''
end
