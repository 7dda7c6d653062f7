-- The hand rules of rules/default.json on the body of a chat request.
--
-- Where Lua cannot follow at a price that anyone would pay: it reads the content of the last user message
-- as text and not the JSON around it (a list of content parts, tags of agents and earlier turns are not
-- seen), and words are told apart by ASCII letters only. The rules, their order and their words are the same.

local function set(words)
  local found = {}
  for word in words:gmatch("%S+") do found[word] = true end
  return found
end

local FACT = set("what who when where which whose whom name what's whats identify")
local PERSONA = set("imagine pretend act you picture embody please i hi hello can could i'm")
local CONSTRAINTS = set([[must only exactly least most without always avoid limit maximum minimum between
  within ensure should required requirements constraint constraints fewer satisfying satisfies allowed
  guaranteed cannot]])
local PROOF = set("prove proof theorem lemma derive")
local WRITING = set("essay story poem novel sonnet screenplay lyrics")
local GREETINGS = {"hi", "hello", "hey", "thanks", "thank you", "good morning", "good afternoon", "good evening"}
local DESIGN = {"design a", "architect", "trade-off", "tradeoff", "strategy", "migrat", "roadmap"}
local DEBUG = {"race condition", "deadlock", "memory leak", "root cause", "intermittent", "under load"}
local TITLE = {"title for", "conversation title", "short title"}

-- Escapes of JSON strings; others are left as they are.
local ESCAPES = {n = "\n", t = "\t", r = "\r", b = "\b", f = "\f"}

-- The JSON string that begins behind position `from`, and where it ends.
local function text_at(body, from)
  local at = from
  while true do
    local stop = body:find('["\\]', at)
    if not stop then return nil end
    if body:byte(stop) == 34 then
      local raw = body:sub(from, stop - 1)
      if at == from then return raw, stop end
      return (raw:gsub("\\(.)", function(escape) return ESCAPES[escape] or escape end)), stop
    end
    at = stop + 2
  end
end

-- The content of the last message of a role.
local function last(body, role)
  local found, at = nil, 1
  while true do
    local _, stop = body:find('"role"%s*:%s*"' .. role .. '"', at)
    if not stop then break end
    found, at = stop, stop + 1
  end
  if not found then return "" end
  local _, behind = body:find('^%s*,%s*"content"%s*:%s*"', found + 1)
  if behind then return (text_at(body, behind + 1)) or "" end
  -- The content stands in front of the role: the last one before it.
  local before, from = nil, 1
  while true do
    local _, stop = body:find('"content"%s*:%s*"', from)
    if not stop or stop > found then break end
    before, from = stop, stop + 1
  end
  return before and text_at(body, before + 1) or ""
end

local function contains(text, needles)
  for _, needle in ipairs(needles) do
    if text:find(needle, 1, true) then return true end
  end
  return false
end

local function greets(text)
  local begin = text:gsub("^%s+", "")
  for _, word in ipairs(GREETINGS) do
    if begin:sub(1, #word) == word and not begin:sub(#word + 1, #word + 1):find("%w") then return true end
  end
  return false
end

local function choices(text)
  local count = 0
  for line in text:gmatch("[^\n]+") do
    if line:find("^%s*%(?[A-J][.)] ") then count = count + 1 end
  end
  return count
end

local function target(body)
  local text = last(body, "user")
  local lower = text:lower()
  local words, constraints, proof, writing, first = 0, 0, false, false, nil
  for word in lower:gmatch("[%w']+") do
    first = first or word
    words = words + 1
    if CONSTRAINTS[word] then constraints = constraints + 1 end
    proof = proof or PROOF[word]
    writing = writing or WRITING[word]
  end
  if choices(text) >= 3 then return "cheap" end
  if words <= 6 and greets(lower) then return "cheap" end
  if words <= 400 and contains(last(body, "system"):lower(), TITLE) then return "cheap" end
  if proof then return "strong" end
  if contains(lower, DESIGN) then return "strong" end
  if contains(lower, DEBUG) then return "strong" end
  if writing then return "strong" end
  if FACT[first] and words <= 20 then return "cheap" end
  if contains(lower, {"summar", "tl;dr"}) then return "cheap" end
  if lower:find("convert", 1, true) then return "cheap" end
  if FACT[first] and words <= 60 then return "cheap" end
  if PERSONA[first] then return "strong" end
  if constraints >= 4 then return "strong" end
  if #text >= 400 then return "strong" end
  return "cheap"
end

function envoy_on_request(handle)
  local body = handle:body()
  if body then
    handle:headers():replace("x-pointsman-cluster", target(body:getBytes(0, body:length())))
    handle:clearRouteCache()
  end
end
