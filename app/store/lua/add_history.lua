-- Adds a gate's samples to its history; the oldest samples go when it is full.
--
-- P:history has the gates with the millisecond in which each last added samples, the longest silent first. When there
-- are as many gates as there may be, a new one takes the place of the longest silent, if that has been silent for long.
--
-- KEYS: the first partition's ledger. ARGV: rules, the gate's name, most samples a gate, most gates, milliseconds a
-- history is kept after its last sample, milliseconds of silence after which a gate gives way to a new one, then the
-- samples, encoded.
-- Returns 1, or 0 when there are too many gates.

local gate, most_samples, most_gates = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local kept, silence = tonumber(ARGV[5]), tonumber(ARGV[6])
local gates, now = key('history'), server_ms()

redis.call('ZREMRANGEBYSCORE', gates, '-inf', '(' .. id_text(now - kept))
local is_known, count = redis.call('ZSCORE', gates, gate), 0
if not is_known then count = redis.call('ZCARD', gates) end
if count >= most_gates then
  local longest_silent = redis.call('ZRANGE', gates, 0, 0, 'WITHSCORES')
  if now - longest_silent[2] < silence then return 0 end
  redis.call('ZREM', gates, longest_silent[1])
  redis.call('UNLINK', key('history', longest_silent[1]))
end

local samples = key('history', gate)
for i = 7, #ARGV do redis.call('RPUSH', samples, ARGV[i]) end
redis.call('LTRIM', samples, -most_samples, -1)
redis.call('PEXPIRE', samples, kept)
redis.call('ZADD', gates, id_text(now), gate)
redis.call('PEXPIRE', gates, kept)
return 1
