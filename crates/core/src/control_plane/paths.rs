//! Paths of the control plane's interface. They begin with our own name, because providers' paths
//! begin with `/v1` too.

pub const DECISIONS: &str = "/pointsman/v1/decisions";
pub const FEEDBACK: &str = "/pointsman/v1/feedback";
pub const POLICY: &str = "/pointsman/v1/policy";
pub const STATUS: &str = "/pointsman/v1/status";
pub const PROMOTE: &str = "/pointsman/v1/promote";
pub const ROLLBACK: &str = "/pointsman/v1/rollback";

/// A cache has feedback under the same path, and this.
pub const PURGE: &str = "/pointsman/v1/purge";

/// Where `pointsman capture` takes escalated requests with their answers.
pub const CAPTURES: &str = "/pointsman/v1/captures";

/// All of the control plane's. The version before had each without the first segment.
pub const ALL: [&str; 6] = [DECISIONS, FEEDBACK, POLICY, STATUS, PROMOTE, ROLLBACK];
/// The segment that they begin with.
pub const PREFIX: &str = "/pointsman";

/// Content type of a post of many lines.
pub const NDJSON: &str = "application/x-ndjson";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_is_one_of_a_provider() {
        for path in ALL.into_iter().chain([PURGE, CAPTURES]) {
            let rest = path.strip_prefix(PREFIX).unwrap();
            assert!(rest.starts_with("/v1/") && rest.matches('/').count() == 2, "{path}");
        }
    }
}
