//! Headers that are about one connection and not about the message (RFC 9110, 7.6.1).

use http::header::{self, HeaderMap, HeaderName};

const HOP_BY_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    // The body is here already, or comes without being asked for.
    header::EXPECT,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Takes out what the sender wants to go no further. A credential among it does not reach the
/// upstream, so it must be gone before anything is looked up by it.
pub(super) fn strip_nominated(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
}

/// Takes out all that goes no further.
pub(super) fn strip(headers: &mut HeaderMap) {
    strip_nominated(headers);
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}
