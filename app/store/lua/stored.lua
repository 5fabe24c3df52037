-- The settings changed at run time, as they are stored: put in front of the scripts that read them.

local MOST_BYTES = 65536

-- The text; false when nothing is stored, '' when it cannot be settings. What is read stays for another while.
local function stored_settings()
  local length = redis.pcall('STRLEN', key('settings'))
  if type(length) ~= 'number' or length > MOST_BYTES then return '' end
  return redis.call('GETEX', key('settings'), 'PX', rules.settings_expiry)
end
