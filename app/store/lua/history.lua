-- Reads the names of the gates that have a history, or a piece of one gate's, counted from its end.
--
-- ARGV: rules; and for a piece: the gate's name, index of its first and of its last sample.
-- Returns a list of names, or of samples, oldest first.

if not ARGV[2] then return redis.call('ZRANGE', key('history'), 0, -1) end
return redis.call('LRANGE', key('history', ARGV[2]), ARGV[3], ARGV[4])
