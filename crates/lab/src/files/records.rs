//! Records of a file: lines of JSON, the items of a JSON array, or the rows of a CSV table.

use std::io::{BufRead, Error, ErrorKind, Read, Result};
use std::path::{Path, PathBuf};

use csv::ByteRecord;
use serde_json::{Map, Value};

use super::lines::MAX_LINE_BYTES;
use super::{BadLine, Lines, NumberedLine, Problem, Problems, open};

/// The records of one file, each as the bytes of a JSON object. Lines are numbered as lines, items
/// and rows of a table are counted from 1.
pub enum Records {
    Lines(Lines),
    Array(Items),
    Table(Table),
}

impl Records {
    /// Opens a file and finds out by its first bytes and its name what it holds.
    ///
    /// # Errors
    /// As [`open`]; also one JSON document over several lines, which is not a list of records.
    pub fn open(path: &Path) -> Result<Records> {
        let mut reader = open(path)?;
        let start = reader.fill_buf()?;
        let first = start.trim_ascii_start();
        let line = first.split(|&b| b == b'\n').next().unwrap_or_default().trim_ascii_end();
        match first.first() {
            Some(b'[') if starts_array(first) => Ok(Records::Array(Items::new(path, reader))),
            Some(b'{') if line == b"{" => Err(Error::new(
                ErrorKind::Unsupported,
                "one JSON object over several lines is not supported; give one record per line, or a JSON array",
            )),
            Some(b'{' | b'[') | None => Ok(Records::Lines(Lines::from_reader(path, reader))),
            Some(_) if is_named_csv(path) || is_header(line) => {
                Table::new(path, reader).map(Records::Table)
            }
            Some(_) => Ok(Records::Lines(Lines::from_reader(path, reader))),
        }
    }

    /// The next record; what is damaged is counted and passed over.
    ///
    /// # Errors
    /// Damage, where problems are strict.
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

/// `[` with an object behind it, and not a line such as `[1]`.
fn starts_array(text: &[u8]) -> bool {
    let inside = text.get(1..).unwrap_or_default();
    matches!(inside.trim_ascii_start().first(), Some(b'{') | None) && !inside.is_empty()
        || inside.trim_ascii() == b"]"
}

fn is_named_csv(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.ends_with(".csv") || name.ends_with(".csv.gz")
}

/// Several names with commas between them.
fn is_header(line: &[u8]) -> bool {
    let names: Vec<&[u8]> = line.split(|&b| b == b',').collect();
    let is_name = |name: &&[u8]| {
        let name = name.trim_ascii().trim_ascii();
        let name =
            name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name);
        !name.is_empty()
            && name.len() <= 64
            && name.iter().all(|b| b.is_ascii_alphanumeric() || b"_.:/-".contains(b))
    };
    names.len() > 1 && names.iter().all(is_name)
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
                Ok(true) if self.buffer.len() as u64 > MAX_LINE_BYTES => {
                    let what = format!("longer than {MAX_LINE_BYTES} bytes");
                    problems.add(Problem::BrokenLine, &self.path, self.number, what)?;
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
                if self.buffer.len() as u64 <= MAX_LINE_BYTES && !follows {
                    self.buffer.push(byte);
                }
                ended = follows || plain && self.depth == 1 && byte == b'}';
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

/// The rows of a CSV table with a head line, as objects; cells that hold JSON are parsed.
pub struct Table {
    path: PathBuf,
    reader: csv::Reader<Bounded<Box<dyn BufRead + Send>>>,
    names: Vec<String>,
    buffer: Vec<u8>,
    number: usize,
    done: bool,
}

impl Table {
    fn new(path: &Path, reader: Box<dyn BufRead + Send>) -> Result<Self> {
        let mut reader = csv::Reader::from_reader(Bounded::new(reader));
        let names = reader
            .headers()
            .map_err(|error| Error::new(ErrorKind::Unsupported, error.to_string()))?;
        let names = names.iter().map(str::to_owned).collect();
        let path = path.to_owned();
        Ok(Table { path, reader, names, buffer: Vec::new(), number: 0, done: false })
    }

    fn next_whole(
        &mut self,
        problems: &mut Problems,
    ) -> std::result::Result<Option<NumberedLine<'_>>, BadLine> {
        let mut record = ByteRecord::new();
        while !self.done {
            self.number += 1;
            self.reader.get_mut().renew();
            let what = match self.reader.read_byte_record(&mut record) {
                Ok(false) => break,
                Ok(true) => match self.object(&record) {
                    Some(object) => {
                        self.buffer = serde_json::to_vec(&object).unwrap_or_default();
                        let bytes = record.as_slice().len() as u64;
                        return Ok(Some((self.number, &self.buffer, bytes)));
                    }
                    None => "not UTF-8".to_owned(),
                },
                Err(error) => {
                    self.done = error.is_io_error();
                    error.to_string()
                }
            };
            let kind = if self.done { Problem::UnreadableFile } else { Problem::BrokenLine };
            problems.add(kind, &self.path, self.number, what)?;
        }
        self.done = true;
        Ok(None)
    }

    fn object(&self, record: &ByteRecord) -> Option<Map<String, Value>> {
        let cells = self.names.iter().zip(record);
        cells
            .map(|(name, cell)| {
                let text = std::str::from_utf8(cell).ok()?;
                let parsed = text
                    .trim_start()
                    .starts_with(['{', '['])
                    .then(|| serde_json::from_str(text).ok());
                Some((name.clone(), parsed.flatten().unwrap_or_else(|| text.into())))
            })
            .collect()
    }
}

/// Ends a record that grows without bound: one quotation mark that is never closed makes the rest of
/// a file one cell.
pub struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R> Bounded<R> {
    pub fn new(inner: R) -> Self {
        Bounded { inner, left: MAX_LINE_BYTES }
    }

    /// A new record begins.
    pub fn renew(&mut self) {
        self.left = MAX_LINE_BYTES;
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.left == 0 {
            let what = format!("a record is longer than {MAX_LINE_BYTES} bytes");
            return Err(Error::new(ErrorKind::FileTooLarge, what));
        }
        let read = self.inner.read(buffer)?;
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
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
    fn a_cell_without_end_is_reported_and_does_not_fill_the_memory() {
        let mut table = b"a,b\n1,\"".to_vec();
        table.resize(MAX_LINE_BYTES as usize + 1024 * 1024, b'x');
        let (found, problems) = read("log.csv", &table).expect("opens");
        assert_eq!((found.len(), problems.counts().get(&Problem::UnreadableFile)), (0, Some(&1)));
    }

    #[test]
    fn a_document_over_several_lines_is_refused_by_name() {
        let error = read("x.json", b"{\n  \"data\": []\n}\n").expect_err("refused");
        assert!(error.to_string().contains("over several lines"), "{error}");
    }
}
