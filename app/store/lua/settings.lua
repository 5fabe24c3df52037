-- Reads the settings changed at run time; with two more arguments, replaces them if they are still the same, so that
-- of two gates that change them at once one has to look again.
--
-- They are put in force by the tick (sizes.lua), which each gate makes once a second.
--
-- KEYS: the first partition's ledger. ARGV: rules; and to replace: what was read ('' for nothing or nothing usable),
-- what to store instead.
-- Returns {1 when stored, the version of the rules in force, what is stored now: false for nothing, '' for nothing
-- usable}, for example {1, 3, '{"version": 4, …}'}.

-- @use read_settings

local stored, in_force = read_settings(key('settings')), stored_rules()
local version_in_force = in_force and in_force.version or 0
if not ARGV[2] or ARGV[2] ~= (stored or '') then return {0, version_in_force, stored} end
-- @use formats
refuse_other_formats()
redis.call('SET', key('settings'), ARGV[3], 'PX', rules.settings_expiry)
return {1, version_in_force, ARGV[3]}
