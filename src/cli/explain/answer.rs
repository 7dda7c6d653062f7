//! What the filter would make of a recorded answer.

use pointsman_core::config::Config;
use pointsman_core::escalation::{Inspection, Inspector, Outcome, Token};
use pointsman_core::exchange::OfflineHost;
use pointsman_core::header;
use pointsman_core::target::{Escalate, Target};
use pointsman_core::telemetry::Sample;
use serde::Serialize;

use super::super::BadInput;

/// The judgement of an answer of the target that was decided on.
#[derive(Serialize)]
pub(super) struct Judgement {
    outcome: &'static str,
    /// Of a bad answer.
    sign: Option<&'static str>,
    /// The target has no `escalate`: it was judged with the defaults.
    by_default: bool,
}

/// Judges `answer`, the body of a response with status 200: one JSON text, or events.
pub(super) fn judge(
    config: &Config,
    target: Option<&str>,
    path: &str,
    request: &[u8],
    answer: &[u8],
) -> anyhow::Result<Judgement> {
    let target = config.targets.iter().find(|it: &&Target| Some(it.name.as_str()) == target);
    let own = target.and_then(|target| target.escalate.clone());
    let by_default = own.is_none();
    let escalate = Escalate {
        // All of it is here.
        hold_bytes: usize::MAX >> 1,
        ..own.unwrap_or_else(|| Escalate::to("the next target".to_owned()))
    };
    let inspector = Inspector::new(String::new(), escalate).map_err(BadInput::new)?;
    let json = answer.trim_ascii_start().first() == Some(&b'{');
    let headers = [(":path", path.to_owned()), (header::HOLD, Token::new([0, 1]).to_string())];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.into_bytes()));
    let host = OfflineHost::new(headers, request.to_vec());
    let mut inspection = Inspection::default();
    inspection.on_request_headers(&inspector, &host, false);
    inspection.on_request_body(&inspector, &host, request.len(), true);
    let content_type = if json { "application/json" } else { "text/event-stream" };
    for (name, value) in [(":status", "200"), ("content-type", content_type)] {
        host.response_headers.borrow_mut().insert(name.to_owned(), value.as_bytes().to_vec());
    }
    inspection.on_response_headers(&inspector, &host, false);
    *host.response_body.borrow_mut() = answer.to_vec();
    inspection.on_response_body(&inspector, &host, answer.len(), true);
    let samples = host.samples.borrow();
    let inspected = samples.iter().find_map(|sample| match sample {
        Sample::Inspected { outcome, sign, .. } => Some((*outcome, *sign)),
        _ => None,
    });
    // Without a verdict, the path is not one whose answers are held.
    let (outcome, sign) = inspected.unwrap_or((Outcome::Unreadable, None));
    Ok(Judgement { outcome: outcome.name(), sign: sign.map(|sign| sign.name()), by_default })
}

impl std::fmt::Display for Judgement {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str(self.outcome)?;
        if let Some(sign) = self.sign {
            write!(formatter, " ({sign})")?;
        }
        if self.by_default {
            write!(formatter, "; the target has no escalate, so this is by its defaults")?;
        }
        Ok(())
    }
}
