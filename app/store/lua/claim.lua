-- Decides on the signatures of a flush: accepts each at most once a window, stores the transactions of those
-- accepted, and notes who delivered what.
--
-- The gate guesses which signatures are new. These come first, and the block holds their transactions in the
-- same order. Of the others the script only says whether they are inside their window (in_window.lua). One that is
-- not is answered UNSEEN, and the gate brings its transaction with a second call: a wrong guess costs time, and never
-- an answer. When two gates bring a new signature at the same moment, the server runs one claim after the other. The
-- later one answers that the signature is a duplicate, although its block has the transaction, too. If that claim
-- accepts other signatures, its block is stored as it is, with a transaction that nobody reads: no entry leads to it,
-- and the block's mask (block_head.lua) leaves it out.
--
-- Three words, for who delivered what. A *delivery* is what a source has brought in this flush: one transaction, once.
-- A *sighting* is what the store keeps of it: this source had that transaction at this moment. Who brings a transaction
-- again makes no second sighting, as long as the bucket with the first one takes entries. *Observations* is the map of the sightings.
--
-- A line `-- @use name` is no comment. The gate puts the text of parts/name.lua in its place before it sends the script
-- (app/store/scripts.py). The server makes the functions of that text whenever it comes to them, in each call anew. So
-- what every call needs is put in below this head, and what only some calls need inside of the `if` that needs it.
-- Before every script stands parts/prelude.lua, without such a line: the names of keys, `key`, `id_text` and `rules`.
--
-- KEYS: the partition's ledger. ARGV:
--   1     rules (`packed_rules` in app/store/map_rules.py)
--   2     the hashes, 16 bytes each, all different
--   3..5  who delivered them, see observations.lua
--   6..8  the block (transactions compressed by zstd; '' for none), how many of the first hashes have their
--         transaction in it, and how many bytes these have before compression
--   9, 10 in a first call 0 and -1. In a second call, `now` and the count of accepted that the first call returned. The
--         first call found none of these hashes inside its window. So one of them is a duplicate only if another call
--         accepted it since, and only the newest buckets are searched: those that end after that `now`, so that
--         entries may have come after it, or that may hold one of the acceptances counted since
--   11    the indices (from 0, 2 bytes each) of those hashes that are in the sample for late duplicates, which are
--         signatures that are accepted again soon after their window (late_in_same_bucket.lua); '' for none
--   12    1 when replicas have to confirm the answer; else missing
-- Returns {now, codes, how many signatures the partition has ever accepted, what late_in_same_bucket.lua returns or ''}. The
-- codes are 4 bytes for each hash. A hash inside its window is a duplicate; its code is its age in
-- milliseconds + 1. Else the code is UNSEEN if its transaction is not in the block, however full the map of
-- signatures is. Else it is REFUSED if that map is full, or 0 for accepted.
--
-- For example, hashes A B C with a block of the transactions of A and B, when A is new, B was accepted 800 ms
-- ago and C is in no window: codes 0, 801, UNSEEN.
--
-- The server runs a script without another command in between. But when a command fails in the middle, as it may in a
-- store that is full, what was written before it stays. So the writes come in this order: block, transactions,
-- observations, signatures, ledger. Say the third fails. Then the block and the entries of its transactions stay, but
-- the signatures are not there: when the gate sends them again, they are accepted. Of what stays,
--
-- * nothing is counted, since the ledger was not saved either;
-- * the block, in a bucket that the ledger lists: the next block of that bucket gets the same number and replaces it.
--   An entry that stayed then leads to the transaction of another signature, or to none, which a lookup notices
--   (app/ingest/lookup.py);
-- * the entries, in a bucket that the ledger lists, leave together with the bucket;
-- * sightings lead to a block with that number, and are passed over for the block that takes the number next, since
--   they are older than it (observations.lua);
-- * what is in a new bucket, which the ledger does not list, expires.
--
-- The same is true when another of the first four writes fails. The last, a SET that takes the place of the ledger
-- before it, does not fail for want of room (save_ledger).
--
-- A signature is known from the moment it is written, or if its bucket is new, from the moment the ledger lists that
-- bucket. At either moment its transaction is stored already.
--
-- Buckets that are due, or are dropped to make room (sweep_and_make_room.lua), lose their keys before the flush is
-- written. After a failure the ledger still lists and counts them, until a later call drops them.

-- @use ledger
-- @use clock
-- @use buckets
-- @use sweep_and_make_room
-- @use block_head
-- @use fill_bucket
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

