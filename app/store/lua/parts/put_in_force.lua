-- Puts changed settings in force for all gates of the store: with them come rules of a higher version (sizes.lua).

-- @use end_bucket_early

-- How long rules are kept beyond the last gate that goes by them: a minute more than they may have promised to keep
-- anything.
local function kept_ms()
  local longest = 0
  for _, rule in pairs(rules.maps) do longest = math.max(longest, rule.retention) end
  return 60000 + longest
end

-- Fits what lives in a map to its new rule. What is past a retention that has become shorter goes at once, and so does
-- what was due by the one before. What is left is kept as the new rule says, longer or shorter than it was promised,
-- except signatures, which keep their window: so the oldest bucket stays the first that is due, whatever rules follow.
-- The bucket that takes entries is ended, since those to come are kept by another window, or go into wider ones.
local function fit_buckets(map, clock)
  -- @use remove_buckets
  local retention = map.rule.retention
  sweep(map, clock, retention, 'expired', count_buckets(map))
  for _, bucket in ipairs(all_buckets(map)) do
    if bucket.keep ~= retention and may_end(map, bucket, clock.now) then bucket.ends = clock.now end
    if map.name ~= 'signatures' then bucket.keep = retention end
    set_expiry(map, bucket)
  end
  relist_buckets(map)
  map.due_ms = 0
end

-- Stores the caller's rules as those in force when they are of a higher version, and keeps them when they are those
-- in force already. They outlast the last gate that brings them (kept_ms); then the ledger forgets their version.
local function put_in_force(maps, clock)
  local theirs = stored_rules()
  local version = theirs and theirs.version or 0
  if rules.version > version then
    local stored = redis.pcall('SET', key('rules'), ARGV[1], 'PX', kept_ms())
    if stored.err then return end -- a full store goes on with the rules it has; the next tick tries again
    for _, map in ipairs(maps) do fit_buckets(map, clock) end
    version = rules.version
  elseif rules.version == version and version > 0 then
    redis.call('PEXPIRE', key('rules'), kept_ms())
  end
  if ledger.version ~= version then ledger.version, ledger.is_changed = version, true end
end
