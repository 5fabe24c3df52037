-- The tick: sweeps what is due and returns each map's figures. No command here grows with entries.
--
-- It also puts rules of a higher version in force, keeps those in force that gates still bring, and fits what
-- lives to them: a map above a lowered limit loses its oldest buckets, but signatures.
--
-- ARGV: rules. Returns {now_ms, 1 when full, the settings changed at run time (false for none, '' when nothing
-- usable), then per map: name, oldest bucket id or 0, its ledger as a flat list}.

local RULES_EXPIRY_MS = 60000

-- What is past a retention that has become shorter goes at once; what is left was promised no more than that,
-- but signatures. So the oldest bucket stays the first that is due, whatever rules follow. The bucket that takes
-- entries is ended: those to come are kept as long as the new rules say, no longer and no shorter.
local function fit_buckets(map, now)
  local retention = map.rule.retention
  sweep(map, now, retention, 'expired', redis.call('LLEN', map.buckets))
  for at, raw in ipairs(redis.call('LRANGE', map.buckets, 0, -1)) do
    local bucket = decode_bucket(map, raw)
    if bucket.keep ~= retention and may_end(map, bucket, now) then bucket.ends = now end
    if map.name ~= 'signatures' then bucket.keep = math.min(bucket.keep, retention) end
    redis.call('LSET', map.buckets, at - 1, encode_bucket(bucket))
    set_expiry(map, bucket)
  end
end

local function put_in_force(maps, now)
  if rules.version > version_in_force then
    local stored = redis.pcall('SET', key('rules'), ARGV[1], 'PX', RULES_EXPIRY_MS)
    if stored.err then return end
    for _, map in ipairs(maps) do fit_buckets(map, now) end
  elseif rules.version == version_in_force and rules.version > 0 then
    redis.call('PEXPIRE', key('rules'), RULES_EXPIRY_MS)
  end
end

local now = server_ms()
-- A write that shows whether one is possible: a replica must not look healthy, a full store is told apart.
local written = redis.pcall('SET', key('probe'), 1, 'PX', 1000)
local is_full = type(written) == 'table' and written.err and string.find(written.err, 'OOM') and 1 or 0
if type(written) == 'table' and written.err and is_full == 0 then return redis.error_reply(written.err) end
local maps = {open_map('signatures'), open_map('transactions'), open_map('observations')}
put_in_force(maps, now)
local answer = {now, is_full, stored_settings()}
for _, map in ipairs(maps) do
  sweep_due(map, now)
  if map.name ~= 'signatures' then make_room(map, 0, 0, now) end
  local oldest = oldest_bucket(map)
  answer[#answer + 1] = map.name
  answer[#answer + 1] = oldest and oldest.id or 0
  answer[#answer + 1] = redis.call('HGETALL', map.ledger)
end
return answer
