-- The tick of a gate, once a second: reads the size and the totals of each map. No command here grows with entries.
--
-- On the way it does what has to happen even when nothing comes in: it takes over what older gates left, puts
-- changed rules in force for all gates (put_in_force.lua), sweeps what is due, and drops the oldest buckets of a map
-- that is above a limit that was lowered, except those of signatures.
--
-- KEYS: the partition's ledger. ARGV: rules; 0, or whose turn it is to be looked at for entries that are gone, a number
-- that is 1 higher each time; how many partitions the Cluster has, 0 on a store that is none; 1 when the store was away
-- for the caller until now, else 0; and in the first partition, of the shared settings (choose_shared_settings.lua): the
-- gate's name, the values it was started with, the version of those that hold as far as it knows or 0, these, when
-- the caller was first answered here or 0, and for how many milliseconds it has been answered here without a break.
-- Returns {now, 1 when the store is full, the settings changed at run time (read_settings.lua), the version and the
-- values of the shared settings or false, which gates of other formats are at work ('older' while the partition stays
-- in their format, else other_gates in formats.lua), when the ledger was begun, the entries that are gone
-- (lost_entries.lua), then ten numbers a map, signatures first: the id of its oldest bucket or 0, entries, bytes, added,
-- expired, emergency, manual, capacity, due, on_time}, for example
-- {1700000002500, 0, false, {1, '{…}'}, '', 1690000000000, {}, 1700000000000, 920, 23920, 5000, 4080, 0, …}.

-- @use formats
-- @use ledger
-- @use clock
-- @use sweep_and_make_room
-- @use all_buckets
-- @use totals
-- @use put_in_force
-- @use read_settings

-- Only a store that a post could use is to look healthy. A replica refuses what is written, and a user may not have the
-- right to a command that a claim needs: so each is tried, on a key of its own. SET comes first, since a full store
-- refuses only the first write of a script, and nothing follows there, so that it goes on refusing.
local probe, expires, is_full = key('probe'), id_text(server_ms() + 1000), 0
for _, command in ipairs({
  {'SET', probe, 1, 'PX', 1000}, {'GET', probe}, {'EXISTS', probe}, {'STRLEN', probe},
  {'GETEX', probe, 'PX', 1000}, {'PEXPIRE', probe, 1000}, {'UNLINK', probe},
  {'PEXPIREAT', probe, expires}, -- before there is a hash that has to expire
  {'HSET', probe, '', 1}, {'PEXPIREAT', probe, expires}, {'HGET', probe, ''}, {'HMGET', probe, ''},
  {'HLEN', probe}, {'HEXISTS', probe, ''},
}) do
  local answer = redis.pcall(unpack(command))
  local refusal = type(answer) == 'table' and answer.err
  if refusal and string.find(refusal, 'OOM') then
    is_full = 1
    break
  elseif refusal then
    return redis.error_reply(refusal .. ' [' .. command[1] .. ']') -- whose name the refusal may not have
  end
end

-- How many partitions there are is kept in each, so that no master can lose it alone (partition_count.py). What the first
-- has counts; it is another number when somebody has changed it, or another gate has begun anew in an empty store.
if ARGV[3] ~= '0' then
  local kept = redis.call('GET', key('partitions'))
  if kept and kept ~= ARGV[3] and string.sub(PREFIX, -3) == '{0}' then
    return redis.error_reply('OTHERPARTITIONS the store has ' .. kept .. ' partitions by now')
  end
  redis.pcall('SET', key('partitions'), ARGV[3], 'PX', rules.ledger_expiry) -- a full store may refuse it
end

show_at_work()
if is_in_format_1() then
  if stays_in_format_1(is_full, ARGV[4] == '1') then
    -- @use format_1_sizes
    return sizes_of_format_1(is_full)
  end
  -- @use take_over
  take_over_format_1()
else
  open_ledger()
end
set_mark()
local clock, maps = read_clock(), {ledger.signatures, ledger.transactions, ledger.observations}
put_in_force(maps, clock)
local answer = {clock.now, is_full, read_settings(key('settings')), false, other_gates(), ledger.born, {}}
if ARGV[5] then
  -- @use choose_shared_settings
  answer[4] = settle_start(ARGV[5], ARGV[6], tonumber(ARGV[7]), ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10]))
end
for _, map in ipairs(maps) do
  sweep_due(map, clock)
  if map.name ~= 'signatures' then make_room(map, 0, 0, clock.now) end
  local oldest, totals = bucket_at(map, 1), totals_of(map)
  for _, number in ipairs({
    oldest and oldest.id or 0, map.entries, map.bytes, map.added, totals.expired, totals.emergency,
    totals.manual, totals.capacity, totals.due, totals.on_time,
  }) do answer[#answer + 1] = number end
end
local turn = tonumber(ARGV[2])
if turn > 0 then
  -- @use lost_entries
  answer[7] = lost_entries(maps, clock.now, turn, is_full == 1)
end
save_ledger(true) -- what a full store refuses here is made up for by the next tick
-- While there is a gate, the bookkeeping stays, also if nothing comes in for a week: else it would seem to be lost.
redis.call('PEXPIREAT', key('ledger'), id_text(server_ms() + rules.ledger_expiry))
return answer
