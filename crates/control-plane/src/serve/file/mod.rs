//! State in one file, of one process: the log first, everything else follows from it.

pub(super) mod attribution;
mod head;
mod learner;
pub(super) mod store;
#[cfg(test)]
mod tests;
mod upgrade;
pub(super) mod writer;

use std::path::Path;
use std::sync::Arc;

use self::attribution::Attribution;
pub use self::store::{Batch, Store, StoreError};
use self::writer::{FileJournal, Writer};
use super::caches::Caches;
use super::options::Options;
use super::rules::Rules;
use super::status::{Shared, Topic};
use super::threads::Threads;

/// Starts the threads that work on a state file.
///
/// # Errors
///
/// When the file cannot be opened or read, or belongs to another policy.
pub fn start(
    path: &Path,
    options: &Options,
    shared: &Arc<Shared>,
    caches: Caches,
) -> Result<Threads, StoreError> {
    let rules = Rules::new(&options.learners);
    let mut store = Store::open(path, &rules)?;
    if store.left_out > 0 {
        let lines = store.left_out;
        let what = "logged lines, which no filter can have written, were left out";
        shared.warn(Topic::Store, format!("{lines} {what}"));
    }
    let mut attribution = Attribution::new(options.attribution, options.pending);
    let resumed = learner::resume(options.learners.clone(), &mut store, &rules, &mut attribution)?;
    let (learner, learning) = learner::start(resumed, Arc::clone(shared));
    let shared = Arc::clone(shared);
    let journal = FileJournal { store, attribution, learner: learner.clone(), shared };
    let (writer, writing) = Writer { journal, caches }.start();
    Ok(Threads { writer, learner, running: vec![writing, learning] })
}
