-- Buckets that were opened under other rules.

local MOST_BUCKETS = 64

-- Whether a bucket opened under other rules may be ended early: when it takes entries now, and fewer
-- than 64 buckets live. Many changes of the rules must not make many buckets.
local function may_end(map, bucket, now)
  return bucket.id <= now and now < bucket.ends and count_buckets(map) < MOST_BUCKETS
end
