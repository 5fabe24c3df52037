-- The tick: sweeps what is due and returns each map's figures. No command here grows with entries.
--
-- ARGV: rules. Returns {now_ms, then per map: name, oldest bucket id or 0, its ledger as a flat list}.

local now = server_ms()
-- Removes nothing, but fails where nothing can be written: a replica must not look healthy.
redis.call('UNLINK', key('probe'))
local answer = {now}
for _, name in ipairs({'signatures', 'transactions', 'observations'}) do
  local map = open_map(name)
  sweep_due(map, now)
  local oldest = oldest_bucket(map)
  answer[#answer + 1] = name
  answer[#answer + 1] = oldest and oldest.id or 0
  answer[#answer + 1] = redis.call('HGETALL', map.ledger)
end
return answer
