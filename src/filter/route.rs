//! A request's headers and its route's metadata, as the host tells them.

use proxy_wasm::hostcalls;
use proxy_wasm::types::MapType;

/// Only the bytes getters: the `String` ones panic on headers that are not UTF-8, which any
/// client can send (proxy-wasm `hostcalls.rs`, `get_map_value`).
pub(super) fn header(name: &str) -> Option<Vec<u8>> {
    hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, name).ok().flatten()
}

/// A text of the route's metadata, under this filter's name.
pub(super) fn metadata(name: &str) -> Option<String> {
    let path = vec!["xds", "route_metadata", "filter_metadata", "pointsman", name];
    let value = hostcalls::get_property(path).ok().flatten()?;
    // YAML takes a bare `off` for false, which Envoy tells as one byte of zero. Whoever writes it
    // wants to switch off.
    if value == [0] {
        Some("off".to_owned())
    } else {
        Some(String::from_utf8_lossy(&value).into_owned())
    }
}
