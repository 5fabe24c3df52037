-- The mask of a block of which not all was accepted; see block_head.lua.

-- Of `codes`, those of a block's transactions come first; returns a bit for each of the `count`, 1 where it is 0.
local function accepted_mask(codes, count)
  local bytes = {}
  for first = 1, count, 8 do
    local bits = 0
    for i = first, math.min(first + 7, count) do
      if codes[i] == 0 then bits = bits + 2 ^ (i - first) end
    end
    bytes[#bytes + 1] = string.char(bits)
  end
  return table.concat(bytes)
end
