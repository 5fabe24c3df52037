-- Finds a position from which everything can be read that a partition has accepted from some moment on.
--
-- KEYS: the partition's ledger. ARGV: rules, and 'oldest' for all that is kept, 'now' for nothing yet, or the moment in
-- milliseconds.
-- Returns {when the ledger was born, the position, the number of its block or -1, when the one before it was accepted
-- or 0, 1 if some have left that were accepted from that moment on, and nobody knows how many}, for example
-- {1690000000000, 40, 7, 1699999999900, 0}.

-- @use ledger
-- @use blocks
-- @use find_start

open_ledger()
local ordinal, number, before_ms, has_left = find_start(ARGV[2])
save_ledger(true) -- if it was begun here; a full store may refuse that
return {ledger.born, ordinal, number, before_ms, has_left and 1 or 0}
