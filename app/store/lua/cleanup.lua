-- One bounded step of a cleanup of one map: drops at most `most` buckets that are past retention. The gate calls it
-- until nothing more is due, and lets claims in between.
--
-- How much goes depends on the severity: "normal" goes by the retention of the rules, "emergency" by the shorter one,
-- and "shed" also drops the oldest buckets, due or not, until a quarter of the entries is gone: memory is at its limit
-- as a map can be at its own. Signatures are never cut (is_due in what_is_due.lua), nor shed.
--
-- A periodic step says that it removed what all sweeps have removed since the last periodic step, and notes in the
-- ledger how far it has reported. So the sum of all its reports is the ledger's total.
--
-- KEYS: the partition's prefix. ARGV: rules, map, severity, the reason to book removals under, most, "1" for a dry run,
-- "1" for periodic.
-- Returns {entries before, removed, entries after, 1 when more is due}, for example {1000, 40, 960, 1}.

local clock = read_clock()
local map = open_map(ARGV[2])
local severity, reason, most = ARGV[3], ARGV[4], tonumber(ARGV[5])
local is_dry_run, is_periodic = ARGV[6] == '1', ARGV[7] == '1'
local retention = severity == 'normal' and map.rule.retention or map.rule.emergency
local before = map.entries

if is_dry_run then
  local due = 0
  for _, bucket in ipairs(live_buckets(map)) do
    if is_due(map, bucket, retention, clock) then due = due + bucket.entries end
  end
  return {before, due, before - due, 0}
end

local removed, more = sweep(map, clock, retention, reason, most)
if severity == 'shed' and not more and map.name ~= 'signatures' then
  local goal, bucket = map.entries * 0.75, oldest_bucket(map)
  while bucket and map.entries > goal do
    drop(map, bucket, 'capacity', clock.now)
    removed, bucket = removed + bucket.entries, oldest_bucket(map)
  end
end
if is_periodic then
  local totals = redis.call('HMGET', map.ledger, 'expired', 'reported')
  local unreported = (totals[1] or 0) - (totals[2] or 0)
  -- A store that is full refuses this write; the next report then carries the difference.
  if unreported ~= 0 then
    local noted = redis.pcall('HSET', map.ledger, 'reported', totals[1])
    if type(noted) ~= 'table' then removed = unreported end
  end
end
return {map.entries + removed, removed, map.entries, more and 1 or 0}
