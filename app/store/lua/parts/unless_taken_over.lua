-- How a script of format 1 begins: where this gate's format is in force by now, it answers nil, and has done nothing. For
-- what follows, KEYS[1] is the prefix of the partition, which format 1 declares where this one declares the ledger.
local KEYS = {string.sub(KEYS[1], 1, -#':2:ledger' - 1), KEYS[1]}
local mark = redis.call('TYPE', KEYS[1] .. ':transactions:ledger').ok
if mark == 'string' or redis.call('EXISTS', KEYS[2]) == 1 then return false end
