-- Finds and reads blocks in the order of acceptance, for who reads all that was accepted.
--
-- The blocks of a partition have numbers one after another, from bucket to bucket, and their ordinals rise with them
-- (block_head.lua). Oldest first, say:
--
--   bucket 1700000000000, latest block 8    block 7: ordinals 40 and 41    block 8: 42 to 44
--   bucket 1700000005000, latest block 9    block 9: 45
--
-- Who wants ordinal 43 reads block 8. Who wants 30, whose block has left, is told that ten were missed, and reads from
-- block 7 on. To find a block by bisection means to read some: only with its value comes its head. So readers bring the
-- number of the block where they expect their position, a hint, which is right but after a gap.
--
-- What is past the latest block that the ledger lists is left by a claim that failed: the next claim takes its number.
-- When somebody has deleted the key of a bucket, what is left of it are its last blocks.

-- @use all_buckets
-- @use block_head

local MOST_AT_ONCE = 64 -- that a command reads
-- That a call reads: a block with one transaction takes 4 µs, and while a script runs every claim waits.
local MOST_READ = 128
local FORMAT_1 = '\40\181\47\253'

-- Returns of the head of a block the millisecond, the ordinal, the count, the millisecond of the acceptance before it,
-- and the bytes before compression; nil if the block is not there, or has no head.
local function head_of(value)
  if not value or #value < BLOCK_HEAD_BYTES or string.sub(value, 1, 4) == FORMAT_1 then return nil end
  local ms, before_ms, ordinal, count, _, bytes = struct.unpack(BLOCK_HEAD, value)
  return ms, ordinal, count, before_ms, bytes
end

local function read_head(bucket, number)
  return head_of(redis.call('HGET', key('blocks', id_text(bucket.id)), number))
end

-- How many blocks there are from one number up to another, numbers beginning again after the highest.
local function blocks_between(first, last)
  return (last - first) % MOST_BLOCKS
end

-- Returns the number of the first block that is there of a bucket whose latest is. The fields of the key are '' (see
-- write_fields in key_expiry.lua), and numbers one after another up to the latest; one more if a claim failed behind that.
local function first_block(bucket)
  local name = key('blocks', id_text(bucket.id))
  local first = (bucket.latest_block - redis.call('HLEN', name) + 2) % MOST_BLOCKS
  if redis.call('HEXISTS', name, first) == 1 then return first end
  return (first + 1) % MOST_BLOCKS
end

-- Returns the highest index from `low` to `high` of a bucket whose latest block has a head, and that head.
local function readable_bucket(low, high)
  for index = high, low, -1 do
    local bucket = bucket_at(ledger.transactions, index)
    local ms, ordinal, count, before_ms = read_head(bucket, bucket.latest_block)
    if ms then return index, ms, ordinal, count, before_ms end
  end
  return nil
end

-- Finds the first block for which `is_wanted(millisecond, ordinal, count)` is true, when it is true for all behind
-- it, too. Returns {index = that of its bucket, number = its own, ms = its millisecond, ordinal = its first,
-- before_ms = the millisecond of the acceptance before it}, or nil. First the bucket is searched, by its latest block,
-- and then the block in it. One without a head counts as not wanted: such were there before others.
local function find_block(is_wanted)
  local map, found = ledger.transactions, nil
  local low, high = 1, count_buckets(map)
  while low <= high do
    local middle = math.floor((low + high) / 2)
    local index, ms, ordinal, count, before_ms = readable_bucket(low, middle)
    if index and is_wanted(ms, ordinal, count) then
      local number = bucket_at(map, index).latest_block
      found = {index = index, number = number, ms = ms, ordinal = ordinal, before_ms = before_ms}
      high = index - 1
    else
      low = middle + 1
    end
  end
  if not found then return nil end
  local bucket = bucket_at(map, found.index)
  local first = first_block(bucket)
  low, high = 0, blocks_between(first, bucket.latest_block)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local number = (first + middle) % MOST_BLOCKS
    local ms, ordinal, count, before_ms = read_head(bucket, number)
    if ms and is_wanted(ms, ordinal, count) then
      found.number, found.ms, found.ordinal, found.before_ms, high = number, ms, ordinal, before_ms, middle
    else
      low = middle + 1
    end
  end
  return found
end

-- Returns the first block that is left, as find_block does; nil if none is. It is searched once a call.
local oldest
local function oldest_block()
  oldest = oldest or find_block(function() return true end) or {}
  return oldest.number and oldest or nil
end

-- Returns the index of the bucket that has, or will have, the block of a number: the first whose latest is not
-- before it; nil if there is none.
local function bucket_of_block(number)
  local found
  for index = count_buckets(ledger.transactions), 1, -1 do
    if blocks_between(number, bucket_at(ledger.transactions, index).latest_block) >= MOST_BLOCKS / 2 then break end
    found = index
  end
  return found
