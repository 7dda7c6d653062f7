//! Mutations of JSON that leave it JSON: most damage to its bytes ends in the parser, and never
//! reaches what is behind it.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};

const LINE: u8 = b'\n';
const EVENT: &[u8] = b"data: ";

/// Changes a few values of one of the JSON texts in some bytes: of all of them, where they are one,
/// otherwise of a line, or of an event's data. YAML becomes JSON. `None` when there is no such text.
fn mutate(data: &[u8], seed: u64) -> Option<Vec<u8>> {
    let mut random = SmallRng::seed_from_u64(seed);
    if let Some(value) = parsed(data) {
        return Some(changed(value, &mut random).into_bytes());
    }
    let lines: Vec<&[u8]> = data.split(|byte| *byte == LINE).collect();
    let texts = lines.iter().enumerate().filter_map(|(at, line)| {
        let text = line.strip_prefix(EVENT).unwrap_or(line);
        Some((at, line.len() - text.len(), serde_json::from_slice(text).ok()?))
    });
    let texts: Vec<(usize, usize, Value)> = texts.filter(|(.., it)| is_tree(it)).collect();
    let (at, start, value) = texts.choose(&mut random)?;
    let text = changed(value.clone(), &mut random);
    let changed = [&lines[*at][..*start], text.as_bytes()].concat();
    let lines = lines.iter().enumerate();
    let lines: Vec<&[u8]> =
        lines.map(|(other, line)| if other == *at { changed.as_slice() } else { line }).collect();
    Some(lines.join(&LINE))
}

/// What a mutator of libFuzzer does every other time: the new size of what is in `data`.
pub fn every_other(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> Option<usize> {
    let text = data.get(..size).filter(|_| seed.is_multiple_of(2))?;
    let mut mutated = mutate(text, seed.into())?;
    mutated.truncate(max_size);
    data.get_mut(..mutated.len())?.copy_from_slice(&mutated);
    Some(mutated.len())
}

fn is_tree(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

fn parsed(data: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(data).ok()?;
    let json = serde_json::from_str(text).ok();
    json.or_else(|| serde_saphyr::from_str(text).ok()).filter(is_tree)
}

fn changed(mut value: Value, random: &mut SmallRng) -> String {
    for _ in 0..random.random_range(1..4) {
        let mut names = Vec::new();
        let mut values = Vec::new();
        collect(&value, &mut names, &mut values);
        let donor = match random.random_range(0..3) {
            0 => values.choose(random).cloned().cloned().unwrap_or_default(),
            _ => made(random),
        };
        let name = names.choose(random).map_or("other", |name| name.as_str()).to_owned();
        let mut place = random.random_range(0..values.len());
        change(&mut value, &mut place, &Change { donor, name, kind: random.random_range(0..5) });
    }
    value.to_string()
}

/// All names of fields, and all values.
fn collect<'v>(value: &'v Value, names: &mut Vec<&'v String>, values: &mut Vec<&'v Value>) {
    values.push(value);
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            names.push(name);
            collect(value, names, values);
        }),
        Value::Array(items) => items.iter().for_each(|item| collect(item, names, values)),
        _ => {}
    }
}

/// A value at the edge of something.
fn made(random: &mut SmallRng) -> Value {
    let long = "x".repeat(random.random_range(0..600));
    let edges = [
        json!([null, true, false, 0, 1, -1, 0.5, -0.0, 1e308, -1e308, 5e-324]),
        json!([65536, u64::MAX, i64::MIN, 1.5, 2, 16, 17, 1000, [], {}, [[]], [null], {"": null}]),
        json!([
            "", "a", " ", "é中", "\u{0}", "a: b # c", "{{ x }}", "\"\\\n", "*a", "default", "/"
        ]),
        json!([
            "0.0.0.0:1",
            "http://x",
            long,
            random.random_range(-100..100),
            random.random::<f64>()
        ]),
    ];
    let edges = edges.choose(random).and_then(Value::as_array);
    edges.and_then(|edges| edges.choose(random)).cloned().unwrap_or_default()
}

struct Change {
    donor: Value,
    name: String,
    kind: u8,
}

/// Makes a change at a place, counted as [`collect`] does.
fn change(value: &mut Value, place: &mut usize, by: &Change) -> bool {
    if *place == 0 {
        match (by.kind, &mut *value) {
            (0, Value::Object(fields)) => {
                fields.insert(by.name.clone(), by.donor.clone());
            }
            (1, Value::Object(fields)) => {
                fields.remove(&by.name);
            }
            (2, Value::Object(fields)) => rename(fields, &by.name),
            (0, Value::Array(items)) => items.push(by.donor.clone()),
            (1, Value::Array(items)) => {
                items.pop();
            }
            (2, Value::Array(items)) => items.extend_from_within(..items.len().min(20)),
            _ => *value = by.donor.clone(),
        }
        return true;
    }
    *place -= 1;
    match value {
        Value::Object(fields) => fields.iter_mut().any(|(_, value)| change(value, place, by)),
        Value::Array(items) => items.iter_mut().any(|item| change(item, place, by)),
        _ => false,
    }
}

/// The last field gets another name.
fn rename(fields: &mut Map<String, Value>, name: &str) {
    if let Some(last) = fields.keys().next_back().cloned()
        && let Some(value) = fields.remove(&last)
    {
        fields.insert(name.to_owned(), value);
    }
}
