//! What a file holds, by its first bytes: never by its name.

use std::io::{Error, ErrorKind};

use serde::de::IgnoredAny;

/// The first bytes of a file that tell what it is.
pub(super) const START_BYTES: usize = 1 << 16;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A file that is not read, and what makes it one that is.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
struct Refused {
    what: String,
    hint: &'static str,
}

/// What to do about a file that was refused by its first bytes.
pub fn hint(error: &Error) -> Option<&'static str> {
    error.get_ref()?.downcast_ref::<Refused>().map(|refused| refused.hint)
}

fn refused(kind: ErrorKind, what: String, hint: &'static str) -> Error {
    Error::new(kind, Refused { what, hint })
}

fn unsupported(name: &str, hint: &'static str) -> Error {
    refused(ErrorKind::Unsupported, format!("{name} is not supported"), hint)
}

pub(super) fn directory() -> Error {
    let hint = "name the files in it";
    refused(ErrorKind::IsADirectory, "this is a directory, not a file".into(), hint)
}

pub(super) fn document() -> Error {
    unsupported(
        "one JSON object over several lines",
        "give one record per line, or a JSON array of records",
    )
}

/// Where only lines are read.
pub(super) fn array() -> Error {
    unsupported("a JSON array of records", "give one record per line: jq -c '.[]' FILE")
}

/// Where only lines are read.
pub(super) fn table() -> Error {
    let hint =
        "give one JSON object per line; `pointsman import` makes rows of a table with scores";
    unsupported("a table (CSV)", hint)
}

const UNPACK: &str = "unpack the file; gzip is read as it is";
const EXPORT: &str = "export it as JSONL or CSV";
const ENCODE: &str = "convert it to UTF-8, for example with iconv";
const TEXT: &str = "give text in UTF-8, plain or gzip";

/// Marks at a place of a file. Longer ones first, where one begins with another.
const MARKS: &[(usize, &[u8], &str, &str)] = &[
    (0, b"\x28\xb5\x2f\xfd", "zstd", UNPACK),
    (0, b"BZh", "bzip2", UNPACK),
    (0, b"\xfd7zXZ\0", "xz", UNPACK),
    (0, b"\x5d\0\0", "LZMA", UNPACK),
    (0, b"LZIP", "lzip", UNPACK),
    (0, b"\x04\x22\x4d\x18", "LZ4", UNPACK),
    (0, b"\xff\x06\0\0sNaPpY", "Snappy", UNPACK),
    (0, b"\x1f\x9d", "compress (.Z)", UNPACK),
    // What was inside of gzip.
    (0, b"\x1f\x8b", "gzip within gzip", "unpack the file once"),
    (0, b"PK\x03\x04", "ZIP", "unpack the archive; a workbook (.xlsx) can be exported as CSV"),
    (0, b"PK\x05\x06", "ZIP", "the archive is empty"),
    (0, b"PK\x07\x08", "ZIP", "unpack the archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "7-Zip", "unpack the archive"),
    (0, b"Rar!\x1a\x07", "RAR", "unpack the archive"),
    (257, b"ustar", "tar", "unpack the archive: tar -xf FILE"),
    (0, b"SQLite format 3\0", "SQLite", "export the table: sqlite3 -csv -header FILE 'SELECT …'"),
    (0, b"PAR1", "Parquet", EXPORT),
    (0, b"PARE", "Parquet", EXPORT),
    (0, b"ORC\x0a", "ORC", EXPORT),
    (0, b"Obj\x01", "Avro", EXPORT),
    (0, b"ARROW1", "Arrow", EXPORT),
    (0, b"\x89HDF", "HDF5", EXPORT),
    (8, b"DUCK", "DuckDB", EXPORT),
    (0, b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", EXPORT),
    (0, b"%PDF-", "PDF", TEXT),
    (0, b"\xff\xfe\0\0", "UTF-32", ENCODE),
    (0, b"\0\0\xfe\xff", "UTF-32", ENCODE),
    (0, b"\xff\xfe", "UTF-16", ENCODE),
    (0, b"\xfe\xff", "UTF-16", ENCODE),
];

/// How many bytes of a text are its byte order mark.
///
/// # Errors
/// What begins like this is not text in UTF-8: its format, by name.
pub(super) fn check(start: &[u8]) -> Result<usize, Error> {
    let is_there = |at: usize, mark: &[u8]| start.get(at..).is_some_and(|it| it.starts_with(mark));
    if let Some((_, _, name, hint)) = MARKS.iter().find(|(at, mark, ..)| is_there(*at, mark)) {
        return Err(unsupported(name, hint));
    }
    let text = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start);
    let is_plain = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    match text {
        [0, 0, 0, byte, ..] | [byte, 0, 0, 0, ..] if is_plain(byte) => {
            return Err(unsupported("UTF-32", ENCODE));
        }
        [0, byte, ..] | [byte, 0, ..] if is_plain(byte) => {
            return Err(unsupported("UTF-16", ENCODE));
        }
        _ => {}
    }
    let line = first_line(text);
    let line = line.get(..1024).unwrap_or(line);
    let is_control = |byte: &u8| *byte < b' ' && !b"\t\x0b\x0c\r\x1b".contains(byte);
    let is_utf8 =
        std::str::from_utf8(line).map_or_else(|error| error.error_len().is_none(), |_| true);
    // A log whose first line alone is damaged is a log.
    if line.starts_with(b"{") || line.starts_with(b"[") || holds_records(rest(text)) {
        return Ok(start.len() - text.len());
    }
    if line.iter().any(is_control) {
        return Err(unsupported("binary data", TEXT));
    }
    if !is_utf8 {
        return Err(unsupported("text in another encoding than UTF-8", ENCODE));
    }
    Ok(start.len() - text.len())
}

/// How a text holds its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Lines,
    Array,
    /// One JSON object over several lines.
    Document,
    /// Columns with names.
    Table,
}

