-- One bounded step of a cleanup of one map: at most `most` buckets whose entries are past `retention`.
--
-- A periodic step also reports what sweeps have removed since the last periodic report, so that the sum
-- of all reports is the ledger's total.
--
-- ARGV: rules, map, "1" for an emergency, reason, most, "1" for a dry run, "1" for periodic.
-- Returns {before, removed, after, 1 when more is due}.

local now = server_ms()
local map = open_map(ARGV[2])
local retention = ARGV[3] == '1' and map.rule.emergency or map.rule.retention
local reason, most = ARGV[4], tonumber(ARGV[5])
local before = map.entries

if ARGV[6] == '1' then
  local due = 0
  for _, bucket in ipairs(live_buckets(map)) do
    if is_due(map, bucket, retention, now) then due = due + bucket.entries end
  end
  return {before, due, before - due, 0}
end

local removed, more = sweep(map, now, retention, reason, most)
if ARGV[7] == '1' then
  local totals = redis.call('HMGET', map.ledger, 'expired', 'reported')
  local unreported = (totals[1] or 0) - (totals[2] or 0)
  -- A store that is full refuses this write; the next report then carries the difference.
  if unreported ~= 0 then
    local noted = redis.pcall('HSET', map.ledger, 'reported', totals[1])
    if type(noted) ~= 'table' then removed = unreported end
  end
end
return {map.entries + removed, removed, map.entries, more and 1 or 0}
