//! Which targets can serve a request at all, asked before any policy.

use std::cell::OnceCell;

use crate::prompt::Prompt;
use crate::reason::Reason;
use crate::target::{Need, Needs, Target, TargetSet};

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
    let asked = Asked::of(prompt);
    targets.iter().enumerate().map(move |(position, target)| {
        if unavailable.contains(position) { Some(Reason::Health) } else { asked.obstacle(target) }
    })
}

/// What a prompt asks of the target that serves it.
struct Asked<'p> {
    prompt: &'p Prompt<'p>,
    needs: Needs,
    /// Tokens at most, once they are counted.
    tokens: OnceCell<u64>,
}

impl<'p> Asked<'p> {
    fn of(prompt: &'p Prompt<'p>) -> Self {
        Asked { prompt, needs: prompt.needs(), tokens: OnceCell::new() }
    }

    /// What a window leaves for the prompt; `None` when the wanted answer alone is too long.
    fn room(&self, window: u64) -> Option<u64> {
        window.checked_sub(self.prompt.parameters.max_tokens.unwrap_or(0))
    }

    /// Whether text alone is more than fits into a window, by all likelihood.
    fn overflows(&self, window: u64) -> bool {
        self.room(window).is_none_or(|room| self.prompt.tokens_estimate() as u64 > room)
    }

    /// Whether prompt and wanted answer surely fit into a window of so many tokens.
    fn fits(&self, window: u64) -> bool {
        self.room(window).is_some_and(|room| {
            self.prompt.tokens_below() <= room
                || *self.tokens.get_or_init(|| self.prompt.tokens_at_most()) <= room
        })
    }

