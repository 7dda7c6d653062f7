//! `pointsman.yaml`, and what is rendered from it.

use pointsman_core::config::{Config, ConfigErrors};
use pointsman_gateway::examine::{Severity, examine};
use pointsman_gateway::file::Gateway;
use pointsman_gateway::render::{self, CA_FILES, Files, Place};
use serde_json::Value;

/// A file is refused with rules, or everything that is rendered from it is YAML, the same every time,
/// with the filter's configuration that was checked and without a fault that `check` would find.
pub fn gateway(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let gateway = match Gateway::read(text) {
        Ok(gateway) => gateway,
        Err(ConfigErrors(errors)) => {
            assert!(!errors.is_empty(), "refused without a reason");
            assert!(errors.iter().all(|error| !error.rule.is_empty()), "{errors:?}");
            return false;
        }
    };
    let filter = gateway.filter(None).to_string();
    Config::from_json(filter.as_bytes()).expect("what was checked is accepted");
    for target in 0..gateway.targets.len() {
        for api in pointsman_core::api::ApiFormat::ALL {
            let mut order = gateway.order(target, api);
            let length = order.len();
            order.sort_unstable();
            order.dedup();
            assert!(order.len() == length && order.iter().all(|at| *at < gateway.targets.len()));
        }
    }
    for unique in [false, true] {
        let place = place(unique);
        let files = rendered(&gateway, &place);
        assert_eq!(rendered(&gateway, &place), files, "the same bytes every time");
        let envoy = &files["envoy.yaml"];
        let envoy = serde_saphyr::from_str::<Value>(envoy).expect("envoy.yaml is YAML");
        let faults = examine(&envoy).into_iter().filter(|it| it.severity == Severity::Fault);
        let faults: Vec<String> = faults.map(|it| format!("{}: {}", it.place, it.what)).collect();
        assert!(faults.is_empty(), "{faults:?}");
    }
    true
}

fn place(unique: bool) -> Place<'static> {
    Place {
        wasm: "/etc/pointsman/plugin.wasm",
        directory: "/etc/pointsman",
        ca: CA_FILES[0],
        keys: None,
        unique,
        control: None,
    }
}

/// All files that any of the deployments has, each of which is YAML.
fn rendered(gateway: &Gateway, place: &Place) -> Files {
    let fault = "no fault in a template";
    let mut files = render::envoy(gateway, place).expect(fault);
    files.extend(render::xds(gateway, place).expect(fault));
    files.extend(render::fragment(gateway, place).expect(fault));
    for (name, text) in &files {
        if let Err(error) = serde_saphyr::from_str::<Value>(text) {
            panic!("{name}: {error}\n{text}");
        }
    }
    files
}
