-- One bounded step of a cleanup of one map: drops at most `most` buckets that are past retention. The gate calls it
-- until nothing more is due, and lets claims in between.
--
-- How much goes depends on the severity: "normal" goes by the retention of the rules, "emergency" by the shorter one,
-- and "shed" also drops the oldest buckets, due or not, until a quarter of the entries is gone: memory is at its limit
-- as a map can be at its own. Signatures are never cut (is_due in remove_buckets.lua), nor shed.
--
-- A periodic step says that it removed what all sweeps have removed since the last periodic step, and notes in the
-- ledger how far it has reported. So the sum of all its reports is the ledger's total.
--
-- KEYS: the partition's ledger. ARGV: rules, map, severity, the reason to book removals under, most, "1" for a dry run,
-- "1" for periodic.
-- Returns {entries before, removed, entries after, 1 when more is due}, for example {1000, 40, 960, 1}.

-- @use ledger
-- @use clock
-- @use remove_buckets

open_ledger()
local clock, map = read_clock(), ledger[ARGV[2]]
local severity, reason, most = ARGV[3], ARGV[4], tonumber(ARGV[5])
local is_dry_run, is_periodic = ARGV[6] == '1', ARGV[7] == '1'
local retention = severity == 'normal' and map.rule.retention or map.rule.emergency
local before = map.entries

if is_dry_run then
  local due = 0
  for _, bucket in ipairs(all_buckets(map)) do
    if is_due(map, bucket, retention, clock) then due = due + bucket.entries end
  end
  return {before, due, before - due, 0}
end

local removed, more = sweep(map, clock, retention, reason, most)
if severity == 'shed' and not more and map.name ~= 'signatures' then
  local goal, bucket = map.entries * 0.75, bucket_at(map, 1)
  while bucket and map.entries > goal do
    drop(map, 1, 'capacity', clock.now)
    removed, bucket = removed + bucket.entries, bucket_at(map, 1)
  end
end
local totals = totals_of(map)
local unreported = is_periodic and totals.expired - totals.reported or 0
if unreported ~= 0 then
  totals.reported = totals.expired
  set_totals(map, totals)
end
-- A store that is full refuses this write when nothing was dropped before; the next report then carries the difference.
if save_ledger(true) and unreported ~= 0 then removed = unreported end
return {map.entries + removed, removed, map.entries, more and 1 or 0}
