-- Hands out what a consumer has not got yet, or has not committed in time.

-- @use consumer_position

local MOST_LEASES = 64

-- Returns where among the leases the one is that has what waits to be handed out again, and of these the first in
-- order; nil if none has. One that has ended waits as a whole, of another its rest, with `counts_rests`.
local function waiting_lease(consumer, now, counts_rests)
  local found, first
  for i, lease in ipairs(consumer.leases) do
    local ordinal = lease[ENDS_MS] <= now and lease[ORDINAL] or counts_rests and lease[REST] and lease[FINISH]
    if ordinal and (not found or ordinal < first) then found, first = i, ordinal end
  end
  return found
end

-- Tells whether there may be a lease more: one that takes a rest, or what comes after the position. One that takes the
-- place of another always may.
local function has_room(consumer)
  return #consumer.leases < MOST_LEASES
end

-- Takes what waits at a place among the leases from there, and returns it as a lease.
local function take_waiting(consumer, at, now)
  local lease = consumer.leases[at]
  if lease[ENDS_MS] > now then
    local rest = lease[REST]
    lease[REST] = nil
    return rest
  end
  supersede(consumer, lease)
  return table.remove(consumer.leases, at)
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

-- Hands out what waits in a lease to another: under a new number, with what has left meanwhile told and counted as
-- missed, and at most `limit` of it. What is left waits as the rest of the new lease; behind a block that somebody
-- deleted there is always some. Returns the new lease and what was read.
local function hand_out_again(consumer, at, now, limit, most_bytes, ends_ms)
  local lease = take_waiting(consumer, at, now)
  local finish = end_of(lease)
  local read = read_between(lease[ORDINAL], finish, lease[BLOCK], limit, most_bytes)
  local left, missed = read.begin - lease[ORDINAL], lease[MISSED]
  consumer.missed, consumer.redelivered = consumer.missed + left, consumer.redelivered + read.finish - read.begin
  local again = add_lease(consumer, read, ends_ms, lease[BEFORE_MS], missed >= 0 and missed + left or missed)
  if read.finish < finish then again[REST] = {0, read.finish, read.next_block, finish, 0, read.ms, 0} end
  return again, read
end

-- Hands out what comes after the position. Returns the lease and what was read; nil if there is nothing.
local function hand_out_next(consumer, limit, most_bytes, ends_ms)
  local added, is_blind = ledger.signatures.added, consumer.is_blind
  if consumer.ordinal >= added and not is_blind then return nil end
  local read = read_between(consumer.ordinal, added, consumer.block, limit, most_bytes)
  local missed = is_blind and -1 or read.begin - consumer.ordinal
  consumer.missed = consumer.missed + math.max(missed, 0)
  if is_blind and not consumer.has_left then consumer.unknown_gaps = consumer.unknown_gaps + 1 end
  consumer.delivered = consumer.delivered + read.finish - read.begin
  local lease = add_lease(consumer, read, ends_ms, consumer.last_ms, missed)
  consumer.ordinal, consumer.block = read.finish, read.next_block or -1
  consumer.is_blind, consumer.has_left = false, false
  consumer.before_ms = read.ms or ledger.clock
  consumer.last_ms = consumer.before_ms
  return lease, read
end
