//! The map of ARCHITECTURE.md, held against the code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pointsman_testkit::root;
use regex::Regex;

/// Rust files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    found.filter(|path| path.extension().is_some_and(|it| it == "rs")).collect()
}

/// The modules of the core by their row in the table, from the bottom up.
fn rows() -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, table) = text.split_once("Inside `core`").unwrap();
    let lines = table.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = lines.take_while(|line| line.starts_with('|')).map(|line| {
        let cell = line.split('|').nth(1).unwrap();
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
    });
    rows.enumerate()
        .flat_map(|(row, names)| names.into_iter().map(move |name| (name, row)))
        .collect()
}

#[test]
fn modules_of_the_core_use_only_what_stands_above_them_on_the_map() {
    let rows = rows();
    let library = std::fs::read_to_string(root().join("crates/core/src/lib.rs")).unwrap();
    let declared = Regex::new(r"(?m)^(?:pub )?mod (\w+);").unwrap();
    let modules: Vec<&str> =
        declared.captures_iter(&library).map(|found| found.get(1).unwrap().as_str()).collect();
    for module in &modules {
        assert!(rows.contains_key(*module), "{module} is not on the map");
    }
    assert_eq!(rows.len(), modules.len(), "the map has more than there is");
    let used = Regex::new(r"\bcrate::(\w+)").unwrap();
    let source = root().join("crates/core/src");
    let mut arrows = Vec::new();
    for path in files(&source) {
        let inside = path.strip_prefix(&source).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if module == "lib" || path.ends_with("tests.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let (code, _) = text.split_once("#[cfg(test)]\nmod tests").unwrap_or((&text, ""));
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for found in used.captures_iter(line) {
                let other = found.get(1).unwrap().as_str();
                let (from, to) = (rows[module], rows.get(other));
                if other != module && to.is_some_and(|to| *to > from) {
                    arrows.push(format!("{}: {}", inside.display(), line.trim()));
                }
            }
        }
    }
    assert!(arrows.is_empty(), "arrows that run down:\n{}", arrows.join("\n"));
}

#[test]
fn no_file_is_longer_than_one_reads_at_once() {
    const LONGEST: usize = 410;
    let folders = ["src", "crates", "examples", "benches", "fuzz/targets"];
    let lists = ["crates/core/src/features/lexicon.rs"];
    for path in folders.iter().flat_map(|folder| files(&root().join(folder))) {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        let is_list = lists.iter().any(|list| path.ends_with(list)) || path.ends_with("tests.rs");
        assert!(lines <= LONGEST || is_list, "{}: {lines} lines", path.display());
    }
}
