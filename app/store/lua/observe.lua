-- The cheap check ahead of a claim: which signatures are inside the window? Notes who delivered those.
-- What it calls unseen is only a candidate; claim.lua alone decides.
--
-- ARGV: rules, packed hashes (all different), and what sightings.lua says.
-- Returns {now_ms, packed codes, signatures added so far}.

local now = server_ms()
local hashes = split_hashes(ARGV[2])
local signatures = open_map('signatures')
local ages, found = ages_in_window(signatures, hashes, now, 0, signatures.added)
local codes, seen, n = {}, {}, 0
for i = 1, #hashes do
  local age = ages[i]
  if age then
    n = n + 1
    codes[i], seen[n] = age + 1, i
  else
    codes[i] = 0
  end
end
if found > 0 then observe(hashes, seen, ages, now) end
return {now, pack_codes(codes), signatures.added}
