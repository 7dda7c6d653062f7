use super::*;

fn convert_with(
    csv: &[u8],
    columns: &Columns,
    problems: &mut Problems,
) -> Result<(Vec<Value>, Imported), ImportError> {
    let mut output = Vec::new();
    let imported = import(Path::new("set.csv"), csv, columns, problems, &mut output)?;
    let rows = serde_json::Deserializer::from_slice(&output).into_iter();
    Ok((rows.collect::<Result<_, _>>().unwrap_or_default(), imported))
}

fn convert(csv: &str, columns: &Columns) -> Result<(Vec<Value>, Imported), ImportError> {
    convert_with(csv.as_bytes(), columns, &mut Problems::default())
}

#[test]
fn a_routellm_evaluation_becomes_rows() {
    let csv = "prompt,weak/model,strong-model,weak/model_response\n\"Is it?\nA. 1\",True,False,\"x, y\"\nWhy?,False,True,z\n";
    let (rows, imported) =
        convert(csv, &Columns::routellm("weak/model", "strong-model")).expect("converted");
    assert_eq!(imported, Imported { rows: 2, cheap_ok: 1 });
    assert_eq!(
        rows[0],
        serde_json::json!({"id": "set-0", "prompt": "Is it?\nA. 1", "source": "set",
            "scores": {"cheap": 1.0, "strong": 0.0},
            "label": {"cheap_ok": true, "quality": 1.0, "evaluator": "imported"}})
    );
    assert_eq!(rows[1]["label"]["cheap_ok"], false);
}

#[test]
fn a_wide_routerbench_table_becomes_rows_of_two_models() {
    let csv = "sample_id,prompt,eval_name,m1,m2,m3,m1|model_response\nmmlu.1,\"['It\\'s A\\nor B?']\",mmlu,0.25,1.0,0,A\nmmlu.2,\"[\"\"two\"\", \"\"parts\"\"]\",mmlu,,1.0,0,A\narc.1,plain,arc,0.5,0.5,1,B\n";
    let (rows, imported) = convert(csv, &Columns::routerbench("m1", "m2")).expect("converted");
    assert_eq!(imported, Imported { rows: 2, cheap_ok: 1 });
    assert_eq!(rows[0]["prompt"], "It's A\nor B?");
    assert_eq!(rows[0]["id"], "mmlu.1");
    assert_eq!(rows[1]["source"], "arc");
}

#[test]
fn scores_of_another_scale_are_divided() {
    let columns = Columns { scale: 10.0, ..Columns::routellm("c", "s") };
    let (rows, _) = convert("prompt,c,s\nhi,7,9.5\n", &columns).expect("converted");
    assert_eq!(rows[0]["scores"], serde_json::json!({"cheap": 0.7, "strong": 0.95}));
}

#[test]
fn what_is_wrong_with_a_row_is_named_and_skipped_or_ends_the_run() {
    let columns = Columns { id: Some("id".into()), ..Columns::routellm("c", "s") };
    let csv = b"id,prompt,c,s\na,one,1,yes\nb,two,7,1\nc,three,,1\nd,,1,1\n\
        e,short,1\nf,\xff,1,1\ng,good,1,1\ng,again,0,1\nh,last,0,1\n";
    let mut problems = Problems::default();
    let (rows, imported) = convert_with(csv, &columns, &mut problems).expect("converted");
    assert_eq!(imported, Imported { rows: 2, cheap_ok: 1 });
    assert_eq!((&rows[0]["id"], &rows[1]["id"]), (&"g".into(), &"h".into()));
    let named = problems.take_named();
    for (place, what) in [
        ("set.csv:2: ", "column `s`: `yes` is neither"),
        ("set.csv:3: ", "column `c`: 7 is not in 0..1"),
        ("set.csv:4: ", "column `c`: no score"),
        ("set.csv:5: ", "column `prompt`: no prompt"),
        ("set.csv:6: ", "3 fields"),
        ("set.csv:7: ", "UTF-8"),
        ("set.csv:9: ", "duplicate ID `g`"),
    ] {
        let found = named.iter().any(|line| line.starts_with(place) && line.contains(what));
        assert!(found, "{place}{what}: {named:?}");
    }
    assert_eq!((named.len(), problems.total()), (7, 7));
    let error = convert_with(csv, &columns, &mut Problems::new(true)).expect_err("strict");
    assert!(error.to_string().starts_with("set.csv:2: column `s`"), "{error}");
}

