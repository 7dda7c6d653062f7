//! The buffered request body, in which the target is given its model and parameters.

use crate::rewrite;
use crate::target::Target;

use super::Host;

/// Writes the target's model and parameters into the first `limit` bytes of what is buffered, and
/// the exact length into the headers, which are still held back. `whole` says that these bytes are
/// all there is.
///
/// A wrong length would make the upstream wait, or let the client smuggle a request; so the header
/// changes only after the body has.
pub(super) fn rewrite(host: &impl Host, target: &Target, limit: usize, whole: bool) {
    let body = host.request_body(limit);
    let Some(spliced) = rewrite::splice(&body, &target.edits, whole) else { return };
    if !host.replace_request_body(body.len(), &spliced) {
        return;
    }
    let length = host
        .request_header("content-length")
        .and_then(|value| str::from_utf8(&value).ok()?.trim().parse::<usize>().ok());
    if let Some(length) = length.and_then(|length| length.checked_sub(body.len())) {
        let length = (length + spliced.len()).to_string();
        host.set_request_header("content-length", Some(&length));
    }
}
