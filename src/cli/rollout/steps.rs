//! The order in which the files of a changed deployment are put in place.

use serde_json::Value;

use super::watched::{CLUSTERS, FILTER, LISTENERS, WatchedFile};
use pointsman_gateway::render::Files;

/// A file, and what is put in its place.
pub(in crate::cli) type Step = (WatchedFile, String);

/// What is put in place, one after the other: whatever is named stands before it is used, and goes
/// after it was used last. Endpoints that change have new names, so that old and new ones stand side
/// by side in between.
///
/// # Errors
///
/// A file is not YAML.
pub(in crate::cli) fn steps(old: &Files, new: &Files) -> Result<Vec<Step>, String> {
    let text = |files: &Files, file: WatchedFile| files.get(file.name).cloned().unwrap_or_default();
    let mut steps: Vec<Step> = Vec::new();
    let mut now = old.clone();
    let both = |file: WatchedFile, first: &Files, second: &Files| {
        union(&text(first, file), &text(second, file))
            .map_err(|error| format!("{}: not YAML: {error}", file.name))
    };
    for (file, content) in [
        (CLUSTERS, both(CLUSTERS, old, new)?),
        (LISTENERS, both(LISTENERS, new, old)?),
        (CLUSTERS, both(CLUSTERS, new, old)?),
        (FILTER, text(new, FILTER)),
        (LISTENERS, text(new, LISTENERS)),
        (CLUSTERS, text(new, CLUSTERS)),
    ] {
        if now.get(file.name) != Some(&content) {
            now.insert(file.name.to_owned(), content.clone());
            steps.push((file, content));
        }
    }
    Ok(steps)
}

/// The first file, and the resources of the second that have no name of the first's. The first's own
/// text where that is all.
fn union(first: &str, second: &str) -> Result<String, String> {
    let read = |text: &str| -> Result<Value, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    };
    let (mut whole, more) = (read(first)?, read(second)?);
    let resources = |tree: &Value| tree["resources"].as_array().cloned().unwrap_or_default();
    let known = resources(&whole);
    let is_new = |it: &Value| known.iter().all(|other| other["name"] != it["name"]);
    let added: Vec<Value> = resources(&more).into_iter().filter(is_new).collect();
    if added.is_empty() {
        return Ok(first.to_owned());
    }
    whole["resources"] = known.into_iter().chain(added).collect();
    Ok(whole.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(clusters: &[&str], listeners: &[&str]) -> Files {
        let list = |names: &[&str]| {
            let lines = names.iter().map(|name| format!("- {{name: {name}}}\n"));
            format!("resources:\n{}", lines.collect::<String>())
        };
        Files::from([
            ("clusters.yaml".to_owned(), list(clusters)),
            ("listeners.yaml".to_owned(), list(listeners)),
            ("filter.yaml".to_owned(), "resources: []\n".to_owned()),
        ])
    }

    fn names(text: &str) -> Vec<String> {
        let tree: Value = serde_saphyr::from_str(text).unwrap();
        let name = |it: &Value| it["name"].as_str().unwrap().to_owned();
        tree["resources"].as_array().unwrap().iter().map(name).collect()
    }

    #[test]
    fn what_is_new_stands_before_it_is_used_and_what_is_old_goes_last() {
        let steps = steps(
            &files(&["group", "old"], &["llm", "old"]),
            &files(&["group", "new"], &["llm", "new"]),
        );
        let steps = steps.unwrap();
        let seen: Vec<(&str, Vec<String>)> =
            steps.iter().map(|(file, text)| (file.name, names(text))).collect();
        let own = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            seen,
            [
                ("clusters.yaml", own(&["group", "old", "new"])),
                ("listeners.yaml", own(&["llm", "new", "old"])),
                ("clusters.yaml", own(&["group", "new", "old"])),
                ("listeners.yaml", own(&["llm", "new"])),
                ("clusters.yaml", own(&["group", "new"])),
            ]
        );
    }

    #[test]
    fn one_file_that_changes_is_put_in_place_once() {
        let mut new = files(&["a"], &["b"]);
        new.insert("filter.yaml".to_owned(), "resources: [1]\n".to_owned());
        let steps = steps(&files(&["a"], &["b"]), &new).unwrap();
        assert_eq!(steps, [(FILTER, "resources: [1]\n".to_owned())]);
    }
}
