//! A snapshot as JSON.

use serde::{Deserialize, Serialize};

use super::{Component, Context, Explorer, Segment, Snapshot};
use crate::packed::{pack, unpack};

/// Layout of a snapshot.
pub const FORMAT: u32 = 1;
/// Largest snapshot that is looked at, in bytes: every worker parses and holds it.
pub const MAX_SNAPSHOT_BYTES: usize = 512 * 1024;

/// Why a snapshot is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SnapshotError {
    #[error("{bytes} bytes: at most {MAX_SNAPSHOT_BYTES} are read")]
    TooLarge { bytes: usize },
    #[error("not a snapshot: {0}")]
    Json(String),
    #[error("format {found}: must be {FORMAT}")]
    Format { found: u32 },
    #[error("context {snapshot}: this program computes {here}")]
    OtherContext { snapshot: String, here: String },
    #[error("targets {snapshot:?}: the configuration has {here:?}")]
    OtherTargets { snapshot: Vec<String>, here: Vec<String> },
    #[error("{0}")]
    Shape(String),
    #[error("{0}")]
    Value(String),
}

/// The wire layout: numbers of a component are packed as in decision records.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    format: u32,
    version: String,
    context_hash: String,
    targets: Vec<String>,
    penalties: Vec<f32>,
    explorer: Explorer,
    components: Vec<WireComponent>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    segments: Vec<WireSegment>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSegment {
    name: String,
    components: Vec<WireComponent>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireComponent {
    version: String,
    share: f64,
    weights: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    factors: Vec<String>,
}

impl Snapshot {
    /// Reads and checks a snapshot for the targets of a configuration.
    ///
    /// # Errors
    ///
    /// Names what is refused; a snapshot is taken whole or not at all.
    pub fn read(json: &[u8], targets: &[&str]) -> Result<Self, SnapshotError> {
        let snapshot = Self::parse(json)?;
        if snapshot.targets.iter().ne(targets) {
            return Err(SnapshotError::OtherTargets {
                snapshot: snapshot.targets,
                here: targets.iter().map(|&name| name.to_owned()).collect(),
            });
        }
        Ok(snapshot)
    }

    /// Reads and checks a snapshot for whatever targets it names.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::read`].
    pub fn parse(json: &[u8]) -> Result<Self, SnapshotError> {
        if json.len() > MAX_SNAPSHOT_BYTES {
            return Err(SnapshotError::TooLarge { bytes: json.len() });
        }
        let wire: Wire =
            serde_json::from_slice(json).map_err(|error| SnapshotError::Json(error.to_string()))?;
        if wire.format != FORMAT {
            return Err(SnapshotError::Format { found: wire.format });
        }
        let here = Context::new(wire.targets.len()).hash();
        if wire.context_hash != here {
            return Err(SnapshotError::OtherContext { snapshot: wire.context_hash, here });
        }
        let read = |components: Vec<WireComponent>| -> Result<Vec<Component>, SnapshotError> {
            components.into_iter().map(read_component).collect()
        };
        let components = read(wire.components)?;
        let segment = |wire: WireSegment| Ok(Segment::new(wire.name, read(wire.components)?));
        let segments = wire.segments.into_iter().map(segment).collect::<Result<_, _>>()?;
        let snapshot = Snapshot {
            version: wire.version,
            context_hash: wire.context_hash,
            targets: wire.targets,
            penalties: wire.penalties,
            explorer: wire.explorer,
            components,
            segments,
        };
        snapshot.check()?;
        Ok(snapshot)
    }

    /// The snapshot as JSON.
    pub fn to_json(&self) -> String {
        let wire = Wire {
            format: FORMAT,
            version: self.version.clone(),
            context_hash: self.context_hash.clone(),
            targets: self.targets.clone(),
            penalties: self.penalties.clone(),
            explorer: self.explorer,
            components: self.components.iter().map(write_component).collect(),
            segments: self
                .segments
                .iter()
                .map(|segment| WireSegment {
                    name: segment.name.clone(),
                    components: segment.components.iter().map(write_component).collect(),
                })
                .collect(),
        };
        // Strings and finite numbers cannot fail to serialise.
        serde_json::to_string(&wire).unwrap_or_default()
    }
}

fn write_component(component: &Component) -> WireComponent {
    WireComponent {
        version: component.version.clone(),
        share: component.share,
        weights: component.weights.iter().map(|weights| pack(weights)).collect(),
        factors: component.factors.iter().map(|factor| pack(factor)).collect(),
    }
}

fn read_component(wire: WireComponent) -> Result<Component, SnapshotError> {
    let rows = |packed: Vec<String>| -> Result<Vec<Vec<f32>>, SnapshotError> {
        let broken = || SnapshotError::Shape("numbers must be base64 of little-endian f32".into());
        packed.iter().map(|row| unpack(row).ok_or_else(broken)).collect()
    };
    Ok(Component {
        version: wire.version,
        share: wire.share,
        weights: rows(wire.weights)?,
        factors: rows(wire.factors)?,
    })
}