#[test]
fn a_cell_without_end_is_refused_with_its_line_and_does_not_fill_the_memory() {
    let columns = Columns::routellm("c", "s");
    let cell = io::repeat(b'x').take(1 << 40);
    let csv = b"prompt,c,s\nhi,1,1\n\"".chain(cell);
    let (mut problems, mut output) = (Problems::default(), Vec::new());
    let refused = import(Path::new("set.csv"), csv, &columns, &mut problems, &mut output);
    assert_eq!(refused.expect_err("refused").to_string(), "set.csv:3: longer than 64 MiB");
}

#[test]
fn tables_of_spreadsheets_have_other_signs_between_cells_and_decimal_commas() {
    let columns = Columns { scale: 10.0, ..Columns::routellm("c", "s") };
    for csv in [
        "prompt;c;s\r\n\"hi; you\";7,5;10\r\n",
        "sep=;\r\nprompt;c;s\r\n\"hi; you\";7,5;10\r\n",
        "prompt\tc\ts\nhi; you\t7,5\t10\n",
        "prompt|c|s\nhi; you|7.5|10\n",
        "prompt,c,s\nhi; you,7.5,10\n",
    ] {
        let (rows, _) = convert(csv, &columns).expect("converted");
        assert_eq!(rows[0]["prompt"], "hi; you", "{csv}");
        assert_eq!(rows[0]["scores"], serde_json::json!({"cheap": 0.75, "strong": 1.0}), "{csv}");
    }
    // Between commas, one in a cell may group digits.
    let (rows, _) = convert("prompt,c,s\nhi,\"7,500\",10\n", &columns).expect("converted");
    assert!(rows.is_empty());
}

#[test]
fn fields_without_end_are_counted_as_one_bad_row() {
    let columns = Columns::routellm("c", "s");
    let commas = || io::repeat(b',').take(20 << 20);
    let csv = b"prompt,c,s\nhi,1,1\nx".chain(commas()).chain(&b"\ny,0,1\nz,1,1,\nw,1,0\n"[..]);
    let (mut problems, mut output) = (Problems::default(), Vec::new());
    let imported = import(Path::new("set.csv"), csv, &columns, &mut problems, &mut output);
    assert_eq!(imported.expect("converted").rows, 3);
    assert_eq!(problems.counts().get(&Problem::BrokenLine), Some(&2));
    let named = problems.take_named();
    let what = "more than the 3 fields of the head line";
    assert_eq!(named, [format!("set.csv:3: {what}"), format!("set.csv:5: {what}")]);
    let head = b"prompt,c,s".chain(commas()).chain(&b"\nhi,1,1\n"[..]);
    let refused = import(Path::new("set.csv"), head, &columns, &mut problems, &mut output);
    assert_eq!(refused.expect_err("refused").to_string(), "set.csv: more than 16384 columns");
}

#[test]
fn a_missing_column_is_named_with_those_that_are_there() {
    let error = convert("prompt,c\nhi,1\n", &Columns::routellm("c", "s")).expect_err("refused");
    assert_eq!(error.to_string(), "set.csv: no column `s`; the columns are: prompt, c");
}

#[test]
fn a_file_that_is_not_csv_is_refused_without_its_text() {
    let row = r#"{"id": "a", "prompt": "my secret question, which is long and private"}"#;
    let error = convert(row, &Columns::routellm("c", "s")).expect_err("refused").to_string();
    assert!(!error.contains("secret") && !error.contains("private"), "{error}");
}
