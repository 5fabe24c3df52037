-- Claims each signature once a window, and stores what it accepted, in one atomic step.
--
-- The block holds a transaction for every item, in their order; of those not accepted here it is the
-- price of two gates claiming one signature at the same moment. The transactions are written before the
-- signatures: should the store fail between, a retry is accepted again instead of called a duplicate.
--
-- ARGV: rules, packed hashes, source positions, source names, block.
-- Returns {now_ms, packed codes}: 0 accepted, REFUSED over the limit of signatures, else age + 1.

local REFUSED = 4294967295
local INDEX_BYTES = 26

local now = server_ms()
local hashes = split_hashes(ARGV[2])
local signatures, transactions = open_map('signatures'), open_map('transactions')
sweep_due(signatures, now)
sweep_due(transactions, now)

local ages, longest_window = ages_in_window(signatures, hashes, now)
local room = signatures.rule.limit - signatures.entries
local codes, accepted, seen, claimed = {}, {}, {}, {}
for i = 1, #hashes do
  local age = ages[i] or claimed[hashes[i]]
  if age then
    ages[i], codes[i] = age, age + 1
    seen[#seen + 1] = i
  elseif #accepted < room then
    ages[i], codes[i] = 0, 0
    claimed[hashes[i]] = 0
    accepted[#accepted + 1] = i
    seen[#seen + 1] = i
  else
    codes[i] = REFUSED
  end
end

if #accepted > 0 then
  local bytes = #ARGV[5] + #accepted * INDEX_BYTES
  make_room(transactions, #accepted, bytes, now)
  local bucket = open_bucket(transactions, now, #accepted, bytes)
  local blocks = key('blocks', id_text(bucket.id))
  bucket.blocks = bucket.blocks + 1
  local number = bucket.blocks
  redis.call('HSET', blocks, number, ARGV[5])
  local index, acceptances = {}, {}
  local signature_bucket = open_bucket(signatures, now, #accepted, 0)
  local offset = id_text(now - signature_bucket.id)
  for n, i in ipairs(accepted) do
    index[2 * n - 1] = hashes[i]
    index[2 * n] = struct.pack('>I4I2i4', number, i - 1, now - bucket.id)
    acceptances[2 * n - 1] = hashes[i]
    acceptances[2 * n] = offset
  end
  local added = redis.call('HSET', key('transactions', id_text(bucket.id)), unpack(index))
  book(transactions, bucket, added, bytes)
  redis.call('HSET', key('signatures', id_text(signature_bucket.id)), unpack(acceptances))
  book(signatures, signature_bucket, #accepted, #accepted * (16 + #offset))
  local hold_now = math.max(longest_window, signature_bucket.keep)
  redis.call('HSET', signatures.ledger, 'clock', id_text(now), 'hold', id_text(hold_now))
end
observe(hashes, seen, ages, marks_by_item(), now)
return {now, pack_codes(codes)}
