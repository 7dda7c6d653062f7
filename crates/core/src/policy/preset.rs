//! Thresholds by what they mean.

/// The threshold of the target at `place` where all `count` non-strongest targets share one score:
/// equal steps from the cheapest target's threshold down to the strongest, which takes the rest.
pub fn step(top: f32, place: usize, count: usize) -> f32 {
    top * (count - place) as f32 / count as f32
}

/// How sure one must be that the cheapest target's answer is as good as the strongest's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// The cheapest target, unless the strongest is probably better.
    Economy,
    /// The cheapest target where its answer is rather as good than not.
    Balanced,
    /// The cheapest target only where its answer is very probably as good.
    Quality,
}

impl Preset {
    /// The presets by their names in the configuration.
    pub const NAMES: [(&str, Preset); 3] = [
        ("economy", Preset::Economy),
        ("balanced", Preset::Balanced),
        ("quality", Preset::Quality),
    ];

    /// The score from which on the cheapest target is chosen: a probability, so it means the same
    /// for every calibrated model.
    pub fn threshold(self) -> f32 {
        match self {
            Preset::Economy => 0.4,
            Preset::Balanced => 0.6,
            Preset::Quality => 0.8,
        }
    }
}
