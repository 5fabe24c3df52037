-- Reads what a partition has accepted, from a position on, for streams.
--
-- KEYS: the partition's ledger. ARGV: rules, when the ledger was born under which the position was made, the position,
-- when the one before it was accepted or 0, the number of the block where it is expected or -1, most transactions, most
-- bytes of them before compression.
-- Returns {now, when the ledger was born, the first ordinal read, the ordinal after the last, the ordinal of the next
-- acceptance, when the one before that was accepted or 0, how many before the first have left or -1 if nobody knows,
-- the number of the block where to go on or -1, block, …}. The first and the last block may have others than those
-- ordinals. For example, for ordinal 30, of which everything before 40 has left:
-- {1700000009000, 1690000000000, 40, 45, 46, 1700000008800, 10, 9, <block 7>, <block 8>}.
--
-- A position of a ledger that was lost, or that a failover has set back, means nothing now (is_valid_position): then
-- everything that is kept is read. Some of it may have been read before, but nobody knows how much.

-- @use ledger
-- @use blocks

open_ledger()
local now, added = server_ms(), ledger.signatures.added
local hint = tonumber(ARGV[5])
local is_valid = is_valid_position(tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), hint)
local wanted = is_valid and tonumber(ARGV[3]) or 0
local read = {values = {}, begin = added, finish = added, next_block = hint}
if wanted < added then read = read_between(wanted, added, hint, tonumber(ARGV[6]), tonumber(ARGV[7])) end
save_ledger(true) -- if it was begun here; a full store may refuse that
local missed = is_valid and read.begin - wanted or -1
local answer = {now, ledger.born, read.begin, read.finish, added, ledger.clock, missed, read.next_block or -1}
for i, value in ipairs(read.values) do answer[8 + i] = value end -- `unpack` takes some thousands only
return answer
