-- The expiry of the keys of buckets: no key is written without one. The ledger's is in ledger.lua.

-- Writes fields and their values, one after another in `flat`, into the hash of a bucket, and returns how many
-- fields are new. With them goes always the field ''. If all are new, that one too, then the key is, and gets its
-- expiry; a key that was there already had that field. So there is one command for most writes, and none leaves a key
-- without an expiry, also if somebody deleted the one that was there.
-- `flat` has at most 2 * 1,500 values, which `unpack` can take: a flush is bounded (app/store/map_rules.py).
--
-- A hash that has a value of more than 64 bytes is kept as a table; up to 512 small values are kept as one text that
-- is searched from its beginning, which for 200 signatures takes the server 2.5 us where a table takes 0.1.
local WITH_EXPIRY = string.rep('Tidegate: this key has an expiry. ', 2)
local function write_fields(kind, bucket, flat)
  local name, count = key(kind, id_text(bucket.id)), #flat / 2
  local new = redis.call('HSET', name, '', WITH_EXPIRY, unpack(flat))
  if new <= count then return new end
  redis.call('PEXPIREAT', name, id_text(bucket.ends + bucket.keep))
  return count
end
