//! One readable line for each request.

use pointsman_core::target::Target;
use serde_json::Value;

/// What was spent and saved since the start.
pub(super) struct Lines {
    targets: Vec<Target>,
    saved: f64,
}

impl Lines {
    pub(super) fn new(targets: Vec<Target>) -> Self {
        Lines { targets, saved: 0.0 }
    }

    /// After a change of the file; what was saved stays.
    pub(super) fn set_targets(&mut self, targets: Vec<Target>) {
        self.targets = targets;
    }

    /// A line of the access log for people; `None` for what is no request.
    pub(super) fn read(&mut self, line: &str) -> Option<String> {
        let entry: Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        let time = text("start_time").get(11..19).unwrap_or_default();
        if let Some(endpoint) = entry.get("endpoint").and_then(Value::as_str) {
            let why = [text("failure"), text("status_details"), text("flags")];
            let why = why.into_iter().find(|it| !it.is_empty() && *it != "-").unwrap_or_default();
            return Some(format!("{time}  ! {endpoint} ({}): {why}", text("provider")));
        }
        let status = entry.get("status")?;
        let decision: Option<Value> = serde_json::from_str(text("decision")).ok();
        let usage: Option<Value> = serde_json::from_str(text("usage")).ok();
        let target = self.target(&decision, text("answered"));
        let why = why(&decision).unwrap_or_else(|| format!("{} {}", text("method"), text("path")));
        let took = entry.get("duration_ms").map(|it| format!("{it} ms")).unwrap_or_default();
        let cost = usage.map(|usage| self.cost(&usage)).unwrap_or_default();
        Some(format!("{time}  {target:<16} {why:<34} {status}  {took:>9}{cost}"))
    }

    /// The target decided on, and another that answered in its place.
    fn target(&self, decision: &Option<Value>, answered: &str) -> String {
        let field = |name: &str| decision.as_ref().and_then(|it| it.get(name)?.as_str());
        let decided = field("target");
        let known = self.targets.iter().any(|target| target.name == answered);
        match decided {
            Some(decided) if known && field("mode") == Some("observe") => {
                format!("{answered} (observed: {decided})")
            }
            Some(decided) if known && decided != answered => format!("{decided} → {answered}"),
            Some(decided) => decided.to_owned(),
            None if known => answered.to_owned(),
            None => "-".to_owned(),
        }
    }

    /// Tokens, what they cost, and what has been saved so far against the strongest target.
    fn cost(&mut self, usage: &Value) -> String {
        let number = |name: &str| usage.get(name).and_then(Value::as_u64).unwrap_or_default();
        let (input, output) = (number("input"), number("output"));
        let tokens = format!("  {input}+{output} tokens");
        let cached = usage.get("cached") == Some(&Value::Bool(true));
        let Some(cost) = usage.get("cost").and_then(Value::as_f64) else { return tokens };
        let strongest = self.targets.last().and_then(|target| target.price);
        let Some(strongest) = strongest else { return format!("{tokens}  ${cost:.5}") };
        let paid = if cached { 0.0 } else { cost };
        let usage = pointsman_core::target::Usage { input, output };
        self.saved += strongest.of(usage) - paid;
        let paid = if cached { "cached".to_owned() } else { format!("${paid:.5}") };
        format!("{tokens}  {paid}  saved ${:.5} so far", self.saved)
    }
}

/// What decided, and the score with its threshold where one was asked for.
fn why(decision: &Option<Value>) -> Option<String> {
    let decision = decision.as_ref()?;
    let text = |name: &str| decision.get(name).and_then(Value::as_str);
    if let Some(passed) = text("passed") {
        return Some(format!("passed: {passed}"));
    }
    let (source, reason) = (text("source")?, text("reason")?);
    let number = |name: &str| decision.get(name).and_then(Value::as_f64);
    Some(match (number("score"), number("threshold")) {
        (Some(score), Some(threshold)) if source == "classifier" => {
            let sign = if score >= threshold { "≥" } else { "<" };
            format!("{source} {score:.2} {sign} {threshold:.2}")
        }
        _ => format!("{source}: {reason}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pointsman_core::config::Config;

    fn lines() -> Lines {
        let config = r#"{"targets": [
            {"name": "cheap", "cluster": "c", "price": {"input": 1, "output": 2}},
            {"name": "strong", "cluster": "s", "price": {"input": 10, "output": 20}}]}"#;
        Lines::new(Config::from_json(config.as_bytes()).unwrap().targets)
    }

    #[test]
    fn a_request_says_where_it_went_why_what_it_cost_and_what_was_saved() {
        let line = r#"{"start_time":"2026-11-30T10:11:12.345Z","status":200,"duration_ms":812,"answered":"cheap",
            "decision":"{\"target\":\"cheap\",\"source\":\"classifier\",\"reason\":\"score_reached_threshold\",\"score\":0.81,\"threshold\":0.6}",
            "usage":"{\"target\":\"cheap\",\"input\":1000,\"output\":100,\"cost\":0.0012}"}"#;
        let mut lines = lines();
        let text = lines.read(line).unwrap();
        for part in [
            "10:11:12",
            "cheap",
            "classifier 0.81 ≥ 0.60",
            "200",
            "812 ms",
            "1000+100 tokens",
            "$0.00120",
            "saved $0.01080 so far",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(lines.read(line).unwrap().contains("saved $0.02160 so far"));
    }

    #[test]
    fn who_took_over_and_what_went_wrong_is_said() {
        let mut lines = lines();
        let text = lines.read(r#"{"status":200,"answered":"strong","decision":"{\"target\":\"cheap\",\"source\":\"rule\",\"reason\":\"x\"}"}"#);
        assert!(text.unwrap().contains("cheap → strong   rule: x"));
        let text = lines.read(r#"{"status":200,"answered":"strong","decision":"{\"target\":\"cheap\",\"mode\":\"observe\",\"source\":\"rule\",\"reason\":\"x\"}"}"#);
        assert!(text.unwrap().contains("strong (observed: cheap)"));
        let text = lines.read(r#"{"endpoint":"cheap-model","provider":"openai","failure":"TLS_error:CERTIFICATE_VERIFY_FAILED","flags":"UF"}"#);
        assert!(
            text.unwrap().contains("! cheap-model (openai): TLS_error:CERTIFICATE_VERIFY_FAILED")
        );
        assert_eq!(lines.read("not JSON"), None);
        assert_eq!(lines.read("{}"), None);
    }
}
