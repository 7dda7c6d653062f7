//! Arguments of the processes that stand next to Envoy: `pointsman cache` and `pointsman serve`.
//!
//! No secret is in them, because everybody on a machine can read arguments: stores, keys and tokens
//! are variables.

use pointsman_core::config::Config;
use pointsman_core::router::Router;

use crate::file::{Cache, Capture, Control, Gateway, Tenant};

/// Of the caches; `envoy` is the name by which they find Envoy, where that is not their own address.
pub fn cache(gateway: &Gateway, cache: &Cache, envoy: Option<&str>) -> Vec<String> {
    let mut arguments = vec!["cache".to_owned()];
    for (at, target) in gateway.targets.iter().enumerate() {
        let back = cache.upstream(at);
        let host = envoy.map_or_else(|| back.ip().to_string(), str::to_owned);
        let upstream = format!("http://{host}:{}", back.port());
        let listen = cache.address(at).to_string();
        for (flag, value) in
            [("--target", &target.name), ("--upstream", &upstream), ("--listen", &listen)]
        {
            arguments.extend([flag.to_owned(), value.clone()]);
        }
    }
    arguments.extend(["--admin".to_owned(), cache.admin().to_string()]);
    arguments.extend(["--ttl".to_owned(), cache.ttl_seconds.to_string()]);
    arguments.extend(["--memory".to_owned(), cache.memory_mib.to_string()]);
    match &cache.tenant {
        Tenant::Header(header) => arguments.extend(["--tenant-header".to_owned(), header.clone()]),
        Tenant::Credentials => {}
        Tenant::Shared => arguments.push("--anonymous".to_owned()),
    }
    if cache.exact_only {
        arguments.push("--exact-only".to_owned());
    }
    arguments
}

/// Of the control plane.
pub fn serve(gateway: &Gateway, control: &Control) -> Vec<String> {
    let names: Vec<&str> = gateway.targets.iter().map(|it| it.name.as_str()).collect();
    let mut arguments = vec!["serve".to_owned()];
    arguments.extend(["--listen".to_owned(), control.listen.to_string()]);
    arguments.extend(["--targets".to_owned(), names.join(",")]);
    // A gateway's filter has been read before.
    let Ok(filter) = Config::from_json(gateway.filter(None).to_string().as_bytes()) else {
        return arguments;
    };
    if let Some(prices) = filter.prices() {
        // Costs in parts of the dearest target's, for as many tokens in as out.
        let sums: Vec<f64> = prices.iter().map(|price| price.input + price.output).collect();
        let most = sums.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let costs: Vec<String> = sums.iter().map(|sum| format!("{:.4}", sum / most)).collect();
        arguments.extend(["--costs".to_owned(), costs.join(",")]);
    }
    if let Some(thresholds) = thresholds(filter) {
        arguments.extend(["--thresholds".to_owned(), thresholds]);
    }
    arguments
}

/// Of what keeps escalated requests.
pub fn capture(capture: &Capture) -> Vec<String> {
    let mut arguments = vec!["capture".to_owned()];
    arguments.extend(["--listen".to_owned(), capture.listen.to_string()]);
    arguments.extend(["--out".to_owned(), capture.out.clone()]);
    for pattern in &capture.redact {
        arguments.extend(["--redact".to_owned(), pattern.clone()]);
    }
    arguments
}

/// The main policy's thresholds, for a control plane that cannot know them otherwise.
fn thresholds(filter: Config) -> Option<String> {
    let router = Router::new(filter).ok()?;
    let thresholds = router.thresholds(0);
    let texts: Vec<String> = thresholds.iter().map(ToString::to_string).collect();
    Some(texts.join(",")).filter(|text| !text.is_empty())
}
