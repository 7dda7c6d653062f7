//! Do two queries find the same rows?

use std::cmp::Ordering;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use regex::Regex;
use rusqlite::limits::Limit;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::{Pair, Unscorable, regex};
use crate::label::request::Request;

/// Time for all statements on one database.
const PATIENCE: Duration = Duration::from_secs(5);
/// Rows of a result that are compared; more makes the row unscorable.
const MAX_ROWS: usize = 10_000;
/// Bytes of a text, a blob or a row; what a query makes must not fill the memory.
const MAX_LENGTH: i32 = 1 << 20;
/// Bytes of a result that are compared.
const MAX_RESULT_BYTES: usize = 16 << 20;
/// Bytes that SQLite may use for all its databases in this process.
const HEAP_BYTES: i64 = 512 << 20;
/// Rows made up for each table that the request leaves empty.
const MADE_UP_ROWS: u64 = 24;
/// Databases with made-up rows on which the queries must agree.
const DATABASES: u64 = 3;

/// 1 when both queries give the same rows in SQLite, otherwise 0. Tables come from the request; what
/// it leaves empty is filled with rows made up to match the queries' constants. The order of rows
/// counts when the strong query orders them; names of columns never do.
///
/// # Errors
/// The request has no tables, or the strong query does not run on them or finds nothing.
pub fn score(pair: &Pair) -> Result<f64, Unscorable> {
    let strong =
        query(&pair.strong.text).ok_or(Unscorable("the strong answer contains no query"))?;
    let setup = setup(pair.request);
    if setup.is_empty() {
        return Err(Unscorable("the request defines no tables"));
    }
    let cheap = query(&pair.cheap.text);
    let ordered = is_ordered(&strong);
    let mut found_any = false;
    for seed in 0..DATABASES {
        let (database, made_up) = database(&setup, &strong, cheap.as_deref(), seed)?;
        let expected = rows(&database, &strong)
            .ok_or(Unscorable("the strong query does not run on the request's tables"))?;
        found_any |= !expected.is_empty();
        let Some(cheap) = &cheap else { return Ok(0.0) };
        let Some(actual) = rows(&database, cheap) else { return Ok(0.0) };
        if !same(expected, actual, ordered) {
            return Ok(0.0);
        }
        if !made_up {
            break;
        }
    }
    if found_any { Ok(1.0) } else { Err(Unscorable("the strong query returns no rows to compare")) }
}

/// Whether the request defines tables and the answer holds a query.
pub fn applies(request: &Request, answer: &str) -> bool {
    query(answer).is_some() && !setup(request).is_empty()
}

/// The last `SELECT` of an answer, fenced or bare.
fn query(answer: &str) -> Option<String> {
    static FENCE: LazyLock<Regex> = LazyLock::new(|| regex(r"(?ms)```\w*[^\n]*\n(.*?)```"));
    static QUERY: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?is)^\s*(?:--[^\n]*\n\s*)*(?:select|with)\s.+"));
    let fenced = FENCE.captures_iter(answer).map(|found| found[1].to_owned());
    let candidates: Vec<String> = fenced.chain([answer.to_owned()]).collect();
    candidates
        .iter()
        .find_map(|text| QUERY.find(text))
        .map(|found| found.as_str().trim().trim_end_matches(';').to_owned())
}

/// The `CREATE TABLE` and `INSERT` statements of a request.
fn setup(request: &Request) -> Vec<String> {
    static STATEMENT: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"(?is)\b(?:create\s+table\b[^;]*?\)\s*(?:;|\n\s*\n|\z|```)|insert\s+into\b[^;]*;)")
    });
    let text = request.text();
    let statements = STATEMENT
        .find_iter(&text)
        .map(|found| found.as_str().trim_end_matches(['`', ';', '\n', ' ']).trim().to_owned());
    let statements: Vec<String> = statements.collect();
    let tables =
        statements.iter().any(|s| s.get(..6).is_some_and(|s| s.eq_ignore_ascii_case("create")));
    if tables { statements } else { Vec::new() }
}

/// Builds the request's database; the flag says that rows were made up.
fn database(
    setup: &[String],
    strong: &str,
    cheap: Option<&str>,
    seed: u64,
) -> Result<(Connection, bool), Unscorable> {
    let failed = |_| Unscorable("the database cannot be created");
    let mut database = Connection::open_in_memory().map_err(failed)?;
    let end = Instant::now() + PATIENCE;
    database.progress_handler(1000, Some(move || Instant::now() > end)).map_err(failed)?;
    // No other file is ever opened.
    database.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0).map_err(failed)?;
    database.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_LENGTH).map_err(failed)?;
    database.pragma_update(None, "hard_heap_limit", HEAP_BYTES).map_err(failed)?;
    for statement in setup {
        database
            .execute_batch(&dialect(statement))
            .map_err(|_| Unscorable("the request's tables are not in SQLite's dialect"))?;
    }
    let wanted = Wanted::by(&[strong, cheap.unwrap_or_default()], seed);
    let mut made_up = false;
    for table in names(&database, "SELECT name FROM sqlite_master WHERE type = 'table'") {
        let quoted = table.replace('"', "\"\"");
        let count = format!("SELECT count(*) FROM \"{quoted}\"");
        if database.query_row(&count, [], |row| row.get::<_, i64>(0)).map_err(failed)? == 0 {
            make_up(&database, &quoted, &wanted, seed).map_err(failed)?;
            made_up = true;
        }
    }
    Ok((database, made_up))
}

