//! The deployment as files that Envoy watches.

use super::Files;
use super::templates::render;
use super::view::View;
use minijinja::Error;

const TYPES: [(&str, &str); 3] = [
    ("listeners.yaml", "config.listener.v3.Listener"),
    ("clusters.yaml", "config.cluster.v3.Cluster"),
    ("filter.yaml", "config.core.v3.TypedExtensionConfig"),
];

pub(super) fn files(view: &View) -> Result<Files, Error> {
    let values = view.with_parts("discovered.yaml")?;
    let mut files = Files::new();
    for (name, kind) in TYPES {
        files.insert(name.to_owned(), resources(&render(name, &values)?, kind));
    }
    files.insert("bootstrap.yaml".to_owned(), render("bootstrap.yaml", &values)?);
    Ok(files)
}

/// A list of named objects as a discovery response of their type.
fn resources(list: &str, kind: &str) -> String {
    let mut text = "resources:\n".to_owned();
    for line in list.lines() {
        match line.strip_prefix("- ") {
            Some(first) => {
                text.push_str(&format!(
                    "- \"@type\": type.googleapis.com/envoy.{kind}\n  {first}\n"
                ));
            }
            None => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}
