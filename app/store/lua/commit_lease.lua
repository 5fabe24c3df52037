-- Commits a lease: its transactions are done, and are not handed out again.
--
-- KEYS: the partition's ledger. ARGV: rules, the consumer's name, its incarnation, the number of the lease,
-- milliseconds that the consumer is kept after its last call and the end of its leases.
-- Returns 'committed', also for a lease that has ended and went to nobody; 'repeated' if it was committed before;
-- 'superseded' if it went to another; 'unknown' if there is none, or none any more.

-- @use consumer

local name, number, now = ARGV[2], tonumber(ARGV[4]), server_ms()
local consumer = load_consumer(name, now)
if not consumer or consumer.incarnation ~= tonumber(ARGV[3]) then return 'unknown' end

local function commit()
  for at, lease in ipairs(consumer.leases) do
    if lease[NUMBER] == number then
      if lease[REST] then consumer.leases[at] = lease[REST] else table.remove(consumer.leases, at) end
      return 'committed'
    end
  end
  for _, superseded in ipairs(consumer.superseded) do
    if superseded == number then return 'superseded' end
  end
  return number >= consumer.remembered and number < consumer.next_number and 'repeated' or 'unknown'
end

local outcome = number > 0 and commit() or 'unknown'
save_consumer(name, consumer, now, tonumber(ARGV[5]))
return outcome
