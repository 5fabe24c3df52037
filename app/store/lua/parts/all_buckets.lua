-- All buckets of a map, not only the newest, which the ledger has decoded.

-- Returns the bucket at an index, the oldest at 1; nil past the newest.
local function bucket_at(map, index)
  if map.list then return map.list[index] end
  local count = count_buckets(map)
  if index < count then return decode_bucket(place_of_older(map, index)) end
  return index == count and map.newest or nil
end

-- Returns all buckets of a map, oldest first. The list is kept in step with what is listed and unlisted afterwards.
local function all_buckets(map)
  if not map.list then
    local list = {}
    for index = 1, count_buckets(map) do list[index] = bucket_at(map, index) end
    map.list = list
  end
  return map.list
end

-- Takes out the bucket at an index.
local function unlist_bucket(map, index)
  local older, at = older_of(map), (index - 1) * BUCKET_BYTES
  if at < #older then
    set_older(map, string.sub(older, 1, at) .. string.sub(older, at + BUCKET_BYTES + 1))
  else
    map.newest = #older > 0 and decode_bucket(older, #older - BUCKET_BYTES + 1) or nil
    set_older(map, string.sub(older, 1, -BUCKET_BYTES - 1))
  end
  if map.list then
    table.remove(map.list, index)
    map.list[#map.list] = map.newest
  end
end

-- Stores what was changed in any of the buckets of all_buckets.
local function relist_buckets(map)
  local texts, list = {}, all_buckets(map)
  for index = 1, #list - 1 do texts[index] = encode_bucket(list[index]) end
  set_older(map, table.concat(texts))
end

-- Newest first: what is asked for is most often recent.
local function live_buckets(map)
  local list, buckets = all_buckets(map), {}
  for index = #list, 1, -1 do buckets[#buckets + 1] = list[index] end
  return buckets
end

-- The keys in which a bucket's entries are; transactions have their blocks beside them.
local function data_keys(map, bucket)
  local id = id_text(bucket.id)
  if map.name == 'transactions' then return {key('transactions', id), key('blocks', id)} end
  return {key(map.name, id)}
end

local function set_expiry(map, bucket)
  local expires = id_text(bucket.ends + bucket.keep)
  for _, name in ipairs(data_keys(map, bucket)) do redis.call('PEXPIREAT', name, expires) end
end
