//! `filter.yaml`: the filter's own configuration in it, read and replaced.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::super::BadInput;
use super::read;
use super::watched::FILTER;

const CONFIGURATION: &str = "/resources/0/typed_config/config/configuration";
const MODULE: &str = "/resources/0/typed_config/config/vm_config/code/local/filename";

/// The file that Envoy reads the filter from.
pub(super) struct FilterFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
    tree: Value,
}

impl FilterFile {
    pub(super) fn read(directory: &Path) -> Result<Self, BadInput> {
        let text = read(directory, FILTER.name)?;
        let path = directory.join(FILTER.name);
        let tree = parse(&text)
            .map_err(|error| BadInput::new(format!("{}: not YAML: {error}", path.display())))?;
        Ok(FilterFile { path, text, tree })
    }

    /// The module, as Envoy names it.
    pub(super) fn module(&self) -> Result<&str, BadInput> {
        let name = self.tree.pointer(MODULE).and_then(Value::as_str);
        name.ok_or_else(|| self.lacks("the module's file").hint("name the module: --wasm"))
    }

    /// The filter's configuration, to the byte as the filter gets it.
    pub(super) fn configuration(&self) -> Result<String, BadInput> {
        let text = match self.tree.pointer(CONFIGURATION).and_then(|it| it.get("value")) {
            Some(Value::String(text)) => text.clone(),
            // A `Struct` is written as YAML, and Envoy makes JSON of it.
            Some(tree @ Value::Object(_)) => format!("{tree:#}\n"),
            _ => return Err(self.lacks("the filter's configuration")),
        };
        match serde_json::from_str::<IgnoredAny>(&text) {
            Ok(_) => Ok(text),
            Err(error) => {
                let path = self.path.display();
                Err(BadInput::new(format!("{path}: the filter's configuration: not JSON: {error}")))
            }
        }
    }

    /// The file with another configuration, to the byte. All else stays; the lines and comments too,
    /// where the file is written as `pointsman render` writes it.
    pub(super) fn with_configuration(&self, configuration: &str) -> Result<String, BadInput> {
        let mut tree = self.tree.clone();
        let place = tree.pointer_mut(CONFIGURATION);
        let place = place.ok_or_else(|| self.lacks("the filter's configuration"))?;
        let kind = "type.googleapis.com/google.protobuf.StringValue";
        *place = json!({"@type": kind, "value": configuration});
        let edited = self.edited(configuration);
        let edited = edited.filter(|text| parse(text).is_ok_and(|edited| edited == tree));
        Ok(edited.unwrap_or_else(|| format!("{}\n", ascii(&tree.to_string()))))
    }

    /// The file's lines with another value in the first line `value: …` and what hangs on it.
    fn edited(&self, configuration: &str) -> Option<String> {
        let lines: Vec<&str> = self.text.lines().collect();
        let first = lines.iter().position(|line| line.trim_start().starts_with("value: "))?;
        let indent = margin(lines.get(first)?);
        let hangs = |line: &&&str| line.trim().is_empty() || margin(line) > indent;
        let next = first + 1 + lines.iter().skip(first + 1).take_while(hangs).count();
        let quoted = ascii(&Value::from(configuration).to_string());
        let value = format!("{:indent$}value: {quoted}", "");
        let lines = [lines.get(..first)?, &[value.as_str()][..], lines.get(next..)?].concat();
        Some(lines.join("\n") + "\n")
    }

    fn lacks(&self, what: &str) -> BadInput {
        BadInput::new(format!("{}: {what} is not there", self.path.display()))
            .hint("`pointsman render xds` writes such a file")
    }
}

/// How far a line is indented.
fn margin(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn parse(text: &str) -> Result<Value, String> {
    // Without the lines around a mistake: a key may stand there.
    let quiet = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, quiet).map_err(|error| error.to_string())
}

/// JSON as YAML in ASCII: a control character or an unusual space would not be the same to every
/// reader.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            ' '..='~' => text.push(letter),
            _ => {
                let _ = write!(text, "\\U{:08x}", u32::from(letter));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const RENDERED: &str = include_str!("../../../deploy/xds/filter.yaml");

    fn file(text: &str) -> (tempfile::TempDir, FilterFile) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILTER.name), text).unwrap();
        let file = FilterFile::read(directory.path()).unwrap();
        (directory, file)
    }

    #[test]
    fn a_configuration_is_put_in_to_the_byte_and_every_other_line_stays() {
        // Not ASCII, what JSON escapes, and what YAML would take for the end of a line.
        let new = "{\"a\": \"\u{1f600}é\\n\\\\U \u{85}\u{2028}\u{7f}\\u0001\"}\n";
        let (_directory, before) = file(RENDERED);
        let text = before.with_configuration(new).unwrap();
        assert!(text.is_ascii());
        let (_directory, after) = file(&text);
        assert_eq!(after.configuration().unwrap(), new);
        assert_eq!(after.module().unwrap(), "dist/pointsman.wasm");
        let (kept, _) = RENDERED.split_once("        value: |\n").unwrap();
        assert!(text.starts_with(kept), "{text}");
        assert_eq!(text.lines().count(), kept.lines().count() + 1);
        // And once more, from the string that it is now.
        assert_eq!(after.with_configuration(new).unwrap(), text);
    }

    #[test]
    fn what_is_shown_is_what_the_filter_gets() {
        let (_directory, rendered) = file(RENDERED);
        let shown = rendered.configuration().unwrap();
        assert!(shown.starts_with("{\n  \"targets\": [\n") && shown.ends_with("}\n"), "{shown}");
        serde_json::from_str::<Value>(&shown).unwrap();
    }

    #[test]
    fn a_file_that_is_written_in_another_way_is_read_and_replaced_as_well() {
        let new = "{\"é\": 1}";
        let (_directory, rendered) = file(RENDERED);
        let mut structured = rendered.tree.clone();
        structured.pointer_mut(CONFIGURATION).unwrap()["value"] = json!({"mode": "off"});
        // Another line with `value: …` comes first.
        let other = "      vm_config:\n        environment:\n          value: |\n            x\n";
        let other = RENDERED.replace("      vm_config:\n", other);
        let shown = rendered.configuration().unwrap();
        for (text, shown) in [
            (rendered.tree.to_string(), shown.as_str()),
            (structured.to_string(), "{\n  \"mode\": \"off\"\n}\n"),
            (other, shown.as_str()),
        ] {
            let (_directory, before) = file(&text);
            assert_eq!(before.configuration().unwrap(), shown);
            let (_directory, after) = file(&before.with_configuration(new).unwrap());
            assert_eq!(after.configuration().unwrap(), new);
            let vm = "/resources/0/typed_config/config/vm_config";
            assert_eq!(after.tree.pointer(vm), before.tree.pointer(vm));
        }
    }

    #[test]
    fn what_is_no_configuration_is_refused_by_its_place() {
        let (directory, empty) = file("resources: []\n");
        for error in [
            empty.configuration().unwrap_err(),
            empty.with_configuration("{}").unwrap_err(),
            empty.module().unwrap_err(),
        ] {
            assert!(error.to_string().contains("filter.yaml: "), "{error}");
            assert!(error.hint.is_some());
        }
        std::fs::remove_file(directory.path().join(FILTER.name)).unwrap();
        let error = FilterFile::read(directory.path()).err().unwrap();
        assert!(error.hint.unwrap().contains("pointsman render xds"));
    }
}