    fn obstacle(&self, target: &Target) -> Option<Reason> {
        if self.prompt.api.is_some_and(|api| !target.serves(api)) {
            return Some(Reason::Api);
        }
        // What is likely, then what is sure, then what can only not be ruled out.
        if target.context_tokens.is_some_and(|window| self.overflows(window)) {
            return Some(Reason::ContextWindow);
        }
        let lacking = |need: &Need| self.needs.contains(*need) && target.lacks.contains(*need);
        if let Some(need) = Need::ALL.into_iter().find(lacking) {
            return Some(Reason::from(need));
        }
        if target.context_tokens.is_some_and(|window| !self.fits(window)) {
            return Some(Reason::ContextWindow);
        }
        // What stands where nobody read is not known, which is not the same as not there.
        let unsure = self.prompt.truncated && !target.lacks.is_empty();
        unsure.then_some(Reason::BodyCut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::ApiFormat;

    fn read(api: ApiFormat, cheap: Target, body: &str) -> (bool, Option<Reason>) {
        let targets = [cheap, Target::named("strong")];
        let mut body = body.as_bytes().to_vec();
        let prompt = Prompt::parse(api, &mut body, false).unwrap();
        let gates = pass(&targets, &prompt, TargetSet::default());
        assert!(gates.eligible.contains(1));
        (gates.eligible.contains(0), gates.reason)
    }

    fn gates(cheap: Target, body: &str) -> (bool, Option<Reason>) {
        read(ApiFormat::ChatCompletions, cheap, body)
    }

    fn body(more: &str) -> String {
        format!(r#"{{"messages":[{{"role":"user","content":"12345678"}}]{more}}}"#)
    }

    fn without(needs: impl IntoIterator<Item = Need>) -> Target {
        Target { lacks: needs.into_iter().collect(), ..Target::named("cheap") }
    }

    /// What a user turn of one such part lets the target do that lacks everything.
    fn part(api: ApiFormat, part: &str) -> Option<Reason> {
        let text = r#"{"type":"text","text":"What is this?"}"#;
        let field = if api == ApiFormat::Responses { "input" } else { "messages" };
        let body = format!(r#"{{"{field}":[{{"role":"user","content":[{text},{part}]}}]}}"#);
        let (eligible, reason) = read(api, without(Need::ALL), &body);
        assert_eq!(eligible, reason.is_none());
        reason
    }

    #[test]
    fn prompt_and_wanted_answer_must_fit_into_the_window() {
        let target = || Target { context_tokens: Some(100), ..Target::named("cheap") };
        assert_eq!(gates(target(), &body("")), (true, None));
        assert_eq!(gates(target(), &body(r#","max_tokens":60"#)), (true, None));
        for too_many in [r#","max_tokens":98"#, r#","max_tokens":1e30"#] {
            let full = body(too_many);
            assert_eq!(gates(target(), &full), (false, Some(Reason::ContextWindow)));
        }
    }

    #[test]
    fn what_a_target_cannot_do_is_not_asked_of_it() {
        let cannot = || without(Need::ALL);
        assert_eq!(gates(cannot(), &body("")), (true, None));
        for (more, reason) in [
            (r#","tools":[{}]"#, Reason::Tools),
            (r#","functions":[{}]"#, Reason::Tools),
            (r#","mcp_servers":[{"url":"https://example.com"}]"#, Reason::Tools),
            (r#","response_format":{"type":"json_schema"}"#, Reason::ResponseFormat),
            (r#","response_format":{"type":"grammar"}"#, Reason::ResponseFormat),
            (r#","structured_outputs":{"choice":["a","b"]}"#, Reason::ResponseFormat),
            (r#","guided_regex":"[0-9]+""#, Reason::ResponseFormat),
            (r#","modalities":["text","audio"]"#, Reason::Audio),
        ] {
            assert_eq!(gates(cannot(), &body(more)), (false, Some(reason)), "{more}");
            assert_eq!(gates(Target::named("cheap"), &body(more)), (true, None), "{more}");
        }
        for more in [
            r#","tools":[]"#,
            r#","response_format":{"type":"text"}"#,
            r#","response_format":null,"guided_json":null,"mcp_servers":[]"#,
            r#","modalities":["text"]"#,
        ] {
            assert_eq!(gates(cannot(), &body(more)), (true, None), "{more}");
        }
        let image = r#"{"messages":[{"content":[{"type":"image_url"}]}]}"#;
        assert_eq!(gates(cannot(), image), (false, Some(Reason::Images)));
        let loop_ = r#"{"messages":[{"role":"assistant","content":"x","tool_calls":[{}]}]}"#;
        assert_eq!(gates(cannot(), loop_), (false, Some(Reason::Tools)));
    }

    #[test]
    fn formats_of_answers_are_known_by_each_apis_own_field() {
        for (api, asked) in [
            (ApiFormat::Messages, r#""output_config":{"format":{"type":"json_schema"}}"#),
            (ApiFormat::Messages, r#""output_format":{"type":"json_schema","schema":{}}"#),
            (ApiFormat::Responses, r#""text":{"format":{"type":"json_object"}}"#),
            (ApiFormat::Completions, r#""guided_choice":["yes","no"]"#),
        ] {
            let body = format!(
                r#"{{"messages":[{{"content":"hi"}}],"input":"hi","prompt":"hi",{asked}}}"#
            );
            let (_, reason) = read(api, without([Need::ResponseFormat]), &body);
            assert_eq!(reason, Some(Reason::ResponseFormat), "{asked}");
        }
        for (api, plain) in [
            (ApiFormat::Messages, r#""output_config":{"effort":"low"}"#),
            (ApiFormat::Responses, r#""text":{"verbosity":"low","format":{"type":"text"}}"#),
        ] {
            let body = format!(r#"{{"messages":[{{"content":"hi"}}],"input":"hi",{plain}}}"#);
            assert!(read(api, without([Need::ResponseFormat]), &body).0, "{plain}");
        }
    }

    #[test]
    fn each_kind_of_input_has_its_own_gate() {
        use ApiFormat::{ChatCompletions, Messages, Responses};
        for (api, json, reason) in [
            (ChatCompletions, r#"{"type":"image_url","image_url":{"url":"u"}}"#, Reason::Images),
            (ChatCompletions, r#"{"image_url":{"url":"u"}}"#, Reason::Images),
            (ChatCompletions, r#"{"type":"input_audio","input_audio":{}}"#, Reason::Audio),
            (ChatCompletions, r#"{"audio_url":{"url":"u"}}"#, Reason::Audio),
            (ChatCompletions, r#"{"type":"file","file":{"file_id":"f"}}"#, Reason::Files),
            (ChatCompletions, r#"{"type":"video_url","video_url":{"url":"u"}}"#, Reason::Video),
            (ChatCompletions, r#"{"type":"hologram","data":"x"}"#, Reason::UnknownInput),
            (ChatCompletions, r#"{"data":"x"}"#, Reason::UnknownInput),
            (Responses, r#"{"type":"input_image","file_id":"f"}"#, Reason::Images),
            (Responses, r#"{"type":"input_file","file_url":"u"}"#, Reason::Files),
            (Messages, r#"{"source":{"type":"url"},"type":"document"}"#, Reason::Files),
            (Messages, r#"{"type":"container_upload","file_id":"f"}"#, Reason::Files),
            (
                Messages,
                r#"{"type":"document","source":{"type":"content","content":[{"type":"image"}]}}"#,
                Reason::Images,
            ),
            (
                Messages,
                r#"{"type":"tool_result","content":[{"type":"image","source":{}}]}"#,
                Reason::Images,
            ),
            (
                Messages,
                r#"{"type":"search_result","content":[{"type":"blob"}]}"#,
                Reason::UnknownInput,
            ),
        ] {
            assert_eq!(part(api, json), Some(reason), "{json}");
        }
        for (api, json) in [
            (ChatCompletions, r#"{"type":"text","text":"x"}"#),
            (ChatCompletions, r#"{"text":"x"}"#),
            (Responses, r#"{"type":"input_text","text":"x"}"#),
            (Messages, r#"{"type":"tool_result","content":"x"}"#),
            (Messages, r#"{"type":"search_result","content":[{"type":"text","text":"x"}]}"#),
        ] {
            assert_eq!(part(api, json), None, "{json}");
        }
    }

    #[test]
    fn items_of_responses_are_input_like_any_other() {
        for (item, reason) in [
            (
                r#"{"type":"computer_call_output","output":{"type":"computer_screenshot","image_url":"u"}}"#,
                Some(Reason::Images),
            ),
            (
                r#"{"type":"function_call_output","output":[{"type":"input_file","file_id":"f"}]}"#,
                Some(Reason::Files),
            ),
            (r#"{"type":"image_generation_call","result":"AAAA"}"#, Some(Reason::Images)),
            (r#"{"type":"telepathy","thought":"x"}"#, Some(Reason::UnknownInput)),
            (r#"{"type":"reasoning","summary":[]}"#, None),
            (r#"{"type":"function_call_output","output":"4"}"#, None),
        ] {
            let body = format!(r#"{{"input":[{{"role":"user","content":"click"}},{item}]}}"#);
            let (_, found) = read(ApiFormat::Responses, without(Need::MEDIA), &body);
            assert_eq!(found, reason, "{item}");
        }
    }

    #[test]
    fn an_api_that_a_target_does_not_serve_is_not_asked_of_it() {
        let chat = Target { apis: vec![ApiFormat::ChatCompletions], ..Target::named("cheap") };
        let body = r#"{"messages":[{"content":"hi"}],"input":"hi"}"#;
        assert!(read(ApiFormat::ChatCompletions, chat.clone(), body).0);
        for api in [ApiFormat::Messages, ApiFormat::Responses] {
            assert_eq!(read(api, chat.clone(), body), (false, Some(Reason::Api)));
        }
    }

    #[test]
    fn what_is_behind_the_cut_may_be_anything() {
        let targets = [without([Need::Files]), Target::named("strong")];
        let read = |targets: &[Target]| {
            let mut body = br#"{"messages":[{"role":"user","content":"Wha"#.to_vec();
            let mut prompt = Prompt::parse(ApiFormat::ChatCompletions, &mut body, true).unwrap();
            prompt.unread_bytes = 2_000_000;
            let gates = pass(targets, &prompt, TargetSet::default());
            (gates.eligible, gates.reason)
        };
        assert_eq!(read(&targets), (TargetSet(0b10), Some(Reason::BodyCut)));
        let small = Target { context_tokens: Some(200_000), ..Target::named("cheap") };
        let targets = [small, Target::named("strong")];
        assert_eq!(read(&targets), (TargetSet(0b10), Some(Reason::ContextWindow)));
        let targets = [Target::named("cheap"), Target::named("strong")];
        assert_eq!(read(&targets), (TargetSet(0b11), None), "a target that takes anything");
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
