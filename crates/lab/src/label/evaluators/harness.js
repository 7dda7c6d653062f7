// Calls one function of answer.js with many arguments and prints what each call does.
// usage: harness.js FUNCTION [COUNT]: with COUNT arguments, otherwise as many as it declares.
// Lines of outcome begin with U+0001, to stand out from the answer's own output: first the number
// of arguments, then for each call the types of its arguments, U+0002, and the outcome.
const vm = require("vm");
const source = require("fs").readFileSync("answer.js", "utf8").replace(/^export /gm, "");
const name = process.argv[2];
const scope = vm.createContext({ console, require, module: { exports: {} }, exports: {} });
vm.runInContext(source + "\nthis.__function = " + name + ";", scope, { timeout: 2000 });

const POOL = [0, 1, 2, 7, -3, 10, 2.5, "", "a", "hello world", "racecar", "12 3", [], [1],
  [3, 1, 2, 2], [5, -1, 0, 4, 4], ["b", "a", "a"], [[1, 2], [3, 4]], { a: 1, b: 2 }, true, null];
const count = process.argv[3] ? Number(process.argv[3]) : scope.__function.length;
console.log("\n\u0001" + count);
const type = (value) => (Array.isArray(value) ? "array" : value === null ? "null" : typeof value);
let calls = [];
if (count === 0) calls = [[]];
else if (count === 1) calls = POOL.map((value) => [value]);
else if (count === 2) for (const a of POOL) for (const b of POOL) calls.push([a, b]);
else for (let i = 0; i < 200; i++)
  calls.push(Array.from({ length: count }, (_, k) => POOL[(i * (k + 1) + k) % POOL.length]));

for (const call of calls) {
  let outcome;
  try {
    scope.__arguments = JSON.parse(JSON.stringify(call));
    const value = vm.runInContext("__function(...__arguments)", scope, { timeout: 200 });
    const text = Number.isNaN(value) ? "NaN" : JSON.stringify(value);
    if (text === undefined && call.length === 0) outcome = "undefined";
    else outcome = `${text} ${JSON.stringify(scope.__arguments)}`.slice(0, 2000);
    if (value === undefined || Number.isNaN(value)) outcome = "error " + text;
  } catch (error) {
    outcome = "error " + (error && error.name);
  }
  console.log("\n\u0001" + call.map(type).join(",") + "\u0002" + outcome);
}
