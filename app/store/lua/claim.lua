-- Decides on the signatures of a flush: accepts each at most once a window, stores the transactions of those
-- accepted, and notes who delivered what.
--
-- The gate guesses which signatures are new. These come first, and the block holds their transactions in the
-- same order. Of the others the script only says whether they are inside their window; one that is not is
-- called UNSEEN, and the gate brings its transaction with a second call. A wrong guess therefore costs time
-- and never an answer. When two gates claim a signature at the same moment, both blocks hold its transaction,
-- and the second copy is never looked up.
--
-- KEYS: the partition's prefix. ARGV:
--   1     rules
--   2     the hashes, 16 bytes each, all different
--   3..5  who delivered them, see sightings.lua
--   6, 7  the block, and how many of the first hashes have their transaction in it
--   8, 9  `now` and the number of signatures ever accepted, as an earlier call on this partition returned
--         them, if that called all of these hashes UNSEEN: then only what was accepted since can be a
--         duplicate. Else 0 and -1.
-- Returns {now, codes, how many signatures the partition has ever accepted}. The codes are 4 bytes for each
-- hash: 0 for accepted, UNSEEN, REFUSED because the map of signatures is full, or for a duplicate its age in
-- milliseconds + 1.
--
-- For example, hashes A B C with a block of the transactions of A and B, when A is new, B was accepted 800 ms
-- ago and C is in no window: codes 0, 801, UNSEEN.
--
-- The server runs a script without another command in between, but takes back nothing of it when a command
-- fails in the middle. So the transactions are written first and the signatures behind them: a retry is then
-- accepted, instead of being called a duplicate of what cannot be found.

local REFUSED, UNSEEN = 4294967295, 4294967294
local ENTRY_BYTES = 26 -- a hash and an ENTRY

-- One code after another as 4 bytes. Most of a flush are alike, so each code's bytes are made once.
local function pack_codes(codes)
  local text_of, texts = {}, {}
  for i = 1, #codes do
    local code = codes[i]
    local text = text_of[code]
    if not text then
      text = struct.pack('>I4', code)
      text_of[code] = text
    end
    texts[i] = text
  end
  return table.concat(texts)
end

local clock = read_clock()
local now = clock.now
local hashes, block, block_count = split_hashes(ARGV[2]), ARGV[6], tonumber(ARGV[7])
local checked_ms, added_when_checked = tonumber(ARGV[8]), tonumber(ARGV[9])
local signatures = open_map('signatures')
local unchecked = signatures.added - added_when_checked
-- Nothing was checked; or the ledger counts fewer than then, so it is another one, as after a failover.
if added_when_checked < 0 or unchecked < 0 then checked_ms, unchecked = 0, signatures.added end
sweep_due(signatures, clock)

local ages, blocks, places, found, longest_window =
  acceptances_in_window(signatures, hashes, now, checked_ms, unchecked)
local room = signatures.rule.limit - signatures.entries
local codes, accepted = {}, 0
for i = 1, #hashes do
  local age = ages[i]
  if age then
    codes[i] = age + 1
  elseif i > block_count then
    codes[i] = UNSEEN
  elseif accepted < room then
    accepted = accepted + 1
    codes[i] = 0
  else
    codes[i] = REFUSED
  end
end

if accepted > 0 then
  local transactions = open_map('transactions')
  sweep_due(transactions, clock)
  local bytes = #block + accepted * ENTRY_BYTES
  make_room(transactions, accepted, bytes, now)
  local bucket = open_bucket(transactions, clock, accepted, bytes)
  -- bucket.blocks is the number of the latest block, not a count: numbers go on from bucket to bucket (last_block).
  local number = (bucket.blocks + 1) % MOST_BLOCKS
  bucket.blocks = number
  redis.call('HSET', key('blocks', id_text(bucket.id)), number, block)
  local entries, low = {}, now % 2 ^ 32
  local pack, n = struct.pack, 0
  for i = 1, block_count do
    if codes[i] == 0 then
      ages[i], blocks[i], places[i] = 0, number, i - 1
      entries[n + 1], entries[n + 2] = hashes[i], pack(ENTRY, low, number, i - 1)
      n = n + 2
    end
  end
  -- A signature accepted a second time within a bucket of transactions, after a window that is shorter than
  -- the bucket's width, replaces its entry there: HSET says how many entries are new. A bucket of signatures
  -- takes entries for a fifth of a window, so there each one accepted is new.
  local new_transactions = redis.call('HSET', key('transactions', id_text(bucket.id)), unpack(entries))
  book(transactions, bucket, new_transactions, bytes)
  local signature_bucket = open_bucket(signatures, clock, accepted, 0)
  redis.call('HSET', key('signatures', id_text(signature_bucket.id)), unpack(entries))
  book(signatures, signature_bucket, accepted, ENTRY_BYTES * accepted)
  -- What read_clock needs when the server's clock is set back.
  local hold = math.max(longest_window, signature_bucket.keep)
  redis.call('HSET', signatures.ledger, 'clock', id_text(now), 'hold', id_text(hold))
end
if found + accepted > 0 then note_sightings(ages, blocks, places, #hashes, clock) end
return {now, pack_codes(codes), signatures.added}