end

-- Finds the block that has an ordinal, or the first one behind it that is left, as find_block does: by a hint (-1 for
-- none), else by bisection. After a gap it is mostly the first of all.
local function search_ordinal(wanted, hint)
  local index = hint >= 0 and bucket_of_block(hint)
  if index then
    local ms, ordinal, count, before_ms = read_head(bucket_at(ledger.transactions, index), hint)
    if ms and ordinal <= wanted and wanted < ordinal + count then
      return {index = index, number = hint, ms = ms, ordinal = ordinal, before_ms = before_ms}
    end
  end
  local first = oldest_block()
  if not first or wanted <= first.ordinal then return first end
  return find_block(function(_, ordinal, count) return wanted < ordinal + count end)
end

-- The same, searched once a call for each ordinal.
local found_for = {}
local function find_ordinal(wanted, hint)
  found_for[wanted] = found_for[wanted] or search_ordinal(wanted, hint)
  return found_for[wanted]
end

-- Tells whether a position means what it meant when it was made. It does not under another ledger, nor in one that a
-- failover has set back, which either has not come so far again, or has another acceptance before it: one of another
-- millisecond than `before_ms`. Where that is 0, or the one before has left, only the ledger can tell.
local function is_valid_position(born, ordinal, before_ms, hint)
  local added = ledger.signatures.added
  if born ~= ledger.born or ordinal > added then return false end
  if before_ms == 0 then return true end
  if ordinal == added then return before_ms == ledger.clock end
  local found = find_ordinal(ordinal, hint)
  if not found or found.ordinal > ordinal then return true end
  return before_ms == (found.ordinal < ordinal and found.ms or found.before_ms)
end

-- Reads from a block on, given by the index of its bucket and its number, for `begin`, which is in it, until it has so
-- many transactions, or would pass so many bytes before compression; one block at least, and MOST_READ at most. It stops
-- where one is missing, as after somebody deleted a key: the next call finds what is behind, and tells the gap. Returns {
--   values = the blocks with their heads, finish = the ordinal after the last that is wanted,
--   next_block = the number of the block that has `finish`, or will have it, ms = when the last one was accepted}.
-- A command reads twice as many as the one before, but not more than are wanted, should all be like those before.
local function read_blocks(index, number, begin, most, most_bytes)
  local map, size, bytes = ledger.transactions, 1, 0
  local read = {values = {}, finish = begin, next_block = number}
  local values = read.values
  while index <= count_buckets(map) do
    local bucket = bucket_at(map, index)
    local left, numbers = blocks_between(number, bucket.latest_block) + 1, {}
    for i = 1, math.min(size, left) do numbers[i] = (number + i - 1) % MOST_BLOCKS end
    local chunk = redis.call('HMGET', key('blocks', id_text(bucket.id)), unpack(numbers))
    for i = 1, #numbers do
      local ms, ordinal, count, _, block_bytes = head_of(chunk[i])
      if not ms or #values > 0 and (ordinal ~= read.finish or bytes + block_bytes > most_bytes) then return read end
      values[#values + 1], bytes = chunk[i], bytes + block_bytes
      read.finish, read.ms = ordinal + count, ms
      if read.finish > begin + most then
        read.finish = begin + most
        return read
      end
      number = (number + 1) % MOST_BLOCKS
      read.next_block = number
      if read.finish == begin + most then return read end
    end
    if bytes >= most_bytes or #values >= MOST_READ then return read end
    if #numbers == left then index = index + 1 end
    local times_more = math.min(most / (read.finish - begin), most_bytes / math.max(bytes, 1))
    size = math.min(2 * size, math.ceil(#values * (times_more - 1)), MOST_AT_ONCE, MOST_READ - #values)
    size = math.max(size, 1)
  end
  return read
end

-- Reads what was accepted from an ordinal on and before another, as read_blocks does, and returns the same, with
-- `begin`, the first ordinal that is left, `first_block`, the number of its block, and `first_ms`, when that was
-- accepted. If none is left, `begin` and `finish` are the ordinal before which to end, and there is nothing else.
local function read_between(wanted, before, hint, most, most_bytes)
  local found = find_ordinal(wanted, hint)
  local begin = found and math.max(wanted, found.ordinal)
  if not found or begin >= before then return {values = {}, begin = before, finish = before} end
  local read = read_blocks(found.index, found.number, begin, math.min(most, before - begin), most_bytes)
  read.begin, read.first_block, read.first_ms = begin, found.number, found.ms
  return read
end
