-- Decides on the signatures of a flush: accepts each at most once a window, stores the transactions of those
-- accepted, and notes who delivered what.
--
-- The gate guesses which signatures are new. These come first, and the block holds their transactions in the
-- same order. Of the others the script only says whether they are inside their window; one that is not is
-- called UNSEEN, and the gate brings its transaction with a second call. A wrong guess therefore costs time
-- and never an answer. When two gates bring a new signature at the same moment, the later claim calls it a
-- duplicate. If that claim accepts other hashes, its block is stored whole; no entry leads to the duplicate's
-- transaction in it.
--
-- This file uses the parts buckets, what_is_due, filling, acceptances, late and sightings (see scripts.py).
--
-- KEYS: the partition's prefix. ARGV:
--   1     rules, in msgpack (app/store/layout.py)
--   2     the hashes, 16 bytes each, all different
--   3..5  who delivered them, see sightings.lua
--   6, 7  the block, and how many of the first hashes have their transaction in it
--   8, 9  in a second call, `now` and the count of accepted that the first call returned: it called all of
--         these hashes UNSEEN, so only what was accepted since can be a duplicate. In a first call 0 and -1.
--   10    which of the hashes are in the sample for late duplicates, see late.lua
-- Returns {now, codes, how many signatures the partition has ever accepted, the late duplicates of the
-- sample}. The codes are 4 bytes for each hash. A hash inside its window is a duplicate; its code is its age
-- in milliseconds + 1. Else the code is UNSEEN if its transaction is not in the block, however full the map of
-- signatures is. Else it is REFUSED if that map is full, or 0 for accepted.
--
-- For example, hashes A B C with a block of the transactions of A and B, when A is new, B was accepted 800 ms
-- ago and C is in no window: codes 0, 801, UNSEEN.
--
-- The server runs a script without another command in between, but takes back nothing of it when a command
-- fails in the middle. So transactions are written before signatures: no signature counts whose transaction
-- is missing. Signatures count from their HSET on, or in a new bucket from when `book` has listed it. After a
-- failure before that a retry is accepted; after a later one all are duplicates.

local REFUSED, UNSEEN = 4294967295, 4294967294
local ENTRY_BYTES = 26 -- a hash of 16 and an ENTRY of 10 (buckets.lua)

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
local checked_ms, checked_added = tonumber(ARGV[8]), tonumber(ARGV[9])
local signatures = open_map('signatures')
local unchecked = signatures.added - checked_added -- how many were accepted since the first call
-- Search the whole window in a first call, and when a failover has set the count of accepted back.
if checked_added < 0 or unchecked < 0 then checked_ms, unchecked = 0, signatures.added end
sweep_due(signatures, clock)

local ages, blocks, places, found, longest_window =
  acceptances_in_window(signatures, hashes, now, checked_ms, unchecked)
local room = signatures.rule.limit - signatures.entries
local codes, accepted, late = {}, 0, ''
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
  if ARGV[10] ~= '' then late = late_duplicates(ARGV[10], hashes, codes, transactions, now) end
  local bytes = #block + accepted * ENTRY_BYTES
  make_room(transactions, accepted, bytes, now)
  local bucket = open_bucket(transactions, clock, accepted, bytes)
  local number = (bucket.latest_block + 1) % MOST_BLOCKS
  bucket.latest_block = number
  redis.call('HSET', key('blocks', id_text(bucket.id)), number, block)
  local entries, low = {}, now % 2 ^ 32
  local pack, n = struct.pack, 0
  for i = 1, block_count do
    if codes[i] == 0 then
      -- For note_sightings, which takes what is accepted here for found with age 0.
      ages[i], blocks[i], places[i] = 0, number, i - 1
      entries[n + 1], entries[n + 2] = hashes[i], pack(ENTRY, low, number, i - 1)
      n = n + 2
    end
  end
  -- A bucket of transactions may take entries for longer than a window. A signature that is accepted twice
  -- meanwhile replaces its entry, and HSET returns the number of new ones, which is booked. A bucket of
  -- signatures takes entries for a fifth of a window: no signature is accepted twice meanwhile.
  local new_transactions = redis.call('HSET', key('transactions', id_text(bucket.id)), unpack(entries))
  book(transactions, bucket, new_transactions, bytes)
  local signature_bucket = open_bucket(signatures, clock, accepted, 0)
  redis.call('HSET', key('signatures', id_text(signature_bucket.id)), unpack(entries))
  book(signatures, signature_bucket, accepted, ENTRY_BYTES * accepted)
  -- For read_clock (prelude.lua): when the last acceptance was, and the longest window of any signature.
  local hold = math.max(longest_window, signature_bucket.keep)
  redis.call('HSET', signatures.ledger, 'clock', id_text(now), 'hold', id_text(hold))
end
if found + accepted > 0 then note_sightings(ages, blocks, places, #hashes, clock) end
return {now, pack_codes(codes), signatures.added, late}
