//! The native command line; the filter is the library, built for `wasm32-wasip1`.

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    pointsman::cli::main()
}

#[cfg(target_arch = "wasm32")]
fn main() {}
