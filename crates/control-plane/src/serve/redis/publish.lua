-- Replaces state and snapshot by what the leader made of the first sums and orders, and removes
-- these: all or nothing, and only while it leads.
--
-- KEYS: 1 leader, 2 sums, 3 orders, 4 state, 5 snapshot, 6 events, 7 updates, 8 prefix of
--       answers, 9 totals
-- ARGV: 1 replica, 2 sums taken, 3 state, 4 snapshot, 5 group, 6 id of the first entry that is
--       still wanted, 7 samples learnt in all, 8 number of orders, then for each its name and
--       answer, then events
-- Returns 1, or 0 when another leads.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('LTRIM', KEYS[2], ARGV[2], -1)
redis.call('SET', KEYS[4], ARGV[3])
redis.call('SET', KEYS[5], ARGV[4])
redis.call('HSET', KEYS[9], 'samples', ARGV[7])
local orders = tonumber(ARGV[8])
redis.call('LTRIM', KEYS[3], orders, -1)
for i = 1, orders do
  redis.call('SET', KEYS[8] .. ARGV[7 + 2 * i], ARGV[8 + 2 * i], 'EX', 60)
end
for i = 9 + 2 * orders, #ARGV do
  redis.call('RPUSH', KEYS[6], ARGV[i])
end
redis.call('LTRIM', KEYS[6], -200, -1)

-- An entry goes when it is summed up and the window has moved on.
local function older(a, b)
  local at, an = a:match('(%d+)-(%d+)')
  local bt, bn = b:match('(%d+)-(%d+)')
  if at ~= bt then
    return tonumber(at) < tonumber(bt)
  end
  return tonumber(an) < tonumber(bn)
end
local first = ARGV[6]
if first ~= '' then
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[7])) do
    local last
    for i = 1, #group, 2 do
      if group[i] == 'last-delivered-id' then
        last = group[i + 1]
      end
    end
    if last and older(last, first) then
      first = last
    end
  end
  local pending = redis.call('XPENDING', KEYS[7], ARGV[5])
  if pending[1] > 0 and older(pending[2], first) then
    first = pending[2]
  end
  redis.call('XTRIM', KEYS[7], 'MINID', first)
end
return 1