/// The shape of a text, by its beginning. `is_table` says that its owner calls it one.
pub(super) fn shape(start: &[u8], is_table: bool) -> Shape {
    let text = start.trim_ascii_start();
    let line = first_line(text);
    match text.first() {
        None => Shape::Lines,
        Some(b'[') if starts_array(text) => Shape::Array,
        Some(b'{') if line == b"{" || is_document(line, rest(text)) => Shape::Document,
        Some(b'{' | b'[') => Shape::Lines,
        // A banner is followed by records, a head line by cells.
        Some(_) if is_record_next(rest(text), start.len()) => Shape::Lines,
        Some(_) if is_table || separator(line).is_some() || is_head(line) => Shape::Table,
        Some(_) => Shape::Lines,
    }
}

fn first_line(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii_end()
}

/// What is behind the first line.
fn rest(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|&byte| byte == b'\n').map_or(text.len(), |at| at + 1);
    text.get(end..).unwrap_or_default()
}

fn is_record(line: &[u8]) -> bool {
    line.starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(line).is_ok()
}

/// Whether a line is a record; indented objects are parts of something else.
fn holds_records(text: &[u8]) -> bool {
    text.split(|&byte| byte == b'\n').any(is_record)
}

/// Whether the next line is a record, or the beginning of one that is longer than what is known.
fn is_record_next(text: &[u8], known: usize) -> bool {
    let text = text.trim_ascii_start();
    let is_cut = known + BYTE_ORDER_MARK.len() >= START_BYTES && !text.contains(&b'\n');
    is_record(first_line(text)) || is_cut && text.starts_with(b"{\"")
}

/// `[` with an object behind it, and not a line such as `[1]`.
fn starts_array(text: &[u8]) -> bool {
    let inside = text.get(1..).unwrap_or_default();
    matches!(inside.trim_ascii_start().first(), Some(b'{') | None) && !inside.is_empty()
        || inside.trim_ascii() == b"]"
}

/// A first line that ends inside of its object, and goes on in the next one.
fn is_document(line: &[u8], rest: &[u8]) -> bool {
    let ends_inside = || {
        let parsed = serde_json::from_slice::<IgnoredAny>(line);
        parsed.is_err_and(|error| error.is_eof())
    };
    let is_followed = !rest.trim_ascii().is_empty() && !rest.starts_with(b"{");
    is_followed && ends_inside() && !holds_records(rest)
}

/// Signs between the cells of a table.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// What spreadsheets say of a table in a line before it: `sep=;`.
pub(super) fn separator(line: &[u8]) -> Option<u8> {
    match line.strip_prefix(b"sep=") {
        Some([sign]) => Some(*sign),
        // Behind it, a tab is white space.
        Some([]) => Some(b'\t'),
        _ => None,
    }
}

/// The sign between the names of a head line: the one that stands there most often outside of
/// quotation marks; a comma where there is none.
pub(super) fn delimiter(start: &[u8]) -> u8 {
    let line = first_line(start);
    let count = |sign: u8| {
        let mut quoted = false;
        let outside = line.iter().filter(|&&byte| {
            quoted ^= byte == b'"';
            !quoted && byte == sign
        });
        outside.count()
    };
    // Of equals the last is taken.
    SEPARATORS.into_iter().rev().max_by_key(|&sign| count(sign)).unwrap_or(b',')
}

