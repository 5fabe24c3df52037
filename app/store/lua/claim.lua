-- Claims each signature once a window, and stores what it accepted, in one atomic step.
--
-- The block holds a transaction for every item, in their order; of those not accepted here it is the
-- price of two gates claiming one signature at the same moment. The transactions are written before the
-- signatures: should the store fail between, a retry is accepted again instead of called a duplicate.
--
-- ARGV: rules, packed hashes (all different), what sightings.lua says, block, and when a check called all of these
-- unseen: now_ms and the signatures added up to then; 0 and -1 without a check.
-- Returns {now_ms, packed codes, signatures added so far}: 0 accepted, REFUSED over the limit, else age + 1.

local REFUSED = 4294967295
local INDEX_BYTES = 26

local now = server_ms()
local hashes = split_hashes(ARGV[2])
local signatures, transactions = open_map('signatures'), open_map('transactions')
local checked_ms, added_before = tonumber(ARGV[7]), tonumber(ARGV[8])
local unchecked = signatures.added - added_before
if added_before < 0 or unchecked < 0 then checked_ms, unchecked = 0, signatures.added end
sweep_due(signatures, now)
sweep_due(transactions, now)

local ages, _, longest_window = ages_in_window(signatures, hashes, now, checked_ms, unchecked)
local room = signatures.rule.limit - signatures.entries
local codes, accepted, seen, taken, n = {}, {}, {}, 0, 0
for i = 1, #hashes do
  local age = ages[i]
  if age or taken < room then
    n = n + 1
    seen[n] = i
    codes[i] = age and age + 1 or 0
    if not age then
      taken = taken + 1
      ages[i], accepted[taken] = 0, i
    end
  else
    codes[i] = REFUSED
  end
end

if taken > 0 then
  local bytes = #ARGV[6] + taken * INDEX_BYTES
  make_room(transactions, taken, bytes, now)
  local bucket = open_bucket(transactions, now, taken, bytes)
  local blocks = key('blocks', id_text(bucket.id))
  bucket.blocks = bucket.blocks + 1
  local number = bucket.blocks
  redis.call('HSET', blocks, number, ARGV[6])
  local index, acceptances = {}, {}
  local signature_bucket = open_bucket(signatures, now, taken, 0)
  local offset = id_text(now - signature_bucket.id)
  for n = 1, taken do
    local i = accepted[n]
    index[2 * n - 1], index[2 * n] = hashes[i], struct.pack('>I4I2i4', number, i - 1, now - bucket.id)
    acceptances[2 * n - 1], acceptances[2 * n] = hashes[i], offset
  end
  local added = redis.call('HSET', key('transactions', id_text(bucket.id)), unpack(index))
  book(transactions, bucket, added, bytes)
  redis.call('HSET', key('signatures', id_text(signature_bucket.id)), unpack(acceptances))
  book(signatures, signature_bucket, taken, taken * (16 + #offset))
  local hold_now = math.max(longest_window, signature_bucket.keep)
  redis.call('HSET', signatures.ledger, 'clock', id_text(now), 'hold', id_text(hold_now))
end
observe(hashes, seen, ages, now)
return {now, pack_codes(codes), signatures.added}
