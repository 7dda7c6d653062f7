//! Files as people have them: tables of spreadsheets are read, what cannot be read is refused by name.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::from_log::{SAMPLE, path, run, stderr, stdout};

fn write(directory: &Path, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let file = directory.join(name);
    fs::write(&file, bytes).unwrap();
    path(&file).to_owned()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Every command that reads a file of records, with the file in the place of `FILE`.
const READERS: [&str; 10] = [
    "features FILE",
    "train --data FILE --out OUT",
    "train --accept --data FILE --out OUT",
    "evaluate --data FILE --model MODEL",
    "calibrate --data FILE --model MODEL --quality 0.9",
    "label --no-replay FILE",
    "label --audit FILE FILE",
    "estimate --log FILE --policy cheap",
    "report --log FILE",
    "cache calibrate --pairs FILE",
];
const IMPORT: &str = "import --format csv --cheap c --strong s FILE";

/// Runs a reader on a file; its exit status and what it says.
fn read(command: &str, file: &str, out: &str) -> (Option<i32>, String) {
    let model = SAMPLE.model();
    let arguments: Vec<&str> = command
        .split(' ')
        .map(|word| match word {
            "FILE" => file,
            "OUT" => out,
            "MODEL" => path(&model),
            word => word,
        })
        .collect();
    let output = run(&arguments, b"");
    (output.status.code(), stderr(&output))
}

fn assert_refused(command: &str, file: &str, what: &str) {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let (code, said) = read(command, file, path(&out));
    assert_eq!(code, Some(2), "{command} {file}: {said}");
    let named = format!("error: {file}: {what}");
    assert!(said.contains(&named) && said.contains("\nhint: "), "{command}, {named}: {said}");
    assert!(!out.exists(), "{command}");
}

#[test]
fn formats_that_are_not_read_are_refused_by_every_reader() {
    let directory = tempfile::tempdir().unwrap();
    let rows = "{\"prompt\": \"Why?\", \"cheap_ok\": 1}\n".repeat(20);
    let utf16 = |units: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("\u{feff}{rows}").encode_utf16().flat_map(units).collect()
    };
    let mut tar = vec![0; 1024];
    tar[..10].copy_from_slice(b"rows.jsonl");
    tar[257..262].copy_from_slice(b"ustar");
    let cases: [(&str, Vec<u8>, &str); 13] = [
        // No name says what a file is.
        ("rows.jsonl", b"BZh91AY&SY\x19\x8c\x8c\x8c".to_vec(), "bzip2 is not supported"),
        ("rows.csv", b"\xfd7zXZ\0\0\x04\xe6\xd6".to_vec(), "xz is not supported"),
        ("rows.gz", b"\x28\xb5\x2f\xfd\x04\x58".to_vec(), "zstd is not supported"),
        ("rows.txt", b"PK\x03\x04\x14\0\0\0".to_vec(), "ZIP is not supported"),
        ("rows.db", b"SQLite format 3\0\x10\0\x01\x01".to_vec(), "SQLite is not supported"),
        ("rows.pq", b"PAR1\x15\x04\x15\x10".to_vec(), "Parquet is not supported"),
        ("rows.tar", tar.clone(), "tar is not supported"),
        ("rows.tgz", gzip(&tar), "tar is not supported"),
        ("twice.gz", gzip(&gzip(rows.as_bytes())), "gzip within gzip is not supported"),
        ("le.jsonl", utf16(u16::to_le_bytes), "UTF-16 is not supported"),
        ("be.jsonl.gz", gzip(&utf16(u16::to_be_bytes)), "UTF-16 is not supported"),
        (
            "rows.pkl",
            b"\x80\x04\x95\x2a\0\0\0\0\0\0\0]\x94".to_vec(),
            "binary data is not supported",
        ),
        (
            "latin1.csv",
            b"Gr\xf6\xdfe;c;s\n1;0;1\n".to_vec(),
            "text in another encoding than UTF-8 is not supported",
        ),
    ];
    for (name, bytes, what) in cases {
        let file = write(directory.path(), name, bytes);
        for command in READERS.into_iter().chain([IMPORT]) {
            assert_refused(command, &file, what);
        }
    }
    for command in READERS.into_iter().chain([IMPORT]) {
        assert_refused(command, path(directory.path()), "this is a directory");
    }
}

#[test]
fn records_that_are_not_lines_are_refused_where_lines_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let table = "id;prompt;cheap_ok\n1;Why?;1\n2;How?;0\n";
    for (name, text, what) in [
        ("rows.csv", table.to_owned(), "a table (CSV) is not supported"),
        ("rows.tsv", table.replace(';', "\t"), "a table (CSV) is not supported"),
        ("rows.json", "[{\"prompt\": \"Why?\"},\n {}]".into(), "a JSON array of records is not"),
        ("one.json", "{\n  \"prompt\": \"Why?\"\n}\n".into(), "one JSON object over several lines"),
    ] {
        let file = write(directory.path(), name, text);
        for command in READERS.into_iter().filter(|it| !it.starts_with("label")) {
            assert_refused(command, &file, what);
        }
    }
}

