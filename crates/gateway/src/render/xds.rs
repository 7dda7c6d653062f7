//! The deployment as files that Envoy watches.

use minijinja::Error;
use serde_json::{Value, json};

use super::Files;
use super::templates::render;
use super::view::View;

const TYPES: [(&str, &str); 3] = [
    ("listeners.yaml", "config.listener.v3.Listener"),
    ("clusters.yaml", "config.cluster.v3.Cluster"),
    ("filter.yaml", "config.core.v3.TypedExtensionConfig"),
];

pub(super) fn files(view: &View) -> Result<Files, Error> {
    let mut values = serde_json::to_value(view).unwrap_or_default();
    values["main_filter"] = render("discovered.yaml", view)?.trim_end().into();
    let mut files = Files::new();
    for (name, kind) in TYPES {
        files.insert(name.to_owned(), resources(&render(name, &values)?, kind));
    }
    let start = with(&values, [("head", "head.yaml"), ("stats", "stats.yaml")])?;
    files.insert("bootstrap.yaml".to_owned(), render("bootstrap.yaml", &start)?);
    Ok(files)
}

/// The values, and what templates make of them.
pub(super) fn with<const N: usize>(
    values: &Value,
    parts: [(&str, &str); N],
) -> Result<Value, Error> {
    let mut whole = json!(values);
    for (name, template) in parts {
        whole[name] = render(template, values)?.into();
    }
    Ok(whole)
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
