-- Reads the names of the gates that have a history, or a piece of one gate's, counted from its end.
--
-- KEYS: the first partition's ledger. ARGV: rules; and for a piece: the gate's name, the index of its first and of its
-- last sample, for example -720 and -1 for the latest 720.
-- Returns a list of names, the one heard of last at the end; or of samples, oldest first.

if not ARGV[2] then return redis.call('ZRANGE', key('history'), 0, -1) end
return redis.call('LRANGE', key('history', ARGV[2]), ARGV[3], ARGV[4])
