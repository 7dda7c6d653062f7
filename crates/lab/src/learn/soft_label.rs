//! Targets that are shares instead of yes and no.

/// A row's targets once its auxiliary models had a say (see [`super::teacher`]), 0..=1 each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftLabel {
    pub sufficient: f32,
    pub gain: f32,
}
