-- Attributes lines: each decision and each reward once, whoever takes them in and however often.
--
-- KEYS: 1 stream of lessons, 2 totals, 3 prefix of pending decisions, 4 prefix of recent buckets
-- ARGV: 1 milliseconds that a decision waits for its reward, 2 length of a bucket in
--       milliseconds, 3 buckets that are kept, then one line an argument (line.rs, `encode`)
-- Returns accepted, duplicate, early, and which lines are the duplicates, from 0.
--
-- A pending value is 1, reward (4 bytes), rank (0: none yet), target, flags, propensity (4),
-- length, context; or, for a reward that came before its decision, 2, reward, rank.
local lessons, totals = KEYS[1], KEYS[2]
local ttl = tonumber(ARGV[1])
local none = '\0\0\0\0'
local found, out, again = {}, {}, {}

local function count(name, by)
  found[name] = (found[name] or 0) + by
end

local function repeated(line)
  count('duplicate', 1)
  again[#again + 1] = line
end

local function number(reward)
  return (struct.unpack('<f', reward))
end

-- A decision without a context teaches nothing.
local function learn(kind, old, reward, decision)
  if decision:byte(7) > 0 then
    out[#out + 1] = kind .. old .. reward .. decision
    if kind == '\1' then
      count('rewards', 1)
      count('reward_sum', number(reward))
    else
      count('reward_sum', number(reward) - number(old))
    end
  end
end

for i = 4, #ARGV do
  local line = ARGV[i]
  local key = KEYS[3] .. line:sub(2, 17)
  local kept = redis.call('GET', key)
  if line:byte(1) == 1 then
    local decision = line:sub(18)
    if kept and kept:byte(1) == 1 then
      repeated(i - 4)
    else
      count('accepted', 1)
      count('target:' .. decision:byte(1), 1)
      count('explored', bit.rshift(decision:byte(2), 1))
      count('scored', decision:byte(7) > 0 and 1 or 0)
      local told = none .. '\0'
      if kept then
        told = kept:sub(2, 6)
        learn('\1', none, kept:sub(2, 5), decision)
      end
      redis.call('SET', key, '\1' .. told .. decision, 'PX', ttl)
    end
  else
    local reward, rank = line:sub(18, 21), line:byte(22)
    if not kept then
      count('early', 1)
      redis.call('SET', key, '\2' .. line:sub(18, 22), 'PX', ttl)
    elseif kept:byte(6) >= rank then
      repeated(i - 4)
    elseif kept:byte(1) == 2 then
      count('early', 1)
      redis.call('SET', key, '\2' .. line:sub(18, 22), 'KEEPTTL')
    else
      count('accepted', 1)
      local decision = kept:sub(7)
      learn(kept:byte(6) == 0 and '\1' or '\2', kept:sub(2, 5), reward, decision)
      redis.call('SET', key, '\1' .. line:sub(18, 22) .. decision, 'KEEPTTL')
    end
  end
end

if #out > 0 then
  redis.call('XADD', lessons, '*', 'l', table.concat(out))
end
local time = redis.call('TIME')
local now = time[1] * 1000
local bucket = KEYS[4] .. string.format('%.0f', now - now % ARGV[2])
for name, by in pairs(found) do
  for _, hash in ipairs({totals, bucket}) do
    redis.call(name == 'reward_sum' and 'HINCRBYFLOAT' or 'HINCRBY', hash, name, tostring(by))
  end
end
redis.call('PEXPIRE', bucket, ARGV[2] * ARGV[3])
return {found.accepted or 0, found.duplicate or 0, found.early or 0, again}
