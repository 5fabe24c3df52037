-- The tick: sweeps what is due and returns each map's figures. No command here grows with entries.
--
-- ARGV: rules. Returns {now_ms, 1 when full, then per map: name, oldest bucket id or 0, its ledger as a flat list}.

local now = server_ms()
-- A write that shows whether one is possible: a replica must not look healthy, a full store is told apart.
local written = redis.pcall('SET', key('probe'), 1, 'PX', 1000)
local is_full = type(written) == 'table' and written.err and string.find(written.err, 'OOM') and 1 or 0
if type(written) == 'table' and written.err and is_full == 0 then return redis.error_reply(written.err) end
local answer = {now, is_full}
for _, name in ipairs({'signatures', 'transactions', 'observations'}) do
  local map = open_map(name)
  sweep_due(map, now)
  local oldest = oldest_bucket(map)
  answer[#answer + 1] = name
  answer[#answer + 1] = oldest and oldest.id or 0
  answer[#answer + 1] = redis.call('HGETALL', map.ledger)
end
return answer
