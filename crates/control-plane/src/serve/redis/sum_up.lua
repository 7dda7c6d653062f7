-- Takes over what a consumer learnt from entries of the stream, and acknowledges them: both or
-- neither. An entry that another consumer has claimed meanwhile is that one's to sum up.
--
-- KEYS: 1 stream of updates, 2 list of sums
-- ARGV: 1 group, 2 consumer, 3 sums, then the IDs of the entries
-- Returns 1, or 0 when nothing was taken over.
for i = 4, #ARGV do
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2])
  if #pending == 0 then
    return 0
  end
end
for i = 4, #ARGV do
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[i])
end
redis.call('RPUSH', KEYS[2], ARGV[3])
return 1