/// What other databases say differently in table definitions.
fn dialect(statement: &str) -> String {
    static OTHER: LazyLock<Regex> = LazyLock::new(|| {
        regex(concat!(
            r"(?i)\bAUTO_INCREMENT\b|\bUNSIGNED\b|\bENGINE\s*=\s*\w+|\bDEFAULT CHARSET\s*=\s*\w+",
            r"|\bCHARACTER SET \w+|\bCOMMENT '[^']*'",
        ))
    });
    // SQLite keeps whole decimals as integers, and divides those without remainder.
    static DECIMAL: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"(?i)\b(?:DECIMAL|NUMERIC|NUMBER)\b(?:\s*\(\s*\d+\s*(?:,\s*\d+\s*)?\))?")
    });
    DECIMAL.replace_all(&OTHER.replace_all(statement, ""), "REAL").into_owned()
}

fn names(database: &Connection, sql: &str) -> Vec<String> {
    let read = || -> rusqlite::Result<Vec<String>> {
        let mut statement = database.prepare(sql)?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    read().unwrap_or_default()
}

/// What rows must have for two queries to differ on them.
struct Wanted {
    /// String and number constants of the queries: rows with these values make conditions true.
    strings: Vec<String>,
    numbers: Vec<f64>,
    /// Columns that the queries test for NULL, in lower case.
    nulls: Vec<String>,
    /// Few values, many times each: what counts rows is not what counts values.
    repeats: bool,
}

impl Wanted {
    fn by(queries: &[&str], seed: u64) -> Self {
        static STRING: LazyLock<Regex> = LazyLock::new(|| regex(r"'([^']*)'"));
        static NUMBER: LazyLock<Regex> = LazyLock::new(|| regex(r"\b\d+(?:\.\d+)?\b"));
        static NULL: LazyLock<Regex> = LazyLock::new(|| {
            regex(
                r#"(?i)(\w+)["`\]]?\s*(?:is\s+(?:not\s+)?|=\s*|<>\s*|!=\s*)null\b|\b(?:coalesce|ifnull)\s*\(\s*(?:\w+\.)?["`\[]?(\w+)"#,
            )
        });
        // Of equal values, which comes first is left open, and two queries may leave it differently.
        static PICKS: LazyLock<Regex> = LazyLock::new(|| {
            regex(r"(?i)\b(?:order\s+by|limit|fetch|max|min|rank|dense_rank|row_number|top)\b")
        });
        // A row that a join has not found is no NULL in its table.
        static OUTER: LazyLock<Regex> =
            LazyLock::new(|| regex(r"(?i)\b(?:left|right|full)\s+(?:outer\s+)?join\b"));
        let all = queries.join("\n");
        let strings = STRING
            .captures_iter(&all)
            .map(|found| found[1].replace('%', "").replace('_', "x"))
            .collect();
        let bare = STRING.replace_all(&all, "''");
        let numbers =
            NUMBER.find_iter(&bare).filter_map(|found| found.as_str().parse().ok()).collect();
        let tested = NULL.captures_iter(&bare).filter(|_| !OUTER.is_match(&bare));
        let nulls = tested
            .filter_map(|found| Some(found.get(1).or(found.get(2))?.as_str().to_lowercase()))
            .collect();
        Wanted { strings, numbers, nulls, repeats: seed == 1 && !PICKS.is_match(&bare) }
    }
}

/// Fills a table. Values repeat, so that joins and groups meet.
fn make_up(
    database: &Connection,
    table: &str,
    Wanted { strings, numbers, nulls, repeats }: &Wanted,
    seed: u64,
) -> rusqlite::Result<()> {
    let mut statement = database.prepare(&format!("PRAGMA table_info(\"{table}\")"))?;
    let flag =
        |row: &Row, column: usize| -> rusqlite::Result<bool> { Ok(row.get::<_, i64>(column)? > 0) };
    let columns: Vec<(String, String, bool, bool)> = statement
        .query_map([], |row| Ok((row.get(1)?, row.get(2)?, flag(row, 5)?, flag(row, 3)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let places = vec!["?"; columns.len()].join(", ");
    let mut insert =
        database.prepare(&format!("INSERT OR IGNORE INTO \"{table}\" VALUES ({places})"))?;
    for row in 0..MADE_UP_ROWS {
        let values = columns.iter().enumerate().map(|(index, (name, kind, key, filled))| {
            let draw =
                mix(seed * 1_000_003 + row * 1009 + index as u64 * 31 + mix(name.len() as u64));
            let kind = kind.to_ascii_lowercase();
            let name = name.to_ascii_lowercase();
            let is_text =
                ["char", "text", "clob", "date", "time", "enum"].iter().any(|t| kind.contains(t));
            let may_be_null = !*key && !*filled && nulls.contains(&name);
            if may_be_null && (draw / 13).is_multiple_of(4) {
                Value::Null
            } else if *key && !is_text {
                Value::Integer(row as i64 + 1)
            } else if kind.contains("date") || kind.contains("time") || name.ends_with("date") {
                let dates: Vec<&String> = strings.iter().filter(|s| is_date(s)).collect();
                match dates.get(draw as usize % (dates.len() + 3)) {
                    Some(date) => Value::Text((*date).clone()),
                    None => Value::Text(format!(
                        "202{}-0{}-1{}",
                        draw % 5,
                        draw / 5 % 9 + 1,
                        draw / 45 % 10
                    )),
                }
            } else if is_text {
                match strings.get(draw as usize % (strings.len() + 4)) {
                    Some(text) => Value::Text(text.clone()),
                    None => Value::Text(format!(
                        "{}{}",
                        ["ann", "bob", "cat", "dan"][draw as usize % 4],
                        if *repeats { 0 } else { draw / 4 % 3 }
                    )),
                }
            } else if name.ends_with("id") {
                Value::Integer((draw % 8) as i64 + 1)
            } else {
                let base = match numbers.get(draw as usize % (numbers.len() + 2)) {
                    Some(number) => number + (draw / 7 % 3) as f64 - 1.0,
                    None if *repeats => (draw / 11 % 4 * 30) as f64,
                    None => (draw / 11 % 120) as f64,
                };
                if kind.contains("int") { Value::Integer(base as i64) } else { Value::Real(base) }
            }
        });
        insert.execute(params_from_iter(values))?;
    }
    Ok(())
}

fn is_date(text: &str) -> bool {
    text.len() >= 8 && text.chars().all(|c| c.is_ascii_digit() || "-: ".contains(c))
}

/// SplitMix64: scatters consecutive numbers.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The rows of a read-only query; `None` when it fails, writes, or finds too much.
fn rows(database: &Connection, query: &str) -> Option<Vec<Vec<Value>>> {
    let mut statement = database.prepare(query).ok()?;
    if !statement.readonly() {
        return None;
    }
    let columns = statement.column_count();
    let mut cursor = statement.query([]).ok()?;
    let mut rows = Vec::new();
    let mut bytes = 0;
    loop {
        match cursor.next() {
            Ok(Some(row)) if rows.len() < MAX_ROWS => {
                let values = (0..columns).map(|column| row.get(column));
                let values: Vec<Value> = values.collect::<Result<_, _>>().ok()?;
                bytes += values.iter().map(size).sum::<usize>();
                if bytes > MAX_RESULT_BYTES {
                    return None;
                }
                rows.push(values);
            }
            Ok(None) => return Some(rows),
            _ => return None,
        }
    }
}

fn size(value: &Value) -> usize {
    let inside = match value {
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
        _ => 0,
    };
    size_of::<Value>() + inside
}

/// Whether the outermost query orders its rows: an `ORDER BY` outside all parentheses.
fn is_ordered(query: &str) -> bool {
    static ORDER: LazyLock<Regex> = LazyLock::new(|| regex(r"(?i)\border\s+by\b"));
    let mut depth = 0;
    let outer: String = query
        .chars()
        .filter(|c| {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            depth == 0
        })
        .collect();
    ORDER.is_match(&outer)
}

fn same(mut a: Vec<Vec<Value>>, mut b: Vec<Vec<Value>>, ordered: bool) -> bool {
    if !ordered {
        a.sort_by(|a, b| order_rows(a, b));
        b.sort_by(|a, b| order_rows(a, b));
    }
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| order_rows(a, b) == Ordering::Equal)
}

fn order_rows(a: &[Value], b: &[Value]) -> Ordering {
    let by_value = a.iter().zip(b).map(|(a, b)| order_values(a, b)).find(|o| o.is_ne());
    by_value.unwrap_or(a.len().cmp(&b.len()))
}

/// Numbers are compared at nine digits, so that 0.1 + 0.2 is 0.3 and 2 is 2.0.
fn order_values(a: &Value, b: &Value) -> Ordering {
    let number = |value: &Value| match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Real(number) => Some(*number),
        _ => None,
    };
    let kind = |value: &Value| match value {
        Value::Null => 0,
        Value::Integer(_) | Value::Real(_) => 1,
        Value::Text(_) => 2,
        Value::Blob(_) => 3,
    };
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Blob(a), Value::Blob(b)) => a.cmp(b),
        _ => match (number(a), number(b)) {
            (Some(a), Some(b)) => {
                let rounded = |x: f64| format!("{x:.9e}").parse().unwrap_or(x);
                rounded(a).total_cmp(&rounded(b))
            }
            _ => kind(a).cmp(&kind(b)),
        },
    }
}
