-- One bounded step of a cleanup of one map: at most `most` buckets whose entries are past `retention`.
--
-- A periodic step also reports what sweeps have removed since the last periodic report, so that the sum
-- of all reports is the ledger's total.
--
-- To shed is to let the oldest quarter go, due or not, when memory is at its limit as a map can be at its own.
--
-- ARGV: rules, map, "normal", "emergency" or "shed", reason, most, "1" for a dry run, "1" for periodic.
-- Returns {before, removed, after, 1 when more is due}.

local now = server_ms()
local map = open_map(ARGV[2])
local retention = ARGV[3] == 'normal' and map.rule.retention or map.rule.emergency
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
if ARGV[3] == 'shed' and not more and map.name ~= 'signatures' then
  local goal, bucket = map.entries * 0.75, oldest_bucket(map)
  while bucket and map.entries > goal do
    drop(map, bucket, 'capacity', now)
    removed, bucket = removed + bucket.entries, oldest_bucket(map)
  end
end
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
