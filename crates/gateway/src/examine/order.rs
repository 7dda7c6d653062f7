//! The filter among the other HTTP filters of a connection manager.

use serde_json::Value;

use super::{Severity, is_of, is_pointsman, list};

/// Filters that belong in front of ours, by their types, and what is lost where they are behind it.
const IN_FRONT: [(&str, &str); 5] = [
    (".jwt_authn.v3.JwtAuthentication", UNKNOWN_CLIENTS),
    (".ext_authz.v3.ExtAuthz", UNKNOWN_CLIENTS),
    (".basic_auth.v3.BasicAuth", UNKNOWN_CLIENTS),
    (
        ".compressor.v3.Compressor",
        "answers are compressed before it sees them, so that no tokens are read",
    ),
    (
        ".decompressor.v3.Decompressor",
        "it sees compressed requests, which go to the default target",
    ),
];
const UNKNOWN_CLIENTS: &str = "it decides on requests that are refused afterwards, and counts them";

/// Looks at the order of a connection manager's filters.
pub(super) fn examine(manager: &Value, add: &mut impl FnMut(Severity, String)) {
    let filters = list(manager, "http_filters");
    let is_ours =
        |filter: &&Value| filter.pointer("/typed_config/config").is_some_and(is_pointsman);
    if filters.iter().filter(is_ours).count() > 1 {
        let what =
            "several filters here decide, and only the last one routes: use one, with policies";
        add(Severity::Fault, what.to_owned());
    }
    let behind = filters.iter().skip_while(|filter| !is_ours(filter));
    for kind in behind.filter_map(|filter| filter.get("typed_config")) {
        for (name, lost) in IN_FRONT {
            if is_of(kind, name) {
                let name = name.rsplit('.').next().unwrap_or(name);
                add(Severity::Advice, format!("{name} is behind the filter: {lost}"));
            }
        }
    }
}
