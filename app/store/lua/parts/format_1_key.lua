-- The name of a key of format 1: that of this format without its number.
local function old_key(...)
  return PREFIX .. ':' .. table.concat({...}, ':')
end
