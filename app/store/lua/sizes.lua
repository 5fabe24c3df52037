-- The tick of a gate, once a second: reads the size and the totals of each map. No command here grows with entries.
--
-- On the way it does what has to happen even when nothing comes in: it puts changed rules in force for all gates
-- (changed_rules.lua), sweeps what is due, and drops the oldest buckets of a map that is above a limit that was
-- lowered, except those of signatures.
--
-- KEYS: the partition's prefix. ARGV: rules.
-- Returns {now, 1 when the store is full, the settings changed at run time (stored_settings.lua), then three values a
-- map: its name, the id of its oldest bucket or 0, its ledger as a flat list}, for example
-- {1700000002500, 0, false, 'signatures', 1700000000000, {'entries', '920', 'bytes', '23920', …}, …}.

local clock = read_clock()
-- A write that shows whether one is possible: a replica must not look healthy, a full store is told apart.
local written = redis.pcall('SET', key('probe'), 1, 'PX', 1000)
local is_full = type(written) == 'table' and written.err and string.find(written.err, 'OOM') and 1 or 0
if type(written) == 'table' and written.err and is_full == 0 then return redis.error_reply(written.err) end
local maps = {open_map('signatures'), open_map('transactions'), open_map('observations')}
put_in_force(maps, clock)
local answer = {clock.now, is_full, stored_settings()}
for _, map in ipairs(maps) do
  sweep_due(map, clock)
  if map.name ~= 'signatures' then make_room(map, 0, 0, clock.now) end
  local oldest = oldest_bucket(map)
  answer[#answer + 1] = map.name
  answer[#answer + 1] = oldest and oldest.id or 0
  answer[#answer + 1] = redis.call('HGETALL', map.ledger)
end
return answer
