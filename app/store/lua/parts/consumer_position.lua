-- Where a consumer is in the blocks.

-- @use blocks
-- @use find_start
-- @use consumer

-- Returns a time before which nothing was accepted that comes after a start, as find_start has it: the moment, where
-- some have left since, else when the one before it was accepted.
local function begun_ms(start, before_ms, has_left)
  return has_left and tonumber(start) or before_ms > 0 and before_ms or ledger.born
end

-- Makes the record of a consumer that begins at a moment in milliseconds, 0 for the oldest, or 'now'.
local function new_consumer(incarnation, start, now)
  local ordinal, block, before_ms, has_left = find_start(start)
  return {
    incarnation = incarnation, start_ms = start == 'now' and now or tonumber(start) or 0, born = ledger.born,
    ordinal = ordinal, block = block, before_ms = before_ms,
    last_ms = begun_ms(start, before_ms, has_left), is_blind = has_left, has_left = has_left, next_number = 1, delivered = 0, redelivered = 0, missed = 0, unknown_gaps = 0,
    leases = {}, superseded = {}, remembered = 1, called_ms = now, until_ms = 0,
  }
end

-- If the ledger is another one than the position was made under, or was set back since, goes on with the oldest that is
-- kept. A failover sets this record back as far as the ledger. But somebody may have put an earlier ledger back, or
-- moved the consumer to a position from before.
local function follow_ledger(consumer)
  if is_valid_position(consumer.born, consumer.ordinal, consumer.before_ms, consumer.block) then return end
  supersede_all(consumer)
  consumer.born, consumer.is_blind, consumer.has_left = ledger.born, true, false
  consumer.ordinal, consumer.block, consumer.before_ms = find_start(0)
end

-- Returns how many transactions are not committed: those in leases, and those after the position.
local function lag_of(consumer)
  local lag = ledger.signatures.added - consumer.ordinal
  for _, lease in ipairs(consumer.leases) do lag = lag + end_of(lease) - lease[ORDINAL] end
  return lag
end

-- Returns how many have left that come after the position, as far as that is known: the next lease tells of them.
local function left_untaken(consumer)
  local added = ledger.signatures.added
  if consumer.is_blind or consumer.ordinal >= added then return 0 end
  local found = find_ordinal(consumer.ordinal, consumer.block)
  return found and math.max(found.ordinal - consumer.ordinal, 0) or added - consumer.ordinal
end

-- Returns when the oldest transaction was accepted that is kept and not committed, and how long its bucket is kept; 0 if
-- there is none. It is in the first lease, or after the position, unless that has left. For a lease that was read just
-- now, `first_ms` says it, and the bucket is not looked for.
local function oldest_uncommitted_ms(consumer, just_now, first_ms)
  local stretches, kept = {{0, consumer.ordinal, consumer.block, ledger.signatures.added}}, 0
  for _, lease in ipairs(consumer.leases) do
    stretches[#stretches + 1] = lease
    stretches[#stretches + 1] = lease[REST]
  end
  table.sort(stretches, function(one, other) return one[ORDINAL] < other[ORDINAL] end)
  for _, stretch in ipairs(stretches) do
    local begin, finish = stretch[ORDINAL], stretch[FINISH]
    if begin < finish and kept < finish then
      if stretch == just_now then return first_ms end
      local found = find_ordinal(begin, stretch[BLOCK])
      if not found then return 0 end
      kept = math.max(begin, found.ordinal)
      if kept < finish then return found.ms, bucket_at(ledger.transactions, found.index).keep end
    end
  end
  return 0
end
