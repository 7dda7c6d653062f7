//! `targets`: which models answer, at which providers.

use serde_json::{Map, Value};

use pointsman_core::api::ApiFormat;
use pointsman_core::config::TARGET_FIELDS;
use pointsman_core::config::node::{Errors, Fields, Node};

use super::provider::{Provider, implied};
use crate::Kind;
use crate::models::known;

/// Fields that are not the filter's.
const OWN: [&str; 2] = ["model", "endpoints"];
/// Fields of the filter's targets that follow from those.
const DERIVED: [&str; 2] = ["cluster", "model"];
/// What a request may need and a model may lack.
const ABILITIES: [&str; 6] = ["images", "audio", "files", "video", "tools", "response_format"];
/// Most endpoints of a target.
const ENDPOINTS: usize = 8;
const WEIGHTS: std::ops::RangeInclusive<u64> = 1..=100;

/// Fields of the filter's targets, with the filter's own meaning.
fn filter_fields() -> impl Iterator<Item = &'static str> {
    TARGET_FIELDS.into_iter().filter(|name| !DERIVED.contains(name))
}

/// A model at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Position of the provider.
    pub provider: usize,
    /// The name under which the provider knows the model.
    pub model: String,
    /// Its share of the target's requests, against the other endpoints'.
    pub weight: u64,
}

/// A target, checked.
#[derive(Clone, Debug)]
pub struct Target {
    pub name: String,
    /// At least one.
    pub endpoints: Vec<Endpoint>,
    /// What it serves: what all its endpoints do.
    pub apis: Vec<ApiFormat>,
    /// The filter's fields of this target.
    pub filter: Map<String, Value>,
}

impl Target {
    /// What the filter does with this target's answers, as it stands in the file.
    pub fn escalate(&self) -> Option<&Map<String, Value>> {
        self.filter.get("escalate")?.as_object()
    }
}

pub(super) fn read_all(
    node: &Node,
    providers: &mut Vec<Provider>,
    errors: &mut Errors,
) -> Vec<Target> {
    let nodes = node.array(errors).unwrap_or_default();
    let targets: Vec<Target> = nodes.iter().map(|node| read(node, providers, errors)).collect();
    for (at, target) in targets.iter().enumerate() {
        let path = format!("{}[{at}].name", node.path);
        let taken = targets.iter().find(|other| is_cluster_of(&target.name, &other.name));
        if let Some(other) = taken {
            let rule = format!("must be another: target {} has a cluster of this name", other.name);
            errors.add(&path, format!("\"{}\"", target.name), rule);
        }
        if ["admin", super::Control::CLUSTER].contains(&target.name.as_str()) {
            errors.add(&path, format!("\"{}\"", target.name), "must be another: it is in use");
        }
    }
    targets
}

/// Whether a name is that of one of a target's own clusters.
fn is_cluster_of(name: &str, target: &str) -> bool {
    let own = name.strip_prefix(target).and_then(|rest| rest.strip_prefix('-'));
    own.is_some_and(|rest| {
        let number = |rest: &str| rest.strip_suffix("-only").unwrap_or(rest).parse::<u8>().is_ok();
        ["cache", "endpoints", "alone", "instead", "model", "model-only"].contains(&rest)
            || rest.strip_prefix("model-").is_some_and(number)
    })
}

fn read(node: &Node, providers: &mut Vec<Provider>, errors: &mut Errors) -> Target {
    let nothing = || Target {
        name: String::new(),
        endpoints: Vec::new(),
        apis: Vec::new(),
        filter: Map::from_iter([("cluster".to_owned(), "-".into())]),
    };
    let known: Vec<&str> = OWN.into_iter().chain(filter_fields()).collect();
    let Some(fields) = node.object(&known, errors) else { return nothing() };
    let endpoints = read_endpoints(&fields, providers, errors);
    let mut filter = facts(&endpoints, providers);
    let kinds = || endpoints.iter().filter_map(|it| providers.get(it.provider)).map(|it| it.kind);
    let apis: Vec<ApiFormat> = ApiFormat::NAMES
        .into_iter()
        .filter(|(_, api)| kinds().all(|kind| kind.facts().apis.contains(api)))
        .map(|(_, api)| api)
        .collect();
    if !endpoints.is_empty() && apis.is_empty() {
        errors.add(&fields.path_of("endpoints"), "", "must have an API in common");
    }
    filter.insert("apis".to_owned(), names(&apis));
    for name in filter_fields() {
        if let Some(value) = fields.map.get(name) {
            filter.insert(name.to_owned(), value.clone());
        }
    }
    let name = fields.field("name").and_then(|node| node.value.as_str()).unwrap_or_default();
    let cluster = if name.is_empty() { "-" } else { name };
    filter.insert("cluster".to_owned(), cluster.into());
    // What is no list of names is refused by the filter's own reader.
    let given = fields.map.get("apis").and_then(Value::as_array).map(|given| {
        let named = |value: &Value| {
            ApiFormat::NAMES.into_iter().find(|(name, _)| value.as_str() == Some(*name))
        };
        given.iter().filter_map(named).map(|(_, api)| api).collect()
    });
    Target { name: name.to_owned(), endpoints, apis: given.unwrap_or(apis), filter }
}

