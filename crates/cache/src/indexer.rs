//! Brings the semantic tier back after a start, and saves its index now and then.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::index::saved::{self, BadIndex, Identity, SavedShelf};
use super::store::StoreError;
use super::tiers::Tiers;

/// How often the index is saved, at most.
const PERIOD: Duration = Duration::from_secs(300);
/// Changes for which it is saved: the next start makes up for fewer in a second. At the end it is
/// saved for any.
const CHANGES: u64 = 1024;

/// Where an index is saved, and what must not have changed since.
pub(super) struct IndexFile {
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
}

/// What a start has to report.
pub(super) enum Progress {
    /// The store was read: entries.
    Loaded(u64),
    /// It could not be read to its end.
    BrokeOff(StoreError),
    /// The file is not used, and the index is built again.
    NotUsed(PathBuf, BadIndex),
    NotSaved(PathBuf, std::io::Error),
    /// Everything that was read serves similar questions, too.
    Complete(Complete),
}

/// How an index came back.
#[derive(Clone, Copy, Debug)]
pub struct Complete {
    pub entries: u64,
    /// Of them, those that the saved index did not have.
    pub built: usize,
    /// From the moment that the entries were read.
    pub time: Duration,
}

/// Who is told.
pub(super) type Report = Arc<dyn Fn(Progress) + Send + Sync>;

enum Wake {
    Read,
    End,
}

/// A thread that works on a target's index; dropping it saves the index.
pub(super) struct Indexer {
    wake: Sender<Wake>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Says that a store was read.
#[derive(Clone)]
pub(super) struct WasRead(Sender<Wake>);

impl WasRead {
    pub(super) fn report(&self) {
        // It fails at the end, when nobody needs to know.
        let _ = self.0.send(Wake::Read);
    }
}

impl Indexer {
    pub(super) fn start(tiers: Arc<Tiers>, file: Option<IndexFile>, report: Report) -> Self {
        let (wake, woken) = channel();
        let ending = Arc::<AtomicBool>::default();
        let work = Work { tiers, file, report, ending: Arc::clone(&ending) };
        let thread = std::thread::spawn(move || work.run(&woken));
        Indexer { wake, ending, thread: Some(thread) }
    }

    pub(super) fn was_read(&self) -> WasRead {
        WasRead(self.wake.clone())
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        let _ = self.wake.send(Wake::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Work {
    tiers: Arc<Tiers>,
    file: Option<IndexFile>,
    report: Report,
    ending: Arc<AtomicBool>,
}

impl Work {
    fn run(&self, woken: &Receiver<Wake>) {
        // While the store is being read. Without its entries nothing is found by it.
        let (saved, mut stale) = self.read();
        let mut saved = Some(saved);
        let mut last: Option<Instant> = None;
        // Those that the file has.
        let mut changes = 0;
        loop {
            match woken.recv_timeout(PERIOD) {
                Ok(Wake::Read) => {
                    let begun = Instant::now();
                    if let Some(saved) = saved.take() {
                        stale |= !self.tiers.take_over(saved);
                    }
                    let built = self.tiers.build(|| !self.ending.load(Ordering::Relaxed));
                    let size = self.tiers.size();
                    if size.pending == 0 && !size.reading {
                        let (entries, time) = (size.entries, begun.elapsed());
                        (self.report)(Progress::Complete(Complete { entries, built, time }));
                    }
                }
                Ok(Wake::End) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let due = last.is_none_or(|last| last.elapsed() >= PERIOD);
            if due && saved.is_none() && self.tiers.changes() >= changes + CHANGES {
                (changes, stale) = (self.save(changes), false);
                last = Some(Instant::now());
            }
        }
        // One that was not taken over yet is still there for the next start.
        if saved.is_none() && (stale || self.tiers.changes() > changes) {
            self.save(changes);
        }
    }

    /// What the file has, and whether it is of no use.
    fn read(&self) -> (Vec<SavedShelf>, bool) {
        let Some(file) = &self.file else { return (Vec::new(), false) };
        match saved::read(&file.path, &file.identity) {
            Ok(saved) => (saved, false),
            Err(error) => {
                (self.report)(Progress::NotUsed(file.path.clone(), error));
                (Vec::new(), true)
            }
        }
    }

    /// Saves the index; returns the changes that the file has.
    fn save(&self, before: u64) -> u64 {
        let Some(file) = &self.file else { return before };
        let changes = self.tiers.changes();
        match self.tiers.save(&file.path, &file.identity) {
            Ok(()) => changes,
            Err(error) => {
                (self.report)(Progress::NotSaved(file.path.clone(), error));
                before
            }
        }
    }
}
