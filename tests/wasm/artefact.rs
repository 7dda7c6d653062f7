//! What the module asks of its host, and what it weighs.

use std::collections::BTreeSet;

use pointsman_testkit::wasm::plugin::{ARTEFACT, module};

/// What every supported Envoy provides. Whatever else is imported fails the load there.
const ALLOWED: [(&str, &[&str]); 2] = [
    (
        "env",
        // The SDK's trait objects keep all its host calls alive, used or not.
        &[
            "proxy_add_header_map_value",
            "proxy_call_foreign_function",
            "proxy_close_stream",
            "proxy_continue_stream",
            "proxy_define_metric",
            "proxy_dequeue_shared_queue",
            "proxy_done",
            "proxy_enqueue_shared_queue",
            "proxy_get_buffer_bytes",
            "proxy_get_current_time_nanoseconds",
            "proxy_get_header_map_pairs",
            "proxy_get_header_map_value",
            "proxy_get_property",
            "proxy_get_shared_data",
            "proxy_get_status",
            "proxy_grpc_call",
            "proxy_grpc_cancel",
            "proxy_grpc_close",
            "proxy_grpc_send",
            "proxy_grpc_stream",
            "proxy_http_call",
            "proxy_increment_metric",
            "proxy_log",
            "proxy_record_metric",
            "proxy_register_shared_queue",
            "proxy_remove_header_map_value",
            "proxy_replace_header_map_value",
            "proxy_resolve_shared_queue",
            "proxy_send_local_response",
            "proxy_set_buffer_bytes",
            "proxy_set_effective_context",
            "proxy_set_header_map_pairs",
            "proxy_set_property",
            "proxy_set_shared_data",
            "proxy_set_tick_period_milliseconds",
        ],
    ),
    (
        "wasi_snapshot_preview1",
        // What Rust's standard library brings: panics, hash seeds, environment, locks, clocks.
        &[
            "clock_time_get",
            "environ_get",
            "environ_sizes_get",
            "fd_write",
            "proc_exit",
            "random_get",
            "sched_yield",
        ],
    ),
];

#[test]
fn only_what_envoy_provides_is_imported() {
    let allowed: BTreeSet<(&str, &str)> = ALLOWED
        .iter()
        .flat_map(|(module, names)| names.iter().map(move |name| (*module, *name)))
        .collect();
    let foreign: Vec<String> = module()
        .imports()
        .filter(|import| !allowed.contains(&(import.module(), import.name())))
        .map(|import| format!("{}.{}", import.module(), import.name()))
        .collect();
    assert!(foreign.is_empty(), "Envoy would refuse to load: {foreign:?}");
}

#[test]
fn the_module_speaks_abi_0_2_1_and_no_other() {
    let versions: Vec<&str> = module()
        .exports()
        .map(|export| export.name())
        .filter(|name| name.starts_with("proxy_abi_version"))
        .collect();
    assert_eq!(versions, ["proxy_abi_version_0_2_1"]);
}

#[test]
fn the_module_is_at_most_five_megabytes_and_a_fifth() {
    // Every worker holds a copy. Envoy compiles the code before it is ready, 0.6 s for every
    // megabyte; the word vectors are data, which costs no such time.
    let size = std::fs::metadata(ARTEFACT).unwrap().len();
    assert!(size <= 5_200_000, "{size} bytes");
}
