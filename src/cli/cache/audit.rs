//! `pointsman cache audit`: generated pairs that must not hit, and how many do.

use std::io::{Result, Write};
use std::path::PathBuf;

use serde_json::json;

use super::embeddings::{self, knowing};
use super::{read_calibration, trust};
use crate::cli::{print, print_with};
use pointsman_cache::audit::{KindResult, audit, pairs};
use pointsman_cache::{Embedder, Matcher};

/// Count false hits among generated pairs that must not hit
///
/// Each pair is a question and the same question with another number, a negation, another name or a
/// reversed relation. Half of them also differ in wording.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Number of pairs to generate
    #[arg(long, default_value_t = 10_000)]
    pairs: usize,
    /// Seed of the generator
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Calibration file from `pointsman cache calibrate`; the built-in calibration when omitted
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    #[command(flatten)]
    embeddings: embeddings::Args,
    /// Print the pairs that hit
    #[arg(long)]
    show: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let calibration = read_calibration(args.calibration.as_deref())?;
    let endpoint = args.embeddings.endpoint(|| trust(None))?;
    let calibration = embeddings::made_for(calibration, endpoint.as_ref())?;
    let kinds = pairs(args.pairs, args.seed);
    let texts = kinds.iter().flat_map(|kind| &kind.pairs).flat_map(|(a, b)| [&**a, &**b]);
    let matcher = Matcher::new(Embedder::built_in()?, calibration);
    let matcher = knowing(matcher, endpoint.as_ref(), texts)?;
    let kinds = audit(&matcher, kinds);
    if args.json {
        return print(json!({"pairs": args.pairs, "kinds": kinds}));
    }
    print_with(|out| table(out, &kinds, args.show))
}

fn table(out: &mut dyn Write, kinds: &[KindResult], show: bool) -> Result<()> {
    writeln!(
        out,
        "{:<12} {:>7} {:>11} {:>15} {:>9}",
        "kind", "pairs", "similar", "guards refused", "hits"
    )?;
    for kind in kinds {
        writeln!(
            out,
            "{:<12} {:>7} {:>11} {:>15} {:>9}",
            kind.name,
            kind.pairs,
            kind.similar,
            kind.refused,
            kind.hits.len()
        )?;
        for (a, b) in kind.hits.iter().filter(|_| show) {
            writeln!(out, "    {a}\n    {b}")?;
        }
    }
    Ok(())
}
