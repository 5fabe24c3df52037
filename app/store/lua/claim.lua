-- Decides on the signatures of a flush: accepts each at most once a window, stores the transactions of those
-- accepted, and notes who delivered what.
--
-- The gate guesses which signatures are new. These come first, and the block holds their transactions in the
-- same order. Of the others the script only says whether they are inside their window (in_window.lua); one that is
-- not is called UNSEEN, and the gate brings its transaction with a second call. A wrong guess therefore costs time
-- and never an answer. When two gates bring a new signature at the same moment, the later claim calls it a
-- duplicate. If that claim accepts other hashes, its block is stored whole; no entry leads to the duplicate's
-- transaction in it, and its mask (block_head.lua) leaves it out.
--
-- KEYS: the partition's prefix. ARGV:
--   1     rules (`packed_rules` in app/store/layout.py)
--   2     the hashes, 16 bytes each, all different
--   3..5  who delivered them, see observations.lua
--   6..8  the frame of the block, how many of the first hashes have their transaction in it, and how many bytes it
--         has before compression
--   9, 10 in a second call, `now` and the count of accepted that the first call returned: it called all of
--         these hashes UNSEEN, so only what was accepted since can be a duplicate. Searched are the buckets that
--         took entries after that `now`, or may hold one of the acceptances since. In a first call 0 and -1.
--   11    which of the hashes are in the sample for late duplicates, see replaced.lua
-- Returns {now, codes, how many signatures the partition has ever accepted, what replaced.lua returns or ''}. The
-- codes are 4 bytes for each hash. A hash inside its window is a duplicate; its code is its age in
-- milliseconds + 1. Else the code is UNSEEN if its transaction is not in the block, however full the map of
-- signatures is. Else it is REFUSED if that map is full, or 0 for accepted.
--
-- For example, hashes A B C with a block of the transactions of A and B, when A is new, B was accepted 800 ms
-- ago and C is in no window: codes 0, 801, UNSEEN.
--
-- The server runs a script without another command in between, but takes back nothing of it when a command
-- fails in the middle. So signatures are written after all else, and then only the ledger, with a SET that takes the
-- place of whatever is there: no signature counts whose transaction is missing. They count from their HSET on, or in a
-- new bucket from when the ledger lists it. After a failure before that a retry is accepted, and its block takes the
-- number of the one that failed; what the failed one left in a listed bucket is not counted, until that leaves.
--
-- Buckets that are due, or are dropped to make room (room.lua), lose their keys before the flush is written. After a
-- failure the ledger still lists and counts them, until a later call drops them.

-- @use ledger
-- @use buckets
-- @use room
-- @use block_head
-- @use filling
-- @use in_window

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

open_ledger()
local clock, signatures = read_clock(), ledger.signatures
local now = clock.now
local hashes, block, block_count = split_hashes(ARGV[2]), ARGV[6], tonumber(ARGV[7])
local checked_ms, checked_added = tonumber(ARGV[9]), tonumber(ARGV[10])
local unchecked = signatures.added - checked_added -- in a second call: how many were accepted since the first
-- Search the whole window in a first call, and when a failover has set the count of accepted back.
if checked_added < 0 or unchecked < 0 then checked_ms, unchecked = 0, signatures.added end
sweep_due(signatures, clock)

-- By index in `hashes`, of those inside their window: the age in milliseconds, the number of the block, the place in
-- it. Then how many these are, and the longest window of any signature.
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

local late, transactions, bytes, bucket, number, entries = '', nil, nil, nil, nil, {}
if accepted > 0 then
  transactions = ledger.transactions
  sweep_due(transactions, clock)
  local head = struct.pack(BLOCK_HEAD, now, ledger.clock, signatures.added, accepted, block_count, ARGV[8])
  if accepted < block_count then
    -- @use accepted_mask
    head = head .. accepted_mask(codes, block_count)
  end
  block = head .. block
  bytes = #block + accepted * ENTRY_BYTES
  make_room(transactions, accepted, bytes, now)
  bucket = open_bucket(transactions, clock, accepted, bytes)
  if ARGV[11] ~= '' and bucket.id + rules.window <= now then -- else all in it are younger than a window
    -- @use replaced
    late = replaced_in(bucket, ARGV[11], hashes, codes, now)
  end
  number = (bucket.latest_block + 1) % MOST_BLOCKS -- new_bucket (filling.lua) goes on from the last one
  local low, pack, n = now % 2 ^ 32, struct.pack, 0
  for i = 1, block_count do
    if codes[i] == 0 then
      -- For new_sightings, which takes what is accepted here for found with age 0.
      ages[i], blocks[i], places[i] = 0, number, i - 1
      entries[n + 1], entries[n + 2] = hashes[i], pack(ENTRY, low, number, i - 1)
      n = n + 2
    end
  end
end

if found + accepted > 0 then
  -- @use observations
  local sightings = new_sightings(ages, blocks, places, #hashes, clock)
  if accepted > 0 then
    write_fields('blocks', bucket, {number, block})
    bucket.latest_block = number
    -- A bucket of transactions may take entries for longer than a window. A signature that is accepted twice
    -- meanwhile replaces its entry, so what is booked is how many are new. A bucket of signatures takes entries
    -- for a fifth of a window: no signature is accepted twice meanwhile.
    book(transactions, bucket, write_fields('transactions', bucket, entries), bytes)
  end
  note_sightings(sightings)
  if accepted > 0 then
    local signature_bucket = open_bucket(signatures, clock, accepted, 0)
    write_fields('signatures', signature_bucket, entries)
    book(signatures, signature_bucket, accepted, ENTRY_BYTES * accepted)
    -- For read_clock (ledger.lua): the last acceptance, and the longest window of any signature. A clock set back by
    -- less than that stands still at the last acceptance; one that is set back further is followed.
    ledger.clock, ledger.hold = now, math.max(longest_window, signature_bucket.keep)
  end
end
save_ledger()
return {now, pack_codes(codes), signatures.added, late}
