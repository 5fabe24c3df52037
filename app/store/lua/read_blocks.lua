-- Reads what a partition has accepted, from a position on, for streams.
--
-- KEYS: the partition's prefix. ARGV: rules, when the ledger was born under which the position was made, the position,
-- the number of the block where it is expected or -1, most transactions, most bytes of them before compression.
-- Returns {now, when the ledger was born, the first ordinal read, the ordinal after the last, the ordinal of the next
-- acceptance, how many before the first have left or -1 if nobody knows, the number of the block where to go on or -1,
-- block, …}. The first and the last block may have others than those ordinals. For example, for ordinal 30, of which
-- everything before 40 has left: {1700000009000, 1690000000000, 40, 45, 46, 10, 9, <block 7>, <block 8>}.
--
-- A position of a ledger that was lost is in no block of this one: then everything that is kept is read. One that is
-- further than this ledger, which a failover has set back, has nothing before it that was not read.

-- @use ledger
-- @use blocks

open_ledger()
local now, added = server_ms(), ledger.signatures.added
local is_of_this_ledger = tonumber(ARGV[2]) == ledger.born
local wanted = is_of_this_ledger and math.min(tonumber(ARGV[3]), added) or 0
local read = {values = {}, begin = added, finish = added, next_block = tonumber(ARGV[4])}
if wanted < added then
  read = read_between(wanted, added, tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]))
end
save_ledger(true) -- if it was begun here; a full store may refuse that
local missed = is_of_this_ledger and read.begin - wanted or -1
local answer = {now, ledger.born, read.begin, read.finish, added, missed, read.next_block or -1}
for i, value in ipairs(read.values) do answer[7 + i] = value end -- `unpack` takes some thousands only
return answer