/// Several names with one sign between them. One may be missing: that of a table's index.
fn is_head(line: &[u8]) -> bool {
    let sign = delimiter(line);
    let names = line.split(|&byte| byte == sign).map(|name| {
        let name = name.trim_ascii();
        let inside = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\""));
        inside.unwrap_or(name)
    });
    let is_name = |name: &&[u8]| {
        let is_part = |byte: &u8| {
            byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"_.:/- ()#@".contains(byte)
        };
        name.len() <= 64 && name.iter().all(is_part)
    };
    let names: Vec<&[u8]> = names.collect();
    names.iter().filter(|name| !name.is_empty()).count() > 1 && names.iter().all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(start: &[u8]) -> Option<String> {
        check(start).err().map(|error| {
            assert!(hint(&error).is_some(), "{error}");
            error.to_string()
        })
    }

    #[test]
    fn what_is_not_text_in_utf_8_is_refused_by_name() {
        let mut tar = vec![0; 512];
        tar[..9].copy_from_slice(b"log.jsonl");
        tar[257..262].copy_from_slice(b"ustar");
        let cases: [(&[u8], &str); 22] = [
            (b"\x28\xb5\x2f\xfd\x04\0", "zstd"),
            (b"BZh91AY&SY", "bzip2"),
            (b"BZh1\x17rE8P\x90", "bzip2"),
            (b"\xfd7zXZ\0\0", "xz"),
            (b"\x04\x22\x4d\x18\x64", "LZ4"),
            (b"\x1f\x9d\x90", "compress"),
            (b"\x1f\x8b\x08\0", "gzip within gzip"),
            (b"PK\x03\x04\x14\0", "ZIP"),
            (b"PK\x05\x06\0\0", "ZIP"),
            (b"7z\xbc\xaf\x27\x1c\0", "7-Zip"),
            (&tar, "tar"),
            (b"SQLite format 3\0\x10\0", "SQLite"),
            (b"PAR1\x15\x04", "Parquet"),
            (b"Obj\x01\x04\x14", "Avro"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel"),
            (b"\xff\xfe{\0\"\0", "UTF-16"),
            (b"\xfe\xff\0{\0\"", "UTF-16"),
            (b"{\0\"\0i\0", "UTF-16"),
            (b"\xff\xfe\0\0{\0\0\0", "UTF-32"),
            (b"{\0\0\0\"\0\0\0", "UTF-32"),
            (b"\x80\x04\x95\x10\0\0\0", "binary data"),
            (b"Gr\xf6\xdfe;Antwort\n5;6\n", "text in another encoding"),
        ];
        for (start, name) in cases {
            let found = refusal(start).unwrap_or_default();
            assert!(found.starts_with(name) && found.ends_with("is not supported"), "{found}");
        }
    }

    #[test]
    fn text_is_text_however_it_begins() {
        for (start, mark) in [
            (&b""[..], 0),
            (b"\xef\xbb\xbf{\"a\":1}", 3),
            (b"{\"a\":\"caf\xe9\"}\n", 0),
            (b"not json\n", 0),
            ("Größe;Antwort\n".as_bytes(), 0),
            (b"\x1b[32mstarted\x1b[0m\n", 0),
            (b"\0\0\0\0cut by a crash\n{\"a\":1}\n", 0),
        ] {
            assert_eq!(check(start).expect("text"), mark, "{start:?}");
        }
        // A character that the beginning cuts in two.
        let mut long = vec![b'x'; 1023];
        long.extend("é".as_bytes());
        assert_eq!(check(&long).expect("text"), 0);
    }

    #[test]
    fn the_shape_of_a_text_is_that_of_its_beginning() {
        for (text, expected) in [
            ("", Shape::Lines),
            ("{\"a\": 1}\n{\"a\": 2}\n", Shape::Lines),
            ("[1]\n{\"a\": 1}\n", Shape::Lines),
            ("[{\"a\": 1}]", Shape::Array),
            ("[\n{\"a\": 1}]", Shape::Array),
            ("{\n\"a\": 1}", Shape::Document),
            ("{\"data\": [\n  {\"a\": 1},\n  {\"a\": 2}\n]}", Shape::Document),
            ("{\"id\": \"cut\n{\"id\": \"cut, too\n", Shape::Lines),
            ("{\"id\": \"cut\nnot json\n{\"id\": 1}\n", Shape::Lines),
            ("{\"id\": \"cut", Shape::Lines),
            ("id,input,output\n", Shape::Table),
            ("id;input;output\r\n1;\"a;b\";c\r\n", Shape::Table),
            ("id\tinput\n", Shape::Table),
            ("\"Trace ID\"|\"Input (raw)\"\n", Shape::Table),
            (",id,request\n0,a,b\n", Shape::Table),
            ("Frage;Größe\n", Shape::Table),
            ("sep=;\nid;input\n", Shape::Table),
            ("request\tresponse\n{\"a\":1}\t{\"b\":2}\n", Shape::Table),
            ("Starting, please wait\n{\"a\": 1}\n", Shape::Lines),
            ("not json\n", Shape::Lines),
            ("x\": 1, \"y\": 2}\n", Shape::Lines),
        ] {
            assert_eq!(shape(text.as_bytes(), false), expected, "{text}");
        }
        assert_eq!(shape(b"prompt\nhi\n", true), Shape::Table);
    }

    #[test]
    fn the_sign_between_cells_is_read_off_the_head_line() {
        for (line, sign) in [
            ("a,b", b','),
            ("a;b;c", b';'),
            ("a\tb", b'\t'),
            ("a|b", b'|'),
            ("\"a;b;c\",d", b','),
            ("\"a,b,c\";d\n1,2,3,4", b';'),
            ("a", b','),
        ] {
            assert_eq!(delimiter(line.as_bytes()), sign, "{line}");
        }
    }
}
