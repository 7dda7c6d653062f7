//! Files of rows: logs, data sets, tables of public routing data.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use pointsman_lab::evaluate::ScoredRow;
use pointsman_lab::files::{Problems, Records};
use pointsman_lab::import::{Columns, import};
use pointsman_lab::label::{Answers, Layout, Record, Source};
use pointsman_lab::learn::{RowParser, body_of};

use super::first_line;

/// A line with the file's kind, `csv` or any other, then the file: it has the same records when it is
/// compressed, what is read of each is what the log can hold, and rows that are imported are rows.
pub fn rows(data: &[u8]) -> bool {
    let (kind, file) = first_line(data);
    let name = if kind == b"csv" { "rows.csv" } else { "rows.jsonl" };
    let directory = super::directory();
    let plain = directory.path().join(name);
    std::fs::write(&plain, file).expect("a disk");
    let records = records(&plain);
    if !file.starts_with(b"\x1f\x8b") {
        let packed = directory.path().join(format!("{name}.gz"));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(file).expect("memory");
        std::fs::write(&packed, encoder.finish().expect("memory")).expect("a disk");
        assert_eq!(self::records(&packed), records, "compressed");
    }
    let mut known = false;
    for (_, line) in records.iter().flatten() {
        known |= read(line);
    }
    let layouts = [Columns::routellm("cheap", "strong"), Columns::routerbench("cheap", "strong")];
    for columns in layouts {
        known |= imported(&plain, file, &columns);
    }
    known
}

/// Records by their numbers; none of a file that is not opened.
fn records(path: &Path) -> Option<Vec<(usize, Vec<u8>)>> {
    let mut file = Records::open(path).ok()?;
    let mut problems = Problems::new(false);
    let mut records: Vec<(usize, Vec<u8>)> = Vec::new();
    while let Some((number, record, _)) = file.next_whole(&mut problems).expect("not strict") {
        assert!(records.last().is_none_or(|(last, _)| *last < number), "{number} again");
        records.push((number, record.to_vec()));
    }
    Some(records)
}

/// Everything that reads one line.
fn read(line: &[u8]) -> bool {
    let mut known = false;
    let layouts = Source::ALL.into_iter().map(|(_, source)| Layout::Known(source));
    for layout in layouts.chain([Layout::Detect]) {
        for answers in [Answers::Batch(HashMap::new()), Answers::Unneeded] {
            let Ok(record) = Record::parse(line, &layout, &answers, || "rows:1".to_owned()) else {
                continue;
            };
            known = true;
            assert!(!record.id.is_empty());
            assert!(matches!(answers, Answers::Unneeded) || !record.strong.is_empty());
            assert!(record.request.for_model("other").is_object());
            // Read for every row.
            let _ = (record.request.question(), record.request.text(), record.evidence());
        }
    }
    if let Ok(row) = ScoredRow::parse(line) {
        known = true;
        let shares = [row.score, row.cheap, row.strong, row.rules];
        assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
    }
    let mut parser = RowParser::default();
    let body = body_of(line);
    if parser.prompt(line, "rows:1").is_ok() {
        assert!(body.is_some(), "a prompt without a body");
        assert!(parser.features().as_slice().iter().all(|value| value.is_finite()));
        known = true;
    }
    known
}

fn imported(path: &Path, file: &[u8], columns: &Columns) -> bool {
    let (mut problems, mut output) = (Problems::new(false), Vec::new());
    let Ok(imported) = import(path, file, columns, &mut problems, &mut output) else {
        return false;
    };
    let lines: Vec<&[u8]> = output.split(|byte| *byte == b'\n').collect();
    let (rest, lines) = lines.split_last().expect("one at least");
    assert!(rest.is_empty() && lines.len() as u64 == imported.rows);
    assert!(imported.cheap_ok <= imported.rows);
    let mut parser = RowParser::default();
    for line in lines {
        let row = parser.prompt(line, "rows:1");
        assert!(row.is_ok(), "{row:?}: {}", String::from_utf8_lossy(line));
    }
    imported.rows > 0
}
