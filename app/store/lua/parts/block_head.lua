-- What stands before the frame of a block in P:blocks:<id>: its head, and a mask if not all of it was accepted.
--
-- The acceptances of a partition are numbered from 0 on. The number of one, its ordinal, is how many signatures the
-- partition had accepted before. The transactions of a block that were accepted have ordinals one after another, and
-- the next block goes on from there. So a position is an ordinal, and a block says which ordinals it has.
--
-- The head has six numbers: the millisecond of the acceptances, that of the acceptance before them or 0, the ordinal
-- of the first, how many there are, how many transactions the block has, and how many bytes these take before
-- compression. If not all were accepted, since another gate was first with some, or the map of signatures became full,
-- a mask follows, with a bit for each place of the block, 1 for accepted, the lowest bit of the first byte for place 0.
-- For example, of three the first and the last, the 42nd and 43rd that the partition has accepted, of which the 41st
-- was 23 ms earlier: (1700000000123, 1700000000100, 41, 2, 3, 5120), '\5'.
--
-- After a failover an ordinal may mean another transaction: the new master has less, and goes on from there. So who
-- has a position also has the millisecond of the acceptance before it, and the head tells whether it is still that.
--
-- A block of format 1 has neither. It begins as each frame of zstd does, which no head does before the year 3388.

local MOST_BLOCKS = 2 ^ 32 -- their numbers have 4 bytes, and begin again after that
local BLOCK_HEAD, BLOCK_HEAD_BYTES = '>I6I6I7I2I2I4', 27
