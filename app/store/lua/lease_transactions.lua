-- Leases the next transactions of a partition to a consumer: those of a lease that was not committed in time, else
-- those after its position, and at most as many as are asked for. Which waits first, and what it missed, is found by
-- hand_out.lua. A consumer that is new is made.
--
-- The gate calls the first partition before the others. There the names of all consumers are: one too many is
-- refused. It also says which incarnation of the consumer this is and where it began, for the other partitions to
-- follow, should they know none or an earlier one, as after a call that did not reach all of them. The record in the
-- first partition can be lost alone, too, deleted or evicted. Then it begins again with the oldest: what is told
-- twice is better than what is not. Another partition may have lost all it had, while the first has its record still:
-- then nobody knows what the consumer missed there. A ledger tells that which is younger than the consumer, by more
-- than partitions' clocks differ and than a first call takes to reach all of them.
--
-- KEYS: the partition's ledger. ARGV:
--   1     rules (`packed_rules` in app/store/map_rules.py)
--   2     the consumer's name
--   3, 4  most transactions, and most bytes of them before compression, but one block; 0 transactions lease nothing
--   5     milliseconds until the lease ends
--   6     milliseconds that the consumer is kept after its last call and the end of its leases
--   7     in the first partition the most consumers there may be, else 0
--   8     where a new one begins: in milliseconds, 0 for the oldest; in the first partition also 'now'
--   9     in other partitions the incarnation of the consumer
--   10    in other partitions 1 if the first one knew that before
-- Returns in a partition with as many consumers as there may be {'full', name, …}, the names of the ten that are
-- forgotten first. Else {'leased', 'nothing' or 'busy', the incarnation, where it began in milliseconds, 1 if it was
-- known, 1 if there is more to lease, how many are not committed, how long ago the oldest of them was accepted in
-- milliseconds, when the ledger was born, the consumer's position, when the one before that was accepted or 0}, 'busy'
-- meaning that there are as many leases as there may be. For a lease follow: its number, 1 if it was leased before,
-- when the last before it was accepted or 0, now, when the ledger was born, its first ordinal, the ordinal after its
-- last, the ordinal of the next acceptance, when the one before that was accepted or 0, how many before the first have
-- left or -1 if nobody knows, block, …; blocks as in read_blocks.lua.

-- @use ledger
-- @use hand_out

local YOUNGER_MS = 60000

open_ledger()
local name, limit, most_bytes = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local idle_ms, most_consumers, start, incarnation = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], tonumber(ARGV[9])
local is_first, names, now = most_consumers > 0, key('consumers'), server_ms()
local consumer, ends_ms = load_consumer(name, now), now + tonumber(ARGV[5])

if is_first then
  local forgotten_ms = tonumber(redis.call('ZSCORE', names, name) or 0)
  if forgotten_ms <= now then
    redis.call('ZREMRANGEBYSCORE', names, '-inf', id_text(now))
    local count = redis.call('ZCARD', names)
    if count >= most_consumers then return {'full', unpack(redis.call('ZRANGE', names, 0, 9))} end
  elseif not consumer then
    start = 0 -- its record was lost
  end
  local time = redis.call('TIME')
  incarnation = consumer and consumer.incarnation or time[1] * 1000000 + time[2]
end
local is_known = consumer and consumer.incarnation == incarnation
if not is_known then
  local was_lost = not consumer and ARGV[10] == '1' and ledger.born > incarnation / 1000 + YOUNGER_MS
  consumer = new_consumer(incarnation, start, now)
  if was_lost then consumer.is_blind, consumer.has_left = true, false end
end
follow_ledger(consumer)

local lease, read
local waiting = waiting_lease(consumer, now, has_room(consumer))
local is_busy = not waiting and not has_room(consumer)
if limit > 0 and waiting then
  lease, read = hand_out_again(consumer, waiting, now, limit, most_bytes, ends_ms)
elseif limit > 0 and not is_busy then
  lease, read = hand_out_next(consumer, limit, most_bytes, ends_ms)
end
local added = ledger.signatures.added
local has_more = waiting_lease(consumer, now, true) or consumer.ordinal < added or consumer.is_blind

consumer.until_ms = math.max(consumer.until_ms, ends_ms)
save_consumer(name, consumer, now, idle_ms, is_first)
save_ledger(true) -- if it was begun here

local oldest_ms = oldest_uncommitted_ms(consumer, lease, read and read.first_ms)
local status = lease and 'leased' or has_more and is_busy and 'busy' or 'nothing'
local answer = {
  status, consumer.incarnation, consumer.start_ms, is_known and 1 or 0, has_more and 1 or 0, lag_of(consumer),
  oldest_ms > 0 and math.max(now - oldest_ms, 0) or 0, ledger.born, consumer.ordinal, consumer.before_ms,
}
if lease then
  for _, number in ipairs({
    lease[NUMBER], waiting and 1 or 0, lease[BEFORE_MS], now, ledger.born, read.begin, read.finish, added, ledger.clock,
    lease[MISSED],
  }) do answer[#answer + 1] = number end
  for _, value in ipairs(read.values) do answer[#answer + 1] = value end
end
return answer
