//! Well-known models: what they cost and take, as of a date.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Kind;

#[derive(Deserialize)]
struct Table {
    date: String,
    models: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    kind: String,
    model: String,
    #[serde(flatten)]
    facts: Map<String, Value>,
}

static TABLE: LazyLock<Option<Table>> =
    LazyLock::new(|| serde_json::from_str(include_str!("models.json")).ok());

/// What the table has on a model: fields of a target in the filter's configuration, `price`,
/// `context_tokens`, `images` … A deployment of Azure's counts as the OpenAI model of its name.
pub fn known(kind: Kind, model: &str) -> Option<&'static Map<String, Value>> {
    let kind = if kind == Kind::Azure { Kind::OpenAi } else { kind };
    let name = kind.facts().name;
    let mut rows = TABLE.as_ref()?.models.iter();
    let row = rows.find(|row| row.kind == name && row.model == model)?;
    Some(&row.facts)
}

/// The day that the table's facts are of.
pub fn date() -> &'static str {
    TABLE.as_ref().map_or("", |table| &table.date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_of_a_kind_and_is_what_a_filters_target_takes() {
        let table = TABLE.as_ref().expect("models.json is read");
        assert!(table.models.len() >= 40 && date().len() == "2026-01-01".len());
        for (at, row) in table.models.iter().enumerate() {
            let kind = Kind::named(&row.kind).expect(&row.kind);
            assert!(
                table.models[..at]
                    .iter()
                    .all(|it| (&it.kind, &it.model) != (&row.kind, &row.model)),
                "{} twice",
                row.model
            );
            let mut target = known(kind, &row.model).unwrap().clone();
            target.insert("name".to_owned(), "cheap".into());
            target.insert("cluster".to_owned(), "cheap".into());
            let config = serde_json::json!({"targets": [target, {"name": "s", "cluster": "s"}]});
            let read = pointsman_core::config::Config::from_json(config.to_string().as_bytes());
            assert!(read.is_ok(), "{}: {read:?}", row.model);
            assert!(read.unwrap().targets[0].price.is_some(), "{}", row.model);
        }
    }
}
