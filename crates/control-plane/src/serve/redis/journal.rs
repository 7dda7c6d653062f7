//! Posts to the server, many in one round trip.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use redis::{Connection, Script, pipe};

use super::{PENDING, RECENT, RedisStoreError, Server, TOTALS, UPDATES};
use crate::serve::caches::Caches;
use crate::serve::journal::{COMMIT, Counts, Job, Journal, Receipt, take};
use crate::serve::layout::encode_lines;
use crate::serve::learning::Learner;
use crate::serve::line::Stored;
use crate::serve::status::{BUCKET_MS, BUCKETS};

/// Most lines of one run of the script: the server does nothing else meanwhile.
const RUN: usize = 500;

/// The script that attributes rewards where all replicas do.
pub struct RedisJournal {
    server: Server,
    connection: Option<Connection>,
    window_ms: u64,
    script: Script,
}

impl RedisJournal {
    /// For rewards within `window`.
    pub fn new(server: Server, window: Duration) -> Self {
        let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX).max(1);
        let script = Script::new(include_str!("attribute.lua"));
        RedisJournal { server, connection: None, window_ms, script }
    }
}

impl Journal for RedisJournal {
    type Error = RedisStoreError;

    fn append(&mut self, batches: &[&[Stored]]) -> Result<Vec<Receipt>, RedisStoreError> {
        // Put back only after success: a connection that failed is not used again.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.server.connect()?,
        };
        let mut pipeline = pipe();
        pipeline.load_script(&self.script).ignore();
        for run in batches.iter().flat_map(|lines| lines.chunks(RUN)) {
            let mut invocation = self.script.prepare_invoke();
            invocation.key(UPDATES).key(TOTALS).key(PENDING).key(RECENT);
            invocation.arg(self.window_ms).arg(BUCKET_MS).arg(BUCKETS);
            for line in run {
                invocation.arg(encode_lines(std::slice::from_ref(line)));
            }
            pipeline.invoke_script(&invocation);
        }
        let answers: Vec<(u64, u64, u64, Vec<usize>)> = pipeline.query(&mut connection)?;
        self.connection = Some(connection);
        let mut answers = answers.into_iter();
        let receipt = |lines: &&[Stored]| {
            let mut receipt = Receipt::default();
            let runs = lines.chunks(RUN).zip(answers.by_ref()).enumerate();
            for (run, (_, (accepted, duplicate, early, again))) in runs {
                receipt.counts += Counts { accepted, duplicate, early, ..Counts::default() };
                receipt.duplicates.extend(again.iter().map(|at| run * RUN + at));
            }
            receipt
        };
        Ok(batches.iter().map(receipt).collect())
    }
}

pub struct Writer {
    pub journal: RedisJournal,
    pub learner: Learner,
    pub caches: Caches,
}

impl Writer {
    /// Works until it is stopped. What the server did not confirm is not acknowledged; IDs make it
    /// harmless to send it again.
    pub fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let jobs: Vec<Job> =
                std::iter::once(first).chain(jobs.try_iter().take(COMMIT)).collect();
            let stop = jobs.iter().any(|job| matches!(job, Job::Stop));
            let post = |job| if let Job::Post(post) = job { Some(post) } else { None };
            let posts = jobs.into_iter().filter_map(post).collect();
            // Posts that could not be kept are answered with 503, and come again.
            let _ = take(&mut self.journal, posts, &self.caches);
            if stop {
                self.learner.finish();
                return;
            }
        }
    }
}