fn names(apis: &[ApiFormat]) -> Value {
    let named = ApiFormat::NAMES.into_iter().filter(|(_, api)| apis.contains(api));
    named.map(|(name, _)| Value::from(name)).collect()
}

fn read_endpoints(
    fields: &Fields,
    providers: &mut Vec<Provider>,
    errors: &mut Errors,
) -> Vec<Endpoint> {
    match (fields.field("model"), fields.field("endpoints")) {
        (Some(node), None) => read_model(&node, providers, errors)
            .map(|(provider, model)| Endpoint { provider, model, weight: 1 })
            .into_iter()
            .collect(),
        (None, Some(node)) => {
            let nodes = node.list(ENDPOINTS, errors);
            if nodes.is_empty() {
                node.refuse("must have at least one element", errors);
            }
            nodes.iter().filter_map(|node| read_endpoint(node, providers, errors)).collect()
        }
        (Some(_), Some(node)) => {
            node.refuse("must be left out where \"model\" is given", errors);
            Vec::new()
        }
        (None, None) => {
            errors.add(&fields.path_of("model"), "", "is required: PROVIDER/MODEL");
            Vec::new()
        }
    }
}

fn read_endpoint(
    node: &Node,
    providers: &mut Vec<Provider>,
    errors: &mut Errors,
) -> Option<Endpoint> {
    let fields = node.object(&["model", "weight"], errors)?;
    let weight = fields.field("weight").and_then(|node| node.integer(WEIGHTS, errors)).unwrap_or(1);
    let model = fields.required("model", errors)?;
    let (provider, model) = read_model(&model, providers, errors)?;
    Some(Endpoint { provider, model, weight: weight as u64 })
}

/// `PROVIDER/MODEL`: the model's own name may have slashes.
fn read_model(
    node: &Node,
    providers: &mut Vec<Provider>,
    errors: &mut Errors,
) -> Option<(usize, String)> {
    let text = node.text(errors)?;
    let plain = |model: &str| (1..=255).contains(&model.len()) && !model.contains(char::is_control);
    let parts = text.split_once('/').filter(|(_, model)| plain(model));
    let (provider, model) =
        node.checked(parts, "must be PROVIDER/MODEL, such as openai/gpt-4o-mini", errors)?;
    if let Some(at) = providers.iter().position(|it| it.name == provider) {
        return Some((at, model.to_owned()));
    }
    if let Some(implied) = implied(provider) {
        providers.push(implied);
        return Some((providers.len() - 1, model.to_owned()));
    }
    // A provider whose own entry is wrong has been told of there.
    let told = format!("providers.{provider}");
    if errors.0.iter().any(|it| it.path == told || it.path.starts_with(&format!("{told}."))) {
        return None;
    }
    let more = match Kind::named(provider) {
        Some(_) => format!("\"{provider}\" needs an entry under providers, with its url or region"),
        None => format!("\"{provider}\" is neither one of providers nor a kind with an address"),
    };
    node.refuse(&more, errors);
    None
}

/// What the table of models has on all of them: the first one's price, the smallest window, and what
/// none of them lacks.
fn facts(endpoints: &[Endpoint], providers: &[Provider]) -> Map<String, Value> {
    let found = |it: &Endpoint| known(providers.get(it.provider)?.kind, &it.model);
    let Some(all) = endpoints.iter().map(found).collect::<Option<Vec<_>>>() else {
        return Map::new();
    };
    let Some(first) = all.first() else { return Map::new() };
    let mut facts = (*first).clone();
    for other in &all {
        for name in ABILITIES {
            if let Some(lacks @ Value::Bool(false)) = other.get(name) {
                facts.insert(name.to_owned(), lacks.clone());
            }
        }
        let window = |facts: &Map<String, Value>| facts.get("context_tokens")?.as_u64();
        if let Some(least) = window(other).filter(|it| Some(*it) < window(&facts)) {
            facts.insert("context_tokens".to_owned(), least.into());
        }
    }
    facts
}
