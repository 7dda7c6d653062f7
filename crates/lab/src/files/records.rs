//! Records of a file: lines of JSON, the items of a JSON array, or the rows of a table.

use std::io::{BufRead, Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use csv::ByteRecord;
use serde_json::{Map, Value};

use super::format::{self, Shape, shape};
use super::{
    BadLine, Lines, MAX_RECORD_BYTES, NumberedLine, Problem, Problems, TableReader, csv_problem,
    is_too_long, open,
};

/// The records of one file, each as the bytes of a JSON object. Lines are numbered as lines, items
/// and rows of a table are counted from 1.
pub enum Records {
    Lines(Lines),
    Array(Items),
    Table(Table),
}

impl Records {
    /// Opens a file and finds out by its first bytes what it holds. Only of a table whose head line
    /// could be a sentence, or is one name, the file's own name decides.
    ///
    /// # Errors
    /// As [`open`]; also one JSON document over several lines, which is not a list of records.
    pub fn open(path: &Path) -> Result<Records> {
        let mut reader = open(path)?;
        match shape(reader.fill_buf()?, is_named_table(path)) {
            Shape::Lines => Ok(Records::Lines(Lines::from_reader(path, reader))),
            Shape::Array => Ok(Records::Array(Items::new(path, reader))),
            Shape::Document => Err(format::document()),
            Shape::Table => Table::new(path, reader).map(Records::Table),
        }
    }

    /// The next record; what is damaged is counted and passed over.
    ///
    /// # Errors
    /// A record that is too long; other damage, where problems are strict.
    pub fn next_whole(
        &mut self,
        problems: &mut Problems,
    ) -> std::result::Result<Option<NumberedLine<'_>>, BadLine> {
        match self {
            Records::Lines(lines) => lines.next_whole(problems),
            Records::Array(items) => items.next_whole(problems),
            Records::Table(table) => table.next_whole(problems),
        }
    }
}

fn is_named_table(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.ends_with(".csv") || name.ends_with(".tsv")
}

/// The items of a JSON array, in one reused buffer; the array as a whole is never in memory.
pub struct Items {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    buffer: Vec<u8>,
    number: usize,
    bytes: u64,
    /// Brackets that are open: 1 in the array, more in an item.
    depth: usize,
    done: bool,
}

impl Items {
    fn new(path: &Path, reader: Box<dyn BufRead + Send>) -> Self {
        let path = path.to_owned();
        Items { path, reader, buffer: Vec::new(), number: 0, bytes: 0, depth: 0, done: false }
    }

    fn next_whole(
        &mut self,
        problems: &mut Problems,
    ) -> std::result::Result<Option<NumberedLine<'_>>, BadLine> {
        while !self.done {
            self.number += 1;
            match self.advance() {
                Ok(true) if self.buffer.len() as u64 > MAX_RECORD_BYTES => {
                    self.done = true;
                    return Err(BadLine::too_long(&self.path, self.number));
                }
                Ok(true) => {
                    let bytes = std::mem::take(&mut self.bytes);
                    return Ok(Some((self.number, self.buffer.trim_ascii(), bytes)));
                }
                Ok(false) => self.done = true,
                Err(error) => {
                    self.done = true;
                    let what = format!("the rest of the file cannot be read: {error}");
                    problems.add(Problem::UnreadableFile, &self.path, self.number, what)?;
                }
            }
        }
        Ok(None)
    }

    /// Reads up to the end of the next item; false at the end of the file.
    fn advance(&mut self) -> Result<bool> {
        self.buffer.clear();
        let (mut in_string, mut escaped, mut begun) = (false, false, false);
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                let cut = Error::new(ErrorKind::UnexpectedEof, "the array ends in the middle");
                return if self.depth > 0 || begun { Err(cut) } else { Ok(false) };
            }
            let mut used = 0;
            let mut ended = false;
            for &byte in chunk {
                used += 1;
                if !begun {
                    match byte {
                        b'[' if self.depth == 0 => self.depth = 1,
                        b']' if self.depth == 1 => self.depth = 0,
                        b',' if self.depth == 1 => {}
                        byte if byte.is_ascii_whitespace() => {}
                        _ if self.depth == 0 => {
                            return Err(Error::new(
                                ErrorKind::InvalidData,
                                "text behind the array",
                            ));
                        }
                        _ => begun = true,
                    }
                    if !begun {
                        continue;
                    }
                }
                let plain = !in_string;
                if in_string {
                    in_string = escaped || byte != b'"';
                    escaped = !escaped && byte == b'\\';
                } else {
                    match byte {
                        b'"' => in_string = true,
                        b'{' | b'[' => self.depth += 1,
                        b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                        _ => {}
                    }
                }
                // A bare value ends with what follows it.
                let follows = plain && self.depth <= 1 && matches!(byte, b',' | b']');
                if !follows {
                    self.buffer.push(byte);
                }
                ended = follows
                    || plain && self.depth == 1 && byte == b'}'
                    // What is longer is refused, wherever it ends.
                    || self.buffer.len() as u64 > MAX_RECORD_BYTES;
                if ended {
                    break;
                }
            }
            self.reader.consume(used);
            self.bytes += used as u64;
            if ended {
                return Ok(true);
            }
        }
    }
}

