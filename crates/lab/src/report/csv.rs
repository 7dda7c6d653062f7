//! Comma-separated values.

use std::borrow::Cow;
use std::fmt::Display;

/// Comma-separated lines (RFC 4180) of a header and rows.
pub fn lines<R: IntoIterator<Item = C>, C: Display>(
    head: &str,
    rows: impl IntoIterator<Item = R>,
) -> String {
    let mut out = format!("{head}\n");
    for row in rows {
        let cells: Vec<String> =
            row.into_iter().map(|cell| field(&cell.to_string()).into_owned()).collect();
        out += &cells.join(",");
        out.push('\n');
    }
    out
}

/// Quoted where the value would break the line's columns (RFC 4180).
pub fn field(value: &str) -> Cow<'_, str> {
    match value.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", value.replace('"', "\"\"")).into(),
        false => value.into(),
    }
}
