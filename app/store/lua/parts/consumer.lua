-- A consumer: how far it has come in a partition, and what it was handed and has not committed yet.
--
-- P:consumer:<name>, in each partition, is its record in msgpack, a map. For example, 300 were accepted, of which the
-- ordinals from 100 on are kept; the consumer was handed 100 to 249 in three leases, and has committed the second:
--
--   incarnation   1700000000123456   the microsecond in which the first partition made it: one who forgets it and makes
--                                    it again makes another, whose leases have the same numbers
--   start_ms      1699999990000      the moment it began at, 0 for the oldest; a record that is lost begins there again
--   born          1690000000000      the ledger's, under which the ordinals here count
--   ordinal       250                its position: the next to be handed out for the first time
--   block         31                 the block that has it or will have it, or -1; a hint (blocks.lua)
--   before_ms     1700000004000      when the one before its position was accepted, or 0 (is_valid_position)
--   last_ms       1700000004000      a time before which none was accepted that comes after its position
--   is_blind      false              whether nobody knows what it missed before its position, since the ledger was lost
--                                    or set back, or some had left that were accepted after the moment it began at
--   has_left      false              whether it is blind for the latter only, so that the store lost nothing
--   next_number   4                  the number of its next lease, from 1 on
--   delivered     150                how many were handed out for the first time; `redelivered` counts the others
--   missed        0                  how many had left before they could be handed out, as far as that is known
--   unknown_gaps  0                  how often nobody knew what it missed, since the ledger was lost or set back
--   leases        {{1, 100, …}, {3, 200, …}}   those that are outstanding, LEASE each
--   superseded    {}                 numbers of leases that went to another, the latest 64
--   remembered    1                  of lower numbers nobody knows any more whether they did
--   called_ms     1700000005000      the last call; until_ms: when the lease ends that lasts longest, of any partition
--
-- P:consumers, in the first partition only, has the names of all, each with the moment it is forgotten.

-- A lease: its number, its first ordinal, the block of that or -1, the ordinal after its last, when it ends, when the
-- last before it was accepted or 0, how many had left before it or -1 if nobody knows, and its rest, if it has one. That
-- is a lease that begins where this one finishes, has ended, and is nobody's: its number is 0. Say lease 1 has ended,
-- 100 to 149, and 20 of it are handed out again as lease 4, where the rest waits; once that is committed, the rest
-- stands in its place. So there are no more leases for their having rests:
--   {4, 100, 27, 120, 1700000035000, 0, 0, {0, 120, 28, 150, 0, 1700000001000, 0}}
local NUMBER, ORDINAL, BLOCK, FINISH, ENDS_MS, BEFORE_MS, MISSED, REST = 1, 2, 3, 4, 5, 6, 7, 8
local MOST_SUPERSEDED = 64

-- Returns the record of a consumer, or nil. If the clock was set back since the last call, its leases end as much
-- sooner: what was to last 30 s more lasts 30 s more.
local function load_consumer(name, now)
  local text = redis.call('GET', key('consumer', name))
  local is_read, consumer = pcall(cmsgpack.unpack, text or '')
  if not is_read or type(consumer) ~= 'table' or not consumer.incarnation then return nil end
  local set_back = math.max(consumer.called_ms - now, 0)
  for _, lease in ipairs(consumer.leases) do lease[ENDS_MS] = lease[ENDS_MS] - set_back end
  consumer.until_ms = consumer.until_ms - set_back
  consumer.unknown_gaps = consumer.unknown_gaps or 0 -- which earlier records do not have
  return consumer
end

-- Stores the record, for as long as a consumer is kept after its last call and the end of its leases, and notes in the
-- first partition until when that is; with `adds_name` also for a name that is not there yet. The names are asked for
-- first: where they are missing, a node that the slot is moved away from refuses that, and the record has to stay as it
-- was, since the call is made again. The next command only makes a full store take the others: a consumer has to get
-- on there, too, and needs no more room than it has.
local function save_consumer(name, consumer, now, idle_ms, adds_name)
  local kept_ms = math.max(consumer.until_ms - now, 0) + idle_ms
  local names, until_ms = key('consumers'), id_text(now + kept_ms)
  local names_kept_ms = redis.call('PTTL', names)
  consumer.called_ms = now
  redis.call('PEXPIRE', key('consumer', name), id_text(kept_ms))
  redis.call('SET', key('consumer', name), cmsgpack.pack(consumer), 'PX', id_text(kept_ms))
  if adds_name then redis.call('ZADD', names, until_ms, name) else redis.call('ZADD', names, 'XX', until_ms, name) end
  if names_kept_ms < kept_ms then redis.call('PEXPIRE', names, id_text(kept_ms)) end
end

-- Notes that a lease went to another. The lowest number is forgotten when there are too many.
local function supersede(consumer, lease)
  if lease[NUMBER] == 0 then return end
  local numbers = consumer.superseded
  numbers[#numbers + 1] = lease[NUMBER]
  if #numbers > MOST_SUPERSEDED then
    table.sort(numbers)
    consumer.remembered = table.remove(numbers, 1) + 1
  end
end

-- Returns the ordinal after the last that a lease and its rest have.
local function end_of(lease)
  return (lease[REST] or lease)[FINISH]
end

local function supersede_all(consumer)
  for _, lease in ipairs(consumer.leases) do supersede(consumer, lease) end
  consumer.leases = {}
end
