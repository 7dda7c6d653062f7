//! The filter's configuration, as a host hands it over.

use pointsman_core::canonical;
use pointsman_core::config::node::is_name;
use pointsman_core::config::{Config, ConfigErrors, Role, TARGETS, plugin_json};

/// A configuration is refused with paths and rules, or it is within all bounds and says the same in
/// another order. JSON stays as it is; what is a role is not a router's.
pub fn config(data: &[u8]) -> bool {
    let json = plugin_json(data.to_vec());
    if serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok() {
        assert_eq!(json, data, "JSON is not rewritten");
    }
    let router = Config::from_json(&json);
    match &router {
        Ok(config) => within_bounds(config),
        Err(errors) => explained(errors),
    }
    let role = Role::from_json(&json);
    if let Some(Err(errors)) = &role {
        explained(errors);
    }
    assert!(role.is_none() || router.is_err(), "both a router and {role:?}");
    let accepted = router.is_ok() || matches!(role, Some(Ok(_)));
    let Ok(value) = canonical::parse(&json) else { return accepted };
    let again = value.to_string();
    if let Ok(config) = router {
        let other = Config::from_json(again.as_bytes()).expect("the same configuration");
        assert_eq!(config.version, other.version);
        assert_eq!(format!("{config:?}"), format!("{other:?}"));
    }
    assert_eq!(Role::from_json(again.as_bytes()), role);
    accepted
}

fn explained(errors: &ConfigErrors) {
    assert!(!errors.0.is_empty(), "refused without a reason");
    for error in &errors.0 {
        assert!(!error.rule.is_empty(), "{error:?}");
        // Some values are not shown as they are, but counted.
        assert!(error.value.chars().count() <= 400, "{error:?}");
    }
}

fn within_bounds(config: &Config) {
    let targets = config.targets.len();
    assert!(TARGETS.contains(&targets) && config.default < targets);
    for (at, target) in config.targets.iter().enumerate() {
        assert!(is_name(&target.name), "{}", target.name);
        assert!(target.threshold.is_none_or(|it| (0.0..=1.0).contains(&it)));
        assert!(config.targets[..at].iter().all(|other| other.name != target.name));
        for reason in config.reasons(at) {
            assert!(!config.reason_name(reason).is_empty());
        }
    }
    assert!(!config.policies.is_empty() && config.hold_bytes >= config.max_body_bytes);
    for policy in &config.policies {
        assert!(policy.rules.iter().all(|rule| rule.target < targets));
        let names = policy.rules.iter().map(|rule| usize::from(rule.name));
        assert!(names.into_iter().all(|name| name < config.rule_names.len()));
        let thresholds = policy.thresholds.iter().flatten();
        assert!(thresholds.into_iter().all(|it| (0.0..=1.0).contains(it)));
    }
    assert!(
        config.canary.is_none_or(|it| {
            it.policy < config.policies.len() && (0.0..=1.0).contains(&it.share)
        })
    );
    assert!(config.client.targets.iter().all(|target| *target < targets));
}
