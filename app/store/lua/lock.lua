-- Lets one gate at a time do what every gate of the store sees to be necessary, as an emergency cleanup.
--
-- KEYS: the first partition's ledger. ARGV: rules, what the lock is for, milliseconds it is held.
-- Returns 1 when it was taken, or 0 while a lock for the same holds.

return redis.call('SET', key('lock', ARGV[2]), '1', 'NX', 'PX', ARGV[3]) and 1 or 0
