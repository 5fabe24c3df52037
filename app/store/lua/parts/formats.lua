-- Other formats: what this gate does when one older or newer than it is at work on the same store.
--
-- A gate of format 1, that before the number in the keys, needs a hash at the prefix and ':transactions:ledger' for
-- every tick, lookup and acceptance. Gates of all later formats keep a string there, the mark. So a gate of format 1
-- gets WRONGTYPE before it has written anything, and counts the store as failed; one of a later format finds that
-- the mark is not its own. The mark is a sentence, for whoever looks why.

local MARK_KEY = PREFIX .. ':transactions:ledger'
local MARK = 'Tidegate keeps this partition in format ' .. FORMAT .. '; a gate of another format must not use it.'

local function exists(name)
  return redis.call('EXISTS', name) == 1
end

-- Returns the mark, or nil; and whether there is a ledger of format 1 in its place or beside it.
local function read_mark()
  local mark = redis.pcall('GET', MARK_KEY)
  if type(mark) == 'string' then return mark, false end
  local is_hash = type(mark) == 'table' and string.find(mark.err, 'WRONGTYPE') ~= nil
  if type(mark) == 'table' and not is_hash then redis.call('GET', MARK_KEY) end -- raises whatever else is wrong
  return nil, is_hash or exists(PREFIX .. ':signatures:ledger')
end

local function refuse(why)
  error({err = 'OTHERFORMAT ' .. why})
end

-- Raises an error when this partition is in another format: the gate must not mix what it stores with that.
local function refuse_other_formats()
  local mark, is_format_1 = read_mark()
  if mark and mark ~= MARK then refuse('the store says: ' .. mark) end
  if is_format_1 then refuse('the store holds data of format 1, which the next tick takes over') end
end

-- Whether there is data of format 1 and none of this one; raises an error when it is of a later format.
local function needs_take_over()
  local mark, is_format_1 = read_mark()
  if mark and mark ~= MARK then refuse('the store says: ' .. mark) end
  return is_format_1 and not exists(key('ledger'))
end

-- Sets the mark, whatever is in its place, and for as long as the ledger lasts.
local function set_mark()
  redis.pcall('SET', MARK_KEY, MARK, 'PX', rules.ledger_expiry) -- a full store may refuse it, until the next tick
end

-- A gate of format 1 writes its own probe before it comes to the mark, when its tick begins.
local function is_format_1_at_work()
  return exists(PREFIX .. ':probe')
end
