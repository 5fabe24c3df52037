-- The entries of buckets.

-- A signature or a transaction: the last 32 bits of the millisecond it was accepted in, its block's number,
-- and its place in it, in 10 bytes. Accepted at 1700000000123 as the third of block 7: (3487918203, 7, 2).
local ENTRY = '>I4I4I2'
local STRETCH = 32 -- neighbouring places of a block whose sightings are noted together (observations.lua)

-- Of the millisecond of an acceptance 32 bits are kept: enough to tell 24 days to either side of now.
local function when_accepted(low, now)
  local age = (now - low) % 2 ^ 32
  return now - (age < 2 ^ 31 and age or age - 2 ^ 32)
end
