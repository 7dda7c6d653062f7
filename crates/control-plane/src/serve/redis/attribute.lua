-- Attributes lines: each decision and each reward once, whichever replica takes them in and
-- however often.
--
-- KEYS: 1 stream of updates, 2 totals, 3 prefix of pending decisions, 4 prefix of recent buckets
-- ARGV: 1 milliseconds that a decision waits for its reward, 2 length of a bucket in
--       milliseconds, 3 buckets that are kept, then one line per argument
-- Returns accepted, duplicate, early, and which lines are the duplicates, from 0.
--
-- A pending value is a decision with its outcome (rank 0: none yet), or the outcome of a decision
-- that is still to come (kind FEEDBACK).
--
-- Layout, rendered by layout.rs; bytes count from 1.
--   line: kind 1, ID 2-17, decision or outcome 18-
--   outcome: reward 1-4, rank 5
--   decision: target 1, flags 2, propensity 3-6, length 7, context and segment 8-
--   pending: kind 1, outcome 2-6, decision 7-
--   update: kind 1, before 2-5, reward 6-9, decision 10-
local DECISION, FEEDBACK = '\1', '\2'
local LEARN, CORRECT = '\1', '\2'
local ID, ID_END, BODY = 2, 17, 18
local REWARD, REWARD_END, RANK = 1, 4, 5
local TARGET, FLAGS, LENGTH = 1, 2, 7
local KEPT, KEPT_END = 2, 6
local KEPT_DECISION = 7

local updates, totals = KEYS[1], KEYS[2]
local ttl = tonumber(ARGV[1])
local none = '\0\0\0\0'
local unrewarded = none .. '\0'
local found, out, again = {}, {}, {}

local function count(name, by)
  found[name] = (found[name] or 0) + by
end

local function repeated(line)
  count('duplicate', 1)
  again[#again + 1] = line
end

local function reward_of(outcome)
  return outcome:sub(REWARD, REWARD_END)
end

local function number(reward)
  return (struct.unpack('<f', reward))
end

-- A decision without a context teaches nothing.
local function learn(kind, before, reward, decision)
  if decision:byte(LENGTH) > 0 then
    out[#out + 1] = kind .. before .. reward .. decision
    if kind == LEARN then
      count('rewards', 1)
      count('reward_sum', number(reward))
    else
      count('reward_sum', number(reward) - number(before))
    end
  end
end

for i = 4, #ARGV do
  local line = ARGV[i]
  local key = KEYS[3] .. line:sub(ID, ID_END)
  local body = line:sub(BODY)
  local kept = redis.call('GET', key)
  local decided = kept and kept:sub(1, 1) == DECISION
  local outcome = kept and kept:sub(KEPT, KEPT_END) or unrewarded
  if line:sub(1, 1) == DECISION then
    if decided then
      repeated(i - 4)
    else
      count('accepted', 1)
      count('target:' .. body:byte(TARGET), 1)
      count('explored', bit.rshift(body:byte(FLAGS), 1))
      count('scored', body:byte(LENGTH) > 0 and 1 or 0)
      if kept then
        learn(LEARN, none, reward_of(outcome), body)
      end
      redis.call('SET', key, DECISION .. outcome .. body, 'PX', ttl)
    end
  elseif not kept then
    count('early', 1)
    redis.call('SET', key, FEEDBACK .. body, 'PX', ttl)
  elseif outcome:byte(RANK) >= body:byte(RANK) then
    repeated(i - 4)
  elseif decided then
    count('accepted', 1)
    local decision = kept:sub(KEPT_DECISION)
    local kind = outcome:byte(RANK) == 0 and LEARN or CORRECT
    learn(kind, reward_of(outcome), reward_of(body), decision)
    redis.call('SET', key, DECISION .. body .. decision, 'KEEPTTL')
  else
    count('early', 1)
    redis.call('SET', key, FEEDBACK .. body, 'KEEPTTL')
  end
end

if #out > 0 then
  local bytes = table.concat(out)
  redis.call('XADD', updates, '*', 'l', bytes, 'c', redis.sha1hex(bytes))
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
