-- Reads the settings changed at run time, as P:settings: a JSON document that gates judge, and write by settings.lua.

local MOST_SETTINGS_BYTES = 65536

-- Returns the text; false when nothing is stored, '' when it cannot be settings. What is read stays for another while.
local function read_settings(name)
  local length = try('STRLEN', name)
  if type(length) ~= 'number' or length > MOST_SETTINGS_BYTES then return '' end
  return redis.call('GETEX', name, 'PX', rules.settings_expiry)
end
