//! The templates, and how values are written into YAML.

use std::sync::LazyLock;

use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use serde::Serialize;

const SOURCES: [(&str, &str); 14] = [
    ("macros.yaml", include_str!("../templates/macros.yaml")),
    ("head.yaml", include_str!("../templates/head.yaml")),
    ("stats.yaml", include_str!("../templates/stats.yaml")),
    ("filter.yaml", include_str!("../templates/filter.yaml")),
    ("discovered.yaml", include_str!("../templates/discovered.yaml")),
    ("endpoints.yaml", include_str!("../templates/endpoints.yaml")),
    ("routes.yaml", include_str!("../templates/routes.yaml")),
    ("manager.yaml", include_str!("../templates/manager.yaml")),
    ("process.yaml", include_str!("../templates/process.yaml")),
    ("listeners.yaml", include_str!("../templates/listeners.yaml")),
    ("clusters.yaml", include_str!("../templates/clusters.yaml")),
    ("secret.yaml", include_str!("../templates/secret.yaml")),
    ("envoy.yaml", include_str!("../templates/envoy.yaml")),
    ("bootstrap.yaml", include_str!("../templates/bootstrap.yaml")),
];

static ENVIRONMENT: LazyLock<Result<Environment, Error>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.add_filter("q", quoted);
    environment.add_filter("j", json);
    environment.add_filter("literal", |text: String| text.replace('%', "%%"));
    for (name, source) in SOURCES {
        environment.add_template(name, source)?;
    }
    Ok(environment)
});

/// A plain word as it is, everything else in double quotes, as JSON and YAML have them.
fn quoted(text: String) -> Result<String, Error> {
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    // What YAML takes for something else than text.
    let words = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let word = words.contains(&text.to_ascii_lowercase().as_str());
    if begins && text.chars().all(plain) && !word {
        return Ok(text);
    }
    json(minijinja::Value::from(text))
}

fn json(value: minijinja::Value) -> Result<String, Error> {
    serde_json::to_string(&value)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

/// A template with its values, with a line feed at its end.
pub(super) fn render(name: &str, values: &impl Serialize) -> Result<String, Error> {
    let environment = ENVIRONMENT
        .as_ref()
        .map_err(|error| Error::new(ErrorKind::BadInclude, format!("{error:#}")))?;
    let text = environment.get_template(name)?.render(minijinja::Value::from(Serde(values)))?;
    let mut lines: Vec<&str> = text.trim().lines().map(str::trim_end).collect();
    // Loops and conditions leave empty lines behind.
    lines.dedup_by(|next, last| next.is_empty() && last.is_empty());
    Ok(lines.join("\n") + "\n")
}