/// The rows of a table with a head line, as objects; cells that hold JSON are parsed.
pub struct Table {
    path: PathBuf,
    reader: TableReader<Box<dyn BufRead + Send>>,
    buffer: Vec<u8>,
    number: usize,
    done: bool,
}

impl Table {
    fn new(path: &Path, reader: Box<dyn BufRead + Send>) -> Result<Self> {
        let reader = TableReader::new(reader)
            .map_err(|error| Error::new(ErrorKind::Unsupported, error.to_string()))?;
        Ok(Table { path: path.to_owned(), reader, buffer: Vec::new(), number: 0, done: false })
    }

    fn next_whole(
        &mut self,
        problems: &mut Problems,
    ) -> std::result::Result<Option<NumberedLine<'_>>, BadLine> {
        let mut record = ByteRecord::new();
        while !self.done {
            self.number += 1;
            let what = match self.reader.read(&mut record) {
                Ok(false) => break,
                Ok(true) => match self.object(&record) {
                    Some(object) => {
                        self.buffer = serde_json::to_vec(&object).unwrap_or_default();
                        let bytes = record.as_slice().len() as u64;
                        return Ok(Some((self.number, &self.buffer, bytes)));
                    }
                    None => "not UTF-8".to_owned(),
                },
                Err(error) if is_too_long(&error) => {
                    self.done = true;
                    return Err(BadLine::too_long(&self.path, self.number));
                }
                Err(error) => {
                    self.done = error.is_io_error();
                    csv_problem(&error)
                }
            };
            let kind = if self.done { Problem::UnreadableFile } else { Problem::BrokenLine };
            problems.add(kind, &self.path, self.number, what)?;
        }
        self.done = true;
        Ok(None)
    }

    fn object(&self, record: &ByteRecord) -> Option<Map<String, Value>> {
        let cells = self.reader.names.iter().zip(record);
        cells
            .map(|(name, cell)| {
                let text = std::str::from_utf8(cell).ok()?;
                let parsed = text
                    .trim_start()
                    .starts_with(['{', '['])
                    .then(|| serde_json::from_str(text).ok());
                Some((name.to_owned(), parsed.flatten().unwrap_or_else(|| text.into())))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, bytes: &[u8]) -> Result<(Vec<(usize, String)>, Problems)> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join(name);
        std::fs::write(&path, bytes)?;
        let mut records = Records::open(&path)?;
        let (mut found, mut problems) = (Vec::new(), Problems::default());
        while let Ok(Some((number, bytes, _))) = records.next_whole(&mut problems) {
            found.push((number, String::from_utf8_lossy(bytes).into_owned()));
        }
        Ok((found, problems))
    }

    fn texts(name: &str, text: &str) -> Vec<String> {
        let (found, problems) = read(name, text.as_bytes()).expect("readable");
        assert_eq!(problems.total(), 0, "{text}");
        found.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn the_items_of_an_array_are_records_however_it_is_laid_out() {
        for text in [
            r#"[{"a":"]}"},{"b":[1,{"c":"\\\""}]}]"#,
            "[\n {\"a\":\"]}\"}\n ,\n {\"b\":[1,{\"c\":\"\\\\\\\"\"}]}\n]\n",
        ] {
            assert_eq!(
                texts("x.json", text),
                [r#"{"a":"]}"}"#, r#"{"b":[1,{"c":"\\\""}]}"#],
                "{text}"
            );
        }
        assert_eq!(texts("x.json", "[]"), Vec::<String>::new());
        assert_eq!(texts("x.json", r#"[{"a":1}, 7, null]"#), [r#"{"a":1}"#, "7", "null"]);
        assert_eq!(texts("x.jsonl", "[1]\n{\"a\":1}\n"), ["[1]", "{\"a\":1}"]);
    }

    #[test]
    fn an_array_that_is_cut_is_reported_once() {
        let whole = r#"[{"a":"x"},{"b":2}]"#;
        for length in 3..whole.len() {
            let (found, problems) = read("x.json", &whole.as_bytes()[..length]).expect("opens");
            assert_eq!(problems.total(), 1, "{length}");
            assert_eq!(
                found.len(),
                usize::from(length >= 10) + usize::from(length >= 18),
                "{length}"
            );
        }
    }

    #[test]
    fn an_array_that_closes_more_than_it_opened_is_reported() {
        let (found, problems) = read("x.json", br#"[{"a":1}}}"#).expect("opens");
        assert_eq!((found.len(), problems.total()), (1, 1));
    }

    #[test]
    fn the_rows_of_a_table_are_objects_with_parsed_cells() {
        let table = "id,input,output\no1,\"[{\"\"role\"\": \"\"user\"\"}]\",56\no2,hi,\"a\nb\"\n";
        for name in ["log.csv", "log.txt"] {
            let rows = texts(name, table);
            assert_eq!(rows[0], r#"{"id":"o1","input":[{"role":"user"}],"output":"56"}"#);
            assert_eq!(rows[1], r#"{"id":"o2","input":"hi","output":"a\nb"}"#);
        }
        let (found, problems) = read("log.csv", b"a,b\n1,2\n3\n4,\xff\n5,6\n").expect("opens");
        assert_eq!((found.len(), problems.total()), (2, 2));
    }

    #[test]
    fn tables_of_spreadsheets_are_read_by_the_sign_of_their_head_line() {
        for (name, table) in [
            ("log.txt", "id;input;output\r\no1;\"[{\"\"role\"\": \"\"user\"\"}]\";5,6\r\n"),
            ("log.tsv", "id\tinput\toutput\no1\t[{\"role\": \"user\"}]\t5,6\n"),
            ("log", "sep=;\nid;input;output\no1;[{\"role\": \"user\"}];5,6\n"),
        ] {
            let expected = r#"{"id":"o1","input":[{"role":"user"}],"output":"5,6"}"#;
            assert_eq!(texts(name, table), [expected], "{table}");
        }
        assert_eq!(texts("a.tsv.gz", "prompt\nhi\n"), [r#"{"prompt":"hi"}"#]);
    }

    /// The error that ends a file, and how many records were read before it.
    fn refused(name: &str, bytes: &[u8]) -> (usize, BadLine) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let mut records = Records::open(&path).expect("opens");
        let (mut read, mut problems) = (0, Problems::default());
        loop {
            match records.next_whole(&mut problems) {
                Ok(found) => assert!(found.is_some(), "refused"),
                Err(bad) => {
                    assert!(records.next_whole(&mut problems).expect("over").is_none());
                    return (read, bad);
                }
            }
            read += 1;
        }
    }

    #[test]
    fn a_record_without_end_is_refused_with_its_number_and_does_not_fill_the_memory() {
        for begin in
            ["{\"a\":1}\n{\"a\":\"", "[{\"a\":1},{\"a\":\"", "a,b\n1,2\n3,\"", "a;b\n1;2\n3;"]
        {
            let mut text = begin.as_bytes().to_vec();
            text.resize(MAX_RECORD_BYTES as usize + 1024 * 1024, b'x');
            let (read, bad) = refused("log", &text);
            assert_eq!(
                (read, bad.line, bad.what.as_str()),
                (1, 2, "longer than 64 MiB"),
                "{begin}"
            );
        }
        let (mut cells, mut problems) = (b"a,b\n1,2\n".to_vec(), Problems::default());
        cells.resize(32 << 20, b',');
        cells.extend(b"\n3,4\n");
        let mut records =
            Table::new(Path::new("log"), Box::new(std::io::Cursor::new(cells))).expect("opens");
        let mut read = 0;
        while records.next_whole(&mut problems).expect("readable").is_some() {
            read += 1;
        }
        assert_eq!((read, problems.total()), (2, 1));
    }

    #[test]
    fn a_document_over_several_lines_is_refused_by_name() {
        let error = read("x.json", b"{\n  \"data\": []\n}\n").expect_err("refused");
        assert!(error.to_string().contains("over several lines"), "{error}");
    }
}
