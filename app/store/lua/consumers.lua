-- Tells how far consumers have come.
--
-- KEYS: the partition's ledger. ARGV: rules, the names of the consumers; in the first partition none for all.
-- Returns {when the ledger was born, a list for each consumer that is known here, …}: its name, its incarnation, its
-- position, when the one before it was accepted or 0, how many are not committed, how long ago the oldest of them was
-- accepted in milliseconds, how long it is kept in milliseconds or 0 if there is none, how many leases are outstanding,
-- how many transactions were handed out for the first time, how many again, how many were missed, with those that have
-- left since its last call, of how many gaps nobody knows the size, and the last call. For example
-- {1690000000000, {'bot', 1700000000123456, 250, 1700000004000, 150, 4000, 120000, 2, 150, 0, 40, 0, 1700000005000}}.

-- @use ledger
-- @use consumer_position

open_ledger()
local now, names = server_ms(), {unpack(ARGV, 2)}
local answer = {ledger.born}
if #names == 0 then names = redis.call('ZRANGEBYSCORE', key('consumers'), '(' .. id_text(now), '+inf') end
for _, name in ipairs(names) do
  local consumer = load_consumer(name, now)
  if consumer then
    follow_ledger(consumer) -- as the next lease will, which stores it
    local oldest_ms, keep_ms = oldest_uncommitted_ms(consumer)
    answer[#answer + 1] = {
      name, consumer.incarnation, consumer.ordinal, consumer.before_ms, lag_of(consumer),
      oldest_ms > 0 and math.max(now - oldest_ms, 0) or 0, keep_ms or 0, #consumer.leases, consumer.delivered, consumer.redelivered,
      consumer.missed + left_untaken(consumer), consumer.unknown_gaps, consumer.called_ms,
    }
  end
end
return answer
