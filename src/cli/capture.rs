//! `pointsman capture`: keeps escalated requests with both their answers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use regex::Regex;

use super::{BadInput, shutdown};
use pointsman_control_plane::capture::{CaptureError, Options, Reason, Refusal, serve};
use pointsman_control_plane::serve::Event;
use pointsman_lab::label::capture::{BadPair, Redaction, row};

/// Keep escalated requests with both their answers, for `pointsman label`
///
/// A filter with `capture` posts a share of its escalated requests here, each with the answer that
/// was not sent on and the one in its place. The file holds text of prompts: it is readable by its
/// owner alone, and only this machine can post.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Address to listen on; a loopback address
    #[arg(long, default_value = "127.0.0.1:8090", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// File to append to, one JSON object per line; created when it does not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace what matches by "[redacted]", in every string of requests and answers; repeat for
    /// several
    #[arg(long, value_name = "REGEX", value_parser = pattern, allow_hyphen_values = true)]
    redact: Vec<Regex>,
    /// Maximum size of the file, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    max_bytes: u64,
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let redaction = Redaction::new(args.redact);
    let prepare = move |body: &[u8]| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        row(body, &redaction, now.as_millis() as u64).map_err(refusal)
    };
    let options = Options {
        listen: args.listen,
        out: args.out,
        max_bytes: args.max_bytes,
        prepare: Box::new(prepare),
    };
    let report = |event: Event| match event {
        Event::Listening(address) => report!("listening on http://{address}/"),
        Event::Warning(warning) => report!("warning: {warning}"),
    };
    serve(options, shutdown::requested, report).map_err(|error| {
        if let CaptureError::Io(_) = error {
            return error.into();
        }
        let bad = BadInput::new(&error);
        let bad = match error.hint() {
            Some(hint) => bad.hint(hint),
            None => bad,
        };
        bad.into()
    })
}

fn refusal(bad: BadPair) -> Refusal {
    let reason = match bad {
        BadPair::Invalid(_) => Reason::Invalid,
        BadPair::NotJson(_) => Reason::NotJson,
        BadPair::NoAnswer { .. } => Reason::NoAnswer,
    };
    Refusal { reason, message: bad.to_string() }
}

fn pattern(text: &str) -> Result<Regex, String> {
    let pattern = Regex::new(text).map_err(|error| error.to_string())?;
    if pattern.is_match("") {
        return Err("must not match the empty text".to_owned());
    }
    Ok(pattern)
}
