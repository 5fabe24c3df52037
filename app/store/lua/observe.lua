-- The cheap check ahead of a claim: which signatures are inside the window? Notes who delivered those.
-- What it calls unseen is only a candidate; claim.lua alone decides.
--
-- ARGV: rules, packed hashes, source positions, source names. Returns {now_ms, packed codes}.

local now = server_ms()
local hashes = split_hashes(ARGV[2])
local ages = ages_in_window(open_map('signatures'), hashes, now)
local codes, seen = {}, {}
for i = 1, #hashes do
  codes[i] = ages[i] and ages[i] + 1 or 0
  if ages[i] then seen[#seen + 1] = i end
end
observe(hashes, seen, ages, marks_by_item(), now)
return {now, pack_codes(codes)}
