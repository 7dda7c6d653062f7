//! A changed deployment for an Envoy that runs.

use std::path::Path;
use std::time::Duration;

use super::super::gateway::replace;
use super::super::rollout::steps::steps;
use super::super::rollout::watched::{After, Setback, Watched};
use super::deployment::Deployment;
use super::envoy::{self, Admin, Found};
use pointsman_gateway::render::Files;

/// How long Envoy may take to look at a file.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was done with a change.
pub(super) enum Outcome {
    Unchanged,
    /// The files that Envoy took.
    Accepted(Vec<&'static str>),
}

/// Puts a new deployment in the place of the old one, if Envoy takes it.
///
/// # Errors
///
/// Why not; then the old one serves on.
pub(super) fn roll_out(
    new: &Deployment,
    old: &Files,
    directory: &Path,
    envoy: &Found,
    admin: &Admin,
) -> Result<(Outcome, Files), String> {
    let failed = |error: anyhow::Error| format!("{error:#}");
    let files = new.files().map_err(failed)?;
    if files == *old {
        return Ok((Outcome::Unchanged, files));
    }
    // Where keys are: new names, which nothing that serves has.
    for (name, text) in files.iter().filter(|(name, _)| name.starts_with("secrets/")) {
        replace(&directory.join(name), text).map_err(failed)?;
    }
    let whole = directory.join("next.yaml");
    replace(&whole, &new.whole().map_err(failed)?).map_err(failed)?;
    let answer = envoy::validate(envoy, &whole, &new.environment()).map_err(failed)?;
    let _ = std::fs::remove_file(&whole);
    answer.map_err(|why| format!("Envoy refuses it: {why}"))?;
    let log = Some(directory.join("logs/envoy.log"));
    let watched = Watched { directory, admin, patience: PATIENCE, log };
    match watched.put_all(&steps(old, &files)?, old) {
        Ok(taken) => Ok((Outcome::Accepted(taken), files)),
        Err(Setback { file, why, after: after @ After::Lost(_) }) => {
            Err(format!("{file}: {why}; {after}"))
        }
        Err(Setback { file, why, .. }) => Err(format!("{file}: {why}; the old files are back")),
    }
}
