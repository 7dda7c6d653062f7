//! Manifest and ONNX graph to scores.
mod manifest;
pub use manifest::{Manifest, ManifestTarget};
