//! The request body that passes by, in which the target is given its model and parameters.

use crate::api;
use crate::config::{Config, Mode};
use crate::rewrite::{NoObject, Stream, splice};
use crate::scope::InScope;
use crate::target::{Edit, Target};
use crate::telemetry::Sample;

use super::Host;

/// What was read of a body.
#[derive(Clone, Copy, Default)]
pub(super) struct Read {
    pub(super) bytes: usize,
    /// There is more, which was not read.
    pub(super) cut: bool,
    /// The target's model should stand in the body, and could not be written there.
    pub(super) not_rewritten: bool,
    /// All of it was understood, and the target to which a bad answer would go can serve it.
    pub(super) can_escalate: bool,
}

impl Read {
    /// What is to be counted of it.
    pub(super) fn samples(self) -> impl Iterator<Item = Sample> {
        let happened = [(self.cut, Sample::BodyCut), (self.not_rewritten, Sample::NotRewritten)];
        happened.into_iter().filter(|(happened, _)| *happened).map(|(_, sample)| sample)
    }
}

/// What became of a body that should be changed.
pub(super) enum Written {
    /// It says what it should.
    Whole,
    /// What is buffered does; the rest is to pass through this.
    Beginning(Stream),
    /// It is no JSON object, so nobody knows where in it the model is named.
    Not,
}

/// As [`edit`], where the request goes to the target by this filter's decision.
pub(super) fn write(
    host: &impl Host,
    scope: InScope,
    target: &Target,
    size: usize,
    ended: bool,
) -> Option<Written> {
    let routed = scope.mode == Mode::Route;
    edit(host, if routed { target.edits.of(scope.format) } else { &[] }, size, ended)
}

/// Makes edits in what is buffered of the body, `size` bytes, and writes the exact length into the
/// headers, which are still held back. All there is when it has `ended`. `None` when nothing is to
/// be changed.
///
/// A wrong length would make the upstream wait, or let the client smuggle a request; so the header
/// changes only after the body has.
pub(super) fn edit(host: &impl Host, edits: &[Edit], size: usize, ended: bool) -> Option<Written> {
    if edits.is_empty() {
        return None;
    }
    let body = host.request_body(size);
    let edited = if ended {
        splice(&body, edits).map(|edited| edited.map(|edited| (edited, None)))
    } else {
        let begun = Stream::begin(&body, edits).ok_or(NoObject);
        begun.map(|(edited, stream)| Some((edited, Some(stream))))
    };
    let (edited, stream) = match edited {
        Ok(Some(edited)) => edited,
        Ok(None) => return Some(Written::Whole),
        // Where the path names the model, that is enough.
        Err(NoObject) => return (!names_deployment(host)).then_some(Written::Not),
    };
    if !host.replace_request_body(body.len(), &edited) {
        return Some(Written::Not);
    }
    let behind = length(host).and_then(|length| length.checked_sub(body.len()));
    if let Some(behind) = behind {
        let held = stream.as_ref().map_or(0, Stream::held);
        let length = (behind + edited.len() + held).to_string();
        host.set_request_header("content-length", Some(&length));
    }
    Some(stream.map_or(Written::Whole, Written::Beginning))
}

/// Whether a body that is not looked at names another model than the target's, for all we know.
pub(super) fn keeps_model(host: &impl Host, scope: InScope, target: &Target) -> bool {
    let edits = target.edits.of(scope.format);
    scope.mode == Mode::Route && !edits.is_empty() && !names_deployment(host)
}

/// Passes the next `size` bytes of the body through.
pub(super) fn pass(host: &impl Host, stream: &mut Stream, size: usize, ended: bool) {
    let piece = host.request_body(size);
    let sent = stream.feed(&piece, ended);
    if sent != piece {
        host.replace_request_body(piece.len(), &sent);
    }
}

/// The length of the body, as far as the client says.
pub(super) fn length(host: &impl Host) -> Option<usize> {
    let value = host.request_header("content-length")?;
    str::from_utf8(&value).ok()?.trim().parse().ok()
}

/// Whether more is to be waited for of a body of which `size` bytes are here: it is less than is
/// read, or will be here as a whole before it is more than may be held back.
pub(super) fn is_to_wait(host: &impl Host, config: &Config, size: usize) -> bool {
    let most = config.hold_bytes;
    let whole = || size < most && length(host).is_some_and(|length| length <= most);
    size < config.max_body_bytes || whole()
}

/// Whether the path names the model, as Azure's do.
fn names_deployment(host: &impl Host) -> bool {
    host.request_header(":path").is_some_and(|path| api::with_deployment(&path, "").is_some())
}

/// Names the model in the path, where the path names one.
pub(super) fn name_deployment(host: &impl Host, model: &str) {
    let path = host.request_header(":path");
    if let Some(path) = path.and_then(|path| api::with_deployment(&path, model)) {
        host.set_request_header(":path", Some(&path));
    }
}
