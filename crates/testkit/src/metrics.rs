//! Metrics: those that docs/metrics.md lists, and those that an Envoy has.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use super::envoy::Envoy;
use super::root;

/// Name of a metric, without `pointsman_`, to the names of its labels.
pub type Labels = BTreeMap<String, BTreeSet<String>>;

/// The heading of those that exist only with a control plane.
const WITH_CONTROL: &str = "\n## With a control plane\n";
/// The heading of those that exist only where a target's answers are held.
const WITH_ESCALATION: &str = "\n## With escalation\n";

/// The heading of those that a cache has.
const OF_CACHES: &str = "\n## Of caches\n";

/// Metrics that the reference lists.
pub struct Documented {
    /// Of every filter.
    pub always: Labels,
    /// Where a target's answers are held.
    pub with_escalation: Labels,
    /// With a control plane.
    pub with_control: Labels,
    /// Of caches, which have them on an address of their own.
    pub of_caches: Labels,
}

/// What docs/metrics.md lists.
///
/// # Errors
///
/// The reference has no such sections.
pub fn documented() -> Result<Documented> {
    let text = std::fs::read_to_string(root().join("docs/metrics.md"))?;
    let (always, with_control) = text.split_once(WITH_CONTROL).context(WITH_CONTROL)?;
    let (with_control, of_caches) = with_control.split_once(OF_CACHES).context(OF_CACHES)?;
    let (always, with_escalation) = always.split_once(WITH_ESCALATION).context(WITH_ESCALATION)?;
    Ok(Documented {
        always: listed(always),
        with_escalation: listed(with_escalation),
        with_control: listed(with_control),
        of_caches: listed(of_caches),
    })
}

/// The first column of tables whose rows begin with a metric: `name{label,label}`.
fn listed(text: &str) -> Labels {
    text.lines()
        .filter_map(|line| line.strip_prefix("| `pointsman_")?.split('`').next())
        .map(|metric| {
            let (name, labels) = metric.split_once('{').unwrap_or((metric, ""));
            let labels = labels.trim_end_matches('}').split(',');
            let labels = labels.filter(|label| !label.is_empty()).map(str::to_owned).collect();
            (name.to_owned(), labels)
        })
        .collect()
}

/// Metrics in the text format of Prometheus.
pub fn in_text(text: &str) -> Labels {
    let mut found = Labels::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("# TYPE ") {
            current = name.split(' ').next().and_then(|name| name.strip_prefix("pointsman_"));
        } else if let Some(name) = current {
            let labels = line.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
            let labels = labels.map_or("", |(labels, _)| labels).split(',');
            let names = labels.filter_map(|label| Some(label.split_once('=')?.0));
            // The bound of a histogram's bucket is Prometheus's, not ours.
            let names = names.filter(|&name| name != "le").map(str::to_owned);
            found.entry(name.to_owned()).or_default().extend(names);
        }
    }
    found
}

/// Metrics that an Envoy exports to Prometheus. Those not used yet have no samples in
/// `?usedonly`, and histograms none without, so both are read.
///
/// # Errors
///
/// The admin interface does not answer.
pub fn exported(envoy: &Envoy) -> Result<Labels> {
    let text =
        envoy.admin_get("/stats/prometheus?usedonly")? + &envoy.admin_get("/stats/prometheus")?;
    Ok(in_text(&text))
}
