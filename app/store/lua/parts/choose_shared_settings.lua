-- The shared settings: those of what lies in the store, such as windows and limits. They are what gates were started
-- with, and hold for all gates, whatever the environment of one of them says. A tick settles in the first partition, in
-- one step, which values hold.
--
-- P:start begins with a byte for its format; its version, a number of 8 bytes that rises when other values come to
-- hold; when a gate that was started with these values last said so, milliseconds in 8 bytes; and the name of that
-- gate, 64 bytes filled up with zeros. Then come the values, as JSON (app/store/shared_settings.py). For example:
-- version 3, at 1700000002500, by eu-1:8000, {"consumer_idle_seconds":3600.0,"consumers_limit":64,…}
--
-- The values that hold stay while a gate is at work that was started with them, and then as long as they may have
-- promised to keep anything (kept_ms in put_in_force.lua). So gates that are started with others do not drop what an
-- outage of the first left behind. After that the next tick puts the values of its own gate in their place, once the
-- store has served that gate for as long as it takes the others to come back too: of a store that was away itself
-- nobody could say that he was there, and the first to reach it again would always win. A gate that was the last to say so, and comes back with other values, has been given others on purpose: its hold at once. That it
-- came back is told by its name and by when it began: one that was there already when the other last said so is another
-- gate of the same name, and the other may only be hanging.
--
-- A store that has lost them is told what held by the first gate that knows. One that was started while they could not be
-- read knows nothing, and begins with its own should it come first: under version 1, for example, which may be that of the
-- values that held. So of equal versions with different values, those that a gate knows from before take their place.

local START_FORMAT, START_HEAD, START_HEAD_BYTES = 1, '>BI8I8c64', 81
local MOST_STARTS, CHANGES_A_START = 2 ^ 20, 2 ^ 32 -- as in app/store/shared_settings.py
local NOBODY = string.rep('\0', 64)
local GONE_MS = 5000 -- of a gate that says once a second that it is there

-- Returns what is stored, or nil when that is nothing or cannot be read.
local function read_start()
  local held = try('GET', key('start'))
  if type(held) ~= 'string' or #held < START_HEAD_BYTES then return nil end
  local format, version, told_ms, gate = struct.unpack(START_HEAD, held)
  if format ~= START_FORMAT or version < 1 or version > MOST_STARTS then return nil end
  return {version = version, told_ms = told_ms, gate = gate, text = string.sub(held, START_HEAD_BYTES + 1)}
end

-- Begins with the values of the caller, above every version that has ever been in force here.
local function begin_start(own)
  local theirs = stored_rules()
  local version = theirs and math.floor(theirs.version / CHANGES_A_START) + 1 or 1
  return {version = version, told_ms = 0, gate = NOBODY, text = own}
end

-- Returns what holds from now on: of `held` (nil for nothing), the caller's own values, and those that held so far as it
-- knows. `began` is when the caller first asked, 0 if it does now; `served_ms`, for how long it has been served since.
local function choose_start(held, gate, own, known_version, known, now, began, served_ms)
  if known_version > 0 and (not held or held.version < known_version) then -- the store has lost it, or was set back
    return {version = known_version, told_ms = now, gate = NOBODY, text = known}
  elseif not held then
    return begin_start(own)
  elseif held.version == known_version and held.text ~= known then -- begun after such a loss by a gate that knew nothing
    return {version = known_version + 1, told_ms = now, gate = NOBODY, text = known}
  end
  local has_come_back = held.gate == gate and held.told_ms < began
  local silent_ms = now - held.told_ms
  local is_given_up = has_come_back and silent_ms > GONE_MS or silent_ms > kept_ms() and served_ms > GONE_MS
  if held.text ~= own and is_given_up then
    return {version = held.version + 1, told_ms = now, gate = gate, text = own}
  end
  return {version = held.version, told_ms = math.min(held.told_ms, now), gate = held.gate, text = held.text}
end

-- Settles what holds, and notes that a gate is there which was started so. Returns its version and values; false when
-- the store refuses to keep it, as of a user without the right: then what the caller knows goes on holding.
local function settle_start(gate, own, known_version, known, began, served_ms)
  local now = server_ms()
  local start = choose_start(read_start(), gate, own, known_version, known, now, began, served_ms)
  if start.text == own then start.told_ms, start.gate = now, gate end
  local text = struct.pack(START_HEAD, START_FORMAT, start.version, start.told_ms, start.gate) .. start.text
  if try('SET', key('start'), text, 'PX', rules.settings_expiry).err then return false end
  return {start.version, start.text}
end
