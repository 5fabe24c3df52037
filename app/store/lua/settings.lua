-- Reads the settings changed at run time; with two more arguments, replaces them if they are still the same.
--
-- ARGV: rules, and to replace: what was read ('' for nothing usable), what to store instead.
-- Returns {1 when stored, the version in force, what is stored now: false for nothing, '' for nothing usable}.

local stored = stored_settings()
if not ARGV[2] or ARGV[2] ~= (stored or '') then return {0, version_in_force, stored} end
redis.call('SET', key('settings'), ARGV[3], 'PX', rules.settings_expiry)
return {1, version_in_force, ARGV[3]}
