//! Which targets can serve a request at all, asked before any policy.

use crate::prompt::{Prompt, ResponseFormat};
use crate::reason::Reason;
use crate::target::{Target, TargetSet};

/// What the gates let through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gates {
    pub eligible: TargetSet,
    /// Why the cheapest target that is not eligible is not.
    pub reason: Option<Reason>,
}

/// Holds a prompt against what each target can do. Targets of `unavailable` are down.
pub fn pass(targets: &[Target], prompt: &Prompt, unavailable: TargetSet) -> Gates {
    let mut gates = Gates { eligible: TargetSet::default(), reason: None };
    for (position, obstacle) in obstacles(targets, prompt, unavailable).enumerate() {
        match obstacle {
            None => gates.eligible.insert(position),
            Some(reason) => gates.reason = gates.reason.or(Some(reason)),
        }
    }
    gates
}

/// For each target, why it cannot serve the prompt, if it cannot.
pub fn obstacles(
    targets: &[Target],
    prompt: &Prompt,
    unavailable: TargetSet,
) -> impl Iterator<Item = Option<Reason>> {
    let needs = Needs::of(prompt);
    targets.iter().enumerate().map(move |(position, target)| {
        if unavailable.contains(position) { Some(Reason::Health) } else { needs.obstacle(target) }
    })
}

struct Needs {
    /// Prompt and wanted answer.
    tokens: u64,
    images: bool,
    tools: bool,
    format: bool,
}

impl Needs {
    fn of(prompt: &Prompt) -> Self {
        let wanted = prompt.parameters.max_tokens.unwrap_or(0);
        let used = prompt.turns.iter().any(|turn| turn.tool_calls > 0);
        Needs {
            tokens: (prompt.tokens_estimate() as u64).saturating_add(wanted),
            images: prompt.turns.iter().any(|turn| turn.images > 0),
            tools: used || prompt.parameters.tools > 0,
            format: prompt.parameters.response_format != ResponseFormat::Text,
        }
    }

    fn obstacle(&self, target: &Target) -> Option<Reason> {
        if target.context_tokens.is_some_and(|window| self.tokens > window) {
            Some(Reason::ContextWindow)
        } else if self.images && !target.images {
            Some(Reason::Images)
        } else if self.tools && !target.tools {
            Some(Reason::Tools)
        } else if self.format && !target.response_format {
            Some(Reason::ResponseFormat)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::ApiFormat;

    fn gates(cheap: Target, body: &str) -> (bool, Option<Reason>) {
        let targets = [cheap, Target::named("strong")];
        let mut body = body.as_bytes().to_vec();
        let prompt = Prompt::parse(ApiFormat::ChatCompletions, &mut body, false).unwrap();
        let gates = pass(&targets, &prompt, TargetSet::default());
        assert!(gates.eligible.contains(1));
        (gates.eligible.contains(0), gates.reason)
    }

    fn body(more: &str) -> String {
        format!(r#"{{"messages":[{{"role":"user","content":"12345678"}}]{more}}}"#)
    }

    #[test]
    fn prompt_and_wanted_answer_must_fit_into_the_window() {
        let target = || Target { context_tokens: Some(100), ..Target::named("cheap") };
        assert_eq!(gates(target(), &body("")), (true, None));
        assert_eq!(gates(target(), &body(r#","max_tokens":98"#)), (true, None));
        let full = body(r#","max_tokens":99"#);
        assert_eq!(gates(target(), &full), (false, Some(Reason::ContextWindow)));
        let absurd = body(r#","max_tokens":1e30"#);
        assert_eq!(gates(target(), &absurd), (false, Some(Reason::ContextWindow)));
    }

    #[test]
    fn what_a_target_cannot_do_is_not_asked_of_it() {
        let cannot = || Target {
            images: false,
            tools: false,
            response_format: false,
            ..Target::named("cheap")
        };
        assert_eq!(gates(cannot(), &body("")), (true, None));
        for (more, reason) in [
            (r#","tools":[{}]"#, Reason::Tools),
            (r#","functions":[{}]"#, Reason::Tools),
            (r#","response_format":{"type":"json_schema"}"#, Reason::ResponseFormat),
        ] {
            assert_eq!(gates(cannot(), &body(more)), (false, Some(reason)), "{more}");
            assert_eq!(gates(Target::named("cheap"), &body(more)), (true, None), "{more}");
        }
        let image = r#"{"messages":[{"content":[{"type":"image_url"}]}]}"#;
        assert_eq!(gates(cannot(), image), (false, Some(Reason::Images)));
        let loop_ = r#"{"messages":[{"role":"assistant","content":"x","tool_calls":[{}]}]}"#;
        assert_eq!(gates(cannot(), loop_), (false, Some(Reason::Tools)));
    }

    #[test]
    fn a_target_that_is_down_is_not_eligible() {
        let targets = [Target::named("cheap"), Target::named("strong")];
        let gates = pass(&targets, &Prompt::from_text("hi"), TargetSet(0b10));
        assert_eq!((gates.eligible, gates.reason), (TargetSet(0b01), Some(Reason::Health)));
        assert_eq!(gates.eligible.strongest(), Some(0));
        assert_eq!(TargetSet::default().strongest(), None);
    }
}
