//! A small proxy-wasm host for the built filter.

pub mod abi;
pub mod plugin;
mod wasi;
