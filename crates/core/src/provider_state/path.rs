//! State that the path of a request names: `GET /v1/responses/resp_1`, `…/resp_1/cancel`.

use super::state_id;

/// Collections whose members a provider made in an answer.
const COLLECTIONS: [&[u8]; 5] =
    [b"responses", b"conversations", b"containers", b"threads", b"completions"];

/// What the member that a path names is known by; `None` when it names none.
pub fn in_path(path: &[u8]) -> Option<u64> {
    let path = path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    let mut segments = path.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty());
    segments.find(|segment| COLLECTIONS.contains(segment))?;
    state_id(segments.next()?)
}
