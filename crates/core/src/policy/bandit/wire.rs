//! A snapshot as JSON.

use serde::{Deserialize, Serialize};

use super::{Component, Context, Explorer, Segment, Snapshot};
use crate::packed::{pack, unpack};

/// Layout of a snapshot.
pub const FORMAT: u32 = 1;
/// Largest snapshot that is looked at, in bytes: every worker parses and holds it.
pub const MAX_SNAPSHOT_BYTES: usize = 512 * 1024;

/// What helps when one side is older.
const SAME_VERSION: &str = "use a control plane and a filter of the same version";

/// Why a snapshot is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SnapshotError {
    #[error("{bytes} bytes: at most {MAX_SNAPSHOT_BYTES} are read")]
    TooLarge { bytes: usize },
    #[error("not a snapshot: {0}")]
    Json(String),
    #[error("format {found}: must be {FORMAT}; {SAME_VERSION}")]
    Format { found: u32 },
    #[error("context {snapshot}: this program computes {here}; {SAME_VERSION}")]
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
            serde_json::from_slice(json).map_err(|error| SnapshotError::Json(of_json(&error)))?;
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

/// What is wrong with the text; a field that is not known is one of a later version.
fn of_json(error: &serde_json::Error) -> String {
    match error.is_data() {
        true => format!("{error}; {SAME_VERSION}"),
        false => error.to_string(),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// As every version of this format has written it, before there were segments.
    fn written(format: u32, context_hash: &str, further: &str) -> String {
        let zeros = pack(&vec![0.0; Context::new(2).dimensions()]);
        format!(
            r#"{{"format":{format},"version":"7","context_hash":"{context_hash}","targets":["cheap","strong"],"penalties":[0.0,0.2],"explorer":{{"kind":"square_cb","gamma":1000.0}},"components":[{{"version":"6","share":1.0,"weights":["{zeros}","{zeros}"]}}]{further}}}"#
        )
    }

    #[test]
    fn a_snapshot_of_an_older_version_is_read_as_long_as_its_numbers_mean_the_same() {
        // Changing this number means that every deployed policy begins again.
        let snapshot = Snapshot::parse(written(1, "27adfdb833f77827", "").as_bytes()).unwrap();
        assert_eq!((snapshot.version.as_str(), snapshot.segments.len()), ("7", 0));
        assert_eq!(snapshot.to_json(), written(1, "27adfdb833f77827", ""));
    }

    #[test]
    fn a_snapshot_of_another_version_says_what_to_do() {
        let refused = |text: String| Snapshot::parse(text.as_bytes()).unwrap_err().to_string();
        let same = "use a control plane and a filter of the same version";
        assert!(refused(written(2, "27adfdb833f77827", "")).ends_with(same));
        assert!(refused(written(1, "0123456789abcdef", "")).ends_with(same));
        let field = refused(written(1, "27adfdb833f77827", r#","added":1"#));
        assert!(field.contains("unknown field `added`") && field.ends_with(same), "{field}");
    }
}
