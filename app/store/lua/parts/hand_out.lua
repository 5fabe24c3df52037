-- Hands out what a consumer has not got yet, or has not committed in time.

-- @use consumer_position

local MOST_LEASES = 64

-- Returns where among the leases the one is that has ended and is first in order; nil if none has ended.
local function ended_lease(consumer, now)
  local found
  for i, lease in ipairs(consumer.leases) do
    if lease[ENDS_MS] <= now and (not found or lease[ORDINAL] < consumer.leases[found][ORDINAL]) then found = i end
  end
  return found
end

-- Makes what was read a lease, with the next number, and returns it.
local function add_lease(consumer, read, ends_ms, before_ms, missed)
  local lease = {
    consumer.next_number, read.begin, read.first_block or -1, read.finish, ends_ms, before_ms, missed,
  }
  consumer.leases[#consumer.leases + 1] = lease
  consumer.next_number = consumer.next_number + 1
  return lease
end

-- Hands out a lease that has ended to another: under a new number, with what has left meanwhile told and counted as
-- missed, and at most `limit` of it. The rest stays as a lease that has ended, unless there are as many as there may
-- be: then all is handed out. Behind a block that somebody deleted there is always a rest. Returns the new lease and
-- what was read.
local function hand_out_again(consumer, at, limit, most_bytes, ends_ms)
  local lease = table.remove(consumer.leases, at)
  if #consumer.leases + 2 > MOST_LEASES then limit, most_bytes = math.huge, math.huge end
  local read = read_between(lease[ORDINAL], lease[FINISH], lease[BLOCK], limit, most_bytes)
  local left, missed = read.begin - lease[ORDINAL], lease[MISSED]
  consumer.missed, consumer.redelivered = consumer.missed + left, consumer.redelivered + read.finish - read.begin
  supersede(consumer, lease)
  if read.finish < lease[FINISH] then
    consumer.leases[#consumer.leases + 1] = {0, read.finish, read.next_block, lease[FINISH], 0, read.ms, 0}
  end
  return add_lease(consumer, read, ends_ms, lease[BEFORE_MS], missed >= 0 and missed + left or missed), read
end

-- Hands out what comes after the position. Returns the lease and what was read; nil if there is nothing.
local function hand_out_next(consumer, limit, most_bytes, ends_ms)
  local added, is_blind = ledger.signatures.added, consumer.is_blind
  if consumer.ordinal >= added and not is_blind then return nil end
  local read = read_between(consumer.ordinal, added, consumer.block, limit, most_bytes)
  local missed = is_blind and -1 or read.begin - consumer.ordinal
  consumer.missed = consumer.missed + math.max(missed, 0)
  consumer.delivered = consumer.delivered + read.finish - read.begin
  local lease = add_lease(consumer, read, ends_ms, consumer.last_ms, missed)
  consumer.ordinal, consumer.block, consumer.is_blind = read.finish, read.next_block or -1, false
  consumer.last_ms, consumer.before_ms = read.ms or consumer.last_ms, read.ms or ledger.clock
  return lease, read
end
