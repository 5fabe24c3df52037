-- Decides on the signatures of a flush: claims each once a window, and stores what it accepted, in one atomic step.
--
-- The block holds a transaction for each of the first signatures, in their order: those the gate takes for new. Of
-- the others it is only said whether they are inside the window; what is not is called UNSEEN, and claimed with a
-- second call. A transaction that is in the block and not accepted is the price of two gates claiming one
-- signature at the same moment. The transactions are written before the signatures: should the store fail between,
-- a retry is accepted again instead of called a duplicate.
--
-- ARGV: rules, packed hashes (all different), what sightings.lua says, block, how many are in it, and when an
-- earlier call called all of these UNSEEN: now_ms and the signatures added up to then; 0 and -1 without one.
-- Returns {now_ms, packed codes, signatures added so far}: 0 accepted, UNSEEN, REFUSED over the limit, else age + 1.

local REFUSED, UNSEEN = 4294967295, 4294967294
local ENTRY_BYTES = 26

local now = server_ms()
local hashes, brought = split_hashes(ARGV[2]), tonumber(ARGV[7])
local signatures = open_map('signatures')
local checked_ms, added_before = tonumber(ARGV[8]), tonumber(ARGV[9])
local unchecked = signatures.added - added_before
if added_before < 0 or unchecked < 0 then checked_ms, unchecked = 0, signatures.added end
sweep_due(signatures, now)

local ages, blocks, in_block, found, longest_window =
  acceptances_in_window(signatures, hashes, now, checked_ms, unchecked)
local room = signatures.rule.limit - signatures.entries
local codes, taken = {}, 0
for i = 1, #hashes do
  local age = ages[i]
  if age then
    codes[i] = age + 1
  elseif i > brought then
    codes[i] = UNSEEN
  elseif taken < room then
    taken = taken + 1
    codes[i] = 0
  else
    codes[i] = REFUSED
  end
end

if taken > 0 then
  local transactions = open_map('transactions')
  sweep_due(transactions, now)
  local bytes = #ARGV[6] + taken * ENTRY_BYTES
  make_room(transactions, taken, bytes, now)
  local bucket = open_bucket(transactions, now, taken, bytes)
  local number = (bucket.blocks + 1) % MOST_BLOCKS
  bucket.blocks = number
  redis.call('HSET', key('blocks', id_text(bucket.id)), number, ARGV[6])
  local entries, low = {}, now % 2 ^ 32
  local pack, n = struct.pack, 0
  for i = 1, brought do
    if codes[i] == 0 then
      ages[i], blocks[i], in_block[i] = 0, number, i - 1
      entries[n + 1], entries[n + 2] = hashes[i], pack(ENTRY, low, number, i - 1)
      n = n + 2
    end
  end
  local added = redis.call('HSET', key('transactions', id_text(bucket.id)), unpack(entries))
  book(transactions, bucket, added, bytes)
  local signature_bucket = open_bucket(signatures, now, taken, 0)
  redis.call('HSET', key('signatures', id_text(signature_bucket.id)), unpack(entries))
  book(signatures, signature_bucket, taken, ENTRY_BYTES * taken)
  local hold_now = math.max(longest_window, signature_bucket.keep)
  redis.call('HSET', signatures.ledger, 'clock', id_text(now), 'hold', id_text(hold_now))
end
if found + taken > 0 then note_sightings(ages, blocks, in_block, #hashes, now) end
return {now, pack_codes(codes), signatures.added}
