-- Moves a consumer back or forth. Its leases are superseded: what is in them and comes after its new position is handed
-- out again.
--
-- The gate calls the first partition before the others, as lease_transactions.lua says.
--
-- KEYS: the partition's ledger. ARGV: rules, the consumer's name, milliseconds that it is kept after its last call
-- and the end of its leases, in other partitions than the first its incarnation or else 0, and where to: 'oldest',
-- 'now', or a moment in milliseconds; or when the ledger was born, a position under it, and when the one before that
-- was accepted or 0.
-- Returns the consumer's incarnation, or 0 when the first partition knows no such consumer.

-- @use ledger
-- @use consumer_position

open_ledger()
local name, idle_ms, incarnation = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local to, ordinal, before_ms, now = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), server_ms()
local consumer = load_consumer(name, now)
if incarnation == 0 then
  if not consumer then return 0 end
elseif not consumer or consumer.incarnation ~= incarnation then
  consumer = new_consumer(incarnation, 'now', now)
end

supersede_all(consumer)
if ordinal then
  -- Under another ledger the next lease begins with the oldest, and says that nobody knows what was missed.
  consumer.born, consumer.ordinal, consumer.block, consumer.before_ms = tonumber(to), ordinal, -1, before_ms
  consumer.start_ms, consumer.is_blind, consumer.has_left = 0, false, false
  consumer.last_ms = before_ms > 0 and before_ms or tonumber(to)
else
  consumer.born = ledger.born
  consumer.ordinal, consumer.block, consumer.before_ms, consumer.is_blind = find_start(to)
  consumer.has_left = consumer.is_blind
  consumer.last_ms = begun_ms(to, consumer.before_ms, consumer.has_left)
  consumer.start_ms = to == 'now' and now or tonumber(to) or 0
end
save_consumer(name, consumer, now, idle_ms)
save_ledger(true) -- if it was begun here
return consumer.incarnation
