// Says what the functions of answer.js do, for request.json: {mark, function, statements, constants,
// shape}. It judges nothing: the values are compared outside, by a process that the answer cannot
// reach. Lines are as those of harness.py.
const vm = require("vm");
const fs = require("fs");
const request = JSON.parse(fs.readFileSync("request.json", "utf8"));
const source = fs.readFileSync("answer.js", "utf8").replace(/^export (default )?/gm, "");
const write = (...fields) =>
  fs.writeSync(1, "\n" + request.mark + fields.map((f) => String(f).replace(/\n/g, "\\n").replace(/\u0002/g, "?")).join("\u0002") + "\n");
const stringify = JSON.stringify;
const scope = vm.createContext({ console, require, module: { exports: {} }, exports: {} });
const name = request.function;
const end = name ? `\nthis.__function = typeof ${name} === "undefined" ? undefined : ${name};` : "";
vm.runInContext(source + end, scope, { timeout: 5000 });

const POOL = [0, 1, 2, 7, -1, -3, 10, 100, 2.5, "", "a", "hello world", "racecar", "12 3", "Ab", [], [1],
  [3, 1, 2, 2], [5, -1, 0, 4, 4], ["b", "a", "a"], ["x"], [4, 9], [7, 1, 10, 3], [[1, 2], [3, 4]], {}, { a: 1, b: 2 }, true, false, null];
for (const constant of request.constants)
  if (Number.isInteger(constant)) POOL.push(constant - 1, constant, constant + 1);
  else POOL.push(constant);

const kind = (value) => {
  if (Array.isArray(value)) return "array:" + (value.length ? typeof value[0] : "");
  return value === null ? "null" : typeof value;
};
const show = (value) => {
  if (typeof value === "number" && !Number.isInteger(value)) return Number.isFinite(value) ? value.toPrecision(9) : String(value);
  if (value instanceof Map || Object.prototype.toString.call(value) === "[object Map]") return "Map" + show([...value]);
  if (Object.prototype.toString.call(value) === "[object Set]") return "Set" + show([...value].map(show).sort());
  if (Array.isArray(value)) return "[" + Array.from(value, show).join(",") + "]";
  if (value && typeof value === "object") return "{" + Object.keys(value).sort().map((key) => stringify(key) + ":" + show(value[key])).join(",") + "}";
  const text = stringify(value);
  return text === undefined ? typeof value : text;
};
const guarded = (action) => {
  try { return String(action()).slice(0, 4000); } catch (error) { return "error " + (error && error.name); }
};

const defined = typeof scope.__function === "function";
// The arguments with which the assertions call the function.
const given = [];
for (const statement of name ? request.statements : []) {
  const recorder = { [name]: (...call) => { given.push(JSON.parse(stringify(call))); } };
  try { vm.runInNewContext("(" + statement + ")", recorder, { timeout: 200 }); } catch { /* it calls something else, too */ }
}
let shape = request.shape;
if (!shape && defined) {
  const count = given.length ? given[0].length : scope.__function.length;
  const kinds = Array.from({ length: count }, (_, i) => [...new Set(given.filter((call) => call.length > i).map((call) => kind(call[i])))]);
  shape = { count, kinds };
}
write(stringify(shape));

// The side of a comparison that calls something: up to the first operator outside of brackets and strings.
const left = (text) => {
  let depth = 0, quote = null;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quote) { if (c === "\\") i++; else if (c === quote) quote = null; }
    else if ("\"'`".includes(c)) quote = c;
    else if ("([{".includes(c)) depth++;
    else if (")]}".includes(c)) depth--;
    else if (depth === 0 && c === ",") return text.slice(0, i);
    else if (depth === 0 && /^[!=]==?[^=>]/.test(text.slice(i))) return text.slice(0, i);
  }
  return text;
};
for (const statement of request.statements) {
  const run = (text) => vm.runInContext("(" + text + ")", scope, { timeout: 500 });
  write("test", guarded(() => (run(statement) ? "True" : "False")), guarded(() => show(run(left(statement)))));
}

if (shape && defined) {
  const pools = shape.kinds.map((kinds, i) => {
    const own = given.filter((call) => call.length > i).map((call) => call[i]);
    const pool = own.concat(POOL).filter((value) => !kinds.length || kinds.includes(kind(value)));
    return pool.length ? pool : POOL;
  });
  let calls = [];
  if (shape.count === 0) calls = [[]];
  else if (shape.count === 1) calls = pools[0].map((value) => [value]);
  else if (shape.count === 2) { for (const a of pools[0]) for (const b of pools[1]) calls.push([a, b]); }
  else for (let i = 0; i < 400; i++) calls.push(pools.map((pool, k) => pool[(i * (k + 1) + k) % pool.length]));
  for (const call of calls) {
    const value = guarded(() => {
      scope.__arguments = JSON.parse(stringify(call));
      const value = vm.runInContext("__function(...__arguments)", scope, { timeout: 500 });
      // Nothing and not-a-number are what functions return for arguments that they are not meant for.
      if (call.length && (value === undefined || Number.isNaN(value))) throw new TypeError();
      return show(value);
    });
    write(call.map(kind).join(","), value, guarded(() => show(scope.__arguments)));
  }
}
write("end");
