-- The clock by which windows and retentions are counted. It is the server's; the ledger has the time of the last
-- acceptance (`clock`) and the longest window of any signature (`hold`), by which one notices that it was set back.

-- Returns the time: `now` in milliseconds, `hold`, and whether the server's clock is behind the last acceptance. While
-- it has been set back by less than `hold`, `now` stands still at the last acceptance. Say the window is 5 s, a bucket
-- takes entries until 11 s, and the clock goes back from 10 s to 5.5 s. If `now` went back, too, a signature accepted
-- at 5.5 s could be accepted again at 10.6 s in that same bucket: one field of the hash, but two entries in the ledger.
-- If the clock was set back by `hold` or more, `now` follows it instead of standing still for so long, and buckets
-- opened more than `hold` after `now` are swept (remove_buckets.lua).
local function read_clock()
  local now, last, hold = server_ms(), ledger.clock, math.max(rules.window, ledger.hold)
  local is_set_back = last > now
  if is_set_back and last - now < hold then now = last end
  return {now = now, hold = hold, is_set_back = is_set_back}
end
