-- Forgets a consumer. The gate calls the first partition first: without its name there, no other record of it counts.
--
-- KEYS: the partition's ledger. ARGV: rules, the consumer's name.
-- Returns 1 when there was one, else 0.

local removed = redis.call('UNLINK', key('consumer', ARGV[2]))
removed = removed + redis.call('ZREM', key('consumers'), ARGV[2])
return removed > 0 and 1 or 0