#[test]
fn a_table_is_read_by_the_sign_between_its_columns() {
    let directory = tempfile::tempdir().unwrap();
    let request = "\"{\"\"messages\"\": [{\"\"role\"\": \"\"user\"\", \"\"content\"\": \"\"2 + 2; 3?\"\"}]}\"";
    let table = |sign: &str| {
        let rows = [
            ["id", "request", "response", "cheap_response"],
            ["a", request, "\"4; 5, 6\"", "\"4; 5, 6\""],
            ["b", "\"Why?\"", "Blue", "Red"],
        ];
        rows.map(|row| row.join(sign)).join("\r\n")
    };
    let log = |name: &str, text: String| {
        let file = write(directory.path(), name, text);
        stdout(&["label", "--no-replay", "--evaluator", "exact", &file], b"")
    };
    let expected = log("log.csv", table(","));
    let labels = expected.lines().map(|row| {
        let row: Value = serde_json::from_str(row).unwrap();
        row["label"]["cheap_ok"].clone()
    });
    assert_eq!(labels.collect::<Vec<_>>(), [json!(true), json!(false)]);
    for (name, text) in [
        ("semicolons.txt", table(";")),
        ("tabs.csv", table("\t")),
        ("bars", table("|")),
        ("excel.csv", format!("sep=;\r\n{}", table(";"))),
    ] {
        assert_eq!(log(name, text), expected, "{name}");
    }

    let import = |table: &str| {
        let import = ["import", "--format", "csv", "--cheap", "small", "--strong", "large"];
        stdout(&[&import[..], &["--scale", "10"]].concat(), table.as_bytes())
    };
    let expected = import("prompt,small,large\nWhy?,7.5,10\nHow?,2,9.25\n");
    assert_eq!(expected.lines().count(), 2);
    for table in [
        "prompt;small;large\r\nWhy?;7,5;10\r\nHow?;2;9,25\r\n",
        "sep=;\nprompt;small;large\nWhy?;7,5;10\nHow?;2;9,25\n",
        "prompt\tsmall\tlarge\nWhy?\t7.5\t10\nHow?\t2\t9.25\n",
        "prompt|small|large\nWhy?|7.5|10\nHow?|2|9.25\n",
    ] {
        assert_eq!(import(table), expected, "{table}");
    }
}

#[test]
fn a_record_without_end_is_refused_with_its_number() {
    const LONG: usize = (64 << 20) + (1 << 20);
    let directory = tempfile::tempdir().unwrap();
    let endless = |name: &str, begin: &str| {
        let mut bytes = begin.as_bytes().to_vec();
        bytes.resize(LONG, b'x');
        write(directory.path(), name, gzip(&bytes))
    };
    let row = json!({"prompt": "Why?", "cheap_ok": 1, "response": "a", "cheap_response": "a"});
    let line = endless("line", &format!("{row}\n{{\"prompt\": \""));
    let item = endless("item", &format!("[{row}, {{\"prompt\": \""));
    let cell =
        endless("cell", "request,response,cheap_response,c,s,prompt\nWhy?,a,a,1,1,Why?\nHow?,\"");
    let out = directory.path().join("out");
    for command in READERS {
        let (code, said) = read(command, &line, path(&out));
        let named = said.contains(&format!("error: {line}:2: longer than 64 MiB"));
        assert!(code == Some(2) && named && said.contains("\nhint: "), "{command}: {said}");
    }
    assert!(!out.exists());
    for (command, file, place) in [
        ("label --no-replay FILE", &item, 2),
        ("label --no-replay FILE", &cell, 2),
        (IMPORT, &cell, 3),
    ] {
        let (code, said) = read(command, file, "");
        let named = said.contains(&format!("error: {file}:{place}: longer than 64 MiB"));
        assert!(code == Some(2) && named && said.contains("\nhint: "), "{command}: {said}");
    }
}

#[test]
fn rows_of_which_none_can_be_read_are_no_success() {
    let directory = tempfile::tempdir().unwrap();
    let page = write(directory.path(), "page.jsonl", "<html>\n<body>Sign in</body>\n</html>\n");
    let scores = write(directory.path(), "scores.csv", "prompt,c,s\nWhy?,7,9\nHow?,8,9\n");
    for (command, file, what) in [
        ("features FILE", &page, "none of the 3 rows could be read"),
        (IMPORT, &scores, "none of the 2 rows could be used"),
    ] {
        let (code, said) = read(command, file, "");
        assert!(code == Some(2) && said.contains(what) && said.contains("\nhint: "), "{said}");
    }
    let empty = write(directory.path(), "empty.jsonl", "");
    assert_eq!(read("features FILE", &empty, "").0, Some(0), "a partition may be empty");
}