-- `ages`, `blocks`, `places`: by index in `hashes`, and only of those inside their window, how many milliseconds ago it
--   was accepted, the number of its block, and its place there
-- `found`: how many hashes these are
-- `longest_window`: that of all signatures which are kept. The window can be changed at run time, and a signature has
--   the one under which it was accepted (`keep` of its bucket)
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

local late_duplicates = '' -- what late_in_same_bucket.lua finds, to be answered
local entries = {} -- hash, entry, hash, entry, …: to be written for transactions and signatures alike
local transactions, bucket -- the map, and the bucket of it that takes the block
local block_number, bytes -- the number of the block, and how many bytes it and its entries take there
if accepted > 0 then
  transactions = ledger.transactions
  sweep_due(transactions, clock)
  -- `ledger.clock` is still the time of the acceptance before this one, and `signatures.added` the count before this
  -- claim, which is the ordinal of the first that is accepted here.
  local head = struct.pack(BLOCK_HEAD, now, ledger.clock, signatures.added, accepted, block_count, ARGV[8])
  if accepted < block_count then
    -- @use accepted_mask
    head = head .. accepted_mask(codes, block_count)
  end
  block = head .. block
  bytes = #block + accepted * ENTRY_BYTES
  make_room(transactions, accepted, bytes, now)
  bucket = open_bucket(transactions, clock, accepted, bytes)
  -- The entries written below may replace earlier ones of the same signatures. Those older than a window, which
  -- make late duplicates, are looked for first. A bucket that was opened less than a window ago has none.
  if ARGV[11] ~= '' and bucket.id + rules.window <= now then
    -- @use late_in_same_bucket
    late_duplicates = replaced_in(bucket, ARGV[11], hashes, codes, now)
  end
  -- A new bucket begins with the number of the last block before it (new_bucket in fill_bucket.lua).
  block_number = (bucket.latest_block + 1) % MOST_BLOCKS
  local now_32_bits, pack, n = now % (2 ^ 32), struct.pack, 0
  for i = 1, block_count do
    if codes[i] == 0 then
      -- From here on it is like one that was found inside its window, accepted 0 ms ago, in this block: who delivered
      -- it is noted as it is for those that were found.
      ages[i], blocks[i], places[i] = 0, block_number, i - 1
      entries[n + 1], entries[n + 2] = hashes[i], pack(ENTRY, now_32_bits, block_number, i - 1)
      n = n + 2
    end
  end
end

if found + accepted > 0 then
  -- @use observations
  local sightings = sightings_to_note(ages, blocks, places, #hashes, clock)
  local signature_bucket
  if accepted > 0 then
    signature_bucket = open_bucket(signatures, clock, accepted, 0)
    if signature_bucket.is_new then
      -- While the slot is moved to another node, this one refuses any key that it does not have. So the new key is
      -- touched now, and the refusal comes before anything of the flush is written. If it came later, the transactions
      -- would be there already when the claim is made again. The other keys that may be new are refused early of
      -- themselves: `blocks` is written first, `transactions` is new only with it, and the bucket of observations was
      -- read above.
      redis.call('EXISTS', key('signatures', id_text(signature_bucket.id)))
    end
    write_fields('blocks', bucket, {block_number, block})
    bucket.latest_block = block_number
    -- As entries only the new ones are booked. A bucket of transactions may take entries for longer than a window, and a
    -- signature that is accepted twice in this time has one entry in it: the second replaces the first. A bucket of
    -- signatures takes entries for a fifth of a window, in which no signature is accepted twice. There all are new.
    -- Bytes are booked for every accepted one, before it is known which are new: room was made for as many. So an entry
    -- that replaces another counts 26 bytes too many until its bucket leaves. The map never holds more than is booked.
    book(transactions, bucket, write_fields('transactions', bucket, entries), bytes)
  end
  note_sightings(sightings)
  if accepted > 0 then
    write_fields('signatures', signature_bucket, entries)
    book(signatures, signature_bucket, accepted, ENTRY_BYTES * accepted)
    -- By these two the next calls notice that the server's clock was set back (clock.lua). `clock` is the time of the
    -- last acceptance. `hold` is the longest window that any signature has: if the clock was set back by less, time
    -- stands still at `clock`.
    ledger.clock, ledger.hold = now, math.max(longest_window, signature_bucket.keep)
  end
end
-- `WAIT` waits until replicas have the last write of its own connection, and with it all that anybody wrote before. A
-- call that only found duplicates has none. So it writes the unchanged ledger: the acceptances that its duplicates
-- repeat were written before that, and are waited for.
if ARGV[12] and found > 0 then ledger.is_changed = true end
save_ledger()
-- Here `signatures.added` counts what this claim has accepted as well (`book`).
return {now, pack_codes(codes), signatures.added, late_duplicates}
