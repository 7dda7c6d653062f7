//! Changes as an argument.

use clap::ValueEnum;

use crate::simulate::Drift;

/// What happens in the middle of a simulation.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum DriftArg {
    /// Nothing
    None,
    /// The models behind the two clusters trade places: quality changes, prices do not
    Swap,
    /// The cheap model is replaced by a much worse one: nine of ten good answers are lost
    CheapFails,
    /// The cheap model is replaced by one as good as the strong one
    CheapImproves,
}

impl From<DriftArg> for Drift {
    fn from(argument: DriftArg) -> Self {
        match argument {
            DriftArg::None => Drift::None,
            DriftArg::Swap => Drift::Swap,
            DriftArg::CheapFails => Drift::CheapFails,
            DriftArg::CheapImproves => Drift::CheapImproves,
        }
    }
}
