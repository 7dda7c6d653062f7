//! The buffered request body: read once for the decision, replaced once for the target's model.

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType};

use super::route::header;
use crate::config::Target;
use crate::rewrite;

/// The first bytes of what is buffered, at most `limit`.
pub(super) fn read(limit: usize) -> Vec<u8> {
    hostcalls::get_buffer(BufferType::HttpRequestBody, 0, limit).ok().flatten().unwrap_or_default()
}

/// Writes the target's model and parameters into the first `limit` bytes of what is buffered, and
/// the exact length into the headers, which are still held back. `whole` says that these bytes are
/// all there is.
///
/// A wrong length would make the upstream wait, or let the client smuggle a request; so the header
/// changes only after the body has.
pub(super) fn write(target: &Target, limit: usize, whole: bool) {
    let body = read(limit);
    let Some(spliced) = rewrite::splice(&body, &target.edits, whole) else { return };
    if hostcalls::set_buffer(BufferType::HttpRequestBody, 0, body.len(), &spliced).is_err() {
        return;
    }
    let length = header("content-length")
        .and_then(|value| str::from_utf8(&value).ok()?.trim().parse::<usize>().ok());
    if let Some(length) = length.and_then(|length| length.checked_sub(body.len())) {
        let length = (length + spliced.len()).to_string();
        let _ =
            hostcalls::set_map_value(MapType::HttpRequestHeaders, "content-length", Some(&length));
    }
}
